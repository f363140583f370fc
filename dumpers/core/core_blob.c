#include "dumpers/core/core_blob.h"

#include "base/search.h"
#include "dumpers/core/core_internal.h"
#include "dumpers/snapshot/live.h"

#include <inttypes.h>
#include <string.h>

enum { HEAD_MAX = 256 << 20 };

struct core_blob {
	struct blob blob; /* first */
	struct core *core;
	struct buf head;        /* all before the data */
	uint64_t *load_offsets; /* in the file, of each load's data; ascending */
};

/* --- the head --- */

struct head_sink {
	struct core_sink sink; /* first */
	struct buf *buf;
};

static int head_reserve(struct core_sink *sink, void **ret_data, size_t *ret_len, struct err *e)
{
	char *room;
	int r = buf_reserve(((struct head_sink *)sink)->buf, CORE_PAGE, &room, e);

	*ret_data = room;
	*ret_len = CORE_PAGE;
	return r;
}

static int head_commit(struct core_sink *sink, size_t len, struct err *e)
{
	((struct head_sink *)sink)->buf->len += len;
	return 0;
}

static int write_head(struct core_blob *b, struct err *e)
{
	struct head_sink sink = {{.reserve = head_reserve, .commit = head_commit}, &b->head};
	struct core_out out = {.sink = &sink.sink, .e = e};

	core_put_head(b->core, &out);
	return out.r;
}

/* --- the data --- */

/* The load whose data holds the offset, which is behind the head and before the end. */
static size_t load_at(const struct core_blob *b, uint64_t offset)
{
	return first_above(b->load_offsets, b->core->load_count, sizeof(*b->load_offsets), offset) -
	       1;
}

static int unreadable(uint64_t addr, struct err *e)
{
	return err_set(e, ERR_IO, "the memory at 0x%" PRIx64 " cannot be read", addr);
}

static int given_up(const struct core_blob *b, struct err *e)
{
	struct live_pause pause;

	snapshot_live_pause(b->core->s, &pause);
	err_set(e, ERR_GONE, "the snapshot was given up: %s",
		pause.why ? pause.why : "its child was killed");
	return err_hint(e, "take another one, or a bundle: podsnap capture");
}

/* At least one byte and at most len at addr; returns their number, or an error. */
static int64_t read_some(const struct core_blob *b, uint64_t addr, uint8_t *data, size_t len,
			 struct err *e)
{
	const struct range *filler = range_list_next(&b->core->filler, addr);
	enum mem_state state;
	size_t n;

	if (filler && filler->start <= addr) {
		n = (size_t)MIN(filler->end - addr, (uint64_t)len);
		memset(data, 0, n);
		return (int64_t)n;
	}
	if (filler) len = (size_t)MIN(filler->start - addr, (uint64_t)len);
	n = snapshot_read(b->core->s, addr, data, len, &state);
	if (snapshot_live_torn(b->core->s, addr)) return given_up(b, e);
	if (state == MEM_ZERO)
		memset(data, 0, n);
	else if (state != MEM_BYTES)
		return unreadable(addr, e);
	return (int64_t)n;
}

static int read_load(const struct core_blob *b, uint64_t offset, uint8_t *data, size_t len,
		     size_t *ret_len, struct err *e)
{
	size_t index = load_at(b, offset), done = 0;
	const struct core_load *load = &b->core->loads[index];
	uint64_t addr = load->start + (offset - b->load_offsets[index]);

	len = (size_t)MIN((uint64_t)len, load->data_end - addr);
	while (done < len) {
		int64_t n = read_some(b, addr + done, data + done, len - done, e);

		if (n < 0) return (int)n;
		done += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

static int core_blob_read_at(struct blob *blob, uint64_t offset, void *data, size_t len,
			     struct err *e)
{
	const struct core_blob *b = (struct core_blob *)blob;
	uint8_t *p = data;

	while (len > 0) {
		size_t n = 0;
		int r = 0;

		if (offset < b->head.len) {
			n = (size_t)MIN((uint64_t)len, b->head.len - offset);
			memcpy(p, b->head.data + offset, n);
		} else {
			r = read_load(b, offset, p, len, &n, e);
		}
		if (r < 0) return r;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static void core_blob_free(struct blob *blob)
{
	struct core_blob *b = (struct core_blob *)blob;

	buf_done(&b->head);
	free(b->load_offsets);
	free(b);
}

static int lay_out(struct core_blob *b, struct err *e)
{
	uint64_t offset = b->core->data_offset;

	b->load_offsets = calloc(MAX(b->core->load_count, (size_t)1), sizeof(*b->load_offsets));
	if (!b->load_offsets) return err_set(e, ERR_NO_MEMORY, "the offsets of a core");
	for (size_t i = 0; i < b->core->load_count; i++) {
		b->load_offsets[i] = offset;
		offset += b->core->loads[i].data_end - b->core->loads[i].start;
	}
	return write_head(b, e);
}

int core_open_blob(struct core *c, struct blob **ret, struct err *e)
{
	static const struct blob_ops ops = {core_blob_read_at, core_blob_free};
	struct core_blob *b = calloc(1, sizeof(*b));
	int r;

	if (!b) return err_set(e, ERR_NO_MEMORY, "a core to be read at random");
	blob_init(&b->blob, &ops, core_size(c));
	buf_init(&b->head, HEAD_MAX);
	b->core = c;
	r = lay_out(b, e);
	if (r < 0)
		core_blob_free(&b->blob);
	else
		*ret = &b->blob;
	return r;
}
