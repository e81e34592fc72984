/* virtio-rtc, the clock device (virtio 1.4 draft, "RTC Device"; Linux, linux/virtio_rtc.h). */
#ifndef DEVICES_VIRTIO_RTC_H
#define DEVICES_VIRTIO_RTC_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"

struct virtio_rtc_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    /* The host's time in nanoseconds since 1970 UTC, and the guest's counter CNTVCT_EL0, at one
     * moment. Called with the device's lock held. */
    void (*clock)(void *ctx, uint64_t *realtime_ns, uint64_t *count);
    void *ctx;
};

int virtio_rtc_create(const struct virtio_rtc_config *config, struct device **out) MUST_CHECK;

#endif
