#include "exec/yaml.h"

#include <openssl/crypto.h>
#include <string.h>
#include <yaml.h>

struct anchor {
	char *name;                   /* owned */
	const struct yaml_node *node; /* of the tree */
};

struct parse {
	yaml_parser_t parser;
	const char *name;
	size_t nodes;
	struct anchor anchors[YAML_ANCHORS_MAX];
	size_t anchor_count;
};

static int malformed(struct parse *p, size_t line, const char *what, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s:%zu: %s", p->name, line + 1, what);
}

void yaml_node_free(struct yaml_node *node)
{
	while (node) {
		struct yaml_node *next = node->next;

		yaml_node_free(node->child); /* as deep as YAML_DEPTH_MAX */
		if (node->text) OPENSSL_cleanse(node->text, strlen(node->text));
		free(node->text);
		free(node->key);
		free(node);
		node = next;
	}
}

static int next_event(struct parse *p, yaml_event_t *ret, struct err *e)
{
	if (yaml_parser_parse(&p->parser, ret)) return 0;
	if (p->parser.error == YAML_MEMORY_ERROR)
		return err_set(e, ERR_NO_MEMORY, "no memory for %s", p->name);
	return malformed(p, p->parser.problem_mark.line,
			 p->parser.problem ? p->parser.problem : "malformed YAML", e);
}

/* "null" is told apart from "\"null\"" here, where the quotes are known. */
static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int no_memory(const struct parse *p, struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "no memory for %s", p->name);
}

