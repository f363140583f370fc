#include "dumpers/proc/coredump_filter.h"

#include "dumpers/proc/maps.h"
#include "dumpers/proc/smaps.h"

#include <fcntl.h>

enum { MASK_TEXT_MAX = 64 };

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

static int add_map(void *ctx, const struct range *map, struct scan flags, struct err *e)
{
	struct coredump_filter *f = ctx;
	int r = 0;

	if (smaps_has(flags, "ht")) r = range_list_add(&f->huge, map->start, map->end, e);
	if (!r && smaps_has(flags, "dd")) r = range_list_add(&f->dontdump, map->start, map->end, e);
	return r;
}

int coredump_filter_parse_smaps(const char *text, size_t len, struct range *at,
				struct coredump_filter *ret, struct err *e)
{
	return smaps_parse(text, len, at, add_map, ret, e);
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
	r = smaps_read(fd, add_map, &f, e);
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
