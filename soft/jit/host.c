/*
 * What the host's CPU has (Intel SDM volume 2, CPUID). x86-64-v2 is needed; of what is newer the
 * emitters use each piece if it is there.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "soft/jit/runtime.h"

#define V2_ECX     (1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23) /* leaf 1 */
#define AVX_ECX    (1u << 27 | 1u << 28) /* OSXSAVE and AVX */
#define AVX512_EBX (1u << 16 | 1u << 31) /* leaf 7: F and VL */
#define XMM32_EBX  (1u << 17 | 1u << 30) /* DQ and BW */
#define XMM32_ECX  (1u << 9 | 1u << 10)  /* VAES and VPCLMULQDQ */
#define V2_LAHF    (1u << 0)             /* leaf 0x80000001 */

bool jit_host_is_able(void)
{
    const char *knobs = getenv("IREKO_JIT");
    unsigned a, b, c, d;

    if (knobs && strcmp(knobs, "off") == 0)
        return false;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & V2_ECX) == V2_ECX &&
           __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & V2_LAHF);
}

/* VEX and EVEX forms fault unless the system saves their registers (XCR0). */
enum { YMM_STATE = 0x06, ZMM_STATE = 0xe6 };

static bool has_state(uint32_t all)
{
    uint32_t low, high;

    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & all) == all;
}

_Static_assert(sizeof(struct jit_host) % sizeof(bool) == 0, "it is made of them");

struct jit_host jit_host_read(const struct jit_host *without)
{
    struct jit_host h = { 0 };
    unsigned a, b, c, d;
    bool evex = false, more = false;

    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        evex = (b & AVX512_EBX) == AVX512_EBX;
        more = (b & XMM32_EBX) == XMM32_EBX && (c & XMM32_ECX) == XMM32_ECX;
        h.bmi1 = b >> 3 & 1;
        h.avx2 = b >> 5 & 1;
        h.bmi2 = b >> 8 & 1;
        h.sha = b >> 29 & 1;
        h.gfni = c >> 8 & 1;
    }
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        h.pclmul = c >> 1 & 1;
        h.aes = c >> 25 & 1;
        h.avx = (c & AVX_ECX) == AVX_ECX && has_state(YMM_STATE);
        h.avx512 = h.avx && evex && has_state(ZMM_STATE);
        h.xmm32 = h.avx512 && more;
        h.fma = h.avx && c >> 12 & 1;
        h.f16c = h.avx && c >> 29 & 1;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        h.lzcnt = c >> 5 & 1;
    for (size_t n = 0; n < sizeof h / sizeof(bool); n++)
        ((bool *)&h)[n] &= !((const bool *)without)[n];
    h.fma &= h.avx; /* they are VEX forms */
    h.avx2 &= h.avx;
    h.avx512 &= h.avx;
    h.xmm32 &= h.avx512;
    h.f16c &= h.avx;
    return h;
}
