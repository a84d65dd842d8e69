#!/usr/bin/python3
"""transformer.py: a network that the project does not know, a small transformer, learns to turn
sequences around; the loss change of each of its parameters is told.

    transformer.py train STEPS    trains it
    transformer.py work           a gradient worker for it; start one per core
"""
import sys

import torch
from torch import nn

from lca_stream.pytorch import Data, Watch, cross_entropy, work

TOKENS, LENGTH, WIDTH = 8, 6, 16


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(TOKENS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.block = nn.TransformerEncoderLayer(WIDTH, nhead=2, dim_feedforward=32, activation="gelu", batch_first=True)
        self.out = nn.Linear(WIDTH, TOKENS)

    def forward(self, x):
        return self.out(self.block(self.token(x) + self.place(torch.arange(LENGTH))))


def sequences():
    x = torch.randint(TOKENS, (500, LENGTH), generator=torch.Generator().manual_seed(1))
    return Data("reversals", train=(x[:400], x[:400].flip(1)), val=(x[400:], x[400:].flip(1)))


def train(data, steps):
    torch.manual_seed(1)
    model = Transformer()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    watch = Watch(model, data, name="transformer", chunk=100)
    for _ in range(steps):
        x, y = data.of("train", torch.randperm(400)[:50])
        loss = cross_entropy(model, x, y)[0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss, lr=0.003)
    watch.end()


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sequences(), int(sys.argv[2]))
    else:
        work(Transformer(), sequences())
