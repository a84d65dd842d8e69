# make             install what is missing (.ci/packages), build bin/
# make demo        the main job on generated data, with a summary
# make picture     the same, fewer steps, and figures: report.html and a picture of the layers
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
# make CUDA=1      the same with NVIDIA cards (docs/gpu.md)
# make install     under PREFIX=/usr/local, below DESTDIR; make uninstall
# make deb         a Debian package, .build/deb/*.deb
# make man         docs/man/*.1 from the programs' own option tables
# make clean
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
SHELL := bash

B       := .build/$(if $(SAN),san,$(if $(CUDA),cuda,cpu))
BIN     := $(if $(SAN),$(B)/bin,bin)
LIBS    := libmicrohttpd libzmq msgpack openblas jansson libxxhash libzstd zlib libcrypto libisal hdf5-serial

VERSION  = $(shell sed -n 's/.*LCA_VERSION "\(.*\)"/\1/p' src/base/version.h)
CC      := gcc
CFLAGS  := -std=c11 -D_GNU_SOURCE -O2 -g -ffp-contract=off \
           -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS = -Isrc -I. $(shell pkg-config --cflags $(LIBS))
LDLIBS   = -Wl,--as-needed $(shell pkg-config --libs $(LIBS)) -lm -lpthread
ifdef SAN
CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

# CUDA=1: with the toolkit of CUDA_HOME (or where nvcc is), cuBLAS and cuDNN, for the cards
# of CUDA_ARCH: machine code for these, and PTX, which later ones compile when they start.
CUDA_HOME ?= $(patsubst %/bin/nvcc,%,$(realpath $(firstword $(shell command -v nvcc) /usr/local/cuda/bin/nvcc)))
CUDA_ARCH ?= sm_80 sm_90
newest    = $(lastword $(CUDA_ARCH:sm_%=compute_%))
cuda_flags = -DLCA_CUDA -isystem $(CUDA_HOME)/include
ifdef CUDA
CPPFLAGS += $(cuda_flags)
LDLIBS   += $(foreach d,lib64 lib,-L$(CUDA_HOME)/$d -Wl,-rpath,$(CUDA_HOME)/$d) -lcublas -lcudnn -lcudart -lstdc++
NVCC      = $(CUDA_HOME)/bin/nvcc -std=c++17 -O3 -Isrc -Xcompiler -Wall \
            $(foreach a,$(CUDA_ARCH),-gencode arch=$(a:sm_%=compute_%),code=$a) -gencode arch=$(newest),code=$(newest)
endif

