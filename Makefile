# Needs Go and make; the race detector also needs a C compiler, and only `docker-image` needs Docker.
# Settings of the service (GATEWAY_…, AWS_…) are read from the environment, which `run` passes on.

GO           ?= go
DOCKER       ?= docker
IMAGE        ?= gateway
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TEST_TIMEOUT ?= 40m
FUZZTIME     ?= 10s
BENCH        ?= .
STEPS        ?= 1000000
SEED         ?= 0
LINT_VERSION := v2.15.0
LINT         := bin/golangci-lint-$(LINT_VERSION)

# Packages built and tested at once in the long run.
PARALLEL     ?= 2

# No cgo: one static binary, the same as in the image.
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X main.version=$(VERSION)"

.DEFAULT_GOAL := help
.PHONY: help run demo build long-packages test test-others test-long test-console test-athena screenshots console-tools check format vet modules lint monitoring docs bench model benchconvert load trial fuzz image push docker-image rotate-function gateway-function release packages rehearse clean

help: ## print this list
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

run: build ## build the gateway and run it (arguments: ARGS='…')
	@exec bin/gateway $(ARGS)

# The folder appears when the month is complete.
demo: build ## run the gateway on a simulated month, made in ./demo-data at the first time
	@test -d demo-data || { rm -rf demo-data.new; GATEWAY_DATA_DIR=demo-data.new bin/gateway demo && mv demo-data.new demo-data; }
	@GATEWAY_DATA_DIR=demo-data exec bin/gateway $(ARGS)

build: ## build bin/gateway
	@mkdir -p bin
	$(BUILD) -o bin/gateway ./cmd/gateway

# Go turns cgo off by itself where it finds no C compiler. The detector makes code
# seven times as slow. It leaves out packages that only compute on what one caller has
# given them: SQLite, which is C that was translated and locks by itself, deflate, the
# training of models, whose own tests have it, and statistics, drafts and exports, which
# start no goroutine. A package with a sync.Map or an atomic.Pointer must not be here: the
# linker takes one copy of a generic function for all packages, and without the
# detector's calls in it there are races that are none.
UNRACED = modernc.org/sqlite/lib compress/flate $(LEARN) $(PURE:%=gateway/internal/%)
PURE = insights/stats draft export exportsql
LEARN = gateway/internal/learn
CGO = $(filter 1,$(shell $(GO) env CGO_ENABLED))
RACE = $(if $(CGO),-race $(UNRACED:%=-gcflags=%=-race=false))

# A program with the detector waits a second before it ends, for reports of other
# threads. Here it waits a tenth.
export GORACE = atexit_sleep_ms=100

# Whole gateways wait more than they compute: the tests of each of these packages are
# dealt, by their names, to several processes that run at once.
APP_STREAMS     = 1 2
GATEWAY_STREAMS = 1

# $(call dealt,DIRECTORY,STREAMS,STREAM) matches the tests that a stream has of a package.
dealt = '^($(subst $(space),|,$(shell grep -ohE '^func (Test|Fuzz|Example)\w*' $(1)/*_test.go | cut -d' ' -f2 | sort | awk 'NR % $(words $(2)) == $(3) - 1')))$$'

# The other packages run two at a time. These take longest and begin first.
FIRST = ./internal/store ./internal/aws ./api ./internal/export ./cmd/loadtest

# The packages of this module whose tests differ with the build tag long.
LONG = $(shell grep -rlE '"gateway/internal/testsize"|^//go:build long' --include=*_test.go --exclude-dir=test . | xargs -n1 dirname | sort -u)

test: ## run the tests, a sample of each large matrix, with the race detector where there is a C compiler
	$(if $(RACE),,@echo 'no cgo (is a C compiler installed?): testing without the race detector')
	@$(MAKE) --no-print-directory -j $(words $(STREAMS)) $(STREAMS)

