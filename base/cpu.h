/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

/*
 * Cores this process may use at once: its CPU affinity, and the quota of its
 * control group and of every one above it (cgroup v2 cpu.max, v1
 * cpu.cfs_quota_us), rounded up; at least 1.
 */
int cpu_usable(void);

/*
 * Makes OpenMP threads sleep when they wait: by default they spin, and take
 * the cores from whoever has work (two threads on a busy machine were measured
 * five times slower than one).  The library reads OMP_WAIT_POLICY when it is
 * loaded, before main(): so the program is started once more with it set,
 * unless the environment has it already.  Call it first of all in main().
 */
void cpu_patient_threads(char **argv);

#endif
