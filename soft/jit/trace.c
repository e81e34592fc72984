/*
 * Blocks as text, for people: the guest's words with the names that soft/a64.decode gives them, and
 * the host's code as bytes. tools/jit_disasm.py makes mnemonics of the latter.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "soft/jit/runtime.h"
#include "soft/jit/translate.h"

#define ROW 32

static void trace_bytes(const struct jit *j, const char *part, uint32_t start, uint32_t end,
                        jit_trace_sink *sink, void *ctx)
{
    for (uint32_t at = start; at < end; at += ROW) {
        char line[96];
        int n = snprintf(line, sizeof line, "  %s %08x:", part, at);
        for (uint32_t k = at; k < end && k < at + ROW; k++)
            n += snprintf(line + n, sizeof line - (size_t)n, "%02x", j->rw[k]);
        sink(ctx, line);
    }
}

void jit_trace_block(const struct jit *j, uint32_t block, jit_trace_sink *sink, void *ctx)
{
    const struct jit_block *b = &j->block[block];
    char line[96];

    snprintf(line, sizeof line, "block %u va 0x%llx pa 0x%llx mode %u count %u", block,
             (unsigned long long)b->va, (unsigned long long)b->pa, b->mode, b->count);
    sink(ctx, line);
    unsigned offset = b->va & (CODE_PAGE_SIZE - 1);
    for (unsigned n = 0; n < b->count; n++) {
        uint32_t word = ld_le32(b->page + offset);
        snprintf(line, sizeof line, "  guest %llx: %08x %s",
                 (unsigned long long)(b->va & ~4095ull) + offset, word,
                 a64_ops[a64_decode(word)].name);
        sink(ctx, line);
        offset = jit_block_next(word, offset);
    }
    const uint16_t *looked = (const void *)(j->rw + jit_block_lists(b));
    for (unsigned n = 0; n < b->looked; n++) {
        uint32_t word = ld_le32(b->page + looked[n]);
        snprintf(line, sizeof line, "  looks %llx: %08x %s",
                 (unsigned long long)(b->va & ~4095ull) + looked[n], word,
                 a64_ops[a64_decode(word)].name);
        sink(ctx, line);
    }
    trace_bytes(j, "hot ", b->code, b->code + b->hot_size, sink, ctx);
    trace_bytes(j, "cold", b->cold, b->cold + b->cold_size, sink, ctx);
}

void jit_trace_to_log(void *ctx, const char *line)
{
    (void)ctx;
    log_error("jit", "%s", line);
}

static void trace_to_file(void *ctx, const char *line)
{
    fprintf(ctx, "%s\n", line);
}

/* A block is written at once, so that those of several vCPUs do not mix. */
#define TRACE_BUFFER (256u << 10)

FILE *jit_trace_open(int fd, const char *path)
{
    FILE *f;

    if (fd) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        f = own < 0 ? NULL : fdopen(own, "w");
        if (!f && own >= 0)
            close(own);
    } else if (path[0]) {
        f = fopen(path, "ae");
    } else {
        return NULL;
    }
    if (f)
        setvbuf(f, NULL, _IOFBF, TRACE_BUFFER);
    else
        log_warn("jit", "no trace is written to %s: %s", fd ? "--trace" : path, strerror(errno));
    return f;
}

void jit_trace_write(struct jit *j, uint32_t block)
{
    jit_trace_block(j, block, trace_to_file, j->trace);
    if (fflush(j->trace) == 0)
        return;
    log_warn("jit", "the trace ends here: %s", strerror(errno));
    fclose(j->trace);
    j->trace = NULL;
}
