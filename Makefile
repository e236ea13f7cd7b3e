# Everything a developer runs. `make` lists it; `make demo` and `make test` need nothing before them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

GO      ?= go
# A tool's program, built without the flags of what it looks at. The C in it, sqlc's Postgres grammar, takes longer to optimize than to use.
tool     = $$(GOFLAGS= CGO_CFLAGS=-O0 $(GO) tool -modfile=tools/go.mod -n $(1))
BINARY  := bin/dataguardian
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# The Go that is installed is the one that builds.
export GOTOOLCHAIN := local
# With the race detector, but for SQLite that was translated to Go, which is our Temporal server's store: nothing of ours shares
# memory with it, and looked at it takes ten times as long. Nor does it look into deflate and the arithmetic of curve 25519, which
# share nothing but what they are given.
RACE := -race -gcflags=modernc.org/...=-race=false -gcflags=compress/flate=-race=false \
	-gcflags=crypto/internal/fips140/edwards25519/...=-race=false

# Debian packages that building, the tests and the demo use. The versioned PostgreSQL packages bring
# the server's binaries, which Debian keeps off PATH.
PACKAGES := postgresql postgresql-client mariadb-client age zstd jq gcc libc6-dev git ca-certificates curl

# What only the tests need: servers to store on and to back up. The tests start an sshd and a mariadbd of their own; on
# a machine with systemd, Debian's packages start one of each for the machine besides.
TEST_PACKAGES := openssh-server mariadb-server

# What only the benchmarks need.
BENCH_PACKAGES := openssh-server rclone mariadb-server

.PHONY: help
help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install the Debian packages that are missing
	@tools/deps $(PACKAGES)

.PHONY: test-deps
test-deps: ## Install the Debian packages that the tests need besides
	@tools/deps $(PACKAGES) $(TEST_PACKAGES)

.PHONY: build
# Without -trimpath: with it the compiler would do everything a second time for vet, lint and tests.
build: ## Build bin/dataguardian
	$(GO) build -buildvcs=false -ldflags "-X main.version=$(VERSION)" -o $(BINARY) ./cmd/dataguardian

.PHONY: up
up: deps build ## Run everything on this machine until Ctrl-C
	exec $(BINARY) up

.PHONY: demo
# DEMO_RACE=1 takes the program that make test has built.
demo: export GOFLAGS := $(strip $(GOFLAGS) $(if $(DEMO_RACE),$(RACE)))
demo: deps build ## Back a sample database up, restore it, compare every row (DEMO_EXIT=1 ends after it)
	DEMO_EXIT="$(DEMO_EXIT)" DEMO_SIZE_MB="$(DEMO_SIZE_MB)" exec $(BINARY) demo

.PHONY: test
# Not only the tests are built with the race detector: so a machine with an empty cache compiles what
# they, the linters and the program have in common, of which the Temporal server is the most, once.
test: export GOFLAGS := $(strip $(GOFLAGS) $(RACE))
# Those that wait more than they compute are named first: the others run beside them, three packages for two processors. go vet has looked at
# everything with all that it knows; with what a test asks of it, it would look at two thousand packages of others once more.
test: test-deps lint generated ## Run every check and every test
	tools/gotest -vet=off -p $$(( ($$(nproc) * 3 + 1) / 2 )) -timeout 50m ./integration ./api ./...

# Make one run again: make chaos RUNS=100 SEED=1 ONLY=17
.PHONY: chaos
chaos: test-deps ## Kill workers at every stage boundary, again and again (RUNS=100 SEED=1)
	tools/gotest $(RACE) -timeout 60m ./integration -run '^TestBackupsSurviveWorkersThatAreKilledAnywhere$$' \
		-chaos.runs=$(or $(RUNS),100) -chaos.seed=$(or $(SEED),1) -chaos.only=$(or $(ONLY),-1)

# What reads what somebody else wrote: package:target.
FUZZ := internal/archive:FuzzManifest internal/archive:FuzzChunk internal/engine/postgres:FuzzWalkerNeverPanics db:FuzzCursor \
	api:FuzzUnmarshal api:FuzzPatch api:FuzzIfMatch api:FuzzConfig api:FuzzLastEventID api:FuzzFilters

