#include "host/share_node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/share_os.h"

/* ------------------------------------------------------------------ tables */

#define TABLE_FIRST 64

/* Room for one more. The caller bounds how many there are. */
static int table_grow(struct share_table *t)
{
    if (t->free < t->size)
        return 0;
    uint32_t size = t->size ? 2 * t->size : TABLE_FIRST;
    struct share_slot *slot = realloc(t->slot, size * sizeof *slot);
    if (!slot)
        return -ENOMEM;
    for (uint32_t i = t->size; i < size; i++)
        slot[i] = (struct share_slot){ .next_free = i + 1 };
    t->slot = slot;
    t->size = size;
    return 0;
}

static int table_add(struct share_table *t, void *item, uint64_t *id)
{
    int rc = table_grow(t);
    if (rc < 0)
        return rc;
    uint32_t i = t->free;
    t->free = t->slot[i].next_free;
    t->slot[i].item = item;
    *id = (uint64_t)t->slot[i].generation << 32 | (i + 1);
    return 0;
}

static void *table_get(const struct share_table *t, uint64_t id)
{
    uint32_t i = (uint32_t)id - 1;
    if ((uint32_t)id == 0 || i >= t->size || t->slot[i].generation != id >> 32)
        return NULL;
    return t->slot[i].item;
}

static void table_remove(struct share_table *t, uint64_t id)
{
    uint32_t i = (uint32_t)id - 1;
    t->slot[i].item = NULL;
    t->slot[i].generation++;
    t->slot[i].next_free = t->free;
    t->free = i;
}

/* ------------------------------------------------------------------ nodes */

static struct share_node **bucket_of(struct share *s, dev_t dev, ino_t ino)
{
    uint64_t hash = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15u;
    return &s->bucket[hash >> 32 & (s->buckets - 1)];
}

/* Longer chains are only slower, so that memory for more buckets cannot be had is no error. */
static void buckets_grow(struct share *s)
{
    unsigned old = s->buckets;
    struct share_node **from = s->bucket, **to = calloc(2u * old, sizeof(struct share_node *));
    if (!to)
        return;
    s->bucket = to;
    s->buckets = 2 * old;
    for (unsigned i = 0; i < old; i++)
        for (struct share_node *n = from[i], *next; n; n = next) {
            struct share_node **b = bucket_of(s, n->dev, n->ino);
            next = n->next;
            n->next = *b;
            *b = n;
        }
    free(from);
}

static struct share_node *node_find(struct share *s, dev_t dev, ino_t ino)
{
    struct share_node *n = *bucket_of(s, dev, ino);
    while (n && (n->ino != ino || n->dev != dev))
        n = n->next;
    return n;
}

/* Nobody knows or uses `n` any more. The lock is held. */
static void node_remove(struct share *s, struct share_node *n)
{
    struct share_node **p = bucket_of(s, n->dev, n->ino);
    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    table_remove(&s->nodes, n->id);
    s->used--;
}

static void node_free(struct share_node *n)
{
    close(n->fd);
    free(n);
}

struct share_node *share_node_get(struct share *s, uint64_t id)
{
    lock_acquire(&s->lock);
    struct share_node *n = table_get(&s->nodes, id);
    if (n)
        n->uses++;
    lock_release(&s->lock);
    return n;
}

/* Give `uses` and `lookups` back. The file is closed outside of the lock, because the last close of
 * a file without a name may take long. */
static void node_give_back(struct share *s, struct share_node *n, unsigned uses, uint64_t lookups)
{
    lock_acquire(&s->lock);
    n->uses -= uses;
    n->lookups -= lookups < n->lookups ? lookups : n->lookups;
    bool gone = n->uses == 0 && n->lookups == 0;
    if (gone)
        node_remove(s, n);
    lock_release(&s->lock);
    if (gone)
        node_free(n);
}

void share_node_put(struct share *s, struct share_node *n)
{
    node_give_back(s, n, 1, 0);
}

void share_forget(struct share *s, uint64_t node, uint64_t lookups)
{
    struct share_node *n = node == SHARE_ROOT ? NULL : share_node_get(s, node);
    if (n)
        node_give_back(s, n, 1, lookups);
}

/* Make a node; the lock is held. Takes `fd` over if it succeeds. */
static int node_add(struct share *s, int fd, const struct stat *st, struct share_node **out)
{
    if (s->used >= s->limit)
        return -ENFILE;
    struct share_node *n = calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    *n = (struct share_node){
        .dev = st->st_dev, .ino = st->st_ino, .type = st->st_mode & S_IFMT, .fd = fd
    };
    int rc = table_add(&s->nodes, n, &n->id);
    if (rc < 0) {
        free(n);
        return rc;
    }
    if (s->used >= s->buckets)
        buckets_grow(s);
    struct share_node **b = bucket_of(s, n->dev, n->ino);
    n->next = *b;
    *b = n;
    s->used++;
    *out = n;
    return 0;
}

