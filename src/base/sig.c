#include "base/sig.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static pthread_t reader;    /* the thread that blocks the signals and reads the descriptor */
static void (*answer)(void *arg);
static void *answer_arg;

/* Runs in a thread that does not block them: OpenBLAS starts its threads before main. */
static void hand_over(int signo)
{
    pthread_kill(reader, signo);
}

static void give_answer(void)
{
    if (answer)
        answer(answer_arg);
}

static void asked(int signo)
{
    int saved = errno;
    if (pthread_equal(pthread_self(), reader))
        give_answer();
    else
        hand_over(signo);
    errno = saved;
}

static void mask_usr1(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, NULL);
}

void lca_sig_early(void)
{
    struct sigaction ask = {.sa_handler = asked, .sa_flags = SA_RESTART};
    reader = pthread_self();
    mask_usr1(SIG_BLOCK);
    sigaction(SIGUSR1, &ask, NULL);
}

void lca_sig_answer(void (*to)(void *arg), void *arg)
{
    answer = to;
    answer_arg = arg;
}

/* A question that came before somebody could answer it still waits. */
void lca_sig_hear(void)
{
    if (answer)
        mask_usr1(SIG_UNBLOCK);
}

void lca_sig_deaf(void)
{
    if (answer)
        mask_usr1(SIG_BLOCK);
}

int lca_sig_open(struct lca_sig *s, enum lca_sig_place place, struct lca_err *err)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct sigaction hand = {.sa_handler = hand_over, .sa_flags = SA_RESTART}, old;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    *s = (struct lca_sig){.fd = -1, .place = place};
    lca_sig_early();        /* for programs that are none of ours, such as tests */
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
        sigaddset(&set, signals[k]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot block signals");
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
        if (sigaction(signals[k], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(signals[k], &hand, NULL);     /* what a shell ignores stays ignored */
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot watch for signals");
    return 0;
}

enum lca_sig_want lca_sig_poll(struct lca_sig *s)
{
    struct signalfd_siginfo info;
    while (s->fd >= 0 && read(s->fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            give_answer();
            continue;
        }
        s->seen++;
        bool ignored = info.ssi_signo == SIGINT && s->place != LCA_SIG_SOURCE;
        if (s->seen > 1)
            s->want = LCA_SIG_ABORT;
        else if (!ignored)
            s->want = LCA_SIG_STOP;
    }
    return s->want;
}

void lca_sig_close(struct lca_sig *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
