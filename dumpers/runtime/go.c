/*
 * Go: the linker writes the section .go.buildinfo (1.13 and later; debug/buildinfo describes it:
 * 14 bytes of magic, pointer size, flags; flag 2: at offset 32 a varint length and the version)
 * and a note of the owner "Go" with its build id.
 */
#include "dumpers/runtime/runtime.h"

#include <string.h>

enum { BUILDINFO_HEADER = 32, FLAGS_AT = 15, FLAG_INLINE_STRINGS = 2 };

/* "go1.19.8", where the section holds it; before 1.18 it is a pointer, which is not followed. */
static void take_version(struct runtime_facts *facts, uint64_t offset, uint64_t size,
			 struct runtime_guess *ret)
{
	unsigned char head[BUILDINFO_HEADER + RUNTIME_VERSION_MAX] = {0};
	size_t len = (size_t)MIN(size, sizeof(head)), n;

	if (len <= BUILDINFO_HEADER || blob_read_at(facts->exe_file, offset, head, len, NULL) < 0 ||
	    memcmp(head, "\xff Go buildinf:", 14) != 0 || !(head[FLAGS_AT] & FLAG_INLINE_STRINGS))
		return;
	/* One byte of varint: a longer version than 127 bytes is no version. */
	n = head[BUILDINFO_HEADER];
	if (n == 0 || n >= sizeof(ret->version) || n > len - BUILDINFO_HEADER - 1) return;
	memcpy(ret->version, head + BUILDINFO_HEADER + 1, n);
	ret->version[n] = '\0';
	for (char *c = ret->version; *c; c++) {
		if (*c < ' ' || *c > '~') *c = '?';
	}
}

static void detect(struct runtime_facts *facts, struct runtime_guess *ret)
{
	uint64_t offset, size;
	struct elf_id id;

	if (facts_exe_section(facts, ".go.buildinfo", &offset, &size)) {
		runtime_say(ret, RUNTIME_PROGRAM, "%s has the section .go.buildinfo", facts->exe);
		take_version(facts, offset, size, ret);
	} else if (facts_exe_file(facts) && elf_id_of_blob(facts->exe_file, &id, NULL) == 0 &&
		   id.has_go_note) {
		runtime_say(ret, RUNTIME_PROGRAM, "%s has a Go build id", facts->exe);
	}
}

const struct runtime runtime_go = {RUNTIME_GO, "go", detect};
