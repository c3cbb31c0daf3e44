#!/usr/bin/env bash
# Lint and all tests, in a virtual environment of their own. `bash tests/run.sh -k losses` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv-test/bin/python ] || python3 -m venv .venv-test
rm -rf build  # setuptools would keep modules that are gone
.venv-test/bin/pip install --quiet --disable-pip-version-check '.[test]'
.venv-test/bin/ruff check .
.venv-test/bin/ruff format --check .
exec .venv-test/bin/pytest -n 2 "$@"
