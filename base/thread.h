/* The names of threads, which top -H, perf and debuggers show. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Name the calling thread; at most 15 bytes. */
static inline void thread_name(const char *name)
{
#ifdef __APPLE__
    (void)pthread_setname_np(name);
#else
    (void)pthread_setname_np(pthread_self(), name);
#endif
}

#endif
