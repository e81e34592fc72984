/*
 * ireko run: from options to a running guest.
 *
 * Threads: the main thread runs the event loop; vm_run() has a thread of its own, because it waits
 * for the guest; the serial port has the third. The order of going down is that of the code at the
 * end of run_machine(): first nothing may call the VM any more, then it is destroyed.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/code_folder.h"
#include "cli/firmware.h"
#include "cli/options.h"
#include "cli/stats.h"
#include "host/loop.h"
#include "host/serial.h"
#include "host/term.h"
#include "vmm/vm.h"

/* How long a guest may take to shut down after a signal: as long as systemd gives its services, and
 * some. After that it is stopped, so that closing the terminal never leaves a guest behind. */
#define RUN_PATIENCE_S 120

/* The host's end of one virtio console. */
struct run_console {
    struct run *run;
    unsigned n;
    struct serial *serial;
    bool is_terminal; /* it has the size of ours */
};

struct run {
    uint64_t started; /* clock_monotonic_ns() */
    struct loop *loop;
    struct serial *serial;
    struct run_console console[VM_MAX_CONSOLES];
    unsigned consoles;
    struct vm *vm;
    pthread_t thread;
    atomic_bool stopped; /* vm_run() has returned */
    int stop;            /* what it returned, a negative errno if it did not start */
    struct err err;
    int signals;           /* how many came */
    int signum;            /* the last one that came, or 0 */
    struct alarm patience; /* when it ends, after the first signal */
};

/* A line for the user, also while the terminal is raw. */
static void run_print_line(const char *prefix, const char *line)
{
    bool raw = term_is_raw();
    fprintf(stderr, "%s%s%s%s", raw ? "\r" : "", prefix, line, raw ? "\r\n" : "\n");
}

static void run_notice(void *ctx, const char *line)
{
    (void)ctx;
    run_print_line("ireko: ", line);
}

static void run_log_line(void *ctx, const char *line)
{
    (void)ctx;
    run_print_line("", line);
}

static void run_quit(void *ctx)
{
    struct run *run = ctx;
    vm_stop(run->vm);
    if (atomic_load(&run->stopped))
        loop_stop(run->loop); /* only waits for a reader of the rest of the output */
}

static void run_power_key(void *ctx)
{
    struct run *run = ctx;
    vm_power_key(run->vm);
}

static void run_stats_line(void *ctx, const char *line)
{
    (void)ctx;
    run_print_line("", line);
}

static void run_show_stats(void *ctx)
{
    struct run *run = ctx;
    struct stats_vm *s = calloc(1, sizeof *s);
    if (!s)
        return;
    vm_read_stats(run->vm, s);
    stats_print(s, run->started, run_stats_line, NULL);
    free(s);
}

static void run_on_patience(void *ctx)
{
    struct run *run = ctx;
    if (!atomic_load(&run->stopped))
        run_notice(run, "the guest did not shut down in time and is stopped");
    run_quit(run);
}

/* First ask the guest, then stop it, then leave without it. */
static void run_on_signal(void *ctx, int signum)
{
    struct run *run = ctx;
    run->signals++;
    run->signum = signum;
    if (run->signals == 1 && !atomic_load(&run->stopped)) {
        run_notice(run, "pressed the guest's power key; a second signal stops it at once");
        alarm_set(&run->patience, clock_monotonic_ns() + RUN_PATIENCE_S * 1000000000ull);
        vm_power_key(run->vm);
        return;
    }
    if (run->signals > 2) {
        term_restore();
        _exit(128 + signum);
    }
    run_quit(run);
}

static size_t run_receive(void *ctx, const uint8_t *bytes, size_t n)
{
    struct run *run = ctx;
    return vm_serial_receive(run->vm, bytes, n);
}

static size_t run_receive_console(void *ctx, const uint8_t *bytes, size_t n)
{
    const struct run_console *c = ctx;
    return vm_console_receive(c->run->vm, c->n, bytes, n);
}

/* Tell the guest the terminal's size. */
static void run_on_resize(void *ctx, int signum)
{
    const struct run *run = ctx;
    uint16_t cols, rows;
    (void)signum;
    for (unsigned i = 0; i < run->consoles; i++)
        if (run->console[i].is_terminal && term_size(STDOUT_FILENO, &cols, &rows))
            vm_console_resize(run->vm, i, cols, rows);
}

static void *run_thread(void *arg)
{
    struct run *run = arg;
    thread_name("vm");
    run->stop = vm_run(run->vm, &run->err);
    atomic_store(&run->stopped, true);
    if (run->stop != VM_STOP_QUIT) {
        serial_flush(run->serial);
        for (unsigned i = 0; i < run->consoles; i++)
            serial_flush(run->console[i].serial);
    }
    loop_stop(run->loop);
    return NULL;
}

