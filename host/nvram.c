#include "host/nvram.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "host/disk_os.h"

/* Read until `size` bytes are there or the file ends. */
static int nvram_read(const struct nvram *n)
{
    for (uint64_t done = 0; done < n->size;) {
        ssize_t now = pread(n->fd, n->memory + done, n->size - done, (off_t)done);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return -errno;
        if (now == 0)
            break;
        done += (uint64_t)now;
    }
    return 0;
}

static int nvram_prepare(struct nvram *n, const char *path, const char *option, struct err *e)
{
    struct stat st;
    if (fstat(n->fd, &st) < 0)
        return err_set(e, -errno, "%s vars='%s': cannot look at it (%s)", option, path,
                       strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "%s vars='%s': this is no regular file; give one", option, path);
    if ((uint64_t)st.st_size > n->size)
        return err_set(e, -E2BIG,
                       "%s vars='%s': it is larger than the %llu MiB of the flash; give a file of "
                       "variables, or the name of a new one",
                       option, path, (unsigned long long)(n->size >> 20));
    if (flock(n->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return err_set(e, -EBUSY,
                       "%s vars='%s': it is in use by another process; give each machine its own",
                       option, path);
    int r = nvram_read(n);
    return r < 0 ? err_set(e, r, "%s vars='%s': cannot read it (%s)", option, path, strerror(-r))
                 : 0;
}

int nvram_open(struct nvram *n, const char *path, const char *option, void *memory, uint64_t size,
               struct err *e)
{
    n->memory = memory;
    n->size = size;
    atomic_store(&n->dirty, false);
    /* O_NONBLOCK: a FIFO must not hang. */
    n->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (n->fd < 0)
        return err_set(e, -errno,
                       "%s vars='%s': cannot open it for writing (%s); give a file that can be "
                       "written, or the name of a new one",
                       option, path, strerror(errno));
    int r = nvram_prepare(n, path, option, e);
    if (r < 0) {
        close(n->fd);
        n->fd = -1;
    }
    return r;
}

int nvram_write(struct nvram *n, uint64_t offset, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t now = pwrite(n->fd, n->memory + offset + done, size - done, (off_t)(offset + done));
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return -errno;
        done += (uint64_t)now;
    }
    atomic_store(&n->dirty, true);
    return 0;
}

int nvram_sync(struct nvram *n)
{
    return atomic_exchange(&n->dirty, false) ? disk_os_sync(n->fd) : 0;
}

void nvram_close(struct nvram *n)
{
    int r = nvram_sync(n);
    if (r < 0)
        log_warn("flash", "the variables may not be on stable storage: %s", strerror(-r));
    close(n->fd);
    n->fd = -1;
}
