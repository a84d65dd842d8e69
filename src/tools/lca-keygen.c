/* lca-keygen: makes the keys that tcp links between machines are encrypted with, and
 * know each other by. Out: NAME.key, which is secret, and NAME.pub. */
#include <stdio.h>

#include "base/tool.h"
#include "link/keys.h"

static bool want_public;

static const struct lca_opt opts[] = {
    {"public", 'p', LCA_OPT_FLAG, &want_public, NULL, "Make nothing: read the secret key FILE and "
     "print what its .pub file holds.", 0, 0, true},
    {0},
};

static int print_public(const char *path, struct lca_err *err)
{
    struct lca_key k;
    if (lca_key_read_secret(&k, path, err) < 0)
        return -1;
    printf("curve\n    public-key = \"%s\"\n", k.public_key);
    return 0;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc;
    if (want_public)
        return print_public(argv[0], err);
    if (lca_key_make(argv[0], err) < 0)
        return -1;
    printf("%s.key  secret: stays here, for --key\n"
           "%s.pub  public: for the others, in their folder --peers or as their --server-key\n", argv[0], argv[0]);
    return 0;
}

static const struct lca_tool tool = {
    .name = "lca-keygen",
    .summary = "make a pair of keys for links between machines",
    .usage = "NAME | --public FILE.key",
    .about = "Writes NAME.key, a secret key that only you can read, and NAME.pub, the public key that belongs to it. "
             "Each machine of a run has a pair of its own. The side that binds a tcp endpoint is started with its --key "
             "and with --peers, a folder of the .pub files of those who may connect; the side that connects with its "
             "own --key and with --server-key, the .pub file of the side that binds. What goes over the link is then "
             "encrypted, and each side knows the other.\n\n"
             "Files that are there already are never replaced. docs/security.md shows a run on two machines.",
    .examples = "  lca-keygen hub                 # hub.key and hub.pub\n"
                "  lca-keygen --public hub.key > hub.pub",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
