"""A stage of one's own among the programs: its frames, its end, signals, another in its place."""
import json
import os
import signal

import numpy as np
import pytest
from conftest import ROOT, allocate, run, train, until

from lca_stream import Agg, Aggregator, Input, Output, UsageError, read

LAYERS = ['/usr/bin/python3', ROOT / 'docs/examples/layers.py']


@pytest.fixture
def stream(files, start):
    """A recorded lca stream of 100 steps, more than a window."""
    train(files, 't.lca', '--iterations', 100)
    allocate(files, start, 't.lca', 'a.lca', '--emit', 'lca,move')


class Everything(Aggregator):
    """One of each thing that an aggregator may say."""
    name = 'everything'

    @classmethod
    def options(cls, parser):
        parser.add_argument('--scale', type=float, default=1)

    def start(self):
        assert self.table.layers == ['one', 'two'] and self.classes == [str(n) for n in range(10)]
        self.moves = 0

    def step(self, v):
        if v.kind == 'move':
            self.moves += 1
            yield Agg('moves', v.it, {'place': 2, 'what': ['a', 'b', 'c']}, np.arange(6, dtype='u4').reshape(2, 3), unit='1',
                      more={'scale': self.options_given.scale})

    def end(self):
        yield Agg('moves_total', 99, {'what': ['n']}, [self.moves])

    def final(self):
        return {'moves': self.moves}


def test_what_an_aggregator_says(stream, monkeypatch, place):
    monkeypatch.setenv('LCA_REPORT', str(place / 'report'))
    with pytest.raises(SystemExit) as end:
        Everything.main(['--in', 'a.lca', '--out', 'e.lca', '--scale', '2'])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert end.value.code == 0
    frames = list(read('e.lca'))
    head, lca = frames[0], next(read('a.lca'))
    assert head['st'] == 'everything' and head['run'] == lca['run'] and head['def'] == lca['def']
    assert [p['prog'] for p in head['prov']] == ['lca-train', 'lca-integrate', 'everything']
    assert len(frames) == 1 + 100 + 1 + 1
    f = frames[1]
    assert f['dims'] == ['place', 'what'] and f['keys'] == {'what': ['a', 'b', 'c']} and f['more'] == {'scale': 2.0}
    assert f.array.dtype == 'u4' and f.array.tolist() == [[0, 1, 2], [3, 4, 5]] and f['unit'] == '1'
    assert frames[101].array.tolist() == [100.0] and frames[-1]['final'] == {'moves': 100}
    assert json.loads((place / 'report').read_text()) == {'moves': 100}
    # the programs read it
    assert b'"moves_total"' in run('lca-tap', '--json', '--kind', 'moves_total', 'e.lca')


def test_wrong_shapes_and_streams_are_errors(stream):
    class Wrong(Aggregator):
        def end(self):
            yield Agg('x', 0, {'a': ['one']}, [1, 2])
    for path, why in (('a.lca', ValueError), ('t.lca', UsageError)):
        with Input(path, ack=False) as given, pytest.raises(why):
            with Output('x.lca') as out:
                Wrong().run(given, out)


def test_it_waits_for_who_is_expected_and_lets_go_when_told(stream, start):
    layers = start(*LAYERS, '--in', 'a.lca', '--out', 'ipc:layers', '--expect', 'nobody')
    until(lambda: os.path.exists(os.environ['LCA_DIR'] + '/layers'))
    layers.p.send_signal(signal.SIGTERM)
    layers.ends(130, 'waited for its consumers')
    layers = start(*LAYERS, '--in', 'ipc:never')
    until(lambda: sleeping(layers.p.pid))
    layers.p.send_signal(signal.SIGTERM)
    layers.ends(130, 'before HEAD')


def sleeping(pid):
    """It handles SIGTERM by now: bit 14 of the signals caught."""
    with open('/proc/%d/status' % pid) as f:
        caught = next(line for line in f if line.startswith('SigCgt'))
    return int(caught.split()[1], 16) >> 14 & 1


def test_it_is_stopped_in_the_middle_and_another_takes_over(stream, start):
    """SIGINT is left to the source; SIGTERM ends it in order; the stream itself goes on."""
    source = start('lca-cat', '--in', 'a.lca', '--out', 'ipc:lca', '--expect', 'layers,slow')
    first = start(*LAYERS, '--in', 'ipc:lca', '--name', 'layers', '--out', 'first.lca')
    with Input('ipc:lca', name='slow') as slow:
        frames = iter(slow)
        for _ in range(20):
            next(frames)
        first.p.send_signal(signal.SIGINT)
        until(lambda: os.path.exists('first.lca'))
        second = start(*LAYERS, '--in', 'ipc:lca', '--name', 'layers', '--take', '--out', 'second.lca')
        first.ends(0, 'another layers takes over')
        for _ in frames:
            pass
    second.ends()
    source.ends()
    end = list(read('first.lca'))[-1]
    assert end['status'] == 'interrupted'
    steps = [f['it'] for f in read('second.lca') if f.is_data and f['kind'] == 'layers' and f['set'] == 'train']
    assert steps == list(range(steps[0], 100))
    assert list(read('second.lca'))[-1]['status'] == 'ok'


def test_help_and_bad_options(start):
    assert '--expect' in start(*LAYERS, '--help').ends()
    start(*LAYERS, '--bogus').ends(2, '--bogus')
    start(*LAYERS, '--in', 'none.lca').ends(2, 'none.lca')
    start('sh', '-c', '%s %s </dev/null' % tuple(LAYERS)).ends(5, 'stdin ends without EOS')
