#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ./dev fuzz: builds the fuzz targets, proves with the canary that a fault is found, then runs each target for
# its time from its corpus. Run from the repository's root with the functions of ./dev.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

seconds=30 wanted=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    --seconds=*) seconds=${1#*=} ;;
    -*) echo "fuzz knows --seconds N, not $1" >&2 && exit 2 ;;
    *) wanted+=("$1") ;;
  esac
  shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "--seconds takes a whole number, not $seconds" >&2 && exit 2; }

mkdir -p build/fuzz
flock build/fuzz/.dev.lock bash -c '
  cmake --preset fuzz > build/fuzz/configure.log || { cat build/fuzz/configure.log; exit 1; }
  cmake --build build/fuzz --target netstor_fuzzers' || { echo "fuzz: the build failed" >&2 && exit 2; }

declare -A corpus=()
while read -r name folder; do
  if [[ -n $name ]]; then corpus[$name]=$folder; fi
done <build/fuzz/fuzzers.txt
for name in "${wanted[@]}"; do
  [[ -n ${corpus[$name]:-} ]] || { echo "fuzz: no target $name; there are: ${!corpus[*]}" >&2 && exit 2; }
done

# run_one NAME SECONDS: one target, its findings in out/fuzz/NAME, what it says in out/fuzz/NAME.log.
run_one() {
  local name=$1 limit=$2 found="out/fuzz/$1" grown="build/fuzz/corpus/$1"
  mkdir -p "$found" "$grown"
  build/fuzz/tests/fuzz/"$name" -max_total_time="$limit" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="$found/" "$grown" "${corpus[$name]}" >"out/fuzz/$name.log" 2>&1
}

mkdir -p out/fuzz
if run_one fuzz_canary 60; then
  echo "fuzz: FAILED: the planted fault in fuzz_canary was not found; do not trust this machine's fuzzing" >&2
  exit 1
fi
grep -q 'AddressSanitizer: heap-buffer-overflow' out/fuzz/fuzz_canary.log || {
  tail -20 out/fuzz/fuzz_canary.log >&2
  echo "fuzz: FAILED: fuzz_canary stopped, but not at its planted fault" >&2
  exit 1
}
echo "fuzz: canary: the planted fault was found, as it must be"

failed=0 count=0
for name in $(printf '%s\n' "${!corpus[@]}" | sort); do
  [[ $name == fuzz_canary ]] && continue
  [[ ${#wanted[@]} -eq 0 || " ${wanted[*]} " == *" $name "* ]] || continue
  count=$((count + 1))
  if run_one "$name" "$seconds"; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "out/fuzz/$name.log")
    echo "fuzz: $name: nothing found in $seconds s, ${runs:-?} inputs"
  else
    failed=$((failed + 1))
    echo "fuzz: $name: FAILED, inputs in out/fuzz/$name/, log out/fuzz/$name.log" >&2
    grep -m 3 -E 'ERROR|SUMMARY|runtime error' "out/fuzz/$name.log" >&2 || tail -5 "out/fuzz/$name.log" >&2
  fi
done
echo "netstor: fuzz: $count targets, $failed failed"
[[ $failed -eq 0 ]]
