#!/usr/bin/env python3
"""How far gradients are from those in double, by PyTorch, on the card where there is one.

    precision.py DATA THETAS NAME=GRADS[=BAR]...

DATA, THETAS and GRADS as in tests/torch-grad.py; a NAME is a device and precision. Prints
for each the norm of the gradient's error over the gradient's norm, and the error of the
loss over the loss, the worst of all thetas, as a line of JSON. Exit status 1 where the
first is over BAR, or no number. BAR may be 3xNAME: three times the error of another, but
no less than 1e-5, and what ReLUs and max pools may make of inputs that are within float
rounding of their kink (see tests/torch-grad.py), which is printed too."""
import importlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import numpy
import torch

import frames
import reference
from torchnet import Kink, Net

torch_grad = importlib.import_module('torch-grad')


def expected(net, theta, stream, device):
    """Mean loss and gradient, chunk by chunk."""
    net.load(theta)
    loss, n = 0.0, 0
    for images, labels in stream.chunks(net):
        part = net.losses(images.to(device), labels.to(device)).sum()
        part.backward()
        loss += part.item()
        n += len(labels)
    return loss / n, net.gradient() / n


def near_kinks(net, theta, stream, device):
    """How far apart gradients are that take either side of the kinks nearby."""
    sides = []
    for Kink.doubt in (torch_grad.DOUBT, -torch_grad.DOUBT):
        sides.append(expected(net, theta, stream, device)[1])
    Kink.doubt = 0.0
    return numpy.linalg.norm(sides[0] - sides[1])


def over(bar, error, errors, slack):
    if not bar:
        return not numpy.isfinite(error)
    limit = max(3 * errors[bar[2:]], 1e-5) + 2 * slack if bar.startswith('3x') else float(bar)
    return not error <= limit


def main(data, thetas, *arguments):
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    sets = reference.Data(data).sets
    streams = {}
    for argument in arguments:
        name, path, bar = (argument.split('=') + [''])[:3]
        streams[name] = torch_grad.Stream(path, sets), bar
    first = next(iter(streams.values()))[0]
    net = Net(first.description)
    net.model.to(device)
    errors, losses, slack = dict.fromkeys(streams, 0.0), dict.fromkeys(streams, 0.0), 0.0
    for header, theta in torch_grad.whole(frames.of_kind(frames.read(thetas), 'theta')):
        loss, want = expected(net, theta, first, device)
        slack = max(slack, float(near_kinks(net, theta, first, device) / numpy.linalg.norm(want)))
        for name, (stream, _) in streams.items():
            for head, gradient in stream.at(header['it']):
                error = numpy.linalg.norm(gradient - want) / numpy.linalg.norm(want)
                errors[name] = float(numpy.fmax(errors[name], error)) if numpy.isfinite(error) else float('nan')
                losses[name] = max(losses[name], abs(head['loss'] - loss) / loss)
    bad = [name for name, (_, bar) in streams.items() if over(bar, errors[name], errors, slack)]
    print(json.dumps({'what': 'precision', 'net': json.loads(first.description)['name'], 'examples': len(first.x),
                      'chunk': first.chunk, 'gradient': {n: float(f'{e:.3g}') for n, e in errors.items()},
                      'loss': {n: float(f'{e:.3g}') for n, e in losses.items()},
                      'kinks': float(f'{slack:.3g}'), 'over': bad}))
    return 1 if bad else 0


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
