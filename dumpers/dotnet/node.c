#include "dumpers/dotnet/node.h"

#include <stdio.h>

struct node *node_new(void)
{
	return calloc(1, sizeof(struct node));
}

void node_free(struct node *n)
{
	if (!n) return;
	for (size_t i = 0; i < n->child_count; i++)
		node_free(n->children[i]);
	free(n->children);
	free(n->text);
	free(n);
}

int node_add(struct node *parent, struct node **ret, struct err *e)
{
	if (parent->child_count == parent->child_cap) {
		size_t cap = parent->child_cap ? parent->child_cap * 2 : 8;
		struct node **grown = reallocarray(parent->children, cap, sizeof(struct node *));
		if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory");
		parent->children = grown;
		parent->child_cap = cap;
	}
	struct node *child = node_new();
	if (!child) return err_set(e, ERR_NO_MEMORY, "no memory");
	parent->children[parent->child_count++] = child;
	*ret = child;
	return 0;
}

int node_set_text(struct node *n, enum node_kind kind, const char *text, size_t len, struct err *e)
{
	char *copy = malloc(len + 1);
	if (!copy) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (len) memcpy(copy, text, len);
	copy[len] = 0;
	free(n->text);
	n->text = copy;
	n->text_len = len;
	n->kind = kind;
	return 0;
}

int node_set_printf(struct node *n, enum node_kind kind, struct err *e, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT(64 * KIB);
	va_list ap;
	va_start(ap, fmt);
	int r = buf_vprintf(&text, e, fmt, ap);
	va_end(ap);
	return r ? r : node_set_text(n, kind, text.data, text.len, e);
}
