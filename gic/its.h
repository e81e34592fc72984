/*
 * The interrupt translation service (IHI 0069H chapter 5): a device's message, DeviceID and
 * EventID, becomes an LPI of a CPU, by tables in guest memory that commands in guest memory fill.
 *
 * The tables' format is ours: entries of 8 bytes. The guest may write to them all the same, so each
 * entry is fetched once and every field is checked when it is used. Commands are done within the
 * write to GITS_CWRITER; a queue that asks for more than its share goes on at the next access to a
 * register of the ITS, so that no guest holds the lock for long.
 *
 * No lock here: gicv3_its_read() and its like (gicv3.h) take the GIC's.
 */
#ifndef GIC_ITS_H
#define GIC_ITS_H

#include <stdbool.h>
#include <stdint.h>

struct gicv3;

enum { ITS_DEVICES, ITS_COLLECTIONS, ITS_TABLES };

struct its {
    bool enabled; /* GITS_CTLR */
    uint64_t cbaser;
    uint32_t cwriter, creadr; /* offsets into the queue */
    uint64_t baser[ITS_TABLES];
};

#define ITS_ID_BITS 16u /* of a DeviceID, an EventID, a collection */

/* Fields of GITS_BASER<n> that a write changes. */
#define ITS_BASER_MASK     0xf8e0ffffffffffffull
#define ITS_BASER_VALID    (1ull << 63)
#define ITS_BASER_INDIRECT (1ull << 62)

#define ITS_COMMAND_SIZE 32u

void its_reset(struct its *s);

/* Do the command that the four words are. Returns what it cost: 1, or more if it concerned many
 * interrupts. What the architecture calls an error has no effect. */
unsigned its_command(struct gicv3 *g, const uint64_t command[4]);

/* A message: the LPI that it stands for, if any, becomes pending. */
void its_message(struct gicv3 *g, uint32_t device, uint32_t event);

/* As bytes, ITS_SAVE_SIZE of them: see gicv3_save.c. */
#define ITS_SAVE_SIZE 48u
uint8_t *its_save(const struct its *s, uint8_t *p);
const uint8_t *its_restore(struct its *s, const uint8_t *p);

#endif
