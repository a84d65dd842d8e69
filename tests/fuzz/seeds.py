#!/usr/bin/python3
"""seeds.py BIN OUT: what the fuzzers begin with, made from real streams and files.

Writes OUT/NAME/* for each target tests/fuzz/fuzz-NAME.c, in the form that the head of
its file tells, and OUT/NAME.dict, words that libFuzzer mixes in."""
import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import sys

import msgpack
import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..'))
import frames
import handmade

NETS = os.path.join(HERE, '..', '..', 'pipelines', 'nets')
SMALL = {'name': 'small', 'input': [4, 4, 1], 'classes': 3, 'layers': [
    {'type': 'dense', 'name': 'one', 'units': 2}, {'type': 'relu'}, {'type': 'dense', 'name': 'two', 'units': 3}]}
ALL_TYPES = {'name': 'all', 'input': [9, 9, 2], 'classes': 3, 'layers': [
    {'type': 'conv', 'channels': 4, 'kernel': 3, 'stride': 2, 'pad': 'valid'}, {'type': 'batchnorm', 'eps': 0.01},
    {'type': 'relu'}, {'type': 'residual', 'shortcut': 'conv', 'layers': [
        {'type': 'conv', 'channels': 6, 'kernel': 3, 'stride': 2}, {'type': 'dropout', 'rate': 0.5},
        {'type': 'residual', 'layers': [{'type': 'conv', 'channels': 6, 'kernel': 1}]}]},
    {'type': 'maxpool', 'size': 2, 'stride': 1}, {'type': 'avgpool', 'size': 1}, {'type': 'gap'}, {'type': 'flatten'},
    {'type': 'dense', 'units': 3}]}


