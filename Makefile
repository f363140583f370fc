# podsnap: one Makefile for everything. `make help` lists the targets.
#
# Four flavours of the same sources: app (podsnap), probe (static, small), test (ASan + UBSan),
# fuzz (clang's fuzzer).
# Each folder becomes one archive per flavour, so that the include arrows are link arrows too.

BUILD   ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

WARN  := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
         -Wundef -Wvla -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers
STD   := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DPODSNAP_VERSION='"$(VERSION)"' -I.
HARD  := -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2
# OpenSSL 3 marks the low-level SHA-256 deprecated; the probe needs it (EVP is 4 MB static).
CPPFLAGS_ALL := $(STD) -DOPENSSL_SUPPRESS_DEPRECATED $(CPPFLAGS)

CFLAGS_app   := -O2 -g $(WARN) $(HARD) -fPIE -pthread $(CFLAGS)
CFLAGS_probe := -Os -g1 $(WARN) -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffunction-sections \
                -fdata-sections -fno-pie -pthread $(CFLAGS)
CFLAGS_test  := -O1 -g $(WARN) -fno-omit-frame-pointer -fsanitize=address,undefined \
                -fno-sanitize-recover=undefined -pthread $(CFLAGS)
CC_fuzz       := clang
CFLAGS_fuzz  := -O1 -g $(WARN) -fno-omit-frame-pointer -pthread $(CFLAGS) \
                -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LDFLAGS_app   := -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)
LDFLAGS_probe := -static -Wl,--gc-sections -pthread $(LDFLAGS)
LDFLAGS_test  := -fsanitize=address,undefined -pthread $(LDFLAGS)
LDFLAGS_fuzz  := -fsanitize=fuzzer,address,undefined -pthread $(LDFLAGS)

# --- modules, in link order: users before what they use ----------------------------------------
DUMPERS := dumpers/core dumpers/stack dumpers/snapshot dumpers/runtime dumpers/proc
# dumpers/dotnet is not the probe's: it runs the data-access library at the user's side.
MODULES := collector exec upload dumpers/dotnet dumpers/locks $(DUMPERS) bundle net base
PROBE_MODULES := $(DUMPERS) bundle base

# What each module may link to; scripts/lint-includes holds the include arrows to the same.
USES_base             := base
USES_net              := net base
USES_bundle           := bundle base
USES_dumpers/proc     := dumpers/proc base
USES_dumpers/snapshot := dumpers/snapshot dumpers/proc base
USES_dumpers/stack    := dumpers/stack dumpers/snapshot dumpers/proc base
USES_dumpers/core     := dumpers/core dumpers/stack dumpers/snapshot dumpers/proc base
USES_dumpers/runtime  := dumpers/runtime dumpers/stack dumpers/snapshot dumpers/proc base
USES_dumpers/locks    := dumpers/locks base
USES_dumpers/dotnet   := dumpers/dotnet dumpers/locks dumpers/runtime dumpers/stack dumpers/snapshot dumpers/proc base
USES_exec             := exec bundle net base
USES_upload           := upload net base
USES_collector        := $(MODULES)

LIBS_base     := -lcrypto
LIBS_net      := -lcurl -lwslay
LIBS_bundle   := -larchive -lzstd
LIBS_dumpers  := -lunwind-x86_64 -lelf -lz -llzma
LIBS_exec     := -lcjson -lyaml
LIBS_upload   := -lcjson
LIBS_app      := $(LIBS_net) $(LIBS_exec) $(LIBS_bundle) $(LIBS_dumpers) $(LIBS_base)
LIBS_probe    := -larchive -lzstd -lunwind-x86_64 -lunwind -lelf -lz -llzma -lcrypto

# The probe's own sources in collector/ (the rest of collector is podsnap's).
PROBE_ONLY    := $(sort $(wildcard collector/probe_*.c))
# Sources of collector/ that both programs link: what answers a verb beside the target.
PROBE_SHARED  := $(wildcard collector/local_*.c) collector/options.c

