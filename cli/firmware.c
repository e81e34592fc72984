/*
 * A disk that boots by itself has its boot loader in an EFI system partition, so all that it takes
 * is UEFI. Packages have it under names of their own; Debian's is the one that is tested.
 */
#include "cli/firmware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static const char *const usual_places[] = {
    "/usr/share/AAVMF/AAVMF_CODE.fd",                /* Debian, Ubuntu: qemu-efi-aarch64 */
    "/usr/share/edk2/aarch64/QEMU_EFI.fd",           /* Fedora: edk2-aarch64 */
    "/opt/homebrew/share/qemu/edk2-aarch64-code.fd", /* Homebrew: qemu */
    NULL,
};

int firmware_choose_from(struct vm_config *vm, const char *const *places, struct err *e)
{
    if (vm_config_boots(vm) || vm->disk_count == 0)
        return 0;
    while (*places && access(*places, R_OK) != 0)
        places++;
    if (!*places)
        return err_set(e, -ENOENT,
                       "--disk '%s': nothing says how to boot it, and UEFI, which would find out, "
                       "is not installed; install qemu-efi-aarch64 (Homebrew: qemu), or give "
                       "--firmware FILE or --kernel FILE",
                       vm->disk[0].path);
    log_info("firmware", "the disk is booted by %s", *places);
    vm->firmware = strdup(*places);
    return vm->firmware ? 0 : err_set(e, -ENOMEM, "not enough memory");
}

int firmware_choose(struct vm_config *vm, struct err *e)
{
    return firmware_choose_from(vm, usual_places, e);
}