int share_node_enter(struct share *s, int fd, struct share_entry *out)
{
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) < 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    lock_acquire(&s->lock);
    /* A node's descriptor keeps its file, so the same number is the same file. */
    struct share_node *n = node_find(s, st.st_dev, st.st_ino);
    bool known = n != NULL;
    if (!known)
        rc = node_add(s, fd, &st, &n);
    if (rc == 0) {
        n->lookups++;
        out->node = n->id;
    }
    lock_release(&s->lock);
    if (known || rc < 0)
        close(fd);
    if (rc == 0)
        share_fill_attr(s, &st, &out->attr);
    return rc;
}

void share_node_changed(struct share *s, struct share_node *n)
{
    lock_acquire(&s->lock);
    n->stamp.valid = false;
    lock_release(&s->lock);
}

/* ------------------------------------------------------------------ handles */

struct share_handle *share_handle_get(struct share *s, uint64_t id, unsigned want)
{
    lock_acquire(&s->lock);
    struct share_handle *h = table_get(&s->handles, id);
    if (h && (h->flags & want) != want)
        h = NULL;
    if (h)
        h->uses++;
    lock_release(&s->lock);
    return h;
}

void share_handle_put(struct share *s, struct share_handle *h)
{
    lock_acquire(&s->lock);
    bool gone = --h->uses == 0;
    if (gone)
        s->used--;
    lock_release(&s->lock);
    if (!gone)
        return;
    if (h->dir)
        closedir(h->dir);
    else
        close(h->fd);
    share_node_put(s, h->node);
    free(h);
}

int share_handle_enter(struct share *s, struct share_node *n, int fd, DIR *dir, unsigned flags,
                       uint64_t *id)
{
    struct share_handle *h = calloc(1, sizeof *h);
    int rc = h ? 0 : -ENOMEM;
    lock_acquire(&s->lock);
    if (rc == 0 && s->used >= s->limit)
        rc = -ENFILE;
    if (rc == 0) {
        *h = (struct share_handle){ .node = n, .fd = fd, .dir = dir, .flags = flags, .uses = 1 };
        rc = table_add(&s->handles, h, &h->id);
    }
    if (rc == 0) {
        n->uses++;
        s->used++;
        *id = h->id;
    }
    lock_release(&s->lock);
    if (rc < 0) {
        free(h);
        if (dir)
            closedir(dir);
        else
            close(fd);
    }
    return rc;
}

int share_release(struct share *s, uint64_t handle, bool now)
{
    lock_acquire(&s->lock);
    struct share_handle *h = table_get(&s->handles, handle);
    int rc = h ? 0 : -EBADF;
    /* Closing what was written to may write it. */
    if (h && now && (!s->local || h->node->dev != s->dev || (h->flags & SHARE_WRITE)))
        rc = -EAGAIN;
    if (rc == 0)
        table_remove(&s->handles, handle);
    lock_release(&s->lock);
    if (rc == 0)
        share_handle_put(s, h);
    return rc;
}

/* ------------------------------------------------------------------ all of them */

#define BUCKETS_FIRST 64

int share_nodes_init(struct share *s, int root_fd)
{
    struct share_node *root;
    struct stat st;
    s->buckets = BUCKETS_FIRST;
    s->bucket = calloc(s->buckets, sizeof(struct share_node *));
    if (!s->bucket)
        return -ENOMEM;
    if (fstat(root_fd, &st) < 0)
        return -errno;
    s->dev = st.st_dev;
    int rc = node_add(s, root_fd, &st, &root);
    if (rc < 0)
        return rc;
    assert(root->id == SHARE_ROOT);
    root->lookups = 1;
    return 0;
}

void share_reset(struct share *s)
{
    for (uint32_t i = 0;; i++) {
        lock_acquire(&s->lock);
        struct share_handle *h = i < s->handles.size ? s->handles.slot[i].item : NULL;
        bool end = i >= s->handles.size;
        if (h)
            table_remove(&s->handles, h->id);
        lock_release(&s->lock);
        if (end)
            break;
        if (h)
            share_handle_put(s, h);
    }
    for (uint32_t i = 1;; i++) { /* 0 is the root */
        lock_acquire(&s->lock);
        struct share_node *n = i < s->nodes.size ? s->nodes.slot[i].item : NULL;
        bool end = i >= s->nodes.size;
        if (n)
            n->uses++;
        lock_release(&s->lock);
        if (end)
            break;
        if (n)
            node_give_back(s, n, 1, UINT64_MAX);
    }
}

void share_nodes_fini(struct share *s)
{
    if (s->nodes.size > 0) {
        share_reset(s);
        struct share_node *root = table_get(&s->nodes, SHARE_ROOT);
        if (root)
            node_free(root);
    }
    free(s->nodes.slot);
    free(s->handles.slot);
    free(s->bucket);
}

unsigned share_used(struct share *s)
{
    lock_acquire(&s->lock);
    unsigned used = s->used;
    lock_release(&s->lock);
    return used;
}
