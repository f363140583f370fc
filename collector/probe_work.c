#include "collector/probe_work.h"

#include "base/human.h"
#include "base/log.h"
#include "base/thread.h"
#include "collector/local_answer.h"
#include "collector/local_capture.h"
#include "collector/probe_hold.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/runtime/pick.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define PROGRESS_EVERY_NS (200ull * NS_PER_MS)
enum { THREAD_ROOM = 32 << 20 }; /* what each further compressor may find free */

struct probe_work {
	struct bundle_output out; /* first: the packer emits into it */
	struct probe_link *link;
	struct options *options;
	pthread_t thread;
	uint64_t progress_sent_ns;
};

int probe_link_init(struct probe_link *link, const struct wire_config *config, struct err *e)
{
	*link = (struct probe_link){.wakeup_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (link->wakeup_fd < 0) return err_errno(e, "cannot create an eventfd");
	pthread_mutex_init(&link->lock, NULL);
	pthread_cond_init(&link->room, NULL);
	return wire_new(&link->wire, config, now_ns(), e);
}

static void wake(struct probe_link *link)
{
	uint64_t one = 1;
	(void)!write(link->wakeup_fd, &one, sizeof one);
}

void probe_link_drain_wakeup(struct probe_link *link)
{
	uint64_t count;
	(void)!read(link->wakeup_fd, &count, sizeof count);
}

void probe_link_close(struct probe_link *link)
{
	pthread_mutex_lock(&link->lock);
	link->closed = true;
	pthread_cond_broadcast(&link->room);
	pthread_mutex_unlock(&link->lock);
}

static int gone(struct err *e)
{
	return err_set(e, ERR_CANCELLED, "the client is gone");
}

int probe_link_check(struct probe_link *link, struct err *e)
{
	pthread_mutex_lock(&link->lock);
	int r = link->closed ? gone(e) : 0;
	pthread_mutex_unlock(&link->lock);
	return r;
}

/* With the lock: until the window has room, or the link is closed. */
static int await_window(struct probe_link *link, struct err *e)
{
	while (!link->closed && !wire_may_send(link->wire)) {
		pthread_cond_wait(&link->room, &link->lock);
	}
	return link->closed ? gone(e) : 0;
}

int probe_link_send(struct probe_link *link, enum wire_type type, const void *payload, size_t len,
		    struct err *e)
{
	pthread_mutex_lock(&link->lock);
	int r = link->closed ? gone(e) : 0;
	if (!r && wire_is_stream(type)) r = await_window(link, e);
	if (!r) r = wire_send(link->wire, type, payload, len, e);
	pthread_mutex_unlock(&link->lock);
	wake(link);
	return r;
}

int probe_link_send_data(struct probe_link *link, const struct bundle_frame *frame, struct err *e)
{
	pthread_mutex_lock(&link->lock);
	int r = await_window(link, e);
	if (!r) r = wire_send_data(link->wire, frame, e);
	pthread_mutex_unlock(&link->lock);
	wake(link);
	return r;
}

int probe_link_take_read(struct probe_link *link, const struct wire_frame *f, struct err *e)
{
	struct wire_read read;
	int r = wire_decode_read(f->payload, f->len, &read, e);
	if (r) return r;
	pthread_mutex_lock(&link->lock);
	link->read = read;
	link->has_read = true;
	pthread_cond_broadcast(&link->room);
	pthread_mutex_unlock(&link->lock);
	return 0;
}

/* Waits for one; false once the link is closed. */
static bool await_read(struct probe_link *link, struct wire_read *ret)
{
	pthread_mutex_lock(&link->lock);
	while (!link->closed && !link->has_read)
		pthread_cond_wait(&link->room, &link->lock);
	bool open = !link->closed;
	*ret = link->read;
	link->has_read = false;
	pthread_mutex_unlock(&link->lock);
	return open;
}

static int emit_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	return probe_link_send_data(((struct probe_work *)out)->link, frame, e);
}

static int emit_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	_cleanup_buf_ struct buf payload = BUF_INIT(BUNDLE_FRAME_PLAIN_MAX);
	int r = wire_encode_entry(entry, &payload, e);
	if (r) return r;
	return probe_link_send(((struct probe_work *)out)->link, WIRE_ENTRY, payload.data,
			       payload.len, e);
}

