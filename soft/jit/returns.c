/*
 * Returns that the host predicts.
 *
 * Translated code has a stack of its own, of returns: BL and BLR push X30 and call, and RET returns
 * if X30 is what was pushed, so that the host's return predictor knows the way. An entry is a guess
 * that costs nothing if it is wrong: it says of one virtual address, in one bank and mode, where
 * its code is, as an entry of the bank's jump table does, and RET compares the address. So whatever
 * makes the one untrue has the other forgotten.
 *
 * At the bottom is an entry that leads to a look-up of X30, whatever that is. There is one stack
 * for each exception level, so that a system call leaves the program's alone. How deep it gets is
 * looked at by each call; one that finds it full, or whom somebody wants, asks C and pushes
 * nothing. C that translated code calls runs on the host's stack (thunks.c).
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/populate.h"
#include "soft/jit/translate.h"

#define ENTRY 16
#define DEPTH 4096

/* Below the last entry: what thunks push, and signals if the host has handlers for some. */
#define SPARE 65536

/* Above the first one: the bottom. */
#define BOTTOM 64

#define LEVEL_SIZE (SPARE + DEPTH * ENTRY + BOTTOM)
#define SIZE       (2 * LEVEL_SIZE)

int jit_returns_create(struct jit *j)
{
    void *p = map_zero(SIZE);

    if (!p)
        return -errno;
    j->returns = p;
    for (unsigned el = 0; el < 2; el++) {
        uint8_t *base = j->returns + (el + 1) * LEVEL_SIZE - BOTTOM;
        st_le64(base, (uintptr_t)(j->rx + j->bottom));
        st_le64(base + 8, 1); /* seldom an address */
        j->level[el].base = (uintptr_t)base;
    }
    j->v->hot.returns_base = j->level[0].base;
    jit_returns_forget(j);
    return 0;
}

void jit_returns_destroy(struct jit *j)
{
    if (j->returns)
        munmap(j->returns, SIZE);
}

void jit_returns_forget(struct jit *j)
{
    for (unsigned el = 0; el < 2; el++)
        j->level[el].at = j->level[el].base;
    j->v->hot.returns = j->v->hot.returns_base;
}

void jit_returns_update(struct soft_vcpu *v, const struct mmu_bank *bank, uint32_t mode)
{
    struct jit_hot *hot = &v->hot;
    struct jit_returns *now = &hot->jit->level[v->cpu.el];

    if (hot->returns_base != now->base) {
        hot->jit->level[!v->cpu.el].at = hot->returns;
        hot->returns_base = now->base;
        hot->returns = v->cpu.el ? now->base : now->at; /* the kernel begins anew */
    }
    if (now->bank != bank || now->mode != mode) {
        hot->returns = now->base;
        now->bank = bank;
        now->mode = mode;
    }
    atomic_store_explicit(&v->cpu.jit_returns_end, now->base - DEPTH * ENTRY, memory_order_relaxed);
}

bool jit_returns_are_full(const struct soft_vcpu *v)
{
    return v->hot.returns <= v->hot.returns_base - DEPTH * ENTRY;
}
