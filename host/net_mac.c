/*
 * A guest keeps its address and its name by the hardware address of its card, and two machines on
 * one bridge must not have the same. So it is made of what makes a machine: the host, the file, and
 * the number of the card. A collision is a matter of 40 bits.
 */
#include "host/net_mac.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME  0x100000001b3ull

static uint64_t hash(uint64_t h, const char *text)
{
    do
        h = (h ^ (uint8_t)*text) * FNV_PRIME; /* FNV-1a, the final zero included */
    while (*text++);
    return h;
}

/* machine-id(5), else the host's name. */
static void host_identity(char *text, size_t size)
{
    FILE *f = fopen("/etc/machine-id", "re");
    text[0] = '\0';
    if (f) {
        if (!fgets(text, (int)size, f))
            text[0] = '\0';
        fclose(f);
    }
    if (!text[0] && gethostname(text, size - 1) == 0)
        text[size - 1] = '\0';
}

void net_mac(const char *identity, unsigned index, uint8_t mac[6])
{
    char host[256], number[16];
    char *path = realpath(identity, NULL);
    host_identity(host, sizeof host);
    snprintf(number, sizeof number, "%u", index);
    uint64_t h = hash(hash(hash(FNV_OFFSET, host), path ? path : identity), number);
    free(path);
    h ^= h >> 32;  /* the low bits of FNV depend on less */
    mac[0] = 0x52; /* locally administered, unicast */
    for (int i = 1; i < 6; i++)
        mac[i] = (uint8_t)(h >> (8 * (i - 1)));
}
