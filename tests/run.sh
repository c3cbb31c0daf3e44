#!/usr/bin/env bash
# Lint, types and tests, in a virtual environment of their own. `bash tests/run.sh -k losses` runs
# a part of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv-test/bin
[ -x $bin/python ] || [ -d .venv-test/Scripts ] || python3 -m venv .venv-test
[ -d $bin ] || bin=.venv-test/Scripts  # Windows
rm -rf build  # setuptools would keep modules that are gone
$bin/python -m pip install --quiet --disable-pip-version-check '.[test]'
$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
exec $bin/pytest -n 2 "$@"