# More streams than these leave tests under load too little of two cores.
STREAMS = test-others $(APP_STREAMS:%=test-app-%) $(GATEWAY_STREAMS:%=test-gateway-%)

test-app-%:
	@echo "$(GO) test ./internal/app, stream $* of $(words $(APP_STREAMS))"
	@$(GO) test $(RACE) -timeout $(TEST_TIMEOUT) -run $(call dealt,internal/app,$(APP_STREAMS),$*) ./internal/app

test-gateway-%:
	@echo "$(GO) test ./cmd/gateway, stream $* of $(words $(GATEWAY_STREAMS))"
	@$(GO) test $(RACE) -timeout $(TEST_TIMEOUT) -run $(call dealt,cmd/gateway,$(GATEWAY_STREAMS),$*) ./cmd/gateway

# Go prints the results in the order of the list: a slow package holds back those after it.
test-others:
	$(GO) test $(if $(CGO),-race) -timeout $(TEST_TIMEOUT) $(LEARN)
	$(GO) test $(RACE) -p 2 -timeout $(TEST_TIMEOUT) $(FIRST) \
		$$($(GO) list ./... | grep -vxE '$(LEARN)|gateway/($(subst $(space),|,$(strip $(FIRST:./%=%) internal/app cmd/gateway)))')

empty =
space = $(empty) $(empty)

test-long: ## run the packages that have large matrices, in full (docs/testing.md)
	$(GO) test $(RACE) -tags long -p $(PARALLEL) -timeout $(TEST_TIMEOUT) $(LONG)

long-packages:
	@printf '%s\n' $(LONG)

# The tests of the console in a browser are a package of Node's of their own.
CONSOLE_TEST = test/console

test-console: build console-tools ## test the console in Chromium: accessibility, keyboard, an operator's journey, replicas
	cd $(CONSOLE_TEST) && node --test --test-concurrency=1 --test-reporter=spec

# DuckDB needs cgo and 70 MB of binary, so these tests are a module of their own.
test-athena: ## test the SQL for Athena: it runs in DuckDB and must give the rows of the gateway's own converter
	cd test/athena && $(GO) test ./...

screenshots: build console-tools ## write docs/images anew: each page of the console with a simulated month
	cd $(CONSOLE_TEST) && node screenshots.js

console-tools:
	@for tool in node npm $${CHROMIUM:-chromium}; do command -v $$tool >/dev/null || { \
		echo "'$$tool' is not installed. On Debian: apt-get install nodejs npm chromium. CHROMIUM names another program of Chromium or Chrome."; exit 1; }; done
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { echo "node is too old: 20 or later is needed, this is $$(node --version)"; exit 1; }
	@cd $(CONSOLE_TEST) && { cmp -s package-lock.json node_modules/.installed || { npm ci --no-audit --no-fund && cp package-lock.json node_modules/.installed; }; }

check: format vet modules lint monitoring test ## everything that CI checks but test-long

format:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not gofmt-ed:"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags long ./...
	@for script in scripts/*.sh; do bash -n $$script || exit 1; done

modules:
	$(GO) mod verify
	$(GO) mod tidy -diff

lint: $(LINT) ## run the linters that .golangci.yml names
	$(LINT) run ./...
	$(LINT) run --build-tags long ./...

# A module of its own, so that Prometheus is none of the gateway's dependencies.
# -count=1: the cache of tests does not look at files outside a module.
monitoring: ## hold alert rules and dashboard to Prometheus' own parser and engine
	cd deploy/monitoring/check && $(GO) vet ./... && $(GO) test -count=1 ./...

# Built from source, at one version for everybody; the first time takes minutes.
$(LINT):
	@mkdir -p bin
	GOBIN=$(CURDIR)/bin CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv bin/golangci-lint $@

model: ## take STEPS (1000000) random steps with the outbox on SQLite and PostgreSQL (one: DATABASE=sqlite; from an episode on: SEED=n)
	$(GO) test ./internal/outbox -run 'TestModel/$(DATABASE)' -v -timeout 0 -steps $(STEPS) -seed $(SEED)

docs: ## write docs/configuration.md from the code
	$(GO) run ./cmd/gateway config --markdown > docs/configuration.md

bench: ## run all benchmarks (one: BENCH=Name)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 ./...

benchconvert: ## measure convert against jq and DuckDB, on ROWS (1000000) customers
	scripts/benchconvert.sh $(ROWS)

# ARGS are flags: make load SCENARIO='quick soak' ARGS='-race -pin'
load: ## put load on a gateway, beside peers (some: SCENARIO='quick faults'; ARGS=--help)
	@mkdir -p bin
	@CGO_ENABLED=0 $(GO) build -o bin/loadtest ./cmd/loadtest
	@exec bin/loadtest $(ARGS) $(SCENARIO)

trial: ## try the sagemaker platform with moto and PostgreSQL (a CSV of customers: CSV=…)
	scripts/trial.sh $(CSV)

fuzz: ## fuzz each fuzz target for FUZZTIME (10s)
	@set -e; \
	for file in $$(grep -rl '^func Fuzz' --include='*_test.go' . | sort); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "$$(dirname $$file) $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$(dirname $$file); \
		done; \
	done

# The binaries have no stamp of the version control, so that the digest depends on the sources,
# VERSION and the version of Go alone, and not on the kind of the clone.
IMAGE_ARCHS = amd64 arm64
IMAGE_BUILD = GOOS=linux GOAMD64=v1 GOARM64=v8.0 GOFLAGS= $(BUILD) -buildvcs=false
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

image: ## write the container image (amd64, arm64) to dist/image as an OCI layout (docs/install.md)
	@mkdir -p dist/binaries
	@set -e; for arch in $(IMAGE_ARCHS); do \
		echo "building for linux/$$arch"; \
		GOARCH=$$arch $(IMAGE_BUILD) -o dist/binaries/gateway-linux-$$arch ./cmd/gateway; \
	done
	@GOOS= GOARCH= $(GO) run -C deploy/image . -o $(CURDIR)/dist/image -version '$(VERSION)' \
		-revision "$$(git rev-parse HEAD 2>/dev/null)" -source '$(SOURCE)' $(if $(RDS_CA),-ca '$(abspath $(RDS_CA))') $(if $(SCHEMA),-schema '$(abspath $(SCHEMA))') \
		$(IMAGE_ARCHS:%=$(CURDIR)/dist/binaries/gateway-linux-%)
	@echo dist/image

# Signs in with the credentials of `docker login`, if there are any.
push: ## push dist/image to a registry: make push REPOSITORY=registry.example/gateway
	@test -n '$(REPOSITORY)' || { echo 'say where to: make push REPOSITORY=registry.example/gateway'; exit 1; }
	@test -f dist/image/index.json || { echo 'there is no dist/image: run make image first'; exit 1; }
	$(GO) tool -C deploy/image crane push $(CURDIR)/dist/image '$(REPOSITORY):$(VERSION)'

docker-image: ## build the image of Dockerfile with Docker (or DOCKER=podman), for this machine
	@command -v $(DOCKER) >/dev/null || { \
		echo "'$(DOCKER)' is not installed; 'make image' needs no container engine"; \
		exit 1; }
	$(DOCKER) build --build-arg VERSION=$(VERSION) --tag $(IMAGE):$(VERSION) --tag $(IMAGE):latest .

# Lambda runs the program bootstrap of a folder or zip; the tag leaves out a protocol that
# provided.al2023 does not have. The zips have no times but that of the commit.
FUNCTION_BUILD = GOOS=linux GOAMD64=v1 GOARM64=v8.0 GOFLAGS= CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags lambda.norpc -ldflags "-s -w -X main.version=$(VERSION)"

# $(call function,FOLDER,NAME,PACKAGE,COMMANDS) builds a function for each architecture.
# COMMANDS put further files into $$folder.
define function
	@command -v zip >/dev/null || { echo "'zip' is not installed. On Debian: apt-get install zip"; exit 1; }
	@rm -rf $(1)
	@set -e; for arch in $(IMAGE_ARCHS); do \
		echo "building $(2) for linux/$$arch"; \
		folder=$(1)/linux-$$arch; \
		mkdir -p $$folder; \
		GOARCH=$$arch $(FUNCTION_BUILD) -o $$folder/bootstrap $(3); \
		chmod 755 $$folder/bootstrap; \
		$(if $(RDS_CA),install -m 644 '$(abspath $(RDS_CA))' $$folder/rds.pem;) $(4) \
		TZ=UTC touch -d "@$(SOURCE_DATE_EPOCH)" $$folder/*; \
		TZ=UTC zip -X -q -j $(1)/$(2)-linux-$$arch.zip $$folder/*; \
	done
	@ls $(1)/*/bootstrap $(1)/*.zip
endef

rotate-function: ## build the Lambda function that rotates secrets: dist/rotate/linux-ARCH/bootstrap, and zips (docs/rotation.md)
	$(call function,dist/rotate,rotate,./cmd/rotate)

gateway-function: ## build the gateway as a Lambda function: dist/gateway-function/linux-ARCH/bootstrap, and zips (docs/install.md)
	$(call function,dist/gateway-function,gateway-function,./cmd/gateway,$(if $(SCHEMA),install -m 644 '$(abspath $(SCHEMA))' $$folder/schema.yaml;))

# No cgo anywhere: each platform is built on any other.
RELEASE_PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
RELEASE_BUILD = GOAMD64=v1 GOARM64=v8.0 GOFLAGS= CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"
GENERATED = dist/generated

release: gateway-function rotate-function ## write dist/release: archives for linux, macOS and Windows, SBOMs, Lambda functions, checksums
	@rm -rf $(GENERATED) && mkdir -p $(GENERATED) dist/binaries
	@GOFLAGS= CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o $(GENERATED)/gateway ./cmd/gateway
	@set -e; for shell in bash zsh fish; do $(GENERATED)/gateway completion $$shell > $(GENERATED)/$$shell; done
	@$(GENERATED)/gateway man > $(GENERATED)/man
	@set -e; for platform in $(RELEASE_PLATFORMS); do \
		echo "building for $$platform"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(RELEASE_BUILD) -o dist/binaries/release-$${platform%/*}-$${platform#*/} ./cmd/gateway; \
	done
	@GOOS= GOARCH= $(GO) run -C deploy/image ./release -o $(CURDIR)/dist/release -version '$(VERSION)' -root $(CURDIR) -generated $(CURDIR)/$(GENERATED) -source '$(SOURCE)' \
		$(foreach zip,gateway-function rotate,$(IMAGE_ARCHS:%=-function $(CURDIR)/dist/$(zip)/$(zip)-linux-%.zip)) \
		$(foreach platform,$(RELEASE_PLATFORMS),$(CURDIR)/dist/binaries/release-$(subst /,-,$(platform)))
	@cat dist/release/SHA256SUMS

packages: image ## render, lint and test what deploys a gateway
	scripts/packages.sh

# -count=1: the image lies outside the module.
REPLACEMENTS ?= 20

rehearse: image ## rehearse a rolling deployment behind nginx and HAProxy: REPLACEMENTS (20) gateways under load
	@for tool in nginx haproxy; do command -v $$tool >/dev/null || echo "skipped: '$$tool' is not installed. On Debian: apt-get install $$tool"; done
	$(GO) test -count=1 -timeout $(TEST_TIMEOUT) -v ./deploy/rehearse -args -image $(CURDIR)/dist/image -replacements $(REPLACEMENTS)

clean: ## remove what make built; gateway-data stays
	rm -rf bin dist
