# Two commands matter: `make demo` runs the main job, `make test` proves it.
GO ?= go
FUZZTIME ?= 2s
# Set by .ci/run; elsewhere a missing PostgreSQL shows as a skip.
export HOLDFAST_TEST_POSTGRES HOLDFAST_TEST_POSTGRES_REQUIRED

.PHONY: demo demo-cluster faults build test lint fuzz bench-git bench-vault bench-ledger bench-probe

build: ## the one binary, static
	CGO_ENABLED=0 $(GO) build -trimpath -o holdfast ./cmd/holdfast

demo: build ## from an empty folder to a released repository, in a temporary directory
	./holdfast demo --once

demo-cluster: build ## the same on PostgreSQL, S3 and three processes, one of which is killed
	@./scripts/demo-cluster

faults: ## the fault campaign: 1,200 faults on both engines at once, a quarter of an hour; see docs/reliability.md
	HOLDFAST_FAULTS=$${HOLDFAST_FAULTS:-600} $(GO) test ./internal/server -run 'TestFaults' -v -count 1 -timeout 60m

test: lint ## everything CI runs
	$(GO) test -timeout 40m ./...
	@$(MAKE) --no-print-directory fuzz
	@if [ -z "$$HOLDFAST_TEST_POSTGRES" ]; then \
	  echo "SKIPPED: PostgreSQL tests. Set HOLDFAST_TEST_POSTGRES=postgres://... to run them (CI does)."; fi

lint: ## formatting, vet, staticcheck, known vulnerabilities where the database can be reached
	@test -z "$$(gofmt -l . )" || { echo "gofmt these files:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	@./scripts/vulncheck

fuzz: ## every fuzz target for a short while
	@./scripts/fuzz $(FUZZTIME)

bench-git: ## deposits against mirrors, archives and bundles: make bench-git REPO=path-or-url
	@./bench/git.sh "$(REPO)"

bench-vault: ## deposits of directories against tar|zstd|age and restic: make bench-vault [DATA=path]
	@./bench/vault.sh $(DATA)

bench-ledger: ## the ledger against plain inserts, on both engines
	@./bench/ledger.sh

bench-probe: ## thousands of HTTP checks beside Prometheus and its blackbox exporter
	@./bench/probe.sh
