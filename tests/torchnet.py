"""Networks in PyTorch, from the description that travels in HEAD and that `lca-net
--json` prints: another implementation of the loss, to compare gradients and speed with.

    net = Net(description, torch.float64)
    net.load(theta)                     # a parameter vector, as in a theta frame
    net.losses(net.images(x), labels).sum().backward()
    net.gradient()                      # a parameter vector again

Inside, images and feature maps are NCHW, as PyTorch likes them; the parameter vector
has channels last, and load and gradient translate. Dropout is off, and batch norm takes
the statistics of the batch that it is given, as an evaluator does those of a chunk."""
import json

import numpy
import torch
from torch import nn
from torch.nn import functional


class BatchNorm(nn.Module):
    """By the batch's statistics, even where those are of a single number."""

    def __init__(self, channels, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return torch.batch_norm(x, self.weight, self.bias, None, None, True, 0, self.eps, x.is_cuda)


class Kink(nn.Module):
    """A ReLU or a max pool, whose gradient takes the sides of the kink as if the input
    were off by doubt x its root mean square, with irregular signs; 0 stays 0. At doubt
    and at -doubt gradients differ where a kink is that near: there float arithmetic may
    rightly be on either side."""
    doubt = 0.0         # of all of them

    def forward(self, x):
        y = self.value(x)
        if not Kink.doubt:
            return y
        with torch.no_grad():
            generator = torch.Generator(x.device).manual_seed(1)
            sign = torch.rand(x.shape, generator=generator, device=x.device) < 0.5
            off = Kink.doubt * x.square().mean().sqrt()
            seen = torch.where(x == 0, x, x + torch.where(sign, off, -off))
        through = self.passed(x, seen)
        return through + (y - through).detach()


class ReLU(Kink):
    def value(self, x):
        return functional.relu(x)

    def passed(self, x, seen):
        return x * (seen > 0)


class MaxPool(Kink):
    def __init__(self, size, stride):
        super().__init__()
        self.window = size, stride

    def value(self, x):
        return functional.max_pool2d(x, *self.window)

    def passed(self, x, seen):
        _, places = functional.max_pool2d(seen, *self.window, return_indices=True)
        return x.flatten(2).gather(2, places.flatten(2)).reshape(places.shape)


class Residual(nn.Module):
    def __init__(self, layers, shortcut):
        super().__init__()
        self.layers, self.shortcut = layers, shortcut

    def forward(self, x):
        return self.layers(x) + self.shortcut(x)


def same_padding(size, kernel, stride):
    """Rows before and after, so that ceil(size / stride) come out."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Net:
    # Kernels in the vector are [height][width][in][out], those of dense layers too,
    # whose input is a feature map of that shape.
    TO_TORCH, TO_VECTOR = (3, 2, 0, 1), (2, 3, 1, 0)

    def __init__(self, description, dtype=torch.float64):
        net = json.loads(description)
        self.dtype = dtype
        self.input = net['input']
        self.groups = []        # per kernel layer [(parameter, its shape in the vector)]
        height, width, channels = self.input
        self.model, _ = self.build(net['layers'], (channels, height, width))
        self.model.to(dtype)

    def build(self, layers, shape):
        """The layers as a module, and the shape (C, H, W) that comes out."""
        modules, group = [], None
        for layer in layers:
            kind = layer['type']
            if kind == 'conv':
                convolution, shape, group = self.convolution(layer, shape)
                modules += convolution
            elif kind == 'dense':
                c, h, w = shape
                dense = nn.Linear(c * h * w, layer['units'])
                modules += [nn.Flatten(), dense]
                group = self.group(dense, (h, w, c, layer['units']))
                shape = layer['units'], 1, 1
            elif kind in ('maxpool', 'avgpool'):
                pool = MaxPool if kind == 'maxpool' else nn.AvgPool2d
                modules.append(pool(layer['size'], layer['stride']))
                shape = shape[0], *((s - layer['size']) // layer['stride'] + 1 for s in shape[1:])
            elif kind == 'gap':
                modules.append(nn.AdaptiveAvgPool2d(1))
                shape = shape[0], 1, 1
            elif kind == 'batchnorm':
                norm = BatchNorm(shape[0], layer['eps'])
                modules.append(norm)
                group += [(norm.weight, (shape[0],)), (norm.bias, (shape[0],))]
            elif kind == 'relu':
                modules.append(ReLU())
            elif kind == 'residual':
                inner, out = self.build(layer['layers'], shape)
                modules.append(Residual(inner, self.shortcut(layer, shape, out)))
                shape = out
            else:
                assert kind in ('flatten', 'dropout'), layer
        return nn.Sequential(*modules), shape

    def convolution(self, layer, shape):
        size, stride, out = layer['kernel'], layer['stride'], layer['channels']
        pads = [same_padding(s, size, stride) if layer['pad'] == 'same' else (0, 0) for s in shape[1:]]
        high, wide = ((s + sum(p) - size) // stride + 1 for s, p in zip(shape[1:], pads))
        if all(before == after for before, after in pads):
            modules = [nn.Conv2d(shape[0], out, size, stride, (pads[0][0], pads[1][0]))]
        else:
            modules = [nn.ZeroPad2d((*pads[1], *pads[0])), nn.Conv2d(shape[0], out, size, stride)]
        return modules, (out, high, wide), self.group(modules[-1], (size, size, shape[0], out))

    def shortcut(self, layer, shape, out):
        if layer['shortcut'] == 'identity':
            return nn.Identity()
        stride = next(s for s in range(1, 4097) if all(-(-a // s) == b for a, b in zip(shape[1:], out[1:])))
        conv = nn.Conv2d(shape[0], out[0], 1, stride)
        self.group(conv, (1, 1, shape[0], out[0]))
        return conv

    def group(self, module, shape):
        self.groups.append([(module.weight, shape), (module.bias, shape[3:])])
        return self.groups[-1]

    def parameters(self):
        return [tensor for group in self.groups for tensor in group]

    def load(self, theta):
        theta, at = torch.as_tensor(numpy.array(theta), dtype=self.dtype), 0
        for parameter, shape in self.parameters():
            values = theta[at:at + parameter.numel()].reshape(shape)
            if len(shape) == 4:
                values = values.permute(self.TO_TORCH)
            parameter.data.copy_(values.reshape(parameter.shape))
            at += parameter.numel()
        assert at == len(theta)
        self.model.zero_grad()

    def gradient(self):
        parts = []
        for parameter, shape in self.parameters():
            values = parameter.grad
            if len(shape) == 4:
                values = values.reshape([shape[k] for k in self.TO_TORCH]).permute(self.TO_VECTOR)
            parts.append(values.reshape(-1))
        return torch.cat(parts).cpu().numpy()

    def images(self, x):
        """[n][pixels], channels last, as [n][C][H][W]."""
        x = torch.as_tensor(x, dtype=self.dtype).reshape(-1, *self.input)
        return x.permute(0, 3, 1, 2).contiguous()

    def losses(self, images, labels):
        """Cross-entropy of each example, nat."""
        logits = self.model(images).flatten(1)
        return functional.cross_entropy(logits, labels, reduction='none')


def made_examples(shape, n, kind, device='cpu'):
    """Bytes as floats in [0, 1], NCHW, and labels; of digits 19 % are not 0, as in MNIST."""
    g = torch.Generator(device).manual_seed(1)
    height, width, channels = shape
    x = torch.randint(1, 256, (n, channels, height, width), generator=g, device=device).float() / 255
    if kind == 'digits':
        x *= torch.rand(x.shape, generator=g, device=device) < 0.19
    return x, torch.randint(0, 10, (n,), generator=g, device=device)
