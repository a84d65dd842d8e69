"""Links: credit, acknowledgements, who comes, goes and comes back; the programs in C on the other side."""
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import zmq
from conftest import run, train, until

import frames
from lca_stream import CorruptError, Input, Output, PeerError, Security, Tap, UpstreamError, UsageError, read, wire


@pytest.fixture
def thetas(files):
    """A recorded theta stream: its path and frames."""
    train(files, 't.lca', '--iterations', 100)
    return list(read('t.lca'))


def replay(out, recorded, upto=None):
    """Sends a recording through an Output, in its own numbers."""
    head = recorded[0]
    out.forward_head(head['run'], head['st'], bytes(head.payload),
                     {k: v for k, v in head.header.items() if k in wire.KINDS['HEAD']})
    for f in recorded[1:-1][:upto]:
        out.put(f.kind, f.array, **{k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]})
    return out


def in_thread(call):
    """Runs it beside; join() gives what it returned or raised."""
    class Beside(threading.Thread):
        def run(self):
            self.error = None
            try:
                self.value = call()
            except BaseException as why:
                self.error = why

        def result(self):
            self.join(30)
            assert not self.is_alive()
            if self.error:
                raise self.error
            return self.value
    thread = Beside(daemon=True)
    thread.start()
    return thread


def serving(out, until_true):
    """Serves an Output until something is so."""
    end = time.monotonic() + 30
    while not until_true():
        assert time.monotonic() < end
        out._poll(0.01)


def test_what_is_sent_arrives_once_and_in_order(thetas, start, place):
    with_final = thetas[-1]['final']
    for name in ('a', 'b'):
        start('lca-cat', '--in', 'ipc:x', '--out', name + '.lca', '--name', name)
    with replay(Output(['ipc:x', 'file.lca'], expect='a,b'), thetas) as out:
        out.end('ok', final=with_final)
    for name in ('a', 'b', 'file'):
        until(lambda: (place / (name + '.lca')).read_bytes() == (place / 't.lca').read_bytes(), name)


def test_what_a_program_sends_is_read(thetas, start):
    cat = start('lca-cat', '--in', 't.lca', '--out', 'ipc:x', '--expect', 'mine')
    with Input('ipc:x', name='mine') as stream:
        assert stream.head['st'] == 'theta'
        assert [(f['seq'], f['crc']) for f in stream] == [(f['seq'], f['crc']) for f in thetas[1:-1]]
        assert stream.eos['final'] == thetas[-1]['final']
    cat.ends()


def test_pipes_and_files(thetas, start):
    script = 'from lca_stream import Input; print(sum(1 for f in Input()))'
    cat = start('sh', '-c', 'lca-cat --in t.lca --out - | /usr/bin/python3 -c "$0"', script)
    assert cat.ends() == '101\n'
    with Input('t.lca') as stream:
        assert sum(1 for _ in stream) == 101 and stream.eos['status'] == 'ok'
    with open('t.lca', 'rb') as whole, open('cut.lca', 'wb') as cut:
        cut.write(whole.read(100000))
    with Input('cut.lca') as stream, pytest.raises(CorruptError):
        list(stream)


def test_a_producer_waits_for_credit(thetas, start):
    """One that takes frames and acknowledges none gets a window of them."""
    sent = []
    with Output('ipc:x', expect='slow') as out:
        thread = in_thread(lambda: slow(sent))
        replay(out, thetas, 64)
        assert out.next == 64 and not out._has_room()
        serving(out, lambda: len(sent) == 64)
        sent.append('go')
        replay_rest = thetas[65:-1]
        for f in replay_rest:
            out.put(f.kind, f.array, **{k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]})
        out.end()
    assert thread.result() == 101


def slow(sent):
    with Input('ipc:x', name='slow', ack=False) as stream:
        n = 0
        while (frame := stream.poll(30)).kind != 'EOS':
            if not frame.is_data:
                continue
            n += 1
            sent.append(n)
            if n == 64:
                assert stream.poll(0.3) is None
                until(lambda: sent[-1] == 'go')
            if n >= 64:
                stream.done(frame['seq'] + 1)
        stream.finish()
        return n


