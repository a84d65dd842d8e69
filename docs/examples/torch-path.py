#!/usr/bin/python3
"""A training run in PyTorch, whose path lca-import reads.

    torch-path.py DATA PATH.npy     DATA: made by lca-data, of 28x28 grey images

Prints the loss of the training set before each step."""
import json
import sys

import numpy
import torch
from torch import nn


def training_set(path):
    """Images [n][channels][height][width] and labels of a data file of lca-data."""
    data = open(path, 'rb').read()
    head = json.loads(data[8:4096])
    n, everything = head['sets'][0]['n'], sum(s['n'] for s in head['sets'])
    size = head['height'] * head['width'] * head['channels']
    images = numpy.frombuffer(data, 'u1', n * size, 4096)
    images = images.reshape(n, head['height'], head['width'], head['channels']).transpose(0, 3, 1, 2)
    labels = numpy.frombuffer(data, 'u1', n, 4096 + everything * size)
    return torch.tensor(images / 255, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)


torch.manual_seed(1)
images, labels = training_set(sys.argv[1])
model = nn.Sequential(
    nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(8 * 6 * 6, 20), nn.ReLU(), nn.Linear(20, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

path = []
for step in range(6):
    vector = nn.utils.parameters_to_vector(model.parameters())
    path.append(vector.detach().numpy().copy())
    loss = nn.functional.cross_entropy(model(images), labels)
    print('%.9g' % loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
numpy.save(sys.argv[2], numpy.stack(path))
