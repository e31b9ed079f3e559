#!/usr/bin/env bash
# Installs the Debian packages that building and testing need; does nothing when all are there.
# Usage: install.sh [build]     "build": only what building the program needs
set -euo pipefail
packages=(build-essential cmake ninja-build pkg-config
  libdnnl-dev libopenblas-openmp-dev zlib1g-dev libbz2-dev libssl-dev libcurl4-openssl-dev ca-certificates
  libstb-dev libcairo2-dev
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev)
[ "${1:-all}" = build ] || packages+=(ccache clang-format doctest-dev valgrind)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install.sh: needs root to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
