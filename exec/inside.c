#include "exec/inside.h"

#include "exec/kube_internal.h"
#include "exec/push.h"
#include "exec/remote.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS (30ull * NS_PER_S)

enum { OUTPUT_MAX = 1 << 20, ERRORS_MAX = 4 << 10, POLL_MS = 200 };

/*
 * For dash, bash and busybox ash. It opens nothing for writing but /dev/null, has no here-document
 * (bash may keep one in a file) and waits for every process it starts.
 *
 * - The process is the one that dumpers/runtime/pick.c picks: the lowest pid in the shell's own
 *   control groups that is no zombie, or the only child of an init or shell, if that runs as long.
 * - /proc/PID/personality asks the kernel for the right to trace, /proc/PID/maps for that to read.
 * - `test -w` of busybox knows no read-only mounts for root: the mounts are printed, too.
 * - bash reads ahead in a file and seeks back: of a status that grew meanwhile it would lose lines.
 * - The tools are tried as exec/push.c does.
 */
const char inside_script[] =
    "p() { printf '%s\\n' \"$*\"; }\n"
    "group() { g=''; while read -r l; do g=\"$g$l;\"; done <\"/proc/$1/cgroup\"; }\n"
    "state() { s='' q=''; while read -r k v x; do"
    " case $k in State:) s=$v;; PPid:) q=$v;; esac; done <\"/proc/$1/status\"; }\n"
    "began() { b=''; read -r l <\"/proc/$1/stat\" && set -f && set -- ${l##*) } && b=${20};"
    " set +f; }\n"
    "lines() { if command -v cat >/dev/null; then cat \"$1\"; else"
    " while IFS= read -r l; do p \"$l\"; done <\"$1\"; fi; }\n"
    "status() { lines \"/proc/$1/status\" | while IFS= read -r l; do p \"$2 $l\"; done; }\n"
    "value() { { [ ! -r \"$2\" ] || ! read -r x <\"$2\"; } || p \"$1 $x\"; }\n"
    "may() { [ -e \"$2\" ] || return 0\n"
    " if { read -r x <\"$2\"; } 2>/dev/null; then p \"$1 yes\"; else p \"$1 no\"; fi; }\n"
    "row() { while read -r k v x; do [ \"$k\" != \"$1\" ] || p \"$2 $v\"; done <\"$3\"; }\n"
    "t=$1 CDPATH=''\n"
    "if [ -z \"$t\" ]; then\n"
    " group $$; own=$g\n"
    " for d in /proc/[0-9]*; do\n"
    "  n=${d#/proc/}\n"
    "  [ \"$n\" != $$ ] || continue\n"
    "  [ -z \"$t\" ] || [ \"$n\" -lt \"$t\" ] || continue\n"
    "  state \"$n\"\n"
    "  case $s in ''|Z|X) continue;; esac\n"
    "  group \"$n\"\n"
    "  [ \"$g\" != \"$own\" ] || t=$n\n"
    " done 2>/dev/null\n"
    " i=0\n"
    " while [ -n \"$t\" ] && [ $i -lt 8 ]; do\n"
    "  i=$((i + 1)) c=''\n"
    "  read -r m <\"/proc/$t/comm\"\n"
    "  case $m in\n"
    "  tini|tini-static|dumb-init|docker-init|catatonit|sh|ash|bash|dash|busybox) ;;\n"
    "  *) [ \"/proc/$t/exe\" -ef \"/proc/$$/exe\" ] || break;;\n"
    "  esac\n"
    "  for d in /proc/[0-9]*; do\n"
    "   n=${d#/proc/}\n"
    "   state \"$n\"\n"
    "   case $s in ''|Z|X) continue;; esac\n"
    "   if [ \"$q\" = \"$t\" ]; then c=\"$c $n\"; fi\n"
    "  done\n"
    "  case $c in ''|*' '*' '*) break;; esac\n"
    "  c=${c# }\n"
    "  read -r u x </proc/uptime\n"
    "  began \"$t\"; a=$b; began \"$c\"\n"
    "  [ $((${u%.*} * 100 + 100 - b)) -ge $((b - a)) ] || break\n"
    "  t=$c\n"
    " done 2>/dev/null\n"
    "fi\n"
    "p \"machine $(uname -m 2>/dev/null)\"\n"
    "if head -c 1 </dev/zero >/dev/null 2>&1; then p tool head\n"
    "elif dd bs=1 count=1 </dev/zero >/dev/null 2>&1; then p tool dd; fi\n"
    "status $$ self\n"
    "if [ -n \"$t\" ] && [ -e \"/proc/$t/status\" ]; then\n"
    " p \"pid $t\"\n"
    " status \"$t\" target\n"
    " may attach \"/proc/$t/personality\"\n"
    " may read \"/proc/$t/maps\"\n"
    " if [ -O \"/proc/$t/status\" ]; then p owner yes; else p owner no; fi\n"
    " if [ -e \"/proc/$t/ns/user\" ]; then\n"
    "  if [ \"/proc/$t/ns/user\" -ef /proc/$$/ns/user ]; then p userns yes;"
    " else p userns no; fi\n"
    " fi\n"
    "fi 2>/dev/null\n"
    "value yama /proc/sys/kernel/yama/ptrace_scope\n"
    "c=/sys/fs/cgroup\n"
    "if [ -e $c/memory/memory.limit_in_bytes ]; then\n"
    " c=$c/memory\n"
    " value limit $c/memory.limit_in_bytes; value usage $c/memory.usage_in_bytes\n"
    " row total_inactive_file inactive $c/memory.stat\n"
    "elif [ -e $c/memory.max ]; then\n"
    " value limit $c/memory.max; value usage $c/memory.current\n"
    " row inactive_file inactive $c/memory.stat\n"
    "fi 2>/dev/null\n"
    "row MemAvailable: available_kib /proc/meminfo 2>/dev/null\n"
    "for d in " PUSH_PLACES "; do\n"
    " [ -n \"$d\" ] || continue\n"
    " (\n"
    "  if ! cd -- \"$d\" 2>/dev/null; then p \"place missing - $d\"; exit; fi\n"
    "  w=no\n"
    "  [ ! -w . ] || w=yes\n"
    "  d=$(pwd -P)\n"
    "  set -f; set -- $(df -Pk . 2>/dev/null)\n"
    "  p \"place $w ${11:--} $d\"\n"
    " )\n"
    "done\n"
    "while read -r x m y o x; do p \"mount $o $m\"; done </proc/self/mounts\n"
    "p end\n";

