# make             install what is missing (.ci/packages), build bin/
# make demo        the main job on generated data, with a summary
# make web         the live page, bin/web/ (needs npm; see docs/live-page.md)
# make watch       the demo, with the live page beside it (PORT=8787)
# make test        every test; the last line counts them
# make test-long   the accuracy bars on real MNIST, large chunks against the
#                  reference, memory and faults: forty minutes
# make soak        memory of every stage over 20,000 steps with a slow consumer
# make chaos       one run through 200 random faults: the same bytes
# make san         every test under AddressSanitizer and UBSan
# make fuzz        hostile input: every fuzzer for FUZZ_SECONDS=60 of processor time each
#                  (FUZZ=frame,net: these alone)
# make bench       speed: gradients beside PyTorch, filters beside memory
# make man         docs/man/*.1 from the programs' own option tables
# make clean
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
SHELL := bash

ifdef CUDA
$(error this version computes on the CPU alone: run make without CUDA)
endif

B       := .build/$(if $(SAN),san,cpu)
BIN     := $(if $(SAN),$(B)/bin,bin)
LIBS    := libmicrohttpd libzmq msgpack openblas jansson libxxhash libzstd zlib libcrypto libisal

CC      := gcc
CFLAGS  := -std=c11 -D_GNU_SOURCE -O2 -g -ffp-contract=off \
           -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS = -Isrc -I. $(shell pkg-config --cflags $(LIBS))
LDLIBS   = -Wl,--as-needed $(shell pkg-config --libs $(LIBS)) -lm -lpthread
ifdef SAN
CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

sources := $(wildcard src/*/*.c src/backend/cpu/*.c)
library := $(patsubst src/%.c,$(B)/%.o,$(filter-out src/tools/%,$(sources)))
tools   := $(patsubst src/tools/%.c,$(BIN)/%,$(wildcard src/tools/lca-*.c))
units   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*-test.c))
# Fuzzers and what they reach of the library, by clang, which has libFuzzer; but for the
# kernels, which are gcc's.
Z       := .build/fuzz
ZFLAGS  := -std=c11 -D_GNU_SOURCE -O1 -g -ffp-contract=off -fno-omit-frame-pointer -Wall -Wextra \
           -fsanitize=address,undefined -fno-sanitize-recover=all -include tests/fuzz/clock.h
reached := $(patsubst src/%.c,$(Z)/%.o,$(foreach d,base frame link data nn run,$(wildcard src/$d/*.c)))
fuzzers := $(patsubst tests/fuzz/%.c,$(Z)/%,$(wildcard tests/fuzz/fuzz-*.c))
# What the tests of the live page need; chromium and npm's packages cannot always be had.
page_tests = .ci/install web && { command -v npm >/dev/null || .ci/install npm; } && \
             $(build) $(BIN)/web/index.html browser || echo "without page and browser their tests are skipped" >&2
build   := $(MAKE) --no-print-directory -j$(shell nproc)

.PHONY: all packages programs units fuzzers demo web watch browser test test-long soak chaos fuzz san bench man clean
all: packages
	@$(build) programs
packages:
	@.ci/install build
programs: $(tools)
units: $(units)
fuzzers: $(fuzzers)

demo: all
	@pipelines/demo.sh
web: all
	@command -v npm >/dev/null || .ci/install npm
	@$(build) $(BIN)/web/index.html
# What drives chromium in the tests of the page.
browser: .build/browser/node_modules
.build/browser/node_modules: tests/web/package-lock.json
	@mkdir -p $(@D) && cp tests/web/package*.json $(@D)
	@echo "npm $(@D)"
	@cd $(@D) && npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --silent && touch node_modules
watch: web
	@pipelines/watch.sh
test:
	@.ci/install build test
	@.ci/install slurm || echo "without Slurm its tests are skipped" >&2
	@$(page_tests)
	@$(build) programs units $(if $(SAN),,fuzzers)
	@tests/run.sh $(abspath $(BIN)) $(B)/unit
test-long: all
	@.ci/install test
	@$(page_tests)
	@$(build) units
	@UNIT_TESTS=$(abspath $(B)/unit) bats tests/long
soak chaos: all
	@.ci/install test
	@bats tests/long/$@.bats
san:
	@$(MAKE) --no-print-directory SAN=1 test
FUZZ_SECONDS := 60
fuzz:
	@.ci/install build test
	@$(build) programs fuzzers
	@tests/fuzz/run.sh $(Z) $(FUZZ_SECONDS) $(FUZZ)
bench: all
	@.ci/install test
	@tests/bench/mnist-fc.sh
	@tests/bench/networks.sh
	@tests/bench/filters.sh
man: all
	@for t in $(notdir $(tools)); do bin/$$t --man > docs/man/$$t.1; done
clean:
	rm -rf .build bin/lca-* bin/web

# The page: our sources as they are, beside them the one library that it uses, of the
# version and the bytes that the lock file names.
$(BIN)/web/index.html: $(wildcard src/web/page/*)
	@echo "npm $(@D)"
	@rm -rf $(@D) $(B)/page && mkdir -p $(@D) $(B)/page
	@cp src/web/page/package*.json $(B)/page
	@cd $(B)/page && npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --silent
	@cp $(B)/page/node_modules/uplot/dist/uPlot.esm.js $(B)/page/node_modules/uplot/dist/uPlot.min.css $(@D)
	@cp $(B)/page/node_modules/uplot/LICENSE $(@D)/uPlot-license.txt
	@cp $(filter %.js %.css %.svg,$(wildcard src/web/page/*)) $(@D)
	@cp src/web/page/index.html $@

$(B)/liblca.a: $(library)
	@echo "ar  $@"
	@rm -f $@ && ar rcs $@ $^
# Kernels may contract a*b+c: without FMA they lose a quarter of their speed.
$(B)/backend/cpu/%.o: CFLAGS += -O3 -ffp-contract=fast
# Sums over vectors: the order of additions is in the code, -O3 only makes vectors of them.
$(B)/lca/%.o $(B)/base/finite.o: CFLAGS += -O3
$(B)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "cc  $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BIN)/%: $(B)/tools/%.o $(B)/liblca.a
	@mkdir -p $(@D)
	@echo "ld  $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
$(B)/unit/%: tests/unit/%.c $(B)/liblca.a Makefile
	@mkdir -p $(@D)
	@echo "ld  $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(B)/liblca.a -lcmocka $(LDLIBS)

$(Z)/liblca.a: $(reached)
	@echo "ar  $@"
	@rm -f $@ && ar rcs $@ $^
$(Z)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "clang $<"
	@clang $(CPPFLAGS) $(ZFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(Z)/shared/%.o: tests/fuzz/%.c Makefile
	@mkdir -p $(@D)
	@echo "clang $<"
	@clang $(CPPFLAGS) $(ZFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(Z)/fuzz-in $(Z)/fuzz-out $(Z)/fuzz-pool $(Z)/fuzz-worker: $(Z)/shared/script.o
$(Z)/fuzz-%: tests/fuzz/fuzz-%.c $(Z)/shared/fuzz.o $(Z)/liblca.a $(B)/liblca.a Makefile
	@echo "clang $<"
	@clang $(CPPFLAGS) $(ZFLAGS) -fsanitize=fuzzer -MMD -MP -MT $@ -MF $@.d -o $@ $(filter %.c,$^) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

.SECONDARY:
-include $(shell find $(B) $(Z) -name '*.d' 2>/dev/null)