srcs = $(sort $(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(BUILD)/$(2)/%.o,$(call srcs,$(1)))
archive = $(BUILD)/$(2)/$(1).a
archives = $(foreach m,$(1),$(call archive,$(m),$(2)))

# V=1 prints whole commands.
Q    := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

# For the parts that make runs by itself: all cores, unless the caller chose a number.
submake = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all help
## make                 podsnap and the probe, in $(BUILD) (build/)
all: $(BUILD)/podsnap $(BUILD)/podsnap-probe
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

# A test or a fuzzer has a main of its own.
NOT_IN_app  := $(PROBE_ONLY)
NOT_IN_test := $(PROBE_ONLY) collector/main.c
NOT_IN_fuzz := $(NOT_IN_test)

define module_rules
$(BUILD)/$(2)/$(1).a: $$(filter-out $$(NOT_IN_$(2):%.c=$$(BUILD)/$(2)/%.o),$$(call objs,$(1),$(2)))
	@mkdir -p $$(@D) && rm -f $$@
	@$$(AR) rcs $$@ $$^
endef
$(foreach f,app test fuzz,$(foreach m,$(MODULES),$(eval $(call module_rules,$(m),$(f)))))
$(foreach m,$(PROBE_MODULES),$(eval $(call module_rules,$(m),probe)))

define compile_rule
$(BUILD)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(or $$(CC_$(1)),$$(CC)) $$(CPPFLAGS_ALL) $$(CFLAGS_$(1)) -MMD -MP -c $$< -o $$@
endef
$(foreach f,app probe test fuzz,$(eval $(call compile_rule,$(f))))

# --- programs ------------------------------------------------------------------------------------
PROBE_OBJS = $(patsubst %.c,$(BUILD)/probe/%.o,$(PROBE_ONLY) $(PROBE_SHARED))
# With its symbols, for a debugger and scripts/lint-probe.
$(BUILD)/podsnap-probe.full: $(PROBE_OBJS) $(call archives,$(PROBE_MODULES),probe)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_probe) -o $@ $^ $(LIBS_probe)
$(BUILD)/podsnap-probe: $(BUILD)/podsnap-probe.full
	$(Q)strip -o $@ $<
	@size=$$(stat -c %s $@); [ $$size -le 3145728 ] || { echo "$@: $$size bytes, over 3 MiB" >&2; exit 1; }

$(BUILD)/app/embedded_probe.o: $(BUILD)/podsnap-probe collector/embedded_probe.S
	$(Q)$(CC) -DPROBE_FILE='"$(BUILD)/podsnap-probe"' -c collector/embedded_probe.S -o $@
$(BUILD)/podsnap: $(call archives,$(MODULES),app) $(BUILD)/app/embedded_probe.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_app) -o $@ $(BUILD)/app/embedded_probe.o $(call archives,$(MODULES),app) $(LIBS_app)

# --- unit tests: tests/unit/MODULE/test_*.c, one program each ------------------------------------
define unit_rules
$(BUILD)/test/tests/unit/$(1)/%: $(BUILD)/test/tests/unit/$(1)/%.o $(call archives,$(USES_$(1)),test)
	$$(call say,LD,$$@)
	$$(Q)$(CC) $(LDFLAGS_test) -o $$@ $$^ -lcmocka $(LIBS_app)
endef
$(foreach m,$(MODULES),$(eval $(call unit_rules,$(m))))
UNIT_TESTS := $(patsubst %.c,$(BUILD)/test/%,$(sort $(foreach m,$(MODULES),$(wildcard tests/unit/$(m)/test_*.c))))

