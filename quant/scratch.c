/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals are blocked in every thread but taken by one that waits for
 * them: it may do what a signal handler may not, such as walk a folder.
 */
#include "quant/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static const int taken[] = {SIGINT, SIGTERM, SIGHUP};
static char *folder;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* settled */
static bool settled;

static void
taken_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(set, taken[i]);
}

static void *
wait_for_signal(void *arg)
{
    sigset_t set;
    struct err e;
    int sig;

    (void)arg;
    taken_set(&set);
    if (sigwait(&set, &sig) != 0)
        return NULL;
    pthread_mutex_lock(&lock);
    if (settled) {
        pthread_mutex_unlock(&lock);
        return NULL;
    }
    /* Another thread may be writing: what it adds meanwhile goes, too. */
    for (int i = 0; i < 3; i++)
        if (file_remove(folder, &e) == 0)
            break;
    signal(sig, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
    return NULL;
}

int
scratch_new(const char *file, struct err *e)
{
    pthread_t thread;
    sigset_t set;
    int rc;

    taken_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    folder = mem_printf("%s.tmpdir%ld", file, (long)getpid());
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return err_errno(e, "%s", folder);
    rc = pthread_create(&thread, NULL, wait_for_signal, NULL);
    if (rc != 0) {
        scratch_free();
        return err_set(e, ERR_INTERNAL, "thread: %s", strerror(rc));
    }
    pthread_detach(thread);
    return 0;
}

char *
scratch_path(const char *sub, const char *name, struct err *e)
{
    char *dir = mem_printf("%s/%s", folder, sub);
    char *path = NULL;

    if (file_mkdirs(dir, e) == 0)
        path = mem_printf("%s/%s", dir, name);
    mem_free(dir);
    return path;
}

void
scratch_settle(void)
{
    pthread_mutex_lock(&lock);
    settled = true;
    pthread_mutex_unlock(&lock);
}

void
scratch_free(void)
{
    struct err e;

    if (folder != NULL)
        file_remove(folder, &e);
}
