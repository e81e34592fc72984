#include "devices/pci/msix.h"

#include <assert.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"

/* An entry of the table. */
enum { ENTRY_ADDRESS = 0, ENTRY_DATA = 8, ENTRY_CONTROL = 12, ENTRY_MASKED = 1 };

void msix_init(struct msix *m, unsigned count, const struct msix_bus *bus, uint32_t requester)
{
    assert(count > 0 && count <= MSIX_MAX_VECTORS);
    m->count = count;
    m->bus = *bus;
    m->requester = requester;
    msix_reset(m);
}

void msix_reset(struct msix *m)
{
    memset(m->table, 0, sizeof m->table);
    for (unsigned i = 0; i < m->count; i++)
        st_le32(m->table + i * MSIX_ENTRY_SIZE + ENTRY_CONTROL, ENTRY_MASKED);
    m->pending = 0;
    m->enabled = m->masked = false;
}

static bool msix_is_masked(const struct msix *m, unsigned vector)
{
    return m->masked || ld_le32(m->table + vector * MSIX_ENTRY_SIZE + ENTRY_CONTROL) & ENTRY_MASKED;
}

void msix_notify(struct msix *m, unsigned vector)
{
    if (vector >= m->count || !m->enabled)
        return;
    if (msix_is_masked(m, vector)) {
        m->pending |= 1u << vector;
        return;
    }
    const uint8_t *entry = m->table + vector * MSIX_ENTRY_SIZE;
    m->pending &= ~(1u << vector);
    m->bus.send(m->bus.ctx, m->requester, ld_le64(entry + ENTRY_ADDRESS),
                ld_le32(entry + ENTRY_DATA));
}

/* Send what waits and is masked no more. */
static void msix_flush(struct msix *m)
{
    for (unsigned i = 0; m->pending && i < m->count; i++)
        if (bit(m->pending, i) && !msix_is_masked(m, i))
            msix_notify(m, i);
}

void msix_set_control(struct msix *m, uint16_t control)
{
    m->enabled = control & MSIX_CONTROL_ENABLE;
    m->masked = control & MSIX_CONTROL_MASK;
    if (m->enabled)
        msix_flush(m);
    else
        m->pending = 0;
}

static bool msix_is_entry(const struct msix *m, uint64_t offset, unsigned width)
{
    return width >= 4 && offset % width == 0 && offset < m->count * MSIX_ENTRY_SIZE;
}

uint64_t msix_table_read(const struct msix *m, uint64_t offset, unsigned width)
{
    if (!msix_is_entry(m, offset, width))
        return 0;
    return width == 8 ? ld_le64(m->table + offset) : ld_le32(m->table + offset);
}

void msix_table_write(struct msix *m, uint64_t offset, unsigned width, uint64_t value)
{
    if (!msix_is_entry(m, offset, width))
        return;
    if (width == 8)
        st_le64(m->table + offset, value);
    else
        st_le32(m->table + offset, (uint32_t)value);
    uint8_t *control = m->table + align_down(offset, MSIX_ENTRY_SIZE) + ENTRY_CONTROL;
    st_le32(control, ld_le32(control) & ENTRY_MASKED);
    if (m->enabled)
        msix_flush(m);
}

uint64_t msix_pending_read(const struct msix *m, uint64_t offset, unsigned width)
{
    if (width < 4 || offset % width)
        return 0;
    return offset == 0 ? m->pending : 0;
}
