/*
 * YAML (and so JSON) as a tree of strings, from libyaml's events: capped in depth and number, no
 * tags, no types. An alias is a copy of what its anchor names, and counts as such; the merge key
 * "<<" adds what a mapping does not have itself (https://yaml.org/type/merge.html), as kubectl
 * reads them. For kubeconfig files.
 */
#ifndef EXEC_YAML_H
#define EXEC_YAML_H

#include "base/err.h"

enum {
	YAML_DEPTH_MAX = 64,
	YAML_NODES_MAX = 1 << 16,
	YAML_TEXT_MAX = 1 << 20,
	YAML_ANCHORS_MAX = 256,
};

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	char *text; /* of a scalar; without NUL bytes */
	char *key;  /* of a mapping's value, else NULL */
	bool plain; /* a scalar without quotes: it may be a number or a truth value */
	size_t line;
	struct yaml_node *child; /* first, of a sequence or mapping */
	struct yaml_node *next;  /* sibling */
};

/* Parses the first document; *ret is NULL if there is none. name: of the file, for errors, which
 * are "NAME:LINE: ..." and hold no text of the file. -ERR_CORRUPT, -ERR_LIMIT, -ERR_NO_MEMORY. */
int yaml_parse(const void *text, size_t len, const char *name, struct yaml_node **ret,
	       struct err *e);
void yaml_node_free(struct yaml_node *node); /* NULL-safe */
static inline void yaml_free_ptr(struct yaml_node **node)
{
	yaml_node_free(*node);
}
#define _cleanup_yaml_ _cleanup_(yaml_free_ptr)

/* The value of a key; NULL if node is NULL, no mapping, or without it. */
const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);
/* The text of a key's scalar; NULL if absent, null ("", "~", "null" unquoted) or no scalar. */
const char *yaml_text(const struct yaml_node *node, const char *key);
/* Is a key's value true, in one of the ways YAML 1.1 writes it? */
bool yaml_true(const struct yaml_node *node, const char *key);

#endif