/* --- what it says --- */

void inside_done(struct inside *in)
{
	buf_done(&in->self);
	buf_done(&in->target);
}

static void init(struct inside *in)
{
	*in = (struct inside){
	    .self = BUF_INIT(INSIDE_STATUS_MAX),
	    .target = BUF_INIT(INSIDE_STATUS_MAX),
	    .limit = INSIDE_UNKNOWN,
	    .usage = INSIDE_UNKNOWN,
	    .inactive = INSIDE_UNKNOWN,
	    .available = INSIDE_UNKNOWN,
	};
}

/* A line, not terminated, that is taken apart from its start. */
struct words {
	const char *at, *end;
};

/* The next word, "" at the end, cut to size; one space ends it. */
static void next_word(struct words *w, char *ret, size_t size)
{
	const char *space = memchr(w->at, ' ', (size_t)(w->end - w->at));
	const char *end = space ? space : w->end;

	snprintf(ret, size, "%.*s", (int)MIN((size_t)(end - w->at), size - 1), w->at);
	w->at = space ? space + 1 : w->end;
}

/* The rest, cut to size, for a terminal. */
static void rest_of(struct words *w, char *ret, size_t size)
{
	size_t len = MIN((size_t)(w->end - w->at), size - 1);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)w->at[i];

		ret[i] = (c < ' ' || c == 0x7f) ? '?' : (char)c;
	}
	ret[len] = '\0';
}

/* Decimal digits that fit; else ret stays. "max" is the v2 word for no limit. */
static void take_number(const char *text, uint64_t unit, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 19) return;
	for (; *text; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	if (value <= INSIDE_UNKNOWN / unit) *ret = value * unit;
}

static enum inside_answer answer_of(const char *word)
{
	return strcmp(word, "yes") == 0  ? INSIDE_YES
	       : strcmp(word, "no") == 0 ? INSIDE_NO
					 : INSIDE_NOT_SAID;
}

static void take_place(struct words *w, struct inside *in)
{
	struct inside_place *p;
	char word[32];

	if (in->place_count == INSIDE_PLACES_MAX) return;
	p = &in->places[in->place_count++];
	*p = (struct inside_place){.free_bytes = INSIDE_UNKNOWN};
	next_word(w, word, sizeof(word));
	p->exists = answer_of(word) != INSIDE_NOT_SAID;
	p->writable = answer_of(word) == INSIDE_YES;
	next_word(w, word, sizeof(word));
	take_number(word, KIB, &p->free_bytes);
	rest_of(w, p->path, sizeof(p->path));
}

/* A status file that grows too long is cut: what counts stands at its start. */
static void take_status(struct words *w, struct buf *ret)
{
	size_t len = (size_t)(w->end - w->at);

	if (len >= ret->max - ret->len) return;
	buf_append(ret, w->at, len, NULL);
	buf_append(ret, "\n", 1, NULL);
}