def test_a_consumer_that_was_killed_comes_back(thetas, start, place):
    cat = start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
    with Output('ipc:x', expect='a') as out:
        replay(out, thetas, 30)
        cat.p.send_signal(signal.SIGKILL)
        serving(out, lambda: out._peers[0].state == 'lost')
        again = start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--resume', '--name', 'a')
        for f in thetas[31:-1]:
            out.put(f.kind, f.array, **{k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]})
        out.end('ok', final=thetas[-1]['final'])
    again.ends()
    assert (place / 'a.lca').read_bytes() == (place / 't.lca').read_bytes()


def test_a_consumer_that_stays_away_ends_the_stream_or_is_dropped(thetas, start):
    for lost in (0.3, 'drop'):
        cat = start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
        out = replay(Output('ipc:x', expect='a', lost=lost), thetas, 5)
        cat.p.kill()
        cat.p.wait()
        if lost == 'drop':
            serving(out, lambda: not out._peers)
            out.end()
        else:
            with pytest.raises(PeerError, match='a lost, last acknowledged seq'):
                out.end()
            out.close()


def test_a_producer_that_was_killed_comes_back(thetas, start):
    cat = start('lca-cat', '--in', 't.lca', '--out', 'ipc:x', '--expect', 'mine')
    got = []
    with Input('ipc:x', name='mine') as stream:
        for f in stream:
            got.append(f['seq'])
            if len(got) == 20:
                cat.p.kill()
                cat.p.wait()
                cat = start('lca-cat', '--in', 't.lca', '--out', 'ipc:x', '--expect', 'mine')
    assert got == list(range(101))
    cat.ends()


def test_a_producer_that_stays_away_is_an_error(thetas, start):
    cat = start('lca-cat', '--in', 't.lca', '--out', 'ipc:x', '--expect', 'mine')
    with Input('ipc:x', name='mine', ack=False, lost=0.3) as stream, pytest.raises(PeerError, match='did not come back'):
        stream.head
        cat.p.kill()
        list(stream)


def test_another_takes_our_place_and_we_take_anothers(thetas, start):
    cat = start('lca-cat', '--in', 't.lca', '--out', 'ipc:x', '--expect', 'mine')
    first, got = Input('ipc:x', name='mine', ack=False), []
    for _ in range(10):
        got.append(first.poll(30))
    first.done(8)
    until(lambda: first._serve() or first._acked == 8)
    with pytest.raises(UsageError, match='attached already'):
        Input('ipc:x', name='mine').head
    with Input('ipc:x', name='mine', take=True) as second:
        assert second.head['first'] == 8
        until(lambda: first.poll(0.01) is None and first.left)
        assert [f['seq'] for f in second] == list(range(8, 101))
    first.close()
    cat.ends()


def test_who_comes_late_says_from_where(thetas, start):
    with Output('ipc:x', expect='a') as out:
        a = start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
        replay(out, thetas, 50)
        serving(out, lambda: out.done == 50)
        now = start('lca-cat', '--in', 'ipc:x', '--out', 'now.lca', '--name', 'now', '--from', 'now')
        gone = start('lca-cat', '--in', 'ipc:x', '--out', 'gone.lca', '--name', 'gone', '--from', '3')
        serving(out, lambda: gone.p.poll() is not None and len(out._peers) == 2)
        gone.ends(2, 'frame 3 is gone')
        for f in thetas[51:-1]:
            out.put(f.kind, f.array, **{k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]})
    a.ends()
    now.ends()
    assert [f['seq'] for f in read('now.lca') if f.is_data] == list(range(50, 101))
    assert out.refused == 1


def test_who_has_the_beginning_already_gets_the_rest_from_a_producer_that_begins_anew(thetas):
    """As lca-integrate --resume does with a training that is done again."""
    def rest():
        with Input('ipc:x', name='a', start='80') as stream:
            return stream.head['first'], [f['seq'] for f in stream]
    thread = in_thread(rest)
    with Output('ipc:x', expect='a') as out:
        replay(out, thetas)
    assert thread.result() == (80, list(range(80, 101))) and not out._kept


def test_a_stream_that_fails_says_so(thetas, start):
    cat = start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
    with pytest.raises(ZeroDivisionError), Output('ipc:x', expect='a') as out:
        replay(out, thetas, 5)
        1 / 0
    cat.ends(4, 'ZeroDivisionError')
    # a file ends without EOS
    with pytest.raises(ZeroDivisionError), Output('f.lca') as out:
        replay(out, thetas, 5)
        1 / 0
    assert list(read('f.lca'))[-1]['status'] == 'failed'
    with Input('f.lca') as stream, pytest.raises(UpstreamError, match='ZeroDivisionError'):
        list(stream)


