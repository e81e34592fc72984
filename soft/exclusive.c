/*
 * The global exclusive monitor (DDI 0487 B2.12): a store-exclusive fails when another vCPU stored
 * to the granule since the load-exclusive, also if it stored what was there before. Comparing the
 * value alone would not see that (ABA).
 *
 * Seeing every store must cost nothing where no exclusives are used, so pages are watched. The
 * first store-exclusive to a page fails, as any may, after it has had all vCPUs drop their TLB
 * entries for writing of the page. From then on stores to it take the slow path, where they clear
 * the monitors of other vCPUs, and exclusives are exact. A page that many more stores than
 * store-exclusives go to is left alone again; so is one that is filled in one go, and one whose
 * place in the table another page needs. All of that only clears monitors.
 *
 * While only one vCPU has ever run there is nobody to watch, and the value is enough. Walkers of
 * translation tables and devices store without asking; what they change is seen by the value.
 *
 * A monitor is one word, the address of its granule. The lock of a set of pages is held while a
 * monitor for one of them is set, and from clearing monitors until the store is done. That is a few
 * instructions, for each exclusive access to a watched page, so it is a word that others look at,
 * and no mutex. Nothing else is locked meanwhile. vCPUs of the engine check take turns and all
 * their stores are slow, so there every page is watched already. Translated code has
 * load-exclusives of its own while one vCPU has run (soft/jit/exclusive.c).
 */
#include "soft/exclusive.h"

#include <sched.h>
#include <sys/mman.h>

#include "base/populate.h"
#include "soft/vcpu.h"
#include "soft/wait.h"

#define SETS 128u
#define WAYS 8u

/* ERG of CTR_EL0 */
#define GRANULE 64ull

/* Stores to a page after the last store-exclusive until it is left alone: about what watching it
 * again would cost (70 us with four vCPUs). */
#define STORES_MAX 512

/* And so many stores in a row, each behind the one before, are a page that is cleared or copied to:
 * it begins another life. */
#define STORES_FILL 16

/* Low bits of a page's address in the table. */
enum { PAGE_PENDING = 1, PAGE_READY = 2 };

/* Looks at a lock that another thread has until the host's core is given away: to that thread, if
 * it waits for one. */
#define LOCK_LOOKS 64

/* What one vCPU writes and others do not look at is in a line of the host's cache of its own. */
#define LINE 64

struct exclusive_set {
    _Alignas(LINE) _Atomic bool locked;
    _Atomic uint64_t page[WAYS]; /* 0: none */
    uint64_t who[WAYS]; /* vCPUs whose monitor was set for the page, if it is not cleared */
    uint32_t stores[WAYS];
    uint16_t next[WAYS]; /* offset behind the last store, */
    uint16_t fill[WAYS]; /* and how many before it were in a row */
    uint32_t mark[WAYS]; /* tells a page from the same one that came back */
    uint32_t marks;
};

struct monitor {
    _Alignas(LINE) _Atomic uint64_t granule; /* + 1, or 0 */
};

_Static_assert(SOFT_MAX_VCPUS <= 64, "vCPUs are bits");

struct exclusives {
    struct exclusive_set set[SETS];
    struct monitor monitor[SOFT_MAX_VCPUS]; /* by index of the vCPU */
    uint64_t who;                           /* the engine check's: whose monitor was ever set */
    _Alignas(LINE) _Atomic unsigned count;  /* of pages */
};

struct exclusives *exclusives_create(void)
{
    return map_zero(sizeof(struct exclusives));
}

void exclusives_destroy(struct exclusives *x)
{
    if (x)
        munmap(x, sizeof *x);
}

static void set_lock(struct exclusive_set *s)
{
    while (UNLIKELY(atomic_exchange_explicit(&s->locked, true, memory_order_acquire)))
        for (unsigned n = 1; atomic_load_explicit(&s->locked, memory_order_relaxed); n++)
            n % LOCK_LOOKS ? wait_pause() : (void)sched_yield();
}

static void set_unlock(struct exclusive_set *s)
{
    atomic_store_explicit(&s->locked, false, memory_order_release);
}

static struct exclusive_set *set_of(struct exclusives *x, uint64_t pa)
{
    return &x->set[(pa >> 12 ^ pa >> 19) % SETS];
}

/* The way of a page, or WAYS. */
static unsigned find(const struct exclusive_set *s, uint64_t pa)
{
    for (unsigned way = 0; way < WAYS; way++) {
        uint64_t page = atomic_load(&s->page[way]);
        if (page && (page ^ pa) < 4096)
            return way;
    }
    return WAYS;
}

bool exclusive_watches(const struct exclusives *x, uint64_t pa)
{
    return atomic_load(&x->count) && find(&x->set[(pa >> 12 ^ pa >> 19) % SETS], pa) < WAYS;
}

static uint64_t monitor_of(uint64_t pa)
{
    return (pa & ~(GRANULE - 1)) + 1;
}

static uint64_t bit_of(const struct soft_vcpu *v)
{
    return 1ull << v->index;
}

/* Clear those monitors of `who` among `others` that are from `first` to `last`, in one page. */
static void clear_monitors(struct exclusives *x, uint64_t *who, uint64_t others, uint64_t first,
                           uint64_t last)
{
    for (uint64_t left = *who & others; left; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctzll(left);
        uint64_t m = atomic_load(&x->monitor[n].granule);
        bool clear = m - first <= last - first;
        if (clear)
            (void)atomic_compare_exchange_strong(&x->monitor[n].granule, &m, 0);
        if (clear || ((m - 1) ^ (first - 1)) >= 4096)
            *who &= ~(1ull << n);
    }
}

