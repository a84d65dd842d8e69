"""Data files and small dense networks again, in numpy and in double: what the
programs' numbers are compared with."""
import json

import numpy


class Data:
    """Sets of a data file: images [n][pixels] in [0, 1], labels [n]."""

    def __init__(self, path):
        raw = open(path, 'rb').read()
        assert raw[:8] == b'LCADATA1'
        self.header = json.loads(raw[8:4096].rstrip().decode())
        h = self.header
        pixels = h['height'] * h['width'] * h['channels']
        counts = [(s['set'], s['n']) for s in h['sets']]
        total = sum(n for _, n in counts)
        images = numpy.frombuffer(raw, 'u1', total * pixels, 4096).reshape(total, pixels)
        labels = numpy.frombuffer(raw, 'u1', total, 4096 + total * pixels)
        self.sets, at = {}, 0
        for name, n in counts:
            self.sets[name] = images[at:at + n] / 255.0, labels[at:at + n].astype(int)
            at += n


class Net:
    """Dense layers and ReLU, from the description that travels in HEAD."""

    def __init__(self, description):
        net = json.loads(description)
        self.layers, self.shapes = [], []
        width = int(numpy.prod(net['input']))
        for layer in net['layers']:
            if layer['type'] == 'dense':
                self.layers.append('dense')
                self.shapes.append((width, layer['units']))
                width = layer['units']
            elif layer['type'] == 'relu':
                self.layers.append('relu')
            else:
                assert layer['type'] == 'flatten', layer
        self.P = sum(i * o + o for i, o in self.shapes)

    def split(self, theta):
        at, parts = 0, []
        for i, o in self.shapes:
            parts.append((theta[at:at + i * o].reshape(i, o), theta[at + i * o:at + i * o + o]))
            at += i * o + o
        return parts

    def loss(self, theta, images, labels, weights=None):
        """Mean cross-entropy in nat, and its gradient. weights [n]: of the examples in
        the mean, for instance 1 where they are of one class and 0 elsewhere."""
        n = len(labels)
        weights = numpy.ones(n) if weights is None else weights
        theta = numpy.asarray(theta, 'f8')
        parts, inputs, x = self.split(theta), [], images
        k = 0
        for layer in self.layers:
            inputs.append(x)
            if layer == 'dense':
                x = x @ parts[k][0] + parts[k][1]
                k += 1
            else:
                x = numpy.maximum(x, 0)
        x = x - x.max(axis=1, keepdims=True)
        p = numpy.exp(x)
        p /= p.sum(axis=1, keepdims=True)
        loss = -(weights * numpy.log(p[numpy.arange(n), labels])).sum() / n
        d = p.copy()
        d[numpy.arange(n), labels] -= 1
        d *= weights[:, None] / n
        grads = []
        for layer, x in zip(reversed(self.layers), reversed(inputs)):
            if layer == 'dense':
                k -= 1
                grads.append(numpy.concatenate([(x.T @ d).ravel(), d.sum(axis=0)]))
                d = d @ parts[k][0].T
            else:
                d = d * (x > 0)
        return loss, numpy.concatenate(list(reversed(grads)))
