#!/usr/bin/env bash
# cifar-allcnn.sh: nine convolutions learn CIFAR-10 (Lan et al. 2019; their settings, and
# those of their released code where the text differs).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=cifar-allcnn
about="LCA of CIFAR-AllCNN on CIFAR-10. The paper has a ReLU after the strided convolutions too:
--net cifar-allcnn-relu."
net=cifar-allcnn
iterations=5000         # 25 epochs of 200 steps
lr_sgd=0.1 lr_adam=0.001
sets=train,test         # the published runs train on all 50,000

pipeline "$@"
