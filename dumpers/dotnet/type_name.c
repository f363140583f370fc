#include "dumpers/dotnet/type_name.h"

#include <string.h>

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

/* A parameter list. An angle bracket behind a count of arguments, "`1", opens these; any other is
 * part of a name, as compilers make them. */
struct parameters {
	const char *text;
	size_t len, at;
	bool arguments[NESTING_MAX]; /* of each open angle bracket */
	size_t open;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return c && !strchr("<>[](),&* ", c);
}

static bool follows_count(const struct parameters *p)
{
	size_t i = p->at;
	while (i && is_digit(p->text[i - 1]))
		i--;
	return i && i < p->at && p->text[i - 1] == '`';
}

static bool is_primitive(const char *word, size_t len)
{
	static const char *const names[] = {"Boolean", "Char",   "SByte",  "Byte",   "Int16",
					    "UInt16",  "Int32",  "UInt32", "Int64",  "UInt64",
					    "Single",  "Double", "IntPtr", "UIntPtr"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == len && !memcmp(names[i], word, len)) return true;
	}
	return false;
}

static int take_word(struct parameters *p, struct buf *ret, struct err *e)
{
	const char *word = p->text + p->at;
	size_t len = 0;
	while (p->at + len < p->len && is_name(word[len]))
		len++;
	bool starts = !p->at || strchr("<[(, ", p->text[p->at - 1]);
	bool ends = p->at + len == p->len || word[len] != '<';
	p->at += len;
	int r = starts && ends && is_primitive(word, len) ? buf_puts(ret, "System.", e) : 0;
	return r ? r : buf_append(ret, word, len, e);
}

static char take_bracket(struct parameters *p)
{
	char byte = p->text[p->at];
	if (byte == '<' && p->open < NESTING_MAX) {
		bool arguments = follows_count(p);
		p->arguments[p->open++] = arguments;
		if (arguments) byte = '[';
	} else if (byte == '>' && p->open && p->arguments[--p->open]) {
		byte = ']';
	}
	p->at++;
	return byte;
}

static int append_parameters(const char *text, size_t len, struct buf *ret, struct err *e)
{
	static const char by_reference[] = " ByRef";
	const size_t by_reference_len = sizeof(by_reference) - 1;
	struct parameters p = {.text = text, .len = len};
	int r = 0;
	while (!r && p.at < len) {
		if (is_name(text[p.at])) {
			r = take_word(&p, ret, e);
		} else if (len - p.at >= by_reference_len &&
			   !memcmp(text + p.at, by_reference, by_reference_len)) {
			p.at += by_reference_len;
			r = buf_puts(ret, "&", e);
		} else {
			char byte = take_bracket(&p);
			r = buf_append(ret, &byte, 1, e);
		}
	}
	return r;
}

int method_name_append(const char *name, size_t len, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf plain = BUF_INIT(len + 1);
	int r = type_name_append(name, len, &plain, e);
	if (r || !plain.len) return r;
	const char *list = memchr(plain.data, '(', plain.len);
	size_t head = list ? (size_t)(list - plain.data) : plain.len;
	r = buf_append(ret, plain.data, head, e);
	return r || !list ? r : append_parameters(list, plain.len - head, ret, e);
}
