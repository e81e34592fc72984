/*
 * fw_cfg: how QEMU's `virt` machine tells firmware what the user wants booted (QEMU,
 * docs/specs/fw_cfg.rst). Numbered items of bytes, and a directory of named ones; read through a
 * register, or copied to guest memory.
 */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/gmem.h"
#include "devices/device.h"

enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_CPUS = 0x05,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_KERNEL = 0x11,
    FW_CFG_INITRD = 0x12,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE = 0x15,
    FW_CFG_DIRECTORY = 0x19,
};

struct fw_cfg_config {
    const struct gmem *gmem; /* outlives the device */
    uint16_t cpus;
};

int fw_cfg_create(const struct fw_cfg_config *config, struct device **out) MUST_CHECK;

/* Item `key` is `size` bytes, which outlive the device or are replaced; and if `size_key` is not 0,
 * that item is their number. No CPU runs. At most 4 GiB less a byte. */
void fw_cfg_set(struct device *d, enum fw_cfg_key key, enum fw_cfg_key size_key, const void *bytes,
                size_t size);

#endif