def test_taps(thetas, start):
    """Ours at a program's link, a program's at ours; neither is waited for."""
    cat = start('lca-cat', '--in', 't.lca', '--out', 'ipc:x', '--expect', 'a')
    until(lambda: os.path.exists(os.environ['LCA_DIR'] + '/x.tap'))
    with Tap('ipc:x', payloads=True) as tap:
        assert tap.poll(30)['t'] == 'HEAD'
        start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
        seen = list(tap)
    assert seen[-1].kind == 'EOS' and len(seen) - 1 + tap.lost == 101
    assert all(f['crc'] == thetas[1 + f['seq']]['crc'] and len(f.array) == 4780 for f in seen[:-1])
    cat.ends()

    b = start('lca-cat', '--in', 'ipc:y', '--out', 'b.lca', '--name', 'b')
    with Output('ipc:y', expect='b') as out:
        replay(out, thetas, 1)
        ours = start('lca-tap', '--fields', 't,seq', 'ipc:y')
        serving(out, lambda: out._links[0].tap.count[b'h'] == 1)
        for f in thetas[2:-1]:
            out.put(f.kind, f.array, **{k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]})
            time.sleep(0.001)
    lines = [json.loads(line) for line in ours.ends().splitlines()]
    assert lines[0]['t'] == 'HEAD' and lines[-1]['t'] == 'EOS' and len(lines) > 5
    b.ends()


def test_status_is_told_to_who_asks(thetas, start):
    start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
    with Output('ipc:x', expect='a') as out:
        replay(out, thetas, 7)
        with zmq.Context() as context, context.socket(zmq.SUB) as sub:
            sub.connect('ipc://%s/x.tap' % os.environ['LCA_DIR'])
            sub.subscribe(b's')
            serving(out, lambda: sub.poll(0))
            header, _ = frames.unpacket(sub.recv())
        serving(out, lambda: out.done == 7)
    assert header['t'] == 'STATUS' and header['opt'] is True and header['it'] == 6 and header['pid'] == os.getpid()
    assert header['out'][0]['next'] == 7 and header['consumers'][0]['name'] == 'a'
    assert wire.read_header(frames.msgpack.packb(header)) == header


def test_nonsense_is_refused_and_its_sender_ignored(thetas, start):
    cat = start('lca-cat', '--in', 'ipc:x', '--out', 'a.lca', '--name', 'a')
    hello = {'lca': 1, 't': 'HELLO', 'run': bytes(16), 'st': '-', 'vmin': 1, 'vmax': 1, 'name': 'bad', 'maxb': 1 << 26}
    ack = {'lca': 1, 't': 'ACK', 'run': thetas[0]['run'], 'st': 'theta', 'done': 99, 'lim': 99}
    with Output('ipc:x', expect='a') as out, zmq.Context() as context:
        replay(out, thetas, 5)
        for n, messages in enumerate(([b'nonsense'], [frames.packet(ack)], [bytes(5000)],
                                      [frames.packet(hello), frames.packet(ack)],
                                      [frames.packet({**hello, 'from': 'yesterday'})],
                                      [frames.packet({**hello, 'maxb': 10})])):
            with context.socket(zmq.DEALER) as bad:
                bad.linger = 0
                bad.connect('ipc://%s/x' % os.environ['LCA_DIR'])
                for m in messages:
                    bad.send(m)
                serving(out, lambda: out.refused == n + 1)
        serving(out, lambda: all(p.name == 'a' or p.state == 'lost' for p in out._peers))
        out._peers = [p for p in out._peers if p.name == 'a']
        for f in thetas[6:-1]:
            out.put(f.kind, f.array, **{k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]})
    cat.ends()
    assert len(list(read('a.lca'))) == 103


def test_a_socket_is_ours_alone(thetas):
    with Output('ipc:x') as out:
        in_thread(lambda: list(Input('ipc:x', name='a')))
        replay(out, thetas, 3)
        with pytest.raises(UsageError, match='in use by pid %d' % os.getpid()):
            replay(Output('ipc:x'), thetas)
        os.chmod(os.environ['LCA_DIR'], 0o755)
        with pytest.raises(UsageError, match='others may enter'):
            Input('ipc:x')
        os.chmod(os.environ['LCA_DIR'], 0o700)


