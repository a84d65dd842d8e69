"""Frames and recordings: the same bytes as the programs write, and nothing wrong is taken."""
import re
import struct

import msgpack
import numpy as np
import pytest
from conftest import ROOT, allocate, run, train

import frames
from lca_stream import CorruptError, Table, UsageError, read, vectors, wire
from lca_stream.records import RecordWriter


def test_kinds_and_keys_are_those_of_the_page():
    """docs/frames.md, which a test in C compares with proto/."""
    page, kind, found = (ROOT / 'docs/frames.md').read_text(), None, {}
    for line in page.split('## Control frames')[1].split('## What aggregators say')[0].splitlines():
        if heading := re.match(r'### (\w+)$', line):
            kind = heading[1]
            found[kind] = {}
        elif (row := re.match(r'\| `(\w+)` \| (\w+) \| ([RO]) \|', line)) and kind:
            found[kind][row[1]] = (row[2], row[3] == 'R')
    assert found == {kind: {name: tuple(key) for name, key in keys.items()} for kind, keys in wire.KINDS.items()}


@pytest.fixture(scope='module')
def streams(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp('streams')
    run('lca-train', '--net', files / 'small.json', '--data', files / 's.data', '--iterations', 3, '--momentum', 0.25,
        '--lr', 1e-7, '--out', folder / 't.lca')
    return folder / 't.lca'


def again(path, out):
    writer = RecordWriter(str(out))
    for f in read(str(path)):
        keys = {k: v for k, v in f.header.items() if k in wire.KINDS[f.kind]}
        writer.write(*wire.make(f.kind, keys, run=f['run'], stream=f['st'], seq=f.get('seq'),
                                array=f.array if f.has_payload else None))
    writer.close()


def test_what_is_read_is_written_as_the_same_bytes(streams, files, start, place):
    allocate(files, start, streams, 'a.lca', '--by-class', '--emit', 'lca,move,grad,eff')
    run('lca-layers', '--in', 'a.lca', '--out', 'l.lca')
    for name in (streams, 'a.lca', 'l.lca'):
        again(name, 'again.lca')
        assert (place / name).read_bytes() == (place / 'again.lca').read_bytes()
    a = list(read('a.lca'))
    P = Table.from_head(a[0]).P
    whole = list(vectors(a, P))
    assert [v.kind for v in whole if v.cls == -1][:3] == ['lca', 'lca', 'move'] and all(len(v.values) == P for v in whole)


def test_the_run_is_the_hash_of_its_definition(streams, files, start):
    head = next(read(str(streams)))
    assert wire.run_id(head['def']) == head['run'] and head['def']['lr'] == 1e-7
    allocate(files, start, streams, 'a.lca', '--tolerance', '0.001')
    head = next(read('a.lca'))
    assert wire.run_id(head['def']) == head['run']


def test_a_vector_in_slices_is_put_together():
    def piece(seq, it, off, n, P=6):
        keys = {'it': it, 'off': off, 'part': 0, 'lr': 0, 'mbloss': 0, 'epoch': 0}
        packed, payload = wire.make('theta', keys, run=bytes(16), stream='theta', seq=seq,
                                    array=np.arange(off, off + n, dtype='f4'))
        return wire.attach(wire.read_header(packed), payload)
    good = [piece(0, 0, 0, 4), piece(1, 0, 4, 2), piece(2, 1, 0, 4), piece(3, 1, 4, 2)]
    whole = [(v.it, v.next, v.values.tolist()) for v in vectors(good, 6)]
    assert whole == [(t, 2 * t + 2, [0, 1, 2, 3, 4, 5]) for t in (0, 1)]
    for bad in ([good[0], good[2]], [good[1]], [good[0], piece(1, 0, 4, 3)], good[:3]):
        with pytest.raises(CorruptError):
            list(vectors(bad, 6))


HEADER = {'lca': 1, 't': 'ACK', 'run': bytes(16), 'st': 'x', 'done': 1, 'lim': 2}


@pytest.mark.parametrize('change, says', [
    ({'done': None}, 'without the key done'), ({'done': -1}, 'done is no uint'), ({'done': True}, 'done is no uint'),
    ({'done': 1.0}, 'done is no uint'), ({'run': b'short'}, '16 bytes'), ({'st': b'x'}, 'key st'),
    ({'eos': 1}, 'eos is no bool'), ({'more': [[[[1]]]]}, 'deep'), ({'more': list(range(5000))}, 'too many'),
    ({'more': 'x' * 5000}, 'no MessagePack map'), ({'more': msgpack.ExtType(1, b'')}, 'ext'),
    ({'dt': '<f4', 'sh': [1], 'nb': 5, 'crc': 0}, 'payload'), ({'dt': '<f3', 'sh': [1], 'nb': 4, 'crc': 0}, 'payload'),
    ({'dt': '<f4', 'sh': [1 << 40], 'nb': 4 << 40, 'crc': 0}, 'too large')])
def test_a_header_that_is_wrong_is_refused(change, says):
    header = {k: v for k, v in {**HEADER, **change}.items() if v is not None}
    with pytest.raises(CorruptError, match=says):
        wire.read_header(msgpack.packb(header))


def test_a_header_that_is_no_header_is_refused():
    good = msgpack.packb(HEADER)
    assert wire.read_header(good) == HEADER
    twice = bytes([good[0] + 1]) + good[1:] + msgpack.packb('lim') + msgpack.packb(3)
    for bad in (b'', b'\x80', good + b'\0', good[:-1], twice, b'\xdf\xff\xff\xff\xff', msgpack.packb([1]), bytes(70000),
                msgpack.packb({'t': 'ACK', **HEADER})):
        with pytest.raises(CorruptError):
            wire.read_header(bad)
    for later in ({**HEADER, 'lca': 2}, {**HEADER, 't': 'NEW'}):
        with pytest.raises(UsageError):
            wire.read_header(msgpack.packb(later))
    assert wire.read_header(msgpack.packb({**HEADER, 't': 'NEW', 'opt': True})) is None


def test_a_recording_that_is_damaged_or_cut_is_an_error(streams, place):
    whole = streams.read_bytes()
    n = struct.unpack_from('>I', whole, 2)[0]
    for at in (0, 3, 10, 6 + n, 8 + n, 30 + n, len(whole) - 1):
        (place / 'bad.lca').write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        with pytest.raises(CorruptError):
            list(read('bad.lca'))
        if at:
            (place / 'cut.lca').write_bytes(whole[:at])
            with pytest.raises(CorruptError):
                list(read('cut.lca'))
    run('lca-cat', '--in', streams, '--out', 't.lca.zst')
    with pytest.raises(UsageError, match='lca-cat'):
        list(read('t.lca.zst'))
    with pytest.raises(UsageError):
        RecordWriter('t.lca.zst')


def test_messages_are_those_of_the_tests_own_text():
    """tests/frames.py, written without this package."""
    keys = {'it': 3, 'lr': 0.5, 'mbloss': 1.0, 'epoch': 0}
    for n in range(1, 9):
        ours = wire.message('theta', keys, run=bytes(16), stream='theta', seq=n, array=np.ones(n, 'f4'))
        header, payload = frames.unpacket(ours)
        assert frames.packet(header, payload) == ours and wire.from_message(ours).array.tolist() == [1] * n
    for cut in (0, 5, 8, 20, len(ours) - 1):
        with pytest.raises(CorruptError):
            wire.from_message(ours[:cut])


def test_a_table_has_no_gaps_and_no_layer_twice():
    table = Table()
    for layer, kind, shape in (('a', 'kernel', (2, 3)), ('a', 'bias', (3,)), ('b', 'kernel', (3, 1))):
        table.add(layer, kind, shape)
    assert (table.P, table.layers, table.of_layer('a'), table.tensors[1].slice) == (12, ['a', 'b'], slice(0, 9), slice(6, 9))
    head = {'layers': table.to_head(), 'P': 12}
    assert Table.from_head(head).tensors == table.tensors
    with pytest.raises(UsageError, match='has ended'):
        table.add('a', 'gamma', (1,))
    for key, wrong in (('off', 1), ('k', 'sigma'), ('sh', [0]), ('sh', None)):
        bad = [dict(t) for t in head['layers']]
        bad[0][key] = wrong
        with pytest.raises((CorruptError, UsageError)):
            Table.from_head({'layers': bad, 'P': 12})
    with pytest.raises(CorruptError, match='P is 13'):
        Table.from_head({**head, 'P': 13})
