"""What the tests of lca_stream share: generated data, an empty folder for sockets, processes."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'src/python'), str(ROOT / 'tests')]
SMALL = ('{"name": "small", "input": [28, 28, 1], "classes": 10, "layers": ['
         '{"type": "dense", "name": "one", "units": 6}, {"type": "relu"}, {"type": "dense", "name": "two", "units": 10}]}')
WAIT = 30


@pytest.fixture(scope='session')
def files(tmp_path_factory):
    """A folder with s.data, 1,000 generated digits, and small.json."""
    folder = tmp_path_factory.mktemp('files')
    subprocess.run(['lca-data', 'make', 'synth:1,1000', '--out', folder / 's.data'], check=True, stdout=subprocess.DEVNULL)
    (folder / 'small.json').write_text(SMALL)
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Each test stands in an empty folder, and has one for sockets."""
    sockets = tempfile.mkdtemp(prefix='lp.', dir='/tmp')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LCA_DIR', sockets)
    monkeypatch.setenv('PYTHONPATH', '%s:%s' % (ROOT / 'src/python', ROOT / 'tests'))
    for name in ('LCA_STAGE', 'LCA_REPORT'):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    shutil.rmtree(sockets, ignore_errors=True)


class Process:
    def __init__(self, args, **options):
        self.err = tempfile.TemporaryFile('w+')
        self.out = tempfile.TemporaryFile('w+')
        self.p = subprocess.Popen([str(a) for a in args], stderr=self.err, stdout=options.pop('stdout', self.out), **options)

    def said(self, file):
        file.seek(0)
        return file.read()

    def ends(self, status=0, says=''):
        """Waits for it, and looks at its status and messages."""
        try:
            got = self.p.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise AssertionError('%s does not end: %s' % (self.p.args, self.said(self.err)))
        err = self.said(self.err)
        assert got == status and says in err, (self.p.args, got, err)
        return self.said(self.out)


class Forked:
    """A call in a process of its own, which has imported what we have."""

    def __init__(self, call):
        self.err = tempfile.TemporaryFile('w+')
        sys.stdout.flush()
        self.pid, self.status = os.fork(), None
        if self.pid:
            return
        status = 1
        try:
            os.dup2(self.err.fileno(), 2)
            sys.stderr = os.fdopen(2, 'w')      # in place of pytest's
            call()
            status = 0
        except BaseException as why:
            print('%s: %s' % (type(why).__name__, why), file=self.err, flush=True)
        finally:
            os._exit(status)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def over(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def ends(self, status=0, says=''):
        until(self.over, 'the process does not end')
        self.err.seek(0)
        err = self.err.read()
        assert self.status == status and says in err, (self.status, err)


@pytest.fixture
def fork():
    """fork(call): killed at the end of the test."""
    all_of_them = []

    def go(call):
        all_of_them.append(Forked(call))
        return all_of_them[-1]
    yield go
    for one in all_of_them:
        if not one.over():
            one.kill()
            until(one.over)


@pytest.fixture
def start():
    """start('lca-grad', ...): a process in the background, killed at the end of the test."""
    all_of_them = []

    def go(*args, **options):
        all_of_them.append(Process(args, **options))
        return all_of_them[-1]
    yield go
    for one in all_of_them:
        one.p.kill()
        one.p.wait()


def until(condition, what=''):
    end = time.monotonic() + WAIT
    while not (got := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.01)
    return got


def run(*args, **options):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, timeout=WAIT, **options).stdout


def train(files, out, *options):
    """A theta stream of the small network by lca-train."""
    run('lca-train', '--net', files / 'small.json', '--data', files / 's.data', '--iterations', 4, '--batch', 50,
        '--examples', 500, '--out', out, *options)


def allocate(files, start, thetas, out, *options):
    """An lca stream, by lca-integrate and a lca-grad."""
    grad = start('lca-grad', '--data', files / 's.data', '--pool', 'ipc:pool')
    run('lca-integrate', '--in', thetas, '--pool', 'ipc:pool', '--pool-wait', 20, '--out', out, *options)
    grad.ends()
