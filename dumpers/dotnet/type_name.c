#include "dumpers/dotnet/type_name.h"

/*
 * A bracket that follows another, or a comma between arguments, opens an argument with its
 * assembly; there, the first comma outside of inner brackets starts the assembly's name.
 */
enum { NESTING_MAX = 64 };

struct name_cursor {
	const char *name;
	size_t len, at;
	bool argument[NESTING_MAX]; /* of each open bracket: is it one argument's? */
	size_t open;
};

static bool opens_argument(const struct name_cursor *c)
{
	if (!c->at) return false;
	char before = c->name[c->at - 1];
	bool in_list = c->open && !c->argument[c->open - 1];
	return in_list && (before == '[' || before == ',');
}

static void skip_assembly(struct name_cursor *c)
{
	while (c->at < c->len && c->name[c->at] != ']')
		c->at++;
}

/* What to write for the byte at the cursor, 0 for nothing; moves on. */
static char take(struct name_cursor *c)
{
	char byte = c->name[c->at];
	if (byte == '[' && c->open < NESTING_MAX) {
		bool argument = opens_argument(c);
		c->argument[c->open++] = argument;
		c->at++;
		return argument ? 0 : byte;
	}
	if (byte == ']' && c->open) {
		c->at++;
		return c->argument[--c->open] ? 0 : byte;
	}
	if (byte == ',' && c->open && c->argument[c->open - 1]) {
		skip_assembly(c);
		return 0;
	}
	c->at++;
	return (unsigned char)byte < ' ' || byte == 0x7f ? '?' : byte;
}

int type_name_append(const char *name, size_t len, struct buf *ret, struct err *e)
{
	struct name_cursor c = {.name = name, .len = len};
	int r = 0;
	while (!r && c.at < len) {
		char byte = take(&c);
		if (byte) r = buf_append(ret, &byte, 1, e);
	}
	return r;
}
