# podsnap: one Makefile for everything. `make help` lists the targets.
#
# Three flavours of the same sources: app (podsnap), probe (static, small), test (ASan + UBSan).
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
LDFLAGS_app   := -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)
LDFLAGS_probe := -static -no-pie -Wl,--gc-sections,-s -pthread $(LDFLAGS)
LDFLAGS_test  := -fsanitize=address,undefined -pthread $(LDFLAGS)

# --- modules, in link order: users before what they use ----------------------------------------
DUMPERS := dumpers/core dumpers/stack dumpers/snapshot dumpers/runtime dumpers/proc
MODULES := collector exec upload $(DUMPERS) bundle net base
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
LIBS_probe    := -larchive -lzstd -lunwind-x86_64 -lelf -lz -llzma -lcrypto

# The probe's own sources in collector/ (the rest of collector is podsnap's).
PROBE_ONLY    := $(sort $(wildcard collector/probe_*.c))
# Sources of collector/ that both programs link: what answers a verb beside the target.
PROBE_SHARED  := $(wildcard collector/local_*.c) collector/options.c

srcs = $(sort $(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(BUILD)/$(2)/%.o,$(call srcs,$(1)))
archive = $(BUILD)/$(2)/$(1).a
archives = $(foreach m,$(1),$(call archive,$(m),$(2)))

.PHONY: all help
all: $(BUILD)/podsnap $(BUILD)/podsnap-probe
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

define module_rules
$(BUILD)/$(2)/$(1).a: $$(filter-out $$(patsubst %.c,$$(BUILD)/$(2)/%.o,$$(PROBE_ONLY)),$$(call objs,$(1),$(2)))
	@mkdir -p $$(@D) && rm -f $$@
	@$$(AR) rcs $$@ $$^
endef
$(foreach f,app test,$(foreach m,$(MODULES),$(eval $(call module_rules,$(m),$(f)))))
$(foreach m,$(PROBE_MODULES),$(eval $(call module_rules,$(m),probe)))

define compile_rule
$(BUILD)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS_ALL) $$(CFLAGS_$(1)) -MMD -MP -c $$< -o $$@
endef
$(foreach f,app probe test,$(eval $(call compile_rule,$(f))))

# --- programs ------------------------------------------------------------------------------------
PROBE_OBJS = $(patsubst %.c,$(BUILD)/probe/%.o,$(PROBE_ONLY) $(PROBE_SHARED))
$(BUILD)/podsnap-probe: $(PROBE_OBJS) $(call archives,$(PROBE_MODULES),probe)
	$(CC) $(LDFLAGS_probe) -o $@ $^ $(LIBS_probe)
	@size=$$(stat -c %s $@); [ $$size -le 3145728 ] || { echo "$@: $$size bytes, over 3 MiB" >&2; exit 1; }

$(BUILD)/app/embedded_probe.o: $(BUILD)/podsnap-probe collector/embedded_probe.S
	$(CC) -DPROBE_FILE='"$(BUILD)/podsnap-probe"' -c collector/embedded_probe.S -o $@
$(BUILD)/podsnap: $(call archives,$(MODULES),app) $(BUILD)/app/embedded_probe.o
	$(CC) $(LDFLAGS_app) -o $@ $(BUILD)/app/embedded_probe.o $(call archives,$(MODULES),app) $(LIBS_app)

# --- unit tests: tests/unit/MODULE/test_*.c, one program each ------------------------------------
define unit_rules
$(BUILD)/test/tests/unit/$(1)/%: $(BUILD)/test/tests/unit/$(1)/%.o $(call archives,$(USES_$(1)),test)
	$(CC) $(LDFLAGS_test) -o $$@ $$^ -lcmocka $(LIBS_app)
endef
$(foreach m,$(MODULES),$(eval $(call unit_rules,$(m))))
UNIT_TESTS := $(patsubst %.c,$(BUILD)/test/%,$(sort $(foreach m,$(MODULES),$(wildcard tests/unit/$(m)/test_*.c))))

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
