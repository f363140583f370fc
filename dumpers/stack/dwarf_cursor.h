/* A bounded cursor over DWARF bytes: reads past the end give 0 and set bad. */
#ifndef DUMPERS_STACK_DWARF_CURSOR_H
#define DUMPERS_STACK_DWARF_CURSOR_H

#include "base/util.h"

#include <string.h>

struct dwarf_cursor {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct dwarf_cursor dwarf_cursor_of(const uint8_t *data, size_t len)
{
	return (struct dwarf_cursor){.at = data, .end = data + len};
}
static inline size_t dwarf_left(const struct dwarf_cursor *c)
{
	return (size_t)(c->end - c->at);
}
static inline void dwarf_skip(struct dwarf_cursor *c, uint64_t n)
{
	if (n > dwarf_left(c)) {
		c->bad = true;
		n = dwarf_left(c);
	}
	c->at += n;
}
/* Little-endian, size 1 to 8 bytes. */
static inline uint64_t dwarf_fixed(struct dwarf_cursor *c, size_t size)
{
	uint64_t value = 0;

	if (size > dwarf_left(c)) {
		c->bad = true;
		c->at = c->end;
		return 0;
	}
	memcpy(&value, c->at, size);
	c->at += size;
	return value;
}
/* LEB128 (DWARF 5 section 7.6); longer than 64 bits sets bad. */
static inline uint64_t dwarf_leb(struct dwarf_cursor *c, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)dwarf_fixed(c, 1);
		if (shift >= 64) {
			c->bad = true;
			return 0;
		}
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && !c->bad);
	if (is_signed && byte & 0x40 && shift < 64) value |= ~(uint64_t)0 << shift;
	return value;
}
static inline uint64_t dwarf_uleb(struct dwarf_cursor *c)
{
	return dwarf_leb(c, false);
}
static inline int64_t dwarf_sleb(struct dwarf_cursor *c)
{
	return (int64_t)dwarf_leb(c, true);
}

#endif
