/*
 * The kinds of work that EEMBC's CoreMark mixes, in code of our own: a linked list that is
 * searched, reversed and merge sorted, small matrices, a state machine over text, and a CRC of
 * everything. Its score is not comparable to CoreMark's.
 */
#include <stddef.h>

#include "bench.h"

#define NODES  500
#define SIDE   12
#define ROUNDS 1500

struct node {
    struct node *next;
    int16_t key, value;
};

static uint16_t crc16(uint16_t crc, uint32_t value)
{
    for (int bit = 0; bit < 32; bit++, value >>= 1) {
        unsigned carry = (crc ^ value) & 1;
        crc = (uint16_t)(crc >> 1 ^ (carry ? 0xa001 : 0));
    }
    return crc;
}

static struct node *list_reverse(struct node *list)
{
    struct node *done = NULL;
    while (list) {
        struct node *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static struct node *list_merge(struct node *a, struct node *b)
{
    struct node head, *tail = &head;
    while (a && b) {
        struct node **least = a->key <= b->key ? &a : &b;
        tail = tail->next = *least;
        *least = (*least)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *list_sort(struct node *list, int n)
{
    if (n < 2)
        return list;
    struct node *last = list;
    for (int i = 1; i < n / 2; i++)
        last = last->next;
    struct node *half = last->next;
    last->next = NULL;
    return list_merge(list_sort(list, n / 2), list_sort(half, n - n / 2));
}

static uint16_t list_work(uint64_t *state, uint16_t crc)
{
    static struct node nodes[NODES];
    for (int i = 0; i < NODES; i++)
        nodes[i] = (struct node){ i + 1 < NODES ? &nodes[i + 1] : NULL,
                                  (int16_t)bench_random(state), (int16_t)i };
    struct node *list = list_reverse(&nodes[0]);
    for (int want = 0; want < NODES; want += 25)
        for (struct node *n = list; n; n = n->next)
            if (n->value == want) {
                crc = crc16(crc, (uint16_t)n->key);
                break;
            }
    for (list = list_sort(list, NODES); list; list = list->next)
        crc = crc16(crc, (uint16_t)list->key);
    return crc;
}

static uint16_t matrix_work(uint64_t *state, uint16_t crc)
{
    static int32_t m[SIDE][SIDE], t[SIDE][SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        m[i / SIDE][i % SIDE] = (int16_t)bench_random(state);
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            uint32_t s = 0;
            for (int k = 0; k < SIDE; k++)
                s += (uint32_t)m[i][k] * (uint32_t)m[k][j] >> (k & 3);
            t[i][j] = (int32_t)s;
        }
    for (int i = 0; i < SIDE * SIDE; i++)
        crc = crc16(crc, (uint32_t)t[i % SIDE][i / SIDE]);
    return crc;
}

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, BAD, STATES };

static enum state state_next(enum state s, char c)
{
    int digit = c >= '0' && c <= '9';
    switch (s) {
    case START:
        return digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : BAD;
    case SIGN:
        return digit ? DIGITS : c == '.' ? POINT : BAD;
    case DIGITS:
        return digit ? DIGITS : c == '.' ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case POINT:
        return digit ? FRACTION : BAD;
    case FRACTION:
        return digit ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case EXPONENT:
        return digit || c == '-' ? EXPONENT : BAD;
    default:
        return BAD;
    }
}

static uint16_t text_work(uint64_t *state, uint16_t crc)
{
    static const char letters[16] = "0123456789.,,e+-";
    uint32_t ends[STATES] = { 0 };
    enum state s = START;
    for (int i = 0; i < 2000; i++) {
        char c = letters[bench_random(state) % 16];
        if (c == ',') {
            ends[s]++;
            s = START;
        } else {
            s = state_next(s, c);
        }
    }
    for (int i = 0; i < STATES; i++)
        crc = crc16(crc, ends[i]);
    return crc;
}

int main(void)
{
    uint64_t state = 88172645463325252u;
    uint16_t crc = 0xffff;
    uint64_t start = bench_now();
    for (int round = 0; round < ROUNDS; round++) {
        crc = list_work(&state, crc);
        crc = matrix_work(&state, crc);
        crc = text_work(&state, crc);
    }
    return bench_report(start, crc);
}
