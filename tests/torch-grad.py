#!/usr/bin/python3
"""The gradients that lca-grad computes, again in PyTorch and in double.

    torch-grad.py [--first] DATA THETAS GRADS...

DATA is a data file, THETAS a recorded theta stream, each GRADS what lca-grad made of it,
by class or not. For each theta, mean loss and mean gradient are computed anew, chunk by
chunk, and a line tells how they compare. Exit status 1 if a gradient is further off than
1e-5 of its norm (of a class that does little, 1e-6 of the whole gradient's norm; and
1e-7 where all vanishes), or a loss than 1e-6.

Where ReLUs or max pools have inputs within float rounding of their kink, float may be on
the other side of it, which changes the gradient by more than rounding does: what that
could make is allowed for, and printed. One theta at least must lie near no kink; with
--first only the first such one is compared."""
import os
import sys

os.environ['OMP_NUM_THREADS'] = '1'
import numpy
import torch

import frames
import reference
from torchnet import Kink, Net

TOLERANCE, FLOOR, LOSS_TOLERANCE = 1e-5, 1e-7, 1e-6
DOUBT = 4e-6        # float moves the input of a kink by less, in units of its root mean square


def whole(pairs):
    """Frames that travelled in parts, put together: [(first part's header, vector)]."""
    vectors = []
    for pair in pairs:
        if pair[0].get('off', 0) == 0:
            vectors.append((pair[0], []))
        vectors[-1][1].append(frames.array(pair).astype('f8'))
    return [(header, numpy.concatenate(parts)) for header, parts in vectors]


def expected(net, theta, chunks, cls):
    """Mean loss and gradient over the chunks; of one class's examples, all others in
    the statistics, unless cls is -1."""
    net.load(theta)
    loss, n = 0.0, 0
    for images, labels in chunks:
        losses = net.losses(images, labels)
        part = losses.sum() if cls < 0 else losses[labels == cls].sum()
        part.backward()
        loss += part.item()
        n += len(labels)
    return loss / n, net.gradient() / n


def kinks(net, theta, chunks):
    """By how much those nearby change the gradient, and the norm of that."""
    sides = []
    for Kink.doubt in (DOUBT, -DOUBT):
        sides.append(expected(net, theta, chunks, -1)[1])
    Kink.doubt = 0
    return numpy.linalg.norm(sides[0] - sides[1]), numpy.linalg.norm(sides[0])


class Stream:
    """What lca-grad made: its frames by theta."""

    def __init__(self, path, sets):
        self.pairs = frames.read(path)
        head, self.description = self.pairs[0]
        assert head['st'] == 'grad' and self.pairs[-1][0]['status'] == 'ok'
        made = head['prov'][-1]['args']
        self.x, self.y = (v[:made['examples']] for v in sets[made['set']])
        self.chunk = made['chunk']

    def chunks(self, net):
        images, labels = net.images(self.x), torch.as_tensor(self.y)
        return list(zip(images.split(self.chunk), labels.split(self.chunk)))

    def at(self, it):
        return whole(frames.of_kind(self.pairs, 'grad', it=it))


def compare(net, theta, chunks, header, gradient, slack, most):
    """Whether one gradient is near enough."""
    loss, want = expected(net, theta, chunks, header['cls'])
    off, size = numpy.linalg.norm(gradient - want), numpy.linalg.norm(want)
    good = off <= max(TOLERANCE * size, TOLERANCE * most / 10, FLOOR) + 2 * slack
    good = good and abs(header['loss'] - loss) <= LOSS_TOLERANCE * max(loss, 1)
    print('it %d class %2d: gradient %.2e, off by %.2e; loss %.4f, off by %.1e; kinks %.1e%s' % (
        header['it'], header['cls'], size, off, loss, header['loss'] - loss, slack, '' if good else '  TOO FAR'))
    return good


def main(args):
    first = args[0] == '--first'
    data, thetas, *grads = args[first:]
    sets = reference.Data(data).sets
    streams = [Stream(path, sets) for path in grads]
    net = Net(streams[0].description)
    good, smooth = True, 0
    for header, theta in whole(frames.of_kind(frames.read(thetas), 'theta')):
        for stream in streams:
            chunks = stream.chunks(net)
            slack, most = kinks(net, theta, chunks)
            if first and slack > 0:
                break
            for grad in stream.at(header['it']):
                good = compare(net, theta, chunks, *grad, slack, most) and good
        smooth += slack == 0
        if first and smooth:
            break
    if not smooth:
        print('no theta without kinks nearby')
    return 0 if good and smooth else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
