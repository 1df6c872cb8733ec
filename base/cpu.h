/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

/*
 * Cores this process may use at once: its CPU affinity, and the quota of its
 * control group and of every one above it (cgroup v2 cpu.max, v1
 * cpu.cfs_quota_us), rounded up; at least 1.
 */
int cpu_usable(void);

#endif
