/*
 * What ireko and its program ireko-usernet agree on.
 *
 * The program gets the text of --net as its only argument and two sockets. Frames go over the data
 * socket, each behind its length. Over the control socket it first sends one line: empty when it
 * works, else why not. From then on each byte that it sends asks for /etc/resolv.conf, and the
 * answer is one byte, with a descriptor of that file if there is one.
 */
#ifndef HOST_NET_USER_H
#define HOST_NET_USER_H

#define NET_USER_PROGRAM       "ireko-usernet"
#define NET_USER_DATA_FD       3
#define NET_USER_CONTROL_FD    4
#define NET_USER_SOCKET_BUFFER (1 << 20)

#endif
