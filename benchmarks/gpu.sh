#!/usr/bin/env bash
# Measures on the GPU of this machine what depends on one: OUT/gpu.json and OUT/gpu.md.
#   bash benchmarks/gpu.sh OUT [--limit SECONDS] [--small]       --small: on a CPU, in minutes
# Where nnU-Net is not installed, .gpu/unbundle.sh puts it on the search path, and wheels in .gpu/
# come before it.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: benchmarks/gpu.sh OUT [--limit SECONDS] [--small]" >&2; exit 2; }
started=$(date +%s)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! python3 -c "import importlib.util as u; exit(u.find_spec('nnunetv2') is None)"; then
  [ -f .gpu/unbundle.sh ] || { echo "nnunetv2 is not installed" >&2; exit 2; }
  wheels=$(mktemp -d)
  for wheel in .gpu/*.whl; do [ ! -f "$wheel" ] || python3 -m zipfile -e "$wheel" "$wheels"; done
  export PYTHONPATH=$wheels${PYTHONPATH:+:$PYTHONPATH}
  source .gpu/unbundle.sh
fi
exec python3 -m benchmarks.gpu "$out" --started "$started" "$@"
