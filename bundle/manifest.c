#include "bundle/manifest.h"

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

static void delete_json(cJSON **json)
{
	cJSON_Delete(*json);
}

/* cJSON needs 64 bytes and more a value, however short its text: counted before it parses. */
static int count_values(const char *text, size_t len, struct err *e)
{
	size_t values = 1;

	for (size_t i = 0; i < len; i++)
		values += text[i] == ',' || text[i] == '[' || text[i] == '{';
	if (values > BUNDLE_MANIFEST_VALUES_MAX)
		return err_set(e, ERR_LIMIT, "a manifest of more than %d values",
			       BUNDLE_MANIFEST_VALUES_MAX);
	return 0;
}

static int parse_json(const char *text, size_t len, cJSON **ret, struct err *e)
{
	const char *end = NULL;
	cJSON *json;
	int r;

	if (len > BUNDLE_MANIFEST_MAX)
		return err_set(e, ERR_LIMIT, "a manifest of %zu bytes, more than %d", len,
			       BUNDLE_MANIFEST_MAX);
	r = count_values(text, len, e);
	if (r < 0) return r;
	json = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	if (!json) return err_set(e, ERR_CORRUPT, "no JSON at byte %td", end ? end - text : 0);
	while (end < text + len && strchr(" \t\r\n", *end) && *end)
		end++;
	if (end != text + len || !cJSON_IsObject(json)) {
		cJSON_Delete(json);
		return err_set(e, ERR_CORRUPT, "not one JSON object");
	}
	*ret = json;
	return 0;
}

static int get_uint(const cJSON *item, const char *what, uint64_t *ret, struct err *e)
{
	double value = cJSON_IsNumber(item) ? item->valuedouble : -1;

	if (!(value >= 0 && value < (double)BUNDLE_SIZE_MAX && value == (double)(uint64_t)value))
		return err_set(e, ERR_CORRUPT, "'%s' is no size", what);
	*ret = (uint64_t)value;
	return 0;
}

static int get_member_uint(const cJSON *object, const char *key, uint64_t *ret, struct err *e)
{
	return get_uint(cJSON_GetObjectItemCaseSensitive(object, key), key, ret, e);
}

/* The member's text, NULL if it is missing or no string. */
static const char *get_text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static int copy_text(const cJSON *object, const char *key, char *ret, size_t size, struct err *e)
{
	const char *text = get_text(object, key);

	if (!text || strlen(text) >= size)
		return err_set(e, ERR_CORRUPT, "'%s' is missing or too long", key);
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

static int get_range(const cJSON *pair, const char *key, struct range *ret, struct err *e)
{
	int r;

	if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2)
		return err_set(e, ERR_CORRUPT, "'%s' is no list of ranges", key);
	r = get_uint(pair->child, key, &ret->start, e);
	return r < 0 ? r : get_uint(pair->child->next, key, &ret->end, e);
}

static int get_ranges(const cJSON *object, const char *key, struct range **ret, size_t *ret_count,
		      struct err *e)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key), *pair;
	int count, r;

	if (!array) return 0;
	count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
	if (count < 1 || count > BUNDLE_RANGES_MAX)
		return err_set(e, ERR_CORRUPT, "'%s' is no list of 1 to %d ranges", key,
			       BUNDLE_RANGES_MAX);
	*ret = calloc((size_t)count, sizeof(**ret));
	if (!*ret) return err_set(e, ERR_NO_MEMORY, "no memory for %d ranges", count);
	cJSON_ArrayForEach(pair, array)
	{
		r = get_range(pair, key, &(*ret)[(*ret_count)++], e);
		if (r < 0) return r;
	}
	return 0;
}

static int get_place(const cJSON *object, struct bundle_entry *entry, struct err *e)
{
	const char *hex = get_text(object, "sha256");
	int r;

	r = get_member_uint(object, "header_offset", &entry->header_offset, e);
	if (r == 0) r = get_member_uint(object, "offset", &entry->data_offset, e);
	if (r == 0) r = get_member_uint(object, "size", &entry->size, e);
	if (r < 0) return r;
	if (!hex || hex_decode(hex, entry->sha256, SHA256_BYTES, NULL) < 0)
		return err_set(e, ERR_CORRUPT, "'sha256' is no digest");
	r = get_ranges(object, "lost", &entry->lost, &entry->lost_count, e);
	return r < 0 ? r : get_ranges(object, "torn", &entry->torn, &entry->torn_count, e);
}

