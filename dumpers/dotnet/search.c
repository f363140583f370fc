#include "dumpers/dotnet/search.h"

#include "dumpers/dotnet/object.h"

#include <regex.h>

struct search {
	regex_t type;
	bool compiled;
	struct search_condition *conditions; /* owned */
	size_t count;
	/* The last type that was looked at; most objects are of the type of the one before. */
	const struct dotnet_type *last;
	bool last_matches;
	struct dotnet *d;
	dotnet_object_fn fn;
	void *ctx;
};

static int take_conditions(struct search *s, const char *const *conditions, size_t count,
			   struct err *e)
{
	s->conditions = calloc(count ? count : 1, sizeof(*s->conditions));
	if (!s->conditions) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(conditions[i], '=');
		if (!equals || equals == conditions[i])
			return err_set(e, ERR_USAGE, "--where %s: not FIELD=VALUE", conditions[i]);
		struct search_condition *c = &s->conditions[s->count++];
		c->field = strndup(conditions[i], (size_t)(equals - conditions[i]));
		c->value = equals + 1;
		if (!c->field) return err_set(e, ERR_NO_MEMORY, "no memory");
	}
	return 0;
}

int search_new(const char *type, const char *const *conditions, size_t count, struct search **ret,
	       struct err *e)
{
	struct search *s = calloc(1, sizeof(*s));
	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory");
	int failed = regcomp(&s->type, type, REG_EXTENDED | REG_NOSUB);
	s->compiled = !failed;
	int r = failed ? err_set(e, ERR_USAGE, "--type %s: not a regular expression", type)
		       : take_conditions(s, conditions, count, e);
	if (r)
		search_free(s);
	else
		*ret = s;
	return r;
}

void search_free(struct search *s)
{
	if (!s) return;
	if (s->compiled) regfree(&s->type);
	for (size_t i = 0; i < s->count; i++)
		free(s->conditions[i].field);
	free(s->conditions);
	free(s);
}

/* An object without the field, or whose field cannot be read, does not fulfil it. */
static int holds(struct search *s, const struct search_condition *c,
		 const struct dotnet_object *object, bool *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(8 * OBJECT_STRING_MAX);
	_cleanup_node_ struct node *n = NULL;
	int r = object_field(s->d, object->address, object->type, c->field, &n, e);
	*ret = false;
	if (r == -ERR_NOT_FOUND || r == -ERR_CORRUPT) return 0;
	if (!r && n->kind != NODE_UNKNOWN) r = node_plain(n, &text, e);
	if (!r)
		*ret = n->kind != NODE_UNKNOWN && text.len == strlen(c->value) &&
		       (!text.len || !memcmp(text.data, c->value, text.len));
	return r;
}

static int consider(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct search *s = ctx;
	if (s->last != object->type) {
		s->last = object->type;
		s->last_matches =
		    !object->type->is_free && !regexec(&s->type, object->type->name, 0, NULL, 0);
	}
	if (!s->last_matches) return 0;
	for (size_t i = 0; i < s->count; i++) {
		bool yes;
		int r = holds(s, &s->conditions[i], object, &yes, e);
		if (r || !yes) return r;
	}
	return s->fn(s->ctx, object, e);
}

int search_run(struct search *s, struct dotnet *d, dotnet_object_fn fn, void *ctx,
	       struct dotnet_walk_loss *ret_loss, struct err *e)
{
	struct dotnet_heap heap;
	int r = dotnet_heap_read(d, &heap, e);
	if (r) return r;
	s->d = d;
	s->fn = fn;
	s->ctx = ctx;
	s->last = NULL;
	r = dotnet_walk(d, &heap, consider, s, ret_loss, e);
	dotnet_heap_done(&heap);
	return r;
}
