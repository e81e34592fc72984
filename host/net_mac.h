/* A hardware address that stays. */
#ifndef HOST_NET_MAC_H
#define HOST_NET_MAC_H

#include <stdint.h>

/* The address of the `index`-th network card of the machine that is known by the file `identity`:
 * the same at each start on this host, another for other files, cards and hosts. */
void net_mac(const char *identity, unsigned index, uint8_t mac[6]);

#endif
