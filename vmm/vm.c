/*
 * The virtual machine's life: check what the user wants, make RAM and machine, load the guest, run
 * vCPU threads until somebody has a wish.
 *
 * A guest reset is a power cycle: the threads end, RAM is replaced by fresh zero pages (which
 * also makes the engine forget code it knows), devices go back to power-on, everything is loaded
 * again, and new threads start. So no stale state can survive, whatever the guest left behind.
 */
#include "vmm/vm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Hypervisor/hvx.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/pl011.h"
#include "devices/virtio/console.h"
#include "vmm/cmdline.h"
#include "vmm/devicetree.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"
#include "vmm/stats.h"

/* --- wishes --- */

static void vm_wish_locked(struct vm *vm, enum vm_wish wish)
{
    if (wish > atomic_load_explicit(&vm->wish, memory_order_relaxed))
        atomic_store_explicit(&vm->wish, wish, memory_order_release);
    pthread_cond_signal(&vm->wished);
}

void vm_request(struct vm *vm, enum vm_wish wish)
{
    lock_acquire(&vm->lock);
    vm_wish_locked(vm, wish);
    lock_release(&vm->lock);
}

void vm_fail(struct vm *vm, const char *fmt, ...)
{
    char text[sizeof vm->error.text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lock_acquire(&vm->lock);
    if (atomic_load_explicit(&vm->wish, memory_order_relaxed) != VM_WISH_ERROR)
        err_set(&vm->error, -EIO, "%s", text);
    vm_wish_locked(vm, VM_WISH_ERROR);
    lock_release(&vm->lock);
}

void vm_stop(struct vm *vm)
{
    vm_request(vm, VM_WISH_QUIT);
}

uint64_t vm_count(const struct vm *vm)
{
    return hvx_absolute_time() - vm->tick_offset;
}

/* --- the guest --- */

static int vm_read_user_tree(struct vm *vm, struct err *e)
{
    int r = loader_read_file(vm->config.dtb, "--dtb", LOADER_DTB_MAX, &vm->user_tree, e);
    return r < 0 ? r : devicetree_check(&vm->user_tree, vm->config.dtb, e);
}

static int vm_write_own_tree(const struct vm *vm, struct loader_blob *out, struct err *e)
{
    const struct devicetree_config config = {
        .memory = vm->config.memory,
        .cpus = vm->config.cpus,
        .pmu = vm->pmu,
        .gicv3 = vm->gicv3,
        .its = vm->config.its,
        .pci = vm->machine.has_pci ? &vm->machine.pci : NULL,
        .device = vm->machine.device,
        .device_count = vm->machine.device_count,
    };
    return devicetree_build(&config, out, e);
}

/* Our command line replaces that of a --dtb only when the user gave one. */
static int vm_make_tree(struct vm *vm, struct err *e)
{
    struct loader_blob own = { 0 };
    char *cmdline = cmdline_compose(vm->config.cmdline);
    const struct devicetree_chosen chosen = {
        .bootargs = vm->config.firmware || (vm->config.dtb && !vm->config.cmdline) ? NULL : cmdline,
        .initrd = vm->places.initrd,
        .initrd_size = vm->initrd_size,
        .add_seeds = !vm->config.dtb,
    };
    int r = cmdline ? 0 : err_set(e, -ENOMEM, "the host has no memory for the command line");
    if (r == 0 && !vm->config.dtb)
        r = vm_write_own_tree(vm, &own, e);
    loader_blob_free(&vm->dtb);
    if (r == 0)
        r = devicetree_choose(vm->config.dtb ? &vm->user_tree : &own, &chosen, &vm->dtb, e);
    loader_blob_free(&own);
    free(cmdline);
    return r;
}

static int vm_load_kernel(struct vm *vm, struct err *e)
{
    return loader_load_kernel(&vm->gmem, MEMMAP_RAM, vm->config.memory, vm->config.kernel,
                              &vm->kernel, e);
}

/* Firmware starts at the reset vector and looks for the tree at the start of RAM, as QEMU's `virt`
 * has it; a kernel is an item of fw_cfg for it. */
static int vm_load_firmware(struct vm *vm, struct err *e)
{
    vm->kernel = (struct loader_image){ .entry = MEMMAP_FLASH };
    vm->places = (struct loader_places){ .dtb = MEMMAP_RAM };
    return machine_load_firmware(&vm->machine, &vm->config, e);
}

/* Load kernel and initrd, choose the places. The tree comes last, as it names the initrd's. */
static int vm_load(struct vm *vm, struct err *e)
{
    struct loader_file initrd = { .fd = -1 };
    if (vm->config.firmware)
        return vm_load_firmware(vm, e);
    int r = vm_load_kernel(vm, e);
    if (r == 0 && vm->config.initrd)
        r = loader_open_file(vm->config.initrd, "--initrd", vm->config.memory, &initrd, e);
    if (r == 0)
        r = loader_place(&vm->kernel, MEMMAP_RAM, vm->config.memory, LOADER_DTB_MAX, initrd.size,
                         &vm->places, e);
    if (r == 0 && initrd.size > 0)
        r = loader_load_file(&initrd, &vm->gmem, vm->places.initrd, e);
    vm->initrd_size = initrd.size;
    loader_close_file(&initrd);
    return r;
}

static int vm_write_tree(struct vm *vm, struct err *e)
{
    if (gmem_write(&vm->gmem, vm->places.dtb, vm->dtb.bytes, vm->dtb.size) < 0)
        return err_set(e, -EFAULT, "the device tree does not fit into memory; give more --memory");
    return 0;
}

/* --- create and destroy --- */

static void vm_signal(void *ctx, unsigned cpu, bool irq, bool fiq)
{
    struct vm *vm = ctx;
    vcpu_set_lines(&vm->vcpu[cpu], irq, fiq);
}

static int vm_init_vcpus(struct vm *vm, struct err *e)
{
    for (unsigned i = 0; i < vm->config.cpus; i++) {
        int r = vcpu_init(&vm->vcpu[i], vm, i);
        vm->vcpu_count = i + 1;
        if (r < 0)
            return err_set(e, r, "cannot make a timer for CPU %u: %s", i, strerror(-r));
    }
    return 0;
}

/* The parts in the order in which they need each other. Without a kernel the VM has a device tree
 * but cannot run. */
static int vm_build(struct vm *vm, struct err *e)
{
    struct machine_config machine = {
        .vm = &vm->config,
        .gmem = &vm->gmem,
        .ram = &vm->ram_gmem,
        .signal = vm_signal,
        .clock = vm_clock,
        .give_back = vm_give_back,
        .ctx = vm,
    };
    int r = vm_check_config(&vm->config, e);
    if (r == 0)
        r = vm_choose_engine(&vm->config, e);
    if (r == 0)
        r = vm_open_trace(vm, e);
    if (r == 0)
        r = vm_open_code(vm, e);
    if (r == 0)
        r = vm_init_vcpus(vm, e);
    if (r == 0 && vm->config.dtb)
        r = vm_read_user_tree(vm, e);
    const bool boots = vm_config_boots(&vm->config);
    if (r == 0 && boots) {
        r = vm_open_pmem(vm, e);
        machine.pmem = vm->pmem;
        machine.pmem_base = vm->pmem_base;
    }
    if (r == 0 && (boots || vm_wants_gicv3(vm)))
        r = vm_create_hv(vm, e);
    if (r == 0)
        r = vm_choose_gic(vm, e);
    machine.gicv3 = vm->gicv3;
    if (r == 0)
        r = machine_init(&vm->machine, &machine, e);
    if (r == 0 && boots)
        r = vm_make_ram(vm, e);
    if (r == 0 && boots)
        r = vm_map_stolen(vm, e);
    if (r == 0)
        r = vm_map_pmem(vm, e);
    if (r == 0 && boots)
        r = vm_load(vm, e);
    if (r == 0)
        r = vm_make_tree(vm, e);
    if (r == 0)
        r = machine_ready(&vm->machine, e);
    return r;
}

int vm_create(const struct vm_config *config, struct vm **out, struct err *e)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return err_set(e, -ENOMEM, "the host has no memory for a virtual machine");
    vm->config = *config;
    lock_init(&vm->lock, LOCK_VM);
    cond_init(&vm->wished);
    int r = vm_build(vm, e);
    if (r < 0) {
        vm_destroy(vm);
        return r;
    }
    *out = vm;
    return 0;
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    machine_fini(&vm->machine);
    vm_close_pmem(vm);
    vm_unmap_stolen(vm);
    vm_unmap_ram(vm);
    memory_destroy(&vm->ram); /* first, as there may be much to write: soft/jit/store.c */
    if (vm->hv_created)
        hv_vm_destroy();
    if (vm->trace_fd)
        close(vm->trace_fd);
    if (vm->code_fd)
        close(vm->code_fd);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_fini(&vm->vcpu[i]);
    loader_blob_free(&vm->dtb);
    loader_blob_free(&vm->user_tree);
    pthread_cond_destroy(&vm->wished);
    lock_fini(&vm->lock);
    free(vm);
}

