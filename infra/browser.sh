#!/bin/sh
# The tests look at the report in a real browser: see to it that Debian's Chromium is there.
set -eu
if command -v chromium >/dev/null; then
  exit 0
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
  sudo="sudo"
fi
echo "Installing Chromium, in which the tests look at the report." >&2
if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; then
  echo "chromium: expected it on the path, received none. Run: sudo apt-get install chromium" >&2
  exit 2
fi
