/* script.h: links without a network, for the targets of src/link/. In the place of sock.c
 * and of what ZeroMQ does with sockets: what peers send, when connections come and go and
 * how time passes is read from the input, step by step.
 *
 * One input is a list of steps, each a byte and what it takes. Bytes from SCRIPT_OWN on
 * belong to the target; script_step does the others:
 *     0..3    a message of raw bytes from peer p: 1 byte p, 2 bytes length, the bytes
 *     4..39   a whole frame of a kind from peer p: 1 byte p, 1 byte kind, 1 byte of what is
 *             bent, then the keys one by one (see fill in script.c)
 *     40 41   connected, lost         42  peer p can no longer be reached, or again: 1 byte p
 *     43      a queue is full, or no longer
 *     44      time passes: 1 byte, tenths of a second or, above 200, tens of seconds
 *     45      a tap says something: 1 byte length, bytes
 *     46      a message of several parts from peer p: 1 byte p */
#ifndef LCA_FUZZ_SCRIPT_H
#define LCA_FUZZ_SCRIPT_H

#include "frame/frame.h"
#include "fuzz.h"
#include "link/sock.h"

enum { SCRIPT_PEERS = 80, SCRIPT_OWN = 64 };

extern const uint8_t script_run[LCA_RUN_LEN];      /* the run that made frames are of */

struct script {
    struct fuzz_bytes bytes;
    bool over;              /* nothing more comes: every connection is lost */
    /* looks at what is sent; peer -1: to the one on the other side; f is decoded */
    void (*sent)(void *arg, int peer, const struct lca_frame *f);
    /* the target's own steps, where not it but a wait inside the library goes on with
     * the next one; -1: there are none left */
    void (*own)(int step);
    void *arg;
};
extern struct script script;

void script_begin(const uint8_t *data, size_t size);

/* Does the next step, unless it is the target's own: then its byte is returned, or given to
 * script.own. 0: done one; -1: there are none left, and from now on nobody is there. */
int script_step(void);

/* Has a frame come from a peer. */
void script_say(int peer, struct lca_frame *f);

/* HEAD of a stream with these sizes, as link tests need one. Belongs to script.c. */
struct lca_frame *script_head(const char *st, uint64_t P, uint64_t parts, uint64_t N, uint64_t chunk, bool by_class);

void script_end(void);

#endif
