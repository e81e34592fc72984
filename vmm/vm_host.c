/*
 * What a VM needs of the host: what the user wants is checked, and engine, virtual machine and
 * interrupt controller are chosen and made.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <Hypervisor/hvx.h>

#include "base/log.h"
#include "vmm/devicetree.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* --- checks before anything is made --- */

static uint64_t vm_host_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

static int vm_check_memory(uint64_t memory, struct err *e)
{
    uint64_t host = vm_host_memory();
    if (memory < MEMMAP_RAM_MIN)
        return err_set(e, -EINVAL, "--memory %llu: a guest needs at least %llu MiB; try 512M",
                       (unsigned long long)memory, MEMMAP_RAM_MIN >> 20);
    if (memory % MEMMAP_PAGE)
        return err_set(e, -EINVAL, "--memory %llu: give a multiple of 16 KiB",
                       (unsigned long long)memory);
    if (memory > host)
        return err_set(e, -EINVAL, "--memory %lluM: this host has %llu MiB only; give less",
                       (unsigned long long)(memory >> 20), (unsigned long long)(host >> 20));
    return 0;
}

int vm_check_config(const struct vm_config *c, struct err *e)
{
    if (c->cpus < 1 || c->cpus > MEMMAP_CPUS_MAX)
        return err_set(e, -EINVAL, "--cpus %u: give a number from 1 to %u", c->cpus,
                       MEMMAP_CPUS_MAX);
    if (c->disk_count > VM_MAX_DISKS)
        return err_set(e, -EINVAL, "--disk: %u are too many, %u is the most", c->disk_count,
                       VM_MAX_DISKS);
    if (c->balloon > c->memory)
        return err_set(e, -EINVAL, "--balloon %lluM: the guest has only %lluM; give less",
                       (unsigned long long)(c->balloon >> 20),
                       (unsigned long long)(c->memory >> 20));
    return vm_check_memory(c->memory, e);
}

/* --- the virtual machine and its RAM --- */

/* Addresses of the guest below `end` need `bits` bits. */
static unsigned vm_ipa_bits(gpa_t end)
{
    unsigned bits = 31;
    while ((end - 1) >> bits)
        bits++;
    return bits;
}

/* Ask for more address bits than the host's default only when RAM needs them. */
static int vm_configure_ipa(hv_vm_config_t config, const struct vm *vm, struct err *e)
{
    uint32_t usual = 36, most = 36;
    hv_vm_config_get_default_ipa_size(&usual);
    hv_vm_config_get_max_ipa_size(&most);
    unsigned need = vm_ipa_bits(vm_memory_end(vm));
    if (need <= usual)
        return 0;
    if (need > most)
        return err_set(e, -EINVAL,
                       "--memory %lluM: this host gives guests %u address bits; give at "
                       "most %lluM for RAM and the files of --pmem",
                       (unsigned long long)(vm->config.memory >> 20), most,
                       ((1ull << most) - MEMMAP_RAM) >> 20);
    return hvcall_check(e, hv_vm_config_set_ipa_size(config, need), "setting the address size");
}

/* Also without a kernel to run, so that `ireko dtb` refuses what `ireko run` would. */
int vm_choose_engine(const struct vm_config *c, struct err *e)
{
    hv_return_t r = hvx_set_engine(c->engine);
    if (r != HV_SUCCESS)
        return err_set(e, hvcall_errno(r),
                       "--engine %s: this build or host does not have it; 'ireko info' lists those "
                       "it has",
                       c->engine ? c->engine : "(default)");
    r = hvx_set_cpu(c->cpu);
    if (r != HV_SUCCESS)
        return err_set(e, hvcall_errno(r),
                       "--cpu %s: there is no such CPU; 'ireko info --cpu' shows what there is",
                       c->cpu ? c->cpu : "(default)");
    return 0;
}

/* Also takes back what an earlier VM of the process asked for. */
int vm_open_trace(struct vm *vm, struct err *e)
{
    const char *path = vm->config.trace;
    if (path) {
        vm->trace_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (vm->trace_fd < 0) {
            vm->trace_fd = 0;
            return err_set(e, -errno, "--trace %s: cannot write to it: %s", path, strerror(errno));
        }
    }
    hv_return_t r = hvx_set_trace(vm->trace_fd);
    if (r != HV_SUCCESS)
        return err_set(e, hvcall_errno(r),
                       "--trace: the engine %s translates nothing; --engine jit does where "
                       "'ireko info' lists it",
                       hvx_engine());
    return 0;
}