static int work_check(void *ctx, struct err *e)
{
	return probe_link_check(((struct probe_work *)ctx)->link, e);
}

static void work_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct probe_work *w = ctx;
	uint64_t now = now_ns();
	if (done < total && now - w->progress_sent_ns < PROGRESS_EVERY_NS) return;
	w->progress_sent_ns = now;
	_cleanup_buf_ struct buf payload = BUF_INIT(KIB);
	struct wire_progress p = {.plain_done = done, .plain_total = total};
	if (wire_encode_progress(&p, &payload, NULL)) return;
	(void)probe_link_send(w->link, WIRE_PROGRESS, payload.data, payload.len, NULL);
}

/* The answer is the one entry of its stream. */
static int work_answer(struct probe_work *w, struct packer *packer,
		       int (*answer)(const struct options *, struct buf *, struct err *),
		       struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	int r = answer(w->options, &text, e);
	if (!r) r = packer_add(packer, "answer", text.data ? text.data : "", text.len, e);
	return r ? r : packer_flush(packer, e);
}

static int run_verb(struct probe_work *w, struct packer *packer, struct buf *result, struct err *e)
{
	const char *verb = option_string(w->options, OPT_VERB);
	struct capture_hooks hooks = {.check = work_check, .progress = work_progress, .ctx = w};
	if (verb && !strcmp(verb, "capture")) {
		return capture_run(w->options, packer, &hooks, result, e);
	}
	if (verb && !strcmp(verb, "stacks")) return work_answer(w, packer, answer_stacks, e);
	if (verb && !strcmp(verb, "stacks-unless-managed"))
		return work_answer(w, packer, answer_stacks_unless_managed, e);
	if (verb && !strcmp(verb, "ps")) return work_answer(w, packer, answer_ps, e);
	if (verb && !strcmp(verb, "check")) return work_answer(w, packer, answer_check, e);
	return err_set(e, ERR_UNSUPPORTED, "this probe does not know the verb \"%s\"",
		       verb ? verb : "");
}

/* The last word: why it failed (NULL: it did not), and what it found. */
static void send_end(struct probe_link *link, const struct err *why, const struct buf *result)
{
	struct wire_end *end = calloc(1, sizeof *end);
	_cleanup_buf_ struct buf payload = BUF_INIT(64 * KIB);
	if (!end) return;
	pthread_mutex_lock(&link->lock);
	wire_digest(link->wire, end->sha256, &end->data_bytes);
	pthread_mutex_unlock(&link->lock);
	if (why) {
		end->error_code = why->code;
		snprintf(end->text, sizeof end->text, "%s", why->text);
		snprintf(end->hint, sizeof end->hint, "%s", why->hint);
	}
	snprintf(end->result_json, sizeof end->result_json, "%s", result->data ? result->data : "");
	if (!wire_encode_end(end, &payload, NULL)) {
		(void)probe_link_send(link, WIRE_END, payload.data, payload.len, NULL);
	}
	free(end);
}

static void log_to_wire(void *ctx, enum log_level level, const char *line)
{
	struct probe_link *link = ctx;
	uint8_t payload[1024];
	size_t len = MIN(strlen(line), sizeof payload - 1);
	payload[0] = (uint8_t)level;
	memcpy(payload + 1, line, len);
	(void)probe_link_send(link, WIRE_LOG, payload, len + 1, NULL);
}

static uint64_t room_of(pid_t pid)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct cgroup_meter meter = CGROUP_METER_INIT;
	if (!process_open(pid, &p, NULL)) cgroup_meter_open(&p, &meter);
	uint64_t room = cgroup_meter_room(&meter);
	cgroup_meter_done(&meter);
	return room;
}

/* Beside the target's container ours may have no limit of its own, but the pod has one, which
 * cannot be seen from here: it leaves no less than the target's own limit while only that one is
 * used. And the copy of the target is memory of its container wherever we are. */
uint64_t probe_memory_room(const char *container)
{
	pid_t main_process;
	uint64_t room = room_of(getpid());
	if (process_pick(container, &main_process, NULL, NULL)) return room;
	return MIN(room, room_of(main_process));
}