static void take_fact(const char *key, struct words *w, struct inside *in)
{
	char word[32];
	uint64_t number = 0;

	next_word(w, word, sizeof(word));
	if (strcmp(key, "tool") == 0) {
		if (strcmp(word, "head") == 0 || strcmp(word, "dd") == 0)
			snprintf(in->tool, sizeof(in->tool), "%.7s", word);
	} else if (strcmp(key, "pid") == 0) {
		take_number(word, 1, &in->pid);
	} else if (strcmp(key, "attach") == 0) {
		in->attach = answer_of(word);
	} else if (strcmp(key, "read") == 0) {
		in->read = answer_of(word);
	} else if (strcmp(key, "owner") == 0) {
		in->owner = answer_of(word);
	} else if (strcmp(key, "userns") == 0) {
		in->same_userns = answer_of(word);
	} else if (strcmp(key, "yama") == 0) {
		take_number(word, 1, &number);
		in->yama_scope = number <= 3 ? (int)number : 0;
	} else if (strcmp(key, "limit") == 0) {
		take_number(word, 1, &in->limit);
	} else if (strcmp(key, "usage") == 0) {
		take_number(word, 1, &in->usage);
	} else if (strcmp(key, "inactive") == 0) {
		take_number(word, 1, &in->inactive);
	} else if (strcmp(key, "available_kib") == 0) {
		take_number(word, KIB, &in->available);
	}
}

static bool take_line(const char *line, size_t len, struct inside *in)
{
	struct words w = {line, line + len};
	char key[16];

	next_word(&w, key, sizeof(key));
	if (strcmp(key, "end") == 0) return true;
	if (strcmp(key, "self") == 0)
		take_status(&w, &in->self);
	else if (strcmp(key, "target") == 0)
		take_status(&w, &in->target);
	else if (strcmp(key, "machine") == 0)
		rest_of(&w, in->machine, sizeof(in->machine));
	else if (strcmp(key, "place") == 0)
		take_place(&w, in);
	else if (strcmp(key, "mount") != 0)
		take_fact(key, &w, in);
	return false;
}

/* --- mounts --- */

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = options; *p; p += strcspn(p, ","), p += *p == ',')
		if (strcspn(p, ",") == len && memcmp(p, name, len) == 0) return true;
	return false;
}

/* "\040" and the like, in place. https://man7.org/linux/man-pages/man5/fstab.5.html */
static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p;) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
}

