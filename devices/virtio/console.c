/*
 * virtio-console: virtio 1.2, section 5.3.
 *
 * One port is a console by itself. With more of them, or a named one, the device has control
 * queues, on which it tells the driver of each port (5.3.6.2). What the driver is to be told is a
 * set of bits for each port, so that a driver which gives no buffers costs nothing; the messages
 * are made when there is one.
 *
 * What the guest sends goes to the host's end in the driver's notification; what the host sends
 * waits there until the driver has buffers and somebody in the guest has opened the port.
 *
 * A single console has its size in the configuration space, several have theirs in messages. Linux
 * 6.1 reads columns and rows of the message the wrong way round, which is one more reason for a
 * single console to have no control queues.
 */
#include "devices/virtio/console.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"

#define CONSOLE_ID         3
#define CONSOLE_QUEUE_SIZE 64
#define CONSOLE_ROUNDS     2
#define CONSOLE_CHUNK      16384
#define CONSOLE_BUFFER_MAX (1u << 20) /* what a driver sends at once at most; Linux: 32 KiB */

/* Feature bits (5.3.3). */
#define CONSOLE_F_SIZE        (1ull << 0)
#define CONSOLE_F_MULTIPORT   (1ull << 1)
#define CONSOLE_F_EMERG_WRITE (1ull << 2)

/* The configuration space (5.3.4), as offsets into bytes. */
enum { CFG_COLS = 0, CFG_ROWS = 2, CFG_MAX_PORTS = 4, CFG_EMERG_WRITE = 8, CFG_SIZE = 12 };

/* Queues (5.3.2): port 0's two, the control queues, the other ports'. */
enum { CONTROL_RX = 2, CONTROL_TX = 3 };

/* Control messages (5.3.6.2): number of the port, event, value. */
enum { MSG_ID = 0, MSG_EVENT = 4, MSG_VALUE = 6, MSG_SIZE = 8 };

enum event {
    DEVICE_READY,
    DEVICE_ADD,
    DEVICE_REMOVE,
    PORT_READY,
    CONSOLE_PORT,
    RESIZE,
    PORT_OPEN,
    PORT_NAME,
    EVENTS
};

struct port {
    struct virtio_console_port host;
    bool open;        /* somebody in the guest is there */
    bool stalled;     /* the host waits for room */
    unsigned pending; /* bit n: the driver is to get event n */
    uint16_t cols, rows;
};

struct virtio_console {
    struct virtio_device virtio; /* first */
    struct port port[CONSOLE_MAX_PORTS];
    unsigned ports;
    uint8_t config[CFG_SIZE];
    bool silent; /* a driver came, and has sent nothing yet */
    struct virtq_chain chain;
    uint8_t bytes[CONSOLE_CHUNK];
};

static struct virtio_console *console_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_console, virtio);
}

static unsigned port_queue(unsigned port)
{
    return port == 0 ? 0 : 2 + 2 * port;
}

static bool console_is_multiport(const struct virtio_console *c)
{
    return virtio_has(&c->virtio, CONSOLE_F_MULTIPORT);
}

static void console_broken(struct virtio_console *c, int rc)
{
    virtio_fail(&c->virtio, rc == -EFAULT ? "a buffer is not RAM"
                                          : "a malformed chain, or one of the wrong size");
}

/* ------------------------------------------------------------------ control */

/* What event `event` of port `n` says; its length. */
static size_t control_message(const struct port *p, unsigned n, unsigned event,
                              uint8_t out[MSG_SIZE + CONSOLE_MAX_NAME])
{
    size_t length = MSG_SIZE;
    st_le32(out + MSG_ID, n);
    st_le16(out + MSG_EVENT, (uint16_t)event);
    st_le16(out + MSG_VALUE, 1);
    if (event == RESIZE) {
        st_le16(out + MSG_SIZE, p->cols);
        st_le16(out + MSG_SIZE + 2, p->rows);
        length += 4;
    } else if (event == PORT_NAME) {
        memcpy(out + MSG_SIZE, p->host.name, strlen(p->host.name));
        length += strlen(p->host.name);
    }
    return length;
}

