#!/usr/bin/env bash
# cifar-resnet20.sh: a residual network with batch norm learns CIFAR-10 (Lan et al. 2019;
# their settings).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=cifar-resnet20
about="LCA of CIFAR-ResNet20 on CIFAR-10."
net=cifar-resnet20
iterations=5000         # 25 epochs of 200 steps
lr_sgd=0.1 lr_adam=0.005
sets=train,test         # the published runs train on all 50,000

pipeline "$@"