/* The OOM killer takes the largest process of the container: that is the target. */
static int check_memory(uint64_t room, struct err *e)
{
	char left[HUMAN_MAX], need[HUMAN_MAX];
	if (room >= PROBE_ROOM_MIN) return 0;
	err_set(e, ERR_NO_MEMORY,
		"the container's memory limit leaves %s, and the probe may need %s: the process "
		"could be killed for it",
		human_size(room, left), human_size(PROBE_ROOM_MIN, need));
	return err_hint(e, "raise the container's memory limit, or try again when it uses less");
}

static int pack(struct probe_work *w, uint64_t room, struct buf *result, struct err *e)
{
	struct packer *packer = NULL;
	struct packer_config config = {
	    .level = (int)option_int(w->options, OPT_LEVEL),
	    .threads = MIN(capture_threads(w->options),
			   (int)MAX(MIN(room / THREAD_ROOM, (uint64_t)PACKER_THREADS_MAX), 1)),
	    .mtime_s = time(NULL),
	};
	int r = packer_new(&packer, &config, &w->out, e);
	if (!r) r = run_verb(w, packer, result, e);
	packer_free(packer);
	return r;
}

/* Until the last client is gone. */
static void answer_reads(struct probe_work *w, struct hold *hold)
{
	struct wire_read read;
	while (await_read(w->link, &read)) {
		_cleanup_buf_ struct buf reply = BUF_INIT(WIRE_PAYLOAD_MAX);
		struct err e = {0};
		if (hold_answer(hold, &read, &reply, &e) ||
		    probe_link_send(w->link, WIRE_READ_REPLY, reply.data, reply.len, &e)) {
			log_warn_err(&e);
		}
	}
}

static bool wants_hold(const struct options *options)
{
	const char *verb = option_string(options, OPT_VERB);
	return verb && !strcmp(verb, "hold");
}

static void *work_main(void *arg)
{
	struct probe_work *w = arg;
	struct err e = {0};
	uint64_t room = probe_memory_room(option_string(w->options, OPT_CONTAINER_ID));
	_cleanup_buf_ struct buf result = BUF_INIT(WIRE_RESULT_MAX - 1);
	struct hold *hold = NULL;
	int r = check_memory(room, &e);
	if (!r)
		r = wants_hold(w->options) ? hold_new(w->options, &hold, &result, &e)
					   : pack(w, room, &result, &e);
	send_end(w->link, r ? &e : NULL, &result);
	if (hold) answer_reads(w, hold);
	hold_free(hold);
	return NULL;
}

int probe_work_start(struct probe_link *link, const void *request, size_t len,
		     struct probe_work **ret, struct err *e)
{
	struct probe_work *w = calloc(1, sizeof *w);
	if (!w) return err_set(e, ERR_NO_MEMORY, "no memory");
	w->out = (struct bundle_output){.frame = emit_frame, .entry = emit_entry};
	w->link = link;
	int r = options_new(&w->options, option_table, OPT_COUNT, e);
	if (!r) r = options_parse_request(w->options, request, len, e);
	if (!r) {
		bool trace = option_bool(w->options, OPT_TRACE);
		bool verbose = option_bool(w->options, OPT_VERBOSE);
		log_set_level(trace ? LOG_TRACE : verbose ? LOG_DEBUG : LOG_INFO);
		log_set_sink(log_to_wire, link);
		r = thread_start(&w->thread, work_main, w, e);
	}
	if (r) {
		const struct buf nothing = {0};
		send_end(link, e, &nothing);
		log_set_sink(NULL, NULL);
		options_free(w->options);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

bool probe_work_is_held(const struct probe_work *work)
{
	return option_int(work->options, OPT_HOLD) > 0 && wants_hold(work->options);
}

uint64_t probe_work_resume_ns(const struct probe_work *work)
{
	bool held = probe_work_is_held(work);
	return (uint64_t)option_int(work->options, held ? OPT_HOLD : OPT_RESUME_WINDOW);
}

void probe_work_end(struct probe_work *work)
{
	if (!work) return;
	pthread_join(work->thread, NULL);
	log_set_sink(NULL, NULL);
	options_free(work->options);
	free(work);
}
