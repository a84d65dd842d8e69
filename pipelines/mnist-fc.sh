#!/usr/bin/env bash
# mnist-fc.sh: a network of three dense layers learns MNIST, and every parameter's
# part in it is told while it does (Lan et al. 2019; their settings).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=mnist-fc
about="LCA of MNIST-FC (784-100-50-10) on MNIST. Without momentum the paper's learning rate is 0.5."
net=mnist-fc
iterations=880          # 4 epochs of 220 steps
lr_sgd=0.05 lr_adam=0.002

pipeline "$@"
