#include "dumpers/dotnet/object_path.h"

#include <ctype.h>
#include <errno.h>

enum { LISTED_MAX = 40 };

enum step_kind { STEP_NAME, STEP_WORD, STEP_STRING };
struct step {
	enum step_kind kind;
	char text[OBJECT_PATH_NAME_MAX]; /* without quotes */
	size_t len;
};

static int bad_path(const char *path, struct err *e)
{
	err_set(e, ERR_USAGE, "%s: not a path to a value", path);
	return err_hint(e, "For instance: .flags[\"EnableFallback\"], .list[3], .next.name");
}

static bool put(struct step *s, char c)
{
	if (s->len == sizeof(s->text) - 1) return false;
	s->text[s->len++] = c;
	s->text[s->len] = 0;
	return true;
}

static bool take_name(const char **at, struct step *s)
{
	while (**at && **at != '.' && **at != '[') {
		if (**at == ']' || !put(s, *(*at)++)) return false;
	}
	return s->len != 0;
}

static bool take_string(const char **at, struct step *s)
{
	s->kind = STEP_STRING;
	while (**at && **at != '"') {
		if (**at == '\\' && ((*at)[1] == '"' || (*at)[1] == '\\')) (*at)++;
		if (!put(s, *(*at)++)) return false;
	}
	return *(*at)++ == '"' && *(*at)++ == ']';
}

static bool take_word(const char **at, struct step *s)
{
	s->kind = STEP_WORD;
	while (**at && **at != ']') {
		if (!put(s, *(*at)++)) return false;
	}
	return s->len && *(*at)++ == ']';
}

static bool take_step(const char **at, struct step *s)
{
	s->kind = STEP_NAME;
	s->len = 0;
	s->text[0] = 0;
	if (**at == '.') {
		(*at)++;
		return take_name(at, s);
	}
	if (**at != '[') return false;
	(*at)++;
	if (**at != '"') return take_word(at, s);
	(*at)++;
	return take_string(at, s);
}

int object_path_check(const char *path, struct err *e)
{
	struct step step;
	const char *at = path;
	for (int i = 0; *at; i++) {
		if (!take_step(&at, &step) || i == OBJECT_PATH_STEPS_MAX) return bad_path(path, e);
	}
	return *path ? 0 : bad_path(path, e);
}

/* --- one step
 * ---------------------------------------------------------------------------------------- */

/* "<Name>k__BackingField" is what the compiler calls the field of a property. */
static bool is_called(const struct node *n, const char *name)
{
	size_t len = strlen(name);
	if (!n->name) return false;
	if (!strcmp(n->name, name)) return true;
	return n->name[0] == '<' && !strncmp(n->name + 1, name, len) &&
	       !strcmp(n->name + 1 + len, ">k__BackingField");
}

static int no_field(const struct node *n, const struct step *s, struct err *e)
{
	_cleanup_buf_ struct buf names = BUF_INIT(64 * KIB);
	const char *type = n->type ? n->type : "it";
	int r = 0;
	if (n->shape != SHAPE_FIELDS)
		return err_set(e, ERR_NOT_FOUND, "%s has no field %s: it is no object with fields",
			       type, s->text);
	for (size_t i = 0; !r && i < MIN(n->child_count, (size_t)LISTED_MAX); i++)
		r = buf_printf(&names, NULL, "%s%s", i ? ", " : "",
			       n->children[i]->name ? n->children[i]->name : "?");
	err_set(e, ERR_NOT_FOUND, "%s has no field %s", type, s->text);
	if (r || !names.len) return err_hint(e, "It has no fields at all.");
	return err_hint(e, "It has %s%s", names.data, n->child_count > LISTED_MAX ? ", ..." : "");
}

static int find_named(const struct node *n, const struct step *s, struct node **ret, struct err *e)
{
	for (size_t i = 0; n->shape == SHAPE_FIELDS && i < n->child_count; i++) {
		if (!is_called(n->children[i], s->text)) continue;
		*ret = n->children[i];
		return 0;
	}
	return no_field(n, s, e);
}

/* A word is a number, true, false, or the name of an enum's value; quotes mean a string. */
static bool is_key(const struct node *key, const struct step *s)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	char *end;
	if ((key->kind == NODE_STRING || key->kind == NODE_CHAR) != (s->kind == STEP_STRING))
		return false;
	if (key->kind == NODE_ENUM && !strcmp(key->text, s->text)) return true;
	if (key->kind == NODE_ENUM) {
		errno = 0;
		long long number = strtoll(s->text, &end, 10);
		return !errno && !*end && number == key->number;
	}
	return !node_plain(key, &text, NULL) && text.len == s->len &&
	       !memcmp(text.data, s->text, s->len);
}

