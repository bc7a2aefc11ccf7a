#!/bin/sh
# Make .venv from a hashed lock file. Where Python or its venv module is missing, say what to install.
set -eu
cd "$(dirname "$0")/.."
lock=${1:-requirements.lock}

python=""
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Python: expected 3.11, 3.12 or 3.13, received none. Run: sudo apt-get install python3 python3-venv" >&2
  exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  echo "$python: expected its venv module, received none. Run: sudo apt-get install python3-venv" >&2
  exit 2
fi

echo "Installing into .venv; TensorFlow makes it about 700 MB to download the first time." >&2
"$python" -m venv --clear .venv
# uv, itself from the lock, installs the rest in seconds; where it can't reach the index that pip is set up for, pip does.
sed -n '/^uv==/,/[^\\]$/p' "$lock" > .venv/uv.txt
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock" ||
  .venv/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r "$lock"
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
touch .venv/installed
