# tally: make help lists the targets.
#
# One non-recursive Makefile. A .c file dropped in a folder below is built into that folder's
# archive; a test dropped in tests/unit or tests/prop is built and run.

VARIANT ?= release
BUILD ?= build/$(VARIANT)
CC_fuzz := clang-14
CC := $(or $(CC_$(VARIANT)),gcc)
AR := gcc-ar
DESTDIR ?=
PREFIX ?= /usr/local

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIC
CFLAGS_release := -O2 -g $(HARDEN)
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -fPIC
CFLAGS_fuzz := -O2 -g -w -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread -fPIC
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
LDFLAGS_tsan := -fsanitize=thread

# A short line a step; make V=1 shows the commands.
say = $(if $(V),,@printf '  %-3s %s\n' $(1) '$(patsubst $(BUILD)/%,%,$@)';)

CFLAGS := -std=gnu11 -D_GNU_SOURCE -pthread -I. -I$(BUILD) -MMD -MP $(WARN) $(CFLAGS_$(VARIANT)) $(EXTRA_CFLAGS)
LDFLAGS := -pthread $(LDFLAGS_$(VARIANT))

# Folders, one archive each. LINK_x: what stands below x, in link order.
FOLDERS := base model wire net http store registry client import otlp mcp ingest rollup query queryapi queryweb ingestapi
DIR_base := schema/base
DIR_model := schema/model
DIR_wire := schema/wire
DIR_net := schema/net
DIR_http := schema/net
DIR_store := schema/store
DIR_registry := schema/registry
DIR_client := ingest/client
DIR_import := ingest/import
DIR_otlp := ingest/otlp
DIR_mcp := ingest/mcp
DIR_ingest := ingest
DIR_rollup := rollup
DIR_query := query
DIR_queryapi := query/api
DIR_queryweb := query/web
DIR_ingestapi := ingest/api

LINK_base := base
LINK_model := model base
LINK_wire := wire model base
LINK_net := net wire model base
LINK_http := http net wire model base
LINK_store := store model base
LINK_registry := registry store model base
LINK_client := client net wire model base
LINK_import := import wire model base
LINK_otlp := otlp wire model base
LINK_mcp := mcp wire model base
LINK_ingest := ingest registry store net wire model base
LINK_rollup := rollup registry store wire model base
LINK_query := query registry store net wire model base
LINK_all := ingest rollup query registry store import otlp mcp client net wire model base

LIBS_base := -lsodium -lxxhash -lroaring -linih
LIBS_wire := -lmsgpackc -lz -ljansson
LIBS_net := -lnng
LIBS_http := -lmicrohttpd
LIBS_otlp := -lprotobuf-c
LIBS_store := -lrocksdb
LIBS = $(foreach f,$(1),$(LIBS_$(f))) -lm

