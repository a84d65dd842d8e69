#!/usr/bin/env bash
# mnist-lenet.sh: two convolutions and two dense layers learn MNIST, and every parameter's
# part in it is told while they do (Lan et al. 2019; their settings).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=mnist-lenet
about="LCA of MNIST-LeNet on MNIST."
net=mnist-lenet
iterations=880          # 4 epochs of 220 steps
lr_sgd=0.02 lr_adam=0.002

pipeline "$@"