static int count_node(struct parse *p, size_t line, int depth, struct err *e)
{
	if (++p->nodes > YAML_NODES_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d values", p->name, YAML_NODES_MAX);
	if (depth > YAML_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%s:%zu: more than %d levels", p->name, line + 1,
			       YAML_DEPTH_MAX);
	return 0;
}

static int new_node(struct parse *p, const yaml_event_t *event, int depth, struct yaml_node **ret,
		    struct err *e)
{
	struct yaml_node *node;
	size_t line = event->start_mark.line;
	int r = count_node(p, line, depth, e);

	if (r < 0) return r;
	if (event->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return malformed(p, line, "a text with a NUL byte", e);
	node = calloc(1, sizeof(*node));
	if (!node) return no_memory(p, e);
	node->line = line + 1;
	node->kind = event->type == YAML_SCALAR_EVENT           ? YAML_SCALAR
		     : event->type == YAML_SEQUENCE_START_EVENT ? YAML_SEQUENCE
								: YAML_MAPPING;
	node->plain =
	    node->kind == YAML_SCALAR && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (node->kind == YAML_SCALAR && !is_null(event)) {
		node->text = strdup((const char *)event->data.scalar.value);
		if (!node->text) {
			free(node);
			return no_memory(p, e);
		}
	}
	*ret = node;
	return 0;
}

/* --- anchors and aliases --- */

/* Once its value is whole: an alias within it would have no end. */
static int add_anchor(struct parse *p, const yaml_char_t *name, const struct yaml_node *node,
		      struct err *e)
{
	char *copy;

	if (!name) return 0;
	if (p->anchor_count == YAML_ANCHORS_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d anchors", p->name, YAML_ANCHORS_MAX);
	copy = strdup((const char *)name);
	if (!copy) return no_memory(p, e);
	p->anchors[p->anchor_count++] = (struct anchor){copy, node};
	return 0;
}

/* The last one of the name; NULL: none. */
static const struct yaml_node *find_anchor(const struct parse *p, const yaml_char_t *name)
{
	for (size_t i = p->anchor_count; i-- > 0;)
		if (strcmp(p->anchors[i].name, (const char *)name) == 0) return p->anchors[i].node;
	return NULL;
}

static int copy_texts(const struct parse *p, const struct yaml_node *from, struct yaml_node *to,
		      struct err *e)
{
	to->key = from->key ? strdup(from->key) : NULL;
	to->text = from->text ? strdup(from->text) : NULL;
	return (from->key && !to->key) || (from->text && !to->text) ? no_memory(p, e) : 0;
}

/* Of the node, without its siblings. */
static int copy_node(struct parse *p, const struct yaml_node *from, int depth,
		     struct yaml_node **ret, struct err *e)
{
	struct yaml_node *node, **tail;
	int r = count_node(p, from->line - 1, depth, e);

	if (r < 0) return r;
	node = calloc(1, sizeof(*node));
	if (!node) return no_memory(p, e);
	node->kind = from->kind;
	node->plain = from->plain;
	node->line = from->line;
	r = copy_texts(p, from, node, e);
	tail = &node->child;
	for (const struct yaml_node *n = from->child; r == 0 && n; n = n->next) {
		r = copy_node(p, n, depth + 1, tail, e);
		if (r == 0) tail = &(*tail)->next;
	}
	if (r < 0)
		yaml_node_free(node);
	else
		*ret = node;
	return r;
}

static int parse_alias(struct parse *p, const yaml_event_t *event, int depth,
		       struct yaml_node **ret, struct err *e)
{
	const struct yaml_node *node = find_anchor(p, event->data.alias.anchor);
	int r;

	if (!node)
		return malformed(p, event->start_mark.line, "an alias without its anchor before it",
				 e);
	r = copy_node(p, node, depth, ret, e);
	if (r < 0) return r;
	free((*ret)->key);
	(*ret)->key = NULL;
	(*ret)->next = NULL;
	return 0;
}

/* Copies what is under other keys than the mapping has. */
static int merge_mapping(struct parse *p, struct yaml_node *into, const struct yaml_node *from,
			 int depth, struct err *e)
{
	struct yaml_node **tail = &into->child;

	if (from->kind != YAML_MAPPING)
		return malformed(p, from->line - 1, "\"<<\" of what is no mapping", e);
	while (*tail)
		tail = &(*tail)->next;
	for (const struct yaml_node *n = from->child; n; n = n->next) {
		int r = yaml_get(into, n->key) ? 0 : copy_node(p, n, depth + 1, tail, e);

		if (r < 0) return r;
		if (*tail) tail = &(*tail)->next;
	}
	return 0;
}

/* "<<: *base" or "<<: [*first, *second]" */
static int merge(struct parse *p, struct yaml_node *mapping, int depth, struct err *e)
{
	const struct yaml_node *base = yaml_get(mapping, "<<");
	int r = 0;

	if (!base) return 0;
	if (base->kind != YAML_SEQUENCE) return merge_mapping(p, mapping, base, depth, e);
	for (const struct yaml_node *n = base->child; r == 0 && n; n = n->next)
		r = merge_mapping(p, mapping, n, depth, e);
	return r;
}

/* --- values --- */

static int parse_children(struct parse *p, struct yaml_node *parent, int depth, struct err *e);

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* event starts the value. */
static int parse_value(struct parse *p, const yaml_event_t *event, int depth,
		       struct yaml_node **ret, struct err *e)
{
	struct yaml_node *node = NULL;
	int r;

	if (event->type == YAML_ALIAS_EVENT) return parse_alias(p, event, depth, ret, e);
	r = new_node(p, event, depth, &node, e);
	if (r < 0) return r;
	if (node->kind != YAML_SCALAR) r = parse_children(p, node, depth, e);
	if (r == 0 && node->kind == YAML_MAPPING) r = merge(p, node, depth, e);
	if (r == 0) r = add_anchor(p, anchor_of(event), node, e);
	if (r < 0)
		yaml_node_free(node);
	else
		*ret = node;
	return r;
}

/* Takes a mapping's key from the event. */
static int parse_key(struct parse *p, yaml_event_t *event, char **ret, struct err *e)
{
	if (event->type != YAML_SCALAR_EVENT)
		return malformed(p, event->start_mark.line, "a key that is no text", e);
	*ret = strdup((const char *)event->data.scalar.value);
	return *ret ? 0 : no_memory(p, e);
}

static int parse_children(struct parse *p, struct yaml_node *parent, int depth, struct err *e)
{
	struct yaml_node **tail = &parent->child;

	for (;;) {
		_cleanup_free_ char *key = NULL;
		struct yaml_node *child = NULL;
		yaml_event_t event;
		int r = next_event(p, &event, e);

		if (r < 0) return r;
		if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		if (parent->kind == YAML_MAPPING) {
			r = parse_key(p, &event, &key, e);
			yaml_event_delete(&event);
			if (r == 0) r = next_event(p, &event, e);
			if (r < 0) return r;
		}
		r = parse_value(p, &event, depth + 1, &child, e);
		yaml_event_delete(&event);
		if (r < 0 || !child) return r;
		child->key = STEAL_PTR(key);
		*tail = child;
		tail = &child->next;
	}
}

static int parse_document(struct parse *p, struct yaml_node **ret, struct err *e)
{
	for (;;) {
		yaml_event_type_t type;
		yaml_event_t event;
		int r = next_event(p, &event, e);

		if (r < 0) return r;
		type = event.type;
		if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
		    type != YAML_STREAM_END_EVENT) {
			r = parse_value(p, &event, 1, ret, e);
			yaml_event_delete(&event);
			return r;
		}
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT) {
			*ret = NULL;
			return 0;
		}
	}
}

int yaml_parse(const void *text, size_t len, const char *name, struct yaml_node **ret,
	       struct err *e)
{
	struct parse p = {.name = name};
	int r;

	if (len > YAML_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d bytes", name, YAML_TEXT_MAX);
	if (!yaml_parser_initialize(&p.parser))
		return err_set(e, ERR_NO_MEMORY, "no memory for %s", name);
	yaml_parser_set_input_string(&p.parser, text, len);
	r = parse_document(&p, ret, e);
	yaml_parser_delete(&p.parser);
	for (size_t i = 0; i < p.anchor_count; i++)
		free(p.anchors[i].name);
	return r;
}

const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
	if (!node || node->kind != YAML_MAPPING) return NULL;
	for (const struct yaml_node *n = node->child; n; n = n->next)
		if (strcmp(n->key, key) == 0) return n;
	return NULL;
}

const char *yaml_text(const struct yaml_node *node, const char *key)
{
	const struct yaml_node *n = yaml_get(node, key);

	return n && n->kind == YAML_SCALAR ? n->text : NULL;
}

bool yaml_true(const struct yaml_node *node, const char *key)
{
	static const char *const words[] = {"true", "True", "TRUE", "yes", "Yes",
					    "YES",  "on",   "On",   "ON"};
	const struct yaml_node *n = yaml_get(node, key);

	for (size_t i = 0; n && n->plain && n->text && i < ARRAY_SIZE(words); i++)
		if (strcmp(n->text, words[i]) == 0) return true;
	return false;
}
