#include "link/kept.h"

#include <stdlib.h>

struct lca_packet *lca_kept_at(struct lca_kept *k, uint64_t seq)
{
    return &k->ring[(k->at + (size_t)(seq - k->base)) % k->cap];
}

static int grow(struct lca_kept *k, struct lca_err *err)
{
    size_t cap = k->cap ? 2 * k->cap : 64;
    struct lca_packet *ring = lca_alloc(cap, sizeof *ring, err);
    if (!ring)
        return -1;
    for (uint64_t seq = k->base; seq < k->next; seq++) {
        struct lca_packet *from = lca_kept_at(k, seq);
        lca_packet_share(&ring[seq - k->base], from);
        lca_packet_close(from);
    }
    free(k->ring);
    k->ring = ring;
    k->cap = cap;
    k->at = 0;
    return 0;
}

int lca_kept_add(struct lca_kept *k, struct lca_packet *p, struct lca_err *err)
{
    if (k->next - k->base == k->cap && grow(k, err) < 0)
        return -1;
    lca_packet_share(lca_kept_at(k, k->next++), p);
    return 0;
}

void lca_kept_release(struct lca_kept *k, uint64_t seq)
{
    while (k->base < seq && k->base < k->next) {
        lca_packet_close(lca_kept_at(k, k->base));
        k->at = (k->at + 1) % k->cap;
        k->base++;
    }
}

void lca_kept_clear(struct lca_kept *k)
{
    lca_kept_release(k, k->next);
    free(k->ring);
    *k = (struct lca_kept){0};
}
