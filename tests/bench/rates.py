#!/usr/bin/python3
"""rates.py DIR: the table of filters.sh from its streams in DIR.

Every program that knows --layers is measured on the first stream that it takes. Best of
five runs: by the clock, and by the processor time that it took, which other programs on
the machine disturb less; a bar counts as reached where either reaches it."""
import glob
import os
import resource
import subprocess
import sys
import time

import numpy

STREAMS = 'lca', 'by-class', 'lca,move,eff', 'lca,move,grad,eff'
BARS = {'lca-layers': 500, 'lca-helping': 500, 'lca-oscillation': 500, 'lca-units': 100, 'lca-spread': 100,
        'lca-correlation': 100}
RUNS = 5


def seconds(command, path):
    """By the clock and of the processor; None where the program does not take the stream."""
    best = [float('inf')] * 2
    for _ in range(RUNS):
        used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        with open(path, 'rb') as f:
            done = subprocess.run(command, stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        clock, now = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode == 2:
            return None
        done.check_returncode()
        best = [min(best[0], clock), min(best[1], now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)]
    return best


def copying(size):
    """Seconds to copy so many bytes in memory."""
    a, best = numpy.ones(size, 'u1'), float('inf')
    b = numpy.empty_like(a)
    for _ in range(RUNS):
        start = time.perf_counter()
        numpy.copyto(b, a)
        best = min(best, time.perf_counter() - start)
    return best


def row(name, size, times, stream='', bar=None):
    rates = [size / t / 1e6 for t in times]
    good = bar is None or max(rates) >= bar
    print('%-18s %8.0f %8.0f   %-18s %s' % (name, *rates, stream, '' if bar is None else '%d%s' %
                                            (bar, '' if good else '  below')))
    return good


def main(folder):
    path = {s: '%s/%s.lca' % (folder, s) for s in STREAMS}
    directions = folder + '/directions.npy'
    numpy.save(directions, numpy.linalg.qr(numpy.random.default_rng(1).standard_normal((84060, 2)))[0].T)
    own = {'lca-project': ['--directions', directions]}
    print('%-18s %8s %8s   %-18s %s' % ('MB/s', 'clock', 'cpu', 'stream', 'bar'))
    size = os.path.getsize(path['lca'])
    row('memory, copied', size, [copying(size)] * 2)
    row('lca-cat', size, seconds(['lca-cat'], path['lca']), 'lca')
    good = True
    for source in sorted(glob.glob('src/tools/lca-*.c')):
        name = os.path.basename(source)[:-2]
        if b'--layers PATTERN' not in subprocess.run([name, '--help'], stdout=subprocess.PIPE).stdout:
            continue
        for stream in STREAMS:
            times = seconds([name] + own.get(name, []), path[stream])
            if times:
                good &= row(name, os.path.getsize(path[stream]), times, stream, BARS.get(name))
                break
        else:
            print('%-18s takes none of the streams' % name)
            good = False
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
