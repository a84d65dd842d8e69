/* beside.c: a descriptor that is no link of frames, waited for together with those. */
#include <stdlib.h>

#include "link/member.h"

struct beside {
    struct lca_member member;
    const struct lca_beside *x;
};

static const struct lca_beside *of(struct lca_member *m)
{
    return ((struct beside *)m)->x;
}

static int beside_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    if (room < 1)
        return 0;
    items[0] = (zmq_pollitem_t){.fd = of(m)->fd, .events = ZMQ_POLLIN};
    return 1;
}

static int beside_serve(struct lca_member *m, struct lca_err *err)
{
    return of(m)->serve(of(m)->arg, err);
}

static int beside_due(struct lca_member *m)
{
    return of(m)->due(of(m)->arg);
}

static void beside_status(const struct lca_member *m, struct lca_state *s)
{
    (void)m, (void)s;
}

static void beside_close(struct lca_member *m)
{
    free(m);
}

int lca_link_beside(struct lca_link *l, const struct lca_beside *x, struct lca_err *err)
{
    struct beside *b = lca_alloc(1, sizeof *b, err);
    if (!b)
        return -1;
    b->x = x;
    b->member = (struct lca_member){.items = beside_items, .serve = beside_serve, .due = beside_due,
                                    .status = beside_status, .close = beside_close};
    lca_link_add(l, &b->member);
    return 0;
}
