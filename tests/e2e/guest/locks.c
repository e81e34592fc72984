/*
 * Locks of all kinds under contention: locks THREADS MILLISECONDS. What Linux's locking torture
 * does to the kernel's locks, for programs: every kind of lock in turn is taken and given back by
 * all threads for that long, and what it protects is checked. The last line is the number of
 * errors, also the exit status.
 *
 * It is built twice: for Armv8.0, whose atomics are exclusives, and for Armv8.1 with LSE.
 */
#include "threads.h"

enum { NODES = 64, LINE = 64, SPINS = 200, SPINS_MAX = 1 << 22 };

/* In cache lines of their own. */
struct line {
    _Alignas(LINE) long value;
};

static struct {
    long threads, milliseconds;
    int stop;
    unsigned long wrong;
    struct line operations[THREADS_MAX];
    struct line quiescent[THREADS_MAX];
} all;

/* What a lock protects: who is inside, and two counters that agree outside of it. */
static struct {
    struct line inside, first, second;
} inner;

/* A lock is one of these. */
static struct {
    struct line a, b;
} word;

static void fail(void)
{
    __atomic_fetch_add(&all.wrong, 1, __ATOMIC_RELAXED);
}

static int stopped(void)
{
    return __atomic_load_n(&all.stop, __ATOMIC_RELAXED);
}

/* Somebody else has to do something: let them, after a while also if there are fewer CPUs than
 * threads. */
static void wait_a_little(int *spins)
{
    if (++*spins % SPINS == 0)
        call(NR_SCHED_YIELD, 0, 0, 0);
    else
        __asm__ volatile("yield");
}

/* In the lock, alone. */
static void work(long self)
{
    long *inside = &inner.inside.value;

    if (__atomic_load_n(inside, __ATOMIC_RELAXED))
        fail();
    __atomic_store_n(inside, self + 1, __ATOMIC_RELAXED);
    inner.first.value++;
    __asm__ volatile("" ::: "memory");
    inner.second.value++;
    if (__atomic_load_n(inside, __ATOMIC_RELAXED) != self + 1)
        fail();
    __atomic_store_n(inside, 0, __ATOMIC_RELAXED);
}

/* --- spinning --- */

/* Test and set, the wait by WFE for the monitor to be cleared. */
static void lock_spin(long self)
{
    int *at = (int *)&word.a.value, old, spins = 0;

    while (__atomic_exchange_n(at, 1, __ATOMIC_ACQUIRE))
        do {
            __asm__ volatile("ldaxr %w0, %1" : "=r"(old) : "Q"(*at) : "memory");
            if (!old)
                break;
            if (++spins % SPINS == 0)
                call(NR_SCHED_YIELD, 0, 0, 0);
            else
                __asm__ volatile("wfe" ::: "memory");
        } while (1);
    work(self);
    __atomic_store_n(at, 0, __ATOMIC_RELEASE);
}

/* Tickets of two bytes, next to each other. */
static void lock_ticket(long self)
{
    unsigned short *next = (unsigned short *)&word.a.value, *owner = next + 1;
    unsigned short mine = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);

    for (int spins = 0; __atomic_load_n(owner, __ATOMIC_ACQUIRE) != mine;)
        wait_a_little(&spins);
    work(self);
    __atomic_store_n(owner, (unsigned short)(mine + 1), __ATOMIC_RELEASE);
}

/* One bit of a byte; other threads change the others. */
static void lock_bit(long self)
{
    unsigned char *at = (unsigned char *)&word.a.value + 3, own = (unsigned char)(2u << self % 7);

    for (int spins = 0; __atomic_fetch_or(at, 1, __ATOMIC_ACQUIRE) & 1;) {
        __atomic_fetch_xor(at, own, __ATOMIC_RELAXED);
        wait_a_little(&spins);
    }
    work(self);
    __atomic_fetch_and(at, 0xfe, __ATOMIC_RELEASE);
}

