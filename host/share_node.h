/*
 * What the guest knows and has open: two tables, and who uses what is in them. For the files of
 * host/share*.c only.
 */
#ifndef HOST_SHARE_NODE_H
#define HOST_SHARE_NODE_H

#include <dirent.h>
#include <sys/stat.h>

#include "base/lock.h"
#include "host/share.h"

/* When a file was last changed, as a guest that keeps its bytes must know. */
struct share_stamp {
    bool valid;
    struct timespec mtime, ctime;
    off_t size;
};

struct share_node {
    uint64_t id;
    dev_t dev;
    ino_t ino;
    mode_t type; /* S_IFMT of its mode */
    int fd;      /* of no use but to name the file (share_os.h) */
    uint64_t lookups;
    unsigned uses;           /* calls under way and handles */
    struct share_node *next; /* in the hash chain */
    struct share_stamp stamp;
};

struct share_handle {
    uint64_t id;
    struct share_node *node;
    int fd;   /* of a file */
    DIR *dir; /* of a folder: then `fd` is its */
    uint64_t dir_offset;
    const struct dirent *dir_next; /* the entry at `dir_offset`, if it was read already */
    unsigned flags;                /* enum share_open_flags */
    unsigned uses;                 /* calls under way, and 1 until it is released */
    bool busy;                     /* somebody reads `dir` */
};

/* Numbers for things. A number names its slot and how often the slot was used before, so that an
 * old one names nothing. */
struct share_slot {
    void *item;
    uint32_t generation;
    uint32_t next_free;
};

struct share_table {
    struct share_slot *slot;
    uint32_t size; /* slots there are */
    uint32_t free; /* the first free one; `size`: none */
};

struct workers;

struct share {
    bool read_only;
    bool local; /* the host's file system answers from memory what it has there (share_os.h) */
    uid_t uid;
    gid_t gid;
    uint32_t guest_uid, guest_gid;
    dev_t dev;      /* of the root */
    int root;       /* open for reading */
    unsigned limit; /* of nodes and handles together */
    struct workers *workers;

    struct lock lock; /* LOCK_HOST; guards what follows. No system call under it but close() */
    pthread_cond_t not_busy;
    struct share_table nodes, handles;
    struct share_node **bucket; /* nodes by device and inode number */
    unsigned buckets;           /* a power of two */
    unsigned used;              /* nodes and handles */
};

/* Take the node `id`, until share_node_put(). NULL: there is none. */
struct share_node *share_node_get(struct share *s, uint64_t id);
void share_node_put(struct share *s, struct share_node *n);
/* The file behind `fd`, with one more lookup. Takes `fd` over, in any case. */
int share_node_enter(struct share *s, int fd, struct share_entry *out) MUST_CHECK;

/* Take a handle, until share_handle_put(). `want` is flags it must have. NULL: none, or not so. */
struct share_handle *share_handle_get(struct share *s, uint64_t id, unsigned want);
void share_handle_put(struct share *s, struct share_handle *h);
/* Make a handle of `fd` and `dir`, which it takes over in any case. `n` is taken by the caller. */
int share_handle_enter(struct share *s, struct share_node *n, int fd, DIR *dir, unsigned flags,
                       uint64_t *id) MUST_CHECK;

/* What the guest is told. */
void share_fill_attr(const struct share *s, const struct stat *st, struct share_attr *out);
/* May the guest use `name` for something in a folder? 0 or negative errno. */
int share_check_name(const char *name) MUST_CHECK;
/* The guest changed the file: what it keeps of it is not what it read. */
void share_node_changed(struct share *s, struct share_node *n);

int share_nodes_init(struct share *s, int root_fd) MUST_CHECK;
void share_nodes_fini(struct share *s);

#endif