static void leave_page(struct exclusives *x, struct exclusive_set *s, unsigned way)
{
    uint64_t page = atomic_load(&s->page[way]);

    if (!page)
        return;
    atomic_store(&s->page[way], 0);
    clear_monitors(x, &s->who[way], ~0ull, monitor_of(page & ~4095ull), monitor_of(page | 4095));
    atomic_fetch_sub(&x->count, 1);
}

/* Watch a page. Between entering it and the end of the barrier others may still store unseen, so
 * until then nobody's monitor counts. */
static void watch_page(struct soft_vcpu *v, uint64_t pa)
{
    struct exclusives *x = v->cpu.vm->exclusives;
    struct exclusive_set *s = set_of(x, pa);
    uint64_t page = pa & ~4095ull;
    unsigned way = 0;

    set_lock(s);
    if (find(s, pa) < WAYS) {
        set_unlock(s);
        return;
    }
    while (way < WAYS && atomic_load(&s->page[way]))
        way++;
    uint32_t mark = ++s->marks;
    if (way == WAYS) {
        way = mark % WAYS;
        leave_page(x, s, way);
    }
    s->stores[way] = s->fill[way] = 0;
    s->who[way] = 0;
    s->mark[way] = mark;
    atomic_fetch_add(&x->count, 1);
    atomic_store(&s->page[way], page | PAGE_PENDING);
    set_unlock(s);

    const struct request r = { .kind = REQUEST_WATCH, .address = page };
    soft_request(v, &r, true);
    soft_barrier(v);

    set_lock(s);
    if (s->mark[way] == mark && atomic_load(&s->page[way]))
        atomic_store(&s->page[way], page | PAGE_READY);
    set_unlock(s);
}

static bool is_ready(const struct exclusive_set *s, unsigned way)
{
    return way < WAYS && (atomic_load(&s->page[way]) & PAGE_READY);
}

static void monitor_set(struct soft_vcpu *v, uint64_t *who, uint64_t pa)
{
    *who |= bit_of(v);
    atomic_store_explicit(&v->cpu.vm->exclusives->monitor[v->index].granule, monitor_of(pa),
                          memory_order_relaxed);
}

bool exclusive_load(struct soft_vcpu *v, uint64_t pa)
{
    struct exclusives *x = v->cpu.vm->exclusives;
    struct exclusive_set *s = set_of(x, pa);

    if (v->check) {
        monitor_set(v, &x->who, pa);
        return true;
    }
    if (!exclusive_watches(x, pa))
        return false;
    set_lock(s);
    unsigned way = find(s, pa);
    bool ready = is_ready(s, way);
    if (ready)
        monitor_set(v, &s->who[way], pa);
    set_unlock(s);
    return ready;
}

bool exclusive_store(struct soft_vcpu *v, uint64_t pa, bool watched, struct exclusive_set **held)
{
    struct exclusives *x = v->cpu.vm->exclusives;
    struct exclusive_set *s = set_of(x, pa);

    *held = NULL;
    if (!watched) {
        if (!atomic_load(&v->cpu.vm->shared))
            return true;
        if (!v->check) /* there only when it has just become shared */
            watch_page(v, pa);
        return false;
    }
    if (!v->check) {
        set_lock(s);
        *held = s;
    }
    struct monitor *own = &x->monitor[v->index];
    if (atomic_load(&own->granule) != monitor_of(pa)) {
        exclusive_release(*held);
        *held = NULL;
        return false;
    }
    uint64_t everybody = x->who, *who = &everybody;
    unsigned way = find(s, pa);
    if (way < WAYS) {
        s->stores[way] = 0;
        who = &s->who[way];
    }
    clear_monitors(x, who, ~bit_of(v), monitor_of(pa), monitor_of(pa));
    atomic_store_explicit(&own->granule, 0, memory_order_relaxed);
    return true;
}

/* Note a store. Is the page better left alone? */
static bool stores_suffice(struct exclusive_set *s, unsigned way, uint64_t pa, unsigned size)
{
    unsigned offset = pa & 4095;

    s->fill[way] = offset == s->next[way] ? s->fill[way] + 1u : 0;
    s->next[way] = (uint16_t)(offset + size);
    return s->fill[way] >= STORES_FILL || ++s->stores[way] > STORES_MAX;
}

struct exclusive_set *exclusive_hold(struct soft_vcpu *v, uint64_t pa, unsigned size)
{
    struct exclusives *x = v->cpu.vm->exclusives;
    struct exclusive_set *s = set_of(x, pa);

    if (v->check) {
        uint64_t everybody = x->who;
        clear_monitors(x, &everybody, ~bit_of(v), monitor_of(pa), monitor_of(pa + size - 1));
        return NULL;
    }
    if (!exclusive_watches(x, pa))
        return NULL;
    set_lock(s);
    unsigned way = find(s, pa);
    if (way < WAYS && stores_suffice(s, way, pa, size)) {
        leave_page(x, s, way);
        way = WAYS;
    }
    if (way == WAYS) {
        set_unlock(s);
        return NULL;
    }
    clear_monitors(x, &s->who[way], ~bit_of(v), monitor_of(pa), monitor_of(pa + size - 1));
    return s;
}

void exclusive_release(struct exclusive_set *held)
{
    if (held)
        set_unlock(held);
}

uint64_t exclusive_get(const struct soft_vcpu *v)
{
    return atomic_load(&v->cpu.vm->exclusives->monitor[v->index].granule);
}

void exclusive_set(struct soft_vcpu *v, uint64_t monitor)
{
    atomic_store(&v->cpu.vm->exclusives->monitor[v->index].granule, monitor);
}
