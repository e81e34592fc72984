/*
 * The registers of a frame for messages: GICv2m's (Arm BSA appendix; IHI 0069H 12.18, GICM_*).
 * Writing an INTID makes that SPI pending. Both controllers have one.
 */
#ifndef GIC_MSI_H
#define GIC_MSI_H

#include <stdbool.h>
#include <stdint.h>

enum { MSI_TYPER = 0x008, MSI_SET_SPI = 0x040, MSI_IIDR = 0xfcc };

/* Product <31:20>, implementer <11:0>, as the distributor's. */
#define MSI_IIDR_VALUE (0x49u << 20 | 0x43bu)

#define MSI_INTID 0x3ffu

static inline uint32_t msi_read(unsigned base, unsigned count, uint64_t offset, unsigned width)
{
    if (width != 4)
        return 0;
    return offset == MSI_TYPER ? base << 16 | count : offset == MSI_IIDR ? MSI_IIDR_VALUE : 0;
}

/* Does this write name an INTID, `*intid`? The lower half may be written alone. */
static inline bool msi_write(uint64_t offset, unsigned width, uint64_t value, unsigned *intid)
{
    *intid = (unsigned)value & MSI_INTID;
    return offset == MSI_SET_SPI && (width == 4 || width == 2);
}

#endif
