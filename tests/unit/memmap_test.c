/* The guest ABI's numbers: what may not change, and what must hold between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "devices/flash.h"
#include "gic/gicv2.h"
#include "gic/gicv3.h"
#include "vmm/memmap.h"
#include "vmm/vm.h"

/* As docs/guest-abi.md promises. */
static void test_promised_addresses(void **state)
{
    (void)state;
    assert_int_equal(MEMMAP_FLASH, 0);
    assert_int_equal(MEMMAP_FW_CFG, 0x09020000);
    assert_int_equal(MEMMAP_GIC_DIST, 0x08000000);
    assert_int_equal(MEMMAP_GIC_CPU, 0x08010000);
    assert_int_equal(MEMMAP_GIC_MSI, 0x08020000);
    assert_int_equal(MEMMAP_GIC_ITS, 0x08080000);
    assert_int_equal(MEMMAP_GIC_REDIST, 0x080a0000);
    assert_int_equal(MEMMAP_UART, 0x09000000);
    assert_int_equal(MEMMAP_RTC, 0x09010000);
    assert_int_equal(MEMMAP_STOLEN, 0x09040000);
    assert_int_equal(MEMMAP_GPIO, 0x09030000);
    assert_int_equal(MEMMAP_VIRTIO, 0x0a000000);
    assert_int_equal(MEMMAP_VIRTIO_STRIDE, 0x200);
    assert_int_equal(MEMMAP_PCI_MEMORY, 0x10000000);
    assert_int_equal(MEMMAP_PCI_IO, 0x3eff0000);
    assert_int_equal(MEMMAP_PCI_ECAM, 0x3f000000);
    assert_int_equal(MEMMAP_RAM, 0x40000000);
    assert_int_equal(MEMMAP_SPI_UART, 1);
    assert_int_equal(MEMMAP_SPI_RTC, 2);
    assert_int_equal(MEMMAP_SPI_GPIO, 7);
    assert_int_equal(MEMMAP_SPI_VIRTIO, 16);
    assert_int_equal(MEMMAP_SPI_MSI, 64);
    assert_int_equal(MEMMAP_SPI_MSIS, 64);
    assert_int_equal(MEMMAP_PPI_VTIMER, 27);
    assert_int_equal(MEMMAP_PPI_PHYS_TIMER, 30);
}

static void test_windows_do_not_overlap(void **state)
{
    (void)state;
    const struct {
        uint64_t base, size;
    } window[] = {
        { MEMMAP_FLASH, FLASH_BANKS * FLASH_BANK_SIZE },
        { MEMMAP_GIC_DIST, GICV2_DIST_SIZE },
        { MEMMAP_GIC_CPU, GICV2_CPU_SIZE },
        { MEMMAP_GIC_MSI, 0x10000 }, /* Apple's size */
        { MEMMAP_GIC_ITS, GICV3_ITS_SIZE },
        { MEMMAP_GIC_REDIST, MEMMAP_CPUS_MAX * GICV3_REDIST_SIZE },
        { MEMMAP_UART, 0x1000 },
        { MEMMAP_RTC, 0x1000 },
        { MEMMAP_FW_CFG, 0x18 },
        { MEMMAP_GPIO, 0x1000 },
        { MEMMAP_STOLEN, MEMMAP_PAGE },
        { MEMMAP_VIRTIO, MEMMAP_VIRTIO_SLOTS * MEMMAP_VIRTIO_STRIDE },
        { MEMMAP_PCI_MEMORY, MEMMAP_PCI_MEMORY_SIZE },
        { MEMMAP_PCI_IO, MEMMAP_PCI_IO_SIZE },
        { MEMMAP_PCI_ECAM, MEMMAP_PCI_ECAM_SIZE },
    };
    for (size_t i = 1; i < ARRAY_LEN(window); i++)
        assert_true(window[i - 1].base + window[i - 1].size <= window[i].base);
    assert_true(window[ARRAY_LEN(window) - 1].base + window[ARRAY_LEN(window) - 1].size <=
                MEMMAP_RAM);
}

static void test_everything_has_a_wire(void **state)
{
    (void)state;
    assert_true(MEMMAP_SPI_VIRTIO + MEMMAP_VIRTIO_SLOTS <= MEMMAP_SPI_MSI);
    assert_true(MEMMAP_SPI_MSI + MEMMAP_SPI_MSIS <= MEMMAP_SPI_COUNT);
    assert_true(VM_MAX_DISKS < MEMMAP_VIRTIO_SLOTS);
    assert_int_equal(MEMMAP_CPUS_MAX_V2, GICV2_MAX_CPUS);
    assert_int_equal(MEMMAP_RAM % MEMMAP_PAGE, 0);
    assert_int_equal(MEMMAP_RAM_MIN % MEMMAP_PAGE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promised_addresses),
        cmocka_unit_test(test_windows_do_not_overlap),
        cmocka_unit_test(test_everything_has_a_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
