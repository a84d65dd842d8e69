"""PyTorch: layouts of parameters, the callback of a training loop, and modules as gradient workers."""
import atexit
import json
import os
import signal

import numpy as np
import pytest
from conftest import allocate, run, train, until

torch = pytest.importorskip('torch', reason='no python3-torch')
from torch import nn

from lca_stream import Table, UsageError, Worker, networks, pytorch, read, serve
from lca_stream.pytorch import Data, Evaluator, Layout, Unit, Watch, cross_entropy, numerics

torch.set_num_threads(1)


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 6), nn.ReLU(), nn.Linear(6, 10))


def lenet():
    return nn.Sequential(nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(20, 40, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(.25),
                         nn.Linear(1960, 400), nn.ReLU(), nn.Dropout(.5), nn.Linear(400, 10))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(5, 7, 3, stride=2)
        self.norm = nn.BatchNorm2d(7, eps=1e-3)
        self.shortcut = nn.Conv2d(5, 7, 1, stride=2)

    def forward(self, x):
        padded = nn.functional.pad(x, (0, 1, 0, 1))     # "same" with stride 2 pads after, and not before
        return torch.relu(self.norm(self.conv(padded)) + self.shortcut(x))


def blocks():
    return nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5, eps=1e-3), nn.ReLU(), Block(), nn.Flatten(),
                         nn.Linear(1372, 10))


BLOCKS = {'name': 'blocks', 'input': [28, 28, 1], 'classes': 10, 'layers': [
    {'type': 'conv', 'channels': 5, 'kernel': 3}, {'type': 'batchnorm'}, {'type': 'relu'},
    {'type': 'residual', 'shortcut': 'conv', 'layers': [{'type': 'conv', 'channels': 7, 'kernel': 3, 'stride': 2},
                                                        {'type': 'batchnorm'}]},
    {'type': 'relu'}, {'type': 'dense', 'units': 10}]}


# ---- layouts ----

@pytest.mark.parametrize('name', ['mnist-fc', 'mnist-lenet', 'cifar-resnet20', 'cifar-allcnn', 'cifar-vgg5', 'cifar-vgg9'])
def test_the_table_of_a_network_is_the_programs(name):
    lines = run('lca-net', '--table', name).decode().split('\ntensor ')[1].split('\nMFLOP')[0].splitlines()[1:]
    theirs = [line.split() for line in lines if line]
    ours = networks.load(name)
    assert [[t.name, str(t.off), str(t.len), 'x'.join(map(str, t.shape))] for t in ours.table.tensors] == theirs


@pytest.mark.parametrize('model, net', [(small, 'small.json'), (lenet, 'mnist-lenet'), (blocks, 'blocks.json')])
def test_a_model_of_ours_computes_what_lca_grad_does(files, start, model, net):
    """Loss, gradient and hits of a chunk, whole and by class, from the same vector; and the vector comes back."""
    (files / 'blocks.json').write_text(json.dumps(BLOCKS))
    net = files / net if net.endswith('.json') else net
    run('lca-train', '--net', net, '--data', files / 's.data', '--iterations', 2, '--batch', 40, '--lr', 0.01, '--examples', 40,
        '--out', 't.lca')
    layout = Layout.of_network(net_model := model(), networks.load(str(net)))
    data = Data.of_file(str(files / 's.data'))
    evaluate = Evaluator(net_model, data, layout, dtype=torch.float64 if model is blocks else torch.float32)
    thetas = [f.array for f in read('t.lca') if f.kind == 'theta']
    for by_class in (False, True):
        with open('t.lca', 'rb') as thetas_in:
            out = run('lca-grad', '--data', files / 's.data', '--chunk', 40, *['--by-class'] * by_class, stdin=thetas_in)
        (files / 'g.lca').write_bytes(out)
        theirs = [f for f in read(str(files / 'g.lca')) if f.kind == 'grad' and f['it'] == 2]
        ours = {row.cls: row for row in evaluate(thetas[2], Unit('train', 0, 40), by_class)}
        assert len(theirs) == (10 if by_class else 1)
        most = max(np.linalg.norm(f.array) for f in theirs)
        for f in theirs:
            row = ours.get(f['cls'])
            loss, grad = (row.loss / 40, row.grad / 40) if row else (0, np.zeros(len(thetas[0])))
            assert abs(loss - f['loss']) < 1e-5 and np.linalg.norm(grad - f.array) < 1e-5 * most
    layout.load(net_model, thetas[1])
    assert (layout.vector(net_model) == thetas[1]).all()


