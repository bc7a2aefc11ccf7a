#!/bin/sh
# Install a package of Debian: `debian_package.sh PACKAGE "what it is wanted for"`.
set -eu
sudo=""
if [ "$(id -u)" != 0 ]; then
  sudo="sudo"
fi
echo "Installing $2." >&2
if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$1" >/dev/null; }; then
  echo "$1: expected it to be installed, received none. Run: sudo apt-get install $1" >&2
  exit 2
fi
