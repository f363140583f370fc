/* The values of one option table: who may set them, and what they are. */
#include "base/options_internal.h"
#include "base/suggest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- lists --- */

struct item_list {
	char **items;
	size_t count;
};

static void items_free(char **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(items[i]);
	free(items);
}

static void item_list_done(struct item_list *list)
{
	items_free(list->items, list->count);
}

static int item_list_add(struct item_list *list, const char *text, size_t len, struct err *e)
{
	char **items;
	char *copy;

	if (list->count >= OPTION_ITEMS_MAX)
		return err_set(e, ERR_USAGE, "more than %d items", OPTION_ITEMS_MAX);
	items = reallocarray(list->items, list->count + 1, sizeof(*items));
	if (!items) return err_set(e, ERR_NO_MEMORY, "no memory");
	list->items = items;
	copy = strndup(text, len);
	if (!copy) return err_set(e, ERR_NO_MEMORY, "no memory");
	items[list->count++] = copy;
	return 0;
}

/* Comma-separated, blanks around an item dropped, as in a file or a variable. */
static int item_list_split(struct item_list *list, const char *text, struct err *e)
{
	for (;;) {
		size_t len;
		const char *end = strchrnul(text, ',');
		int r;

		text += strspn(text, " \t");
		if (text > end) text = end;
		len = (size_t)(end - text);
		while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
			len--;
		if (len == 0) return err_set(e, ERR_USAGE, "an item of the list is empty");
		r = item_list_add(list, text, len, e);
		if (r < 0) return r;
		if (!*end) return 0;
		text = end + 1;
	}
}

/* --- setting --- */

/* A request is the flags of the podsnap that sent it, so the two rank the same. */
static int rank(enum option_origin origin)
{
	return origin == ORIGIN_REQUEST ? (int)ORIGIN_FLAG : (int)origin;
}

static void value_clear(struct option_value *v)
{
	free(v->text);
	free(v->where);
	items_free(v->items, v->item_count);
	*v = (struct option_value){0};
}

static int copy_where(const char *where, char **ret, struct err *e)
{
	*ret = NULL;
	if (!where) return 0;
	*ret = strdup(where);
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory");
}

static int set_scalar(struct option_value *v, const struct option_def *def, const char *value,
		      int64_t number, enum option_origin origin, const char *where, struct err *e)
{
	struct option_value new = {.origin = origin, .number = number};
	int r;

	if (def->type == OPTION_BOOL) {
		value = number ? "true" : "false";
		/* -vv is more than -v. */
		if (number && v->origin == origin && v->number < INT32_MAX)
			new.number = v->number + 1;
	}
	r = copy_where(where, &new.where, e);
	if (r < 0) return r;
	new.text = strdup(value);
	if (!new.text) {
		value_clear(&new);
		return err_set(e, ERR_NO_MEMORY, "no memory");
	}
	value_clear(v);
	*v = new;
	return 0;
}

/* Moves the items of more, which is then empty, behind those of v. */
static int append_items(struct option_value *v, struct item_list *more, struct err *e)
{
	size_t count = v->item_count + more->count;
	char **items;

	if (!more->count) return 0;
	if (count > OPTION_ITEMS_MAX)
		return err_set(e, ERR_USAGE, "more than %d items", OPTION_ITEMS_MAX);
	items = reallocarray(v->items, count, sizeof(*items));
	if (!items) return err_set(e, ERR_NO_MEMORY, "no memory");
	memcpy(items + v->item_count, more->items, more->count * sizeof(*items));
	v->items = items;
	v->item_count = count;
	more->count = 0;
	return 0;
}

/* Items of the same origin add up; another origin starts anew. */
static int set_list(struct option_value *v, const char *value, enum option_origin origin,
		    const char *where, struct err *e)
{
	bool split = origin != ORIGIN_FLAG && origin != ORIGIN_REQUEST;
	_cleanup_(item_list_done) struct item_list list = {0};
	_cleanup_(value_clear) struct option_value fresh = {0};
	struct option_value *to = v->origin == origin ? v : &fresh;
	_cleanup_free_ char *new_where = NULL;
	int r;

	r = split ? item_list_split(&list, value, e)
		  : item_list_add(&list, value, strlen(value), e);
	if (r == 0) r = copy_where(where, &new_where, e);
	if (r == 0) r = append_items(to, &list, e);
	if (r < 0) return r;
	if (to == &fresh) {
		value_clear(v);
		*v = fresh;
		fresh = (struct option_value){0};
	}
	free(v->where);
	v->where = STEAL_PTR(new_where);
	v->origin = origin;
	return 0;
}

