#!/usr/bin/env bash
# bundle.sh [--mnist DIR] [--cifar DIR]: what a machine with a GPU but no network lacks to
# build and test this project, in .gpu-bundle/ (under 40 MiB, ignored by git). Take that
# folder along with the source; tests/gpu/env.sh there uses it.
#   root.tar.gz   Debian packages unpacked: the libraries of .ci/packages with headers,
#                 cmocka, bats, jq, make and pkg-config, and what those need to run
#   include/      cuBLAS' and cuDNN's headers, for machines that have the libraries alone
#   mnist/        the published files                   (default DIR: $LCA_DATA/mnist)
#   cifar10/      the first 200 pictures of each batch  (default DIR: $LCA_DATA/cifar-10-batches-bin)
# Data that are not there are left out, and said so. Needs Debian with apt-get and its lists
# (apt-get update), no root.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=${LCA_DATA:-$PWD/../shared/data}
mnist=$data/mnist cifar=$data/cifar-10-batches-bin pictures=200
while [ $# -gt 0 ]; do
    case $1 in
    -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --mnist|--cifar)
        [ $# -ge 2 ] || { echo "bundle.sh: $1 needs a folder" >&2; exit 2; }
        printf -v "${1#--}" %s "$2"
        shift ;;
    *) echo "bundle.sh: unknown option $1: see --help" >&2; exit 2 ;;
    esac
    shift
done
bundle=$PWD/.gpu-bundle
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What every machine that compiles C++ has, and what is needed only to link libraries statically
# or to use them in other languages than C.
spared='^(libc6|libc6-dev|libc-dev-bin|linux-libc-dev|libcrypt.*|gcc-12-base|libgcc.*|libstdc.*|lib(a|t|l|ub)san.'
spared+='|libatomic1|libitm1|libgomp1|libtinfo6|libboost.*|libicu.*|icu-devtools|libxml2.*|libmsgpack-cxx-dev|libnsl.*'
spared+='|libtirpc.*|rpcsvc-proto|libgssrpc4|libkadm5.*|libkdb5.*|liblzma5|comerr-dev|krb5-multidev|libkrb5-dev'
spared+='|libnorm-dev|libpgm-dev|libsodium-dev|libbsd-dev|libmd-dev|libaec-dev|libcurl4-openssl-dev|libjpeg.*'
spared+='|libgmp-dev|libgmpxx.*|libgnutlsxx.*|libgnutls-.*|libgnutls28-dev|libdb5.*|libsasl2-modules-db'
spared+='|libunbound8|libevent.*|libidn2-dev|libp11-kit-dev|libtasn1-6-dev|nettle-dev|hdf5-helpers|libhdf5-cpp.*|libhdf5-.*fortran.*|libhdf5-hl.*)$'

# All packages that a bare Debian would install, less those.
packages() {
    local roots
    roots=$(awk '$1 == "build" && $2 !~ /^(gcc|curl)$/ { print $2 }' .ci/packages)
    : >"$work/none"
    # shellcheck disable=SC2086     # one package a word
    apt-get -qq -s -o Dir::State::status="$work/none" -o APT::Install-Recommends=0 install \
        $roots libcmocka-dev bats bats-assert bats-support bats-file | awk '$1 == "Inst" { print $2 }' |
        grep -Ev "$spared"
}

unpack() {
    local list
    list=$(packages)
    mkdir "$work/debs" "$work/root"
    # shellcheck disable=SC2086
    (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download $list)
    for deb in "$work"/debs/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
    cd "$work/root"
    # Debian 12 has moved /lib into /usr/lib, some packages have not
    if [ -d lib ]; then
        cp -a lib/. usr/lib/ && rm -r lib
    fi
    rm -rf etc var usr/sbin usr/share/{doc,man,locale,info,lintian,bug,bash-completion,gdb} usr/lib/*/openblas-pthread/cmake
    find . \( -name '*.a' -o -name '*.la' \) -delete
    find . -name '*.pc' -type f -exec sed -i '/^Requires.private/d' {} +
    rm -f usr/lib/*/openblas-pthread/lib{blas,lapack}.so*    # libopenblas has both
    tar -C "$work/root" --owner=0 --group=0 --sort=name -czf "$bundle/root.tar.gz" usr
    cd - >/dev/null
    echo "$list" >"$bundle/packages"
}

headers() {
    local cuda=${CUDA_HOME:-/usr/local/cuda} found
    found=$(find -L "$cuda/include" /usr/include -maxdepth 1 \( -name 'cublas*.h' -o -name 'cudnn*.h' \) 2>/dev/null) || true
    [ -n "$found" ] || { echo "no headers of cuBLAS and cuDNN in $cuda: left out" >&2; return; }
    mkdir "$bundle/include"
    # shellcheck disable=SC2086
    cp -L $found "$bundle/include/"
}

sets() {
    if [ -d "$mnist" ]; then
        mkdir "$bundle/mnist"
        cp -L "$mnist"/*-ubyte* "$bundle/mnist/"
    else
        echo "no $mnist: left out" >&2
    fi
    if [ -d "$cifar" ]; then
        mkdir -p "$bundle/cifar10/cifar-10-batches-bin"
        for file in "$cifar"/{data_batch_{1,2,3,4,5},test_batch}.bin; do
            head -c $((3073 * pictures)) "$file" >"$bundle/cifar10/cifar-10-batches-bin/${file##*/}"
        done
    else
        echo "no $cifar: left out" >&2
    fi
}

rm -rf "$bundle"
mkdir "$bundle"
unpack
headers
sets
chmod -R u+w "$bundle"
kib=$(du -sk "$bundle" | cut -f1)
echo "$bundle: $(wc -l <"$bundle/packages") packages, $((kib / 1024 + 1)) MiB"
[ "$kib" -lt 40960 ] || { echo "bundle.sh: over 40 MiB" >&2; exit 1; }
