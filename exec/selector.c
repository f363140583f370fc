#include "exec/selector.h"

#include "exec/json_doc.h"

#include <string.h>

static int comma(struct buf *ret, struct err *e)
{
	return ret->len > 0 ? buf_puts(ret, ",", e) : 0;
}

static int add_map(const cJSON *map, struct buf *ret, struct err *e)
{
	const cJSON *label;
	int r = 0;

	cJSON_ArrayForEach(label, map)
	{
		if (!cJSON_IsString(label))
			return err_set(e, ERR_SERVER, "a selector's label is no text");
		r = comma(ret, e);
		if (r == 0) r = buf_printf(ret, e, "%s=%s", label->string, label->valuestring);
		if (r < 0) return r;
	}
	return r;
}

static int add_values(const cJSON *values, struct buf *ret, struct err *e)
{
	const cJSON *value;
	bool first = true;
	int r = 0;

	cJSON_ArrayForEach(value, values)
	{
		if (!cJSON_IsString(value))
			return err_set(e, ERR_SERVER, "a selector's value is no text");
		r = buf_printf(ret, e, "%s%s", first ? "(" : ",", value->valuestring);
		if (r < 0) return r;
		first = false;
	}
	return first ? err_set(e, ERR_SERVER, "a selector without values") : buf_puts(ret, ")", e);
}

static int add_expression(const cJSON *expression, struct buf *ret, struct err *e)
{
	const char *key = json_doc_text(expression, "key");
	const char *op = json_doc_text(expression, "operator");
	const cJSON *values = json_doc_get(expression, "values");
	int r = comma(ret, e);

	if (r < 0) return r;
	if (strcmp(op, "Exists") == 0) return buf_puts(ret, key, e);
	if (strcmp(op, "DoesNotExist") == 0) return buf_printf(ret, e, "!%s", key);
	if (strcmp(op, "In") != 0 && strcmp(op, "NotIn") != 0)
		return err_set(e, ERR_SERVER, "a selector with the unknown operator \"%s\"", op);
	r = buf_printf(ret, e, "%s %s ", key, op[0] == 'I' ? "in" : "notin");
	return r < 0 ? r : add_values(values, ret, e);
}

int selector_text(const cJSON *selector, bool is_bare_map, struct buf *ret, struct err *e)
{
	const cJSON *expression;
	int r;

	if (is_bare_map) {
		r = add_map(selector, ret, e);
	} else {
		r = add_map(json_doc_get(selector, "matchLabels"), ret, e);
		if (r < 0) return r;
		cJSON_ArrayForEach(expression, json_doc_get(selector, "matchExpressions"))
		{
			r = add_expression(expression, ret, e);
			if (r < 0) return r;
		}
	}
	if (r == 0 && ret->len == 0)
		return err_set(e, ERR_UNSUPPORTED, "its selector names no pods");
	return r;
}
