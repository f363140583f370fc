#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void json_init(struct json *j, struct buf *out, bool indent)
{
	*j = (struct json){.out = out, .indent = indent};
}

static void fail(struct json *j, enum err_code code, const char *text)
{
	if (j->error) return;
	j->error = -(int)code;
	j->error_text = text;
}

static void put(struct json *j, const void *data, size_t len)
{
	int r;

	if (j->error) return;
	r = buf_append(j->out, data, len, NULL);
	if (r == -ERR_LIMIT)
		fail(j, ERR_LIMIT, "larger than its cap");
	else if (r < 0)
		fail(j, ERR_NO_MEMORY, "no memory");
}

static void puts_(struct json *j, const char *text)
{
	put(j, text, strlen(text));
}

static void new_line(struct json *j)
{
	if (!j->indent) return;
	puts_(j, "\n");
	for (int i = 0; i < j->depth; i++)
		puts_(j, "  ");
}

/* What stands before an element or a key. */
static void separate(struct json *j)
{
	if (j->need_comma[j->depth]) puts_(j, ",");
	if (j->depth > 0) new_line(j);
	j->need_comma[j->depth] = true;
}

/* What stands before any value; also where misuse is noticed. */
static void before_value(struct json *j)
{
	if (j->error) return;
	if (j->after_key) {
		j->after_key = false;
		return;
	}
	if (j->is_object[j->depth]) return fail(j, ERR_INTERNAL, "a member without a key");
	if (j->depth == 0 && j->need_comma[0]) return fail(j, ERR_INTERNAL, "a second document");
	separate(j);
}

static void open_level(struct json *j, bool is_object)
{
	before_value(j);
	if (j->error) return;
	if (j->depth + 1 >= (int)ARRAY_SIZE(j->need_comma))
		return fail(j, ERR_LIMIT, "nested too deep");
	puts_(j, is_object ? "{" : "[");
	j->depth++;
	j->need_comma[j->depth] = false;
	j->is_object[j->depth] = is_object;
}

static void close_level(struct json *j, bool is_object)
{
	bool had_elements;

	if (j->error) return;
	if (j->depth == 0 || j->is_object[j->depth] != is_object || j->after_key)
		return fail(j, ERR_INTERNAL, "an end that does not match");
	had_elements = j->need_comma[j->depth];
	j->depth--;
	if (had_elements) new_line(j);
	puts_(j, is_object ? "}" : "]");
}

void json_object(struct json *j)
{
	open_level(j, true);
}

void json_object_end(struct json *j)
{
	close_level(j, true);
}

void json_array(struct json *j)
{
	open_level(j, false);
}

void json_array_end(struct json *j)
{
	close_level(j, false);
}

void json_document(struct json *j, const char *text, size_t len)
{
	before_value(j);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (!j->error) put(j, text, len);
}

/*
 * The well-formed UTF-8 character at p (Unicode table 3-7): its length in bytes, or minus the
 * length of the ill-formed part that one U+FFFD replaces (the longest start of a character).
 */
static int utf8_length(const uint8_t *p, size_t len)
{
	uint8_t low = 0x80, high = 0xbf;
	int need;

	if (p[0] < 0x80) return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4) return -1;
	need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0) low = 0xa0;
	if (p[0] == 0xed) high = 0x9f;
	if (p[0] == 0xf0) low = 0x90;
	if (p[0] == 0xf4) high = 0x8f;
	for (int i = 1; i < need; i++) {
		if ((size_t)i >= len || p[i] < low || p[i] > high) return -i;
		low = 0x80;
		high = 0xbf;
	}
	return need;
}

/* C1 controls (U+0080 to U+009F) and DEL may stand in JSON, but a terminal obeys some of them. */
static bool is_control(const uint8_t *p, int length)
{
	return p[0] < 0x20 || p[0] == 0x7f || (length == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

static void put_escaped(struct json *j, const uint8_t *p, int length)
{
	static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char text[8];

	for (const char *n = names; *n; n += 2) {
		if (length == 1 && (uint8_t)n[0] == p[0]) {
			text[0] = '\\';
			text[1] = n[1];
			return put(j, text, 2);
		}
	}
	snprintf(text, sizeof(text), "\\u%04x", length == 2 ? p[1] : p[0]);
	puts_(j, text);
}

static void put_string(struct json *j, const char *value, size_t len)
{
	const uint8_t *p = (const uint8_t *)value;
	size_t plain = 0; /* start of the bytes not yet written that need no escape */

	puts_(j, "\"");
	for (size_t i = 0; i < len && !j->error;) {
		int length = utf8_length(p + i, len - i);
		bool ok = length > 0 && !is_control(p + i, length) && p[i] != '"' && p[i] != '\\';

		if (!ok) {
			put(j, p + plain, i - plain);
			if (length > 0)
				put_escaped(j, p + i, length);
			else
				puts_(j, "\xef\xbf\xbd");
		}
		i += (size_t)abs(length);
		if (!ok) plain = i;
	}
	if (len > plain) put(j, p + plain, len - plain);
	puts_(j, "\"");
}

void json_key(struct json *j, const char *key)
{
	if (j->error) return;
	if (!j->is_object[j->depth] || j->after_key)
		return fail(j, ERR_INTERNAL, "a key where none may stand");
	separate(j);
	put_string(j, key, strlen(key));
	puts_(j, j->indent ? ": " : ":");
	j->after_key = true;
}

void json_string_n(struct json *j, const char *value, size_t len)
{
	before_value(j);
	if (!j->error) put_string(j, value, len);
}

void json_string(struct json *j, const char *value)
{
	if (value)
		json_string_n(j, value, strlen(value));
	else
		json_null(j);
}

static void put_value(struct json *j, const char *text)
{
	before_value(j);
	puts_(j, text);
}

void json_uint(struct json *j, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_value(j, text);
}

void json_int(struct json *j, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	put_value(j, text);
}

void json_double(struct json *j, double value)
{
	char text[336]; /* -DBL_MAX has 309 digits before the point */

	if (!isfinite(value)) return json_null(j);
	snprintf(text, sizeof(text), "%.3f", value);
	put_value(j, text);
}

void json_hex(struct json *j, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "\"0x%llx\"", (unsigned long long)value);
	put_value(j, text);
}

void json_bool(struct json *j, bool value)
{
	put_value(j, value ? "true" : "false");
}

void json_null(struct json *j)
{
	put_value(j, "null");
}

void json_kv_string(struct json *j, const char *key, const char *value)
{
	json_key(j, key);
	json_string(j, value);
}

void json_kv_uint(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	json_uint(j, value);
}

void json_kv_int(struct json *j, const char *key, int64_t value)
{
	json_key(j, key);
	json_int(j, value);
}

void json_kv_hex(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	json_hex(j, value);
}

void json_kv_bool(struct json *j, const char *key, bool value)
{
	json_key(j, key);
	json_bool(j, value);
}

int json_finish(struct json *j, struct err *e)
{
	if (j->depth != 0) fail(j, ERR_INTERNAL, "an end is missing");
	if (!j->need_comma[0]) fail(j, ERR_INTERNAL, "nothing was written");
	puts_(j, "\n");
	if (j->error)
		return err_set(e, (enum err_code) - j->error, "JSON document: %s", j->error_text);
	/* The next line of JSON Lines may follow with the same writer. */
	j->need_comma[0] = false;
	return 0;
}
