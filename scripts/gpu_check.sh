#!/usr/bin/env bash
# scripts/gpu_check.sh [--seconds N] [--only STAGE,...] [OUT]: on a machine with a GPU, in a checkout where what scripts/gpu_bundle.sh packed
# is unpacked: every test that runs on a device, on `cuda:0`; the benchmarks beside PyTorch; compute-sanitizer over the tests of ops; all in
# N seconds (520). Nothing is built or fetched. A stage has a time limit, the last ones what is left, and runs whatever became of those before
# it. What it finds is in OUT (default gpu-results), at most eight files, as it comes: GPU.md and GPU.json, written anew after each stage, say
# all. Exits with 1 unless every stage passed.
# MGLMM_PYTHON is a python with PyTorch. To try the script: TESTS and SMOKE are files, CASES a text in names of cases, SHAPE a model of
# bench/random_model.ts, STAGE_SECONDS a limit for each stage, and MGLMM_CUDA=simulated needs no GPU.
set -uo pipefail
cd "$(dirname "$0")/.."

stages='smoke tests goals answer memcheck racecheck ops'
deadline=520
only=$stages
while :; do
  case ${1:-} in
    --seconds) deadline=${2:?--seconds needs a number} ;;
    --only) only=${2//,/ } ;;
    *) break ;;
  esac
  shift 2
done
for stage in ${only:-nothing}; do
  [[ " $stages " == *" $stage "* ]] || { echo "gpu: --only is $stage, expected some of $stages" >&2 && exit 1; }
done
wanted() { [[ " $only " == *" $1 "* ]]; }
out=$(realpath -m "${1:-gpu-results}")
work=$(mktemp -d)
model=
cleanup() {
  ! mountpoint -q "$work/model" || umount "$work/model"
  rm -rf "$work" "$model"
}
trap cleanup EXIT
mkdir -p "$out" "$work/sanitizer"
: >"$out/log.txt"
: >"$work/stages"
failed=()

export PATH="$PWD/bin:$PATH:/usr/local/cuda/bin:/sbin" out
export MGLMM_PYTHON=${MGLMM_PYTHON:-python3} MGLMM_TEST_DEVICES=cuda:0 MGLMM_THREADS=2
workers=$(nproc)
[ "$workers" -lt 8 ] || workers=8
# Without SWC, which the bundle lacks. A process for each file of tests: a fault of a kernel spoils all that its process does after it.
jest=(node node_modules/jest/bin/jest.js --transform '{"\\.ts$":"<rootDir>/test/support/esbuild.js"}' --testTimeout=300000)
apart=(--workerIdleMemoryLimit=0 --maxWorkers "$workers")

if [ "${MGLMM_CUDA:-}" = simulated ]; then
  about='the simulator'
else
  about=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1)
  about=${about:-no GPU}
  # Beside our library, where it looks first, so that no variable changes what PyTorch loads. The one of its own python, if it has one.
  cublas=$("$MGLMM_PYTHON" -c 'import glob, sys
places = [*(path + "/nvidia/*/lib" for path in sys.path if path), "/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib"]
print(*[found for place in places for found in glob.glob(place + "/libcublasLt.so.13")][:1])')
  [ -z "$cublas" ] || ln -sf "$cublas" build/Release/
  about+=", cuBLAS of ${cublas:-the dynamic linker}"
fi
gpu=$(cut -d, -f1 <<<"$about" | tr 'A-Z ' 'a-z_' | tr -cd 'a-z0-9_')
about+=", commit $(cat build/Release/commit 2>/dev/null || git rev-parse HEAD)"
echo "gpu: $about" | tee -a "$out/log.txt"

# note STAGE STATUS SECONDS: a line of the table of stages, and all results put together.
note() {
  echo "gpu: $1 $2 after $3 s" | tee -a "$out/log.txt"
  printf '%s\t%s\t%s\n' "$@" >>"$work/stages"
  [ "$2" = passed ] || failed+=("$1")
  node --import tsx bench/gpu_results.ts "$out" "$gpu" "$about" <"$work/stages" >>"$out/log.txt" 2>&1
}

# stage NAME SECONDS COMMAND...
stage() {
  local stage=$1 limit=${STAGE_SECONDS:-$2} left=$((deadline - SECONDS)) start=$SECONDS
  shift 2
  wanted "$stage" || return 0
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 10 ]; then
    note "$stage" 'LEFT OUT for lack of time' 0
    return
  fi
  echo "gpu: $stage, $limit s at most" | tee -a "$out/log.txt"
  timeout --kill-after=5 "$limit" "$@" > >({
    head -c 2000000
    cat >/dev/null
  } >>"$out/log.txt") 2>&1
  case $? in
    0) note "$stage" passed $((SECONDS - start)) ;;
    124 | 137) note "$stage" CUT $((SECONDS - start)) ;;
    *) note "$stage" FAILED $((SECONDS - start)) ;;
  esac
}

# Files of tests whose kernels wait for one another, and have most cases: with a sanitizer those in bf16, which has the kernels of its own.
hard='attention attention_cached sam_attention linear matmul mask_loss softmax sample_token embedding'

