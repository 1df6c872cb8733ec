/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repository on disk.
 *
 *     <models>/<model>/<version>/model.onnx  + config.pbtxt, labels.txt
 *                               /manifest.json
 *                               /report.json
 *                               /variants/<variant>/model.onnx
 *                                                  /manifest.json
 *                                                  /report.json
 *     <models>/<model>/route.json, history.jsonl
 *     <models>/.quantd/tmp/ID/   things being received or made
 *     <models>/.quantd/jobs/     what job.c keeps
 *
 * With a state folder all but what was there before lies in the same layout
 * under that folder, and the models folder is only read.
 *
 * Publishing: everything is written into a folder of .quantd/tmp, synced, and
 * put in place by one rename of that folder; then its parent is synced.  So a
 * version or a variant is there whole or not at all, and at start what lies
 * in tmp is what nobody was promised: it goes.  A replaced variant is
 * exchanged by one rename where the file system can, otherwise set aside as
 * .old.NAME, which the next start puts back when the new one never came.
 *
 * manifest.json names every other file of its folder with bytes and SHA-256
 * (subfolders have their own).  A folder that has one and disagrees with it is
 * not served.  Folders without one (a Triton repository copied in) are served
 * as they are.
 */
#ifndef SERVER_REPO_H
#define SERVER_REPO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "server/route.h"

struct repo;

/* What the judge said of a variant. */
enum verdict { VERDICT_ACCEPTED, VERDICT_UNDECIDED, VERDICT_REJECTED };

const char *verdict_name(enum verdict v); /* "accepted", ... */
/* Fails: ERR_INVALID for another word. */
int verdict_parse(const char *name, enum verdict *out, struct err *e);

struct repo_options {
    const char *models;     /* folder of models */
    const char *state;      /* NULL or "": the models folder */
    const char *model_name; /* of a flat <models>/model.onnx */
};

/*
 * Makes the folders, takes the lock, removes what a crash left.
 * Fails: ERR_CONFLICT when another quantd holds the folder, ERR_IO ...
 */
int repo_open(const struct repo_options *o, struct repo **out, struct err *e);
void repo_close(struct repo **r);

/* Fails: ERR_CONFLICT for a repository that can only be read. */
int repo_writable(const struct repo *r, struct err *e);

/* One variant's files. */
struct repo_variant {
    char model[ROUTE_NAME + 1];
    char variant[ROUTE_NAME + 1];
    long version;
    bool base;    /* the version's own model.onnx */
    bool managed; /* has a manifest: quantd wrote it */
    enum verdict verdict;
    double accuracy_ratio; /* of the version\'s own; 0: not measured */
    size_t bytes;          /* of all its ONNX files */
    char *dir;             /* the version's or the variant's */
    char *path;            /* of model.onnx */
    char *model_dir;       /* where model.conf and config.pbtxt may be */
    char *reason;          /* why it can't be served, or NULL */
    unsigned long stamp;   /* changes when its files do */
};

/* One variant by name. Fails: ERR_NOT_FOUND. */
int repo_lookup(struct repo *r, const char *model, long version,
                const char *variant, struct repo_variant *out, struct err *e);

struct repo_list {
    struct repo_variant *at; /* by model, version, base first */
    size_t n;
};

/*
 * Everything there is of a model, or with NULL of all.  Manifests are held to
 * the names and sizes of files here; their contents are checked when they are
 * loaded.
 */
int repo_scan(struct repo *r, const char *model, struct repo_list *out,
              struct err *e);
void repo_list_free(struct repo_list *l);
void repo_variant_copy(struct repo_variant *to, const struct repo_variant *v);
void repo_variant_free(struct repo_variant *v);

/* Bytes of the model's files in a folder. */
size_t repo_bytes(const char *dir);

/* --- publishing -------------------------------------------------------- */

/* A new empty folder under .quantd/tmp; *out by mem_free(). */
int repo_stage(struct repo *r, const char *id, char **out, struct err *e);

/* Removes a staging folder, published from or not. */
void repo_unstage(struct repo *r, const char *id);

/* .quantd/jobs, the folder; NULL where nothing can be written. */
const char *repo_jobs_dir(const struct repo *r);

/*
 * Reserves a version number of the model until repo_release(): want, or with
 * want == 0 one more than any there is or is reserved.
 * Fails: ERR_CONFLICT when want is there or reserved.
 */
int repo_reserve(struct repo *r, const char *model, long want, long *out,
                 struct err *e);
void repo_release(struct repo *r, const char *model, long version);

/*
 * Publishes dir (a folder on the repository's own file system that holds
 * model.onnx and whatever belongs to it) as a version, or as a variant of one.
 * Writes its manifest, syncs, renames.
 *
 * info: members of the manifest beside "files" (kept as they are), or NULL.
 * out:  the files as published; repo_variant_free().
 */
int repo_publish_version(struct repo *r, const char *dir, const char *model,
                         long version, const char *variant, const json_t *info,
                         struct repo_variant *out, struct err *e);
int repo_publish_variant(struct repo *r, const char *dir, const char *model,
                         long version, const char *variant,
                         enum verdict verdict, const json_t *info,
                         struct repo_variant *out, struct err *e);

/* Fails: ERR_NOT_FOUND, ERR_CONFLICT for a version's own file. */
int repo_remove_variant(struct repo *r, const char *model, long version,
                        const char *variant, struct err *e);

/* --- small files ------------------------------------------------------- */

/*
 * A model's small file ("route.json"): where quantd writes it, the folder made;
 * or where it is read, the one in the state folder before the one beside the
 * models.  *out by mem_free().
 */
int repo_file_to_write(struct repo *r, const char *model, const char *name,
                       char **out, struct err *e);
char *repo_file_to_read(struct repo *r, const char *model, const char *name);

/* manifest.json of a variant without "files", and its report; NULL when there
 * is none.  json_decref(). */
json_t *repo_manifest(const struct repo_variant *v);
json_t *repo_report(const struct repo_variant *v);

/* Replaces <version>/report.json. */
int repo_write_report(struct repo *r, const char *model, long version,
                      const json_t *report, struct err *e);

/*
 * Calls each(arg, path) for every folder in which a model, version or variant
 * may come or go.
 */
void repo_each_dir(struct repo *r, void (*each)(void *arg, const char *path),
                   void *arg);

#endif
