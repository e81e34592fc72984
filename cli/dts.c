/*
 * The blob does not say what type a property has, so it is guessed as dtc does: printable strings
 * that each end in NUL; else 32-bit cells; else bytes. (Devicetree Specification 0.4, chapters 5
 * and 6.)
 */
#include "cli/dts.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdbool.h>
#include <string.h>

static void dts_indent(FILE *f, int depth)
{
    for (int i = 0; i < depth; i++)
        fputc('\t', f);
}

static bool dts_is_strings(const char *bytes, int n)
{
    if (n == 0 || bytes[n - 1] != '\0')
        return false;
    for (int i = 0; i < n; i++) {
        bool empty = bytes[i] == '\0' && (i == 0 || bytes[i - 1] == '\0');
        if (empty || (bytes[i] != '\0' && !isprint((unsigned char)bytes[i])))
            return false;
    }
    return true;
}

static void dts_print_strings(FILE *f, const char *bytes, int n)
{
    for (int at = 0; at < n; at += (int)strlen(bytes + at) + 1) {
        fputs(at == 0 ? "\"" : ", \"", f);
        for (const char *c = bytes + at; *c; c++) {
            if (*c == '"' || *c == '\\')
                fputc('\\', f);
            fputc(*c, f);
        }
        fputc('"', f);
    }
}

static void dts_print_cells(FILE *f, const char *bytes, int n)
{
    for (int at = 0; at < n; at += 4) {
        fdt32_t cell;
        memcpy(&cell, bytes + at, sizeof cell);
        fprintf(f, "%s0x%" PRIx32, at == 0 ? "<" : " ", fdt32_to_cpu(cell));
    }
    fputc('>', f);
}

static void dts_print_bytes(FILE *f, const char *bytes, int n)
{
    for (int at = 0; at < n; at++)
        fprintf(f, "%s%02x", at == 0 ? "[" : " ", (unsigned char)bytes[at]);
    fputc(']', f);
}

static void dts_print_property(FILE *f, const char *name, const char *bytes, int n)
{
    fputs(name, f);
    if (n > 0) {
        fputs(" = ", f);
        if (dts_is_strings(bytes, n))
            dts_print_strings(f, bytes, n);
        else if (n % 4 == 0)
            dts_print_cells(f, bytes, n);
        else
            dts_print_bytes(f, bytes, n);
    }
    fputs(";\n", f);
}

static void dts_open_node(FILE *f, const void *fdt, int node, int depth)
{
    const char *name = fdt_get_name(fdt, node, NULL);
    fputc('\n', f);
    dts_indent(f, depth);
    fprintf(f, "%s {\n", name && name[0] ? name : "/");
    int property;
    fdt_for_each_property_offset(property, fdt, node)
    {
        const char *key;
        int n;
        const void *value = fdt_getprop_by_offset(fdt, property, &key, &n);
        if (!value)
            continue;
        dts_indent(f, depth + 1);
        dts_print_property(f, key, value, n);
    }
}

static void dts_close_node(FILE *f, int depth)
{
    dts_indent(f, depth);
    fputs("};\n", f);
}

int dts_print(FILE *f, const void *fdt, size_t size)
{
    if (fdt_check_full(fdt, size) != 0)
        return -EINVAL;
    fputs("/dts-v1/;\n", f);
    for (int i = 0; i < fdt_num_mem_rsv(fdt); i++) {
        uint64_t at, length;
        if (fdt_get_mem_rsv(fdt, i, &at, &length) == 0)
            fprintf(f, "/memreserve/ 0x%" PRIx64 " 0x%" PRIx64 ";\n", at, length);
    }
    /* `open` nodes are unfinished; a node of depth d finishes all from d on. */
    int depth = 0, open = 0;
    for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(fdt, node, &depth)) {
        while (open > depth)
            dts_close_node(f, --open);
        dts_open_node(f, fdt, node, depth);
        open = depth + 1;
    }
    while (open > 0)
        dts_close_node(f, --open);
    return 0;
}
