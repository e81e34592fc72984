/*
 * The walls on Linux: Landlock takes the file system away, seccomp every system call that the stack
 * does not need. What is left is memory, time, and sockets of IPv4 and IPv6.
 *
 * libslirp opens one file while it runs, /etc/resolv.conf, to find the host's name server. That
 * call is caught (SECCOMP_RET_TRAP) and answered with a descriptor that ireko opens
 * (host/net_user.h), so no exception is needed in the walls, and a list of name servers that was
 * replaced meanwhile is seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "usernet/usernet.h"

#if defined(__x86_64__)
#define ARCHITECTURE         AUDIT_ARCH_X86_64
#define CALL_ARGUMENT(uc, n) ((uc)->uc_mcontext.gregs[(const int[]){ REG_RDI, REG_RSI }[n]])
#define CALL_RESULT(uc)      ((uc)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCHITECTURE         AUDIT_ARCH_AARCH64
#define CALL_ARGUMENT(uc, n) ((uc)->uc_mcontext.regs[n])
#define CALL_RESULT(uc)      ((uc)->uc_mcontext.regs[0])
#else
#error "no seccomp filter for this architecture"
#endif

/* What the stack, the C library under it and this program's loop call. */
static const unsigned allowed[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_close,
    SYS_recvfrom,
    SYS_sendto,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_bind,
    SYS_connect,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_shutdown,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_ioctl,
    SYS_fcntl,
    SYS_ppoll,
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_newfstatat,
    SYS_fstat,
    SYS_lseek,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_gettid,
    SYS_clock_nanosleep,
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_statx
    SYS_statx,
#endif
#ifdef SYS_time
    SYS_time,
#endif
#ifdef __SANITIZE_ADDRESS__
    SYS_sigaltstack, /* asked by its run-time before _exit() */
#endif
};

#define LOAD(field)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value)    BPF_STMT(BPF_RET | BPF_K, value)
#define IF(value, t, f)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, t, f)
#define IF_BITS(v, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, v, t, f)
#define REFUSE           (SECCOMP_RET_ERRNO | EACCES)
#define PROT_EXEC_BIT    4 /* PROT_EXEC */
/* The low half of argument `n`; both architectures are little-endian. */
#define ARGUMENT(n) args[n]

static int enter_seccomp(void)
{
    struct sock_filter code[40 + 2 * ARRAY_LEN(allowed)] = {
        LOAD(arch),
        IF(ARCHITECTURE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        /* A file: ask for it. */
        IF(SYS_openat, 0, 1),
        RETURN(SECCOMP_RET_TRAP),
        /* A socket: of the Internet only. */
        IF(SYS_socket, 0, 5),
        LOAD(ARGUMENT(0)),
        IF(AF_INET, 1, 0),
        IF(AF_INET6, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(REFUSE),
        /* Memory: never executable. */
        IF(SYS_mmap, 1, 0),
        IF(SYS_mprotect, 0, 4),
        LOAD(ARGUMENT(2)),
        IF_BITS(PROT_EXEC_BIT, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(REFUSE),
    };
    unsigned short n = 0;
    while (code[n].code != 0 || code[n].k != 0)
        n++;
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        code[n++] = (struct sock_filter)IF(allowed[i], 0, 1);
        code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    }
    code[n++] = (struct sock_filter)RETURN(REFUSE);
    const struct sock_fprog program = { .len = n, .filter = code };
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------ the one file */

/* The handler is a plain function without an argument of its own, so this is where it finds the
 * control socket. Constant once the handler is set. */
static int broker = -1;

static int ask_for_file(void)
{
    char byte = 0;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } extra;
    struct iovec io = { &byte, 1 };
    struct msghdr message = { .msg_iov = &io,
                              .msg_iovlen = 1,
                              .msg_control = extra.bytes,
                              .msg_controllen = sizeof extra.bytes };
    int fd;
    if (send(broker, &byte, 1, MSG_NOSIGNAL) != 1 ||
        recvmsg(broker, &message, MSG_CMSG_CLOEXEC) != 1)
        return -EACCES;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (!c || c->cmsg_type != SCM_RIGHTS)
        return -ENOENT;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static void on_trap(int signum, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    int saved = errno;
    (void)signum;
    (void)info;
    const char *path = (const char *)CALL_ARGUMENT(uc, 1);
    CALL_RESULT(uc) = strcmp(path, "/etc/resolv.conf") == 0 ? ask_for_file() : -EACCES;
    errno = saved;
}

/* ------------------------------------------------------------------ the file system */

/* Every right of the version of Landlock that is here, granted nowhere. */
static int enter_landlock(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0; /* seccomp has to do */
    struct landlock_ruleset_attr attributes = {
        .handled_access_fs = version == 1   ? (1ull << 13) - 1
                             : version == 2 ? (1ull << 14) - 1
                             : version < 5  ? (1ull << 15) - 1
                                            : (1ull << 16) - 1,
    };
    long fd = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (fd < 0)
        return -errno;
    int r = syscall(SYS_landlock_restrict_self, (int)fd, 0) < 0 ? -errno : 0;
    close((int)fd);
    return r;
}

int sandbox_enter(int control, struct err *e)
{
    const struct sigaction trap = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
    broker = control;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        sigaction(SIGSYS, &trap, NULL) < 0)
        return err_set(e, -errno, "cannot give rights away: %s", strerror(errno));
    int r = enter_landlock();
    if (r < 0)
        return err_set(e, r, "Landlock: %s", strerror(-r));
    r = enter_seccomp();
    if (r < 0)
        return err_set(e, r, "seccomp: %s", strerror(-r));
    return 0;
}
