/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int
open_regular(const char *path, size_t *bytes, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        err_errno(e, "%s", path);
        return -1;
    }
    if (fstat(fd, &st) != 0)
        err_errno(e, "%s", path);
    else if (!S_ISREG(st.st_mode))
        err_set(e, ERR_INVALID, "%s: not a regular file", path);
    else {
        *bytes = (size_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

int
file_map(const char *path, struct file_map *out, struct err *e)
{
    size_t bytes;
    void *p = NULL;
    int fd = open_regular(path, &bytes, e);

    if (fd < 0)
        return e->code;
    if (bytes > 0) {
        p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            err_errno(e, "%s: map %zu bytes", path, bytes);
            close(fd);
            return e->code;
        }
    }
    close(fd);
    *out = (struct file_map){p, bytes};
    return 0;
}

void
file_unmap(struct file_map *m)
{
    if (m->p != NULL)
        munmap((void *)m->p, m->bytes);
    *m = (struct file_map){0};
}

int
file_read(const char *path, size_t max, char **out, size_t *bytes,
          struct err *e)
{
    size_t size, have = 0;
    char *p;
    int fd = open_regular(path, &size, e);

    if (fd < 0)
        return e->code;
    p = size > max ? NULL : mem_try(1, size + 1);
    if (size > max)
        err_set(e, ERR_TOO_LARGE, "%s: %zu bytes, at most %zu", path, size,
                max);
    else if (p == NULL)
        err_set(e, ERR_NO_MEMORY, "%s: %zu bytes", path, size);
    if (p == NULL) {
        close(fd);
        return e->code;
    }
    while (have < size) {
        ssize_t n = read(fd, p + have, size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(e, "%s", path);
            close(fd);
            mem_free(p);
            return e->code;
        }
        if (n == 0)
            break; /* it shrank meanwhile */
        have += (size_t)n;
    }
    close(fd);
    p[have] = '\0';
    *out = p;
    if (bytes != NULL)
        *bytes = have;
    return 0;
}

static int
write_all(int fd, const char *p, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, p, bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}

int
file_write(const char *path, const void *p, size_t bytes, struct err *e)
{
    char *tmp = mem_printf("%s.tmp%ld", path, (long)getpid());
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int rc = 0;

    if (fd < 0) {
        rc = err_errno(e, "%s", tmp);
        goto out;
    }
    if (write_all(fd, p, bytes) != 0 || fsync(fd) != 0) {
        rc = err_errno(e, "%s", tmp);
        close(fd);
        goto undo;
    }
    if (close(fd) != 0) {
        rc = err_errno(e, "%s", tmp);
        goto undo;
    }
    if (rename(tmp, path) != 0) {
        rc = err_errno(e, "%s", path);
        goto undo;
    }
    rc = file_sync_parent(path, e);
    goto out;
undo:
    unlink(tmp);
out:
    mem_free(tmp);
    return rc;
}

int
file_sync(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = 0;

    if (fd < 0)
        return err_errno(e, "%s", path);
    if (fsync(fd) != 0)
        rc = err_errno(e, "%s: sync", path);
    close(fd);
    return rc;
}

int
file_sync_parent(const char *path, struct err *e)
{
    char *dir = mem_strdup(path);
    char *slash = strrchr(dir, '/');
    int rc;

    if (slash == dir)
        slash++;
    if (slash != NULL)
        *slash = '\0';
    rc = file_sync(slash != NULL ? dir : ".", e);
    mem_free(dir);
    return rc;
}

int
file_append(const char *path, const void *p, size_t bytes, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int rc = 0;

    if (fd < 0)
        return err_errno(e, "%s", path);
    if (write_all(fd, p, bytes) != 0 || fsync(fd) != 0)
        rc = err_errno(e, "%s", path);
    close(fd);
    return rc;
}

int
file_mkdirs(const char *path, struct err *e)
{
    char *p = mem_strdup(path);
    int rc = 0;

    for (char *s = p + 1;; s++) {
        char c = *s;

        if (c != '/' && c != '\0')
            continue;
        *s = '\0';
        if (mkdir(p, 0755) != 0 && errno != EEXIST) {
            rc = err_errno(e, "%s", p);
            break;
        }
        *s = c;
        if (c == '\0')
            break;
    }
    mem_free(p);
    return rc;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int
file_remove(const char *path, struct err *e)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 &&
        errno != ENOENT)
        return err_errno(e, "remove %s", path);
    return 0;
}