/* On failure what it allocated is in entry all the same. */
static int get_entry(const cJSON *object, struct bundle_entry *entry, struct err *e)
{
	const char *status = get_text(object, "status");
	int r;

	if (!cJSON_IsObject(object) || !status)
		return err_set(e, ERR_CORRUPT, "an entry without a status");
	r = copy_text(object, "name", entry->name, sizeof(entry->name), e);
	if (r == 0) r = entry_status_parse(status, &entry->status, e);
	if (r < 0) return r;
	/* Cut, not refused: JSON may be longer, where a byte that was no UTF-8 became U+FFFD. */
	if (entry->status != ENTRY_OK) bundle_entry_set_reason(entry, get_text(object, "reason"));
	entry->in_tar = cJSON_GetObjectItemCaseSensitive(object, "size") != NULL;
	if (entry->in_tar) r = get_place(object, entry, e);
	return r < 0 ? r : bundle_entry_check(entry, e);
}

static int get_entries(const cJSON *array, struct manifest *m, struct err *e)
{
	int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : -1;
	uint64_t next = 0;
	const cJSON *item;

	if (count < 0 || count > BUNDLE_ENTRIES_MAX)
		return err_set(e, ERR_CORRUPT, "'entries' is no list of up to %d entries",
			       BUNDLE_ENTRIES_MAX);
	m->entries = calloc(MAX((size_t)count, (size_t)1), sizeof(*m->entries));
	if (!m->entries) return err_set(e, ERR_NO_MEMORY, "no memory for %d entries", count);
	cJSON_ArrayForEach(item, array)
	{
		struct bundle_entry *entry = &m->entries[m->count++];
		int r = get_entry(item, entry, e);

		if (r < 0) {
			err_wrap(e, "entry %zu", m->count - 1);
			return r;
		}
		if (!entry->in_tar) continue;
		if (entry->header_offset != next)
			return err_set(e, ERR_CORRUPT,
				       "entry %s at %" PRIu64 " where %" PRIu64 " is next",
				       entry->name, entry->header_offset, next);
		next = bundle_entry_end(entry);
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const struct manifest *m, struct err *e)
{
	_cleanup_free_ const char **names = calloc(MAX(m->count, (size_t)1), sizeof(*names));

	if (!names) return err_set(e, ERR_NO_MEMORY, "no memory for %zu names", m->count);
	for (size_t i = 0; i < m->count; i++)
		names[i] = m->entries[i].name;
	qsort(names, m->count, sizeof(*names), compare_names);
	for (size_t i = 1; i < m->count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return err_set(e, ERR_CORRUPT, "two entries %s", names[i]);
	return 0;
}

static int check_schema(const cJSON *json, struct err *e)
{
	const char *schema = get_text(json, "schema");

	if (!schema) return err_set(e, ERR_CORRUPT, "no schema");
	if (strcmp(schema, BUNDLE_MANIFEST_SCHEMA) != 0)
		return err_set(e, ERR_UNSUPPORTED, "schema '%.64s', not " BUNDLE_MANIFEST_SCHEMA,
			       schema);
	return 0;
}

int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e)
{
	_cleanup_(delete_json) cJSON *json = NULL;
	_cleanup_manifest_ struct manifest m = {0};
	int r = parse_json(text, len, &json, e);

	if (r == 0) r = check_schema(json, e);
	if (r == 0) r = get_entries(cJSON_GetObjectItemCaseSensitive(json, "entries"), &m, e);
	if (r == 0) r = check_unique(&m, e);
	if (r < 0) {
		err_wrap(e, BUNDLE_MANIFEST_NAME);
		return r;
	}
	*ret = m;
	m = (struct manifest){0};
	return 0;
}

void manifest_done(struct manifest *m)
{
	if (!m) return;
	for (size_t i = 0; i < m->count; i++)
		bundle_entry_done(&m->entries[i]);
	free(m->entries);
	m->entries = NULL;
	m->count = 0;
}

int manifest_check_extra(const char *text, struct err *e)
{
	static const char *const ours[] = {"schema", "tool", "created", "entries", "not_ok"};
	_cleanup_(delete_json) cJSON *json = NULL;
	_cleanup_buf_ struct buf object = BUF_INIT(BUNDLE_MANIFEST_MAX);
	int r = buf_printf(&object, e, "{%s}", text);

	if (r < 0) return r;
	if (parse_json(object.data, object.len, &json, e) < 0)
		return err_set(e, ERR_USAGE, "members for the manifest: %s", e ? e->text : "");
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (cJSON_HasObjectItem(json, ours[i]))
			return err_set(e, ERR_USAGE, "members for the manifest hold '%s'", ours[i]);
	return 0;
}
