/*
 * The GICv3's distributor and redistributors as bytes, and its ITS and LPIs if there are any: a
 * header, then little-endian words in a fixed order. A field that the registers could not hold is
 * cut to what they can, so that whatever bytes come in, the result is a state that a guest could
 * have made.
 *
 * The levels of the private inputs are not part of it: they are the timers', which know them.
 */
#include "gic/gicv3_state.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"

#define SAVE_MAGIC   0x33434947u /* "GIC3" */
#define SAVE_VERSION 1u

#define SAVE_HEADER  16u                    /* magic, version, size, 0 */
#define SAVE_BANK    (6u * 4u + 32u)        /* six words, 32 priorities */
#define SAVE_PRIVATE (SAVE_BANK + 4u)       /* and what GICR_WAKER says */
#define SAVE_SHARED  (SAVE_BANK + 32u * 4u) /* and the routers */
#define SAVE_ITS     (ITS_SAVE_SIZE + LPI_SAVE_SIZE)
#define SAVE_SIZE                                                                                  \
    (SAVE_HEADER + 4u + GICV3_MAX_CPUS * SAVE_PRIVATE + (GIC_DIST_MAX_BANKS - 1) * SAVE_SHARED)

size_t gicv3_state_size(const struct gicv3 *g)
{
    return SAVE_SIZE + (g->lpis ? SAVE_ITS : 0);
}

static uint8_t *save_word(uint8_t *p, uint32_t value)
{
    st_le32(p, value);
    return p + 4;
}

static uint8_t *save_bank(uint8_t *p, const struct gic_bank *b)
{
    p = save_word(p, b->group);
    p = save_word(p, b->enabled);
    p = save_word(p, b->latch);
    p = save_word(p, b->wire);
    p = save_word(p, b->active);
    p = save_word(p, b->edge);
    memcpy(p, b->priority, 32);
    return p + 32;
}

void gicv3_state_save(struct gicv3 *g, uint8_t *data)
{
    uint8_t *p = data;

    lock_acquire(&g->lock);
    p = save_word(p, SAVE_MAGIC);
    p = save_word(p, SAVE_VERSION);
    p = save_word(p, (uint32_t)gicv3_state_size(g));
    p = save_word(p, 0);
    p = save_word(p, (uint32_t)g->dist.group_enabled[1] << 1 | g->dist.group_enabled[0]);
    for (unsigned c = 0; c < GICV3_MAX_CPUS; c++) {
        p = save_bank(p, &g->dist.private[c]);
        p = save_word(p, g->cpu[c].asleep);
    }
    for (unsigned n = 1; n < GIC_DIST_MAX_BANKS; n++) {
        p = save_bank(p, &g->dist.shared[n]);
        for (unsigned i = 0; i < 32; i++)
            p = save_word(p, g->router[n * 32 + i]);
    }
    if (g->lpis) {
        p = lpi_save(g->lpis, p);
        its_save(&g->its, p);
    }
    lock_release(&g->lock);
}

static const uint8_t *restore_bank(const uint8_t *p, struct gic_bank *b, uint32_t valid)
{
    b->group = ld_le32(p) & valid;
    b->enabled = ld_le32(p + 4) & valid;
    b->latch = ld_le32(p + 8) & valid;
    b->wire = ld_le32(p + 12) & valid;
    b->active = ld_le32(p + 16) & valid;
    b->edge = ld_le32(p + 20) & valid;
    p += 24;
    for (unsigned i = 0; i < 32; i++)
        b->priority[i] = bit(valid, i) ? p[i] & GIC_PRIORITY_MASK : 0;
    return p + 32;
}

int gicv3_state_restore(struct gicv3 *g, const uint8_t *data, size_t size)
{
    const uint8_t *p = data;

    if (size != gicv3_state_size(g) || ld_le32(p) != SAVE_MAGIC || ld_le32(p + 4) != SAVE_VERSION ||
        ld_le32(p + 8) != size || ld_le32(p + 12) != 0)
        return -EINVAL;
    p += SAVE_HEADER;
    lock_acquire(&g->lock);
    g->dist.group_enabled[0] = p[0] & 1;
    g->dist.group_enabled[1] = p[0] & 2;
    p += 4;
    for (unsigned c = 0; c < GICV3_MAX_CPUS; c++) {
        struct gic_bank *b = &g->dist.private[c];
        uint32_t wire = b->wire;

        p = restore_bank(p, b, UINT32_MAX);
        b->wire = wire;
        b->edge |= GIC_SGIS;
        g->cpu[c].asleep = p[0] & 1;
        gicv3_participate(g, c);
        p += 4;
    }
    for (unsigned n = 1; n < GIC_DIST_MAX_BANKS; n++) {
        p = restore_bank(p, &g->dist.shared[n], gic_dist_valid(&g->dist, n));
        for (unsigned i = 0; i < 32; i++, p += 4)
            g->router[n * 32 + i] = ld_le32(p) & GICV3_ROUTER_MASK;
    }
    if (g->lpis) {
        p = lpi_restore(g, p);
        its_restore(&g->its, p);
    }
    gicv3_route_all(g);
    gicv3_update(g);
    lock_release(&g->lock);
    return 0;
}
