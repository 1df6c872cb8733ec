/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/cpu.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
affinity(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    return (int)sysconf(_SC_NPROCESSORS_ONLN); /* more than 1024 processors */
}

/* quota / period of one group folder, or INFINITY where there is no limit. */
static double
group_limit(const char *dir)
{
    char path[600], word[32];
    double period, quota;
    FILE *f;
    int n;

    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if ((f = fopen(path, "re")) != NULL) {
        n = fscanf(f, "%31s %lf", word, &period);
        fclose(f);
        if (n == 2 && sscanf(word, "%lf", &quota) == 1 && period > 0)
            return quota / period;
        return INFINITY;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
    if ((f = fopen(path, "re")) == NULL)
        return INFINITY;
    n = fscanf(f, "%lf", &quota);
    fclose(f);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
    if (n != 1 || quota <= 0 || (f = fopen(path, "re")) == NULL)
        return INFINITY;
    n = fscanf(f, "%lf", &period);
    fclose(f);
    return n == 1 && period > 0 ? quota / period : INFINITY;
}

static double
group_limits(void)
{
    double least = INFINITY;
    char line[512], dir[560];
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (f == NULL)
        return least;
    while (fgets(line, sizeof line, f) != NULL) {
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');
        const char *root = NULL;

        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strcmp(names, ":") == 0)
            root = "/sys/fs/cgroup";
        else if (strstr(names, "cpu,") != NULL || strcmp(names, ":cpu") == 0)
            root = "/sys/fs/cgroup/cpu";
        if (root == NULL)
            continue;
        for (;;) { /* this group, and each one above it */
            char *slash;

            snprintf(dir, sizeof dir, "%s%s", root, path);
            least = fmin(least, group_limit(dir));
            slash = strrchr(path, '/');
            if (slash == NULL)
                break;
            *slash = '\0';
        }
    }
    fclose(f);
    return least;
}

int
cpu_usable(void)
{
    int n = affinity();
    double limit = ceil(group_limits());

    if (limit < n)
        n = (int)limit;
    return n < 1 ? 1 : n;
}

void
cpu_patient_threads(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") != NULL)
        return;
    setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
    execv("/proc/self/exe", argv);
    /* Where /proc is not to be had it runs as it is: only slower. */
}
