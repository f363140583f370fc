#include "exec/redact.h"

#include "base/secret.h"

#include <string.h>

enum {
	VALUE_MAX = 8 << 20,
	JSON_IN_TEXT_MAX = 4, /* objects in texts of objects in texts ... */
};

struct redaction {
	bool every_member;
	int depth; /* of JSON in texts */
};

static int redact_tree(const struct redaction *r, cJSON *item, struct err *e);

static int set_text(cJSON *item, const char *text, struct err *e)
{
	return cJSON_SetValuestring(item, text)
		   ? 0
		   : err_set(e, ERR_NO_MEMORY, "no memory to hide secrets");
}

static int redact_text(cJSON *item, const char *name, struct err *e)
{
	const char *text = item->valuestring;
	_cleanup_buf_ struct buf shown = BUF_INIT(VALUE_MAX);
	bool masked = false;
	int r = secret_redact(name, strlen(name), text, strlen(text), &shown, &masked, e);

	return r < 0 || !masked ? r : set_text(item, shown.data, e);
}

/* An annotation: JSON is taken apart, so that it stays JSON. */
static int redact_annotation(const struct redaction *of, cJSON *item, struct err *e)
{
	struct redaction inner = {.every_member = true, .depth = of->depth + 1};
	const char *text = item->valuestring + strspn(item->valuestring, " \t\r\n");
	_cleanup_free_ char *shown = NULL;
	cJSON *doc = NULL;
	int r;

	if (*text == '{' || *text == '[') doc = cJSON_Parse(text);
	if (!doc || secret_name(item->string, strlen(item->string))) {
		cJSON_Delete(doc);
		return redact_text(item, item->string, e);
	}
	/* Its quotes are quoted so often that nothing is found in the plain text. */
	if (inner.depth > JSON_IN_TEXT_MAX) {
		cJSON_Delete(doc);
		return set_text(item, SECRET_MASK, e);
	}
	r = redact_tree(&inner, doc, e);
	if (r == 0) shown = cJSON_PrintUnformatted(doc);
	cJSON_Delete(doc);
	if (r < 0) return r;
	return shown ? set_text(item, shown, e)
		     : err_set(e, ERR_NO_MEMORY, "no memory to hide secrets");
}

/* "--password=x", and "--token" with its value in the next word. */
static int redact_words(cJSON *list, struct err *e)
{
	const char *option = "";
	cJSON *item;
	int r = 0;

	cJSON_ArrayForEach(item, list)
	{
		bool is_option = cJSON_IsString(item) && item->valuestring[0] == '-';

		if (r == 0 && cJSON_IsString(item))
			r = redact_text(item, is_option ? "" : option, e);
		/* One that has its value with it does not ask for the next word. */
		option = is_option && !strchr(item->valuestring, '=') ? item->valuestring : "";
	}
	return r;
}

static bool is_key(const cJSON *item, const char *key)
{
	return item->string && strcmp(item->string, key) == 0;
}

static int redact_annotations(const struct redaction *of, cJSON *annotations, struct err *e)
{
	cJSON *item;
	int r = 0;

	cJSON_ArrayForEach(item, annotations)
	{
		if (r == 0 && cJSON_IsString(item)) r = redact_annotation(of, item, e);
	}
	return r;
}

static int redact_member(const struct redaction *of, const cJSON *object, cJSON *item,
			 struct err *e)
{
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "name"));

	if (cJSON_IsObject(item) && is_key(item, "annotations"))
		return redact_annotations(of, item, e);
	if (cJSON_IsArray(item) && (is_key(item, "command") || is_key(item, "args"))) {
		int r = redact_words(item, e);

		if (r < 0) return r;
	}
	if (!cJSON_IsString(item)) return redact_tree(of, item, e);
	if (is_key(item, "value") && name) return redact_text(item, name, e);
	return of->every_member && item->string ? redact_text(item, item->string, e) : 0;
}

/* The depth is cJSON's: it reads no deeper than CJSON_NESTING_LIMIT. */
static int redact_tree(const struct redaction *of, cJSON *tree, struct err *e)
{
	cJSON *item;
	int r = 0;

	cJSON_ArrayForEach(item, tree)
	{
		if (r == 0) r = redact_member(of, tree, item, e);
	}
	return r;
}

int redact_object(cJSON *object, bool every_member, struct err *e)
{
	const struct redaction r = {.every_member = every_member};

	return redact_tree(&r, object, e);
}
