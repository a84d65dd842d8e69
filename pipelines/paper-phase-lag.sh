#!/usr/bin/env bash
# paper-phase-lag.sh: whether the last layer hurts because it lags behind (Lan et al. 2019, whose
# settings are not published).
. "$(dirname "${BASH_SOURCE[0]}")/variants.sh"

name=paper-phase-lag
about="If layers oscillate with momentum, one that is behind the others hurts. So the last layer's momentum
is varied alone, at the same effective rate lr / (1 - momentum): with less it should hurt less. And
all other layers are delayed by some steps, which brings the last one to the front: it should help."
net=cifar-resnet20
iterations=5000         # 25 epochs of 200 steps
lr_sgd=0.1 lr_adam=0.005
sets=train,test
which_layer=last own_options="momenta delays" momenta=0.8,0.6,0.4,0.2,0 delays=1,2,3,4,5,6,7,8,9
more_usage="  --momenta A,B,...  momenta of the layer beside that of all, $momentum (default $momenta)
  --delays A,B,...   steps by which the others are late (default $delays)
"

variants() {
    local x
    [[ $momenta =~ ^(0|0?\.[0-9]+)?(,(0|0?\.[0-9]+))*$ ]] || die "--momenta takes numbers from 0 to below 1, not '$momenta'"
    [[ $delays =~ ^([1-9][0-9]*)?(,[1-9][0-9]*)*$ ]] || die "--delays takes numbers of steps, not '$delays'"
    printf 'plain\tas it is\n'
    for x in ${momenta//,/ }; do printf 'momentum-%s\tmomentum %s\n' "$x" "$x"; done
    for x in ${delays//,/ }; do printf 'delay-%s\tothers late by %s\n' "$x" "$x"; done
}

options() {
    local x=${1#*-} other
    case $1 in
    momentum-*)
        given=(--layer-momentum "$layer=$x" --layer-lr "$layer=$(number "$lr * (1 - $x) / (1 - $momentum)")") ;;
    delay-*)
        for other in "${layers[@]}"; do
            [ "$other" = "$layer" ] || given+=(--delay "$other=$x")
        done ;;
    esac
}

compare_variants "$@"
