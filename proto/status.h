/* status.h: how a stage is, said by itself. No payload.
 *
 * On taps alone, to who subscribes to topic s: about once a second, at once when somebody
 * comes, and a last time at the end of the stream. Never in a stream or a recording. `st`
 * is the stream whose tap it is; the keys speak of the whole program. Counts are since the
 * program began. The lists and maps:
 *
 *     in         from    endpoint
 *                seq     of the next frame
 *                done    all before it are processed
 *                lim     it has let itself be sent frames up to this seq, exclusive; absent:
 *                        a file or pipe
 *                age     s since the last frame came, or since the program began
 *     out        st      stream
 *                next    seq of the next frame
 *                done    all consumers have processed what is before it
 *                window  frames that next may be ahead of done; absent: no sockets
 *                frames, bytes   sent, whatever the number of consumers
 *     consumers  st      stream
 *                name    of the consumer
 *                state   here, lost (its frames are kept) or awaited (by --expect)
 *                done    seq of the first frame that it has not processed
 *                sent    of the first that it has not been sent
 *                lim     may be sent frames up to this seq, exclusive
 *                it      step of `done`; absent where steps have no fixed number of frames
 *     pool       waiting units that no worker has
 *                points  evaluation points in flight
 *                units   done
 *                again   given out a second time
 *     workers    name, host, pid, dev, num   see JOIN
 *                state   idle, busy, late (past its lease), leaving
 *                held    units it has
 *                done    units it has done
 *                mean    s, of computing one
 *     work       pool    endpoint of the pool that this worker serves
 *                units   computed
 *                held    waiting or being computed
 *                sec     s of computing */
#define LCA_PROTO_STATUS(F)                                                                         \
    F(str,  name,      R, "of the stage: $LCA_STAGE, else the program's")                           \
    F(str,  prog,      R, "program")                                                                \
    F(str,  host,      R, "where it runs")                                                          \
    F(uint, pid,       R, "likewise")                                                               \
    F(f8,   up,        R, "s since the program opened its links")                                   \
    F(f8,   cpu,       R, "s of processor time")                                                    \
    F(uint, rss,       R, "bytes of resident memory")                                               \
    F(int,  it,        R, "step of the newest frame sent, or received where it sends none; -1: none yet")\
    F(str,  wait,      O, "what it waits for")                                                      \
    F(str,  end,       O, "how its stream has ended: ok, interrupted or failed; absent: it has not")\
    F(uint, refused,   O, "frames from outside that it refused")                                    \
    F(any,  in,        O, "[{from, seq, done, lim, age}]: inputs")                                  \
    F(any,  out,       O, "[{st, next, done, window, frames, bytes}]: outputs")                     \
    F(any,  consumers, O, "[{st, name, state, done, sent, lim, it}]: of the outputs")               \
    F(any,  pool,      O, "{waiting, points, units, again}: the pool it gives work")                \
    F(any,  workers,   O, "[{name, host, pid, dev, num, state, held, done, mean}]: of the pool")    \
    F(any,  work,      O, "{pool, units, held, sec}: what it does as a worker of a pool")
