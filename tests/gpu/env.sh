# shellcheck shell=bash
# env.sh: source it in bash, before `make CUDA=1` and before the programs run, on a machine
# whose CUDA or libraries are not where they are looked for. Finds nvcc, cuBLAS, cuDNN and a
# Python with torch, unpacks .gpu-bundle (bundle.sh) where there is one, says in one line
# what it found, and returns 1 when something is missing. What it sets:
#   CUDA_HOME                       the toolkit
#   C_INCLUDE_PATH, CPLUS_INCLUDE_PATH, LIBRARY_PATH, LD_LIBRARY_PATH, PKG_CONFIG_PATH, PATH
#   LCA_BATS                        folder of bats-support, bats-assert, bats-file
#   LCA_DATA                        the bundle's data, unless set
#   gpu_python                      runs the Python that has torch, without all of the above
# CUDA's libraries may be in CUDA_HOME, in /usr, or in Python's nvidia/ folders, where they
# come without the names that a linker wants: links are made in .build/gpu-env.

gpu_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
gpu_env=$gpu_top/.build/gpu-env
gpu_old_path=$PATH gpu_old_libraries=${LD_LIBRARY_PATH:-}

gpu_python() {
    env -u C_INCLUDE_PATH -u CPLUS_INCLUDE_PATH -u LIBRARY_PATH -u PKG_CONFIG_PATH PATH="$gpu_old_path" LD_LIBRARY_PATH="$gpu_old_libraries" \
        "$gpu_interpreter" "$@"
}

# The first that has torch; finding it does not load it.
gpu_find_python() {
    for gpu_interpreter in "${PYTHON:-python3}" python3 /usr/bin/python3 /opt/*/.venv/bin/python3 /opt/*/bin/python3; do
        gpu_interpreter=$(command -v "$gpu_interpreter") || continue
        "$gpu_interpreter" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torch"))' 2>/dev/null && return 0
    done
    gpu_interpreter=python3
    return 1
}

gpu_find_toolkit() {
    local nvcc
    for nvcc in ${CUDA_HOME:+"$CUDA_HOME/bin/nvcc"} "$(command -v nvcc)" /usr/local/cuda/bin/nvcc \
        /usr/local/cuda-*/bin/nvcc "${gpu_wheels[@]/%//bin/nvcc}"; do
        [ -x "$nvcc" ] || continue
        nvcc=$(readlink -f "$nvcc")
        CUDA_HOME=${nvcc%/bin/nvcc}
        export CUDA_HOME
        return 0
    done
    CUDA_HOME=${CUDA_HOME:-/usr/local/cuda}
    return 1
}

