/* Instructions with one source, and checksums (DDI 0487 C4.1.95). */
#include "soft/interp/interp.h"

static inline uint64_t reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(v);
}

static inline uint64_t reverse_bytes_of_halves(uint64_t v)
{
    return (v >> 8 & 0x00ff00ff00ff00ff) | (v & 0x00ff00ff00ff00ff) << 8;
}

/* `value` is made of v, the source. */
#define UNARY(name, type, value)                                                                   \
    INSN(name)                                                                                     \
    {                                                                                              \
        type v = (type)c->x[i->rn];                                                                \
        c->x[i->rd] = (type)(value);                                                               \
        return interp_next(c, i);                                                                  \
    }

UNARY(RBIT_w, uint32_t, reverse_bits(v) >> 32)
UNARY(RBIT_x, uint64_t, reverse_bits(v))
UNARY(REV16_w, uint32_t, reverse_bytes_of_halves(v))
UNARY(REV16_x, uint64_t, reverse_bytes_of_halves(v))
UNARY(REV_w, uint32_t, __builtin_bswap32(v))
UNARY(REV32_x, uint64_t, __builtin_bswap64(v) << 32 | __builtin_bswap64(v) >> 32)
UNARY(REV_x, uint64_t, __builtin_bswap64(v))
UNARY(CLZ_w, uint32_t, v == 0 ? 32 : __builtin_clz(v))
UNARY(CLZ_x, uint64_t, v == 0 ? 64 : __builtin_clzll(v))
UNARY(CLS_w, uint32_t, __builtin_clrsb((int32_t)v))
UNARY(CLS_x, uint64_t, __builtin_clrsbll((int64_t)v))

/*
 * CRC-32 (IEEE 802.3) and CRC-32C (Castagnoli), four bits at a time; both are defined on reflected
 * values, so the low bits go first.
 */
static const uint32_t crc32_ieee[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};
static const uint32_t crc32_castagnoli[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static inline uint32_t crc32_update(const uint32_t table[16], uint32_t crc, uint64_t data,
                                    unsigned bytes)
{
    for (unsigned n = 0; n < 2 * bytes; n++, data >>= 4)
        crc = table[(crc ^ data) & 15] ^ crc >> 4;
    return crc;
}

#define CRC32(name, table, bytes)                                                                  \
    INSN(name)                                                                                     \
    {                                                                                              \
        c->x[i->rd] = crc32_update(table, (uint32_t)c->x[i->rn], c->x[i->rm], bytes);              \
        return interp_next(c, i);                                                                  \
    }

CRC32(CRC32B, crc32_ieee, 1)
CRC32(CRC32H, crc32_ieee, 2)
CRC32(CRC32W, crc32_ieee, 4)
CRC32(CRC32X, crc32_ieee, 8)
CRC32(CRC32CB, crc32_castagnoli, 1)
CRC32(CRC32CH, crc32_castagnoli, 2)
CRC32(CRC32CW, crc32_castagnoli, 4)
CRC32(CRC32CX, crc32_castagnoli, 8)
