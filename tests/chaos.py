#!/usr/bin/python3
"""One run of the pipeline through random faults, beside an undisturbed one.

    chaos.py SEED FAULTS STEPS

Runs in an empty folder, with sockets in $LCA_DIR. First the run as it should be, then
the same under FAULTS faults, spread over its length: the k-th comes when k/FAULTS of
the recording are there. The seed says which fault, whom it hits, and for how long. At
the end: every stage has ended with 0, all recordings are the same bytes, nothing that
was started is left, and lca-integrate used no processor time while it had no workers.
Prints what was done and what the pool said; status 1 where something is not so."""
import collections
import filecmp
import heapq
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time

LEASE = 0.3                     # seconds; the usual 10 would make a long test
MOST = 6                        # workers at a time
PATIENCE = 120                  # seconds without progress before it is a failure
TICK = os.sysconf('SC_CLK_TCK')
RECORDED = ('theta', 'lca', 'layers')

NET = '''{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": [
  {"type": "dense", "name": "one", "units": 16}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}'''


class Run:
    """The stages, and how to disturb them."""

    def __init__(self, folder, steps):
        self.folder, self.serial = folder, 0
        os.mkdir(folder)
        self.env = dict(os.environ, LCA_DIR='%s/%s' % (os.environ['LCA_DIR'], folder))
        self.stages, self.workers, self.taps, self.old = {}, {}, {}, []
        self.stage('train', 'lca-train --net ./net.json --data d --batch 50 --iterations %d --out ipc:theta '
                   '--expect integrate,theta' % steps)
        self.stage('integrate', 'lca-integrate --in ipc:theta --pool ipc:pool --sets train --chunk 400 '
                   '--tolerance 3e-5 --max-pieces 4 --lease %g --out ipc:lca --expect layers-of,lca' % LEASE)
        self.stage('layers-of', 'lca-layers --in ipc:lca --out ipc:layers --expect layers')
        for name in RECORDED:
            self.stage(name, 'lca-cat --in ipc:%s --out %s/%s.lca' % (name, folder, name))

    def start(self, name, command):
        with open('%s/%s.err' % (self.folder, name), 'wb') as err:
            return subprocess.Popen(command.split(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                                    env=dict(self.env, LCA_STAGE=name))

    def stage(self, name, command):
        self.stages[name] = self.start(name, command)

    def worker(self):
        self.serial += 1
        name = 'w%d' % self.serial
        self.workers[name] = self.start(name, 'lca-grad --data d --pool ipc:pool')

    def tap(self, stream):
        self.serial += 1
        self.taps['tap%d' % self.serial] = self.start('tap%d' % self.serial, 'lca-tap --data ipc:' + stream)

    def said(self, text):
        with open(self.folder + '/integrate.err') as err:
            return len(re.findall(text, err.read()))

    def alone(self):
        """The pool has said that it has no worker, and of none since."""
        with open(self.folder + '/integrate.err') as err:
            return re.findall('no workers, waiting|joined', err.read())[-1:] == ['no workers, waiting']

    def recorded(self):
        path = self.folder + '/lca.lca'
        return os.path.getsize(path) if os.path.exists(path) else 0

    def reap(self):
        """Takes workers and taps off the lists that have ended; a stage must not fail."""
        for some in (self.workers, self.taps):
            for name in [n for n, p in some.items() if p.poll() is not None]:
                self.old.append((name, some.pop(name)))
        for name, p in self.stages.items():
            if p.poll():
                raise Wrong('%s ended with %d: %s' % (name, p.returncode, last_line(self.folder, name)))

    def over(self):
        return all(p.poll() is not None for p in self.stages.values())

    def all(self):
        return [*self.stages.items(), *self.workers.items(), *self.taps.items(), *self.old]

    def kill(self):
        for sign in signal.SIGSTOP, signal.SIGKILL:
            for _, p in self.all():
                if p.poll() is None:
                    p.send_signal(sign)
        for _, p in self.all():
            p.wait()

    def left(self):
        """Processes that carry this run's LCA_DIR and still live."""
        mark = ('LCA_DIR=' + self.env['LCA_DIR']).encode()
        pids = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/environ' % pid, 'rb') as f:
                    if mark in f.read().split(b'\0'):
                        pids.append(pid)
            except OSError:
                pass
        return pids


class Wrong(Exception):
    pass


def last_line(folder, name):
    with open('%s/%s.err' % (folder, name)) as f:
        return (f.read().splitlines() or ['nothing said'])[-1]


class Chaos:
    def __init__(self, run, seed):
        self.run, self.random = run, random.Random(seed)
        self.later, self.order = [], itertools.count()      # what is to be done at what time
        self.counts = collections.Counter()
        self.idle = []                                      # processor time per second with an empty pool

    def after(self, seconds, what, *args):
        heapq.heappush(self.later, (time.monotonic() + seconds, next(self.order), what, args))

    def due(self):
        while self.later and self.later[0][0] <= time.monotonic():
            _, _, what, args = heapq.heappop(self.later)
            what(*args)

    def some(self, of):
        return of[self.random.choice(sorted(of))]

    def signal(self, process, number):
        if process.poll() is None:
            process.send_signal(number)

    # the faults

    def killed(self):
        self.signal(self.some(self.run.workers), signal.SIGKILL)

    def told_to_leave(self):
        self.signal(self.some(self.run.workers), signal.SIGTERM)

    def joined(self):
        self.run.worker()

    def hold(self, process, seconds):
        self.signal(process, signal.SIGSTOP)
        self.after(seconds, self.signal, process, signal.SIGCONT)

    def stopped(self):
        self.hold(self.some(self.run.workers), self.random.uniform(0.02, LEASE))

    def stopped_beyond_the_lease(self):
        self.hold(self.some(self.run.workers), self.random.uniform(2, 5) * LEASE)

    def slowed(self):
        """Ten times, for a while."""
        self.limp(self.some(self.run.workers), int(self.random.uniform(5, 15)))

    def limp(self, process, times):
        self.hold(process, 0.09)
        if times > 1:
            self.after(0.1, self.limp, process, times - 1)

    def stage_stopped(self):
        self.hold(self.some(self.run.stages), self.random.uniform(0.02, 0.5))

    def tapped(self):
        self.run.tap(self.random.choice(RECORDED))
        tap = self.run.taps['tap%d' % self.run.serial]
        if self.random.random() < 0.5:
            self.after(0.2, self.signal, tap, signal.SIGSTOP)
        self.after(self.random.uniform(0.1, 1), self.signal, tap, signal.SIGKILL)

    def pool_emptied(self):
        """Killed, or sent away in order; the pool says so, and waits without work."""
        number = self.random.choice([signal.SIGKILL, signal.SIGTERM])
        stage = self.run.stages['integrate']
        for p in list(self.run.workers.values()):
            self.signal(p, signal.SIGCONT)
            self.signal(p, number)
        wait_for(lambda: self.due() or self.run.reap() or not self.run.workers)
        wait_for(lambda: self.due() or self.run.alone() or stage.poll() is not None)
        before = cpu(stage)
        time.sleep(1)
        self.idle.append(cpu(stage) - before)
        self.joined()

    FAULTS = {killed: 5, stopped: 4, stopped_beyond_the_lease: 4, joined: 8, told_to_leave: 4, slowed: 3,
              stage_stopped: 5, tapped: 3, pool_emptied: 1}

    def strike(self):
        """One fault, of a kind that finds somebody to hit."""
        full, anybody = len(self.run.workers) == MOST, bool(self.run.workers)
        fits = [f for f in self.FAULTS if (f is not Chaos.joined or not full) and
                (anybody or f in (Chaos.joined, Chaos.stage_stopped, Chaos.tapped))]
        fault = self.random.choices(fits, [self.FAULTS[f] for f in fits])[0]
        fault(self)
        self.counts[fault.__name__.replace('_', ' ')] += 1


def cpu(process):
    """Seconds of processor time so far."""
    try:
        with open('/proc/%d/stat' % process.pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    except OSError:
        return 0.0


def wait_for(state):
    until = time.monotonic() + PATIENCE
    while not state():
        if time.monotonic() > until:
            raise Wrong('what was waited for did not come')
        time.sleep(0.02)


def undisturbed(steps):
    run = Run('undisturbed', steps)
    run.worker()
    run.worker()
    try:
        wait_for(lambda: run.reap() or run.over())
        wait_for(lambda: run.reap() or not run.workers)
    finally:
        run.kill()
    return run.recorded()


def disturbed(seed, faults, steps, size):
    run = Run('disturbed', steps)
    chaos = Chaos(run, seed)
    run.worker()
    run.worker()
    done, moved, before, still = 0, time.monotonic(), -1, 0
    try:
        while not run.over():
            chaos.due()
            run.reap()
            now = run.recorded()
            if now != before:
                still = max(still, time.monotonic() - moved) if before >= 0 else 0
                before, moved = now, time.monotonic()
            if time.monotonic() > moved + PATIENCE:
                raise Wrong('nothing moves: ' + last_line('disturbed', 'integrate'))
            if done < faults and now >= size * done / faults:
                chaos.strike()
                done += 1
            elif not run.workers and not chaos.later:
                run.worker()
            time.sleep(0.005)
        # who came too late for this pool waits for another
        for p in run.workers.values():
            chaos.after(2, chaos.signal, p, signal.SIGTERM)
        while chaos.later or run.workers or run.taps:
            chaos.due()
            run.reap()
            if time.monotonic() > moved + PATIENCE:
                raise Wrong('these have not ended: ' + ' '.join([*run.workers, *run.taps]))
            time.sleep(0.01)
    finally:
        run.kill()
    for name, p in run.all():
        # a worker leaves at once that is told so twice, or before it has joined
        if p.returncode not in ((0,) if name in run.stages else (0, -9) if name.startswith('tap') else (0, -9, -15, 130)):
            raise Wrong('%s ended with %d: %s' % (name, p.returncode, last_line('disturbed', name)))
    return run, chaos, still


def main(seed, faults, steps):
    began = time.monotonic()
    with open('net.json', 'w') as f:
        f.write(NET)
    subprocess.run('lca-data make synth:1,4400 --out d'.split(), check=True, stdout=subprocess.DEVNULL)
    size = undisturbed(steps)
    between = time.monotonic()
    run, chaos, still = disturbed(seed, faults, steps, size)
    print('seed %d: %d faults in %d steps, %.0f s (undisturbed %.0f s), at most %.1f s without progress' % (
        seed, sum(chaos.counts.values()), steps, time.monotonic() - between, between - began, still))
    print('  ' + ', '.join('%s %d' % (name, n) for name, n in sorted(chaos.counts.items())))
    said = {what: run.said(text) for what, text in [
        ('workers gone', 'gone, '), ('left', ' leaves'), ('units late', ' late on unit'), ('no workers', 'no workers, w')]}
    print('  the pool said: ' + ', '.join('%s %d' % pair for pair in said.items()))
    if chaos.idle:
        print('  with an empty pool lca-integrate took at most %.2f s of processor time per second' % max(chaos.idle))
    wrong = ['%s.lca differs' % name for name in RECORDED
             if not filecmp.cmp('undisturbed/%s.lca' % name, 'disturbed/%s.lca' % name, shallow=False)]
    if run.left():
        wrong.append('left behind: ' + ' '.join(run.left()))
    if chaos.idle and max(chaos.idle) > 0.1:
        wrong.append('lca-integrate is busy while it waits')
    if sum(chaos.counts.values()) != faults:
        wrong.append('the run was over before all faults had come')
    if wrong:
        raise Wrong('; '.join(wrong))
    print('  all recordings are the same bytes')


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # nothing is left behind then either
    try:
        main(*map(int, sys.argv[1:]))
    except Wrong as e:
        sys.exit('chaos.py: %s' % e)
