# Twinbore. `make` alone lists what there is.
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build demo test lives peers interop soak fuzz bench bench-failover golden lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

build: ## write the static binary bin/twinbore
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/twinbore ./cmd/twinbore

demo: build ## two gateways in one process: up, traffic, failover; needs no privileges
	./bin/twinbore demo

test: build ## everything this machine can carry; ends with what was left out
	CGO_ENABLED=1 $(GO) run ./cmd/internal/verify

lives: ## 10,000 random lives of two gateways, and every order of what they say to each other to depth 6 with two faults
	$(GO) test -count=1 -timeout 30m ./ike/ikev2 -run 'TestRandomLives$$|TestEveryInterleaving' -seeds 10000 -depth 6 -faults 2

peers: ## install or unpack real peers and checkers (Debian, as root): strongSwan, User-Mode Linux, tshark ...
	./testdata/interop/peers.sh

interop: build ## only the tests against real peers (root)
	CGO_ENABLED=1 $(GO) test -count=1 -v -timeout 40m -parallel 4 -tags interop ./cmd/internal/interop

soak: build ## 10 GB of known content through each suite, keys renewed each 5 s (root)
	CGO_ENABLED=0 $(GO) test -count=1 -v -timeout 40m -tags interop -run TestContent ./cmd/internal/interop -content 10000000000 -content-rekey 5s

fuzz: ## each fuzz target for FUZZTIME (30s)
	@for pkg in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | cut -c6-); do \
	    echo "== $$pkg $$target"; $(GO) test $$pkg -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done; done

bench: build ## packet costs, then throughput beside wireguard-go in one run (the second part: root)
	$(GO) test -run '^$$' -bench . -benchmem ./esp/... ./routing/fib ./tunnel/datapath ./tunnel/transport
	./testdata/interop/bench.sh

bench-failover: build ## how long traffic waits when one of two tunnels is cut, beside strongSwan (root); fails at 1 s or more
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 40m -tags interop -run '^$$' -bench '^BenchmarkFailover$$' -benchtime 1x ./cmd/internal/interop

golden: ## rewrite golden files and transcripts; read the difference before you commit
	$(GO) test ./ike/ikev2 ./tunnel ./cmd/internal/api ./cmd/twinbore -update

lint: ## format, vet, staticcheck
	@test -z "$$(gofmt -l cmd config esp ike routing tunnel)" || { gofmt -l cmd config esp ike routing tunnel; exit 1; }
	$(GO) vet -tags interop ./...
	$(GO) tool staticcheck -tags interop ./...

clean: ## remove what was built
	rm -rf bin build
