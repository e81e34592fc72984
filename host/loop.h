/*
 * The event loop of the process: stop requests, signals and alarms. It runs on the main thread,
 * while vCPUs, disks and the serial port have threads of their own.
 */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include "base/clock.h"
#include "base/compiler.h"

struct loop;

/* 0 or negative errno. The calling thread owns the loop: create, run and destroy are its. */
int loop_create(struct loop **out) MUST_CHECK;

/* Serve signals and alarms until loop_stop(). Owner thread. */
void loop_run(struct loop *l);

/* Make loop_run() return; if it does not run yet, it will return at once. Any thread. */
void loop_stop(struct loop *l);

/* Call `fn` inside loop_run() for each `signum` from now on, instead of the signal's default
 * action. Owner thread. 0 or negative errno. */
int loop_on_signal(struct loop *l, int signum, void (*fn)(void *ctx, int signum),
                   void *ctx) MUST_CHECK;

/* Make an alarm that calls `fire(arg)` inside loop_run(), no lock held, when its deadline
 * (CLOCK_MONOTONIC nanoseconds; rounded up to whole milliseconds) has come. A deadline that is
 * replaced just as it comes may still fire, so `fire` looks at the clock. The alarm lives as long
 * as the loop. `loop` is a struct loop; the signature is that of vm_config.alarm_create. Any
 * thread. 0 or negative errno. */
int loop_alarm_create(void *loop, void (*fire)(void *arg), void *arg, struct alarm *out) MUST_CHECK;

/* Signals get their default action back, alarms become invalid. NULL is allowed. */
void loop_destroy(struct loop *l);

#endif
