#!/bin/sh
# The stack keeps Prefect's records in PostgreSQL: see to it that Debian's is there.
set -eu
if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  exit 0
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
  sudo="sudo"
fi
echo "Installing PostgreSQL, in which Prefect's server keeps its records." >&2
if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends postgresql >/dev/null; }; then
  echo "PostgreSQL: expected initdb below /usr/lib/postgresql, received none. Run: sudo apt-get install postgresql" >&2
  exit 2
fi
