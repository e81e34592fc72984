/*
 * Two virtio devices on a PCI bus, driven by bytes: the input is a list of 16-byte records, each an
 * access to the configuration space, to a BAR where it is, or anywhere in the memory area, or a
 * write to guest memory, or a reset.
 *
 * What must hold: who a function is never changes; INTA is what the ISR status, MSI-X and the
 * command register say; no message comes from a function whose MSI-X is off, nor with an address
 * that is not in its table.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "devices/virtio/device.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/rng.h"
#include "tests/harness/quiet.h"

#define RECORD_SIZE 16
#define RAM_BASE    0x40000000ull
#define RAM_SIZE    0x10000u
#define MEMORY      0x10000000ull
#define SLOTS       2u

enum { CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, MEMORY_WRITE, MEMORY_READ, POKE, RESET };
enum { CAP_MSIX = 0x40 }; /* the first capability */

struct bus {
    struct pci_host host;
    struct device *device[SLOTS];
    struct gmem gmem;
    uint8_t *ram;
    bool level[SLOTS];
};

static uint32_t config(struct bus *b, unsigned slot, unsigned offset, unsigned width)
{
    return (uint32_t)pci_host_ecam_read(&b->host, slot << 15 | offset, width);
}

static void set_level(void *ctx, unsigned n, bool level)
{
    struct bus *b = ctx;
    b->level[n] = level;
}

/* The device's lock is held: look at the bytes directly. */
static void send_message(void *ctx, uint32_t requester, uint64_t address, uint32_t data)
{
    const struct bus *b = ctx;
    assert(requester >> 3 < SLOTS && requester % 8 == 0);
    const struct pci_function *f = b->host.slot[requester >> 3];
    assert(ld_le16(f->config.bytes + CAP_MSIX + 2) & MSIX_CONTROL_ENABLE);
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = 0x4000 + i * MSIX_ENTRY_SIZE;
        found = found || (f->device->ops->read(f->device, at, 8) == address &&
                          f->device->ops->read(f->device, at + 8, 4) == data);
    }
    assert(found);
}

static void bus_create(struct bus *b)
{
    *b = (struct bus){ .ram = calloc(1, RAM_SIZE) };
    b->host.place.memory = MEMORY;
    if (!b->ram || gmem_add(&b->gmem, RAM_BASE, RAM_SIZE, b->ram) < 0)
        abort();
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct virtio_rng_config rng = { .gmem = &b->gmem };
        const struct virtio_pci_config pci = { .slot = i,
                                               .irq = { set_level, b, i },
                                               .message = { send_message, b } };
        if (virtio_rng_create(&rng, &b->device[i]) < 0 ||
            virtio_pci_create(b->device[i], &b->host, &pci) < 0)
            abort();
    }
}

static void bus_destroy(struct bus *b)
{
    for (unsigned i = 0; i < SLOTS; i++)
        b->device[i]->ops->destroy(b->device[i]);
    free(b->ram);
}

static void check(struct bus *b)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct virtio_device *v = CONTAINER_OF(b->device[i], struct virtio_device, device);
        assert(config(b, i, 0, 4) == 0x10441af4);
        bool msix = config(b, i, CAP_MSIX + 2, 2) & MSIX_CONTROL_ENABLE;
        bool off = config(b, i, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
        assert(b->level[i] == (v->interrupt_status && !msix && !off));
    }
}

static void play(struct bus *b, const uint8_t *p)
{
    unsigned kind = p[0] % (RESET + 1), width = 1u << (p[1] & 3), slot = p[2] % SLOTS;
    uint32_t offset = ld_le32(p + 4);
    uint64_t value = ld_le64(p + 8);
    uint64_t bar = atomic_load(&b->host.slot[slot]->base) - MEMORY;
    uint64_t at = bar + align_down(offset & 0x7fff, width);
    switch (kind) {
    case CONFIG_WRITE:
        width = width > 4 ? 4 : width;
        pci_host_ecam_write(&b->host, slot << 15 | align_down(offset & 0xfff, width), width, value);
        break;
    case CONFIG_READ:
        width = width > 4 ? 4 : width;
        (void)pci_host_ecam_read(&b->host, align_down(offset & 0xfffffff, width), width);
        break;
    case BAR_WRITE:
        pci_host_memory_write(&b->host, at, width, value);
        break;
    case BAR_READ:
        (void)pci_host_memory_read(&b->host, at, width);
        break;
    case MEMORY_WRITE:
        pci_host_memory_write(&b->host, align_down(offset, width), width, value);
        break;
    case MEMORY_READ:
        (void)pci_host_memory_read(&b->host, align_down(offset, width), width);
        break;
    case POKE:
        st_le64(b->ram + align_down(offset % RAM_SIZE, 8), value);
        break;
    case RESET:
        lock_acquire(&b->device[slot]->lock);
        b->device[slot]->ops->reset(b->device[slot]);
        lock_release(&b->device[slot]->lock);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bus b;
    quiet();
    bus_create(&b);
    for (; size >= RECORD_SIZE; data += RECORD_SIZE, size -= RECORD_SIZE) {
        play(&b, data);
        check(&b);
    }
    bus_destroy(&b);
    return 0;
}

/* A function that is on, then anything, with a liking for what is there. */
size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    static const uint32_t likely[] = { 0x00,   0x04,   0x08,   0x0c,   0x10,   0x14,
                                       0x16,   0x18,   0x1a,   0x1c,   0x20,   0x28,
                                       0x30,   0x3a,   0x40,   0x42,   0x88,   0x8c,
                                       0x90,   0x1000, 0x2000, 0x3000, 0x4000, 0x4008,
                                       0x400c, 0x4010, 0x4018, 0x5000, 0x7ff8 };
    static const uint64_t values[] = { 0,  1,     2,      3,      6,     11,        15,
                                       64, 0x101, 0x8000, 0xc000, 0x402, UINT64_MAX };
    uint64_t state = seed;
    size_t count = 1 + fuzz_random(&state) % (FUZZ_INPUT_MAX / RECORD_SIZE - 2);
    for (size_t i = 0; i < count + 2; i++) {
        uint8_t *p = data + i * RECORD_SIZE;
        uint64_t r = fuzz_random(&state);
        st_le64(p, r & 0x0000000007030707u);
        st_le32(p + 4, r >> 32 & 3 ? likely[(r >> 40) % ARRAY_LEN(likely)] : (uint32_t)(r >> 8));
        st_le64(p + 8, r >> 35 & 3   ? values[(r >> 50) % ARRAY_LEN(values)]
                       : r >> 37 & 1 ? RAM_BASE + (r >> 40 & 0xfff0)
                                     : fuzz_random(&state));
    }
    st_le64(data, 2u << 8 | (uint64_t)PCI_BAR0 << 32);
    st_le64(data + 8, MEMORY);
    st_le64(data + RECORD_SIZE, 1u << 8 | (uint64_t)PCI_COMMAND << 32);
    st_le64(data + RECORD_SIZE + 8, PCI_COMMAND_MEMORY);
    return (count + 2) * RECORD_SIZE;
}
