/* The pure half of exit.h: fields of a syndrome (DDI 0487 D24.2.40, "ISS encoding for ..."). */
#include "vmm/exit.h"

#include "base/bits.h"
#include "vmm/sysreg.h"

#define EXIT_ISS_ISV 24
#define EXIT_ISS_SSE 21
#define EXIT_ISS_SF  15
#define EXIT_ISS_WNR 6

bool exit_decode_mmio(uint64_t syndrome, struct exit_mmio *out)
{
    if (!bit(syndrome, EXIT_ISS_ISV))
        return false;
    *out = (struct exit_mmio){
        .write = bit(syndrome, EXIT_ISS_WNR),
        .width = 1u << bits(syndrome, 23, 22),
        .reg = (unsigned)bits(syndrome, 20, 16),
        .sign_extend = bit(syndrome, EXIT_ISS_SSE),
        .wide = bit(syndrome, EXIT_ISS_SF),
    };
    return true;
}

uint64_t exit_extend(const struct exit_mmio *m, uint64_t value)
{
    value &= ones(m->width * 8);
    if (!m->sign_extend)
        return value;
    value = (uint64_t)sign_extend(value, m->width * 8);
    return m->wide ? value : (uint32_t)value;
}

struct exit_sysreg exit_decode_sysreg(uint64_t syndrome)
{
    return (struct exit_sysreg){
        .encoding = SYSREG(bits(syndrome, 21, 20), bits(syndrome, 16, 14), bits(syndrome, 13, 10),
                           bits(syndrome, 4, 1), bits(syndrome, 19, 17)),
        .reg = (unsigned)bits(syndrome, 9, 5),
        .read = bit(syndrome, 0),
    };
}