/* --- run --- */

/* Where the hypervisor answers PSCI, the other CPUs wait for CPU_ON in hv_vcpu_run(). */
static void vm_power_on(struct vm *vm)
{
    unsigned n = vm->psci ? vm->config.cpus : 1;
    for (unsigned i = 0; i < n; i++)
        (void)vcpu_power_on(&vm->vcpu[i], vm->kernel.entry,
                            vm->config.firmware ? 0 : vm->places.dtb);
}

/* One life of the guest, from power-on to a wish. */
static void vm_power_cycle(struct vm *vm)
{
    struct err e;
    unsigned started = 0;
    int r = 0;
    while (r == 0 && started < vm->config.cpus) {
        r = vcpu_start(&vm->vcpu[started], &e);
        if (r == 0)
            started++;
        else
            vm_fail(vm, "%s", e.text);
    }
    if (r == 0) { /* now that all have their redistributors */
        vm_power_on(vm);
        vm_finish_loading(vm);
    }
    lock_acquire(&vm->lock);
    while (atomic_load_explicit(&vm->wish, memory_order_relaxed) == VM_WISH_NONE)
        lock_wait(&vm->lock, &vm->wished, UINT64_MAX);
    lock_release(&vm->lock);
    for (unsigned i = 0; i < started; i++)
        vcpu_kick(&vm->vcpu[i]);
    for (unsigned i = 0; i < started; i++)
        vcpu_join(&vm->vcpu[i]);
}

