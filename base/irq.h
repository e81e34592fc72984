/* One interrupt wire from a device to an interrupt controller. */
#ifndef BASE_IRQ_H
#define BASE_IRQ_H

#include <stdbool.h>

struct irq_line {
    /* Drive wire `n` to `level`. Any thread; locks up to LOCK_DEVICE may be held. */
    void (*set)(void *ctx, unsigned n, bool level);
    void *ctx;
    unsigned n;
};

static inline void irq_line_set(const struct irq_line *l, bool level)
{
    if (l->set)
        l->set(l->ctx, l->n, level);
}

#endif
