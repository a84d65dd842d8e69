#!/usr/bin/env python3
"""What PyTorch does on a GPU: loss and gradient of the whole training set, all of it
resident on the card.

    torch-gpu.py --ceilings
    torch-gpu.py [--precision P,...] [--examples N] [--batches B,...] [--seconds S] [--compile MODE,...] NET

NET is a description as `lca-net --json` prints it: a file, or - for stdin. Tried are the
batch sizes, images as floats or as bytes scaled batch by batch, and for convolutions both
memory formats: each for a few batches. The two fastest do whole passes, warm, the best
of three as far as S seconds for each precision allow. float32 is without TF32 in matrix
products and convolutions, tf32 with it, bf16 is autocast. Batch norm takes the statistics
of each batch, so that its batch size is part of what is computed: give that one alone.
--compile does the passes through torch.compile, without the trials: give the batch,
--input and --layout that were best without.

Prints a line of JSON per precision (and mode): us_per_example is the wall time of a whole
pass over its examples. --ceilings prints how fast the card copies and multiplies."""
import argparse
import itertools
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import torch
from torchnet import Net, made_examples

LAYOUTS = {'nhwc': torch.channels_last, 'nchw': torch.contiguous_format}


def say(**line):
    print(json.dumps({**line, **machine()}), flush=True)


def machine(kept={}):
    if not kept and torch.cuda.is_available():
        driver = subprocess.run(['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'],
                                capture_output=True, text=True, check=False).stdout.split('\n')[0]
        kept.update(card=torch.cuda.get_device_name(), driver=driver, cuda=torch.version.cuda,
                    cudnn=torch.backends.cudnn.version())
    return {**kept, 'torch': torch.__version__}


def set_precision(precision):
    torch.backends.cuda.matmul.allow_tf32 = precision != 'float32'
    torch.backends.cudnn.allow_tf32 = precision != 'float32'


def synchronize(device):
    if device.type == 'cuda':
        torch.cuda.synchronize()


def timed(device, function, *args):
    synchronize(device)
    begin = time.perf_counter()
    function(*args)
    synchronize(device)
    return time.perf_counter() - begin


