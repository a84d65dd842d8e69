#!/usr/bin/env bash
# demo.sh: the whole pipeline on generated digits; nothing to download.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=demo
about="LCA of MNIST-FC on 12,000 generated handwritten digits."
net=mnist-fc
data=synth:1,12000
iterations=440
lr_sgd=0.05 lr_adam=0.002
chunk=1000 workers=2

pipeline "$@"