/* Everything as at power-on, with fresh memory and seeds. The files are read again, which a pipe
 * does not allow. */
static int vm_reset(struct vm *vm, struct err *e)
{
    struct err why;
    machine_reset(&vm->machine);
    int r = vm_renew_ram(vm, &why);
    if (r == 0)
        r = vm_load(vm, &why);
    if (r == 0)
        r = vm_make_tree(vm, &why);
    if (r < 0)
        return err_set(e, r, "the guest cannot restart: %.480s", why.text);
    return 0;
}

/* Take back a wish for a reset, unless a stronger one came meanwhile. */
static bool vm_accept_reset(struct vm *vm)
{
    lock_acquire(&vm->lock);
    bool reset = atomic_load_explicit(&vm->wish, memory_order_relaxed) == VM_WISH_RESET;
    if (reset)
        atomic_store_explicit(&vm->wish, VM_WISH_NONE, memory_order_release);
    lock_release(&vm->lock);
    return reset;
}

int vm_run(struct vm *vm, struct err *e)
{
    if (!vm_config_boots(&vm->config)) {
        err_set(e, -EINVAL, "--kernel: give the kernel to run");
        return VM_STOP_ERROR;
    }
    do {
        if (vm_write_tree(vm, e) < 0)
            return VM_STOP_ERROR;
        vm_power_cycle(vm);
        if (!vm_accept_reset(vm))
            break;
        if (vm_reset(vm, e) < 0)
            return VM_STOP_ERROR;
        log_limited(LOG_INFO, "vm", "the guest restarts");
    } while (true);
    enum vm_wish wish = atomic_load_explicit(&vm->wish, memory_order_acquire);
    if (wish == VM_WISH_ERROR)
        *e = vm->error;
    if (wish == VM_WISH_POWEROFF)
        machine_warn_unused(&vm->machine);
    return wish == VM_WISH_ERROR  ? VM_STOP_ERROR
           : wish == VM_WISH_QUIT ? VM_STOP_QUIT
                                  : VM_STOP_POWEROFF;
}

void vm_power_key(struct vm *vm)
{
    machine_power_key(&vm->machine);
}

size_t vm_serial_receive(struct vm *vm, const uint8_t *bytes, size_t n)
{
    return pl011_receive(vm->machine.uart, bytes, n);
}

size_t vm_console_receive(struct vm *vm, unsigned n, const uint8_t *bytes, size_t size)
{
    return virtio_console_receive(vm->machine.console, n, bytes, size);
}

void vm_console_resize(struct vm *vm, unsigned n, uint16_t cols, uint16_t rows)
{
    virtio_console_resize(vm->machine.console, n, cols, rows);
}

#define VM_STATS_WAIT_NS 1000000000u

void vm_read_stats(struct vm *vm, struct stats_vm *out)
{
    uint64_t deadline = clock_monotonic_ns() + VM_STATS_WAIT_NS;
    out->engine = hvx_engine();
    out->instruction_name = hvx_instruction_name;
    out->cpus = vm->vcpu_count;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_ask_stats(&vm->vcpu[i]);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_read_stats(&vm->vcpu[i], deadline, &out->cpu[i]);
    out->start_ns = atomic_load(&vm->start_ns);
    out->now_ns = clock_monotonic_ns();
}

const void *vm_dtb(const struct vm *vm, size_t *size)
{
    *size = vm->dtb.size;
    return vm->dtb.bytes;
}
