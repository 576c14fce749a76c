# Skylark's build and test entry points; `make test` is what CI runs.
#
#   make build    bin/skylark, static
#   make run      build, then a NameServer and a broker in one process
#   make test     build, check, race, compat: stops at the first part that fails
#   make unit     tests of all packages but the compat suites
#   make soak     kill-and-restart rounds, SOAK_ROUNDS=500, and the long forms of the store's tests: an hour
#   make fuzz     every fuzz target, each for FUZZTIME=2m
#   make cross    vet for macOS and Windows
#   make release  archives for all platforms, their modules and checksums, into dist/
#   make golden   files under testdata made by Java, and generated documents, anew

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: build run check unit race fuzz bench compat soak test golden cross release clean

GO ?= go
# Race tests need cgo and set it themselves; everything that ships is built without.
export CGO_ENABLED := 0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 2m
SOAK_ROUNDS ?= 500
# Which of its deepest cases the store's long forms do: others each day.
SOAK_PART ?= $(shell date +%j)
SOAK_STORE = ^Test(CrashMatrix|BitFlips.*|ErrorWhile.*|Model)$$
BENCH ?= .

# Expanded by the shell when a recipe runs, so that a failing go list fails the recipe.
UNIT = $$($(GO) list ./... | grep -vE '/compat_tests(/|$$)')
COMPAT = $$($(GO) list ./compat_tests/... | grep -v '/compat_tests/layout$$')
# The suites run our own binary and must not be turned off or aimed elsewhere by a left-over variable.
COMPAT_ENV = env -u SKYLARK_COMPAT -u COMPAT_PEER SKYLARK_BIN=$(CURDIR)/bin/skylark

build:
	$(GO) build -trimpath -o bin/skylark .

run: build
	bin/skylark standalone

check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 -v ./compat_tests/layout

unit:
	packages="$(UNIT)"; $(GO) test -timeout 10m $$packages

race:
	packages="$(UNIT)"; CGO_ENABLED=1 $(GO) test -race -timeout 10m $$packages

fuzz:
	@files=$$(grep -rlE --include='*_test.go' --exclude-dir=drivers '^func Fuzz[A-Z]' .); \
	for file in $$files; do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
	    echo "== $$target in $$(dirname "$$file")"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$(dirname "$$file")"; \
	  done; \
	done

bench:
	packages="$(UNIT)"; $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $$packages

compat: build
	# Two suites at a time: they wait more than they work.
	packages="$(COMPAT)"; $(COMPAT_ENV) $(GO) test -count=1 -timeout 20m -p 2 $$packages

# go test passes when -run matches nothing, so ask first.
soak: build
	@packages="$(COMPAT)"; \
	if ! $(GO) test -list '^TestSoak' $$packages | grep '^TestSoak'; then echo "no TestSoak tests under compat_tests" >&2; exit 1; fi; \
	log=$$(mktemp); trap 'rm -f $$log' EXIT; \
	$(COMPAT_ENV) SKYLARK_SOAK_ROUNDS=$(SOAK_ROUNDS) $(GO) test -count=1 -timeout 4h -p 1 -v -run '^TestSoak' $$packages | tee $$log; \
	SKYLARK_SOAK=$(SOAK_PART) $(GO) test -count=1 -timeout 4h -v -run '$(SOAK_STORE)' ./store | tee -a $$log; \
	echo "make soak passed, SOAK_PART=$(SOAK_PART):"; grep -o 'SUMMARY .*' $$log

test: build check race compat
	@echo "make test: build, check, race and compat passed"

golden:
	scripts/golden/golden.sh
	cd remoting/properties/testdata && sed -nE 's/^\{"in":"([^"]*)".*/\1/p' load.golden > inputs.tmp \
	  && java LoadGolden.java < inputs.tmp > load.tmp && mv load.tmp load.golden && rm inputs.tmp
	$(GO) test ./tools/config -count=1 -run '^TestKeysDoc$$' -update

cross:
	for os in darwin windows; do GOOS=$$os $(GO) vet ./...; done

release:
	scripts/release.sh

clean:
	rm -rf bin dist
	$(GO) clean -testcache
