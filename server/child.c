/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    LINE_MAX_BYTES = 65536, /* what is longer is cut */
    TICK_MS = 50,           /* how often cancel is looked at */
    GRACE_S = 3,            /* from SIGTERM to SIGKILL */
    NICE = 10,
};

extern char **environ;

void
child_share(double cpu_share)
{
    cpu_set_t have, some;
    int n, want, taken = 0;

    /* On Linux both are the calling thread's alone. */
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (sched_getaffinity(0, sizeof have, &have) != 0)
        return;
    n = CPU_COUNT(&have);
    want = (int)((double)n * cpu_share + 0.5);
    want = want < 1 ? 1 : want > n ? n : want;
    CPU_ZERO(&some);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && taken < want; cpu--)
        if (CPU_ISSET(cpu, &have)) {
            CPU_SET(cpu, &some);
            taken++;
        }
    (void)sched_setaffinity(0, sizeof some, &some);
}

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- starting ---------------------------------------------------------- */

static int
spawn(const struct child_options *o, int out, int err, pid_t *pid,
      struct err *e)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
                                        POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    rc = posix_spawnp(pid, o->argv[0], &files, &attr, o->argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0)
        return err_set(e, ERR_INTERNAL, "%s can't be started: %s", o->argv[0],
                       strerror(rc));
    if (o->memory_limit > 0) {
        struct rlimit limit = {o->memory_limit, o->memory_limit};

        (void)prlimit(*pid, RLIMIT_AS, &limit, NULL);
    }
    (void)prlimit(*pid, RLIMIT_CORE, &(struct rlimit){0, 0}, NULL);
    return 0;
}

/* --- reading ----------------------------------------------------------- */

struct stream {
    int fd;
    void (*line)(void *arg, const char *line);
    void *arg;
    size_t n;
    char text[LINE_MAX_BYTES + 1];
};

static void
end_line(struct stream *s)
{
    s->text[s->n] = '\0';
    if (s->n > 0)
        s->line(s->arg, s->text);
    s->n = 0;
}

/* False when it has ended. */
static bool
read_some(struct stream *s)
{
    char buf[4096];
    ssize_t n = read(s->fd, buf, sizeof buf);

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    for (ssize_t i = 0; i < n; i++)
        if (buf[i] == '\n')
            end_line(s);
        else if (buf[i] != '\0' && s->n < LINE_MAX_BYTES)
            s->text[s->n++] = buf[i];
    if (n == 0)
        end_line(s);
    return n > 0;
}

struct watch {
    const struct child_options *o;
    pid_t pid;
    double started, asked; /* asked: when SIGTERM was sent, 0: not yet */
    int why;               /* enum err_code, once it was asked to end */
};

/* Asks it to end when it must, and makes it when it doesn't. */
static void
enforce(struct watch *w)
{
    double now = seconds();

    if (w->asked > 0) {
        if (now > w->asked + GRACE_S)
            kill(-w->pid, SIGKILL);
        return;
    }
    if (w->o->cancel != NULL && atomic_load(w->o->cancel))
        w->why = ERR_UNAVAILABLE;
    else if (w->o->timeout_s > 0 && now > w->started + w->o->timeout_s)
        w->why = ERR_TIMEOUT;
    if (w->why != 0) {
        kill(-w->pid, SIGTERM);
        w->asked = now;
    }
}

static void
read_all(struct watch *w, struct stream *out, struct stream *err)
{
    struct pollfd fds[2] = {{.fd = out->fd, .events = POLLIN},
                            {.fd = err->fd, .events = POLLIN}};

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int n = poll(fds, 2, TICK_MS);

        if (n > 0 && fds[0].revents != 0 && !read_some(out))
            fds[0].fd = -1;
        if (n > 0 && fds[1].revents != 0 && !read_some(err))
            fds[1].fd = -1;
        enforce(w);
    }
}

/* It closed its pipes; it ought to end now. */
static int
reap(struct watch *w)
{
    int status;

    while (waitpid(w->pid, &status, WNOHANG) == 0) {
        enforce(w);
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    kill(-w->pid, SIGKILL); /* whatever it may have left behind */
    return status;
}

static int
judge(const struct watch *w, int status, int *out, struct err *e)
{
    const struct child_options *o = w->o;

    if (w->why == ERR_UNAVAILABLE)
        return err_set(e, ERR_UNAVAILABLE, "cancelled");
    if (w->why == ERR_TIMEOUT)
        return err_set(e, ERR_TIMEOUT,
                       "it took more than %g s "
                       "(quantize.timeout)",
                       o->timeout_s);
    if (WIFSIGNALED(status) && o->memory_limit > 0)
        return err_set(e, ERR_INTERNAL,
                       "%s was ended by signal %d (%s); it may use %zu bytes "
                       "of memory (quantize.memory_limit)",
                       o->argv[0], WTERMSIG(status),
                       strsignal(WTERMSIG(status)), o->memory_limit);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_INTERNAL, "%s was ended by signal %d (%s)",
                       o->argv[0], WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    *out = WEXITSTATUS(status);
    return 0;
}

int
child_run(const struct child_options *o, int *status, struct err *e)
{
    struct watch w = {.o = o, .started = seconds()};
    struct stream *s = mem_new(2, sizeof *s);
    int out[2] = {-1, -1}, err[2] = {-1, -1}, rc;

    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        rc = err_errno(e, "pipe");
    else
        rc = spawn(o, out[1], err[1], &w.pid, e);
    if (out[1] >= 0)
        close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    if (rc == 0) {
        s[0].fd = out[0];
        s[0].line = o->out;
        s[1].fd = err[0];
        s[1].line = o->err;
        s[0].arg = s[1].arg = o->arg;
        read_all(&w, &s[0], &s[1]);
        rc = judge(&w, reap(&w), status, e);
    }
    if (out[0] >= 0)
        close(out[0]);
    if (err[0] >= 0)
        close(err[0]);
    mem_free(s);
    return rc;
}
