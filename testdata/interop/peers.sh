#!/usr/bin/env bash
# Installs the real peers and checkers that the tests use, from Debian's packages. No service is started.
# Peers that cannot be installed beside strongSwan are only unpacked, into build/peers: they run in User-Mode Linux.
set -euo pipefail
cd "$(dirname "$0")/../.."
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
packages=(strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins
  iproute2 iputils-ping nftables tcpdump tshark iperf3 procps ethtool user-mode-linux kmod openssl gcc libc6-dev)
unpacked=(libreswan openiked)

apt=(apt-get -o DPkg::Lock::Timeout=300)
updated=
root_for() { # what needs root, and the package lists of today
  if [ "$(id -u)" != 0 ]; then
    echo "peers: $1 needs root; run: sudo make peers" >&2
    exit 1
  fi
  [ -n "$updated" ] || "${apt[@]}" update -qq
  updated=yes
}

# unpack PACKAGE puts it, and what it depends on that is not installed, into build/peers/PACKAGE.
unpack() {
  local tree=build/peers/$1 debs dir
  root_for "unpacking $1"
  rm -rf "$tree" "$tree.new"
  debs=$PWD/$tree.debs
  mkdir -p "$tree.new" "$debs/partial"
  "${apt[@]}" install -y -qq --download-only --no-install-recommends -o Dir::Cache::archives="$debs" "$1" >/dev/null
  for deb in "$debs"/*.deb; do dpkg -x "$deb" "$tree.new"; done
  # On a system whose /lib is a link to /usr/lib, a folder /lib laid over it would hide all libraries.
  for dir in bin sbin lib lib64; do
    if [ -d "$tree.new/$dir" ]; then
      mkdir -p "$tree.new/usr/$dir"
      cp -a "$tree.new/$dir/." "$tree.new/usr/$dir/"
      rm -rf "${tree:?}.new/$dir"
    fi
  done
  rm -rf "$debs"
  mv "$tree.new" "$tree"
}

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -ne 0 ]; then
  root_for "installing ${missing[*]}"
  echo "peers: installing ${missing[*]}"
  "${apt[@]}" install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
echo "peers: all ${#packages[@]} packages are installed"
for package in "${unpacked[@]}"; do
  if [ ! -d "build/peers/$package" ]; then
    echo "peers: unpacking $package into build/peers"
    unpack "$package"
  fi
done
shim=build/peers/uml-xstate.so
if [ ! testdata/interop/uml/xstate.c -ot "$shim" ]; then
  mkdir -p build/peers
  cc -O2 -Wall -shared -fPIC -o "$shim" testdata/interop/uml/xstate.c
fi
echo "peers: ${unpacked[*]} are unpacked in build/peers"
