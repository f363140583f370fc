#include "dumpers/dotnet/heap_diff.h"

#include "base/json.h"

struct entry {
	char *name;
	enum heap_side side;
	struct heap_count count;
};
struct heap_tally {
	struct entry *v;
	size_t count;
	bool gaps;
};

int heap_tally_new(struct heap_tally **ret, struct err *e)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory");
}

void heap_tally_free(struct heap_tally *t)
{
	if (!t) return;
	for (size_t i = 0; i < t->count; i++)
		free(t->v[i].name);
	free(t->v);
	free(t);
}

int heap_tally_add(struct heap_tally *t, enum heap_side side, const struct heap_report *report,
		   struct err *e)
{
	struct entry *grown = reallocarray(t->v, t->count + report->type_count + 1, sizeof(*t->v));
	if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory");
	t->v = grown;
	if (report->loss.ranges || !report->head.valid) t->gaps = true;
	for (size_t i = 0; i < report->type_count; i++) {
		const struct heap_type *type = &report->types[i];
		struct entry *entry = &t->v[t->count];
		const struct heap_count count = {type->objects, type->bytes};
		entry->name = strdup(type->type->name);
		entry->side = side;
		entry->count = count;
		if (!entry->name) return err_set(e, ERR_NO_MEMORY, "no memory");
		t->count++;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int64_t growth(const struct heap_count *before, const struct heap_count *now, bool bytes)
{
	return bytes ? (int64_t)(now->bytes - before->bytes)
		     : (int64_t)(now->objects - before->objects);
}

static int by_growth(const void *a, const void *b)
{
	const struct heap_change *x = a, *y = b;
	for (int bytes = 1; bytes >= 0; bytes--) {
		int64_t m = growth(&x->before, &x->now, bytes);
		int64_t n = growth(&y->before, &y->now, bytes);
		if (m != n) return m < n ? 1 : -1;
	}
	return strcmp(x->name, y->name);
}

static void count_into(struct heap_count *to, const struct heap_count *from)
{
	to->objects += from->objects;
	to->bytes += from->bytes;
}

static void add_entry(struct heap_diff *d, struct entry *entry)
{
	struct heap_change *c = d->count ? &d->v[d->count - 1] : NULL;
	if (!c || strcmp(c->name, entry->name) != 0) {
		c = &d->v[d->count++];
		c->name = STEAL_PTR(entry->name); /* the rest is zero */
	}
	if (entry->side == HEAP_NOW) {
		count_into(&c->now, &entry->count);
		count_into(&d->now, &entry->count);
	} else {
		count_into(&c->before, &entry->count);
		count_into(&d->before, &entry->count);
	}
}

static void drop_unchanged(struct heap_diff *d)
{
	size_t kept = 0;
	for (size_t i = 0; i < d->count; i++) {
		const struct heap_change *c = &d->v[i];
		if (c->now.bytes == c->before.bytes && c->now.objects == c->before.objects)
			free(d->v[i].name);
		else
			d->v[kept++] = *c;
	}
	d->count = kept;
}

int heap_tally_diff(struct heap_tally *t, struct heap_diff *ret, struct err *e)
{
	struct heap_diff d = {.v = calloc(t->count + 1, sizeof(*d.v)), .whole = !t->gaps};
	if (!d.v) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (t->count) qsort(t->v, t->count, sizeof(*t->v), by_name);
	for (size_t i = 0; i < t->count; i++)
		add_entry(&d, &t->v[i]);
	drop_unchanged(&d);
	if (d.count) qsort(d.v, d.count, sizeof(*d.v), by_growth);
	*ret = d;
	return 0;
}

void heap_diff_done(struct heap_diff *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->v[i].name);
	free(d->v);
	*d = (struct heap_diff){0};
}

static size_t shown(const struct heap_diff *d, size_t limit)
{
	return limit ? MIN(limit, d->count) : d->count;
}

static int put_line(const struct heap_count *before, const struct heap_count *now, const char *name,
		    struct buf *ret, struct err *e)
{
	return buf_printf(ret, e, "%+12lld %+14lld %12llu %14llu  %s\n",
			  (long long)growth(before, now, false),
			  (long long)growth(before, now, true), (unsigned long long)now->objects,
			  (unsigned long long)now->bytes, name);
}

int heap_diff_text(const struct heap_diff *d, size_t limit, struct buf *ret, struct err *e)
{
	size_t count = shown(d, limit);
	int r = buf_printf(ret, e, "%12s %14s %12s %14s  %s\n", "objects +-", "bytes +-",
			   "objects now", "bytes now", "type");
	if (!r) r = put_line(&d->before, &d->now, "total", ret, e);
	for (size_t i = 0; !r && i < count; i++)
		r = put_line(&d->v[i].before, &d->v[i].now, d->v[i].name, ret, e);
	if (!r && count < d->count)
		r = buf_printf(ret, e, "and %zu more types (--limit 0 shows all)\n",
			       d->count - count);
	if (!r && !d->whole)
		r = buf_puts(ret, "not all of both heaps could be read: see heap of each\n", e);
	return r;
}

static void put_pair(struct json *j, const char *key, uint64_t before, uint64_t now)
{
	json_key(j, key);
	json_object(j);
	json_kv_uint(j, "before", before);
	json_kv_uint(j, "now", now);
	json_object_end(j);
}

static void put_counts(struct json *j, const struct heap_count *before,
		       const struct heap_count *now)
{
	put_pair(j, "objects", before->objects, now->objects);
	put_pair(j, "bytes", before->bytes, now->bytes);
}

int heap_diff_json(const struct heap_diff *d, size_t limit, struct buf *ret, struct err *e)
{
	struct json j;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.heap-diff/1");
	json_kv_bool(&j, "whole", d->whole);
	put_counts(&j, &d->before, &d->now);
	json_kv_uint(&j, "type_count", d->count);
	json_key(&j, "types");
	json_array(&j);
	for (size_t i = 0; i < shown(d, limit); i++) {
		json_object(&j);
		json_kv_string(&j, "type", d->v[i].name);
		put_counts(&j, &d->v[i].before, &d->v[i].now);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
