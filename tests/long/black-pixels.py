"""black-pixels.py LCA MNIST: the first layer's weights at pixels that are 0 in all 60,000
training images must have A exactly 0 in every frame, all-class and by class."""
import gzip
import sys

import msgpack
import numpy as np

with gzip.open(sys.argv[2] + "/train-images-idx3-ubyte.gz") as f:
    images = np.frombuffer(f.read(), np.uint8, offset=16).reshape(60000, 784)
black = np.flatnonzero(images.max(axis=0) == 0)

frames, steps, nonzero, moved = 0, set(), 0, 0
for _, header, payload, _ in msgpack.Unpacker(open(sys.argv[1], "rb"), max_buffer_size=1 << 30):
    if header["t"] == "HEAD":
        first = header["layers"][0]
        assert first["sh"] == [784, 100], first
    if header["t"] != "lca":
        continue
    A = np.frombuffer(payload, "<f4")[first["off"]:first["off"] + first["len"]].reshape(784, 100)
    nonzero += np.count_nonzero(A[black])
    moved += np.count_nonzero(A) > 0
    steps.add(header["it"])
    frames += 1
if nonzero or moved != frames:
    sys.exit("%d values at black pixels are not 0, in %d frames" % (nonzero, frames))
print("%d weights at %d black pixels: A is 0 in all %d steps (%d frames)"
      % (100 * len(black), len(black), len(steps), frames))
