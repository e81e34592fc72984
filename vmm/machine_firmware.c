/*
 * Firmware as QEMU's `virt` machine has it: two banks of flash at address 0, the first with the
 * code, the second with the variables; and fw_cfg, which has the kernel that the user gave, if any.
 *
 * The banks are memory of the process. A bank that shows its contents is mapped into the guest, for
 * reading and executing; writes, and reads of a bank in a command, come out as exits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <Hypervisor/hvx.h>

#include "base/log.h"
#include "devices/flash.h"
#include "devices/fw_cfg.h"
#include "host/nvram.h"
#include "vmm/cmdline.h"
#include "vmm/loader.h"
#include "vmm/machine.h"

/* How long after a change of the variables they are brought to stable storage: a change is many
 * writes, and each of them outlives this process anyway. */
#define FIRMWARE_SYNC_NS 200000000ull

#define FIRMWARE_SIZE ((size_t)FLASH_BANKS * FLASH_BANK_SIZE)

struct machine_firmware {
    struct device *flash, *fw_cfg; /* the machine's */
    uint8_t *memory;               /* the banks */
    bool mapped[FLASH_BANKS];
    bool has_vars;
    struct nvram vars;
    struct alarm sync;
    struct loader_blob kernel, initrd;
    char *cmdline;
};

static bool firmware_show(void *ctx, unsigned bank, bool on)
{
    struct machine_firmware *f = ctx;
    uint64_t at = (uint64_t)bank * FLASH_BANK_SIZE;
    hv_return_t r = on ? hv_vm_map(f->memory + at, MEMMAP_FLASH + at, FLASH_BANK_SIZE,
                                   HV_MEMORY_READ | HV_MEMORY_EXEC)
                       : hv_vm_unmap(MEMMAP_FLASH + at, FLASH_BANK_SIZE);
    if (r == HV_SUCCESS)
        f->mapped[bank] = on;
    else
        log_limited(LOG_WARN, "flash", "the host refuses to %s bank %u (0x%x)",
                    on ? "map" : "unmap", bank, (unsigned)r);
    return r == HV_SUCCESS;
}

static void firmware_sync(void *arg)
{
    struct machine_firmware *f = arg;
    int r = nvram_sync(&f->vars);
    if (r < 0)
        log_limited(LOG_WARN, "flash", "the variables may not be on stable storage: %s",
                    strerror(-r));
}

static int firmware_store(void *ctx, uint64_t offset, uint64_t size)
{
    struct machine_firmware *f = ctx;
    if (!f->has_vars)
        return 0;
    int r = nvram_write(&f->vars, offset, size);
    if (r < 0)
        log_limited(LOG_WARN, "flash", "the variables cannot be written: %s", strerror(-r));
    else if (f->sync.set)
        alarm_set(&f->sync, clock_monotonic_ns() + FIRMWARE_SYNC_NS);
    return r;
}

/* The code goes to bank 0; what is zero in the file needs no memory. */
static int firmware_read_code(struct machine_firmware *f, const char *path, struct err *e)
{
    static const uint8_t zeroes[4096];
    struct loader_blob code = { 0 };
    int r = loader_read_file(path, "--firmware", FLASH_BANK_SIZE, &code, e);
    for (uint64_t at = 0; r == 0 && at < code.size; at += sizeof zeroes) {
        size_t n = code.size - at < sizeof zeroes ? code.size - at : sizeof zeroes;
        if (memcmp(code.bytes + at, zeroes, n) != 0)
            memcpy(f->memory + at, code.bytes + at, n);
    }
    loader_blob_free(&code);
    return r;
}