def test_a_model_that_is_not_the_network_is_refused():
    net = networks.load('mnist-fc')
    other = nn.Sequential(nn.Linear(784, 100), nn.Linear(100, 60), nn.Linear(60, 10))
    for model, says in ((small(), 'has 6 tensors, the model has 4'), (other, 'dense2/kernel')):
        with pytest.raises(UsageError, match=says):
            Layout.of_network(model, net)
    with pytest.raises(UsageError, match='no network'):
        networks.load('mnist')


class Odd(nn.Module):
    """One of each kind of parameter."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.randn(7, 4))
        self.scale = nn.Parameter(torch.ones(()))
        self.token = nn.Embedding(5, 4)
        self.up = nn.ConvTranspose2d(3, 6, 2)
        self.conv = nn.Conv1d(4, 6, 3)
        self.cube = nn.Conv3d(2, 3, 2)
        self.lstm = nn.LSTM(4, 3)
        self.norm = nn.LayerNorm(4)
        self.head = nn.MultiheadAttention(4, 2)


def test_a_layout_of_ones_own():
    model = Odd()
    layout = Layout.own(model, chunk=7, made='by hand')
    assert json.loads(layout.description) == {'name': 'Odd', 'external': True, 'chunk': 7, 'made': 'by hand'}
    shapes = {t.name: list(t.shape) for t in layout.table.tensors}
    assert shapes == {
        'place/kernel': [7, 4], 'scale/gamma': [1], 'token/kernel': [5, 4], 'up/kernel': [2, 2, 3, 6], 'up/bias': [6],
        'conv/kernel': [3, 4, 6], 'conv/bias': [6], 'cube/kernel': [4, 2, 2, 3], 'cube/bias': [3],
        'lstm/weight_ih_l0/kernel': [4, 12], 'lstm/weight_hh_l0/kernel': [3, 12], 'lstm/bias_ih_l0/bias': [12],
        'lstm/bias_hh_l0/bias': [12], 'norm/gamma': [4], 'norm/beta': [4], 'head/kernel': [4, 12], 'head/bias': [12],
        'head/out_proj/kernel': [4, 4], 'head/out_proj/bias': [4]}
    theta = layout.vector(model)
    assert len(theta) == sum(p.numel() for p in model.parameters()) == layout.table.P
    at = layout.table.tensors
    bias = next(t for t in at if t.name == 'conv/bias')
    assert (theta[bias.slice] == model.conv.bias.detach().numpy()).all()
    kernel = next(t for t in at if t.name == 'conv/kernel')
    assert (theta[kernel.slice].reshape(3, 4, 6) == model.conv.weight.detach().numpy().transpose(2, 1, 0)).all()
    kernel = next(t for t in at if t.name == 'up/kernel')
    assert (theta[kernel.slice].reshape(2, 2, 3, 6) == model.up.weight.detach().numpy().transpose(2, 3, 0, 1)).all()
    other = Odd()
    layout.load(other, theta)
    assert all((a == b).all() for a, b in zip(model.parameters(), other.parameters()))
    with pytest.raises(UsageError, match='float64'):
        Layout.own(small().double()).vector(small().double())
    with pytest.raises(UsageError, match='1 to 40 letters'):
        Layout.own(model, 'a name')


# ---- the callback ----

def recorded(out):
    return [f for f in read(str(out)) if f.kind == 'lca']


def test_the_callback_gives_the_lca_that_lca_train_gives(files, start):
    """The same trajectory through a module, Watch, lca-integrate and lca-grad: the same allocation."""
    train(files, 't.lca', '--lr', 0.2)
    allocate(files, start, 't.lca', 'a.lca')
    thetas = [f for f in read('t.lca') if f.kind == 'theta']
    grad = start('lca-grad', '--data', files / 's.data', '--pool', 'ipc:pool')
    integrate = start('lca-integrate', '--in', 'ipc:theta', '--pool', 'ipc:pool', '--out', 'b.lca')
    model, data = small(), Data.of_file(str(files / 's.data'))
    layout = Layout.of_network(model, networks.load(str(files / 'small.json')))
    layout.load(model, thetas[0].array)

    watch = Watch(model, data, net=str(files / 'small.json'), examples=500)
    for f in thetas[1:]:
        layout.load(model, f.array)         # in place of a step of the optimiser
        watch.step(f['mbloss'])
    watch.end()

    integrate.ends()
    grad.ends()
    a, b = recorded('a.lca'), recorded('b.lca')
    assert len(a) == len(b) == 8
    for x, y in zip(a, b):
        assert (x['it'], x['set']) == (y['it'], y['set'])
        assert all(abs(x[key] - y[key]) <= 1e-5 for key in ('L0', 'L1', 'sum', 'res', 'abs', 'fo'))
        assert np.abs(x.array - y.array).max() <= 1e-5 * np.abs(x.array).max()


def test_torch_trains_as_lca_train_does_and_is_allocated_alike(files, start):
    """The other way: the module's own optimiser on the same mini-batches walks the same path to 1e-5."""
    train(files, 't.lca', '--lr', 0.1, '--gradients', 'g.lca', '--batch', 500, '--iterations', 6)
    allocate(files, start, 't.lca', 'a.lca')
    grad = start('lca-grad', '--data', files / 's.data', '--pool', 'ipc:pool')
    integrate = start('lca-integrate', '--in', 'ipc:theta', '--pool', 'ipc:pool', '--out', 'b.lca')
    model, data = small(), Data.of_file(str(files / 's.data'))
    layout = Layout.of_network(model, networks.load(str(files / 'small.json')))
    layout.load(model, next(f for f in read('t.lca') if f.kind == 'theta').array)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = data.of('train', slice(0, 500))          # the batch is the whole set, in whatever order

    watch = Watch(model, data, net=str(files / 'small.json'), examples=500)
    for _ in range(6):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss, lr=0.1)
    watch.end()

    integrate.ends()
    grad.ends()
    a, b = recorded('a.lca'), recorded('b.lca')
    assert len(a) == len(b) == 12
    for one, other in zip(a, b):
        assert all(abs(one[key] - other[key]) <= 1e-5 for key in ('L0', 'L1', 'sum'))
        assert np.linalg.norm(one.array - other.array) <= 1e-4 * np.linalg.norm(one.array)


