/* helping.h: how many parameters helped in a step (Lan et al. 2019, section 4). */
#ifndef LCA_LCA_HELPING_H
#define LCA_LCA_HELPING_H

#include <stdint.h>

struct lca_helping {
    uint64_t n, negative, zero;     /* parameters: all, A < 0, A = 0 (-0 too) */
    double helped, all;             /* nat: sum of |A| where A < 0, and of all */
};

enum lca_helping_measure { LCA_HELP_P, LCA_HELP_Q, LCA_HELP_Z, LCA_HELP_W, LCA_HELP_MEASURES };
extern const char *const lca_helping_name[LCA_HELP_MEASURES];      /* "p", "q", "z", "w" */

/* Counts A [n] into *c, and adds 1 to helped[i] [n] where A[i] < 0. */
void lca_helping_count(struct lca_helping *c, const float *A, uint32_t *helped, uint64_t n);

/* The same but for the sums and for who helped. */
void lca_helping_signs(struct lca_helping *c, const float *A, uint64_t n);

void lca_helping_add(struct lca_helping *to, const struct lca_helping *c);

/* Percent: p of all that helped; q of those that did anything; z that did nothing;
 * w the helpers' part in the sum of |A|. NaN where there is nothing to divide by. */
void lca_helping_measure(double m[LCA_HELP_MEASURES], const struct lca_helping *c);

#endif
