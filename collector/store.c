#include "collector/store.h"

#include "base/log.h"
#include "base/rfc3339.h"
#include "collector/bundle_name.h"
#include "collector/cancel.h"
#include "upload/sink.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

/* Of all stores that are open at a time, of one, and what lets a frame in while another is written.
 */
enum { QUEUES_BYTES = 16 << 20, QUEUE_MAX = 8 << 20, QUEUE_MIN = 2 << 20 };
enum { HELD_FRAMES_MAX = 4 };

struct held_frame {
	struct bundle_frame frame;
	void *data;
};

struct store {
	struct bundle_output out; /* first */
	const struct options *options;
	const struct meta_pod *pod;
	size_t queue_bytes;
	bool verify;                             /* what came over a network */
	struct held_frame held[HELD_FRAMES_MAX]; /* came before the first entry */
	size_t held_count;
	struct sink *sink;
	struct assembler *assembler;
	struct bundle_output *stream;
	time_t created;
	int room_fd; /* epoll over the sink's wake-up, which comes into being later */
};

static int write_to_sink(void *ctx, const void *data, size_t len, struct err *e)
{
	return sink_write(((struct store *)ctx)->sink, data, len, e);
}

static void cancel_sink(void *sink)
{
	sink_cancel(sink);
}

static int open_sink(struct store *s, const struct bundle_entry *first, struct err *e)
{
	char name[BUNDLE_FILE_NAME_MAX];
	bundle_name(s->pod ? s->pod->target : NULL, first->name, s->created, name);
	struct sink_config config = {
	    .name = name,
	    .force = option_bool(s->options, OPT_FORCE),
	    .s3_endpoint = option_string(s->options, OPT_S3_ENDPOINT),
	    .s3_region = option_string(s->options, OPT_S3_REGION),
	    .s3_profile = option_string(s->options, OPT_S3_PROFILE),
	    .s3_path_style = option_bool(s->options, OPT_S3_PATH_STYLE),
	    .ca_file = option_string(s->options, OPT_CA_FILE),
	    .retries = (int)option_int(s->options, OPT_RETRIES),
	};
	struct sink *inner = NULL;
	int r = sink_open(option_string(s->options, OPT_OUTPUT), &config, &inner, e);
	if (r) return r;
	r = sink_threaded(inner, s->queue_bytes, &s->sink, e);
	if (r) {
		sink_free(inner);
		return r;
	}
	r = cancel_watch(cancel_sink, s->sink, e);
	if (r) return r;
	struct epoll_event event = {.events = EPOLLIN};
	if (epoll_ctl(s->room_fd, EPOLL_CTL_ADD, sink_wakeup_fd(s->sink), &event)) {
		return err_errno(e, "epoll_ctl");
	}
	return 0;
}

static int new_packer(struct store *s, struct packer **ret, struct err *e)
{
	struct packer_config config = {.level = 1, .threads = 1, .mtime_s = s->created};
	return packer_new(ret, &config, assembler_stream(s->assembler, false), e);
}

static int write_meta(struct store *s, struct err *e)
{
	_cleanup_buf_ struct buf meta = BUF_INIT(MIB);
	struct packer *packer = NULL;
	int r = meta_json(s->options, s->pod, s->created, &meta, e);
	if (!r) r = new_packer(s, &packer, e);
	if (!r) r = packer_add(packer, "meta.json", meta.data, meta.len, e);
	if (!r) r = packer_flush(packer, e);
	packer_free(packer);
	return r;
}

static int start(struct store *s, const struct bundle_entry *first, struct err *e)
{
	int r = open_sink(s, first, e);
	if (!r) r = assembler_new(&s->assembler, write_to_sink, s, e);
	if (!r) r = write_meta(s, e);
	if (r) return r;
	s->stream = assembler_stream(s->assembler, s->verify);
	for (size_t i = 0; !r && i < s->held_count; i++) {
		r = s->stream->frame(s->stream, &s->held[i].frame, e);
		free(s->held[i].data);
		s->held[i].data = NULL;
	}
	s->held_count = 0;
	return r;
}