def test_a_training_that_ends_without_saying_so_is_a_failure(files, start, fork):
    def forgets():
        watch = Watch(small(), Data.of_file(str(files / 's.data')))
        watch.step(1.0)
        atexit._run_exitfuncs()         # what the end of a program does
    cat = start('lca-cat', '--in', 'ipc:theta', '--out', 'a.lca')
    fork(forgets).ends()
    cat.ends(4, 'without Watch.end')
    cat = start('lca-cat', '--in', 'ipc:theta', '--out', 'a.lca')
    with pytest.raises(KeyboardInterrupt), Watch(small(), Data.of_file(str(files / 's.data'))) as watch:
        watch.step()
        raise KeyboardInterrupt
    cat.ends()
    assert list(read('a.lca'))[-1]['status'] == 'interrupted'


def test_a_training_that_is_done_again_goes_on_with_its_recording(files, start, fork, place):
    data = Data.of_file(str(files / 's.data'))

    def training():
        torch.manual_seed(3)
        model = small()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with Watch(model, data, net=str(files / 'small.json'), examples=100, definition={'lr': 0.1, 'seed': 3}) as watch:
            for _ in range(10):
                x, y = data.of('train', torch.randperm(100)[:20])
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watch.step(loss, lr=0.1)
    for out, resume in (('whole.lca', ()), ('again.lca', ('--resume', 'cut.lca'))):
        if resume:
            whole = (place / 'whole.lca').read_bytes()
            (place / 'cut.lca').write_bytes(whole[:len(whole) // 2])
        trainer = fork(training)
        grad = start('lca-grad', '--data', files / 's.data', '--pool', 'ipc:pool')
        run('lca-integrate', '--in', 'ipc:theta', '--pool', 'ipc:pool', '--out', out, *resume)
        trainer.ends()
        grad.ends()
    assert (place / 'again.lca').read_bytes() == whole


def test_definitions_and_runs(files, place):
    data = Data.of_file(str(files / 's.data'))
    model = small()
    for name, definition in (('a', {'lr': 0.1}), ('b', {'lr': 0.1}), ('c', {'lr': 0.2}), ('d', None), ('e', None)):
        with Watch(model, data, name + '.lca', definition=definition, steps=0) as watch:
            watch.step(0.5, lr=0.1, epoch=1, batch=b'12345678')
    a, b, c, d, e = (list(read(name + '.lca')) for name in 'abcde')
    assert a[0]['run'] == b[0]['run'] and len({f[0]['run'] for f in (a, c, d, e)}) == 4
    assert (place / 'a.lca').read_bytes() == (place / 'b.lca').read_bytes()
    assert a[2].header['mbloss'] == 0.5 and a[2]['mb'] == b'12345678' and a[-1]['final']['iterations'] == 1
    assert Table.from_head(a[0]).P == 4780
    assert [list(s.values()) for s in a[0]['data']['sets']] == [['train', 1000], ['val', 91], ['test', 200]]
    with pytest.raises(UsageError, match='the training set of synth has 1000'):
        Watch(model, data, 'x.lca', examples=1001)


# ---- gradient workers ----

def worker_of(files, model=small, **options):
    return lambda: pytorch.work(model(), Data.of_file(str(files / 's.data')), **options)


@pytest.mark.parametrize('by_class', [False, True])
def test_a_pool_of_torch_workers_gives_what_lca_grad_gives(files, start, fork, by_class):
    train(files, 't.lca', '--lr', 0.2)
    options = ['--chunk', 100, '--emit', 'lca,grad', *['--by-class'] * by_class]
    allocate(files, start, 't.lca', 'a.lca', *options)
    workers = [fork(worker_of(files, at_once=30)) for _ in range(2)]
    run('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', 'b.lca', *options)
    for w in workers:
        w.ends()
    head = next(read('b.lca'))
    assert head['num'].startswith('torch-') and numerics('cpu') == head['num']
    a, b = ([f for f in read(p) if f.is_data] for p in ('a.lca', 'b.lca'))
    assert len(a) == len(b) == 4 * 2 * 2 * (11 if by_class else 1)
    most = max(np.linalg.norm(f.array) for f in a if f.kind == 'lca')
    for x, y in zip(a, b):
        assert [x.get(k) for k in ('t', 'it', 'set', 'cls')] == [y.get(k) for k in ('t', 'it', 'set', 'cls')]
        if x.kind == 'lca':
            assert abs(x['L1'] - y['L1']) < 1e-6 and np.linalg.norm(x.array - y.array) < 1e-5 * most
    run('lca-check', '--max-step-error', 2e-3, '--in', 'b.lca')


def test_workers_of_one_kind_give_the_same_bytes_however_many_and_though_one_dies(files, start, fork, place):
    train(files, 't.lca', '--iterations', 12)
    for out, n in (('a.lca', 1), ('b.lca', 3)):
        integrate = start('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', out, '--chunk', 20)
        workers = [fork(worker_of(files)) for _ in range(n)]
        if n > 1:
            until(lambda: os.path.exists(out) and os.path.getsize(out) > 50000)
            workers.pop().kill()
            workers[1].kill(signal.SIGTERM)
        integrate.ends()
        for w in workers:
            w.ends()
    assert (place / 'a.lca').read_bytes() == (place / 'b.lca').read_bytes()


def test_who_does_not_fit_is_turned_away(files, start, fork):
    train(files, 't.lca')
    start('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', 'a.lca')
    with pytest.raises(UsageError, match='another data set'):
        Worker('ipc:pool', num='x', data='0' * 64).head()
    sha = Data.of_file(str(files / 's.data')).sha256
    first = Worker('ipc:pool', num='x', data=sha)
    first.head()
    with pytest.raises(UsageError, match='--mixed-numerics'):
        Worker('ipc:pool', num='y', data=sha).head()
    first.close()
    start('lca-integrate', '--in', 't.lca', '--pool', 'ipc:other', '--out', 'b.lca')
    fork(worker_of(files, lenet, pool='ipc:other')).ends(1, 'has 4 tensors, the model has 8 parameters')


def test_a_unit_that_fails_is_others_and_the_run_ends_where_nobody_can(files, start):
    train(files, 't.lca')
    integrate = start('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', 'a.lca')

    def cannot(theta, unit, by_class):
        raise MemoryError('too small')
    serve(Worker('ipc:pool', num='x', data=Data.of_file(str(files / 's.data')).sha256), cannot)
    integrate.ends(1, 'MemoryError: too small')


def test_a_pool_that_was_killed_is_waited_for(files, start, fork):
    train(files, 't.lca', '--iterations', 12)
    worker = fork(worker_of(files))
    integrate = start('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', 'a.lca', '--chunk', 20)
    until(lambda: os.path.exists('a.lca') and os.path.getsize('a.lca') > 50000)
    integrate.p.kill()
    integrate.p.wait()
    run('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', 'b.lca', '--chunk', 20)
    worker.ends(0, 'the pool has gone')
    run('lca-check', '--max-step-error', 2e-3, '--in', 'b.lca')


class Mixed(nn.Module):
    """Convolution, batch norm, attention, a recurrent layer, parameters of its own."""

    def __init__(self):
        super().__init__()
        self.scale, self.place = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(6, 4))
        self.conv, self.norm = nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.lstm, self.out = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        x = self.norm(self.conv(x * self.scale[:, None])).transpose(1, 2) + self.place
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.out(self.lstm(x)[0][:, -1])


def test_a_network_that_nobody_knows_is_conserved_and_every_aggregator_reads_it(fork):
    torch.manual_seed(1)
    x = torch.randn(60, 4, 6)
    y = (x[:, 0].sum(1) > 0).long() + (x[:, 1].sum(1) > 0).long()
    data = Data('made', train=(x[:40], y[:40]), val=(x[40:], y[40:]), classes=['none', 'one', 'both'])
    model = Mixed()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with Watch(model, data, 't.lca', chunk=20) as watch:
        for _ in range(12):
            loss = nn.functional.cross_entropy(model(x[:40]), y[:40])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watch.step(loss, lr=0.01)
    worker = fork(lambda: pytorch.work(Mixed(), data, dtype=torch.float64))
    run('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--by-class', '--emit', 'lca,move,grad,eff', '--out', 'a.lca')
    worker.ends()
    # the sum of A is the change of the loss, in all, by class and by set
    run('lca-check', '--max-step-error', 1e-5, '--in', 'a.lca')
    frames = list(read('a.lca'))
    assert frames[0]['data']['sets'] == [{'set': 'train', 'N': 40, 'chunk': 20}, {'set': 'val', 'N': 20, 'chunk': 20}]
    for it in range(12):
        whole, *parts = (f for f in frames if f.kind == 'lca' and f['it'] == it and f['set'] == 'train')
        assert len(parts) == 3 and abs(whole.array.sum(dtype='f8') - (whole['L1'] - whole['L0'])) < 1e-5
        assert np.abs(sum(f.array for f in parts) - whole.array).max() < 1e-8
    for name in ('layers', 'units', 'classes', 'helping', 'spread', 'oscillation', 'moments', 'params', 'overfit',
                 'correlation --window 12'):
        name, *options = name.split()
        run('lca-' + name, *options, '--in', 'a.lca', '--out', 'x.lca')
        assert len(list(read('x.lca'))) > 2, name


def test_a_network_that_nobody_knows_is_not_lca_grads(files, start):
    with Watch(small(), Data.of_file(str(files / 's.data')), 't.lca') as watch:
        watch.step()
    start('lca-integrate', '--in', 't.lca', '--pool', 'ipc:pool', '--out', 'a.lca')
    start('lca-grad', '--data', files / 's.data', '--pool', 'ipc:pool').ends(2, 'Sequential, is external')
    with Watch(small(), Data('mine', train=(torch.zeros(4, 784), torch.zeros(4))), 'none.lca') as watch:
        watch.step()
    start('lca-integrate', '--in', 'none.lca', '--pool', 'ipc:other', '--by-class', '--out', 'b.lca').ends(
        2, 'the stream has no classes')


def test_data_of_ones_own():
    x, y = torch.randn(30, 4), torch.arange(30) % 3
    data = Data('mine', train=(x, y), val=(x[:6], y[:6]), classes=['a', 'b', 'c'])
    assert data.sha256 == Data('other', train=(x, y), val=(x[:6], y[:6])).sha256 != Data('mine', train=(x, y)).sha256
    assert data.head(10)['classes'] == [{'name': 'a', 'n': 4}, {'name': 'b', 'n': 3}, {'name': 'c', 'n': 3}]
    for wrong, says in ((dict(train=(x, y[:9])), '30 inputs and 9 targets'),
                        (dict(train=(x, y), classes=['a', 'b']), 'not numbers of')):
        with pytest.raises(UsageError, match=says):
            Data('mine', **wrong)
    with pytest.raises(UsageError, match='no set test'):
        data.of('test')


def test_losses_of_ones_own_and_batch_norm():
    x, y = torch.randn(12, 4), torch.randn(12, 1)
    data = Data('regression', train=(x, y))
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    before = model[1].running_mean.clone()
    layout = Layout.own(model)

    def squares(model, x, y):
        return (model(x) - y).square().sum(1)
    evaluate = Evaluator(model, data, layout, squares)
    row, = evaluate(layout.vector(model), Unit('train', 0, 12), False)
    h = model[0](x)
    h = (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt()          # the unit's own statistics
    assert abs(row.loss - float((model[3](h) - y).square().sum())) < 1e-4 and row.n == 12 and row.hit == 0
    assert (model[1].running_mean == before).all() and model.training       # the model given is as it was
    with pytest.raises(UsageError, match='with batch norm'):
        Evaluator(model, data, layout, squares, at_once=4)
    with pytest.raises(UsageError, match='losses gave the shape'):
        list(Evaluator(model, data, layout, lambda m, x, y: m(x))(layout.vector(model), Unit('train', 0, 12), False))


def test_sequences_have_one_loss_each():
    logits, y = torch.randn(5, 3, 7), torch.randint(7, (5, 3))
    losses, right = cross_entropy(lambda x: logits, None, y)
    for k in range(5):
        assert abs(losses[k] - nn.functional.cross_entropy(logits[k], y[k])) < 1e-6
        assert right[k] == (logits[k].argmax(1) == y[k]).all()
