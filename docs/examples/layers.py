#!/usr/bin/python3
"""layers.py: the loss change of each layer. In: an lca stream. Out: layers frames, one per step and set,
and their totals. It takes the place of lca-layers:
    layers.py --in ipc:lca --out ipc:layers
"""
import numpy

from lca_stream import Agg, Aggregator


class Layers(Aggregator):
    """The loss change of each layer."""
    name = "layers"

    def start(self):
        self.total = {}

    def step(self, v):
        if v.kind == "lca" and v.cls == -1:
            A = v.values.astype("f8")
            sums = numpy.array([A[self.table.of_layer(layer)].sum() for layer in self.table.layers])
            self.total[v.set] = self.total.get(v.set, 0) + sums
            self.it = v.it
            yield Agg("layers", v.it, {"layer": self.table.layers}, sums, set=v.set)

    def end(self):
        for name, sums in self.total.items():
            yield Agg("layers_total", self.it, {"layer": self.table.layers}, sums, set=name)


if __name__ == "__main__":
    Layers.main()