/* Is path at or below the mount point? */
static bool is_below(const char *path, const char *point)
{
	size_t len = strlen(point);

	if (strcmp(point, "/") == 0) return path[0] == '/';
	return strncmp(path, point, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A mount says what holds for the places on it; of several the longest, and then the last. */
static void take_mount(struct words *w, struct inside *in, size_t lengths[INSIDE_PLACES_MAX])
{
	char options[512], point[INSIDE_PATH_MAX + 4];

	next_word(w, options, sizeof(options));
	rest_of(w, point, sizeof(point));
	unescape(point);
	for (size_t i = 0; i < in->place_count; i++) {
		struct inside_place *p = &in->places[i];

		if (!is_below(p->path, point) || strlen(point) < lengths[i]) continue;
		lengths[i] = strlen(point);
		p->read_only = has_option(options, "ro");
		p->noexec = has_option(options, "noexec");
	}
}

int inside_parse(const char *text, size_t len, struct inside *ret, struct err *e)
{
	size_t lengths[INSIDE_PLACES_MAX] = {0};
	bool ended = false;

	init(ret);
	for (const char *end = text + len; !ended && len > 0;) {
		const char *stop = memchr(text, '\n', len);
		struct words w = {text + strlen("mount "), stop};

		if (!stop) break; /* a line that was cut */
		if (stop - text > (ptrdiff_t)strlen("mount ") &&
		    memcmp(text, "mount ", strlen("mount ")) == 0)
			take_mount(&w, ret, lengths);
		else
			ended = take_line(text, (size_t)(stop - text), ret);
		text = stop + 1;
		len = (size_t)(end - text);
	}
	return ended ? 0
		     : err_set(e, ERR_TRUNCATED,
			       "the look inside the container did not come to its end");
}

/* --- what follows from it --- */

static const char *place_problem(const struct inside_place *p, uint64_t bytes)
{
	return !p->exists              ? "does not exist"
	       : p->read_only          ? "read-only"
	       : !p->writable          ? "not writable"
	       : p->noexec             ? "noexec"
	       : p->free_bytes < bytes ? "too little free"
				       : NULL;
}

const struct inside_place *inside_find_place(const struct inside *in, uint64_t bytes, char *ret_why,
					     size_t size)
{
	size_t len = 0;

	ret_why[0] = '\0';
	for (size_t i = 0; i < in->place_count; i++) {
		const char *problem = place_problem(&in->places[i], bytes);
		int n;

		if (!problem) return &in->places[i];
		n = snprintf(ret_why + len, size - len, "%s%.60s: %s", len ? ", " : "",
			     in->places[i].path, problem);
		len = MIN(len + (size_t)MAX(n, 0), size - 1);
	}
	return NULL;
}

uint64_t inside_memory_room(const struct inside *in)
{
	uint64_t used, inactive = in->inactive == INSIDE_UNKNOWN ? 0 : in->inactive;

	if (in->limit == INSIDE_UNKNOWN || in->usage == INSIDE_UNKNOWN) return in->available;
	used = in->usage - MIN(in->usage, inactive);
	return MIN(in->available, in->limit - MIN(in->limit, used));
}

/* --- the look --- */

struct look {
	struct buf out, errors;
};

static int take_output(void *ctx, int channel, const uint8_t *data, size_t len, struct err *e)
{
	struct look *look = ctx;

	if (channel == REMOTE_STDOUT) return buf_append(&look->out, data, len, e);
	/* The first words are the ones that say why. */
	buf_append(&look->errors, data, MIN(len, look->errors.max - look->errors.len), NULL);
	return 0;
}

static int await_end(const struct kube *k, struct remote *r, struct err *e)
{
	uint64_t deadline = now_ns() + LOOK_NS;

	for (;;) {
		struct pollfd fd;
		int code = remote_receive(r, e);

		if (code < 0) return code;
		if (code > 0) continue;
		if (remote_ended(r) || remote_status(r)->known) return 0;
		code = remote_flush(r, e);
		if (code < 0) return code;
		if (k->cancel && atomic_load(k->cancel))
			return err_set(e, ERR_CANCELLED, "cancelled");
		if (now_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT,
				       "the look inside the container took longer than %llu s",
				       LOOK_NS / NS_PER_S);
		fd = (struct pollfd){.fd = remote_fd(r), .events = POLLIN};
		if (remote_wants_write(r)) fd.events |= POLLOUT;
		poll(&fd, 1, POLL_MS);
	}
}

/* Why the script was not run, or did not come to its end. */
static int look_error(const struct look *look, const struct pod_target *t,
		      const struct remote_status *status, struct err *e)
{
	const char *reason = strstr(status->message, "exec: \"");

	if (!status->known || status->success) return -e->code;
	if (strstr(status->message, "container not found"))
		return err_set(e, ERR_GONE, "container %s of pod %s does not run: %s", t->container,
			       t->pod, status->message);
	if (strstr(status->message, "executable file not found") || status->exit_code == 126 ||
	    status->exit_code == 127)
		return err_set(e, ERR_UNSUPPORTED, "container %s of pod %s has no shell: %s",
			       t->container, t->pod, reason ? reason : status->message);
	if (look->errors.len > 0)
		return err_set(e, ERR_LIMIT, "the shell in pod %s, container %s, gave up: %.*s",
			       t->pod, t->container,
			       (int)MIN(strcspn(look->errors.data, "\n"), 300u), look->errors.data);
	return err_set(e, ERR_SERVER, "exec into pod %s, container %s: %s", t->pod, t->container,
		       status->message);
}

static int run_script(struct kube *k, const struct pod_target *target, int64_t pid,
		      struct look *look, struct inside *ret, struct err *e)
{
	_cleanup_remote_ struct remote *r = NULL;
	char pid_text[24] = "";
	const char *command[] = {"sh", "-c", inside_script, "podsnap", pid_text};
	struct remote_config config = {
	    .target = target,
	    .command = command,
	    .command_count = ARRAY_SIZE(command),
	    .cancel = k->cancel,
	    .data = take_output,
	    .ctx = look,
	};
	int code;

	if (pid > 0) snprintf(pid_text, sizeof(pid_text), "%lld", (long long)pid);
	code = remote_open(k, &config, &r, e);
	if (code == 0) code = await_end(k, r, e);
	if (code < 0) return code;
	code = inside_parse(look->out.data ? look->out.data : "", look->out.len, ret, e);
	return code < 0 ? look_error(look, target, remote_status(r), e) : 0;
}

int inside_look(struct kube *k, const struct pod_target *target, int64_t pid, struct inside *ret,
		struct err *e)
{
	struct look look = {.out = BUF_INIT(OUTPUT_MAX), .errors = BUF_INIT(ERRORS_MAX)};
	struct err local;
	int r;

	init(ret);
	r = run_script(k, target, pid, &look, ret, e ? e : &local);
	buf_done(&look.out);
	buf_done(&look.errors);
	return r;
}
