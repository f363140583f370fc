#include "base/json.h"
#include "dumpers/dotnet/node.h"

enum { INDENT = 2 };

/* A terminal obeys control characters, C1 ones (UTF-8: c2 80 to c2 9f) too. */
static int put_escaped(const char *text, size_t len, struct buf *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
		if (c == '"' || c == '\\')
			r = buf_printf(ret, e, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			r = buf_printf(ret, e, "\\u%04x", c);
		else if (c1)
			r = buf_printf(ret, e, "\\u%04x", (unsigned char)text[++i]);
		else
			r = buf_append(ret, &c, 1, e);
	}
	return r;
}

static int put_quoted(const struct node *n, char quote, struct buf *ret, struct err *e)
{
	int r = buf_append(ret, &quote, 1, e);
	if (!r) r = put_escaped(n->text, n->text_len, ret, e);
	if (!r) r = buf_append(ret, &quote, 1, e);
	return r || !n->cut ? r : buf_puts(ret, "...", e);
}

static int put_object(const struct node *n, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "0x%llx %s", (unsigned long long)n->number, n->type);
	if (!r && (n->shape == SHAPE_ITEMS || n->shape == SHAPE_ENTRIES))
		r = buf_printf(ret, e, " (%llu)", (unsigned long long)n->total);
	return r;
}

/* The part of a value that stands in its own line. */
static int put_head(const struct node *n, struct buf *ret, struct err *e)
{
	switch (n->kind) {
	case NODE_NULL:
		return buf_puts(ret, "null", e);
	case NODE_BOOL:
		return buf_puts(ret, n->number ? "true" : "false", e);
	case NODE_NUMBER:
	case NODE_TEXT:
		return buf_puts(ret, n->text, e);
	case NODE_CHAR:
		return put_quoted(n, '\'', ret, e);
	case NODE_STRING:
		return put_quoted(n, '"', ret, e);
	case NODE_ENUM:
		return buf_printf(ret, e, "%s (%lld)", n->text, (long long)n->number);
	case NODE_POINTER:
		return buf_printf(ret, e, "0x%llx", (unsigned long long)n->number);
	case NODE_STRUCT:
		return buf_puts(ret, n->type ? n->type : "struct", e);
	case NODE_OBJECT:
		return put_object(n, ret, e);
	case NODE_UNKNOWN:
		return buf_printf(ret, e, "? (%s)", n->text ? n->text : "not readable");
	}
	return err_set(e, ERR_INTERNAL, "no such value");
}

static int put_children(const struct node *n, int indent, struct buf *ret, struct err *e);

/* After a label: the value's head, and what is inside below it. */
static int put_value(const struct node *n, int indent, struct buf *ret, struct err *e)
{
	int r = put_head(n, ret, e);
	if (!r && n->shape == SHAPE_BOXED && n->child_count) {
		r = buf_puts(ret, " = ", e);
		return r ? r : put_value(n->children[0], indent, ret, e);
	}
	if (!r) r = buf_puts(ret, "\n", e);
	return r ? r : put_children(n, indent + INDENT, ret, e);
}

static int put_entries(const struct node *n, int indent, struct buf *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i + 1 < n->child_count; i += 2) {
		const struct node *key = n->children[i];
		r = buf_printf(ret, e, "%*s[", indent, "");
		if (!r) r = put_head(key, ret, e);
		if (!r) r = buf_puts(ret, "] = ", e);
		if (!r) r = put_value(n->children[i + 1], indent, ret, e);
	}
	return r;
}

static int put_named(const struct node *n, int indent, struct buf *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i < n->child_count; i++) {
		const struct node *child = n->children[i];
		if (n->shape == SHAPE_ITEMS)
			r = buf_printf(ret, e, "%*s[%zu] = ", indent, "", i);
		else
			r = buf_printf(ret, e, "%*s%s%s = ", indent, "",
				       child->is_static ? "static " : "",
				       child->name ? child->name : "?");
		if (!r) r = put_value(child, indent, ret, e);
	}
	return r;
}

static int put_children(const struct node *n, int indent, struct buf *ret, struct err *e)
{
	int r = n->shape == SHAPE_ENTRIES ? put_entries(n, indent, ret, e)
					  : put_named(n, indent, ret, e);
	if (!r && n->cut && n->kind != NODE_STRING)
		r = buf_printf(ret, e, "%*s... (--limit)\n", indent, "");
	return r;
}