# schema/net is two archives: what speaks HTTP is linked by the bridge alone.
SRC_http := $(wildcard schema/net/http_*.c)
SRC_net := $(filter-out $(SRC_http),$(wildcard schema/net/*.c))
src = $(or $(SRC_$(1)),$(wildcard $(DIR_$(1))/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/example.c,$(call src,$(1))))
lib = $(foreach f,$(1),$(BUILD)/lib$(f).a)

PROGRAM_LINK_tallyd := $(LINK_all)
PROGRAM_LINK_tally := import client net wire model base
# Of query, the bridge takes lru alone: without -lrocksdb more does not link.
PROGRAM_LINK_tally-http := ingestapi otlp mcp queryapi queryweb query http net wire model base
PROGRAMS := $(foreach p,tallyd tally tally-http,$(if $(wildcard deploy/$(p).c),$(p)))

.PHONY: all
all: $(foreach f,$(FOLDERS),$(if $(call src,$(f)),$(BUILD)/lib$(f).a)) $(addprefix $(BUILD)/,$(PROGRAMS)) \
	$(BUILD)/libtally.a $(if $(wildcard ingest/client/example.c),$(BUILD)/example)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS) $(if $(filter schema/%,$<),-Wconversion -Wno-sign-conversion) -c $< -o $@

# OTLP's messages are compiled from our own description of what is read of them.
OTLP_PB := $(BUILD)/ingest/otlp/otlp.pb-c
$(OTLP_PB).c $(OTLP_PB).h &: ingest/otlp/otlp.proto
	@mkdir -p $(@D)
	$(call say,PB)protoc-c --c_out=$(BUILD) $<
$(OTLP_PB).o: $(OTLP_PB).c
	$(call say,CC)$(CC) $(CFLAGS) -c $< -o $@
$(BUILD)/ingest/otlp/otlp_pb.o: $(OTLP_PB).h
$(BUILD)/libotlp.a: $(OTLP_PB).o

define archive
$(BUILD)/lib$(1).a: $(call obj,$(1))
	@rm -f $$@
	$$(call say,AR)$(AR) rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call archive,$(f))))

# What a main needs beside its archives.
PARTS_tallyd := $(addprefix $(BUILD)/deploy/,accept.o opening.o orders.o dump.o dump_raw.o dump_text.o derived.o exit_code.o \
	offline.o ready.o roles.o stats_door.o tallyd_settings.o)
PARTS_tally-http := $(addprefix $(BUILD)/deploy/,exit_code.o metrics.o price_file.o) $(BUILD)/query/web/table.o
PARTS_tally := $(patsubst %.c,$(BUILD)/%.o,$(wildcard deploy/cmd/*.c)) $(BUILD)/deploy/price_file.o

# What the assembler includes is no dependency the compiler sees.
$(BUILD)/query/api/document.o: query/api/schemas.json
$(BUILD)/schema/model/price.o: schema/model/prices.txt

# The dashboard, once for all variants: built by npm where there is npm with Node 20 or later,
# WEB=prebuilt takes query/web/dist of a release, WEB=none leaves it out.
HAS_NPM := $(shell command -v npm >/dev/null && \
	node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' && echo yes)
WEB ?= $(if $(HAS_NPM),npm,none)
WEB_BUILD := $(patsubst build/%,build,$(BUILD))/web
WEB_SOURCES := $(shell find query/web/src -type f) $(addprefix query/web/,index.html package.json \
	vite.config.ts tsconfig.json)
DIST_npm := $(WEB_BUILD)/dist
DIST_prebuilt := query/web/dist
NPM := npm --no-audit --no-fund --no-update-notifier --loglevel=error

$(WEB_BUILD)/node_modules/.package-lock.json: query/web/package-lock.json
	@mkdir -p $(WEB_BUILD)
	@cp query/web/package.json query/web/package-lock.json $(WEB_BUILD)
	$(call say,NPM)cd $(WEB_BUILD) && $(NPM) ci >npm.log 2>&1 || \
		{ tail -20 npm.log; echo 'make WEB=none leaves the dashboard out' >&2; exit 1; }
	@touch $@

$(DIST_npm)/index.html: $(WEB_SOURCES) $(WEB_BUILD)/node_modules/.package-lock.json
	@rm -rf $(WEB_BUILD)/src && cp -r query/web/src $(filter-out query/web/src/%,$(filter query/web/%,$^)) $(WEB_BUILD)
	$(call say,WEB)cd $(WEB_BUILD) && $(NPM) run build >build.log 2>&1 || { cat build.log; exit 1; }
	@touch $@

$(DIST_prebuilt)/index.html:
	@echo 'WEB=prebuilt: there is no $(DIST_prebuilt); a release bundle has it' >&2; exit 1

$(BUILD)/query/web/table.S: query/web/embed.sh $(addsuffix /index.html,$(DIST_$(WEB)))
	@mkdir -p $(@D)
	@[ -n '$(DIST_$(WEB))' ] || echo 'the dashboard is not built in: WEB=$(WEB), see make help' >&2
	$(call say,WEB)query/web/embed.sh '$(or $(DIST_$(WEB)),$(WEB_BUILD)/none)' $@

$(BUILD)/query/web/table.o: $(BUILD)/query/web/table.S
	$(call say,AS)$(CC) -c $< -o $@

define program
$(BUILD)/$(1): $(BUILD)/deploy/$(1).o $(PARTS_$(1)) $(call lib,$(PROGRAM_LINK_$(1)))
	$$(call say,LD)$(CC) $(LDFLAGS) -o $$@ $$^ $(call LIBS,$(PROGRAM_LINK_$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# libtally: one archive and one header; the example shows the link line.
# Without the server's side of schema/net: a gateway keeps its own accept, readv and shutdown.
$(BUILD)/libtally.a: $(filter-out %/rep_server.o %/peers.o %/inflow.o,$(foreach f,$(LINK_client),$(call obj,$(f))))
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BUILD)/example: ingest/client/example.c ingest/client/tally.h $(BUILD)/libtally.a
	$(call say,LD)$(CC) -Wall -Wextra -pthread $(LDFLAGS) -fPIE -Iingest/client -o $@ $< $(BUILD)/libtally.a \
		$(call LIBS,$(LINK_client))

# Unit tests: tests/unit/<folder>_<file>_test.c links only what <folder> stands on.
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*_test.c))
PROP := $(patsubst tests/prop/%.c,%,$(wildcard tests/prop/*_prop.c))
TESTLIB_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))

define unit
$(BUILD)/tests/$(1): $(BUILD)/tests/unit/$(1).o $(call lib,$(LINK_$(firstword $(subst _, ,$(1)))))
	$$(call say,LD)$(CC) $(LDFLAGS) -o $$@ $$^ $(call LIBS,$(LINK_$(firstword $(subst _, ,$(1))))) -lcmocka
endef
$(foreach t,$(UNIT),$(eval $(call unit,$(t))))

define prop
$(BUILD)/tests/$(1): $(BUILD)/tests/prop/$(1).o $(TESTLIB_OBJ) $(call lib,$(LINK_all))
	$$(call say,LD)$(CC) $(LDFLAGS) -o $$@ $$^ $(call LIBS,$(LINK_all)) -lcmocka
endef
$(foreach t,$(PROP),$(eval $(call prop,$(t))))

# Fuzz targets: tests/fuzz/<name>_fuzz.c. libFuzzer is their main with VARIANT=fuzz; otherwise it is
# replay.c, which runs the committed corpus.
FUZZ := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))

# What speaks HTTP is in an archive of its own.
FUZZ_HTTP := http url cookie
fuzz_link = $(if $(filter $(1),$(FUZZ_HTTP)),$(LINK_http),$(LINK_all))

define fuzz
$(BUILD)/fuzz/$(1): $(BUILD)/tests/fuzz/$(1)_fuzz.o $(call lib,$(call fuzz_link,$(1)))
	@mkdir -p $$(@D)
	$$(call say,LD)$(CC) $(LDFLAGS) -o $$@ $$^ $(call LIBS,$(call fuzz_link,$(1)))
$(BUILD)/tests/$(1)_replay: $(BUILD)/tests/fuzz/$(1)_fuzz.o $(BUILD)/tests/fuzz/replay.o $(call lib,$(call fuzz_link,$(1)))
	$$(call say,LD)$(CC) $(LDFLAGS) -o $$@ $$^ $(call LIBS,$(call fuzz_link,$(1)))
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz,$(f))))

# Our reader's verdicts as text, which tests/fuzz/js_differential.py compares with JavaScript's.
$(BUILD)/tests/verdicts: $(BUILD)/tests/fuzz/verdicts.o $(call lib,$(LINK_wire))
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $^ $(call LIBS,$(LINK_wire))

.PHONY: fuzzers
fuzzers: $(addprefix $(BUILD)/fuzz/,$(FUZZ))

# Benchmarks: bench/*_bench.c are programs, the other files of bench/ go into each of them.
BENCH := $(patsubst bench/%.c,%,$(wildcard bench/*_bench.c))
BENCHLIB_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_bench.c,$(wildcard bench/*.c)))

# They speak to a daemon, but for the one that is a daemon's stages.
$(foreach b,$(BENCH),$(eval BENCH_LINK_$(b) := http $(LINK_client)))
BENCH_LINK_stage_bench := http $(LINK_all)

define bench
$(BUILD)/bench/$(1): $(BUILD)/bench/$(1).o $(BENCHLIB_OBJ) $(call lib,$(BENCH_LINK_$(1)))
	$$(call say,LD)$(CC) $(LDFLAGS) -o $$@ $$^ $(call LIBS,$(BENCH_LINK_$(1)))
endef
$(foreach b,$(BENCH),$(eval $(call bench,$(b))))

# Preload libraries that make the machine misbehave.
FAULTS := $(patsubst tests/lib/fault/%.c,%,$(wildcard tests/lib/fault/*.c))
$(BUILD)/tests/%.so: tests/lib/fault/%.c
	@mkdir -p $(@D)
	$(call say,SO)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O1 -fPIC -shared -o $@ $< -ldl

.PHONY: tests
tests: all $(addprefix $(BUILD)/tests/,$(UNIT) $(PROP) $(FUZZ:=_replay) verdicts $(FAULTS:=.so))

PYTHON := /usr/bin/python3

.PHONY: packages packages-test packages-check
packages:
	@deploy/install-packages.sh build
packages-test:
	@deploy/install-packages.sh build test
	@deploy/install-packages.sh browser || echo 'NO CHROMIUM: the browser tests will be skipped' >&2
packages-check:
	@deploy/install-packages.sh build test check

# Every test: make test [T=part of a name] [SEED=n]
.PHONY: test
test: packages-test
	@$(MAKE) --no-print-directory -j2 tests
	@BUILD=$(BUILD) SEED=$(SEED) $(PYTHON) -B tests/run.py $(T)

# Hostile peers and overload at full length: make test-hostile [BUDGET=s] [SEED=n]
.PHONY: test-hostile
test-hostile: packages-test
	@$(MAKE) --no-print-directory -j2 tests
	@BUILD=$(BUILD) BUDGET=$(or $(BUDGET),900) SEED=$(SEED) $(PYTHON) -B tests/e2e/overload_test.py
	@BUILD=$(BUILD) BUDGET=$(or $(BUDGET),900) SEED=$(SEED) $(PYTHON) -B tests/e2e/http_hostile_test.py
	@BUILD=$(BUILD) BUDGET=$(or $(BUDGET),900) SEED=$(SEED) $(PYTHON) -B tests/e2e/hostile_test.py

# The same under sanitizers: unit and property tests, and the daemons the scripts start. What a library
# wrote is told by its stack, so the history that stacks come from is long.
.PHONY: asan tsan
asan: packages-test
	@LSAN_OPTIONS="suppressions=tests/lsan.supp print_suppressions=0 $(LSAN_OPTIONS)" \
		$(MAKE) --no-print-directory VARIANT=asan test
tsan: packages-test
	@TSAN_OPTIONS="history_size=7 suppressions=tests/tsan.supp $(TSAN_OPTIONS)" \
		$(MAKE) --no-print-directory VARIANT=tsan test

# Fuzzing: make fuzz lists the targets; make fuzz F=name|all [BUDGET=seconds] [SEED=n]
FUZZ_BUILD := $(patsubst %/release,%,$(BUILD))/fuzz
.PHONY: fuzz
ifeq ($(F),)
fuzz:
	@echo 'make fuzz F=name or F=all [BUDGET=seconds] [SEED=n]; the targets:' $(FUZZ)
	@echo 'and F=js: 100,000 frames read by JavaScript, too (node and npm)'
else ifeq ($(F),js)
fuzz: $(BUILD)/tests/verdicts
	@BUILD=$(BUILD) SEED=$(SEED) $(PYTHON) -B tests/fuzz/js_differential.py
else
fuzz: packages-check
	@$(MAKE) --no-print-directory -j2 VARIANT=fuzz BUILD=$(FUZZ_BUILD) fuzzers
	@BUILD=$(FUZZ_BUILD) BUDGET=$(BUDGET) SEED=$(SEED) $(PYTHON) -B tests/fuzz/campaign.py $(F)
endif

# The long form of a suite: make test-truth [BUDGET=seconds] [SEED=n]
BUDGET_crash := 1800
BUDGET_grid := 1800
BUDGET_damage := 600
BUDGET_truth := 1800
BUDGET_tenants := 600
LONG := test-crash test-grid test-damage test-truth test-tenants
.PHONY: $(LONG)
$(LONG): test-%: packages-test
	@$(MAKE) --no-print-directory -j2 tests
	@BUILD=$(BUILD) SEED=$(SEED) BUDGET=$(or $(BUDGET),$(BUDGET_$*)) $(PYTHON) -B tests/run.py tests/$*/

# Variants of the product with one fault each: make test-plants [P=words] [N=how many]
.PHONY: test-plants
test-plants: packages-test
	@$(MAKE) --no-print-directory -j2 tests
	@BUILD=$(BUILD) P="$(P)" N=$(N) $(PYTHON) -B tests/plants/run.py

# Every long form, one report: make gate [BUDGET=seconds in all] [SEED=n]
.PHONY: gate
gate:
	@BUILD=$(BUILD) SEED=$(SEED) BUDGET=$(or $(BUDGET),43200) $(PYTHON) -B tests/gate.py

# The HTTP API under tools from npm and Debian that others wrote.
.PHONY: test-http
test-http: packages-test
	@deploy/install-packages.sh http
	@$(MAKE) --no-print-directory -j2 tests
	@BUILD=$(BUILD) SEED=$(SEED) BUDGET=$(or $(BUDGET),600) $(PYTHON) -B tests/run.py e2e/http

.PHONY: demo
demo: packages
	@$(MAKE) --no-print-directory -j2 all
	@BUILD=$(BUILD) deploy/demo.sh

.PHONY: bench bench-peers
bench: packages
	@$(MAKE) --no-print-directory -j2 all $(addprefix $(BUILD)/bench/,$(BENCH))
	@BUILD=$(BUILD) bench/report.sh

# Beside the stores that a user would pick; packages from npm, under the build directory.
bench-peers: packages
	@$(MAKE) --no-print-directory -j2 all $(addprefix $(BUILD)/bench/,ingest_bench export_bench ask_bench)
	@BUILD=$(BUILD) bench/peers/run.sh

SOURCES = $(shell git ls-files '*.c' '*.h')

.PHONY: format
format: packages-check
	clang-format-14 -i $(SOURCES)

.PHONY: check
check: packages-check includes symbols floats
	clang-format-14 --dry-run --Werror $(SOURCES)
	@$(MAKE) --no-print-directory -j2 EXTRA_CFLAGS=-Werror BUILD=build/check tests
	@$(MAKE) --no-print-directory test

# Layers and the one place of each package (STYLE: who may use whom).
.PHONY: includes symbols floats
floats: all
	@BUILD=$(BUILD) tests/truth/floats.sh
includes:
	@tests/includes.sh
symbols: all
	@BUILD=$(BUILD) tests/symbols.sh

.PHONY: install
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib
	install $(addprefix $(BUILD)/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	install -m 644 ingest/client/tally.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/libtally.a $(DESTDIR)$(PREFIX)/lib

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@echo 'make            build tallyd, tally and libtally'
	@echo 'make demo       the product at work on simulated gateways [DEMO_SECONDS=n]'
	@echo 'make test       every test [T=part of a name] [SEED=n]'
	@echo 'make fuzz       fuzz the decoders [F=name|all] [BUDGET=seconds] [SEED=n]'
	@echo 'make test-plants planted faults, and the suite that fails on each [P=words] [N=n]'
	@echo 'make test-crash test-grid test-damage test-truth test-tenants'
	@echo '                the long form of each folder [BUDGET=seconds] [SEED=n]'
	@echo 'make gate       every long form, one report [BUDGET=seconds in all] [SEED=n]'
	@echo 'make test-hostile hostile peers and overload at full length [BUDGET=seconds] [SEED=n]'
	@echo 'make test-http  the HTTP API, also under linters from npm and Debian'
	@echo 'make bench      speed, as ratios measured in one run'
	@echo 'make bench-peers the same work by ClickHouse and DuckDB (node and npm) [BENCH_EVENTS=n]'
	@echo 'make asan tsan  the tests under sanitizers'
	@echo 'make WEB=...    the dashboard: npm builds it, prebuilt takes query/web/dist, none leaves it out'
	@echo 'make check      what every change must pass'
	@echo 'make install    into DESTDIR and PREFIX ($(PREFIX))'

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
