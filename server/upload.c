/* SPDX-License-Identifier: Apache-2.0 */
#include "server/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/multipart.h"
#include "server/route.h"

enum {
    OPTION_MAX = 8192, /* bytes of an option's value in a form */
    PARTS_MAX = 256,
};

struct upload {
    char *stage, *folder;
    struct multipart *form; /* NULL: the body is the model */
    struct recipe *recipe;
    bool has_model, waits;
    const char *calibration, *validation;
    unsigned long long bytes;
    int n_parts;

    /* The part that is coming: a file, or the text of an option. */
    int fd;
    char *path; /* of the file, for messages */
    char name[256];
    char text[OPTION_MAX + 1];
    size_t n_text;
};

/* --- files ------------------------------------------------------------- */

/* Takes path. */
static int
open_file(struct upload *u, char *path, struct err *e)
{
    mem_free(u->path);
    u->path = path;
    u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (u->fd < 0 && errno == EEXIST)
        return err_set(e, ERR_INVALID, "%s came twice", strrchr(path, '/') + 1);
    return u->fd < 0 ? err_errno(e, "%s", path) : 0;
}

static int
open_model_file(struct upload *u, const char *name, struct err *e)
{
    char *dir = mem_printf("%s/%s", u->stage, u->folder);
    int rc = 0;

    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        rc = err_errno(e, "%s", dir);
    else
        rc = open_file(u, mem_printf("%s/%s", dir, name), e);
    mem_free(dir);
    return rc;
}

static int
open_samples(struct upload *u, const char *name, const char *filename,
             const char **kept, struct err *e)
{
    static const char *const names[2][2] = {
        {"calibration.npz", "calibration.tar"},
        {"validation.npz", "validation.tar"},
    };
    const char *dot = filename != NULL ? strrchr(filename, '.') : NULL;
    bool tar = dot != NULL && strcmp(dot, ".tar") == 0;

    *kept = names[strcmp(name, "validation") == 0][tar];
    return open_file(u, mem_printf("%s/%s", u->stage, *kept), e);
}

/* External data keeps its name, which the model refers to. */
static int
open_data(struct upload *u, const char *filename, struct err *e)
{
    static const char *const taken[] = {
        "model.onnx", "manifest.json", "report.json", "labels.txt", "variants"};

    if (filename == NULL || !route_name_ok(filename))
        return err_set(e, ERR_INVALID,
                       "data: a plain file name wanted (letters, digits, "
                       "'_', '.', '-')");
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(filename, taken[i]) == 0)
            return err_set(e, ERR_INVALID, "data: the name %s is taken",
                           filename);
    return open_model_file(u, filename, e);
}

