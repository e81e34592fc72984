/*
 * virtio-vsock and its host's end, between a hostile driver and programs of the host that come,
 * speak and go. There is no thread: after each record the work is done that there is.
 *
 * What must hold: no more connections and bytes are kept than there may be, which the sanitizers
 * and the process's limits see, and the work always ends.
 */
#include "base/log.h"
#include "devices/virtio/vsock.h"
#include "host/unix.h"
#include "host/vsock_thread.h"
#include "tests/fuzz/virtio_script.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRAMS 8
#define PORT     7u

struct world {
    struct vdev v;
    struct vsock *vsock;
    char folder[32], path[40], served[48];
    int listener;
    int program[PROGRAMS]; /* -1: none */
};

/* No thread. */
int vsock_start(struct vsock *s, const struct vsock_client *client)
{
    vsock_set_client(s, client);
    return 0;
}

void vsock_stop(struct vsock *s)
{
    (void)s;
}

static void work(void *ctx)
{
    struct world *w = ctx;
    unsigned rounds = 0;
    while (vsock_step(w->vsock, false))
        assert(rounds++ < 100);
}

/* A program: connects to the guest, is connected to by it, speaks, listens, leaves. */
static void program(void *ctx, const struct step *s)
{
    struct world *w = ctx;
    int *fd = &w->program[s->a % PROGRAMS];
    uint8_t bytes[4096];
    char line[32];
    switch (s->a / PROGRAMS % 6) {
    case 0:
        if (*fd < 0)
            *fd = unix_connect(w->path);
        break;
    case 1:
        if (*fd < 0)
            *fd = unix_accept(w->listener);
        break;
    case 2:
        snprintf(line, sizeof line, "CONNECT %u\n", s->c);
        if (*fd >= 0)
            (void)!send(*fd, line, strlen(line), MSG_NOSIGNAL);
        break;
    case 3:
        if (*fd >= 0)
            (void)!send(*fd, s->data, s->size, MSG_NOSIGNAL);
        break;
    case 4:
        if (*fd >= 0)
            (void)!recv(*fd, bytes, sizeof bytes, 0);
        break;
    default:
        if (*fd >= 0 && s->c & 1) {
            shutdown(*fd, s->c & 2 ? SHUT_WR : SHUT_RD);
        } else if (*fd >= 0) {
            close(*fd);
            *fd = -1;
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = { .folder = "/tmp/ireko-fuzz-XXXXXX" };
    struct err e;
    log_set_level(LOG_ERROR);
    if (!mkdtemp(w.folder))
        abort();
    snprintf(w.path, sizeof w.path, "%s/v", w.folder);
    snprintf(w.served, sizeof w.served, "%s_%u", w.path, PORT);
    w.listener = unix_listen(w.served, 4);
    if (w.listener < 0 || vsock_open(w.path, 3, &w.vsock, &e) < 0)
        abort();
    for (unsigned i = 0; i < PROGRAMS; i++)
        w.program[i] = -1;
    vdev_init(&w.v);
    const struct virtio_vsock_config config = {
        .irq = vdev_irq(&w.v), .gmem = &w.v.gmem, .vsock = w.vsock, .cid = 3
    };
    if (virtio_vsock_create(&config, &w.v.dev) < 0)
        abort();
    const struct script script = {
        .v = &w.v, .queues = 3, .own = program, .after = work, .ctx = &w
    };
    script_run(&script, data, size);
    vdev_fini(&w.v);
    vsock_close(w.vsock);
    for (unsigned i = 0; i < PROGRAMS; i++)
        if (w.program[i] >= 0)
            close(w.program[i]);
    close(w.listener);
    unlink(w.served);
    rmdir(w.folder);
    return 0;
}

/* A packet of few ports, so that connections come to be and are spoken on; or a program's words. */
static unsigned packet(uint64_t *state, uint8_t *p)
{
    static const uint32_t ports[] = { PORT, PORT, 0x40000000, 0x40000001, 5 };
    uint64_t r = fuzz_random(state);
    unsigned eights = 6 + (r >> 60 & 7);
    memset(p, 0, 8 * eights);
    st_le64(p, r >> 59 == 0 ? r : 3);
    st_le64(p + 8, r >> 58 & 1 || r >> 57 & 1 ? 2 : r & 3);
    st_le32(p + 16, (uint32_t)(r >> 8 & 3));
    st_le32(p + 20, ports[(r >> 10) % 5]);
    st_le32(p + 24, r >> 16 & 7 ? 8 * eights - 44 : (uint32_t)(r >> 20));
    st_le16(p + 28, (r >> 24 & 15) ? 1 : 2);
    st_le16(p + 30, (uint16_t)((r >> 30) % 9));
    st_le32(p + 32, (uint32_t)(r >> 36 & 3));
    st_le32(p + 36, r >> 40 & 1 ? 65536 : (uint32_t)(r >> 41 & 0xff));
    st_le32(p + 40, (uint32_t)(r >> 50 & 3) * 40);
    return eights;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, packet);
}
