/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One body in C, compiled for AVX-512, AVX2 and the baseline; the best that
 * the machine has is taken at run time.
 */
#ifndef ENGINE_DNN_VARIANTS_H
#define ENGINE_DNN_VARIANTS_H

#define INLINE static inline __attribute__((always_inline))
#define SIMD _Pragma("omp simd")

/*
 * VARIANTS(name, params, args) makes `name`, which calls name_body() compiled
 * for the widest vectors of this machine.
 */
/*
 * Of functions with arrays of 64-byte vectors: what ASan puts in place of the
 * stack is not aligned to these by GCC 12 (its bug 110027).
 */
#define UNALIGNED_STACK __attribute__((no_sanitize("address")))

#if defined(__x86_64__)
#define TARGET_512                                                             \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define TARGET_256 __attribute__((target("avx2,fma")))
#define HAS_512                                                                \
    (__builtin_cpu_supports("avx512bw") &&                                     \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#define HAS_256                                                                \
    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#define VARIANTS(name, params, args)                                           \
    TARGET_512 static void name##_512 params                                   \
    {                                                                          \
        name##_body args;                                                      \
    }                                                                          \
    TARGET_256 static void name##_256 params                                   \
    {                                                                          \
        name##_body args;                                                      \
    }                                                                          \
    static void name params                                                    \
    {                                                                          \
        if (HAS_512)                                                           \
            name##_512 args;                                                   \
        else if (HAS_256)                                                      \
            name##_256 args;                                                   \
        else                                                                   \
            name##_body args;                                                  \
    }
#else
#define VARIANTS(name, params, args)                                           \
    static void name params                                                    \
    {                                                                          \
        name##_body args;                                                      \
    }
#endif

#endif
