# make          installs what is missing, builds bin/
# make demo     the main job on a generated data set
# make test     every test; the last line counts them
# make help     the rest
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
SHELL := bash

B       := .build/$(if $(SAN),san,$(if $(CUDA),cuda,cpu))
BIN     := $(if $(SAN),$(B)/bin,bin)
LIBS    := libzmq msgpack openblas jansson libxxhash libzstd zlib libcrypto libisal

CC      := gcc
CFLAGS  := -std=c11 -D_GNU_SOURCE -O2 -g -ffp-contract=off \
           -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS = -Isrc -I. $(shell pkg-config --cflags $(LIBS))
LDLIBS   = $(shell pkg-config --libs $(LIBS)) -lm -lpthread
ifdef SAN
CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

sources := $(wildcard src/*/*.c src/backend/cpu/*.c)
library := $(patsubst src/%.c,$(B)/%.o,$(filter-out src/tools/%,$(sources)))
tools   := $(patsubst src/tools/%.c,$(BIN)/%,$(wildcard src/tools/lca-*.c))
units   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*-test.c))

.PHONY: all packages programs units
all: packages
	@$(MAKE) --no-print-directory programs
packages:
	@.ci/install build
programs: $(tools)
units: $(units)

$(B)/liblca.a: $(library)
	rm -f $@ && ar rcs $@ $^
# Kernels may contract a*b+c: without FMA they lose a quarter of their speed.
$(B)/backend/cpu/%.o: CFLAGS += -O3 -ffp-contract=fast
$(B)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BIN)/%: $(B)/tools/%.o $(B)/liblca.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
$(B)/unit/%: tests/unit/%.c $(B)/liblca.a Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(B)/liblca.a -lcmocka $(LDLIBS)

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