class Bench:
    """One network on the device, with its examples in the forms that were asked for."""

    def __init__(self, description, a):
        self.device = torch.device(a.device)
        self.net = Net(description, torch.float32)
        self.net.model.to(self.device)
        floats, self.labels = made_examples(self.net.input, a.examples, a.kind, self.device)
        self.images, self.convolves = (floats * 255).round().to(torch.uint8), '"conv"' in description
        self.form = None

    def use(self, config):
        """Lays model and images out as the configuration says."""
        form = config['layout'], config['input']
        if form != self.form:
            self.form, layout = form, LAYOUTS[config['layout']]
            self.net.model.to(memory_format=layout)
            x = self.images.contiguous(memory_format=layout)
            self.x = x if config['input'] == 'uint8' else x.float().mul_(1 / 255)

    def loss(self, x, y):
        if x.dtype == torch.uint8:
            x = x.float() * (1 / 255)
        if self.bf16:
            with torch.autocast(self.device.type, torch.bfloat16):
                return self.net.losses(x, y).sum()
        return self.net.losses(x, y).sum()

    def passes(self, function, batch, first, last):
        """Loss and gradient, summed, of examples first to last."""
        self.net.model.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for i in range(first, last, batch):
            loss = function(self.x[i:i + batch], self.labels[i:i + batch])
            loss.backward()
            total += loss.detach()
        value = total.item()
        if value != value:
            raise RuntimeError('the loss is not a number')

    def trial(self, config):
        """Seconds per example of a few warm batches."""
        self.use(config)
        n = len(self.labels)
        batch = config['batch']
        few = batch * min(max(1, 5000 // batch), n // batch)
        timed(self.device, self.passes, self.loss, batch, 0, batch)
        return min(timed(self.device, self.passes, self.loss, batch, 0, few) for _ in range(2)) / few

    def best(self, config, function, seconds):
        """Least seconds of a whole pass: of three, of more within half a second, of fewer when
        three take longer than asked for; and how many that were."""
        self.use(config)
        n, batch = len(self.labels), config['batch']
        end = time.perf_counter() + seconds
        for _ in range(3):      # a graph is recorded by the third call at the latest
            timed(self.device, self.passes, function, batch, 0, batch)
        times = []
        while not times or (len(times) < 3 or sum(times) < 0.5) and time.perf_counter() + times[-1] < end:
            times.append(timed(self.device, self.passes, function, batch, 0, n))
        return min(times), len(times)


def configurations(a, convolves):
    layouts = (a.layout.split(',') if a.layout else ['nhwc', 'nchw']) if convolves else ['nchw']
    batches = [int(b) for b in a.batches.split(',')]
    for batch in batches:
        if batch < 1 or a.examples % batch:
            sys.exit(f'torch-gpu.py: batches of {batch} do not divide {a.examples} examples')
    return [{'batch': batch, 'layout': layout, 'input': form}
            for layout, form, batch in itertools.product(layouts, a.input.split(','), batches)]


def eager(bench, a, precision):
    end = time.perf_counter() + a.seconds
    trials = []
    for config in configurations(a, bench.convolves):
        if trials and time.perf_counter() > end - a.seconds / 2:
            break
        try:
            trials.append((bench.trial(config), config))
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
    if not trials:
        raise RuntimeError('no batch size fits the memory')
    trials.sort(key=lambda t: t[0])
    measured = []
    for _, config in trials[:2]:
        if not measured or time.perf_counter() < end:
            seconds, count = bench.best(config, bench.loss, (end - time.perf_counter()) / 2)
            measured.append((seconds, {**config, 'passes': count}))
    seconds, config = min(measured, key=lambda m: m[0])
    return seconds, {**config, 'trials': [{**c, 'us': round(s * 1e6, 4)} for s, c in trials]}


def compiled(bench, a, mode):
    from torch import _dynamo
    results = []
    for config in configurations(a, bench.convolves):
        _dynamo.reset()
        bench.use(config)
        function = torch.compile(bench.loss, mode=None if mode == 'default' else mode, dynamic=False)
        first = timed(bench.device, bench.passes, function, config['batch'], 0, config['batch'])
        seconds, count = bench.best(config, function, a.seconds)
        results.append((seconds, {**config, 'passes': count, 'seconds_to_compile': round(first, 2)}))
    return min(results, key=lambda r: r[0])


def ceilings(device):
    size, floats = (8192, 1 << 30) if device.type == 'cuda' else (512, 1 << 22)
    a = torch.randn(floats, device=device)
    b = torch.empty_like(a)
    b.copy_(a)
    seconds = min(timed(device, b.copy_, a) for _ in range(10))
    line = {'copy_gb_per_s': round(2 * 4 * floats / seconds / 1e9, 1)}
    del a, b
    for precision in ('float32', 'tf32', 'bf16'):
        set_precision(precision)
        kind = torch.bfloat16 if precision == 'bf16' else torch.float32
        a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        out = torch.empty_like(a)

        def product():
            for _ in range(5):
                torch.mm(a, b, out=out)
        product()
        seconds = min(timed(device, product) for _ in range(5)) / 5
        line[f'{precision}_gflops'] = round(2 * size ** 3 / seconds / 1e9)
    say(what='ceilings', **line)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1], add_help=True)
    p.add_argument('net', metavar='NET', nargs='?')
    p.add_argument('--ceilings', action='store_true')
    p.add_argument('--device', default='cuda')
    p.add_argument('--precision', default='float32,tf32')
    p.add_argument('--examples', type=int, default=50000)
    p.add_argument('--batches', default='5000')
    p.add_argument('--input', default='float32,uint8')
    p.add_argument('--layout', help='nhwc, nchw or both, by a comma')
    p.add_argument('--kind', choices=['digits', 'dense'], default='digits')
    p.add_argument('--seconds', type=float, default=12)
    p.add_argument('--compile', metavar='MODE,...', help='default, reduce-overhead, max-autotune')
    a = p.parse_args()
    if a.device.startswith('cuda') and not torch.cuda.is_available():
        sys.exit('torch-gpu.py: torch sees no GPU')
    if a.ceilings:
        return ceilings(torch.device(a.device))
    if not a.net:
        p.error('NET is missing')
    description = (sys.stdin if a.net == '-' else open(a.net)).read()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    bench, failed = Bench(description, a), 0
    for precision in a.precision.split(','):
        set_precision(precision)
        bench.bf16 = precision == 'bf16'
        for mode in a.compile.split(',') if a.compile else [None]:
            line = {'what': 'pytorch', 'net': json.loads(description)['name'], 'precision': precision,
                    'compile': mode, 'examples': a.examples}
            try:
                seconds, config = compiled(bench, a, mode) if mode else eager(bench, a, precision)
                say(**line, seconds=round(seconds, 6), us_per_example=round(seconds * 1e6 / a.examples, 5), **config)
            except Exception as e:      # the next one may do: what failed is a result too
                failed = 1
                say(**line, error=f'{type(e).__name__}: {e}'.strip().split('\n')[0][:300])
    return failed


if __name__ == '__main__':
    sys.exit(main())
