#include "dumpers/runtime/ps.h"

#include "base/human.h"
#include "base/json.h"
#include "base/rfc3339.h"

#include <stdio.h>
#include <string.h>

enum column {
	COLUMN_PID,
	COLUMN_PPID,
	COLUMN_UID,
	COLUMN_THREADS,
	COLUMN_RSS,
	COLUMN_RUNTIME,
	COLUMN_CAPTURE,
	COLUMN_STARTED,
	COLUMN_CONTAINER,
	COLUMN_EVIDENCE,
	COLUMN_COMMAND,
	COLUMN_COUNT,
};
static const struct {
	const char *title;
	bool wide_only;
} columns[COLUMN_COUNT] = {
    [COLUMN_PID] = {"PID", false},
    [COLUMN_PPID] = {"PPID", false},
    [COLUMN_UID] = {"UID", false},
    [COLUMN_THREADS] = {"THREADS", false},
    [COLUMN_RSS] = {"RSS", false},
    [COLUMN_RUNTIME] = {"RUNTIME", false},
    [COLUMN_CAPTURE] = {"CAPTURE", false},
    [COLUMN_STARTED] = {"STARTED", true},
    [COLUMN_CONTAINER] = {"CONTAINER", true},
    [COLUMN_EVIDENCE] = {"EVIDENCE", true},
    [COLUMN_COMMAND] = {"COMMAND", false},
};

enum { CELL_MAX = MAX((int)RUNTIME_EVIDENCE_MAX, (int)PROCESS_COMMAND_MAX) + 64, SHORT_ID = 12 };

/* Paths come from the target: nothing of them may steer a terminal. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
	}
}

static void cut_command(const char *command, bool wide, char ret[CELL_MAX])
{
	size_t len = strlen(command), max = wide ? CELL_MAX - 1 : PS_COMMAND_MAX;

	if (len <= max) {
		memcpy(ret, command, len + 1);
		return;
	}
	len = max - 3;
	while (len > 0 && ((unsigned char)command[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret, command, len);
	memcpy(ret + len, "...", 4);
}

static void format_runtime(const struct process_item *p, char ret[CELL_MAX])
{
	const struct runtime_guess *g = &p->guess;
	/* "go go1.22.3" says it twice. */
	const char *version = g->version;

	if (p->verdict.blocker == BLOCKER_ZOMBIE || p->verdict.blocker == BLOCKER_KERNEL_THREAD) {
		snprintf(ret, CELL_MAX, "-");
		return;
	}
	if (strncmp(version, g->runtime->name, strlen(g->runtime->name)) == 0)
		version += strlen(g->runtime->name);
	snprintf(ret, CELL_MAX, "%s%s%s%s", g->runtime->name, *version ? " " : "", version,
		 g->confidence == RUNTIME_BY_NAME ? "?" : "");
}

static void format_cell(const struct process_item *p, enum column column, bool wide,
			char ret[CELL_MAX])
{
	char small[RFC3339_SIZE];
	unsigned long long number = column == COLUMN_PID    ? (unsigned long long)p->pid
				    : column == COLUMN_PPID ? p->ppid
				    : column == COLUMN_UID  ? p->uid
							    : p->threads;

	switch (column) {
	case COLUMN_RSS:
		human_size(p->rss_bytes, small);
		snprintf(ret, CELL_MAX, "%s", small);
		break;
	case COLUMN_RUNTIME:
		format_runtime(p, ret);
		break;
	case COLUMN_CAPTURE:
		if (p->verdict.blocker == BLOCKER_NONE)
			snprintf(ret, CELL_MAX, "yes");
		else
			snprintf(ret, CELL_MAX, "no (%s)", blocker_name(p->verdict.blocker));
		break;
	case COLUMN_STARTED:
		rfc3339_utc((time_t)(p->start_ns / NS_PER_S), small);
		snprintf(ret, CELL_MAX, "%s", small);
		break;
	case COLUMN_CONTAINER:
		snprintf(ret, CELL_MAX, "%.*s", SHORT_ID,
			 p->container_id[0] ? p->container_id : "-");
		break;
	case COLUMN_EVIDENCE:
		snprintf(ret, CELL_MAX, "%s", p->guess.evidence);
		break;
	case COLUMN_COMMAND:
		cut_command(p->command, wide, ret);
		break;
	default:
		snprintf(ret, CELL_MAX, "%llu", number);
	}
	make_printable(ret);
}

static bool is_shown(enum column column, bool wide)
{
	return wide || !columns[column].wide_only;
}