static int run_catch_signals(struct run *run)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    int error = loop_alarm_create(run->loop, run_on_patience, run, &run->patience);
    if (error < 0)
        return error;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        int r = loop_on_signal(run->loop, signals[i], run_on_signal, run);
        if (r < 0)
            return r;
    }
    return loop_on_signal(run->loop, SIGWINCH, run_on_resize, run);
}

static int run_start_serials(struct run *run)
{
    int r = serial_start(run->serial, run_receive, run);
    for (unsigned i = 0; r == 0 && i < run->consoles; i++)
        r = serial_start(run->console[i].serial, run_receive_console, &run->console[i]);
    return r;
}

static void run_stop_serials(struct run *run)
{
    serial_stop(run->serial);
    for (unsigned i = 0; i < run->consoles; i++)
        serial_stop(run->console[i].serial);
}

/* Everything is created; run it to its end. 0 or negative errno with a sentence. */
static int run_to_the_end(struct run *run, struct err *e)
{
    int r = run_catch_signals(run);
    if (r == 0)
        r = run_start_serials(run);
    if (r == 0)
        r = -pthread_create(&run->thread, NULL, run_thread, run);
    if (r < 0) {
        run_stop_serials(run);
        return err_set(e, r, "cannot start: %s", strerror(-r));
    }
    run_on_resize(run, SIGWINCH);
    loop_run(run->loop);
    run_stop_serials(run);
    pthread_join(run->thread, NULL);
    if (run->stop != VM_STOP_POWEROFF && run->stop != VM_STOP_QUIT) {
        *e = run->err;
        return -EIO;
    }
    return 0;
}

/* Open the host's ends of the virtio consoles, and give them to the guest. */
static int run_open_consoles(struct run *run, const struct run_options *o,
                             struct serial_config *config, struct vm_config *vm, struct err *e)
{
    config->option = "--console";
    config->count = 1;
    for (unsigned i = 0; i < vm->console_count; i++) {
        struct run_console *c = &run->console[i];
        const char *where = o->console[i];
        config->endpoint = &where;
        int r = serial_create(config, &c->serial, e);
        if (r < 0)
            return r;
        c->run = run;
        c->n = i;
        c->is_terminal = strcmp(where, "stdio") == 0;
        run->consoles = i + 1;
        vm->console[i].host = (struct vm_serial){ serial_send, serial_room, c->serial };
    }
    return 0;
}

/* Returns the exit status; prints nothing but what is left in `e` for CLI_ERROR and CLI_USAGE. */
static int run_machine(const struct run_options *o, struct err *e)
{
    struct run run = { .started = clock_monotonic_ns() };
    struct vm_config config = o->vm;
    char code[PATH_MAX];
    struct serial_config serial = {
        .option = "--serial",
        .endpoint = o->serial,
        .count = o->serial_count,
        .quit = run_quit,
        .power_key = run_power_key,
        .stats = run_show_stats,
        .notice = run_notice,
        .ctx = &run,
    };
    int status = CLI_ERROR;
    if (!config.code && !o->no_code && code_folder(code, sizeof code)) {
        config.code = code;
        config.code_optional = true;
    }
    int r = loop_create(&run.loop);
    if (r < 0) {
        err_set(e, r, "cannot make an event loop: %s", strerror(-r));
        return status;
    }
    r = serial_create(&serial, &run.serial, e);
    if (r == 0)
        r = run_open_consoles(&run, o, &serial, &config, e);
    if (r < 0)
        status = r == -EINVAL ? CLI_USAGE : CLI_ERROR;
    if (r == 0) {
        config.serial = (struct vm_serial){ serial_send, serial_room, run.serial };
        config.alarm_create = loop_alarm_create;
        config.alarm_ctx = run.loop;
        r = vm_create(&config, &run.vm, e);
    }
    if (r == 0) {
        r = run_to_the_end(&run, e);
        if (o->stats)
            run_show_stats(&run);
        vm_destroy(run.vm);
    }
    if (r == 0)
        status = run.stop == VM_STOP_QUIT && run.signum ? 128 + run.signum : CLI_OK;
    for (unsigned i = 0; i < run.consoles; i++)
        serial_destroy(run.console[i].serial);
    serial_destroy(run.serial);
    loop_destroy(run.loop);
    return status;
}

int cli_run(int argc, char **argv)
{
    struct run_options o;
    struct err e = { "" };
    int status;
    if (run_options_parse(&o, OPTION_RUN, argc, argv, &e) < 0) {
        status = cli_fail(CLI_USAGE, &e);
    } else if (o.help) {
        status = cli_help_verb("run");
    } else {
        log_set_level(o.log_level);
        log_set_sink(run_log_line, NULL);
        status = CLI_ERROR;
        if (firmware_choose(&o.vm, &e) == 0)
            status = run_machine(&o, &e);
        if (status == CLI_ERROR || status == CLI_USAGE)
            cli_fail(status, &e);
    }
    run_options_fini(&o);
    return status;
}
