#!/bin/sh
# Runs the packed bench. With arguments: one measurement (./run.sh --provider cuda --only resnet50). Without: everything
# that this machine can run, into results/. PYTHON names a Python with torch, to be measured beside it.
set -u
cd "$(dirname "$0")" || exit 1
[ -d tfjs ] && export CGES_TFJS_DIR="$PWD/tfjs"
bench() { ./node dist/bench/main.js "$@"; }
if [ $# -gt 0 ]; then
  bench "$@"
  exit $?
fi

mkdir -p results
measure() {
  name=$1
  shift
  echo "== $*"
  bench "$@" --json "results/$name.json" 2>"results/$name.log" | tee "results/$name.txt"
}
for provider in cuda webgpu; do
  measure "$provider-nets" --provider "$provider" ${PYTHON:+--python "$PYTHON"}
  [ -s "results/$provider-nets.json" ] || { tail -2 "results/$provider-nets.log"; continue; }
  measure "$provider-residency" --provider "$provider" --residency
  measure "$provider-kernels" --provider "$provider" --kernels
done
if [ -d tfjs ]; then
  measure tfjs-nets --engine tfjs ${PYTHON:+--python "$PYTHON"}
  measure tfjs-residency --engine tfjs --residency
  measure tfjs-kernels --engine tfjs --kernels
fi
