/* SPDX-License-Identifier: Apache-2.0 */
#include "server/manifest.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"

enum { MANIFEST_MAX = 1 << 20 };

static const char file_name[] = "manifest.json";

static int
add_file(const char *dir, const char *name, json_t *files, struct err *e)
{
    char *path = mem_printf("%s/%s", dir, name);
    char hex[DIGEST_HEX + 1];
    struct stat st;
    int rc = 0;

    if (lstat(path, &st) != 0)
        rc = err_errno(e, "%s", path);
    else if (S_ISREG(st.st_mode) && strcmp(name, file_name) != 0 &&
             (rc = file_sync(path, e)) == 0 &&
             (rc = digest_file(path, hex, e)) == 0 &&
             json_object_set_new(files, name,
                                 json_pack("{s:I, s:s}", "bytes",
                                           (json_int_t)st.st_size, "sha256",
                                           hex)) != 0)
        rc = err_set(e, ERR_INVALID, "%s: the file name is not UTF-8", path);
    mem_free(path);
    return rc;
}

static int
write_manifest(const char *dir, const json_t *manifest, struct err *e)
{
    char *path = mem_printf("%s/%s", dir, file_name);
    char *text =
        json_dumps(manifest, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    int rc = text != NULL
                 ? file_write(path, text, strlen(text), e)
                 : err_set(e, ERR_INTERNAL, "%s: can't be written", path);

    free(text);
    mem_free(path);
    return rc;
}

int
manifest_make(const char *dir, const json_t *info, struct err *e)
{
    DIR *d = opendir(dir);
    json_t *files, *manifest;
    struct dirent *entry;
    int rc = 0;

    if (d == NULL)
        return err_errno(e, "%s", dir);
    files = json_object();
    while (rc == 0 && (entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            rc = add_file(dir, entry->d_name, files, e);
    closedir(d);
    manifest = info != NULL ? json_copy((json_t *)info) : json_object();
    json_object_set_new(manifest, "files", files);
    if (rc == 0)
        rc = write_manifest(dir, manifest, e);
    json_decref(manifest);
    return rc;
}

static int
check_file(const char *dir, const char *name, const json_t *says, bool deep,
           struct err *e)
{
    const char *want = json_string_value(json_object_get(says, "sha256"));
    json_int_t bytes = json_integer_value(json_object_get(says, "bytes"));
    char hex[DIGEST_HEX + 1];
    struct stat st;
    char *path;
    int rc = 0;

    if (want == NULL || strchr(name, '/') != NULL || name[0] == '.')
        return err_set(e, ERR_INVALID, "%s: malformed entry '%s'", file_name,
                       name);
    path = mem_printf("%s/%s", dir, name);
    if (stat(path, &st) != 0)
        rc = err_set(e, ERR_INVALID, "%s is missing", name);
    else if (st.st_size != bytes)
        rc =
            err_set(e, ERR_INVALID, "%s has %lld bytes, its manifest says %lld",
                    name, (long long)st.st_size, (long long)bytes);
    else if (deep && (rc = digest_file(path, hex, e)) == 0 &&
             strcmp(hex, want) != 0)
        rc = err_set(e, ERR_INVALID,
                     "%s does not match its manifest: SHA-256 is %s, not %s",
                     name, hex, want);
    mem_free(path);
    return rc;
}

int
manifest_check(const char *dir, bool deep, json_t **out, struct err *e)
{
    char *path = mem_printf("%s/%s", dir, file_name), *text = NULL;
    json_t *manifest = NULL, *files, *says;
    const char *name;
    size_t bytes;
    int rc = file_read(path, MANIFEST_MAX, &text, &bytes, e);

    mem_free(path);
    if (rc == ERR_NOT_FOUND) {
        if (out != NULL)
            *out = NULL;
        return 0;
    }
    if (rc != 0)
        return rc;
    manifest = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    mem_free(text);
    files = json_object_get(manifest, "files");
    if (!json_is_object(files))
        rc = err_set(e, ERR_INVALID, "%s is malformed", file_name);
    else
        json_object_foreach(
            files, name,
            says) if ((rc = check_file(dir, name, says, deep, e)) != 0) break;
    if (rc == 0 && out != NULL)
        *out = json_incref(manifest);
    json_decref(manifest);
    return rc;
}
