/* Documents of the API server, by cJSON: parsing with caps, and getters that never fail. */
#ifndef EXEC_JSON_DOC_H
#define EXEC_JSON_DOC_H

#include "base/err.h"

#include <cjson/cJSON.h>

/* The caller cJSON_Delete's *ret. what: for the error. -ERR_SERVER if it is no JSON object. cJSON
 * itself stops at CJSON_NESTING_LIMIT levels. */
int json_doc_parse(const char *text, size_t len, const char *what, cJSON **ret, struct err *e);
static inline void json_doc_free_ptr(cJSON **doc)
{
	cJSON_Delete(*doc);
}
#define _cleanup_json_doc_ _cleanup_(json_doc_free_ptr)

/* The value at "a.b.c" (keys without dots); NULL where a part is missing or obj is NULL. */
const cJSON *json_doc_get(const cJSON *obj, const char *path);
/* Its string; "" if there is none. */
const char *json_doc_text(const cJSON *obj, const char *path);

#endif
