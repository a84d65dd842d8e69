#!/usr/bin/env python3
"""report.py RESULTS...: the tables of docs/gpu.md from results.jsonl of run.sh, as Markdown.
Of several lines about the same thing the last one counts."""
import json
import sys

CEILING = {'float32': 'float32_gflops', 'tf32': 'tf32_gflops', 'bf16': 'bf16_gflops'}


def read(paths):
    lines = []
    for path in paths:
        with open(path) as file:
            lines += [json.loads(line) for line in file if line.startswith('{')]
    return lines


def table(head, rows):
    print('| ' + ' | '.join(head) + ' |')
    print('|' + '---|' * len(head))
    for row in rows:
        print('| ' + ' | '.join(str(cell) for cell in row) + ' |')
    print()


def unique(values):
    return list(dict.fromkeys(values))


def seconds(x):
    return '-' if x is None else f'{x:.4f}' if x < 0.1 else f'{x:.3f}' if x < 1 else f'{x:.2f}'


def setting(line):
    """A configuration of PyTorch, in words."""
    words = [f"batch {line['batch']:,}", line['input']]
    if not line['net'].startswith('mnist-fc'):
        words.append(line['layout'])
    if line.get('compile'):
        words.append(line['compile'])
    return ', '.join(words)


def of_ceiling(ours, cap, precision):
    """The share of what the card can do, of products or of bytes, whichever is nearer its end."""
    products = ours['gflops'] / cap[CEILING[precision]]
    moved = ours['gb_per_s'] / cap['copy_gb_per_s']
    return f"{100 * max(products, moved):.0f} % of {'products' if products > moved else 'bytes'}"


def gradients(lines, cap, precision):
    rows = []
    for net in unique(line['net'] for line in lines if line['what'] in ('lca', 'pytorch')):
        def last(what, test=lambda line: True):
            found = [line for line in lines if line['what'] == what and line['net'] == net
                     and line['precision'] == precision and 'seconds' in line and test(line)]
            return found[-1] if found else None
        ours, eager = last('lca'), last('pytorch', lambda line: not line['compile'])
        modes = unique(line['compile'] for line in lines if line.get('compile'))
        compiled = [line for line in (last('pytorch', lambda line, m=m: line['compile'] == m) for m in modes) if line]
        compiled = min(compiled, key=lambda line: line['seconds']) if compiled else None
        best = min((line for line in (eager, compiled) if line), key=lambda line: line['seconds'], default=None)
        if not ours and not best:
            continue
        share = of_ceiling(ours, cap, precision) if ours and cap else '-'
        rows.append([net, f"{(ours or best)['examples']:,}",
                     f"{ours['chunk']:,}" if ours else '-', seconds(ours and ours['seconds']),
                     f"{ours['gflops'] / 1000:.1f}" if ours else '-',
                     share,
                     seconds(eager and eager['seconds']), seconds(compiled and compiled['seconds']),
                     setting(best) if best else '-',
                     f"{best['seconds'] / ours['seconds']:.2f}" if ours and best else '-'])
    if rows:
        print(f'{precision}:\n')
        table(['network', 'examples', 'chunk', 'lca s', 'TFLOP/s', 'of ceiling', 'PyTorch s', 'compiled s', 'its best', 'ratio'],
              rows)


def main(paths):
    lines = read(paths)
    machine = {}
    for line in lines:
        machine.update({k: line[k] for k in ('card', 'driver', 'torch', 'cuda', 'cudnn', 'version') if line.get(k)})
    print(', '.join(f'{k} {v}' for k, v in machine.items()) + '\n')
    ceilings = [line for line in lines if line['what'] == 'ceilings']
    cap = ceilings[-1] if ceilings else None
    if cap:
        table(['ceiling', 'measured'], [['copy, read and written', f"{cap['copy_gb_per_s']:,} GB/s"]] + [
            [f'product of 8192x8192, {p}', f'{cap[key] / 1000:.1f} TFLOP/s'] for p, key in CEILING.items()])
    for precision in CEILING:
        gradients(lines, cap, precision)
    rows = {}
    for line in lines:
        if line['what'] == 'precision':
            rows[line['net']] = line
    if rows:
        names = unique(name for line in rows.values() for name in line['gradient'])
        table(['error of the gradient', 'examples'] + names,
              [[net, line['examples']] + [f"{line['gradient'].get(n, float('nan')):.1e}" for n in names]
               for net, line in rows.items()])
    rows = {(line['net'], line['precision'], line['workers']): line for line in lines if line['what'] == 'pipeline'}
    if rows:
        table(['pipeline', 'precision', 'workers', 's per step', 's per gradient', 'step / 2 gradients', 'workers busy'],
              [[net, p, workers, seconds(line['seconds_per_step']), seconds(line['seconds_of_gradient']),
                f"{line['ratio']:.2f}", f"{100 * line['worker_busy']:.0f} %"]
               for (net, p, workers), line in rows.items()])
    costs = {(line['net'], line['precision']): line for line in lines if line['what'] == 'conservation'}
    if costs:
        precisions = unique(p for _, p in costs)
        table(['conservation: total error, mean step error', 'steps', 'change per step'] + precisions,
              [[net, next(line['steps'] for (n, _), line in costs.items() if n == net),
                next(f"{line['mean_step']:.1e} nat" for (n, _), line in costs.items() if n == net)]
               + [f"{line['total_error_percent']:.4f} %, {line['mean_step_error']:.1e} nat" if line else '-'
                  for line in (costs.get((net, p)) for p in precisions)]
               for net in unique(net for net, _ in costs)])


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