static int firmware_prepare(struct machine_firmware *f, const struct vm_config *c, struct err *e)
{
    void *p = mmap(NULL, FIRMWARE_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return err_set(e, -errno, "the host has no memory for the flash");
    f->memory = p;
    int r = firmware_read_code(f, c->firmware, e);
    if (r == 0 && c->firmware_vars) {
        r = nvram_open(&f->vars, c->firmware_vars, "--firmware", f->memory + FLASH_BANK_SIZE,
                       FLASH_BANK_SIZE, e);
        f->has_vars = r == 0;
    }
    if (r == 0 && f->has_vars && c->alarm_create) {
        r = c->alarm_create(c->alarm_ctx, firmware_sync, f, &f->sync);
        if (r < 0)
            return err_set(e, r, "cannot make a timer: %s", strerror(-r));
    }
    return r;
}

int machine_add_firmware(struct machine *m, const struct machine_config *config, struct err *e)
{
    struct machine_firmware *f = calloc(1, sizeof *f);
    m->firmware = f;
    if (!f)
        return err_set(e, -ENOMEM, "the host has no memory for the firmware");
    int r = firmware_prepare(f, config->vm, e);
    if (r < 0)
        return r;
    const struct flash_config flash = {
        .memory = { f->memory, f->memory + FLASH_BANK_SIZE },
        .show = firmware_show,
        .store = firmware_store,
        .ctx = f,
    };
    const struct fw_cfg_config fw_cfg = { .gmem = config->gmem,
                                          .cpus = (uint16_t)config->vm->cpus };
    r = flash_create(&flash, &f->flash);
    if (r < 0)
        return machine_device_error(e, r, "flash");
    r = machine_add_device(m, f->flash, MEMMAP_FLASH, 0, e);
    if (r < 0)
        return r;
    r = fw_cfg_create(&fw_cfg, &f->fw_cfg);
    if (r < 0)
        return machine_device_error(e, r, "fw_cfg");
    return machine_add_device(m, f->fw_cfg, MEMMAP_FW_CFG, 0, e);
}

/* The kernel as the file has it: firmware knows what it can start. */
static int firmware_read_kernel(struct machine_firmware *f, const struct vm_config *c,
                                struct err *e)
{
    loader_blob_free(&f->kernel);
    loader_blob_free(&f->initrd);
    free(f->cmdline);
    f->cmdline = cmdline_compose(c->cmdline);
    if (!f->cmdline)
        return err_set(e, -ENOMEM, "the host has no memory for the command line");
    int r = loader_read_file(c->kernel, "--kernel", c->memory, &f->kernel, e);
    if (r == 0 && c->initrd)
        r = loader_read_file(c->initrd, "--initrd", c->memory, &f->initrd, e);
    return r;
}

int machine_load_firmware(struct machine *m, const struct vm_config *config, struct err *e)
{
    struct machine_firmware *f = m->firmware;
    for (unsigned i = 0; i < FLASH_BANKS; i++)
        (void)flash_show(f->flash, (uint64_t)i * FLASH_BANK_SIZE);
    if (!config->kernel)
        return 0;
    int r = firmware_read_kernel(f, config, e);
    if (r < 0)
        return r;
    fw_cfg_set(f->fw_cfg, FW_CFG_KERNEL, FW_CFG_KERNEL_SIZE, f->kernel.bytes, f->kernel.size);
    fw_cfg_set(f->fw_cfg, FW_CFG_INITRD, FW_CFG_INITRD_SIZE, f->initrd.bytes, f->initrd.size);
    fw_cfg_set(f->fw_cfg, FW_CFG_CMDLINE, FW_CFG_CMDLINE_SIZE, f->cmdline, strlen(f->cmdline) + 1);
    return 0;
}

bool machine_show_flash(struct machine *m, gpa_t a)
{
    return m->firmware && a - MEMMAP_FLASH < FIRMWARE_SIZE &&
           flash_show(m->firmware->flash, a - MEMMAP_FLASH);
}

void machine_close_firmware(struct machine *m)
{
    struct machine_firmware *f = m->firmware;
    m->firmware = NULL;
    if (!f)
        return;
    for (unsigned i = 0; i < FLASH_BANKS; i++)
        if (f->mapped[i])
            (void)firmware_show(f, i, false);
    if (f->has_vars)
        nvram_close(&f->vars);
    if (f->memory)
        munmap(f->memory, FIRMWARE_SIZE);
    loader_blob_free(&f->kernel);
    loader_blob_free(&f->initrd);
    free(f->cmdline);
    free(f);
}
