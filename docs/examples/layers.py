#!/usr/bin/python3
"""layers.py: the loss change of each layer, one JSON line per training step.

In: an lca stream on stdin, as lca-cat passes it on. Out: lines on stdout. It needs
python3-msgpack and python3-numpy, and takes the place of lca-layers:
    lca-cat --in ipc:lca | python3 layers.py
"""
import json
import sys

import msgpack
import numpy

status = None
# A record is [bytes of the header, header, payload, CRC-32C]; lca-cat has checked it.
for _, head, payload, _ in msgpack.Unpacker(open(0, "rb", buffering=0)):
    if head["t"] == "HEAD":
        tensors, P = head["layers"], head["P"]
    elif head["t"] == "lca" and head["set"] == "train" and head["cls"] == -1:
        A, off = numpy.frombuffer(payload, "<f4").astype("f8"), head.get("off", 0)
        if off == 0:        # a vector of more than 4 Mi parameters comes in slices
            layers = dict.fromkeys((t["l"] for t in tensors), 0.0)
        for t in tensors:
            first, last = max(t["off"] - off, 0), max(t["off"] + t["len"] - off, 0)
            layers[t["l"]] += A[first:last].sum()
        if off + len(A) == P:
            print(json.dumps({"it": head["it"], "layers": layers}), flush=True)
    elif head["t"] == "EOS":
        status = head["status"]
if status is None or status == "failed":
    print("layers.py: the stream", "failed" if status else "ends without EOS", file=sys.stderr)
    sys.exit(4 if status else 5)