/* Puts what the user wrote, and where, before the reason. */
static void name_place(const struct option_def *def, enum option_origin origin, const char *where,
		       struct err *e)
{
	switch (origin) {
	case ORIGIN_FLAG:
		err_wrap(e, "--%s", def->name);
		break;
	case ORIGIN_ENV:
		err_wrap(e, "$%s", def->env ? def->env : def->name);
		break;
	case ORIGIN_FILE:
		err_wrap(e, "%s: %s", where ? where : "configuration file",
			 def->key ? def->key : def->name);
		break;
	case ORIGIN_REQUEST:
		err_wrap(e, "request: %s", def->name);
		break;
	case ORIGIN_DEFAULT:
		err_wrap(e, "default of --%s", def->name);
		break;
	}
}

int options_set(struct options *o, size_t id, const char *value, enum option_origin origin,
		const char *where, struct err *e)
{
	const struct option_def *def;
	struct option_value *v;
	int64_t number = 0;
	int r;

	assert(id < o->count);
	def = &o->defs[id];
	v = &o->values[id];
	r = option_check_value(def, value, &number, e);
	if (r == 0 && rank(origin) >= rank(v->origin))
		r = def->type == OPTION_LIST ? set_list(v, value, origin, where, e)
					     : set_scalar(v, def, value, number, origin, where, e);
	if (r < 0) name_place(def, origin, where, e);
	return r;
}

/* --- the table --- */

/* Two rows that answer to one flag of one verb are a bug of the table. */
static int check_twins(const struct option_def *a, const struct option_def *b, struct err *e)
{
	if (a->verbs && b->verbs && !(a->verbs & b->verbs)) return 0;
	if (strcmp(a->name, b->name) == 0)
		return err_set(e, ERR_INTERNAL, "option table: --%s stands twice", a->name);
	if (a->short_name && a->short_name == b->short_name)
		return err_set(e, ERR_INTERNAL, "option table: -%c is both --%s and --%s",
			       a->short_name, a->name, b->name);
	return 0;
}

static int check_table(const struct option_def *defs, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		if (defs[i].type == OPTION_ENUM && !defs[i].choices)
			return err_set(e, ERR_INTERNAL, "option table: --%s has no choices",
				       defs[i].name);
		for (size_t k = 0; k < i; k++) {
			int r = check_twins(&defs[k], &defs[i], e);
			if (r < 0) return r;
		}
	}
	return 0;
}

static int set_defaults(struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->count; i++) {
		int r;

		if (!o->defs[i].def) continue;
		r = options_set(o, i, o->defs[i].def, ORIGIN_DEFAULT, NULL, e);
		if (r < 0) return r;
	}
	return 0;
}

int options_new(struct options **ret, const struct option_def *defs, size_t count, struct err *e)
{
	_cleanup_options_ struct options *o = NULL;
	int r = check_table(defs, count, e);

	if (r < 0) return r;
	o = calloc(1, sizeof(*o));
	if (!o) return err_set(e, ERR_NO_MEMORY, "no memory for options");
	o->defs = defs;
	o->values = calloc(MAX(count, 1u), sizeof(*o->values));
	if (!o->values) return err_set(e, ERR_NO_MEMORY, "no memory for %zu options", count);
	o->count = count;
	r = set_defaults(o, e);
	if (r < 0) return r;
	*ret = STEAL_PTR(o);
	return 0;
}

void options_free(struct options *o)
{
	if (!o) return;
	for (size_t i = 0; i < o->count; i++)
		value_clear(&o->values[i]);
	free(o->values);
	free(o->operands);
	free(o);
}

/* --- origins other than the command line --- */

int options_parse_env(struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->count; i++) {
		const char *value = o->defs[i].env ? getenv(o->defs[i].env) : NULL;
		int r;

		if (!value || !*value) continue;
		r = options_set(o, i, value, ORIGIN_ENV, NULL, e);
		if (r < 0) return r;
	}
	return 0;
}

int options_set_key(struct options *o, const char *key, const char *value, const char *where,
		    struct err *e)
{
	struct suggestion near;

	suggest_init(&near, key, strlen(key));
	for (size_t i = 0; i < o->count; i++) {
		if (!o->defs[i].key) continue;
		if (strcmp(o->defs[i].key, key) == 0)
			return options_set(o, i, value, ORIGIN_FILE, where, e);
		suggest_consider(&near, o->defs[i].key);
	}
	if (near.best)
		return err_set(e, ERR_USAGE, "%s: unknown key \"%.80s\"; did you mean \"%s\"?",
			       where, key, near.best);
	return err_set(e, ERR_USAGE, "%s: unknown key \"%.80s\"", where, key);
}

