# make             install what is missing (.ci/packages), build bin/
# make demo        the main job on generated data, with a summary
# make test        every test; the last line counts them
# make test-long   the accuracy bars on real MNIST, large chunks against the
#                  reference, memory and faults: forty minutes
# make soak        memory of every stage over 20,000 steps with a slow consumer
# make chaos       one run through 200 random faults: the same bytes
# make san         every test under AddressSanitizer and UBSan
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
LIBS    := libzmq msgpack openblas jansson libxxhash libzstd zlib libcrypto libisal

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
build   := $(MAKE) --no-print-directory -j$(shell nproc)

.PHONY: all packages programs units demo test test-long soak chaos san bench man clean
all: packages
	@$(build) programs
packages:
	@.ci/install build
programs: $(tools)
units: $(units)

demo: all
	@pipelines/demo.sh
test:
	@.ci/install build test
	@.ci/install slurm || echo "without Slurm its tests are skipped" >&2
	@$(build) programs units
	@tests/run.sh $(abspath $(BIN)) $(B)/unit
test-long: all
	@.ci/install test
	@$(build) units
	@UNIT_TESTS=$(abspath $(B)/unit) bats tests/long
soak chaos: all
	@.ci/install test
	@bats tests/long/$@.bats
san:
	@$(MAKE) --no-print-directory SAN=1 test
bench: all
	@.ci/install test
	@tests/bench/mnist-fc.sh
	@tests/bench/networks.sh
	@tests/bench/filters.sh
man: all
	@for t in $(notdir $(tools)); do bin/$$t --man > docs/man/$$t.1; done
clean:
	rm -rf .build bin/lca-*

$(B)/liblca.a: $(library)
	@echo "ar  $@"
	@rm -f $@ && ar rcs $@ $^
# Kernels may contract a*b+c: without FMA they lose a quarter of their speed.
$(B)/backend/cpu/%.o: CFLAGS += -O3 -ffp-contract=fast
# Sums over vectors: the order of additions is in the code, -O3 only makes vectors of them.
$(B)/lca/%.o $(B)/filter/finite.o: CFLAGS += -O3
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

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