def seed(out, target, name, data):
    folder = os.path.join(out, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(data)


def words(out, target, texts):
    with open(os.path.join(out, target + '.dict'), 'w') as f:
        for text in sorted(set(texts)):
            data = text if isinstance(text, bytes) else text.encode()
            f.write('"%s"\n' % ''.join('\\x%02x' % b for b in data))


def pipeline(bin_, folder):
    """A run of the small network on generated images: theta, lca and layers streams."""
    r = numpy.random.default_rng(1)
    path = lambda name: os.path.join(folder, name)
    numpy.save(path('x.npy'), r.integers(0, 256, (40, 4, 4), 'u1'))
    numpy.save(path('y.npy'), (numpy.arange(40) % 3).astype('u1'))
    json.dump(SMALL, open(path('small.json'), 'w'))
    env = dict(os.environ, LCA_DIR=path('ipc'), PATH=bin_ + ':' + os.environ['PATH'])
    script = '''set -e; cd "$0"
        lca-data make npy:x.npy,y.npy --val 10 --out d >/dev/null
        lca-train --net ./small.json --data d --batch 5 --iterations 3 --out theta.lca
        lca-grad --data d --pool ipc:pool & worker=$!
        lca-integrate --in theta.lca --pool ipc:pool --pool-wait 20 --chunk 10 --by-class --sets train,val --out lca.lca
        wait $worker
        lca-layers --in lca.lca --out layers.lca
        lca-cat --in theta.lca --out theta.lca.zst'''
    subprocess.run(['bash', '-c', script, folder], env=env, check=True)


def control():
    """One frame of each kind that streams do not hold."""
    def frame(t, st='-', **keys):
        return dict({'lca': 1, 't': t, 'run': bytes(16), 'st': st}, **keys)
    return [frame('HELLO', vmin=1, vmax=1, name='a', maxb=1 << 26),
            frame('HELLO', vmin=1, vmax=1, name='b', win=3, maxb=1 << 26, take=True, **{'from': '12'}),
            frame('ACK', 'lca', done=3, lim=12), frame('ACK', 'lca', done=30, lim=120, eos=True),
            frame('BYE', 'lca', why='leaving'), frame('ERR', code='gone', msg='frame 3 is gone'),
            frame('PING', inc=2), frame('PONG'),
            frame('JOIN', vmin=1, vmax=1, name='w', host='h', pid=12, slots=2, dev='cpu', num='n', data='0' * 64),
            frame('WORK', pt=1, u=2, lease_ms=10000), frame('FAIL', 'pool', pt=1, u=2, msg='why'),
            frame('LEAVE', why='told to stop'), frame('NEW', opt=True, more=[1, -1, 2.5, None, {'a': True}])]


def proto_words():
    import re
    found = set()
    for name in os.listdir(os.path.join(HERE, '..', '..', 'proto')):
        text = open(os.path.join(HERE, '..', '..', 'proto', name)).read()
        found.update(re.findall(r'X\(\w+, (\w+)', text))
        found.update(re.findall(r'"(\w+)"', text))
    return [msgpack.packb(w) for w in found if len(w) < 20]


def of_frames(out, folder):
    pairs = [p for name in ('theta', 'lca', 'layers') for p in frames.read(os.path.join(folder, name + '.lca'))]
    seen = {}
    for header, payload in pairs:
        seen.setdefault((header['st'], header['t'], header.get('cls', -1) < 0, header.get('kind')), (header, payload))
    for n, (header, payload) in enumerate(seen.values()):
        seed(out, 'frame', '%s-%s-%d' % (header['st'], header['t'], n), msgpack.packb(header))
    for n, header in enumerate(control()):
        seed(out, 'frame', '%s-%d' % (header['t'], n), msgpack.packb(header))
    keys = proto_words() + [msgpack.packb(d) for d in frames.DTYPES] + [b'\xc4\x10', b'\xcb\x7f\xf0', b'\xdf\xff']
    words(out, 'frame', keys)
    for name in ('theta.lca', 'layers.lca', 'theta.lca.zst'):
        seed(out, 'record', name, b'\1' + open(os.path.join(folder, name), 'rb').read())
    seed(out, 'record', 'cut', b'\0' + open(os.path.join(folder, 'theta.lca'), 'rb').read()[:-7])
    words(out, 'record', keys)


def of_nets(out):
    for name in sorted(os.listdir(NETS)):
        net = json.load(open(os.path.join(NETS, name)))
        seed(out, 'net', name, json.dumps(net, separators=(',', ':')).encode())
    external = {'name': 'external', 'external': True, 'chunk': 5, 'scale': 0.5}
    for net in (SMALL, ALL_TYPES, handmade.NET, external):
        seed(out, 'net', net['name'], json.dumps(net).encode())
    words(out, 'net', ['"%s"' % w for w in (
        'name input classes layers type dense conv maxpool avgpool gap batchnorm relu dropout flatten residual add units '
        'channels kernel stride pad same valid size eps rate shortcut identity').split()] +
          ['{"type":"relu"}', '4096', '1048576', '4294967296', '9223372036854775807', '1e308', '-1', '[[[['])


def of_data(out, folder):
    r = numpy.random.default_rng(2)
    pixels, labels = r.integers(0, 256, 3 * 6, 'u1').tobytes(), bytes([1, 0, 2])
    images = struct.pack('>4I', 2051, 3, 2, 3) + pixels
    named = struct.pack('>2I', 2049, 3) + labels
    for name, x, y in (('plain', images, named), ('gz', gzip.compress(images), gzip.compress(named)),
                       ('mixed', images, gzip.compress(named)), ('cut', gzip.compress(images)[:-5], named),
                       ('many', struct.pack('>4I', 2051, 1 << 31, 4096, 4096), named)):
        seed(out, 'idx', name, struct.pack('<H', len(x)) + x + y)
    words(out, 'idx', [struct.pack('>I', n) for n in (2051, 2049, 1, 4096, 1 << 31, 0xffffffff)] + [b'\x1f\x8b\x08'])

    record = bytes([7]) + bytes(range(256)) * 12
    seed(out, 'cifar', 'one', b'\0' + record)
    seed(out, 'cifar', 'two', b'\1' + record + record)
    seed(out, 'cifar', 'label', b'\0' + bytes([10]) + record[1:])
    seed(out, 'cifar', 'cut', b'\0' + record[:-1])

    def npy(array, **how):
        b = io.BytesIO()
        numpy.lib.format.write_array(b, array, **how)
        return b.getvalue()
    x = npy(r.integers(0, 256, (3, 2, 2), 'u1'))
    for name, y in (('u1', npy(numpy.array([0, 1, 2], 'u1'))), ('i8', npy(numpy.array([0, 1, 255], '>i8'), version=(2, 0)))):
        seed(out, 'npy', name, struct.pack('<BH', 0, len(x)) + x + y)
    seed(out, 'npy', 'matrix', b'\1' + npy(r.standard_normal((3, 4))))
    seed(out, 'npy', 'fortran', b'\1' + npy(numpy.asfortranarray(r.standard_normal((3, 4)).astype('>f4'))))
    seed(out, 'npy', 'row', b'\1' + gzip.compress(npy(r.standard_normal(5))))
    seed(out, 'npy', 'rows', b'\3' + npy(r.standard_normal((3, 4)).astype('f4')))
    seed(out, 'npy', 'swapped-rows', b'\3' + gzip.compress(npy(r.standard_normal((2, 5)).astype('>f8'))))
    words(out, 'npy', ["'descr': ", "'fortran_order': ", "'shape': ", 'True', 'False', "'<f8'", "'|u1'", "'>i4'",
                       '(1, 18446744073709551615)', '(0, 9223372036854775808)', '\x93NUMPY\x01'])

    whole = open(os.path.join(folder, 'd'), 'rb').read()
    text = whole[8:4096].rstrip()
    seed(out, 'data', 'whole', text + b'\0' + whole[4096:])
    seed(out, 'data', 'cut', text + b'\0' + whole[4096:-1])
    words(out, 'data', ['"%s"' % w for w in 'name height width channels classes sets set n sha256 train val test'.split()] +
          ['2147483647', '4096', '64', '{"set":"val","n":1}'])


def of_checkpoints(out):
    P = 2 * 2 + 2
    head = {'def': {'network': 'n', 'seed': 1}, 'num': 'num', 't': 3, 'parameters': P, 'waiting': 0, 'lr': 0.1,
            'mbloss': 0.5, 'epoch': 0, 'mb': '00' * 8}

    def file(flags, arrays, **other):
        text = json.dumps(dict(head, **other)).encode()
        body = b'LCACKPT1' + struct.pack('<Q', len(text)) + text + numpy.ones(arrays * P, '<f4').tobytes()
        return bytes([flags]) + body + hashlib.sha256(body).digest()
    seed(out, 'checkpoint', 'sgd', file(1, 2))
    seed(out, 'checkpoint', 'adam', file(3, 3))
    seed(out, 'checkpoint', 'delay', file(5, 4, waiting=2 * P))
    seed(out, 'checkpoint', 'other-run', file(1, 2, **{'def': {'network': 'n', 'seed': [2]}}))
    seed(out, 'checkpoint', 'damaged', bytes([0]) + file(0, 2)[2:])
    words(out, 'checkpoint', ['"%s"' % k for k in head] + ['{"network":"n","seed":1}', '9223372036854775807', '1e999',
                                                           'LCACKPT1'])


def of_tensors(out):
    """Snapshots of the network of fuzz-tensors.c, after a map."""
    def file(tensors, map_=b'', pad=0):
        head, at = {'__metadata__': {'format': 'pt'}}, 0
        for name, dtype, shape in tensors:
            size = int(numpy.prod(shape)) * {'F32': 4, 'F64': 8, 'F16': 2, 'BF16': 2, 'I64': 8}[dtype]
            head[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + size]}
            at += size
        text = json.dumps(head).encode() + b' ' * pad
        return struct.pack('<H', len(map_)) + map_ + struct.pack('<Q', len(text)) + text + b'\0\0\x80\x3f' * (at // 4)
    ours = [('c/kernel', 'F32', [1, 1, 1, 2]), ('c/bias', 'F32', [2]), ('c/gamma', 'F32', [2]), ('c/beta', 'F32', [2]),
            ('d/kernel', 'F32', [8, 2]), ('d/bias', 'F32', [2])]
    torch = [('0.bias', 'F16', [2]), ('0.weight', 'BF16', [2, 1, 1, 1]), ('1.bias', 'F32', [2]),
             ('1.running_mean', 'F32', [2]), ('1.weight', 'F64', [2]), ('3.bias', 'F32', [2]), ('3.weight', 'F32', [2, 8]),
             ('1.num_batches_tracked', 'I64', [])]
    map_ = b'c/kernel 0.weight\nc/bias -\nc/gamma 1.weight # of the norm\nc/beta 1.bias\nd/kernel 3.weight\n' \
           b'd/bias 3.bias\n- 0.bias\n'
    seed(out, 'tensors', 'ours', file(ours))
    seed(out, 'tensors', 'torch', file(torch, pad=5))
    seed(out, 'tensors', 'mapped', file(torch, map_))
    seed(out, 'tensors', 'cut', file(ours)[:-3])
    words(out, 'tensors', ['"%s"' % k for k in 'dtype shape data_offsets F32 F64 F16 BF16 I64 BOOL __metadata__'.split()] +
          [n for n, _, _ in ours + torch] + ['[0,4]', '[4611686018427387904]', '18446744073709551615', '-1', ' -\n', '- '])


def of_stages(out):
    seed(out, 'stages', 'run', b'# a run\ntheta: lca-train --net x \\\n  --data d\ngrad*3: lca-grad --pool ipc:p\r\n'
                               b'lca: lca-integrate\n')
    seed(out, 'stages', 'many', b'w*256: x\na:y')
    words(out, 'stages', [': ', '*', '\\\n', '\r\n', '#', '*256:', '99999999999999999999'])


def of_links(out, folder):
    """Steps of tests/fuzz/script.h."""
    run, head = b'the run at hand\0', frames.read(os.path.join(folder, 'theta.lca'))

    def says(peer, header, payload=b''):
        message = frames.packet(header, payload)
        return bytes([0, peer]) + struct.pack('<H', len(message)) + message

    def frame(t, st='-', **keys):
        return dict({'lca': 1, 't': t, 'run': run, 'st': st}, **keys)

    def hello(name, **keys):
        return frame('HELLO', **dict({'vmin': 1, 'vmax': 1, 'name': name, 'maxb': 1 << 26}, **keys))

    def ack(done, lim, **keys):
        return frame('ACK', 'theta', done=done, lim=lim, **keys)
    connected, lost, full, minute, send, point, answer, bad = b'\x28', b'\x29', b'\x2b', b'\x2c\xce', b'@', b'@', b'A', b'B'
    seed(out, 'out', 'in-order', b'\x21' + says(3, hello('a')) + says(3, ack(0, 9)) + 3 * send + says(3, ack(4, 9)) +
         2 * send + says(3, ack(8, 20)) + b'\x2d\2\1f' + send + says(3, ack(12, 30, eos=True)))
    seed(out, 'out', 'two-names-on-one-connection', b'\0' + says(3, hello('a', win=9)) + send +
         says(3, hello('b', win=9)) + 2 * send)
    seed(out, 'out', 'replaced', b'\2' + says(1, hello('a', win=3)) + says(2, hello('b')) + send +
         says(4, hello('a', take=True)) + lost + b'\x2a\1' + minute + send)
    seed(out, 'out', 'back-with-more-than-was-sent', b'\x11' + says(1, hello('a', **{'from': '12'})) +
         says(1, ack(14, 20)) + 4 * send)
    steps = b''.join(says(0, h, p) for h, p in head)
    seed(out, 'in', 'in-order', b'\0' + connected + steps + b'@' + b'A')
    seed(out, 'in', 'again-after-a-loss', b'\0' + connected + b''.join(says(0, h, p) for h, p in head[:3]) + b'@A' + lost +
         b'@' + connected + steps + b'@A')
    seed(out, 'in', 'frames-that-are-none-per-iteration', b'\0' + connected +
         says(0, dict(head[0][0], parts=1 << 63, nbmax=1), head[0][1]) + b'@')
    joins = b'C\2\1' + b'C\2\5' + b'C\1\7'
    for by_class in range(2):
        seed(out, 'pool', 'in-order-%d' % by_class, bytes([by_class]) + joins + 2 * point + 9 * (answer + b'\0\0') +
             2 * (answer + b'\1\1'))
    seed(out, 'pool', 'results-that-took-a-year', b'\0' + joins + point + 3 * (answer + b'\0\4'))
    seed(out, 'pool', 'numbers-that-are-none', b'\0' + joins + point + 9 * (bad + b'\0\0'))
    seed(out, 'pool', 'late', b'\4' + joins + point + b'\x2c\x96' + 6 * (answer + b'\0\0') + lost + b'\x2a\1' + minute)
    seed(out, 'worker', 'in-order', connected + b'@' + b'A' + b'B\0' + b'B\1' + b'A' + b'B\2')
    seed(out, 'worker', 'pool-lost', connected + b'@AB\0' + lost + connected + b'@AB\1')
    for target in ('in', 'out', 'pool', 'worker'):
        words(out, target, [b'\x28', b'\x2c\xce', b'\0\1', struct.pack('<Q', (1 << 64) - 1)] + proto_words())


def main(bin_, out):
    folder = os.path.join(out, 'made')
    os.makedirs(folder, exist_ok=True)
    pipeline(os.path.abspath(bin_), os.path.abspath(folder))
    of_frames(out, folder)
    of_nets(out)
    of_data(out, folder)
    of_checkpoints(out)
    of_tensors(out)
    of_stages(out)
    of_links(out, folder)


if __name__ == '__main__':
    main(*sys.argv[1:])
