#!/bin/sh
# The tests look at pages in a real browser: see to it that Debian's Chromium is there.
set -eu
command -v chromium >/dev/null ||
  exec "$(dirname "$0")/debian_package.sh" chromium "Chromium, in which the tests look at pages"
