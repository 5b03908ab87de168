#!/usr/bin/env bash
# Throughput of two gateways on this machine: twinbore, wireguard-go and strongSwan's userspace data path in one run.
# BENCH=Offloads measures ours with each offload off in turn instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ]; then
  echo "throughput beside wireguard-go is left out: it needs root; to run it: sudo make bench"
  exit 0
fi
if [ ! -x build/bin/wireguard ]; then
  CGO_ENABLED=0 GOBIN="$PWD/build/bin" "${GO:-go}" install golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446
fi
exec "${GO:-go}" test -count=1 -timeout 40m -tags interop -run '^$' -bench "^Benchmark${BENCH:-Gateways}\$" -benchtime 1x ./cmd/internal/interop