# sanitize TOOL FILE: one file of tests; a line or, where it is not clean, the sanitizer's words in $out/sanitizer.txt. Its log stays in
# $work/sanitizer until then.
sanitize() {
  local log status name cases=()
  name=$(basename "$2" .test.ts)
  log=$work/sanitizer/$1.$name
  [[ " $hard " != *" $name "* ]] || cases=(-t bf16)
  # Kernels of cuBLAS are not ours to check, and are most of the time.
  compute-sanitizer --tool "$1" --target-processes all --report-api-errors no --print-limit 20 --error-exitcode 99 \
    --kernel-name-exclude 'regex=cublas|cutlass|nvjet|xmma|gemm' "${@:3}" --runInBand "${cases[@]}" "$2" >"$log" 2>&1
  status=$?
  if [ $status -eq 0 ]; then
    echo "$1 $2: clean" >>"$out/sanitizer.txt"
  else
    printf '%s %s: FAILED (%s)\n%s\n' "$1" "$2" $status "$(complaints "$log")" >>"$out/sanitizer.txt"
  fi
  rm "$log"
  return $((status != 0))
}
complaints() { grep -E '=====|●|not found' "$1" | head -n 40; }
export -f sanitize complaints
export work hard

# sanitizer TOOL SECONDS: the hard files first.
sanitizer() {
  local log
  wanted "$1" || return 0
  # shellcheck disable=SC2086 # lists
  printf '%s\n' $(printf 'test/ops/%s.test.ts\n' $hard | grep -xFf <(printf '%s\n' $TESTS)) $TESTS | grep '^test/ops/' | awk '!seen[$0]++' >"$work/files"
  echo "$1 has $(wc -l <"$work/files") files" >>"$out/sanitizer.txt"
  stage "$1" "$2" xargs -a "$work/files" -P "$workers" -I {} bash -c 'sanitize "$@"' sanitize "$1" {} "${jest[@]}"
  for log in "$work/sanitizer/$1."*; do # of what was cut
    [ ! -e "$log" ] || printf '%s: CUT\n%s\n' "${log##*/}" "$(complaints "$log")" >>"$out/sanitizer.txt"
  done
}

# bench STAGE SECONDS ARGS...
bench() {
  stage "$1" "$2" node --import tsx bench/run.ts --device cuda --blocks 7 --case "${CASES:-}" --json "$out/$1.json" "${@:3}"
}

# shellcheck disable=SC2016 # JavaScript
if ! timeout 60 node --import tsx -e 'const { cudaProblem, devices, matmul, onDevice, ones } = require("./lib");
if (!devices().includes("cuda:0")) throw new Error(cudaProblem());
onDevice("cuda:0", async () => {
  const [sum] = await matmul(ones([64, 64]), ones([64, 64])).read();
  if (sum !== 64) throw new Error(`a product gives ${sum}, expected 64`);
}).catch((error) => {
  console.error(error);
  process.exit(1);
});' >>"$out/log.txt" 2>&1; then
  note device FAILED "$SECONDS"
  head -c 4000 "$out/log.txt"
  exit 1
fi
note device passed "$SECONDS"

# PyTorch from a cold disk takes as long as a stage.
timeout 120 "$MGLMM_PYTHON" -c 'import torch
from transformers import LlamaForCausalLM
from transformers.models.sam.modeling_sam import SamMaskDecoder
x = torch.ones(64, 64, device="cuda", dtype=torch.bfloat16)
print((x @ x).sum().item())' >"$work/warm" 2>&1 &

all=$(grep -rl "support/devices'" test --include=*.test.ts)
TESTS=${TESTS:-$(printf '%s\n' "$all" test/cuda/*.test.ts | sort -u | tr '\n' ' ')}
smoke=${SMOKE:-test/cuda/attention.test.ts test/cuda/same_bits.test.ts test/ops/attention.test.ts test/tensor/program.test.ts}

# shellcheck disable=SC2086 # lists
stage smoke 60 "${jest[@]}" "${apart[@]}" $smoke
# shellcheck disable=SC2086
MGLMM_TEST_RESULTS="$out/tests.json" stage tests 150 "${jest[@]}" "${apart[@]}" $TESTS
# The step of training first: it is the longest.
bench goals 170 --goals training llama_7b attention sam_attention sam_encoder mask_decoder mask_loss

# The model is 16 GB. In memory, where there is enough: disks take a minute.
roomy() { [ "$(df --output=avail -k "$1" | tail -n 1)" -gt 20000000 ]; }
mkdir "$work/model"
if roomy /dev/shm; then
  model=$(mktemp -d -p /dev/shm)
elif mount -t tmpfs -o size=20g mglmm "$work/model" 2>/dev/null; then
  model="$work/model/7b"
else
  model=$(mktemp -d)
fi
MGLMM_THREADS=$(nproc) stage answer 90 node --import tsx bench/answer.ts "${SHAPE:-7b}" --device cuda --tokens 100 --masks 8 \
  --pictures 5 --folder "$model" --json "$out/answer.json"
rm -rf "$model"

sanitizer memcheck 100
sanitizer racecheck 100
# Without pycocotools, which is seldom there, PyTorch's side of the first three has nothing to run.
bench ops "$deadline" --skip rle_encode,rle_decode,mask_intersections,llama_7b,training

sed -n '1,/^## Benchmarks/p' "$out/$gpu.md"
echo "gpu: did not pass: ${failed[*]:-none}; results are in $out"
[ ${#failed[@]} -eq 0 ]
