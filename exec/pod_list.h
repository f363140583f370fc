/* Lists of pods, page by page, so that no answer of the API server gets large. */
#ifndef EXEC_POD_LIST_H
#define EXEC_POD_LIST_H

#include "exec/kube_internal.h"

struct pod_list {
	const char *namespace_; /* NULL: all of the cluster */
	const char *labels;     /* a label selector as kubectl takes it; NULL: any */
	const char *node;       /* NULL: any */
};

/* The items of a page, some of which may be detached. is_first: what was said of earlier pages
 * does not hold any more, as the list was begun, or begun again. */
typedef int (*pod_page_fn)(void *ctx, cJSON *items, bool is_first, struct err *e);

/* Until fn fails; returns what it returned, or an error of get. */
int pod_list_each(kube_get_fn get, void *get_ctx, const struct pod_list *list, pod_page_fn fn,
		  void *ctx, struct err *e);

#endif
