/*
 * The virtual machine: what cli/ configures, runs and stops. One per process, because Apple's API
 * is process-wide; still every piece of state hangs on `struct vm`.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "host/disk.h"
#include "host/pmem.h"
#include "host/share.h"

#define VM_MAX_DISKS    24
#define VM_MAX_NETS     8
#define VM_MAX_SHARES   8
#define VM_MAX_CONSOLES 7
#define VM_MAX_PMEMS    4

struct vm;
struct stats_vm;

enum vm_gic { VM_GIC_AUTO, VM_GIC_V2, VM_GIC_V3 };
enum vm_transport { VM_TRANSPORT_MMIO, VM_TRANSPORT_PCI };

/* How the first PL011 reaches the host; cli/ fills it from host/. */
struct vm_serial {
    void (*send)(void *ctx, const uint8_t *bytes,
                 size_t n);  /* guest output; must not block for long */
    void (*room)(void *ctx); /* vm_serial_receive() takes bytes again */
    void *ctx;
};

/* A virtio console of the guest, or a port for its programs. */
struct vm_console {
    char name[32]; /* of the port; "": it is a console */
    struct vm_serial host;
};

/* A guest's vsock device. */
struct vm_vsock {
    uint32_t cid;
    char path[108]; /* of the Unix socket; "": there is no device */
};

struct vm_config {
    const char *kernel;        /* path, or NULL */
    const char *firmware;      /* path, or NULL: then the kernel is started directly */
    const char *firmware_vars; /* path of the file that keeps its variables, or NULL: none does */
    const char *initrd;        /* path or NULL */
    const char *cmdline;       /* or NULL; console=ttyAMA0 is added when no console= is in it */
    const char *dtb;           /* path of a device tree that replaces ours, or NULL */
    uint64_t memory;           /* bytes of RAM at 0x4000_0000 */
    uint64_t balloon;          /* bytes of it that the guest is to leave to the host */
    unsigned cpus;
    const char *cpu; /* for hvx_set_cpu(), or NULL */
    enum vm_gic gic;
    bool its;                    /* with VM_GIC_V3: an ITS too */
    enum vm_transport transport; /* of the virtio devices */
    const char *engine;          /* for hvx_set_engine(), or NULL */
    const char *trace; /* path: translated code is written there, see hvx_set_trace(); or NULL */
    const char *code;  /* folder that keeps it for later runs, see hvx_set_code_folder(); or NULL */
    bool code_optional; /* nobody asked for it: only for the engine `jit`, and if it can be had */
    struct disk_options disk[VM_MAX_DISKS];
    unsigned disk_count;
    const char *net[VM_MAX_NETS]; /* for net_spec_parse() of host/net_spec.h; none is "none" */
    unsigned net_count;
    bool net_optional; /* what cannot be had is left out, with a warning */
    struct vm_vsock vsock;
    struct share_options share[VM_MAX_SHARES];
    unsigned share_count;
    struct pmem_options pmem[VM_MAX_PMEMS];
    unsigned pmem_count;
    struct vm_console console[VM_MAX_CONSOLES];
    unsigned console_count;
    struct vm_serial serial;
    /* One-shot timers for device alarms: make one that calls `fire(ctx)` at the deadline set
     * through the alarm. */
    int (*alarm_create)(void *ctx, void (*fire)(void *arg), void *arg, struct alarm *out);
    void *alarm_ctx;
};

/* Is there something to start? Without, the VM is only a device tree. */
static inline bool vm_config_boots(const struct vm_config *c)
{
    return c->kernel || c->firmware;
}

/* Why a VM stopped. */
enum vm_stop {
    VM_STOP_POWEROFF, /* PSCI SYSTEM_OFF */
    VM_STOP_QUIT,     /* vm_stop() */
    VM_STOP_ERROR,    /* the VM cannot go on; the sentence is in vm_run()'s err */
};

/* Check the configuration, create the VM, load everything. One sentence in `e` on failure. */
int vm_create(const struct vm_config *config, struct vm **out, struct err *e) MUST_CHECK;

/* Run until the VM stops; a guest reset restarts it inside this call. Returns enum vm_stop; with
 * VM_STOP_ERROR `e` says why. Call once, from a thread that owns nothing of the VM. */
int vm_run(struct vm *vm, struct err *e);

/* Ask vm_run() to return VM_STOP_QUIT. Any thread. */
void vm_stop(struct vm *vm);

/* Press the power key: a guest that knows it shuts down. Any thread. */
void vm_power_key(struct vm *vm);

/* Host input for the first PL011; returns how many bytes fitted. Any thread. */
size_t vm_serial_receive(struct vm *vm, const uint8_t *bytes, size_t n);

/* The same for the n-th virtio console. */
size_t vm_console_receive(struct vm *vm, unsigned n, const uint8_t *bytes, size_t size);

/* The terminal that the n-th console is on has this size now. Any thread. */
void vm_console_resize(struct vm *vm, unsigned n, uint16_t cols, uint16_t rows);

/* What the VM has done so far, or did if it has stopped. Its CPUs come out for a moment; one that
 * does not do so within a second counts as it was when it last did. Any thread but a CPU's. */
void vm_read_stats(struct vm *vm, struct stats_vm *out);

/* The device tree the VM would boot with: `*size` bytes, valid until vm_run() or vm_destroy(). */
const void *vm_dtb(const struct vm *vm, size_t *size);

void vm_destroy(struct vm *vm);

#endif
