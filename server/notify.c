/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "server/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
notify_send(const char *fmt, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);
    char text[512];
    va_list ap;
    int fd, n;

    if (len == 0 || len >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* an abstract name */
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= (int)sizeof text)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* A manager that does not listen is no reason to stop serving. */
    (void)!sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

static int
is_for_us(const char *pid_variable)
{
    const char *pid = getenv(pid_variable);

    return pid == NULL || strtol(pid, NULL, 10) == (long)getpid();
}

double
notify_watchdog_s(void)
{
    const char *us = getenv("WATCHDOG_USEC");

    if (us == NULL || !is_for_us("WATCHDOG_PID"))
        return 0;
    /* Twice as often as is asked, as sd_watchdog_enabled(3) advises. */
    return strtod(us, NULL) / 2e6;
}

int
notify_sockets(void)
{
    const char *n = getenv("LISTEN_FDS");
    long count = n == NULL ? 0 : strtol(n, NULL, 10);

    if (count <= 0 || count > 16 || !is_for_us("LISTEN_PID"))
        return 0;
    return (int)count;
}