sources := $(wildcard src/*/*.c src/backend/cpu/*.c $(if $(CUDA),src/backend/cuda/*.c src/backend/cuda/*.cu))
library := $(patsubst src/%,$(B)/%.o,$(basename $(filter-out src/tools/%,$(sources))))
tools   := $(patsubst src/tools/%,$(BIN)/%,$(basename $(wildcard src/tools/lca-*.c src/tools/lca-*.sh)))
units   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*-test.c))
# Fuzzers and what they reach of the library, by clang, which has libFuzzer; but for the
# kernels, which are gcc's.
Z       := .build/fuzz
ZFLAGS  := -std=c11 -D_GNU_SOURCE -O1 -g -ffp-contract=off -fno-omit-frame-pointer -Wall -Wextra \
           -fsanitize=address,undefined -fno-sanitize-recover=all -include tests/fuzz/clock.h
reached := $(patsubst src/%.c,$(Z)/%.o,$(foreach d,base frame link data nn plain run tap,$(wildcard src/$d/*.c)))
fuzzers := $(patsubst tests/fuzz/%.c,$(Z)/%,$(wildcard tests/fuzz/fuzz-*.c))
# What the tests of the live page need; chromium and npm's packages cannot always be had.
page_tests = .ci/install web && { command -v npm >/dev/null || .ci/install npm; } && \
             $(build) $(BIN)/web/index.html browser || echo "without page and browser their tests are skipped" >&2
# The CUDA device as tests have it.
E       := .build/emulated
EMULATE  = g++ -std=c++17 -O2 -g -Wall -Wextra -Wno-unknown-pragmas $(cuda_flags) -Isrc -Itests/emulated $(CPPFLAGS)
emulated := $(patsubst src/%,$(E)/%.o,$(basename $(wildcard src/backend/cuda/*.c src/backend/cuda/*.cu) src/backend/find.c)) $(E)/emulated.o
build   := $(MAKE) --no-print-directory -j$(shell nproc)

.PHONY: all packages programs units fuzzers cuda web browser demo picture watch test test-long soak chaos fuzz san \
        bench man install uninstall deb clean
all: packages
	@$(build) programs
packages:
	@.ci/install build
programs: $(tools)
units: $(units)
fuzzers: $(fuzzers)
# What tests have of CUDA where its toolkit is: the programs built with it, and such as need no card.
cuda: $(E)/bin/lca-grad $(E)/bin/lca-train $(E)/unit/cuda-eval-conv-test
	@$(MAKE) --no-print-directory CUDA=1 BIN=.build/cuda/bin .build/cuda/bin/lca-grad .build/cuda/bin/lca-train

demo: all
	@pipelines/demo.sh
picture: all
	@.ci/install plot
	@pipelines/demo.sh --iterations 220 --filter units,params,spread,moments --plot
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
	@.ci/install build test plot
	@.ci/install slurm || echo "without Slurm its tests are skipped" >&2
	@.ci/install film || echo "without ffmpeg no films are tested" >&2
	@$(page_tests)
	@$(build) programs units $(if $(SAN),,fuzzers $(if $(wildcard $(CUDA_HOME)/bin/nvcc),cuda))
	@tests/run.sh $(abspath $(BIN)) $(B)/unit
test-long: all
	@.ci/install test
	@$(page_tests)
	@$(build) units $(if $(wildcard $(CUDA_HOME)/bin/nvcc),cuda)
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
	@.ci/install man
	@for t in $(notdir $(tools)); do bin/$$t --man > docs/man/$$t.1; done
	@for p in frames networks; do docs/man/section5.sh $$p > docs/man/lca-$$p.5; done
# Programs, pipelines with their networks, manual pages, completions, and what it takes to
# write a filter in C: headers, the library and its pkg-config file.
PREFIX  := /usr/local
to       = $(DESTDIR)$(PREFIX)
install: programs
	@install -d $(to)/bin $(to)/lib/pkgconfig $(to)/share/lca $(to)/share/bash-completion/completions \
	    $(addprefix $(to)/share/man/man,1 5 7) $(to)/share/doc/lca
	@install $(tools) $(to)/bin
	@cp -r pipelines $(to)/share/lca && mv $(to)/share/lca/pipelines/nets $(to)/share/lca
	@for d in base data filter frame link nn; do install -Dm644 -t $(to)/include/lca/$$d src/$$d/*.h; done
	@install -Dm644 -t $(to)/include/lca/backend src/backend/backend.h && install -Dm644 -t $(to)/include/lca/proto proto/*.h
	@install -m644 $(B)/liblca.a $(to)/lib
	@sed 's#@PREFIX@#$(PREFIX)#; s#@VERSION@#$(VERSION)#; s#@LIBS@#$(LIBS)#' docs/packaging/lca.pc.in > $(to)/lib/pkgconfig/lca.pc
	@for s in 1 5 7; do install -m644 docs/man/*.$$s $(to)/share/man/man$$s; done
	@for t in $(tools); do $$t --completion > $(to)/share/bash-completion/completions/$$(basename $$t); done
	@[ ! -e $(BIN)/web/index.html ] || cp -r $(BIN)/web $(to)/share/lca
	@cd src/python && find lca_stream -name '*.py' -o -name py.typed | xargs -I{} install -Dm644 {} $(to)/share/lca/python/{}
	@install -m644 README.md LICENSE docs/*.md $(to)/share/doc/lca && cp -r docs/examples docs/gallery $(to)/share/doc/lca
uninstall:
	@rm -f $(addprefix $(to)/bin/,$(notdir $(tools))) $(addprefix $(to)/share/bash-completion/completions/,$(notdir $(tools)))
	@cd docs/man && for p in *.[157]; do rm -f $(to)/share/man/man$${p##*.}/$$p; done
	@rm -rf $(to)/share/lca $(to)/include/lca $(to)/share/doc/lca $(to)/lib/liblca.a $(to)/lib/pkgconfig/lca.pc
deb:
	@.ci/install build deb
	@docs/packaging/deb.sh
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
$(B)/%.o: src/%.cu Makefile
	@mkdir -p $(@D)
	@echo "nvcc $<"
	@$(NVCC) -MMD -MP -c -o $@ $<
$(patsubst src/%,$(B)/%.o,$(basename $(wildcard src/backend/cuda/*.c src/backend/cuda/*.cu))): | $(B)/found-cuda
$(B)/found-cuda:
	@mkdir -p $(@D)
	@[ -x "$(CUDA_HOME)/bin/nvcc" ] || { echo "CUDA=1 needs nvcc, of the CUDA toolkit: put it in PATH, or" \
	    "say where the toolkit is with CUDA_HOME=" >&2; exit 1; }
	@for h in cublas_v2.h cudnn.h; do echo "#include <$$h>" | $(CC) $(CPPFLAGS) -E -o /dev/null - 2>/dev/null || { \
	    echo "CUDA=1 needs cuBLAS and cuDNN with their headers: there is no $$h in $(CUDA_HOME)/include" >&2; exit 1; }; done
	@touch $@
$(BIN)/%: $(B)/tools/%.o $(B)/liblca.a
	@mkdir -p $(@D)
	@echo "ld  $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
$(BIN)/%: src/tools/%.sh
	@mkdir -p $(@D)
	@echo "sh  $@"
	@install -m 755 $< $@
$(B)/unit/%: tests/unit/%.c $(B)/liblca.a Makefile
	@mkdir -p $(@D)
	@echo "ld  $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(B)/liblca.a -lcmocka $(LDLIBS)

# The CUDA device without a card, for tests: kernels by the host's compiler, on the CPU.
$(E)/%.o: src/%.cu Makefile
	@mkdir -p $(@D)
	@echo "c++ $<"
	@$(EMULATE) -x c++ -MMD -MP -c -o $@ $<
$(E)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "cc  $<"
	@$(CC) $(CPPFLAGS) $(cuda_flags) $(CFLAGS) -MMD -MP -c -o $@ $<
$(E)/emulated.o: tests/emulated/emulated.cpp Makefile
	@mkdir -p $(@D)
	@echo "c++ $<"
	@$(EMULATE) -MMD -MP -c -o $@ $<
$(E)/bin/%: $(E)/tools/%.o $(emulated) $(B)/liblca.a
	@mkdir -p $(@D)
	@echo "ld  $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lstdc++
$(E)/unit/cuda-%: tests/unit/%.c $(emulated) $(B)/liblca.a Makefile
	@mkdir -p $(@D)
	@echo "ld  $@"
	@$(CC) $(CPPFLAGS) $(cuda_flags) $(CFLAGS) -MMD -MP -o $@ $< $(emulated) $(B)/liblca.a -lcmocka $(LDLIBS) -lstdc++

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
-include $(shell find $(B) $(Z) $(E) -name '*.d' 2>/dev/null)
