#!/usr/bin/env bash
# scripts/gpu_bundle.sh [OUT]: packs what scripts/gpu_check.sh needs beside the checkout it is in, on a machine that has a GPU, PyTorch and
# cuBLAS, but no Node and no network: Node, the addon with its backends, the packages that tests and benchmarks use. One file of 60 MB at most,
# default build/gpu.tar.xz. Needs nvcc and cuBLAS (npm run fetch:cublas), and builds in build/gpu by MGLMM_JOBS jobs;
# MGLMM_CUDA_ARCHITECTURES (default 90a-real) and MGLMM_CPU_LEVELS say for what, where there is no build/gpu yet.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-build/gpu.tar.xz}")
most=60000000

if [ ! -f build/gpu/build.ninja ] && [ ! -f build/gpu/Makefile ]; then  # a cache is there after a configuration that failed as well
  node node_modules/cmake-js/bin/cmake-js configure -O build/gpu --CDMGLMM_CUDA=on \
    "--CDMGLMM_CUDA_ARCHITECTURES=${MGLMM_CUDA_ARCHITECTURES:-90a-real}" "--CDMGLMM_CPU_LEVELS=${MGLMM_CPU_LEVELS:-x86-64-v3}"
fi
cmake --build build/gpu --parallel "${MGLMM_JOBS:-$(nproc)}"

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/build/Release"

strip --strip-unneeded -o "$folder/bin/node" "$(node -p process.execPath)"
chmod +x "$folder/bin/node"

cp build/gpu/Release/{mglmm.node,libmglmm_cuda.so,libmglmm_cpu_*.so} "$folder/build/Release"
strip --strip-unneeded "$folder"/build/Release/*
# What a backend of the CPU needs and a bare machine lacks, under the names it is asked for by.
ldd build/gpu/Release/libmglmm_cpu_*.so | awk '$1 ~ /^lib(dnnl|gomp|OpenCL)\./ { print $1, $3 }' | sort -u | while read -r name path; do
  cp --dereference "$path" "$folder/build/Release/$name"
done

git describe --always --abbrev=40 --dirty --exclude='*' >"$folder/build/Release/commit"

# The packages that these need, with all they need themselves, without what only a compiler or a reader wants.
node - >"$folder/packages" <<'NODE'
const { existsSync, readFileSync } = require('node:fs');
const { dirname, join, relative } = require('node:path');
const found = new Set();
const metadata = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
function folderOf(name, from) {
  const folder = join(from, 'node_modules', name);
  if (existsSync(folder)) return folder;
  return from === dirname(from) ? undefined : folderOf(name, dirname(from));
}
function add(name, from) {
  const folder = folderOf(name, from); // an optional one may be for another platform
  if (!folder || found.has(folder)) return;
  found.add(folder);
  const { dependencies, optionalDependencies, peerDependencies } = metadata(folder);
  for (const needed of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) add(needed, folder);
}
const { dependencies } = metadata('.');
const names = [...Object.keys(dependencies).filter((name) => !name.startsWith('node-a')), 'jest', 'tsx'];
for (const name of names) add(name, process.cwd());
console.log([...found].map((folder) => relative('.', folder)).sort().join('\n'));
NODE
tar -chf - --exclude='*.map' --exclude='*.[cm]ts' --exclude='*.ts' --exclude='*.md' --exclude='node_modules/@types' -T "$folder/packages" | tar -xf - -C "$folder"
rm "$folder/packages"

mkdir -p "$(dirname "$out")"
(cd "$folder" && du -k bin/node build/Release/* && du -sk node_modules)
# Machine code packs better by its addresses.
[ "$(uname -m)" != x86_64 ] || export XZ_OPT=${XZ_OPT:---x86 --lzma2=preset=9e}
tar -cJf "$out" -C "$folder" .
size=$(stat -c %s "$out")
echo "gpu: $out, $((size / 1000000)) MB of $((most / 1000000)) at most"
[ "$size" -le $most ]