# Minimizing what is new takes the whole time otherwise: sealing is random, so coverage is never quite the same.
.PHONY: fuzz
fuzz: ## Give the readers of manifests, chunks and requests what nobody wrote (FUZZTIME=30s)
	for target in $(or $(ONLY),$(FUZZ)); do \
		$(GO) test ./$${target%:*} -run '^$$' -fuzz="^$${target#*:}$$" -fuzztime=$(or $(FUZZTIME),30s) -fuzzminimizetime=1x; \
	done

.PHONY: lint
lint: ## Check format, vet, lint and the determinism of workflows
	@unformatted=$$($(GO) list -f '{{.Dir}}' ./... | xargs gofmt -l | sort -u); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(call tool,golangci-lint) run ./...
	$(call tool,workflowcheck) ./workflows/...
	@# Where the client is. A test of internal/config loads the file with the client's own library everywhere.
	@if docker compose version >/dev/null 2>&1; then \
		POSTGRES_PASSWORD=x TEMPORAL_POSTGRES_PASSWORD=x DATAGUARDIAN_MASTER_KEY=x BACKUP_DIR=/tmp docker compose config -q; fi

.PHONY: generated
generated: build ## Check that generated code is in step with what it is made from
	$(call tool,sqlc) diff
	@temporary=$$(mktemp); trap 'rm -f "$$temporary"' EXIT; \
	$(BINARY) openapi > "$$temporary"; \
	diff -u docs/openapi.json "$$temporary" || { echo "docs/openapi.json is out of step, run make gen"; exit 1; }

.PHONY: gen
gen: build ## Generate queries from SQL, and docs/openapi.json
	$(call tool,sqlc) generate
	$(BINARY) openapi > docs/openapi.json

.PHONY: fmt
fmt: ## Format the code
	$(call tool,golangci-lint) fmt ./...

# Sizes are parameters: make bench SIZE=200MB CASES=first,read REPETITIONS=5 REPORT=part.md, or CASES=long LONG_SIZE=5GB
# UNMEASURED=1 accepts limits that could not be measured because a rival could not be built.
BENCH_ARGUMENTS = $(if $(CASES),-cases $(CASES)) -size $(or $(SIZE),2GB) -incompressible-size $(or $(RANDOM_SIZE),$(SIZE),2GB) $(if $(LONG_SIZE),-long-size $(LONG_SIZE)) \
	-scale $(or $(SCALE),50) -repetitions $(or $(REPETITIONS),3) -jobs $(or $(JOBS),2) -transfer-size $(or $(TRANSFER_SIZE),1GB) -mariadb-size $(or $(MARIADB_SIZE),1GB) $(if $(SCHEDULED),-scheduled-jobs $(SCHEDULED)) $(if $(DUE),-scheduled-due $(DUE)) $(if $(WORK_DIR),-work-dir $(WORK_DIR)) $(if $(UNMEASURED),-allow-unmeasured)
# A part of the cases must not take the place of the whole report.
REPORT ?= $(if $(CASES),,docs/benchmarks.md)

.PHONY: bench-deps
bench-deps: ## Install the Debian packages that the benchmarks need besides
	@tools/deps $(PACKAGES) $(BENCH_PACKAGES)

.PHONY: bench
bench: bench-deps build ## Measure against restic, kopia, rclone and the shell (SIZE=2GB CASES=first,read; docs/benchmarks.md)
	$(GO) run ./integration/bench $(strip $(BENCH_ARGUMENTS)) $(if $(REPORT),-report $(REPORT))

API_REPORT ?= docs/benchmarks/api.md

# The test of the same name, with the table that its limits are about; it prints what it measured.
.PHONY: bench-api
bench-api: deps ## Measure the lists of the API and the dashboard, and hold them against their limits (ROWS=1000000, API_REPORT=docs/benchmarks/api.md)
	$(GO) test ./api -count=1 -timeout 60m -v -run '^TestSpeed' -speed-rows=$(or $(ROWS),1000000) -speed-limits $(if $(API_REPORT),-speed-report $(abspath $(API_REPORT)))

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
