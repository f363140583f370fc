#include "exec/json_doc.h"

#include <string.h>

int json_doc_parse(const char *text, size_t len, const char *what, cJSON **ret, struct err *e)
{
	const char *end = NULL;
	cJSON *doc = len > 0 ? cJSON_ParseWithLengthOpts(text, len, &end, 0) : NULL;

	if (!cJSON_IsObject(doc)) {
		cJSON_Delete(doc);
		return err_set(e, ERR_SERVER, "%s: the server's answer is no JSON object", what);
	}
	*ret = doc;
	return 0;
}

const cJSON *json_doc_get(const cJSON *obj, const char *path)
{
	char key[64];

	while (obj && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key)) return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		obj = cJSON_GetObjectItemCaseSensitive(obj, key);
		path += len;
		path += *path == '.';
	}
	return obj;
}

const char *json_doc_text(const cJSON *obj, const char *path)
{
	const cJSON *value = json_doc_get(obj, path);

	return cJSON_IsString(value) ? value->valuestring : "";
}
