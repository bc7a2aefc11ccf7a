#!/bin/sh
# The stack keeps Prefect's records in PostgreSQL: see to it that Debian's is there.
set -eu
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
  exec "$(dirname "$0")/debian_package.sh" postgresql "PostgreSQL, in which Prefect's server keeps its records"
