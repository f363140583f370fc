#include "exec/pod_list.h"

#include "exec/json_doc.h"

#include <stdio.h>
#include <string.h>

enum {
	PAGE = 500,
	PAGES_MAX = 1000,
	RESTARTS_MAX = 3,
	PATH_MAX_BYTES = 16 << 10,
};

static int add_parameter(struct buf *path, const char *name, const char *value, struct err *e)
{
	int r = buf_printf(path, e, "&%s=", name);

	return r == 0 ? http_encode(path, value, "", e) : r;
}

static int page_path(const struct pod_list *list, const char *token, struct buf *ret, struct err *e)
{
	char field[300];
	int r = buf_puts(ret, "/api/v1/", e);

	if (r == 0 && list->namespace_) r = buf_printf(ret, e, "namespaces/%s/", list->namespace_);
	if (r == 0) r = buf_printf(ret, e, "pods?limit=%d", PAGE);
	if (r == 0 && list->labels) r = add_parameter(ret, "labelSelector", list->labels, e);
	if (r == 0 && list->node) {
		snprintf(field, sizeof(field), "spec.nodeName=%.253s", list->node);
		r = add_parameter(ret, "fieldSelector", field, e);
	}
	return r == 0 && *token ? add_parameter(ret, "continue", token, e) : r;
}

int pod_list_each(kube_get_fn get, void *get_ctx, const struct pod_list *list, pod_page_fn fn,
		  void *ctx, struct err *e)
{
	_cleanup_free_ char *token = NULL;
	bool is_first = true;
	int restarts = 0;

	for (int page = 0; page < PAGES_MAX; page++) {
		_cleanup_buf_ struct buf path = BUF_INIT(PATH_MAX_BYTES);
		_cleanup_json_doc_ cJSON *doc = NULL;
		int r = page_path(list, token ? token : "", &path, e);

		if (r == 0) r = kube_get_doc(get, get_ctx, path.data, KUBE_BODY_MAX, &doc, e);
		/* 410: the server does not have the list any more that the token goes on with. */
		if (r == -ERR_NOT_FOUND && token && restarts++ < RESTARTS_MAX) {
			free(STEAL_PTR(token));
			is_first = true;
			continue;
		}
		if (r == 0)
			r = fn(ctx, cJSON_GetObjectItemCaseSensitive(doc, "items"), is_first, e);
		if (r < 0) return r;
		is_first = false;
		free(token);
		token = strdup(json_doc_text(doc, "metadata.continue"));
		if (!token) return err_set(e, ERR_NO_MEMORY, "no memory for a list of pods");
		if (!*token) return 0;
	}
	return err_set(e, ERR_SERVER, "the server's list of pods has no end");
}
