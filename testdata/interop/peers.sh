#!/usr/bin/env bash
# Installs the real peers and checkers that the tests use, from Debian's packages. No service is started.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
packages=(strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins
  iproute2 iputils-ping nftables tcpdump tshark iperf3 procps ethtool)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "peers: all ${#packages[@]} packages are installed"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "peers: installing ${missing[*]} needs root; run: sudo make peers" >&2
  exit 1
fi
echo "peers: installing ${missing[*]}"
apt-get -o DPkg::Lock::Timeout=300 update -qq
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "peers: done"
