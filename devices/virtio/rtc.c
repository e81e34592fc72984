/*
 * virtio-rtc: one clock, the host's in UTC, which the guest reads by itself or against its counter,
 * so that it knows its error however long the answer takes. No alarms: the PL031 has one.
 *
 * A table of requests: how long each is, how long its answer, and what fills that in. An answer
 * begins with a status; of an error it has only that.
 */
#include "devices/virtio/rtc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"

#define RTC_ID         17
#define RTC_QUEUE_SIZE 64

#define RTC_HEAD     8 /* of a request: its type; of an answer: the status */
#define RTC_LONGEST  24
#define RTC_CLOCKS   1
#define RTC_UTC      0
#define RTC_ARM_VCT  0 /* the counter CNTVCT_EL0 */
#define RTC_CROSS_OK 1

enum status { STATUS_OK = 0, STATUS_NOT_SUPPORTED = 2, STATUS_NO_CLOCK = 3, STATUS_INVALID = 4 };

/* Offsets behind the head. */
enum { REQ_CLOCK = 8, REQ_COUNTER = 10, ANSWER = 8 };

struct virtio_rtc {
    struct virtio_device virtio; /* first */
    struct virtio_rtc_config config;
    struct virtq_chain chain;
};

/* Each fills in what is behind the head of `out`, which is zeroed, and returns the status. */
static enum status rtc_config(const struct virtio_rtc *r, const uint8_t *in, uint8_t *out)
{
    (void)r;
    (void)in;
    st_le16(out + ANSWER, RTC_CLOCKS);
    return STATUS_OK;
}

static enum status rtc_clock_cap(const struct virtio_rtc *r, const uint8_t *in, uint8_t *out)
{
    (void)r;
    (void)in;
    out[ANSWER] = RTC_UTC;
    return STATUS_OK;
}

static enum status rtc_cross_cap(const struct virtio_rtc *r, const uint8_t *in, uint8_t *out)
{
    (void)r;
    out[ANSWER] = in[REQ_COUNTER] == RTC_ARM_VCT ? RTC_CROSS_OK : 0;
    return STATUS_OK;
}

static enum status rtc_read(const struct virtio_rtc *r, const uint8_t *in, uint8_t *out)
{
    uint64_t time, count;
    (void)in;
    r->config.clock(r->config.ctx, &time, &count);
    st_le64(out + ANSWER, time);
    return STATUS_OK;
}

static enum status rtc_read_cross(const struct virtio_rtc *r, const uint8_t *in, uint8_t *out)
{
    uint64_t time, count;
    if (in[REQ_COUNTER] != RTC_ARM_VCT)
        return STATUS_NOT_SUPPORTED;
    r->config.clock(r->config.ctx, &time, &count);
    st_le64(out + ANSWER, time);
    st_le64(out + ANSWER + 8, count);
    return STATUS_OK;
}

static const struct rtc_request {
    uint16_t type;
    uint8_t in, out; /* bytes */
    bool of_clock;   /* it names one */
    enum status (*fill)(const struct virtio_rtc *r, const uint8_t *in, uint8_t *out);
} rtc_requests[] = {
    { 0x0001, 16, 16, true, rtc_read },      { 0x0002, 16, 24, true, rtc_read_cross },
    { 0x1000, 8, 16, false, rtc_config },    { 0x1001, 16, 16, true, rtc_clock_cap },
    { 0x1002, 16, 16, true, rtc_cross_cap },
};

/* The answer to the chain's request in `out`; its length. */
static uint32_t rtc_answer(const struct virtio_rtc *r, uint8_t out[RTC_LONGEST])
{
    uint8_t in[RTC_LONGEST];
    const struct rtc_request *request = NULL;
    memset(out, 0, RTC_LONGEST);
    out[0] = STATUS_INVALID;
    if (!virtq_chain_read(&r->chain, 0, in, RTC_HEAD))
        return RTC_HEAD;
    for (size_t i = 0; i < ARRAY_LEN(rtc_requests); i++)
        if (rtc_requests[i].type == ld_le16(in))
            request = &rtc_requests[i];
    if (!request) {
        out[0] = STATUS_NOT_SUPPORTED;
        return RTC_HEAD;
    }
    if (!virtq_chain_read(&r->chain, 0, in, request->in) || r->chain.writable_bytes < request->out)
        return RTC_HEAD;
    out[0] = (uint8_t)(request->of_clock && ld_le16(in + REQ_CLOCK) >= RTC_CLOCKS
                           ? STATUS_NO_CLOCK
                           : request->fill(r, in, out));
    return out[0] == STATUS_OK ? request->out : RTC_HEAD;
}

static int rtc_serve(struct virtio_device *v, unsigned queue)
{
    struct virtio_rtc *r = CONTAINER_OF(v, struct virtio_rtc, virtio);
    uint8_t out[RTC_LONGEST];
    uint32_t length = rtc_answer(r, out);
    if (!virtq_chain_write(&r->chain, 0, out, length))
        return -EPROTO; /* not even room for a status */
    virtio_push(v, queue, r->chain.head, length);
    return 1;
}

static void rtc_notify(struct virtio_device *v, unsigned queue)
{
    virtio_serve(v, queue, &CONTAINER_OF(v, struct virtio_rtc, virtio)->chain, rtc_serve);
}

static void rtc_destroy(struct virtio_device *v)
{
    virtio_device_fini(v);
    free(CONTAINER_OF(v, struct virtio_rtc, virtio));
}

static const struct virtio_ops rtc_ops = {
    .name = "virtio-rtc",
    .id = RTC_ID,
    .queues = 1,
    .queue_size = RTC_QUEUE_SIZE,
    .notify = rtc_notify,
    .destroy = rtc_destroy,
};

int virtio_rtc_create(const struct virtio_rtc_config *config, struct device **out)
{
    struct virtio_rtc *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->config = *config;
    virtio_device_init(&r->virtio, &(struct virtio_setup){
                                       .ops = &rtc_ops, .gmem = config->gmem, .irq = config->irq });
    *out = &r->virtio.device;
    return 0;
}