int vm_create_hv(struct vm *vm, struct err *e)
{
    hv_vm_config_t config = hv_vm_config_create();
    if (!config)
        return err_set(e, -ENOMEM, "the host has no memory for a virtual machine");
    int error = vm_configure_ipa(config, vm, e);
    if (error == 0)
        error = hvcall_check(e, hv_vm_create(config), "creating the virtual machine");
    os_release(config);
    vm->hv_created = error == 0;
    vm->pmu = vm->hv_created && hvx_vm_enable(HVX_NATIVE_DEBUG_PMU) == HV_SUCCESS;
    vm->psci = vm->hv_created && hvx_vm_enable(HVX_NATIVE_PSCI) == HV_SUCCESS;
    return error;
}

/* 0: the hypervisor has made its GICv3. -ENOTSUP: it has none. */
HVX_NEEDS(15.0) static int vm_create_gicv3(bool its, struct err *e)
{
    hv_gic_config_t config = hv_gic_config_create();
    if (!config)
        return err_set(e, -ENOMEM, "the host has no memory for an interrupt controller");
    hv_return_t r = hv_gic_config_set_distributor_base(config, MEMMAP_GIC_DIST);
    if (r == HV_SUCCESS)
        r = hv_gic_config_set_redistributor_base(config, MEMMAP_GIC_REDIST);
    if (r == HV_SUCCESS)
        r = hv_gic_config_set_msi_region_base(config, MEMMAP_GIC_MSI);
    if (r == HV_SUCCESS)
        r = hv_gic_config_set_msi_interrupt_range(config, 32 + MEMMAP_SPI_MSI, MEMMAP_SPI_MSIS);
    if (r == HV_SUCCESS && its)
        r = hvx_gic_config_set_its_base(config, MEMMAP_GIC_ITS);
    if (r == HV_SUCCESS)
        r = hv_gic_create(config);
    os_release(config);
    return hvcall_check(e, r, "creating the interrupt controller");
}

/* The user's choice, else what the tree of --dtb has, else the better one. */
bool vm_wants_gicv3(const struct vm *vm)
{
    if (vm->config.gic != VM_GIC_AUTO)
        return vm->config.gic == VM_GIC_V3;
    return !vm->config.dtb || devicetree_has_gicv3(&vm->user_tree);
}

/* GICv3 is the hypervisor's, GICv2 our own. */
int vm_choose_gic(struct vm *vm, struct err *e)
{
    const struct vm_config *c = &vm->config;
    int r = -ENOTSUP;
    if (HVX_SINCE(15.0)) {
        if (vm_wants_gicv3(vm))
            r = vm_create_gicv3(c->its, e);
    }
    vm->gicv3 = r == 0;
    /* The physical counter is the hypervisor's with its GIC, and the virtual one is to be the same.
     */
    vm->tick_offset = vm->gicv3 ? 0 : hvx_absolute_time();
    vm->counter_hz = hvx_counter_hz();
    if (r != -ENOTSUP)
        return r;
    if (c->its)
        return err_set(
            e, r,
            "--gic v3,its: this host has no GICv3 with an ITS for guests; leave the option "
            "away or give --gic v3");
    if (c->gic == VM_GIC_V3)
        return err_set(e, r,
                       "--gic v3: this host has no GICv3 for guests; leave the option away or "
                       "give --gic v2");
    if (c->cpus > MEMMAP_CPUS_MAX_V2)
        return err_set(e, -EINVAL, "--cpus %u: %s GICv2, which has at most %u CPUs", c->cpus,
                       c->gic == VM_GIC_V2 ? "--gic v2 makes a"
                       : c->dtb            ? "the tree of --dtb has a"
                                           : "this host has only a",
                       MEMMAP_CPUS_MAX_V2);
    if (vm_wants_gicv3(vm))
        log_limited(LOG_WARN, "vm", "this host has no GICv3 for guests, so this one has a GICv2");
    return 0;
}
