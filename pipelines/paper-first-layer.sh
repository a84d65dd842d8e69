#!/usr/bin/env bash
# paper-first-layer.sh: what comes of holding back the first layer, which hurts in ResNet20
# (Lan et al. 2019).
. "$(dirname "${BASH_SOURCE[0]}")/variants.sh"

name=paper-first-layer
about="ResNet20 with its first layer as it is, slowed down, frozen from the start, and frozen from where
its loss change was least. The runs of the paper take hours each."
net=cifar-resnet20
iterations=5000         # 25 epochs of 200 steps
lr_sgd=0.1 lr_adam=0.005
sets=train,test
which_layer=first more_usage=""

variants() {
    printf '%s\t%s\n' plain "as it is" slow "lr x 0.1" frozen "frozen" argmin "frozen at argmin"
}

options() {
    case $1 in
    slow) given=(--layer-lr "$layer=$(number "$lr * 0.1")") ;;
    frozen) given=(--freeze "$layer") ;;
    argmin) given=(--freeze "$layer@$(argmin "$2")") ;;
    esac
}

compare_variants "$@"