# Programs that pytest drives: of tests/unit/MODULE (sanitized), of tests/component (as shipped).
HELPERS := $(addprefix $(BUILD)/test/tests/unit/,upload/s3_cat exec/test_push exec/test_session exec/test_inside) \
           $(patsubst %.c,$(BUILD)/app/%,$(wildcard tests/component/*.c))
$(BUILD)/app/tests/component/%: $(BUILD)/app/tests/component/%.o $(call archives,$(MODULES),app)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_app) -o $@ $^ $(LIBS_app)

# --- fuzz targets: tests/fuzz/fuzz_*.c, replayed over their corpus, or run by clang's fuzzer ------
FUZZERS := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 30
REPLAYS := $(FUZZERS:%=$(BUILD)/test/tests/fuzz/%)
$(BUILD)/test/tests/fuzz/%: $(BUILD)/test/tests/fuzz/%.o $(BUILD)/test/tests/fuzz/replay.o \
		$(call archives,$(MODULES),test)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_test) -o $@ $^ $(LIBS_app)
$(BUILD)/fuzz/tests/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(call archives,$(MODULES),fuzz)
	$(call say,LD,$@)
	$(Q)$(CC_fuzz) $(LDFLAGS_fuzz) -o $@ $^ $(LIBS_app)

# --- programs to capture: tests/targets/*.c, dynamic, and static for images without libraries ------
TARGET_NAMES := $(basename $(notdir $(wildcard tests/targets/*.c)))
TARGETS := $(TARGET_NAMES:%=$(BUILD)/targets/%) $(TARGET_NAMES:%=$(BUILD)/targets/static/%)
CFLAGS_target := -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -fno-omit-frame-pointer -pthread
define target_rule
$(BUILD)/targets/$(1)%: tests/targets/%.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(CC) $$(CFLAGS_target) $(2) -MMD -MP -MF $(BUILD)/targets/$(1)$$*.d $$< -o $$@ -lm
endef
$(eval $(call target_rule,static/,-static))
$(eval $(call target_rule,,))
# Unwound by call frame information alone, every call with a frame.
$(BUILD)/targets/unwound $(BUILD)/targets/static/unwound: \
	CFLAGS_target += -fomit-frame-pointer -fno-optimize-sibling-calls

# --- tests -----------------------------------------------------------------------------------------
.PHONY: unit-tests targets test-programs test test-unit test-component test-cluster test-store
unit-tests: $(UNIT_TESTS) $(REPLAYS)
targets: $(TARGETS)
test-programs: all targets unit-tests $(HELPERS)

## make test            every suite; installs what it needs first (NO_INSTALL=1: does not)
test: test-deps
	+@$(submake) -k test-programs || echo "the build failed; what it lacks is counted as failed" >&2
	@scripts/run-suites $(BUILD) unit component cluster store
## make test-unit       the unit tests and the replayed fuzz corpus; installs nothing
test-unit:
	+@$(submake) -k unit-tests || echo "the build failed; what it lacks is counted as failed" >&2
	@scripts/run-suites $(BUILD) unit
## make test-component  podsnap on real processes
## make test-cluster    podsnap on pods of a real Kubernetes
## make test-store      podsnap and a real object store
test-component test-cluster test-store: test-%: test-deps
	+@$(submake) all targets $(HELPERS)
	@scripts/run-suites $(BUILD) $*

.PHONY: fuzz soak bench
## make fuzz            each fuzzer for FUZZ_SECONDS (30)
fuzz:
	+@$(submake) $(FUZZERS:%=$(BUILD)/fuzz/tests/fuzz/%)
	@scripts/run-fuzzers $(BUILD) $(FUZZ_SECONDS) $(FUZZERS)
## make soak            the component and cluster suites with ten times the interruptions: hours
soak: test-deps
	+@$(submake) all targets $(HELPERS)
	@PODSNAP_LONG=1 scripts/run-suites $(BUILD) component cluster
## make bench           ratios against other tools, measured in the same run
bench: test-deps
	+@$(submake) all targets $(HELPERS)
	@PODSNAP_BUILD=$(abspath $(BUILD)) tests/bench/run

# --- checks of the sources -------------------------------------------------------------------------
.PHONY: lint print-uses
## make lint            include rules, layout, clang-tidy, cppcheck, shellcheck, the probe's symbols
lint:
	@scripts/deps lint
	+@$(submake) $(BUILD)/podsnap-probe
	@BUILD=$(BUILD) scripts/lint $(CPPFLAGS_ALL)
# MODULE: WHAT IT USES, for scripts/lint-includes.
print-uses:
	@$(foreach m,$(MODULES),echo '$(m): $(USES_$(m))';)

# --- the machine -----------------------------------------------------------------------------------
.PHONY: deps test-deps install demo demo-cluster clean
## make deps            installs what the build needs
deps:
	@scripts/deps build
## make test-deps       installs what the tests need
test-deps:
	@scripts/deps test

## make install         to $(DESTDIR)$(PREFIX) (/usr/local)
BINDIR := $(DESTDIR)$(PREFIX)/bin
MANDIR := $(DESTDIR)$(PREFIX)/share/man/man1
COMPLETIONDIR := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
install: all
	install -d $(BINDIR)
	install -m 755 $(BUILD)/podsnap $(BUILD)/podsnap-probe $(BINDIR)
	ln -sf podsnap $(BINDIR)/kubectl-podsnap
	$(if $(wildcard doc/podsnap.1),install -D -m 644 doc/podsnap.1 $(MANDIR)/podsnap.1)
	$(if $(wildcard doc/podsnap.bash),install -D -m 644 doc/podsnap.bash $(COMPLETIONDIR)/podsnap)

## make demo            a deadlock on this machine, and what podsnap says of it
demo: deps
	+@$(submake) all $(BUILD)/targets/deadlock
	@BUILD=$(BUILD) scripts/demo
## make demo-cluster    the same in a pod of a real Kubernetes
demo-cluster: test-deps
	+@$(submake) all targets
	@BUILD=$(BUILD) PODSNAP_BUILD=$(abspath $(BUILD)) scripts/demo-cluster

clean:
	rm -rf $(BUILD)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
