/* CPUs `ireko-v1` and `ireko-v2` from soft/features.def: its identification registers and the list
 * of features. */
#include "soft/model.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"

struct feature {
    const char *name; /* NULL: only a field */
    const char *meaning;
    uint16_t reg; /* enum sysreg */
    uint8_t lsb, value;
    uint8_t option; /* enum model_option that it needs */
};

static const struct feature features[] = {
#define FEATURE(name_, reg_, lsb_, value_, option_, meaning_)                                      \
    { .name = #name_,                                                                              \
      .meaning = meaning_,                                                                         \
      .reg = SYSREG_##reg_,                                                                        \
      .lsb = lsb_,                                                                                 \
      .value = value_,                                                                             \
      .option = MODEL_##option_ },
#define FIELD(reg_, lsb_, value_, option_, meaning_)                                               \
    { .meaning = meaning_,                                                                         \
      .reg = SYSREG_##reg_,                                                                        \
      .lsb = lsb_,                                                                                 \
      .value = value_,                                                                             \
      .option = MODEL_##option_ },
#include "soft/features.def"
#undef FEATURE
#undef FIELD
};

/* What a model has beyond the first one; the last one is the usual. */
static const struct {
    const char *name;
    unsigned options;
} models[] = {
    { "ireko-v1", MODEL_BASE },
    { MODEL_NAME, MODEL_MOPS },
};

static const struct {
    const char *name;
    enum model_option option;
} options_by_name[] = {
    { "pauth", MODEL_PAUTH },
    { "bti", MODEL_BTI },
};

static const char *option_name(unsigned option)
{
    for (size_t n = 0; n < ARRAY_LEN(options_by_name); n++)
        if (options_by_name[n].option == option)
            return options_by_name[n].name;
    return NULL;
}

/* Does the word of `length` characters at `text` equal `name`? */
static bool word_is(const char *text, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(text, name, length) == 0;
}

int model_parse(const char *cpu, unsigned *options)
{
    size_t model = ARRAY_LEN(models) - 1;

    *options = models[model].options;
    if (!cpu)
        return 0;
    size_t length = strcspn(cpu, ",");
    for (model = 0; !word_is(cpu, length, models[model].name);)
        if (++model == ARRAY_LEN(models))
            return -ENOTSUP;
    *options = models[model].options;
    while (cpu[length]) {
        size_t n = 0;
        cpu += length + 1;
        length = strcspn(cpu, ",");
        while (n < ARRAY_LEN(options_by_name) && !word_is(cpu, length, options_by_name[n].name))
            n++;
        if (n == ARRAY_LEN(options_by_name))
            return -ENOTSUP;
        *options |= options_by_name[n].option;
    }
    return 0;
}

static bool is_present(const struct feature *f, unsigned options)
{
    return (f->option & ~options) == 0;
}

uint64_t model_register(enum sysreg r, unsigned options)
{
    uint64_t value = 0;

    for (size_t n = 0; n < ARRAY_LEN(features); n++) {
        const struct feature *f = &features[n];
        if (f->reg == r && is_present(f, options) && (value >> f->lsb & 0xf) < f->value)
            value = (value & ~(0xfull << f->lsb)) | (uint64_t)f->value << f->lsb;
    }
    return value;
}

int model_feature(unsigned index, unsigned options, struct hvx_cpu_feature *feature)
{
    for (size_t n = 0; n < ARRAY_LEN(features); n++) {
        const struct feature *f = &features[n];
        if (!f->name || index-- > 0)
            continue;
        *feature = (struct hvx_cpu_feature){
            .name = f->name,
            .meaning = f->meaning,
            .id_register = soft_sysreg_table[f->reg].name,
            .lsb = f->lsb,
            .value = f->value,
            .option = option_name(f->option),
            .present = is_present(f, options),
        };
        return 0;
    }
    return -EINVAL;
}
