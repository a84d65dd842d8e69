#!/usr/bin/env python3
"""pictures.py N TEST DIR: N coloured pictures of 32x32 in ten classes, and TEST more as a
test set, as DIR/{images,labels,test-images,test-labels}.npy for `lca-data make npy:...`.
Waves, in other directions in each class, with noise: they can be learnt, and compress to
nothing, so that they need not travel."""
import sys

import numpy

CLASSES = 10


def made(n, seed):
    random = numpy.random.default_rng(seed)
    labels = (numpy.arange(n) % CLASSES).astype('u1')
    row, column = (numpy.mgrid[0:32, 0:32] / 32 * 2 * numpy.pi).astype('f4')
    images = numpy.empty((n, 32, 32, 3), 'u1')
    for begin in range(0, n, 5000):
        part = labels[begin:begin + 5000, None, None, None].astype('f4')
        jitter = random.random((3, len(part), 1, 1, 3), 'f4')
        waves = numpy.sin((part % 4 + jitter[0]) * column[..., None] + (part // 4 + jitter[1]) * row[..., None]
                          + 2 * numpy.pi * jitter[2])
        noise = 20 * random.standard_normal(waves.shape, 'f4')
        images[begin:begin + 5000] = (128 + 90 * waves + noise).clip(0, 255)
    return images, labels


def main(n, test, folder):
    for name, count, seed in (('', n, 1), ('test-', test, 2)):
        images, labels = made(int(count), seed)
        numpy.save(f'{folder}/{name}images.npy', images)
        numpy.save(f'{folder}/{name}labels.npy', labels)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