/* A queue (Mellor-Crummey and Scott), each thread waiting at a place of its own. */
static void lock_queue(long self)
{
    static struct node {
        _Alignas(LINE) struct node *next;
        int waits;
    } nodes[THREADS_MAX];
    struct node *own = &nodes[self], **tail = (struct node **)&word.a.value, *expected = own;

    own->next = 0;
    own->waits = 1;
    struct node *before = __atomic_exchange_n(tail, own, __ATOMIC_ACQ_REL);
    if (before) {
        __atomic_store_n(&before->next, own, __ATOMIC_RELEASE);
        for (int spins = 0; __atomic_load_n(&own->waits, __ATOMIC_ACQUIRE);)
            wait_a_little(&spins);
    }
    work(self);
    if (!__atomic_load_n(&own->next, __ATOMIC_ACQUIRE)) {
        if (__atomic_compare_exchange_n(tail, &expected, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return;
        for (int spins = 0; !__atomic_load_n(&own->next, __ATOMIC_ACQUIRE);)
            wait_a_little(&spins);
    }
    __atomic_store_n(&own->next->waits, 0, __ATOMIC_RELEASE);
}

/* --- readers and writers --- */

/* Readers are counted, a writer is bit 31. Every eighth turn writes. */
static void lock_readers(long self)
{
    unsigned *at = (unsigned *)&word.a.value, seen = 0;
    int spins = 0;

    if (++all.operations[self].value % 8 == 0) {
        while (!__atomic_compare_exchange_n(at, &seen, 1u << 31, 1, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED)) {
            seen = 0;
            wait_a_little(&spins);
        }
        work(self);
        __atomic_store_n(at, 0, __ATOMIC_RELEASE);
        return;
    }
    seen = __atomic_load_n(at, __ATOMIC_RELAXED);
    for (;;) {
        if (seen >> 31) {
            wait_a_little(&spins);
            seen = __atomic_load_n(at, __ATOMIC_RELAXED);
        } else if (__atomic_compare_exchange_n(at, &seen, seen + 1, 1, __ATOMIC_ACQUIRE,
                                               __ATOMIC_RELAXED)) {
            break;
        }
    }
    if (inner.inside.value || inner.first.value != inner.second.value)
        fail();
    __atomic_fetch_sub(at, 1, __ATOMIC_RELEASE);
}

/* A sequence that is odd while the first thread writes; the others read. */
static void lock_sequence(long self)
{
    long *sequence = &word.a.value, *first = &inner.first.value, *second = &inner.second.value;
    long before, x, y;

    if (self == 0) {
        long n = *sequence;
        __atomic_store_n(sequence, n + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        __atomic_store_n(first, n, __ATOMIC_RELAXED);
        __atomic_store_n(second, -n, __ATOMIC_RELAXED);
        __atomic_store_n(sequence, n + 2, __ATOMIC_RELEASE);
        return;
    }
    do {
        before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
        x = __atomic_load_n(first, __ATOMIC_RELAXED);
        y = __atomic_load_n(second, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (stopped())
            return;
    } while ((before & 1) || before != __atomic_load_n(sequence, __ATOMIC_RELAXED));
    if (x + y)
        fail();
}

/* Read, copy, update: the first thread publishes another object, waits until each reader was
 * outside since, and spoils the old one. Readers follow an address dependency, without a barrier.
 */
static void lock_rcu(long self)
{
    static struct object {
        _Alignas(LINE) long good;
        long also;
    } objects[2];
    struct object **current = (struct object **)&word.a.value;

    if (self == 0) {
        struct object *old = *current, *next = old == objects ? objects + 1 : objects;
        next->also = ~0;
        next->good = 1;
        __atomic_store_n(current, next, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        for (long n = 1; n < all.threads; n++) {
            long *at = &all.quiescent[n].value, inside = __atomic_load_n(at, __ATOMIC_ACQUIRE);
            for (int spins = 0; (inside & 1) && __atomic_load_n(at, __ATOMIC_ACQUIRE) == inside;)
                wait_a_little(&spins);
        }
        if (old)
            old->good = old->also = 0;
        return;
    }
    long *at = &all.quiescent[self].value;
    __atomic_store_n(at, *at + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const struct object *o = __atomic_load_n(current, __ATOMIC_RELAXED);
    for (int n = 0; o && n < 8; n++)
        if (__atomic_load_n(&o->good, __ATOMIC_RELAXED) != 1 ||
            __atomic_load_n(&o->also, __ATOMIC_RELAXED) != ~0)
            fail();
    __atomic_store_n(at, *at + 1, __ATOMIC_RELEASE);
}

/* --- sleeping --- */

/* 0 free, 1 taken, 2 taken and waited for. */
static void lock_futex(long self)
{
    int *at = (int *)&word.a.value, seen = 0;

    if (!__atomic_compare_exchange_n(at, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        while (__atomic_exchange_n(at, 2, __ATOMIC_ACQUIRE))
            futex(at, FUTEX_WAIT, 2);
    work(self);
    if (__atomic_exchange_n(at, 0, __ATOMIC_RELEASE) == 2)
        futex(at, FUTEX_WAKE, 1);
}

static void pi_lock(int *at, int self)
{
    int seen = 0;

    if (!__atomic_compare_exchange_n(at, &seen, self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) &&
        futex(at, FUTEX_LOCK_PI, 0))
        fail();
}

static void pi_unlock(int *at, int self)
{
    int seen = self;

    if (!__atomic_compare_exchange_n(at, &seen, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED) &&
        futex(at, FUTEX_UNLOCK_PI, 0))
        fail();
}

/* The kernel's rt_mutex: who waits lends its priority to the owner. */
static void lock_inheriting(long self)
{
    int *at = (int *)&word.a.value, id = (int)call(NR_GETTID, 0, 0, 0);

    pi_lock(at, id);
    work(self);
    pi_unlock(at, id);
}

/* Nobody goes on before everybody is there, and everybody has written. */
static void lock_barrier(long self)
{
    static struct line written[THREADS_MAX];
    int *arrived = (int *)&word.a.value, *phase = (int *)&word.b.value;
    long turn = ++written[self].value;

    for (int half = 0; half < 2; half++) {
        int now = __atomic_load_n(phase, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(arrived, 1, __ATOMIC_ACQ_REL) == all.threads) {
            __atomic_store_n(arrived, 0, __ATOMIC_RELAXED);
            __atomic_store_n(phase, now + 1, __ATOMIC_RELEASE);
            futex(phase, FUTEX_WAKE, THREADS_MAX);
        } else {
            while (__atomic_load_n(phase, __ATOMIC_ACQUIRE) == now)
                futex(phase, FUTEX_WAIT, now);
        }
        for (long n = 0; half == 0 && n < all.threads; n++)
            if (written[n].value != turn)
                fail();
    }
}

/* --- without locks --- */

/* A stack whose nodes come back while others look at them, which a comparison of the address would
 * not see (ABA): by the exclusive monitor, or with a count next to the address. */
static struct stack_node {
    _Alignas(LINE) struct stack_node *next;
    int taken;
} stack[NODES];

#ifdef __ARM_FEATURE_ATOMICS

static _Alignas(16) unsigned __int128 top;

static unsigned __int128 top_of(const struct stack_node *n, unsigned __int128 old)
{
    return ((old >> 64) + 1) << 64 | (unsigned long)n;
}

static struct stack_node *pop(void)
{
    unsigned __int128 old = __atomic_load_n(&top, __ATOMIC_ACQUIRE), new;
    struct stack_node *n;

    do {
        n = (struct stack_node *)(unsigned long)old;
        if (!n)
            return 0;
        new = top_of(__atomic_load_n(&n->next, __ATOMIC_RELAXED), old);
    } while (!__atomic_compare_exchange_n(&top, &old, new, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return n;
}

static void push(struct stack_node *n)
{
    unsigned __int128 old = __atomic_load_n(&top, __ATOMIC_RELAXED);

    do
        __atomic_store_n(&n->next, (struct stack_node *)(unsigned long)old, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&top, &old, top_of(n, old), 0, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
}

#else

static struct stack_node *top;

static struct stack_node *pop(void)
{
    struct stack_node *n, *next;
    int failed;

    __asm__ volatile("1: ldaxr %0, %3\n"
                     "mov %w2, #0\n"
                     "cbz %0, 2f\n"
                     "ldr %1, [%0]\n"
                     "mov %w2, #400\n" /* time for others to take nodes and bring them back */
                     "3: subs %w2, %w2, #1\n"
                     "b.ne 3b\n"
                     "stxr %w2, %1, %3\n"
                     "cbnz %w2, 1b\n"
                     "2:"
                     : "=&r"(n), "=&r"(next), "=&r"(failed), "+Q"(top)
                     :
                     : "memory", "cc");
    return n;
}

static void push(struct stack_node *n)
{
    struct stack_node *old = __atomic_load_n(&top, __ATOMIC_RELAXED);

    do
        __atomic_store_n(&n->next, old, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&top, &old, n, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

#endif

/* Two nodes are taken and come back in the other order. */
static void lock_stack(long self)
{
    struct stack_node *n[2];

    (void)self;
    for (int k = 0; k < 2; k++) {
        for (int spins = 0; !(n[k] = pop());) {
            wait_a_little(&spins);
            if (spins == SPINS_MAX) { /* nodes are lost */
                fail();
                return;
            }
        }
        if (__atomic_exchange_n(&n[k]->taken, 1, __ATOMIC_RELAXED))
            fail();
    }
    for (int k = 0; k < 2; k++) {
        __atomic_store_n(&n[k]->taken, 0, __ATOMIC_RELAXED);
        push(n[k]);
    }
}

/* Counters of every size, and one of 16 bytes whose halves agree. */
static struct {
    _Alignas(16) unsigned __int128 pair;
    unsigned long doubleword;
    unsigned single;
    unsigned short half;
    unsigned char byte;
} count;

static void lock_counters(long self)
{
    unsigned __int128 one = (unsigned __int128)1 << 64 | 1, seen = count.pair;

    (void)self;
    __atomic_fetch_add(&count.doubleword, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&count.single, 1, __ATOMIC_ACQ_REL);
    __atomic_fetch_add(&count.half, 1, __ATOMIC_ACQUIRE);
    __atomic_fetch_add(&count.byte, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(&count.pair, &seen, seen + one, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
        ;
}

/* --- all of them --- */

static void clear(void *at, unsigned long size)
{
    for (volatile char *p = at; size--; p++)
        *p = 0;
}

static unsigned long operations(void)
{
    unsigned long sum = 0;

    for (long n = 0; n < all.threads; n++)
        sum += (unsigned long)all.operations[n].value;
    return sum;
}

static int inner_is_right(void)
{
    return !inner.inside.value && inner.first.value == inner.second.value &&
           inner.first.value == (long)operations();
}

static int inner_agrees(void)
{
    return inner.first.value == inner.second.value;
}

static int nothing_more(void)
{
    return 1;
}

static int barrier_is_right(void)
{
    for (long n = 1; n < all.threads; n++)
        if (all.operations[n].value != all.operations[0].value)
            return 0;
    return 1;
}

static int stack_is_right(void)
{
    int found = 0;

    for (const struct stack_node *n; found <= NODES && (n = pop()); found++)
        if (n->taken)
            return 0;
    return found == NODES;
}

static int counters_are_right(void)
{
    unsigned long n = operations();

    return count.doubleword == n && count.single == (unsigned)n &&
           count.half == (unsigned short)n && count.byte == (unsigned char)n &&
           (unsigned long)count.pair == n && (unsigned long)(count.pair >> 64) == n;
}

static const struct kind {
    const char *name;
    void (*once)(long self);
    int (*is_right)(void); /* in the end */
    long all_or_none;      /* threads must do the same number of turns: a bound for it */
} kinds[] = {
    { "spin", lock_spin, inner_is_right, 0 },
    { "ticket", lock_ticket, inner_is_right, 0 },
    { "bit", lock_bit, inner_is_right, 0 },
    { "queue", lock_queue, inner_is_right, 0 },
    { "readers", lock_readers, inner_agrees, 0 },
    { "sequence", lock_sequence, nothing_more, 0 },
    { "rcu", lock_rcu, nothing_more, 0 },
    { "futex", lock_futex, inner_is_right, 0 },
    { "inheriting", lock_inheriting, inner_is_right, 0 },
    { "barrier", lock_barrier, barrier_is_right, 1 },
    { "stack", lock_stack, stack_is_right, 0 },
    { "counters", lock_counters, counters_are_right, 0 },
};

static const struct kind *kind;

static void run(long self)
{
    do {
        kind->once(self);
        if (kind->once != lock_readers)
            all.operations[self].value++;
    } while (kind->all_or_none ? all.operations[self].value < all.milliseconds : !stopped());
}

static void start_all(void)
{
    clear(&word, sizeof word);
    clear(&inner, sizeof inner);
    clear(&count, sizeof count);
    clear(all.operations, sizeof all.operations);
    clear(all.quiescent, sizeof all.quiescent);
    all.stop = 0;
    for (int n = 0; n < NODES; n++)
        push(&stack[n]);
    for (long n = 0; n < all.threads; n++)
        if (thread_start(n, run) < 0)
            fail();
}

static void torture(const struct kind *k)
{
    unsigned long before = all.wrong;

    kind = k;
    start_all();
    sleep_ms(all.milliseconds);
    __atomic_store_n(&all.stop, 1, __ATOMIC_RELAXED);
    if (!threads_join(all.threads))
        fail();
    if (!k->is_right())
        fail();
    top = 0;
    print(k->name);
    print(": ");
    print_number(operations());
    print(" operations, ");
    print_number(all.wrong - before);
    print(" wrong\n");
}

/* --- priority inheritance --- */

/* On one CPU the lowest of three real-time threads has the lock that the highest wants, and the
 * middle one would not let it run, unless it inherits the priority. */
enum { LOW, MIDDLE, HIGH };
enum { PATIENCE = 20 }; /* seconds */

static struct {
    int lock, has_it, wants_it, is_done;
} inversion;

static int real_time(long self)
{
    unsigned long first = 1;
    int priority = 1 + 10 * (int)self;

    return call(NR_SCHED_SETSCHEDULER, 0, SCHED_FIFO, (long)&priority) >= 0 &&
           call(NR_SCHED_SETAFFINITY, 0, sizeof first, (long)&first) >= 0;
}

static long seconds(void)
{
    long now[2];
    call(NR_CLOCK_GETTIME, 1, (long)now, 0);
    return now[0];
}

static void invert(long self)
{
    int id = (int)call(NR_GETTID, 0, 0, 0);
    long start = seconds();

    if (self == LOW) {
        pi_lock(&inversion.lock, id);
        __atomic_store_n(&inversion.has_it, 1, __ATOMIC_RELEASE);
    }
    while (!__atomic_load_n(&inversion.has_it, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    if (!real_time(self))
        fail();
    if (self == HIGH) {
        __atomic_store_n(&inversion.wants_it, 1, __ATOMIC_RELEASE);
        pi_lock(&inversion.lock, id);
        __atomic_store_n(&inversion.is_done, 1, __ATOMIC_RELEASE);
        pi_unlock(&inversion.lock, id);
    } else if (self == MIDDLE) {
        while (!__atomic_load_n(&inversion.is_done, __ATOMIC_ACQUIRE) &&
               seconds() < start + PATIENCE)
            ;
        if (!__atomic_load_n(&inversion.is_done, __ATOMIC_ACQUIRE))
            fail();
    } else {
        while (!__atomic_load_n(&inversion.wants_it, __ATOMIC_ACQUIRE))
            ;
        pi_unlock(&inversion.lock, id);
    }
}

static void inherit(void)
{
    unsigned long before = all.wrong;

    for (long n = LOW; n <= HIGH; n++)
        if (thread_start(n, invert) < 0)
            fail();
    if (!threads_join(HIGH + 1))
        fail();
    print("inversion: ");
    print_number(all.wrong - before);
    print(" wrong\n");
}

_Noreturn void program(long argc, const char *const *argv)
{
    if (argc != 3)
        quit(2);
    all.threads = number_of(argv[1]);
    all.milliseconds = number_of(argv[2]);
    if (all.threads < 2 || all.threads >= THREADS_MAX)
        quit(2);
    for (unsigned n = 0; n < sizeof kinds / sizeof kinds[0]; n++)
        torture(&kinds[n]);
    inherit();
    print("locks: ");
    print_number(all.wrong);
    print(" wrong\n");
    quit(all.wrong != 0);
}
