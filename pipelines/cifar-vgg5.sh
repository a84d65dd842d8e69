#!/usr/bin/env bash
# cifar-vgg5.sh: a VGG network of 5 layers learns CIFAR-10 (Lan et al. 2019). They report no
# learning rate for it; these are ours.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=cifar-vgg5
about="LCA of VGG-5 on CIFAR-10."
net=cifar-vgg5
iterations=5000         # 25 epochs of 200 steps
lr_sgd=0.01 lr_adam=0.001
sets=train,test         # the published runs train on all 50,000

pipeline "$@"