/* Characters, not bytes: UTF-8 continuation bytes take no column. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int put_cell(const char *text, size_t width, bool last, struct buf *ret, struct err *e)
{
	size_t have = width_of(text);
	int pad = last || have >= width ? 0 : (int)(width - have);

	return buf_printf(ret, e, "%s%*s%s", text, pad, "", last ? "\n" : "  ");
}

static int put_row(const struct process_item *p, const size_t *widths, bool wide, struct buf *ret,
		   struct err *e)
{
	char cell[CELL_MAX];
	int r = 0;

	for (int c = 0; r == 0 && c < COLUMN_COUNT; c++) {
		if (!is_shown((enum column)c, wide)) continue;
		if (p)
			format_cell(p, (enum column)c, wide, cell);
		else
			snprintf(cell, sizeof(cell), "%s", columns[c].title);
		r = put_cell(cell, widths[c], c == COLUMN_COMMAND, ret, e);
	}
	return r;
}

static int put_blockers(const struct process_list *list, struct buf *ret, struct err *e)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct process_item *p = &list->v[i];
		int r;

		if (p->verdict.blocker == BLOCKER_NONE) continue;
		r = buf_printf(ret, e, "%d cannot be captured: %s%s%s\n", p->pid, p->verdict.reason,
			       p->verdict.hint[0] ? "; " : "", p->verdict.hint);
		if (r < 0) return r;
	}
	return 0;
}

int ps_print_text(const struct process_list *list, bool wide, struct buf *ret, struct err *e)
{
	size_t widths[COLUMN_COUNT];
	char cell[CELL_MAX];
	int r;

	for (int c = 0; c < COLUMN_COUNT; c++) {
		widths[c] = strlen(columns[c].title);
		for (size_t i = 0; i < list->count && is_shown((enum column)c, wide); i++) {
			format_cell(&list->v[i], (enum column)c, wide, cell);
			widths[c] = MAX(widths[c], width_of(cell));
		}
	}
	r = put_row(NULL, widths, wide, ret, e);
	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = put_row(&list->v[i], widths, wide, ret, e);
	if (r == 0 && wide) r = put_blockers(list, ret, e);
	if (r == 0 && list->cut)
		r = buf_printf(ret, e, "only the first %zu processes are shown\n", list->count);
	for (size_t i = 0; r == 0 && i < list->held.count; i++)
		r = buf_printf(ret, e, "held snapshot: %s\n", list->held.ids[i]);
	return r;
}

static void json_process(const struct process_item *p, struct json *j)
{
	char started[RFC3339_SIZE], state[2] = {p->state, '\0'};
	bool possible = p->verdict.blocker == BLOCKER_NONE;

	json_object(j);
	json_kv_int(j, "pid", p->pid);
	json_kv_uint(j, "ns_pid", p->ns_pid);
	json_kv_uint(j, "ppid", p->ppid);
	json_kv_uint(j, "uid", p->uid);
	json_kv_string(j, "name", p->comm);
	json_kv_string(j, "state", state);
	json_kv_uint(j, "threads", p->threads);
	json_kv_uint(j, "rss_bytes", p->rss_bytes);
	json_kv_string(j, "started", rfc3339_utc((time_t)(p->start_ns / NS_PER_S), started));
	json_kv_string(j, "container_id", p->container_id[0] ? p->container_id : NULL);
	json_kv_string(j, "command", p->command);
	json_key(j, "runtime");
	runtime_guess_json(&p->guess, j);
	json_key(j, "capture");
	json_object(j);
	json_kv_bool(j, "possible", possible);
	if (!possible) {
		json_kv_string(j, "blocker", blocker_name(p->verdict.blocker));
		json_kv_string(j, "reason", p->verdict.reason);
		json_kv_string(j, "hint", p->verdict.hint[0] ? p->verdict.hint : NULL);
	}
	json_object_end(j);
	json_object_end(j);
}

int ps_print_json(const struct process_list *list, struct buf *ret, struct err *e)
{
	struct json j;

	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.ps/1");
	json_kv_bool(&j, "truncated", list->cut);
	json_key(&j, "processes");
	json_array(&j);
	for (size_t i = 0; i < list->count; i++)
		json_process(&list->v[i], &j);
	json_array_end(&j);
	json_key(&j, "held_snapshots");
	json_array(&j);
	for (size_t i = 0; i < list->held.count; i++)
		json_string(&j, list->held.ids[i]);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
