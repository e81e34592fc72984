/*
 * Time that the host stole from a vCPU: its thread was ready to run, and others ran. A guest that
 * knows it does not take the time for its programs' (DEN 0057; vmm/psci.c).
 *
 * Linux counts that for each thread, in nanoseconds, as the second number of its schedstat. The
 * thread reads its own every few milliseconds while it executes. A vCPU that waits loses nothing.
 */
#define _GNU_SOURCE 1
#include "soft/stolen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "soft/vcpu.h"

/* About two of a guest's clock ticks; a reading takes a microsecond. */
#define STOLEN_PERIOD (HVX_COUNTER_HZ / 125)

/* False: the host does not tell. */
static bool lost_ns(int fd, uint64_t *ns)
{
    char text[96];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n <= 0)
        return false;
    text[n] = 0;
    return sscanf(text, "%*u %" SCNu64, ns) == 1;
}

int stolen_begin(struct soft_vcpu *v, uint64_t *place)
{
    struct stolen s = { .place = place };

    if (v->check) /* both engines are to read the same */
        return -ENOTSUP;
    s.fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (s.fd < 0)
        return -ENOTSUP;
    if (!lost_ns(s.fd, &s.base)) {
        close(s.fd);
        return -ENOTSUP;
    }
    stolen_end(v);
    __atomic_store_n(place, 0, __ATOMIC_RELAXED);
    v->stolen = s;
    return 0;
}

void stolen_end(struct soft_vcpu *v)
{
    if (v->stolen.place)
        close(v->stolen.fd);
    v->stolen.place = NULL;
}

void stolen_look(struct soft_vcpu *v)
{
    struct stolen *s = &v->stolen;
    uint64_t now, ns;

    if (!s->place || (now = soft_ticks()) < s->due)
        return;
    s->due = now + STOLEN_PERIOD;
    if (lost_ns(s->fd, &ns) && ns >= s->base)
        __atomic_store_n(s->place, ns - s->base, __ATOMIC_RELAXED);
}