/* record: name=value, NUL-terminated. */
static int set_record(struct options *o, const char *record, struct err *e)
{
	const char *equals = strchr(record, '=');
	size_t len = equals ? (size_t)(equals - record) : 0;

	if (!equals) return err_set(e, ERR_USAGE, "request: \"%.80s\" has no \"=\"", record);
	for (size_t i = 0; i < o->count; i++)
		if (strncmp(o->defs[i].name, record, len) == 0 && o->defs[i].name[len] == '\0')
			return options_set(o, i, equals + 1, ORIGIN_REQUEST, NULL, e);
	return err_set(e, ERR_USAGE, "request: unknown option \"%.*s\"", (int)MIN(len, 80u),
		       record);
}

int options_parse_request(struct options *o, const void *data, size_t len, struct err *e)
{
	const char *p = data, *end;

	if (len == 0) return 0;
	end = p + len;
	if (end[-1] != '\0') return err_set(e, ERR_USAGE, "request: the last record is cut off");
	for (; p < end; p += strlen(p) + 1) {
		int r = set_record(o, p, e);
		if (r < 0) return r;
	}
	return 0;
}

static int write_record(const char *name, const char *value, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "%s=%s", name, value);

	return r < 0 ? r : buf_append(ret, "", 1, e);
}

int options_write_request(const struct options *o, const size_t *ids, size_t count, struct buf *ret,
			  struct err *e)
{
	size_t before = ret->len;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const struct option_value *v = &o->values[ids[i]];
		const struct option_def *def = &o->defs[ids[i]];
		size_t times = def->type == OPTION_BOOL ? (size_t)MAX(v->number, 1) : 1;

		if (v->origin == ORIGIN_DEFAULT) continue;
		if (def->type == OPTION_LIST) times = v->item_count;
		for (size_t k = 0; k < times && r == 0; k++)
			r = write_record(def->name, v->items ? v->items[k] : v->text, ret, e);
	}
	if (r < 0) {
		ret->len = before;
		if (ret->data) ret->data[before] = '\0';
	}
	return r;
}

/* --- asking --- */

static const struct option_value *value_of(const struct options *o, size_t id)
{
	assert(id < o->count);
	return &o->values[id];
}

bool option_bool(const struct options *o, size_t id)
{
	return value_of(o, id)->number != 0;
}

int64_t option_int(const struct options *o, size_t id)
{
	return value_of(o, id)->number;
}

const char *option_string(const struct options *o, size_t id)
{
	return value_of(o, id)->text;
}

size_t option_list_count(const struct options *o, size_t id)
{
	return value_of(o, id)->item_count;
}

const char *option_list_at(const struct options *o, size_t id, size_t index)
{
	assert(index < value_of(o, id)->item_count);
	return value_of(o, id)->items[index];
}

bool option_is_set(const struct options *o, size_t id)
{
	return value_of(o, id)->origin != ORIGIN_DEFAULT;
}

enum option_origin option_origin(const struct options *o, size_t id)
{
	return value_of(o, id)->origin;
}

static const char *where_of(const struct option_value *v, const struct option_def *def)
{
	if (v->where) return v->where;
	switch (v->origin) {
	case ORIGIN_FILE:
		return "file";
	case ORIGIN_ENV:
		return def->env ? def->env : "environment";
	case ORIGIN_FLAG:
		return "flag";
	case ORIGIN_REQUEST:
		return "request";
	case ORIGIN_DEFAULT:
		break;
	}
	return "default";
}

void option_show(const struct options *o, size_t id, struct buf *ret_value, struct buf *ret_where)
{
	const struct option_value *v = value_of(o, id);

	/* A buffer too small for a value shows what fits of the list: nothing better to say. */
	if (v->text) (void)buf_puts(ret_value, v->text, NULL);
	for (size_t i = 0; i < v->item_count; i++)
		(void)buf_printf(ret_value, NULL, "%s%s", i ? "," : "", v->items[i]);
	(void)buf_puts(ret_where, where_of(v, &o->defs[id]), NULL);
}

size_t options_count(const struct options *o)
{
	return o->count;
}

const struct option_def *options_def(const struct options *o, size_t id)
{
	assert(id < o->count);
	return &o->defs[id];
}
