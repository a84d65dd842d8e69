#!/usr/bin/python3
"""The speed anchor: loss and gradient of one of the networks in PyTorch, float32.

    torch-net.py [--input digits|dense] [--examples N] [--batches B,...] [--seconds S] NET

NET is a description as `lca-net --json` prints it: a file, or - for stdin. Times every configuration of
processes x threads (1x1, 1x2, 2x1), batch and memory format, within S seconds in all,
best of as many passes as fit. The first layer's input needs no gradient, dropout is
off, batch norm takes each batch's statistics. Prints one line of JSON per configuration
with the wall time per example of all its processes together, and last the best one."""
import argparse
import json
import multiprocessing
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

LIBRARIES = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')


def work(config, description, kind, limit, seconds, start, rates):
    """One process of a configuration: examples per second in its best pass."""
    for variable in LIBRARIES:      # read when the libraries load
        os.environ[variable] = str(config['threads'])
    import torch
    from torchnet import Net, made_examples
    torch.set_num_threads(config['threads'])
    torch.manual_seed(0)
    layout = getattr(torch, config['layout'])
    net = Net(description, torch.float32)
    net.model.to(memory_format=layout)
    batch = config['batch']

    def a_pass(n):
        begin = time.perf_counter()
        net.model.zero_grad(set_to_none=False)
        total = 0.0
        for i in range(0, n, batch):
            loss = net.losses(x[i:i + batch], y[i:i + batch]).sum()
            loss.backward()
            total += loss.item()
        return time.perf_counter() - begin

    most = max(1, limit // config['processes'] // batch)
    x, y = made_examples(net.input, batch * most, kind)
    x = x.contiguous(memory_format=layout)
    a_pass(batch)
    n = batch * max(1, min(most, int(seconds / 3 / a_pass(batch))))
    best = float('inf')
    start.wait()
    end = time.perf_counter() + seconds
    while best == float('inf') or time.perf_counter() < end:
        best = min(best, a_pass(n))
    rates.put(n / best)


def measure(config, description, kind, limit, seconds):
    context = multiprocessing.get_context('spawn')
    start, rates = context.Barrier(config['processes']), context.Queue()
    pool = [context.Process(target=work, args=(config, description, kind, limit, seconds, start, rates),
                            daemon=True) for _ in range(config['processes'])]
    for p in pool:
        p.start()
    rate = sum(rates.get(timeout=600 + 10 * seconds) for _ in pool)     # a dead process sends none
    for p in pool:
        p.join()
    return {**config, 'us_per_example': round(1e6 / rate, 3)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('net', metavar='NET')
    p.add_argument('--examples', type=int, default=10000, help='at most, in a pass')
    p.add_argument('--input', choices=['digits', 'dense'], default='digits')
    p.add_argument('--batches', default='25,50,100,250')
    p.add_argument('--seconds', type=float, default=60)
    a = p.parse_args()
    description = (sys.stdin if a.net == '-' else open(a.net)).read()
    convolves = '"conv"' in description
    configs = [{'processes': processes, 'threads': threads, 'batch': int(batch), 'layout': layout}
               for processes, threads in ((1, 1), (1, 2), (2, 1)) if (processes, threads) != (1, 1) or not convolves
               for batch in a.batches.split(',')
               for layout in (('contiguous_format', 'channels_last') if convolves else ('contiguous_format',))]
    measured = []
    for config in configs:
        measured.append(measure(config, description, a.input, a.examples, a.seconds / len(configs)))
        print(json.dumps(measured[-1]), flush=True)
    print(json.dumps({'best': min(measured, key=lambda m: m['us_per_example'])}))


if __name__ == '__main__':
    main()