int node_print_text(const struct node *n, struct buf *ret, struct err *e)
{
	int r = 0;
	if (n->kind != NODE_OBJECT && n->kind != NODE_STRUCT && n->type)
		r = buf_printf(ret, e, "%s = ", n->type);
	else if (n->size)
		r = buf_printf(ret, e, "%llu bytes at ", (unsigned long long)n->size);
	return r ? r : put_value(n, 0, ret, e);
}

int node_plain(const struct node *n, struct buf *ret, struct err *e)
{
	switch (n->kind) {
	case NODE_CHAR:
	case NODE_STRING:
	case NODE_ENUM:
		return buf_append(ret, n->text, n->text_len, e);
	case NODE_OBJECT:
		if (n->shape == SHAPE_BOXED && n->child_count)
			return node_plain(n->children[0], ret, e);
		return buf_printf(ret, e, "0x%llx", (unsigned long long)n->number);
	default:
		return put_head(n, ret, e);
	}
}

static bool has_statics(const struct node *n)
{
	for (size_t i = 0; i < n->child_count; i++) {
		if (n->children[i]->is_static) return true;
	}
	return false;
}

static void json_fields(struct json *j, const char *key, const struct node *n, bool is_static)
{
	json_key(j, key);
	json_object(j);
	for (size_t i = 0; i < n->child_count; i++) {
		const struct node *child = n->children[i];
		if (child->is_static != is_static) continue;
		json_key(j, child->name ? child->name : "?");
		node_json(j, child);
	}
	json_object_end(j);
}

static void json_sequence(struct json *j, const struct node *n)
{
	bool entries = n->shape == SHAPE_ENTRIES;
	json_kv_uint(j, "count", n->total);
	json_key(j, entries ? "entries" : "items");
	json_array(j);
	for (size_t i = 0; i + (entries ? 1 : 0) < n->child_count; i += entries ? 2 : 1) {
		if (entries) json_array(j);
		node_json(j, n->children[i]);
		if (entries) node_json(j, n->children[i + 1]);
		if (entries) json_array_end(j);
	}
	json_array_end(j);
}

static void json_inside(struct json *j, const struct node *n)
{
	switch (n->shape) {
	case SHAPE_NONE:
		return;
	case SHAPE_FIELDS:
		json_fields(j, "fields", n, false);
		if (has_statics(n)) json_fields(j, "statics", n, true);
		return;
	case SHAPE_ITEMS:
	case SHAPE_ENTRIES:
		json_sequence(j, n);
		return;
	case SHAPE_BOXED:
		json_key(j, "value");
		if (n->child_count)
			node_json(j, n->children[0]);
		else
			json_null(j);
		return;
	}
}

static void json_object_node(struct json *j, const struct node *n)
{
	json_object(j);
	if (n->kind == NODE_STRUCT) {
		json_kv_string(j, "struct", n->type);
	} else {
		json_kv_string(j, "type", n->type);
		json_kv_hex(j, "address", (uint64_t)n->number);
		if (n->size) json_kv_uint(j, "size", n->size);
	}
	json_inside(j, n);
	json_object_end(j);
}

void node_json(struct json *j, const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		json_null(j);
		return;
	case NODE_BOOL:
		json_bool(j, n->number != 0);
		return;
	case NODE_NUMBER:
		json_document(j, n->text, n->text_len);
		return;
	case NODE_TEXT:
	case NODE_CHAR:
	case NODE_STRING:
		json_string_n(j, n->text, n->text_len);
		return;
	case NODE_ENUM:
		json_object(j);
		json_kv_string(j, "enum", n->text);
		json_kv_int(j, "value", n->number);
		json_object_end(j);
		return;
	case NODE_POINTER:
		json_hex(j, (uint64_t)n->number);
		return;
	case NODE_STRUCT:
	case NODE_OBJECT:
		json_object_node(j, n);
		return;
	case NODE_UNKNOWN:
		json_object(j);
		json_kv_string(j, "unknown", n->text ? n->text : "not readable");
		json_object_end(j);
		return;
	}
}
