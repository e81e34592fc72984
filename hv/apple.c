/* See hv/apple.h. */
#include "hv/apple.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* One run in so many ends before it began; others in their middle, see apple_cancel.c. */
#define APPLE_CANCEL_ONE_IN 4

/* --- which Mac --- */

static struct hv_apple apple_mode = { .chip = HV_APPLE_M1, .macos = 15.2 };
static bool apple_is_on;
static pthread_once_t apple_once = PTHREAD_ONCE_INIT;

static const struct {
    const char *word;
    int chip; /* -1: none of its business, as are the others when 0 */
    double macos;
    bool cancels, is_unsigned;
} apple_words[] = {
    { "m1", HV_APPLE_M1, 0, false, false }, { "m4", HV_APPLE_M4, 0, false, false },
    { "macos13", -1, 13.0, false, false },  { "macos15", -1, 15.2, false, false },
    { "macos26", -1, 26.0, false, false },  { "cancel", -1, 0, true, false },
    { "unsigned", -1, 0, false, true },
};

static bool apple_take_word(struct hv_apple *a, const char *word, size_t length)
{
    for (size_t i = 0; i < COUNT(apple_words); i++) {
        if (strlen(apple_words[i].word) != length || memcmp(apple_words[i].word, word, length) != 0)
            continue;
        if (apple_words[i].chip >= 0)
            a->chip = (enum hv_apple_chip)apple_words[i].chip;
        if (apple_words[i].macos > 0)
            a->macos = apple_words[i].macos;
        a->cancels |= apple_words[i].cancels;
        a->is_unsigned |= apple_words[i].is_unsigned;
        return true;
    }
    return false;
}

static void apple_read_environment(void)
{
    const char *text = getenv("IREKO_APPLE");

    apple_is_on = text && *text;
    while (apple_is_on && *text) {
        size_t length = strcspn(text, ",");

        if (!apple_take_word(&apple_mode, text, length)) {
            fprintf(stderr,
                    "libHypervisor: IREKO_APPLE: there is no '%.*s'; there are m1, m4, macos13, "
                    "macos15, macos26, cancel and unsigned\n",
                    (int)length, text);
            apple_mode.is_wrong = true;
        }
        text += length;
        text += *text == ',';
    }
}

const struct hv_apple *hv_apple(void)
{
    pthread_once(&apple_once, apple_read_environment);
    return apple_is_on ? &apple_mode : NULL;
}

/* --- the CPU --- */

/* Fields of identification registers: what a guest of macOS sees of them, where it is not what our
 * CPU has. Less, but for facts like widths. */
static const struct {
    uint16_t reg;
    uint8_t lsb;
    uint8_t value[2]; /* by chip */
} apple_fields[] = {
    { HV_SYS_REG_ID_AA64PFR0_EL1, 56, { 1, 1 } },    /* CSV2 */
    { HV_SYS_REG_ID_AA64PFR1_EL1, 4, { 2, 0 } },     /* SSBS: an M4 has none */
    { HV_SYS_REG_ID_AA64ISAR0_EL1, 60, { 0, 0 } },   /* RNDR */
    { HV_SYS_REG_ID_AA64MMFR0_EL1, 0, { 1, 2 } },    /* PARange: 36 and 40 bits */
    { HV_SYS_REG_ID_AA64MMFR0_EL1, 24, { 15, 15 } }, /* TGran64: none */
    { HV_SYS_REG_ID_AA64MMFR0_EL1, 60, { 0, 0 } },   /* ECV */
    { HV_SYS_REG_ID_AA64MMFR1_EL1, 0, { 0, 0 } },    /* HAFDBS: tables are the guest's to mark */
    { HV_SYS_REG_ID_AA64MMFR1_EL1, 16, { 1, 1 } },   /* LO: LORC_EL1 exits */
    { HV_SYS_REG_ID_AA64MMFR1_EL1, 20, { 2, 3 } },   /* PAN */
    { HV_SYS_REG_ID_AA64MMFR1_EL1, 36, { 0, 0 } },   /* ETS */
    { HV_SYS_REG_ID_AA64MMFR1_EL1, 60, { 0, 0 } },   /* ECBHB */
};

#define APPLE_MIDR 0x610f0000u

/* ID_AA64ISAR2_EL1, which the API has no word for: macOS lets it read as zero. */
#define APPLE_ISAR2 ((hv_sys_reg_t)0xc032)