/* Tell the driver one thing. 1, 0 when it has no buffer, or negative errno. */
static int control_send(struct virtio_console *c, unsigned n, unsigned event)
{
    uint8_t message[MSG_SIZE + CONSOLE_MAX_NAME];
    int rc = virtio_pop(&c->virtio, CONTROL_RX, &c->chain);
    if (rc <= 0)
        return rc;
    size_t length = control_message(&c->port[n], n, event, message);
    if (!virtq_chain_write(&c->chain, 0, message, length))
        return -EPROTO;
    virtio_push(&c->virtio, CONTROL_RX, c->chain.head, (uint32_t)length);
    return 1;
}

/* Tell the driver all that waits, as long as it has buffers. */
static void control_flush(struct virtio_console *c)
{
    int rc = 1;
    for (unsigned n = 0; n < c->ports && rc > 0; n++) {
        struct port *p = &c->port[n];
        for (unsigned event = 0; event < EVENTS && rc > 0; event++) {
            if (!(p->pending & 1u << event))
                continue;
            rc = control_send(c, n, event);
            if (rc > 0)
                p->pending &= ~(1u << event);
        }
    }
    if (rc < 0)
        console_broken(c, rc);
    virtio_interrupt(&c->virtio, CONTROL_RX);
}

static void port_room(struct port *p)
{
    if (p->stalled && p->host.room)
        p->host.room(p->host.ctx);
    p->stalled = false;
}

static void control_handle(struct virtio_console *c, uint32_t id, unsigned event, unsigned value)
{
    if (event == DEVICE_READY && value) {
        for (unsigned n = 0; n < c->ports; n++)
            c->port[n].pending = 1u << DEVICE_ADD;
        return;
    }
    if (id >= c->ports)
        return;
    struct port *p = &c->port[id];
    if (event == PORT_READY && value) {
        if (p->host.name[0])
            p->pending |= 1u << PORT_NAME;
        else
            p->pending |= 1u << CONSOLE_PORT;
        if (!p->host.name[0] && p->cols)
            p->pending |= 1u << RESIZE;
        p->pending |= 1u << PORT_OPEN;
    } else if (event == PORT_OPEN) {
        p->open = value != 0;
        if (p->open)
            port_room(p);
    }
}

/* ------------------------------------------------------------------ data */

static void port_send(const struct port *p, const uint8_t *bytes, size_t n)
{
    if (p->host.send)
        p->host.send(p->host.ctx, bytes, n);
}

/* All of the chain to the host's end. */
static int port_transmit(struct virtio_console *c, const struct port *p)
{
    uint64_t length = c->chain.readable_bytes;
    if (length > CONSOLE_BUFFER_MAX)
        return -EPROTO;
    for (uint64_t at = 0; at < length;) {
        uint64_t n = length - at < sizeof c->bytes ? length - at : sizeof c->bytes;
        if (!virtq_chain_read(&c->chain, at, c->bytes, n))
            return -EPROTO;
        port_send(p, c->bytes, (size_t)n);
        at += n;
    }
    return 1;
}

/* What the driver sent on `queue`, which is a port's or the control queue. */
static int console_take(struct virtio_console *c, unsigned queue)
{
    uint8_t raw[MSG_SIZE];
    if (queue != CONTROL_TX)
        return port_transmit(c, &c->port[queue < CONTROL_RX ? 0 : (queue - 2) / 2]);
    if (virtq_chain_read(&c->chain, 0, raw, sizeof raw))
        control_handle(c, ld_le32(raw + MSG_ID), ld_le16(raw + MSG_EVENT),
                       ld_le16(raw + MSG_VALUE));
    return 1;
}

static void console_drain(struct virtio_console *c, unsigned queue)
{
    unsigned budget = CONSOLE_ROUNDS * c->virtio.queue[queue].size; /* as in virtio_serve() */
    int rc;
    do {
        rc = virtio_pop(&c->virtio, queue, &c->chain);
        if (rc > 0)
            rc = console_take(c, queue);
        if (rc > 0)
            virtio_push(&c->virtio, queue, c->chain.head, 0);
    } while (rc > 0 && budget-- > 0);
    if (rc != 0)
        console_broken(c, rc);
    virtio_interrupt(&c->virtio, queue);
}

static void console_notify(struct virtio_device *v, unsigned queue)
{
    struct virtio_console *c = console_of(v);
    if (queue >= CONTROL_RX && !console_is_multiport(c))
        return;
    /* Linux reads the size of a single console only when it is told of a change, and forgets it if
     * that is before the console is set up. What it sends shows that it is. */
    if (queue == 1 && c->silent && c->port[0].cols && !console_is_multiport(c))
        virtio_config_changed(v);
    c->silent &= queue != 1;
    if (queue % 2)
        console_drain(c, queue);
    else if (queue != CONTROL_RX)
        port_room(&c->port[queue < CONTROL_RX ? 0 : (queue - 2) / 2]);
    if (queue == CONTROL_RX || queue == CONTROL_TX)
        control_flush(c);
}

