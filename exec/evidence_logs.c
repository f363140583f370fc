#include "exec/evidence_internal.h"

#include "exec/container.h"

#include <stdio.h>
#include <string.h>

enum {
	LOG_BYTES_MAX = 8 << 20,
	LOG_ATTEMPTS = 6, /* of fewer lines each */
};

static int get_log(struct evidence *ev, const char *container, bool previous, unsigned lines,
		   struct buf *ret, struct err *e)
{
	char path[EVIDENCE_PATH_MAX];

	buf_clear(ret);
	snprintf(path, sizeof(path),
		 "/api/v1/namespaces/%s/pods/%s/log?container=%s&timestamps=true&tailLines=%u"
		 "&limitBytes=%d%s",
		 ev->target->namespace_, ev->target->pod, container, lines, LOG_BYTES_MAX,
		 previous ? "&previous=true" : "");
	return ev->get(ev->get_ctx, path, ret, e);
}

static unsigned count_lines(const struct buf *text)
{
	const char *at = text->data, *end = at + text->len;
	unsigned count = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		count++;
		at++;
	}
	return count;
}

/* The last lines that fit: the server cuts at the end, where the newest are, so fewer are asked
 * for until nothing is cut. *ret_lines: as many as were asked for last. */
static int get_last_lines(struct evidence *ev, const char *container, bool previous,
			  struct buf *ret, unsigned *ret_lines, struct err *e)
{
	unsigned lines = ev->config->log_lines;

	for (int attempt = 1;; attempt++) {
		int r = get_log(ev, container, previous, lines, ret, e);

		*ret_lines = lines;
		if (r < 0 || ret->len < LOG_BYTES_MAX || lines <= 1 || attempt == LOG_ATTEMPTS)
			return r;
		/* Lines differ in length: some less than came. */
		lines = MAX(MIN(count_lines(ret), lines - 1) / 4 * 3, 1u);
	}
}

static int put_log(struct evidence *ev, const char *container, bool previous, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(LOG_BYTES_MAX + 1);
	char name[BUNDLE_NAME_MAX], reason[BUNDLE_REASON_MAX] = "";
	struct err why = {0};
	unsigned lines = 0;
	int r;

	snprintf(name, sizeof(name), "kube/logs/%s%s.log", container, previous ? ".previous" : "");
	r = ev->gone ? err_set(&why, ERR_NOT_FOUND, "the pod is gone, and its logs with it")
		     : get_last_lines(ev, container, previous, &text, &lines, &why);
	if (r < 0) return evidence_put_failure(ev, name, r, &why, e);
	if (text.len >= LOG_BYTES_MAX)
		snprintf(reason, sizeof(reason), "cut after %d MiB of the last %u lines",
			 LOG_BYTES_MAX >> 20, lines);
	else if (lines < ev->config->log_lines)
		snprintf(reason, sizeof(reason),
			 "only the last %u of %u lines: %d MiB hold no more", lines,
			 ev->config->log_lines, LOG_BYTES_MAX >> 20);
	return ev->add(ev->add_ctx, name, reason[0] ? ENTRY_PARTIAL : ENTRY_OK, reason,
		       text.data ? text.data : "", text.len, e);
}

static int put_logs_of(void *ctx, const cJSON *container, const cJSON *status, struct err *e)
{
	struct evidence *ev = ctx;
	const char *name = json_doc_text(container, "name");
	int r = 0;

	if (!kube_name_is_valid(name)) return 0;
	/* One that waits to be started again has only the log of the one before. */
	if (json_doc_get(status, "state.running") || json_doc_get(status, "state.terminated"))
		r = put_log(ev, name, false, e);
	if (r == 0 && json_doc_get(status, "lastState.terminated")) r = put_log(ev, name, true, e);
	return r;
}

int evidence_put_logs(struct evidence *ev, struct err *e)
{
	return container_each(ev->pod, put_logs_of, ev, e);
}
