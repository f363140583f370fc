#include "dumpers/proc/smaps.h"

#include "base/io.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 << 10 };

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

bool smaps_has(struct scan flags, const char *flag)
{
	struct scan found;

	while (scan_field(&flags, &found)) {
		if (scan_equals(&found, flag)) return true;
	}
	return false;
}

int smaps_parse(const char *text, size_t len, struct range *at, smaps_fn *fn, void *ctx,
		struct err *e)
{
	struct scan s = scan_of(text, len), line;
	int r = 0;

	while (!r && scan_line(&s, &line)) {
		if (!parse_head(line, at) && scan_literal(&line, "VmFlags:"))
			r = fn(ctx, at, line, e);
	}
	return r;
}

int smaps_read(int fd, smaps_fn *fn, void *ctx, struct err *e)
{
	_cleanup_free_ char *piece = malloc(PIECE);
	struct range at = {0};
	size_t have = 0, n = 1;
	int r = piece ? 0 : err_set(e, ERR_NO_MEMORY, "smaps");

	while (!r && n) {
		const char *end;
		size_t whole;

		r = io_read_up_to(fd, piece + have, PIECE - have, &n, "smaps", e);
		if (r) break;
		have += n;
		end = memrchr(piece, '\n', have);
		if (!end && have == PIECE)
			return err_set(e, ERR_CORRUPT, "smaps: a line of %zu bytes", have);
		whole = end ? (size_t)(end - piece) + 1 : 0;
		r = smaps_parse(piece, whole, &at, fn, ctx, e);
		have -= whole;
		memmove(piece, piece + whole, have);
	}
	return r;
}
