#!/usr/bin/env bash
# scripts/gpu_check.sh [--only STAGE] [OUT]: on a machine with a GPU, in the folder that scripts/gpu_bundle.sh packed: every test that
# runs on a device, on `cuda:0`; compute-sanitizer over those of ops; the benchmarks beside PyTorch; all in less than ten minutes. Nothing
# is built or fetched. A stage has a time limit, and runs whatever became of those before it; what it finds is in OUT (default gpu-results)
# as it comes. Exits with 1 unless every stage passed.
# MGLMM_PYTHON is a python with PyTorch. To try the script: TESTS are files, CASES a text in names of cases, SHAPE a model of
# bench/random_model.ts, STAGE_SECONDS a limit for each stage, and MGLMM_CUDA=simulated needs no GPU.
set -uo pipefail
cd "$(dirname "$0")/.."

only=
if [ "${1:-}" = --only ]; then
  only=${2:?--only needs one of tests, memcheck, racecheck, goals, answer, ops}
  shift 2
fi
out=$(realpath -m "${1:-gpu-results}")
mkdir -p "$out"
touch "$out/sanitizer.txt"
failed=()

# stage NAME SECONDS COMMAND...
stage() {
  local stage=$1 limit=${STAGE_SECONDS:-$2} start=$SECONDS status
  shift 2
  [ -z "$only" ] || [ "$only" = "$stage" ] || return 0
  echo "gpu: $stage, $limit s at most"
  timeout --kill-after=5 "$limit" "$@" >"$out/$stage.log" 2>&1
  status=$?
  tail -n 25 "$out/$stage.log"
  case $status in
    0) echo "gpu: $stage passed after $((SECONDS - start)) s" ;;
    124 | 137) echo "gpu: $stage was CUT after $((SECONDS - start)) s" ;;
    *) echo "gpu: $stage FAILED ($status) after $((SECONDS - start)) s" ;;
  esac
  [ $status -eq 0 ] || failed+=("$stage")
}

# sanitize TOOL FILE: one file of tests; a line or, where it is not clean, the sanitizer's words in $out/sanitizer.txt.
sanitize() {
  local log status
  log=$(mktemp)
  compute-sanitizer --tool "$1" --target-processes all --report-api-errors no --print-limit 20 --error-exitcode 99 \
    "$(command -v node)" node_modules/jest/bin/jest.js --runInBand "$2" >"$log" 2>&1
  status=$?
  if [ $status -eq 0 ]; then
    echo "$1 $2: clean" >>"$out/sanitizer.txt"
  else
    printf '%s %s: FAILED (%s)\n%s\n' "$1" "$2" $status "$(grep -E '=====|●|not found' "$log" | head -n 40)" >>"$out/sanitizer.txt"
  fi
  rm "$log"
  return $((status != 0))
}
export -f sanitize

# sanitizer TOOL SECONDS
sanitizer() {
  local tool=$1 files
  [ -z "$only" ] || [ "$only" = "$tool" ] || return 0
  files=$(tr ' ' '\n' <<<"$TESTS" | grep '^test/ops/')
  stage "$tool" "$2" xargs -P "$workers" -I {} bash -c "sanitize $tool {}" < <(echo "$files")
  grep -vxFf <(sed -n "s/^$tool \(\S*\): .*/\1/p" "$out/sanitizer.txt") <<<"$files" | sed "s/^/$tool left out for lack of time: /" >>"$out/sanitizer.txt"
  grep -cE "^$tool \S+: clean$" "$out/sanitizer.txt" | sed "s/$/ files of $(wc -l <<<"$files") clean in $tool/"
}

# bench STAGE SECONDS NAME ARGS...
bench() {
  stage "$1" "$2" node --import tsx bench/run.ts --device cuda --blocks 7 --case "${CASES:-}" --json "$out/$3.json" --markdown "$out/$3.md" "${@:4}"
}

export PATH="$PWD/bin:$PATH:/usr/local/cuda/bin:/sbin" out
export MGLMM_PYTHON=${MGLMM_PYTHON:-python3} MGLMM_TEST_DEVICES=cuda:0 MGLMM_THREADS=2
TESTS=${TESTS:-$(grep -rl "support/devices'" test --include=*.test.ts | sort | tr '\n' ' ')}
workers=$(nproc)
[ "$workers" -lt 8 ] || workers=8

# cuBLAS of the toolkit or of a Python package, where the dynamic linker does not know one.
if ! ldconfig -p | grep 'libcublasLt\.so\.13' >/dev/null; then
  cublas=$("$MGLMM_PYTHON" -c 'import glob, os, sys
places = ["/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib", *(path + "/nvidia/*/lib" for path in sys.path if path)]
print(*[os.path.dirname(found) for place in places for found in glob.glob(place + "/libcublasLt.so.13")][:1])')
  echo "gpu: cuBLAS is in ${cublas:-no folder that was looked at}"
  [ -z "$cublas" ] || export LD_LIBRARY_PATH="$cublas${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>&1 | tee "$out/gpu.txt"
gpu=$(sed -n '2s/,.*//p' "$out/gpu.txt" | tr 'A-Z ' 'a-z_' | tr -cd 'a-z0-9_')
gpu=${gpu:-no_gpu}
node --import tsx -e 'const { backendName, cudaProblem, devices } = require("./lib");
console.log(devices().join(), cudaProblem() ?? backendName("cuda"))'

# shellcheck disable=SC2086 # a list
MGLMM_TEST_RESULTS="$out/tests.json" stage tests 180 node node_modules/jest/bin/jest.js --maxWorkers "$workers" $TESTS
sanitizer memcheck 100
sanitizer racecheck 80
bench goals 120 "$gpu" --goals
room=$(df --output=avail -k /dev/shm | tail -n 1) # the model is 16 GB
folder=$(mktemp -d -p "$([ "$room" -gt 20000000 ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
MGLMM_THREADS=$(nproc) stage answer 45 node --import tsx bench/answer.ts "${SHAPE:-7b}" --device cuda --tokens 100 --masks 8 --folder "$folder" --json "$out/${gpu}_answer.json"
rm -r "$folder"
# All that is left of the time. Without pycocotools, which is seldom there, PyTorch's side of the first three has nothing to run.
left=$((570 - SECONDS))
bench ops "$((left > 20 ? left : 20))" "${gpu}_ops" --skip rle_encode,rle_decode,mask_intersections,llama_7b,training

echo "gpu: did not pass: ${failed[*]:-none}; results are in $out"
[ ${#failed[@]} -eq 0 ]