uint64_t hv_apple_id_register(const struct hv_apple *a, hv_sys_reg_t reg, uint64_t value)
{
    if (reg == HV_SYS_REG_MIDR_EL1)
        return APPLE_MIDR;
    if (reg == APPLE_ISAR2)
        return 0;
    for (size_t i = 0; i < COUNT(apple_fields); i++)
        if (apple_fields[i].reg == reg)
            value = (value & ~(0xfull << apple_fields[i].lsb)) |
                    (uint64_t)apple_fields[i].value[a->chip] << apple_fields[i].lsb;
    return value;
}

int hv_apple_vcpu_create(const struct hv_apple *a, const struct hv_backend *backend,
                         struct hv_backend_vcpu *vcpu)
{
    static const hv_sys_reg_t regs[] = {
        HV_SYS_REG_MIDR_EL1,
        HV_SYS_REG_ID_AA64PFR0_EL1,
        HV_SYS_REG_ID_AA64PFR1_EL1,
        HV_SYS_REG_ID_AA64ISAR0_EL1,
        HV_SYS_REG_ID_AA64MMFR0_EL1,
        HV_SYS_REG_ID_AA64MMFR1_EL1,
        APPLE_ISAR2,
    };
    int err = 0;

    for (size_t i = 0; !err && i < COUNT(regs); i++) {
        uint64_t value;

        err = backend->get_sys_reg(vcpu, regs[i], &value);
        if (!err)
            err = backend->set_sys_reg(vcpu, regs[i], hv_apple_id_register(a, regs[i], value));
    }
    return err;
}

const char *hv_apple_cpu(const struct hv_apple *a, const struct hv_backend *backend)
{
    static const char *const cpus[] = {
        [HV_APPLE_M1] = "ireko-v1,pauth",
        [HV_APPLE_M4] = "ireko-v1,pauth,bti",
    };
    struct hvx_cpu_feature first;

    return backend->cpu_feature(cpus[a->chip], 0, &first) ? NULL : cpus[a->chip];
}

void hv_apple_ipa_bits(const struct hv_apple *a, unsigned *standard, unsigned *maximum)
{
    unsigned most = a->chip == HV_APPLE_M4 && a->macos >= 15.0 ? 40 : 36;

    *maximum = *maximum < most ? *maximum : most;
    *standard = *standard < 36 ? *standard : 36;
}

/* --- runs --- */

#define EC_HVC   0x16u
#define EC_FETCH 0x20u
#define EC_DATA  0x24u
#define EC_STEP  0x32u
#define EC_WATCH 0x34u

/* Macs leave there what was there before. */
#define APPLE_STALE 0x5ca1ab1e5ca1ab1eull

uint32_t hv_apple_random(uint32_t last)
{
    last ^= last << 13;
    last ^= last >> 17;
    last ^= last << 5;
    return last;
}

static bool apple_has_addresses(unsigned ec)
{
    return (ec >= EC_FETCH && ec <= EC_DATA) || (ec >= EC_STEP && ec <= EC_WATCH);
}

/* HVC #0 with X0 0xc1xxxxxx asks the framework for pointer authentication services, which are off:
 * it says no, and the program never hears of it. True if it was one. */
static bool apple_takes_hvc(struct hv_slot *s)
{
    const struct hv_backend *b = hv_process.backend;
    uint64_t x0;

    if ((s->exit.exception.syndrome & 0xffff) != 0 || b->get_reg(s->vcpu, HV_REG_X0, &x0) ||
        (x0 & 0xff000000) != 0xc1000000)
        return false;
    return b->set_reg(s->vcpu, HV_REG_X0, 0xffffffff) == 0;
}

hv_return_t hv_apple_run(const struct hv_apple *a, struct hv_slot *s)
{
    const struct hv_backend *b = hv_process.backend;

    s->random = hv_apple_random(s->random);
    if (a->cancels && s->random % APPLE_CANCEL_ONE_IN == 0)
        b->vcpu_kick(s->vcpu);
    for (;;) {
        int err = b->vcpu_run(s->vcpu);

        if (err || s->exit.reason != HV_EXIT_REASON_EXCEPTION)
            return hv_return_of(err);

        unsigned ec = (unsigned)(s->exit.exception.syndrome >> 26);

        if (ec == EC_HVC && apple_takes_hvc(s))
            continue;
        if (!apple_has_addresses(ec))
            s->exit.exception.virtual_address = s->exit.exception.physical_address = APPLE_STALE;
        return HV_SUCCESS;
    }
}

bool hv_apple_is_mapped(const void *addr, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char resident[1024];

    for (size_t at = 0; at < size; at += sizeof resident * page) {
        size_t left = size - at;
        size_t piece = left < sizeof resident * page ? left : sizeof resident * page;

        if (mincore((uint8_t *)(uintptr_t)addr + at, piece, resident) != 0 && errno == ENOMEM)
            return false;
    }
    return true;
}
