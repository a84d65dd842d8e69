#!/usr/bin/python3
"""A slow consumer of an lca stream that watches the stages before it.

    soak.py STEPS AHEAD NAME=PID... < STREAM

It takes BURST steps as fast as they come, then sleeps, again and again, as a stage does
that writes to a busy disk. Once in the first tenth the stage `recorder` stands still for
a while, so that every window has been full: what windows hold is what stages may use.
All the while it reads the resident memory of each process, and after each sleep how far
training is ahead of it, from the last line of the file AHEAD, in which a tap of the theta
stream lists steps. At the end it prints a table.
Status 1 where the memory of a stage grew by more than 5 % after the first 10 % of the
steps, or where training did not wait for it."""
import os
import re
import signal
import sys
import threading
import time

import msgpack

BURST, SLEEP, STOP = 250, 1.0, 3.0      # steps; seconds
WINDOW = 64                     # steps that a link holds at most
PIPE = 16                       # and what the pipe to here holds, with what is in lca-cat's hands
GROWTH = 1.05


def resident(pids, before):
    """KiB of each stage; who has ended already keeps what it had."""
    now = dict(before)
    for name, pid in pids.items():
        try:
            with open('/proc/%s/status' % pid) as f:
                now[name] = int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))
        except (FileNotFoundError, ProcessLookupError, AttributeError):     # gone, or a zombie
            pass
    return now


def last_step(path):
    with open(path, 'rb') as f:
        f.seek(max(0, f.seek(0, 2) - 500))
        return int(re.findall(rb'"it":(\d+)\}\n', f.read())[-1])


def main(steps, ahead, *stages):
    steps = int(steps)
    stages = dict(s.split('=') for s in stages)
    samples, leads, kib = [], [], {}    # (step, {name: KiB}); steps
    unpacker = msgpack.Unpacker(raw=False)
    done, began, slept = 0, time.time(), 0
    while data := sys.stdin.buffer.read1(1 << 20):
        unpacker.feed(data)
        for item in unpacker:
            head = msgpack.unpackb(item[1], raw=False) if isinstance(item[1], bytes) else item[1]
            if head['t'] != 'lca':
                continue
            done = head['it'] + 1
            if done % 50 == 0:
                kib = resident(stages, kib)
                samples.append((done, kib))
            if done == steps // 20:
                os.kill(int(stages['recorder']), signal.SIGSTOP)
                threading.Timer(STOP, os.kill, (int(stages['recorder']), signal.SIGCONT)).start()
            if done % BURST == 0:
                time.sleep(SLEEP)
                slept += SLEEP
                leads.append(last_step(ahead) - done)
    assert done == steps, 'the stream ended at step %d of %d' % (done, steps)
    print('%d steps in %.0f s, %.0f s of them asleep; training was %d to %d steps ahead after a sleep'
          % (done, time.time() - began, slept, min(leads), max(leads)))
    print('%-10s %10s %10s %10s %10s %10s   KiB resident' % ('stage', '10 %', '25 %', '50 %', '100 %', 'most after'))
    grown = []
    for name in stages:
        at = [next(s[1][name] for s in samples if s[0] >= steps * part) for part in (0.1, 0.25, 0.5, 1)]
        most = max(s[1][name] for s in samples if s[0] >= steps / 10)
        print('%-10s %10d %10d %10d %10d %10d   %+.2f %%' % (name, *at, most, 100 * most / at[0] - 100))
        if most > GROWTH * at[0]:
            grown.append(name)
    if grown:
        print('grew by more than 5 %: ' + ', '.join(grown))
    if max(leads) > WINDOW + PIPE:
        print('training was too far ahead')
    return bool(grown) or max(leads) > WINDOW + PIPE


sys.exit(main(*sys.argv[1:]))
