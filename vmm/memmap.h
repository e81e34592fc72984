/*
 * The machine's physical addresses and interrupts: the fixed guest ABI (docs/guest-abi.md). A
 * change here breaks guests that carry their own device tree.
 */
#ifndef VMM_MEMMAP_H
#define VMM_MEMMAP_H

#define MEMMAP_FLASH      0x00000000u /* with --firmware */
#define MEMMAP_GIC_DIST   0x08000000u
#define MEMMAP_GIC_CPU    0x08010000u /* GICv2 */
#define MEMMAP_GIC_MSI    0x08020000u /* GICv2m, with either */
#define MEMMAP_GIC_ITS    0x08080000u /* GICv3, if asked for */
#define MEMMAP_GIC_REDIST 0x080a0000u /* GICv3: 0x20000 for each CPU */
#define MEMMAP_UART       0x09000000u
#define MEMMAP_RTC        0x09010000u
#define MEMMAP_FW_CFG     0x09020000u /* with --firmware */
#define MEMMAP_GPIO       0x09030000u
#define MEMMAP_STOLEN     0x09040000u /* stolen time; a page */
#define MEMMAP_VIRTIO     0x0a000000u
#define MEMMAP_PCI_MEMORY 0x10000000u /* with --transport pci: BARs */
#define MEMMAP_PCI_IO     0x3eff0000u
#define MEMMAP_PCI_ECAM   0x3f000000u
#define MEMMAP_RAM        0x40000000u

/* The files of --pmem are behind RAM, each at the next multiple of this. */
#define MEMMAP_PMEM_ALIGN (1ull << 30)

#define MEMMAP_VIRTIO_STRIDE 0x200u
#define MEMMAP_VIRTIO_SLOTS  32u

#define MEMMAP_PCI_MEMORY_SIZE 0x2eff0000u
#define MEMMAP_PCI_IO_SIZE     0x10000u
#define MEMMAP_PCI_ECAM_SIZE   0x1000000u /* 16 buses */

/* Shared interrupts, counted from SPI 0 (INTID 32). */
#define MEMMAP_SPI_UART   1u
#define MEMMAP_SPI_RTC    2u
#define MEMMAP_SPI_GPIO   7u
#define MEMMAP_SPI_VIRTIO 16u /* slot n, of either transport: 16 + n */
#define MEMMAP_SPI_MSI    64u /* made pending by messages */
#define MEMMAP_SPI_MSIS   64u
#define MEMMAP_SPI_COUNT  128u

/* Private interrupts by INTID: the performance monitors' and the generic timer's (Arm BSA, "PPI
 * assignments"). */
#define MEMMAP_PPI_PMU        23u
#define MEMMAP_PPI_HYP_TIMER  26u
#define MEMMAP_PPI_VTIMER     27u
#define MEMMAP_PPI_SEC_TIMER  29u
#define MEMMAP_PPI_PHYS_TIMER 30u

#define MEMMAP_CPUS_MAX    64u
#define MEMMAP_CPUS_MAX_V2 8u /* GICv2 */

/* Everything that is mapped comes in units of Apple's host page, whatever this host's is. */
#define MEMMAP_PAGE 0x4000u

/* The least RAM that makes sense: a kernel, a device tree of up to 2 MiB, and air. */
#define MEMMAP_RAM_MIN (16ull << 20)

#endif