size_t virtio_console_receive(struct device *d, unsigned port, const uint8_t *bytes, size_t n)
{
    struct virtio_console *c = console_of(CONTAINER_OF(d, struct virtio_device, device));
    struct port *p = &c->port[port];
    unsigned queue = port_queue(port);
    size_t taken = 0;
    int rc = 0;
    lock_acquire(&d->lock);
    bool open = console_is_multiport(c) ? p->open : port == 0;
    while (open && taken < n) {
        rc = virtio_pop(&c->virtio, queue, &c->chain);
        if (rc <= 0)
            break;
        uint64_t room = c->chain.writable_bytes;
        size_t now = n - taken < room ? n - taken : (size_t)room;
        if (now == 0 || !virtq_chain_write(&c->chain, 0, bytes + taken, now)) {
            rc = -EPROTO;
            break;
        }
        virtio_push(&c->virtio, queue, c->chain.head, (uint32_t)now);
        taken += now;
    }
    if (rc < 0)
        console_broken(c, rc);
    else
        virtio_interrupt(&c->virtio, queue);
    p->stalled = taken < n;
    lock_release(&d->lock);
    return taken;
}

/* ------------------------------------------------------------------ size, life */

void virtio_console_resize(struct device *d, unsigned port, uint16_t cols, uint16_t rows)
{
    struct virtio_console *c = console_of(CONTAINER_OF(d, struct virtio_device, device));
    struct port *p = &c->port[port];
    lock_acquire(&d->lock);
    p->cols = cols;
    p->rows = rows;
    if (port == 0) {
        st_le16(c->config + CFG_COLS, cols);
        st_le16(c->config + CFG_ROWS, rows);
    }
    if (console_is_multiport(c) && p->open && !p->host.name[0]) {
        p->pending |= 1u << RESIZE;
        control_flush(c);
    } else if (port == 0) {
        virtio_config_changed(&c->virtio);
    }
    lock_release(&d->lock);
}

/* A byte for the first port, before there are queues (5.3.4). */
static void console_config_write(struct virtio_device *v, uint64_t offset, unsigned width,
                                 uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    if (offset == CFG_EMERG_WRITE && width <= 4)
        port_send(&console_of(v)->port[0], &byte, 1);
}

static void console_started(struct virtio_device *v)
{
    struct virtio_console *c = console_of(v);
    c->silent = true;
    if (!console_is_multiport(c))
        port_room(&c->port[0]);
}

static void console_reset(struct virtio_device *v)
{
    struct virtio_console *c = console_of(v);
    for (unsigned n = 0; n < c->ports; n++) {
        c->port[n].pending = 0;
        c->port[n].open = false;
    }
}

static void console_destroy(struct virtio_device *v)
{
    virtio_device_fini(v);
    free(console_of(v));
}

static const struct virtio_ops console_ops = {
    .name = "virtio-console",
    .id = CONSOLE_ID,
    .queues = 2,
    .queue_size = CONSOLE_QUEUE_SIZE,
    .start = console_started,
    .notify = console_notify,
    .config_write = console_config_write,
    .reset = console_reset,
    .destroy = console_destroy,
};

int virtio_console_create(const struct virtio_console_config *config, struct device **out)
{
    struct virtio_console *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    assert(config->ports >= 1 && config->ports <= CONSOLE_MAX_PORTS);
    c->ports = config->ports;
    for (unsigned n = 0; n < c->ports; n++)
        c->port[n].host = config->port[n];
    bool multiport = c->ports > 1 || config->port[0].name[0];
    st_le32(c->config + CFG_MAX_PORTS, c->ports);
    const struct virtio_setup setup = {
        .ops = &console_ops,
        .gmem = config->gmem,
        .irq = config->irq,
        .features = CONSOLE_F_SIZE | CONSOLE_F_EMERG_WRITE | (multiport ? CONSOLE_F_MULTIPORT : 0),
        .queues = multiport ? 2 + 2 * c->ports : 2,
        .config = c->config,
        .config_size = sizeof c->config,
    };
    virtio_device_init(&c->virtio, &setup);
    *out = &c->virtio.device;
    return 0;
}
