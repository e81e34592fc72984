// Threads: mutexes, condition variables, every atomic operation, and message passing by release and
// acquire.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { THREADS = 8, TURNS = 20000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long plain;
static atomic_long added, subtracted, ored, xored, exchanged;
static atomic_uchar byte;
static atomic_ushort half;
static atomic_int word;
static int whose, rounds;
static _Thread_local long mine;

static void *work(void *arg)
{
    long id = (long)arg;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&lock);
        plain += id;
        pthread_mutex_unlock(&lock);
        atomic_fetch_add(&added, i);
        atomic_fetch_sub_explicit(&subtracted, 3, memory_order_relaxed);
        atomic_fetch_or_explicit(&ored, 1L << (id * 7 + i % 7), memory_order_acq_rel);
        atomic_fetch_xor(&xored, (long)i << id);
        atomic_fetch_add_explicit(&byte, 1, memory_order_relaxed);
        atomic_fetch_add(&half, 3);
        mine += atomic_exchange(&exchanged, id * 1000003 + i) & 1;
        int old = atomic_load(&word);
        while (!atomic_compare_exchange_weak(&word, &old, old * 3 + 1))
            ;
    }
    return (void *)(mine < 0);
}

static void *pass(void *arg)
{
    int id = (int)(long)arg;
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&lock);
        while (whose != id)
            pthread_cond_wait(&turn, &lock);
        whose = (id + 1) % THREADS, rounds++;
        pthread_cond_broadcast(&turn);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static struct {
    long data[7];
    atomic_long ready;
} box;

static void *send(void *arg)
{
    for (long i = 1; i <= 5000; i++) {
        for (int k = 0; k < 7; k++)
            box.data[k] = i * (k + 1);
        atomic_store_explicit(&box.ready, i, memory_order_release);
        while (atomic_load_explicit(&box.ready, memory_order_acquire) != 0)
            sched_yield();
    }
    return arg;
}

static void run(void *(*fn)(void *))
{
    pthread_t t[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, fn, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

int main(void)
{
    pthread_barrier_init(&barrier, NULL, THREADS);
    run(work);
    printf("%ld %ld %ld %lx %lx %d %d %d\n", plain, added, subtracted, ored, xored, byte, half,
           word);
    run(pass);
    printf("rounds %d\n", rounds);
    pthread_t sender;
    pthread_create(&sender, NULL, send, NULL);
    long sum = 0, bad = 0;
    for (long i = 1; i <= 5000; i++) {
        while (atomic_load_explicit(&box.ready, memory_order_acquire) != i)
            sched_yield();
        for (int k = 0; k < 7; k++)
            sum += box.data[k], bad += box.data[k] != i * (k + 1);
        atomic_store_explicit(&box.ready, 0, memory_order_release);
    }
    pthread_join(sender, NULL);
    printf("sum %ld bad %ld\n", sum, bad);
    return 0;
}
