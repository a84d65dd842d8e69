#!/usr/bin/python3
"""Anchor for the speed of one full-set gradient: PyTorch on 784-100-50-10.

Prints one line of JSON per configuration (processes, threads, batch) with the
wall time per example of loss and gradient over all examples, summed over the
batches, and last the best one. The first layer's input needs no gradient.

    torch-fc.py [--examples N] [--input digits|dense] [--repeat R]
"""
import argparse
import json
import multiprocessing
import os
import time


def images(torch, n, kind):
    """Bytes as floats in [0, 1]: 19 % of them non-zero, as in MNIST, or all."""
    g = torch.Generator().manual_seed(1)
    x = torch.randint(1, 256, (n, 784), generator=g).float() / 255
    if kind == "digits":
        x *= torch.rand((n, 784), generator=g) < 0.19
    return x, torch.randint(0, 10, (n,), generator=g)


def work(rank, processes, threads, batch, examples, kind, repeat, start, times):
    # read when the libraries load: torch's own setting does not reach OpenBLAS
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    import torch
    torch.set_num_threads(threads)
    n = examples // processes
    x, y = images(torch, n, kind)
    torch.manual_seed(0)
    nn = torch.nn
    net = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(),
                        nn.Linear(50, 10))
    loss = nn.CrossEntropyLoss(reduction="sum")

    def gradient():
        net.zero_grad(set_to_none=False)
        total = 0.0
        for i in range(0, n, batch):
            z = loss(net(x[i:i + batch]), y[i:i + batch])
            z.backward()
            total += z.item()
        return total

    gradient()
    for _ in range(repeat):
        start.wait()
        begin = time.perf_counter()
        gradient()
        times.put((begin, time.perf_counter()))
        start.wait()


def measure(processes, threads, batch, examples, kind, repeat):
    context = multiprocessing.get_context("spawn")
    start, times = context.Barrier(processes + 1), context.Queue()
    pool = [context.Process(target=work, args=(r, processes, threads, batch, examples, kind,
                                               repeat, start, times)) for r in range(processes)]
    for p in pool:
        p.start()
    best = float("inf")
    for _ in range(repeat):
        start.wait()
        spans = [times.get() for _ in pool]
        start.wait()
        best = min(best, max(e for _, e in spans) - min(b for b, _ in spans))
    for p in pool:
        p.join()
    done = examples // processes * processes
    return {"processes": processes, "threads": threads, "batch": batch,
            "input": kind, "us_per_example": round(best / done * 1e6, 3)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--examples", type=int, default=55000)
    p.add_argument("--input", choices=["digits", "dense"], default="digits")
    p.add_argument("--repeat", type=int, default=5)
    a = p.parse_args()
    all_ = []
    for processes, threads in ((1, 1), (1, 2), (2, 1)):
        for batch in (250, 500, 1000, 2500, 5000):
            all_.append(measure(processes, threads, batch, a.examples, a.input, a.repeat))
            print(json.dumps(all_[-1]), flush=True)
    print(json.dumps({"best": min(all_, key=lambda m: m["us_per_example"])}))


if __name__ == "__main__":
    main()
