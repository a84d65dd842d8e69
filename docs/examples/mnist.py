#!/usr/bin/python3
"""mnist.py: a training loop of one's own, watched; three lines of it are about that.

    mnist.py train DATA STEPS     trains a network of 784-100-50-10 on a data file of lca-data
    mnist.py work DATA            a gradient worker for it, in the place of lca-grad
"""
import sys

import torch
from torch import nn
from torch.nn import functional

from lca_stream.pytorch import Data, Watch, work


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))


def train(data, steps):
    torch.manual_seed(1)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    watch = Watch(model, data, net="mnist-fc")
    for _ in range(steps):
        x, y = data.of("train", torch.randperm(len(data.sets["train"][0]))[:250])
        loss = functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss, lr=0.05)
    watch.end()


if __name__ == "__main__":
    digits = Data.of_file(sys.argv[2])
    if sys.argv[1] == "train":
        train(digits, int(sys.argv[3]))
    else:
        work(network(), digits)
