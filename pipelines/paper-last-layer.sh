#!/usr/bin/env bash
# paper-last-layer.sh: what comes of freezing the last layer: better losses of ResNet20, worse ones
# of AllCNN (Lan et al. 2019).
. "$(dirname "${BASH_SOURCE[0]}")/variants.sh"

name=paper-last-layer
about="ResNet20 with its last layer as it is, slowed down, and frozen from the start; with
--net cifar-allcnn the paper's other case. The runs of the paper take hours each."
net=cifar-resnet20
iterations=5000         # 25 epochs of 200 steps
lr_sgd=0.1 lr_adam=0.005
sets=train,test
which_layer=last more_usage=""

variants() {
    printf '%s\t%s\n' plain "as it is" slow "lr x 0.1" frozen "frozen"
}

options() {
    case $1 in
    slow) given=(--layer-lr "$layer=$(number "$lr * 0.1")") ;;
    frozen) given=(--freeze "$layer") ;;
    esac
}

compare_variants "$@"
