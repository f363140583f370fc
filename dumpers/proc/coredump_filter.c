#include "dumpers/proc/coredump_filter.h"

#include "dumpers/proc/maps.h"
#include "dumpers/proc/scan.h"

#include <fcntl.h>
#include <string.h>

enum { MASK_TEXT_MAX = 64, SMAPS_PIECE = 64 << 10 };

int coredump_filter_parse_mask(const char *text, size_t len, uint32_t *ret, struct err *e)
{
	struct scan s = scan_of(text, len);

	/* Of a process that has no memory any more the kernel says nothing. */
	if (len == 0) return err_set(e, ERR_GONE, "coredump_filter: the process has ended");
	if (!scan_u32(&s, 16, ret) || (scan_left(&s) && !scan_equals(&s, "\n")))
		return err_set(e, ERR_CORRUPT, "coredump_filter: \"%.*s\" is no mask",
			       (int)MIN(len, (size_t)20), text);
	return 0;
}

/* "start-end ..." of a map's head line; false on any other line, whose keys end in a colon. */
static bool parse_head(struct scan line, struct range *ret)
{
	struct range map;

	if (!scan_u64(&line, 16, &map.start) || !scan_char(&line, '-') ||
	    !scan_u64(&line, 16, &map.end) || !scan_char(&line, ' ') || map.end <= map.start)
		return false;
	*ret = map;
	return true;
}

static int parse_flags(struct scan line, const struct range *map, struct coredump_filter *ret,
		       struct err *e)
{
	struct scan flag;
	int r = 0;

	while (!r && scan_field(&line, &flag)) {
		if (scan_equals(&flag, "ht"))
			r = range_list_add(&ret->huge, map->start, map->end, e);
		else if (scan_equals(&flag, "dd"))
			r = range_list_add(&ret->dontdump, map->start, map->end, e);
	}
	return r;
}

int coredump_filter_parse_smaps(const char *text, size_t len, struct range *at,
				struct coredump_filter *ret, struct err *e)
{
	struct scan s = scan_of(text, len), line;
	int r = 0;

	while (!r && scan_line(&s, &line)) {
		if (!parse_head(line, at) && scan_literal(&line, "VmFlags:"))
			r = parse_flags(line, at, ret, e);
	}
	return r;
}

/* Piece by piece: the text is far longer than that of maps. */
static int read_smaps(int fd, struct coredump_filter *ret, struct err *e)
{
	_cleanup_free_ char *piece = malloc(SMAPS_PIECE);
	struct range at = {0};
	size_t have = 0, n = 1;
	int r = piece ? 0 : err_set(e, ERR_NO_MEMORY, "smaps");

	while (!r && n) {
		const char *end;
		size_t whole;

		r = io_read_up_to(fd, piece + have, SMAPS_PIECE - have, &n, "smaps", e);
		if (r) break;
		have += n;
		end = memrchr(piece, '\n', have);
		if (!end && have == SMAPS_PIECE)
			return err_set(e, ERR_CORRUPT, "smaps: a line of %zu bytes", have);
		whole = end ? (size_t)(end - piece) + 1 : 0;
		r = coredump_filter_parse_smaps(piece, whole, &at, ret, e);
		have -= whole;
		memmove(piece, piece + whole, have);
	}
	return r;
}

int process_coredump_filter(const struct process *p, struct coredump_filter *ret, struct err *e)
{
	_cleanup_coredump_filter_ struct coredump_filter f = {
	    .huge = RANGE_LIST_INIT(MAPS_COUNT_MAX), .dontdump = RANGE_LIST_INIT(MAPS_COUNT_MAX)};
	_cleanup_buf_ struct buf text = BUF_INIT(MASK_TEXT_MAX);
	_cleanup_close_ int fd = -1;
	int r = process_read(p, "coredump_filter", &text, e);

	if (!r) r = coredump_filter_parse_mask(text.data, text.len, &f.mask, e);
	if (r) return r;
	fd = openat(p->proc_fd, "smaps", O_RDONLY | O_CLOEXEC);
	if (fd < 0) return err_errno(e, "opening /proc/%d/smaps", p->pid);
	r = read_smaps(fd, &f, e);
	if (r) return r;
	*ret = f;
	f = (struct coredump_filter){0};
	return 0;
}

void coredump_filter_done(struct coredump_filter *f)
{
	range_list_done(&f->huge);
	range_list_done(&f->dontdump);
}