static int
write_file(struct upload *u, const char *p, size_t n, struct err *e)
{
    u->bytes += n;
    while (n > 0) {
        ssize_t w = write(u->fd, p, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return err_errno(e, "%s", strrchr(u->path, '/') + 1);
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static int
close_file(struct upload *u, struct err *e)
{
    int fd = u->fd;

    u->fd = -1;
    return close(fd) != 0 ? err_errno(e, "%s", strrchr(u->path, '/') + 1) : 0;
}

/* --- options ----------------------------------------------------------- */

int
upload_option(struct upload *u, const char *name, const char *value,
              struct err *e)
{
    if (strcmp(name, "wait") == 0) {
        u->waits = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
        return u->waits || strcmp(value, "false") == 0 ||
                       strcmp(value, "0") == 0
                   ? 0
                   : err_set(e, ERR_INVALID,
                             "wait: '%.80s': true or false wanted", value);
    }
    if (strcmp(name, "calibration") == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "calibration: '%.80s': send a file; live inputs are "
                       "not captured here",
                       value);
    return recipe_set(u->recipe, name, value, e);
}

/* --- parts ------------------------------------------------------------- */

static int
begin(void *arg, const char *name, const char *filename, struct err *e)
{
    struct upload *u = arg;

    if (++u->n_parts > PARTS_MAX)
        return err_set(e, ERR_INVALID, "more than %d parts", PARTS_MAX);
    snprintf(u->name, sizeof u->name, "%s", name);
    u->n_text = 0;
    if (strcmp(name, "model") == 0) {
        u->has_model = true;
        return open_model_file(u, "model.onnx", e);
    }
    if (strcmp(name, "data") == 0)
        return open_data(u, filename, e);
    if (strcmp(name, "labels") == 0)
        return open_model_file(u, "labels.txt", e);
    if (strcmp(name, "validation") == 0)
        return open_samples(u, name, filename, &u->validation, e);
    if (strcmp(name, "calibration") == 0 && filename != NULL)
        return open_samples(u, name, filename, &u->calibration, e);
    if (filename != NULL)
        return err_set(e, ERR_INVALID,
                       "unknown file part '%.80s' (model, data, labels, "
                       "calibration, validation)",
                       name);
    return 0;
}

static int
data(void *arg, const void *p, size_t n, struct err *e)
{
    struct upload *u = arg;

    if (u->fd >= 0)
        return write_file(u, p, n, e);
    if (n > OPTION_MAX - u->n_text)
        return err_set(e, ERR_INVALID, "%s: more than %d bytes", u->name,
                       OPTION_MAX);
    memcpy(u->text + u->n_text, p, n);
    u->n_text += n;
    return 0;
}

static int
end(void *arg, struct err *e)
{
    struct upload *u = arg;

    if (u->fd >= 0)
        return close_file(u, e);
    u->text[u->n_text] = '\0';
    if (strlen(u->text) != u->n_text)
        return err_set(e, ERR_INVALID, "%s: a NUL in the value", u->name);
    return upload_option(u, u->name, u->text, e);
}

/* --- all of it --------------------------------------------------------- */

int
upload_new(const char *stage, const char *folder, const char *type,
           struct upload **out, struct err *e)
{
    static const struct multipart_events events = {begin, data, end};
    struct upload *u = mem_new(1, sizeof *u);

    u->stage = mem_strdup(stage);
    u->folder = mem_strdup(folder);
    u->recipe = recipe_new();
    u->fd = -1;
    if (multipart_is(type) &&
        multipart_new(type, &events, u, &u->form, e) != 0) {
        upload_free(&u);
        return e->code;
    }
    *out = u;
    return 0;
}

void
upload_free(struct upload **upload)
{
    struct upload *u = *upload;

    if (u == NULL)
        return;
    if (u->fd >= 0)
        close(u->fd);
    multipart_free(&u->form);
    recipe_free(&u->recipe);
    mem_free(u->path);
    mem_free(u->stage);
    mem_free(u->folder);
    mem_free(u);
    *upload = NULL;
}

int
upload_write(struct upload *u, const void *p, size_t n, struct err *e)
{
    if (u->form != NULL)
        return multipart_feed(u->form, p, n, e);
    if (n == 0)
        return 0;
    if (!u->has_model) {
        u->has_model = true;
        if (open_model_file(u, "model.onnx", e) != 0)
            return e->code;
    }
    return write_file(u, p, n, e);
}

int
upload_end(struct upload *u, struct err *e)
{
    if (u->form != NULL)
        return multipart_end(u->form, e);
    return u->fd >= 0 ? close_file(u, e) : 0;
}

bool
upload_has_model(const struct upload *u)
{
    return u->has_model;
}

bool
upload_waits(const struct upload *u)
{
    return u->waits;
}

const char *
upload_calibration(const struct upload *u)
{
    return u->calibration;
}

const char *
upload_validation(const struct upload *u)
{
    return u->validation;
}

unsigned long long
upload_bytes(const struct upload *u)
{
    return u->bytes;
}

const struct recipe *
upload_recipe(const struct upload *u)
{
    return u->recipe;
}

struct recipe *
upload_take_recipe(struct upload *u)
{
    struct recipe *r = u->recipe;

    u->recipe = NULL;
    return r;
}