static int no_key(const struct node *n, const struct step *s, struct err *e)
{
	_cleanup_buf_ struct buf keys = BUF_INIT(64 * KIB);
	const char *quote = s->kind == STEP_STRING ? "\"" : "";
	int r = 0;
	for (size_t i = 0; !r && i < MIN(n->child_count / 2, (size_t)LISTED_MAX); i++) {
		const struct node *key = n->children[2 * i];
		const char *mark = key->kind == NODE_STRING ? "\"" : "";
		r = buf_printf(&keys, NULL, "%s%s", i ? ", " : "", mark);
		if (!r) r = node_plain(key, &keys, NULL);
		if (!r) r = buf_puts(&keys, mark, NULL);
	}
	err_set(e, ERR_NOT_FOUND, "no key %s%s%s is in %s", quote, s->text, quote, n->type);
	if (r || !keys.len) return err_hint(e, "It has %s keys.", n->child_count ? "other" : "no");
	return err_hint(e, "It has %s%s", keys.data,
			n->child_count / 2 > LISTED_MAX ? ", ..." : "");
}

static int find_key(const struct node *n, const struct step *s, struct node **ret, struct err *e)
{
	for (size_t i = 0; i + 1 < n->child_count; i += 2) {
		if (!is_key(n->children[i], s)) continue;
		*ret = n->children[i + 1];
		return 0;
	}
	return no_key(n, s, e);
}

static bool is_index(const struct step *s, uint64_t *ret)
{
	char *end;
	errno = 0;
	*ret = strtoull(s->text, &end, 10);
	return s->kind == STEP_WORD && isdigit((unsigned char)s->text[0]) && !errno && !*end;
}

/* The only child is the one of the index. */
static int find_index(const struct node *n, const struct step *s, struct node **ret, struct err *e)
{
	uint64_t index;
	if (!is_index(s, &index))
		return err_set(e, ERR_NOT_FOUND, "[%s] is no index, and %s has no keys", s->text,
			       n->type);
	if (index >= n->total || !n->child_count)
		return err_set(e, ERR_NOT_FOUND, "no index %s: %s has %llu items", s->text, n->type,
			       (unsigned long long)n->total);
	*ret = n->children[0];
	return 0;
}

static int take_child(const struct node *n, const struct step *s, struct node **ret, struct err *e)
{
	if (n->kind == NODE_NULL)
		return err_set(e, ERR_NOT_FOUND, "it is null, and has no %s", s->text);
	if (s->kind == STEP_NAME) return find_named(n, s, ret, e);
	if (n->shape == SHAPE_ENTRIES) return find_key(n, s, ret, e);
	if (n->shape == SHAPE_ITEMS) return find_index(n, s, ret, e);
	return err_set(e, ERR_NOT_FOUND, "[%s]: %s holds no items", s->text,
		       n->type ? n->type : "the value");
}

/* What is needed of the object for the step: its fields; or the item of that index; or all
 * entries. References in it are named, no more. */
static int read_for(struct dotnet *d, uint64_t address, const struct step *s, struct node **ret,
		    struct err *e)
{
	struct object_config config = {
	    .limit = 1, .statics = s->kind == STEP_NAME, .raw = s->kind == STEP_NAME};
	uint64_t index;
	if (s->kind != STEP_NAME) {
		config.depth = -1;
		config.all_entries = true;
		if (is_index(s, &index)) config.first = (size_t)MIN(index, (uint64_t)UINT32_MAX);
	}
	return object_read(d, address, &config, ret, e);
}

struct walker {
	struct dotnet *d;
	struct node *root; /* owned; at is in it */
	struct node *at;
};

static int take(struct walker *w, const struct step *s, struct err *e)
{
	if (w->at->kind == NODE_OBJECT && w->at->shape != SHAPE_BOXED) {
		struct node *next;
		int r = read_for(w->d, (uint64_t)w->at->number, s, &next, e);
		if (r) return r;
		node_free(w->root);
		w->root = w->at = next;
	}
	if (w->at->shape == SHAPE_BOXED && w->at->child_count) w->at = w->at->children[0];
	return take_child(w->at, s, &w->at, e);
}

/* The value without what it is in. */
static int give(struct walker *w, const struct object_config *config, struct node **ret,
		struct err *e)
{
	if (w->at->kind == NODE_OBJECT && w->at->shape != SHAPE_BOXED)
		return object_read(w->d, (uint64_t)w->at->number, config, ret, e);
	struct node *alone = node_new();
	if (!alone) return err_set(e, ERR_NO_MEMORY, "no memory");
	struct node empty = *alone;
	*alone = *w->at;
	*w->at = empty;
	alone->name = NULL;
	if (alone->kind != NODE_STRUCT && alone->kind != NODE_OBJECT) alone->type = NULL;
	alone->is_static = false;
	*ret = alone;
	return 0;
}

int object_path_read(struct dotnet *d, uint64_t address, const char *path,
		     const struct object_config *config, struct node **ret, struct err *e)
{
	struct node start = {.kind = NODE_OBJECT, .number = (int64_t)address};
	struct walker w = {.d = d, .at = &start};
	struct step step;
	const char *at = path;
	int r = object_path_check(path, e);
	while (!r && *at) {
		const char *before = at;
		if (!take_step(&at, &step)) r = bad_path(path, e);
		if (!r) r = take(&w, &step, e);
		if (r == -ERR_NOT_FOUND && e && before != path)
			err_wrap(e, "%.*s", (int)MIN(before - path, 200), path);
	}
	if (!r) r = give(&w, config, ret, e);
	node_free(w.root);
	return r;
}