static int hold_frame(struct store *s, const struct bundle_frame *frame, struct err *e)
{
	if (s->held_count == HELD_FRAMES_MAX) {
		return err_set(e, ERR_PROTOCOL, "no entry came with the first frames");
	}
	struct held_frame *h = &s->held[s->held_count];
	h->data = malloc(frame->len);
	if (!h->data) return err_set(e, ERR_NO_MEMORY, "no memory for a frame");
	memcpy(h->data, frame->data, frame->len);
	h->frame = *frame;
	h->frame.data = h->data;
	s->held_count++;
	return 0;
}

static int take_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	struct store *s = (struct store *)out;
	return s->stream ? s->stream->frame(s->stream, frame, e) : hold_frame(s, frame, e);
}

static int take_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	struct store *s = (struct store *)out;
	int r = s->stream ? 0 : start(s, entry, e);
	return r ? r : s->stream->entry(s->stream, entry, e);
}

int store_new(struct store **ret, const struct options *options, const struct meta_pod *pod,
	      size_t at_a_time, struct err *e)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory");
	s->out = (struct bundle_output){.frame = take_frame, .entry = take_entry};
	s->options = options;
	s->pod = pod;
	s->queue_bytes = MIN(MAX(QUEUES_BYTES / at_a_time, (size_t)QUEUE_MIN), (size_t)QUEUE_MAX);
	s->verify = pod != NULL;
	s->created = time(NULL);
	s->room_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->room_fd < 0) {
		free(s);
		return err_errno(e, "epoll_create1");
	}
	*ret = s;
	return 0;
}

void store_free(struct store *s)
{
	if (!s) return;
	for (size_t i = 0; i < s->held_count; i++)
		free(s->held[i].data);
	assembler_free(s->assembler);
	cancel_unwatch(s->sink);
	sink_free(s->sink);
	close(s->room_fd);
	free(s);
}

struct bundle_output *store_output(struct store *s)
{
	return &s->out;
}

int store_packer(struct store *s, struct packer **ret, struct err *e)
{
	if (!s->stream) return err_set(e, ERR_INTERNAL, "the capture gave no entry");
	return new_packer(s, ret, e);
}

int store_end_broken(struct store *s, const char *why, struct err *e)
{
	if (!s->stream) return err_set(e, ERR_INTERNAL, "the capture gave no entry");
	return assembler_end_broken(s->assembler, why, e);
}

int store_commit(struct store *s, const char *result_json, struct err *e)
{
	if (!s->stream) return err_set(e, ERR_INTERNAL, "the capture gave no entry");
	char created[RFC3339_SIZE];
	struct bundle_summary summary = {
	    .tool = "podsnap " PODSNAP_VERSION,
	    .created = rfc3339_utc(s->created, created),
	    .extra_json = result_json,
	};
	int r = assembler_finish(s->assembler, &summary, e);
	return r ? r : sink_commit(s->sink, e);
}

void store_abort(struct store *s, bool keep_partial)
{
	if (!s->sink) return;
	_cleanup_free_ char *kept = NULL;
	sink_abort(s->sink, keep_partial, &kept);
	if (kept) log_warn("what came before the failure is kept, truncated, in %s", kept);
}

void store_totals(const struct store *s, struct bundle_totals *ret)
{
	*ret = (struct bundle_totals){0};
	if (s->assembler) assembler_totals(s->assembler, ret);
}

const char *store_location(const struct store *s)
{
	return s->sink && s->sink->location ? s->sink->location : "";
}

size_t store_room(void *store)
{
	struct store *s = store;
	return s->sink ? sink_room(s->sink) : SIZE_MAX;
}

int store_room_fd(const struct store *s)
{
	return s->room_fd;
}
