/*
 * Run a program of generate.py or generate_simd.py on this CPU, through the Hypervisor API.
 *
 * usage: replay [--engine NAME] code.bin data.bin > data.out
 *
 * The code is put at 0x10000000 and started at its second word, the data at 0x20000000; the MMU
 * maps the first GiB one to one as normal memory. It runs at EL0, as under Linux. Any exception
 * that the program takes ends it: an SVC is the regular way, and then the data goes to standard
 * output. Ends with 77 if there is no such engine here.
 */
#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE   0x10000000u
#define DATA   0x20000000u
#define SYSTEM 0x40000000u /* exception vectors, then a translation table */

#define SYSTEM_SIZE  0x4000u
#define TABLE_OFFSET 0x1000u

#define A64_HVC 0xd4000002u

#define EXIT_NO_ENGINE 77

struct memory {
    uint8_t *host;
    size_t size;      /* of the mapping */
    size_t file_size; /* of what was read into it */
};

static void check(hv_return_t r, const char *what)
{
    if (r == HV_SUCCESS)
        return;
    fprintf(stderr, "replay: %s: 0x%x\n", what, (unsigned)r);
    exit(2);
}

static struct memory map_memory(hv_ipa_t ipa, size_t size)
{
    struct memory m = { .size = (size + 0x3fff) & ~(size_t)0x3fff };
    void *host = NULL;

    check(hv_vm_allocate(&host, m.size, HV_ALLOCATE_DEFAULT), "hv_vm_allocate");
    check(hv_vm_map(host, ipa, m.size, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
          "hv_vm_map");
    m.host = host;
    return m;
}

static struct memory map_file(const char *path, hv_ipa_t ipa)
{
    FILE *f = fopen(path, "rb");

    if (!f || fseek(f, 0, SEEK_END)) {
        perror(path);
        exit(2);
    }
    size_t size = (size_t)ftell(f);
    rewind(f);
    struct memory m = map_memory(ipa, size);
    m.file_size = size;
    if (fread(m.host, 1, size, f) != size) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return m;
}

static void set_sys(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t value)
{
    check(hv_vcpu_set_sys_reg(vcpu, reg, value), "hv_vcpu_set_sys_reg");
}

static uint64_t get_sys(hv_vcpu_t vcpu, hv_sys_reg_t reg)
{
    uint64_t value = 0;

    check(hv_vcpu_get_sys_reg(vcpu, reg, &value), "hv_vcpu_get_sys_reg");
    return value;
}

/* Vectors of HVC, which exits, and blocks of 1 GiB, writable, inner shareable, accessed: the
 * program's, which EL0 may access, and this one. */
static void fill_system(struct memory *system)
{
    uint32_t *vectors = (uint32_t *)(void *)system->host;
    uint64_t *table = (uint64_t *)(void *)(system->host + TABLE_OFFSET);

    for (unsigned k = 0; k < TABLE_OFFSET / 4; k++)
        vectors[k] = A64_HVC;
    table[0] = 1u << 10 | 3u << 8 | 1u << 6 | 1;
    table[1] = SYSTEM | 1u << 10 | 3u << 8 | 1;
}

static void start_state(hv_vcpu_t vcpu)
{
    set_sys(vcpu, HV_SYS_REG_VBAR_EL1, SYSTEM);
    set_sys(vcpu, HV_SYS_REG_CPACR_EL1, 3u << 20);
    set_sys(vcpu, HV_SYS_REG_MAIR_EL1, 0xff);
    set_sys(vcpu, HV_SYS_REG_TTBR0_EL1, SYSTEM + TABLE_OFFSET);
    /* T0SZ 25, write-back, inner shareable, no TTBR1, 40-bit addresses. */
    set_sys(vcpu, HV_SYS_REG_TCR_EL1, 25u | 1u << 8 | 1u << 10 | 3u << 12 | 1u << 23 | 2ull << 32);
    set_sys(vcpu, HV_SYS_REG_SCTLR_EL1,
            0x30d00800u | 1u << 26 | 1u << 15 | 1u << 12 | 1u << 2 | 1u);
    check(hv_vcpu_set_reg(vcpu, HV_REG_CPSR, 0x3c0), "CPSR");
    check(hv_vcpu_set_reg(vcpu, HV_REG_PC, CODE + 4), "PC");
}

int main(int argc, char **argv)
{
    const char *engine = NULL;
    int at = 1;

    if (argc > 2 && strcmp(argv[1], "--engine") == 0) {
        engine = argv[2];
        at = 3;
    }
    if (hvx_set_engine(engine) != HV_SUCCESS) {
        fprintf(stderr, "replay: no engine '%s' here\n", engine);
        return EXIT_NO_ENGINE;
    }
    if (argc != at + 2) {
        fprintf(stderr, "usage: replay [--engine NAME] code.bin data.bin > data.out\n");
        return 2;
    }
    check(hv_vm_create(NULL), "hv_vm_create");
    map_file(argv[at], CODE);
    struct memory data = map_file(argv[at + 1], DATA);
    struct memory system = map_memory(SYSTEM, SYSTEM_SIZE);
    fill_system(&system);

    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit_info;
    check(hv_vcpu_create(&vcpu, &exit_info, NULL), "hv_vcpu_create");
    start_state(vcpu);
    do
        check(hv_vcpu_run(vcpu), "hv_vcpu_run");
    while (exit_info->reason != HV_EXIT_REASON_EXCEPTION);

    uint64_t esr = get_sys(vcpu, HV_SYS_REG_ESR_EL1);
    if (exit_info->exception.syndrome >> 26 != 0x16 || esr >> 26 != 0x15) {
        fprintf(stderr, "replay: exit syndrome 0x%llx, ESR_EL1 0x%llx, ELR_EL1 0x%llx\n",
                (unsigned long long)exit_info->exception.syndrome, (unsigned long long)esr,
                (unsigned long long)get_sys(vcpu, HV_SYS_REG_ELR_EL1));
        return 1;
    }
    check(hv_vcpu_destroy(vcpu), "hv_vcpu_destroy");
    check(hv_vm_destroy(), "hv_vm_destroy");
    return fwrite(data.host, 1, data.file_size, stdout) == data.file_size ? 0 : 2;
}
