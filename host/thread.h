/* Threads of the host's side. */
#ifndef HOST_THREAD_H
#define HOST_THREAD_H

#include <pthread.h>

#include "base/compiler.h"

/* Start a thread that gets no signals: those are for the threads that expect them. 0 or negative
 * errno. */
int thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg) MUST_CHECK;

#endif
