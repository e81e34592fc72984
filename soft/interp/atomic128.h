/*
 * Compare and exchange of 16 aligned bytes as one atomic access. The compilers' builtins call a
 * library for this size; both kinds of host have instructions.
 */
#ifndef SOFT_INTERP_ATOMIC128_H
#define SOFT_INTERP_ATOMIC128_H

#include <stdbool.h>
#include <stdint.h>

/* If *p equals `expected`, make it `desired`; else give *p in `expected`. Sequentially consistent.
 */
static inline bool atomic128_cas(void *p, uint64_t expected[2], const uint64_t desired[2])
{
#if defined(__x86_64__)
    bool done;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@cce"(done), "+m"(*(unsigned __int128 *)p), "+a"(expected[0]),
                       "+d"(expected[1])
                     : "b"(desired[0]), "c"(desired[1])
                     : "memory");
    return done;
#elif defined(__aarch64__)
    uint64_t low, high;
    uint32_t failed;
    do {
        __asm__ volatile("ldaxp %0, %1, [%2]" : "=&r"(low), "=&r"(high) : "r"(p) : "memory");
        bool equal = low == expected[0] && high == expected[1];
        /* Storing back what was read makes the read atomic. */
        __asm__ volatile("stlxp %w0, %2, %3, [%1]"
                         : "=&r"(failed)
                         : "r"(p), "r"(equal ? desired[0] : low), "r"(equal ? desired[1] : high)
                         : "memory");
        if (!failed && equal)
            return true;
    } while (failed);
    expected[0] = low;
    expected[1] = high;
    return false;
#else
#error "16-byte compare and exchange: unknown host"
#endif
}

#endif
