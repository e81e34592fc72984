/*
 * The terminal the user sits at: raw mode, and the escape key that talks to ireko instead of to the
 * guest.
 */
#ifndef HOST_TERM_H
#define HOST_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Put the terminal `fd` into raw mode: every key goes to the guest, ^C and ^Z too. From then on it
 * is put back on every way out: term_restore(), exit(), a fatal signal, a stop (and raw again on
 * continue). Once per process. 0 or negative errno; -ENOTTY if `fd` is no terminal. */
int term_raw(int fd) MUST_CHECK;

/* The size of the terminal `fd` in characters; false if it is none. */
bool term_size(int fd, uint16_t *cols, uint16_t *rows);

/* Back to how term_raw() found it. Any thread, any number of times, also from signal handlers. */
void term_restore(void);

/* Is the terminal raw now? Then a line on it ends with "\r\n". */
bool term_is_raw(void);

#define TERM_ESCAPE 0x01 /* Ctrl-A */

/* What the escape key asked for. */
enum term_key {
    TERM_KEY_QUIT = 1 << 0,  /* Ctrl-A x */
    TERM_KEY_POWER = 1 << 1, /* Ctrl-A p */
    TERM_KEY_HELP = 1 << 2,  /* Ctrl-A h, and every key that means nothing */
    TERM_KEY_STATS = 1 << 3, /* Ctrl-A s */
};

struct term_escape {
    bool armed; /* the last byte was Ctrl-A; it may have come in an earlier call */
};

/* Take ireko's keys out of `n` typed bytes, in place. Returns how many are left for the guest; ors
 * the keys into `*keys`. Bytes after Ctrl-A x are dropped. */
size_t term_escape_filter(struct term_escape *t, uint8_t *bytes, size_t n, unsigned *keys);

/* What Ctrl-A h shows: lines separated by '\n', none at the end. */
const char *term_escape_help(void);

#endif
