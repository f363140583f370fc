/*
 * A value as it is shown: what value.c, object.c and collections.c make of memory, and node_print.c
 * prints as text and as JSON.
 */
#ifndef DUMPERS_DOTNET_NODE_H
#define DUMPERS_DOTNET_NODE_H

#include "base/buf.h"

enum node_kind {
	NODE_NULL,
	NODE_BOOL,
	NODE_NUMBER, /* text is one of JSON's numbers */
	NODE_TEXT,   /* its text as it is, a string in JSON: 64-bit integers, NaN, times */
	NODE_CHAR,
	NODE_STRING,  /* text is UTF-8 of any content */
	NODE_ENUM,    /* text: names; number: what is in memory */
	NODE_POINTER, /* number */
	NODE_STRUCT,
	NODE_OBJECT,  /* at number */
	NODE_UNKNOWN, /* text: why */
};
enum node_shape {
	SHAPE_NONE,    /* what is inside is not shown */
	SHAPE_FIELDS,  /* children have names */
	SHAPE_ITEMS,   /* children are a sequence */
	SHAPE_ENTRIES, /* children are key, value, key, value */
	SHAPE_BOXED,   /* one child: the value */
};

struct node {
	enum node_kind kind;
	enum node_shape shape;
	const char *name; /* of the field; borrowed, NULL: none */
	const char *type; /* borrowed, NULL: not of interest */
	bool is_static;
	bool cut;        /* of a string or a collection more is there */
	char *text;      /* owned, or NULL */
	size_t text_len; /* bytes; a string may hold NUL */
	int64_t number;
	uint64_t size;          /* NODE_OBJECT: bytes */
	uint64_t total;         /* ITEMS, ENTRIES: how many there are, shown or not */
	struct node **children; /* owned */
	size_t child_count, child_cap;
};

struct node *node_new(void);    /* NULL without memory; NODE_NULL */
void node_free(struct node *n); /* NULL-safe */
static inline void node_free_ptr(struct node **n)
{
	node_free(*n);
}
#define _cleanup_node_ _cleanup_(node_free_ptr)
/* Adds an empty child. */
int node_add(struct node *parent, struct node **ret, struct err *e);
/* Copies the text. */
int node_set_text(struct node *n, enum node_kind kind, const char *text, size_t len, struct err *e);
int node_set_printf(struct node *n, enum node_kind kind, struct err *e, const char *fmt, ...)
    _printf_(4, 5);

/* Text of several lines, each ended. Of the top node its type, address and size come first. */
int node_print_text(const struct node *n, struct buf *ret, struct err *e);
/* The value alone on one line: a string without quotes, an enum's names; what --where compares. */
int node_plain(const struct node *n, struct buf *ret, struct err *e);

struct json;
/*
 * As a value: numbers of up to 32 bits, booleans, strings and null as they are, 64-bit integers,
 * decimals and times as strings; {"enum","value"}; {"struct","fields"}; {"type","address"} of an
 * object, with "size" and what is shown of it: "fields", "statics", "items" or "entries" ([[key,
 * value]...]) and "count", "value" of a boxed one; {"unknown": why}.
 */
void node_json(struct json *j, const struct node *n);

#endif
