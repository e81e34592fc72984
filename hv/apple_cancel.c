/*
 * Apple mode's cancels in the middle of a run: a thread that makes a vCPU leave its guest now and
 * then, as hv_vcpus_exit() by anybody would. It is there as long as the VM, and starts and ends
 * under `vm_lock`; it holds `slots_lock` for a kick. Cancels before a run are in apple.c.
 */
#include <time.h>

#include "hv/apple.h"

/* Microseconds from one kick to the next, at random. */
#define CANCEL_AFTER_MIN 100u
#define CANCEL_AFTER_MAX 1900u

/* One of the vCPUs there are. Under slots_lock. */
static void kick_one(uint32_t random)
{
    struct hv_slot *live[HV_MAX_VCPUS];
    unsigned count = 0;

    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        if (atomic_load_explicit(&hv_process.slot[i].owner, memory_order_relaxed))
            live[count++] = &hv_process.slot[i];
    if (count)
        hv_process.backend->vcpu_kick(live[random % count]->vcpu);
}

static void *cancel_now_and_then(void *arg)
{
    uint32_t random = 0x2545f491u;

    (void)arg;
    while (atomic_load(&hv_process.cancelling)) {
        random = hv_apple_random(random);
        uint32_t us = CANCEL_AFTER_MIN + random % (CANCEL_AFTER_MAX - CANCEL_AFTER_MIN);

        nanosleep(&(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
        pthread_mutex_lock(&hv_process.slots_lock);
        kick_one(random >> 16);
        pthread_mutex_unlock(&hv_process.slots_lock);
    }
    return NULL;
}

void hv_apple_cancel_start(void)
{
    struct hv_process *p = &hv_process;

    atomic_store(&p->cancelling, true);
    if (pthread_create(&p->canceller, NULL, cancel_now_and_then, NULL) != 0)
        atomic_store(&p->cancelling, false); /* those before a run remain */
}

void hv_apple_cancel_stop(void)
{
    if (atomic_exchange(&hv_process.cancelling, false))
        pthread_join(hv_process.canceller, NULL);
}
