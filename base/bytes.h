/*
 * Loads and stores on byte buffers, little-endian as guests and most file formats are, and
 * big-endian. Unaligned; no byte buffer is ever cast to a wider pointer.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ireko runs on little-endian hosts only"
#endif

#define BYTES_ACCESSORS(width)                                                                     \
    static inline uint##width##_t ld_le##width(const void *p)                                      \
    {                                                                                              \
        uint##width##_t v;                                                                         \
        memcpy(&v, p, sizeof v);                                                                   \
        return v;                                                                                  \
    }                                                                                              \
    static inline void st_le##width(void *p, uint##width##_t v)                                    \
    {                                                                                              \
        memcpy(p, &v, sizeof v);                                                                   \
    }                                                                                              \
    static inline uint##width##_t ld_be##width(const void *p)                                      \
    {                                                                                              \
        return __builtin_bswap##width(ld_le##width(p));                                            \
    }                                                                                              \
    static inline void st_be##width(void *p, uint##width##_t v)                                    \
    {                                                                                              \
        st_le##width(p, __builtin_bswap##width(v));                                                \
    }

BYTES_ACCESSORS(16)
BYTES_ACCESSORS(32)
BYTES_ACCESSORS(64)
#undef BYTES_ACCESSORS

#endif
