#include "exec/yaml.h"

#include <openssl/crypto.h>
#include <string.h>
#include <yaml.h>

struct parse {
	yaml_parser_t parser;
	const char *name;
	size_t nodes;
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

static int new_node(struct parse *p, const yaml_event_t *event, struct yaml_node **ret,
		    struct err *e)
{
	struct yaml_node *node;
	size_t line = event->start_mark.line;

	if (++p->nodes > YAML_NODES_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d values", p->name, YAML_NODES_MAX);
	if (event->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return malformed(p, line, "a text with a NUL byte", e);
	node = calloc(1, sizeof(*node));
	if (!node) return err_set(e, ERR_NO_MEMORY, "no memory for %s", p->name);
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
			return err_set(e, ERR_NO_MEMORY, "no memory for %s", p->name);
		}
	}
	*ret = node;
	return 0;
}

static int parse_children(struct parse *p, struct yaml_node *parent, int depth, struct err *e);

/* event starts the value. */
static int parse_value(struct parse *p, const yaml_event_t *event, int depth,
		       struct yaml_node **ret, struct err *e)
{
	struct yaml_node *node = NULL;
	int r;

	if (event->type == YAML_ALIAS_EVENT)
		return malformed(p, event->start_mark.line, "aliases are not supported", e);
	if (depth > YAML_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%s:%zu: more than %d levels", p->name,
			       event->start_mark.line + 1, YAML_DEPTH_MAX);
	r = new_node(p, event, &node, e);
	if (r < 0) return r;
	if (node->kind != YAML_SCALAR) r = parse_children(p, node, depth, e);
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
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for %s", p->name);
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