@pytest.fixture
def keys(place):
    (place / 'peers').mkdir()
    for name in ('hub', 'far', 'other'):
        run('lca-keygen', name)
    (place / 'far.pub').rename(place / 'peers' / 'far.pub')


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def test_keys_between_machines(thetas, keys, start):
    at = 'tcp://127.0.0.1:%d' % free_port()
    cat = start('lca-cat', '--in', 't.lca', '--out', at, '--key', 'hub.key', '--peers', 'peers')
    with Input(at, name='a', security=Security('far.key', 'hub.pub')) as stream:
        assert sum(1 for _ in stream) == 101
    cat.ends()
    cat = start('lca-cat', '--in', at, '--out', 'a.lca', '--key', 'far.key', '--server-key', 'hub.pub')
    with Output(at, security=Security('hub.key', peers='peers')) as out:
        replay(out, thetas)
    cat.ends()
    assert len(list(read('a.lca'))) == 103


def test_who_has_no_key_or_a_wrong_one_is_told(thetas, keys, start, place):
    at = 'tcp://127.0.0.1:%d' % free_port()
    start('lca-cat', '--in', 't.lca', '--out', at, '--key', 'hub.key', '--peers', 'peers')
    for security, says in ((Security(), 'we have no key'), (Security('other.key', 'hub.pub'), 'not allowed'),
                           (Security('far.key', 'other.pub'), 'wrong key')):
        with Input(at, security=security) as stream, pytest.raises(UsageError, match=says):
            stream.head
    os.chmod('far.key', 0o644)
    for args, says in ((('far.key', 'hub.pub'), 'others may read'), (('hub.pub', 'hub.pub'), 'no secret key'),
                       (('hub.key', 'other.key'), 'holds a secret'), (('hub.key',), 'whom to trust'),
                       ((None, 'hub.pub'), 'need key'), (('none', 'hub.pub'), 'cannot read the key')):
        with pytest.raises(UsageError, match=says):
            Input(at, security=Security(*args))
    with pytest.raises(UsageError, match='another machine'):
        Input('tcp://192.0.2.1:5555')
    with pytest.raises(UsageError, match='open to other machines'):
        replay(Output('tcp://*:0'), thetas)
    with pytest.raises(UsageError, match='who may connect'):
        replay(Output(at, security=Security('hub.key')), thetas)


def test_a_file_tells_the_address(thetas, start):
    thread = in_thread(lambda: sum(1 for _ in Input('at:place', name='a')))
    cat = start('lca-cat', '--in', 't.lca', '--out', 'tcp://127.0.0.1:0,at:place')
    assert thread.result() == 101
    cat.ends()
    with open('wrong', 'w') as f:
        f.write('no address\n')
    with pytest.raises(UsageError, match='does not hold the address'):
        Input('at:wrong')
    with pytest.raises(UsageError, match='does not write at:FILE'):
        replay(Output('at:place'), thetas)


def test_endpoints_that_are_none():
    for text, says in (('', 'not an endpoint'), ('udp://x', 'not an endpoint'), ('ipc:', 'ipc:NAME'),
                       ('ipc:a/b', 'ipc:NAME'), ('tcp://x', 'HOST:PORT'), ('at:', 'at:FILE'),
                       ('ipc:' + 'x' * 120, 'longer than'), ('none.lca', 'none.lca')):
        with pytest.raises(UsageError, match=says):
            Input(text)
    with pytest.raises(UsageError, match='expect needs'):
        Output('a.lca', expect='x')


def test_a_frame_that_is_no_frame_is_not_written():
    with pytest.raises(ValueError, match='needs the key lr'):
        wire.make('theta', {'it': 0, 'mbloss': 0, 'epoch': 0}, run=bytes(16), stream='x', seq=0, array=np.ones(1, 'f4'))
    with pytest.raises(ValueError, match='has no key x'):
        wire.make('BYE', {'x': 1}, run=bytes(16), stream='x')
    with pytest.raises(ValueError, match='a frame holds'):
        wire.make('agg', {'it': 0, 'kind': 'x', 'dims': ['a']}, run=bytes(16), stream='x', seq=0, array=np.ones(1, 'i8'))
