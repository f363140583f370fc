/*
 * A streaming JSON writer (RFC 8259) into a buf. Commas and escapes are its own; bytes that are not
 * UTF-8 become U+FFFD; controls, also DEL and C1, are escaped (a terminal obeys them). Errors
 * stick: write on, and ask json_finish once. Nesting is at most 32. Misuse (a member without key,
 * an end that does not match, a second document before json_finish) is -ERR_INTERNAL; after a
 * json_finish that went well the next document, a line of JSON Lines, may follow. 64-bit addresses
 * and sizes that may pass 2^53 go out as hex strings by json_hex.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

struct json {
	struct buf *out; /* borrowed */
	int depth;
	bool need_comma[33];
	bool is_object[33]; /* what each level is; level 0 is the document */
	bool indent;        /* two spaces a level; else compact */
	bool after_key;
	int error;              /* first failure, negative code */
	const char *error_text; /* what it was, static */
};

void json_init(struct json *j, struct buf *out, bool indent);
void json_object(struct json *j);     /* { */
void json_object_end(struct json *j); /* } */
void json_array(struct json *j);      /* [ */
void json_array_end(struct json *j);  /* ] */
void json_key(struct json *j, const char *key);
void json_string(struct json *j, const char *value); /* NULL writes null */
void json_string_n(struct json *j, const char *value, size_t len);
void json_uint(struct json *j, uint64_t value);
void json_int(struct json *j, int64_t value);
void json_double(struct json *j, double value); /* three decimals; not finite: null */
void json_hex(struct json *j, uint64_t value);  /* "0x..." */
void json_bool(struct json *j, bool value);
void json_null(struct json *j);
/* A value that is a whole JSON document already, as it is but for blanks at its end; not checked.
 */
void json_document(struct json *j, const char *text, size_t len);
/* key and value in one. */
void json_kv_string(struct json *j, const char *key, const char *value);
void json_kv_uint(struct json *j, const char *key, uint64_t value);
void json_kv_int(struct json *j, const char *key, int64_t value);
void json_kv_hex(struct json *j, const char *key, uint64_t value);
void json_kv_bool(struct json *j, const char *key, bool value);
/* 0, or the first error (with depth not back at 0: -ERR_INTERNAL). Appends a newline. */
int json_finish(struct json *j, struct err *e);

#endif
