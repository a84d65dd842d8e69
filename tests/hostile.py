"""Peers that do not keep to the rules, for tests/pipelines/hostile.bats. Each attack is a
connection of its own, as one identity that is ignored has nothing more to say."""
import struct
import sys
import time

import msgpack
import numpy
import zmq

import frames

context = zmq.Context()
MOST = 1 << 26


def frame(t, run=bytes(16), st='-', **keys):
    return dict({'lca': 1, 't': t, 'run': run, 'st': st}, **keys)


def packed(data):
    """A message whose header is these bytes."""
    return b'f\0\0\0' + struct.pack('>I', len(data)) + data


def hello(name, **keys):
    return frame('HELLO', **dict({'vmin': 1, 'vmax': 1, 'name': name, 'maxb': MOST}, **keys))


class Peer:
    def __init__(self, address, kind=zmq.DEALER):
        self.socket = context.socket(kind)
        self.socket.linger = 2000
        self.socket.connect(address)

    def say(self, header, payload=b''):
        self.socket.send(frames.packet(header, payload))

    def raw(self, *parts):
        self.socket.send_multipart(parts)

    def hear(self, t, seconds=20):
        """The next frame of this kind."""
        end = time.time() + seconds
        while self.socket.poll(max(0, int(1000 * (end - time.time())))):
            header, payload = frames.unpacket(self.socket.recv())
            if header['t'] == t:
                return header, payload
        sys.exit('no %s came' % t)

    def close(self):
        self.socket.close()


def nonsense():
    """Messages that are no frames, by what is wrong with them."""
    ping = msgpack.packb(frame('PING'))
    good = frames.packet(frame('theta', seq=0, it=0, lr=0.0, mbloss=0.0, epoch=0, dt='<f4', sh=[2]), bytes(8))
    deep = b'\x85' + ping[1:] + msgpack.packb('x') + msgpack.packb([[[[[1]]]]])
    twice = b'\x86' + ping[1:] + 2 * (msgpack.packb('x') + b'\1')
    wrong = bytearray(good)
    wrong[-1] ^= 1
    return {
        'cut': [good[:-3]], 'cut in its header': [packed(ping[:-1])], 'nothing': [b''],
        'no frame': [b'GET / HTTP/1.1\r\n\r\n'], 'parts': [frames.packet(frame('PING')), b'more'],
        'deep': [packed(deep)], 'twice': [packed(twice)], 'claims': [packed(b'\xdf\xff\xff\xff\xff')],
        'checksum': [bytes(wrong)], 'version': [frames.packet(dict(frame('PING'), lca=2))],
        'kind': [frames.packet(frame('NEWS'))],
    }


def attack(address, *messages):
    """Sends them on a connection of its own and leaves it open."""
    peer = Peer(address)
    for message in messages:
        peer.raw(*message)
    return peer


def settle(peers, seconds=20):
    """Waits until what they sent has been sent, then leaves."""
    for p in peers:
        p.close()
    context.term()


def worker(name, head, **keys):
    """JOIN of a worker that fits the run whose lca stream has this HEAD."""
    return frame('JOIN', **dict({'vmin': 1, 'vmax': 1, 'name': name, 'host': 'h', 'pid': 1, 'slots': 2, 'dev': 'cpu',
                                 'num': head['num'], 'data': head['data']['sha256']}, **keys))


def result(work, run, values, **keys):
    """DONE for a unit of work."""
    v = numpy.asarray(values, '<f4')
    return frame('DONE', run, 'pool', **dict({'pt': work['pt'], 'u': work['u'], 'cls': -1, 'n': 10, 'loss': 1.0, 'hit': 1,
                                              'sec': 0.001, 'last': True, 'dt': '<f4', 'sh': [v.size]}, **keys)), v.tobytes()