# gpu_find_library NAME HEADER: links to libNAME*.so* and HEADER's kin where CUDA_HOME lacks them.
gpu_find_library() {
    local name=$1 header=$2 dir file base found=
    for dir in "$CUDA_HOME/lib64" "$CUDA_HOME/lib" "$CUDA_HOME/targets/x86_64-linux/lib" /usr/lib/x86_64-linux-gnu \
        "${gpu_wheels[@]/%//lib}"; do
        for file in "$dir/lib$name".so*; do
            [ -e "$file" ] || continue
            found=$dir
            break 2
        done
    done
    [ -n "$found" ] || return 1
    gpu_where=$found
    if [ "$found" != "$CUDA_HOME/lib64" ] || [ ! -e "$found/lib$name.so" ]; then
        for file in "$found/lib$name"*.so*; do
            base=${file##*/}
            ln -sfn "$file" "$gpu_env/lib/$base"
            [ -e "$gpu_env/lib/${base%.so*}.so" ] || ln -sfn "$file" "$gpu_env/lib/${base%.so*}.so"
        done
    fi
    [ ! -e "$CUDA_HOME/include/$header" ] || return 0
    for dir in "$CUDA_HOME/targets/x86_64-linux/include" "${gpu_wheels[@]/%//include}" /usr/include \
        /usr/include/x86_64-linux-gnu "$gpu_top/.gpu-bundle/include"; do
        [ -e "$dir/$header" ] || continue
        for file in "$dir/$name"*.h; do
            ln -sfn "$file" "$gpu_env/include/${file##*/}"
        done
        return 0
    done
    return 1
}

# The bundle's libraries, with .pc files that say where they are.
gpu_unpack() {
    local root=$gpu_env/root
    [ "$root/.made" -nt "$gpu_top/.gpu-bundle/root.tar.gz" ] && return 0
    rm -rf "$root"
    mkdir -p "$root"
    tar -C "$root" -xzf "$gpu_top/.gpu-bundle/root.tar.gz" || return 1
    find "$root" -name '*.pc' -type f -exec sed -E -i "s#(=|-[IL])/usr#\1$root/usr#g" {} +
    touch "$root/.made"
}

gpu_use_bundle() {
    local usr=$gpu_env/root/usr arch=x86_64-linux-gnu
    gpu_unpack || return 1
    # behind what the machine has itself
    PATH=$PATH:$usr/bin
    PKG_CONFIG_PATH=$usr/lib/$arch/pkgconfig:$usr/lib/$arch/openblas-pthread/pkgconfig:$usr/share/pkgconfig
    C_INCLUDE_PATH=$C_INCLUDE_PATH:$usr/include:$usr/include/$arch:$usr/include/$arch/openblas-pthread
    LIBRARY_PATH=$LIBRARY_PATH:$usr/lib/$arch:$usr/lib/$arch/openblas-pthread
    LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$usr/lib/$arch:$usr/lib/$arch/openblas-pthread
    LCA_BATS=$usr/lib/bats
    export PATH PKG_CONFIG_PATH LCA_BATS
    [ -n "${LCA_DATA:-}" ] || export LCA_DATA=$gpu_top/.gpu-bundle
}

gpu_say() {
    local card nvcc cudnn
    card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -1)
    nvcc=$("$CUDA_HOME/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')
    cudnn=$(echo '#include <cudnn_version.h>
        CUDNN_MAJOR.CUDNN_MINOR.CUDNN_PATCHLEVEL' | gcc -E -P -I"$CUDA_HOME/include" - 2>/dev/null | tail -1 | tr -d ' ')
    echo "gpu: ${card:-no card}; nvcc ${nvcc:-missing} in ${CUDA_HOME:-?}; cuBLAS in ${gpu_cublas:-?}; cuDNN $cudnn in" \
        "${gpu_cudnn:-?}; torch by $gpu_interpreter; $(gcc -dumpfullversion 2>/dev/null | sed 's/^/gcc /');" \
        "bundle $([ -n "${LCA_BATS:-}" ] && echo used || echo absent)"
}

gpu_setup() {
    local missing="" command
    mkdir -p "$gpu_env/lib" "$gpu_env/include"
    gpu_find_python || missing+=" a Python with torch,"
    mapfile -t gpu_wheels < <("$gpu_interpreter" -c 'import glob, importlib.util as u
s = u.find_spec("nvidia")
print("\n".join(d for p in (s.submodule_search_locations if s else []) for d in sorted(glob.glob(p + "/*/"))))' \
        2>/dev/null | sed 's|/$||;/^$/d')
    gpu_find_toolkit || missing+=" nvcc (set CUDA_HOME),"
    C_INCLUDE_PATH=$gpu_env/include LIBRARY_PATH=$gpu_env/lib
    LD_LIBRARY_PATH=$gpu_env/lib
    [ -z "${CUDA_HOME:-}" ] || LD_LIBRARY_PATH+=:$CUDA_HOME/lib64
    gpu_find_library cublas cublas_v2.h || missing+=" cuBLAS or its headers,"
    gpu_cublas=${gpu_where:-} gpu_where=
    gpu_find_library cudnn cudnn.h || missing+=" cuDNN or its headers,"
    gpu_cudnn=${gpu_where:-}
    [ ! -e "$gpu_top/.gpu-bundle/root.tar.gz" ] || gpu_use_bundle || missing+=" .gpu-bundle/root.tar.gz, which is damaged,"
    LD_LIBRARY_PATH+=${gpu_old_libraries:+:$gpu_old_libraries}
    CPLUS_INCLUDE_PATH=$C_INCLUDE_PATH
    export C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH
    [ -z "${CUDA_HOME:-}" ] || PATH=$CUDA_HOME/bin:$PATH
    for command in gcc g++ ld make pkg-config jq bats; do
        command -v "$command" >/dev/null || missing+=" $command,"
    done
    hash -r
    gpu_say
    [ -z "$missing" ] || { echo "gpu: missing:${missing%,}" >&2; return 1; }
}
gpu_setup
