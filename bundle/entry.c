#include "bundle/entry.h"

#include <string.h>

static const char *const status_names[] = {
    [ENTRY_OK] = "ok",
    [ENTRY_PARTIAL] = "partial",
    [ENTRY_SKIPPED] = "skipped",
    [ENTRY_FAILED] = "failed",
};

const char *entry_status_name(enum entry_status status)
{
	return (size_t)status < ARRAY_SIZE(status_names) ? status_names[status] : "unknown";
}

int entry_status_parse(const char *name, enum entry_status *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(status_names); i++) {
		if (strcmp(name, status_names[i]) != 0) continue;
		*ret = (enum entry_status)i;
		return 0;
	}
	return err_set(e, ERR_CORRUPT, "no entry status: '%.32s'", name);
}

void bundle_entry_done(struct bundle_entry *entry)
{
	if (!entry) return;
	free(entry->lost);
	free(entry->torn);
	entry->lost = entry->torn = NULL;
	entry->lost_count = entry->torn_count = 0;
}

static bool is_printable(char c)
{
	return c >= 0x20 && c < 0x7f;
}

static bool is_dots(const char *text, size_t len)
{
	return len <= 2 && memcmp(text, "..", len) == 0;
}

int bundle_entry_name_check(const char *name, struct err *e)
{
	const char *component = name;
	size_t len = strnlen(name, BUNDLE_NAME_MAX);

	if (len == 0) return err_set(e, ERR_CORRUPT, "an entry without a name");
	if (len == BUNDLE_NAME_MAX)
		return err_set(e, ERR_CORRUPT, "an entry name longer than %d bytes: %.64s...",
			       BUNDLE_NAME_MAX - 1, name);
	for (size_t i = 0; i <= len; i++) {
		if (name[i] != '/' && name[i] != '\0') {
			if (is_printable(name[i])) continue;
			return err_set(e, ERR_CORRUPT, "entry name with byte 0x%02x at %zu",
				       (unsigned char)name[i], i);
		}
		/* Empty components are also a leading, a doubled and a trailing slash. */
		if (is_dots(component, (size_t)(name + i - component)))
			return err_set(e, ERR_CORRUPT, "unsafe entry name: %.128s", name);
		component = name + i + 1;
	}
	return 0;
}

void bundle_name_component(const char *text, char *ret, size_t size)
{
	size_t len = strnlen(text, size - 1);

	for (size_t i = 0; i < len; i++)
		ret[i] = is_printable(text[i]) && text[i] != '/' ? text[i] : '_';
	ret[len] = '\0';
	if (is_dots(ret, len)) memcpy(ret, "_", 2);
}

void bundle_entry_set_reason(struct bundle_entry *entry, const char *text)
{
	size_t len = text ? strnlen(text, sizeof(entry->reason) - 1) : 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		entry->reason[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
	}
	entry->reason[len] = '\0';
}

static int check_ranges(const struct range *ranges, size_t count, uint64_t size, const char *what,
			struct err *e)
{
	uint64_t previous_end = 0;

	if (count > BUNDLE_RANGES_MAX)
		return err_set(e, ERR_CORRUPT, "%zu %s ranges, more than %d", count, what,
			       BUNDLE_RANGES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (ranges[i].start >= ranges[i].end || ranges[i].end > size ||
		    (i > 0 && ranges[i].start < previous_end))
			return err_set(e, ERR_CORRUPT,
				       "%s range %llu-%llu out of order or past the size %llu",
				       what, (unsigned long long)ranges[i].start,
				       (unsigned long long)ranges[i].end, (unsigned long long)size);
		previous_end = ranges[i].end;
	}
	return 0;
}

static int check_place(const struct bundle_entry *entry, struct err *e)
{
	int r;

	if (entry->header_offset >= BUNDLE_SIZE_MAX || entry->data_offset >= BUNDLE_SIZE_MAX ||
	    entry->size >= BUNDLE_SIZE_MAX ||
	    entry->data_offset + entry->size >= BUNDLE_SIZE_MAX - BUNDLE_TAR_BLOCK)
		return err_set(e, ERR_CORRUPT, "entry %s: sizes beyond any bundle", entry->name);
	if (entry->header_offset % BUNDLE_TAR_BLOCK != 0 ||
	    entry->data_offset % BUNDLE_TAR_BLOCK != 0 ||
	    entry->data_offset <= entry->header_offset)
		return err_set(e, ERR_CORRUPT, "entry %s: no tar header at %llu, data at %llu",
			       entry->name, (unsigned long long)entry->header_offset,
			       (unsigned long long)entry->data_offset);
	r = check_ranges(entry->lost, entry->lost_count, entry->size, "lost", e);
	if (r == 0) r = check_ranges(entry->torn, entry->torn_count, entry->size, "torn", e);
	if (r < 0) {
		err_wrap(e, "entry %s", entry->name);
		return r;
	}
	return 0;
}

int bundle_entry_check(const struct bundle_entry *entry, struct err *e)
{
	int r = bundle_entry_name_check(entry->name, e);

	if (r < 0) return r;
	if ((size_t)entry->status >= ARRAY_SIZE(status_names))
		return err_set(e, ERR_CORRUPT, "entry %s: no such status", entry->name);
	if (entry->status == ENTRY_OK && (entry->lost_count > 0 || !entry->in_tar))
		return err_set(e, ERR_CORRUPT, "entry %s: ok, but not all there", entry->name);
	if (strnlen(entry->reason, BUNDLE_REASON_MAX) == BUNDLE_REASON_MAX)
		return err_set(e, ERR_CORRUPT, "entry %s: a reason without an end", entry->name);
	return entry->in_tar ? check_place(entry, e) : 0;
}

static size_t merge_gaps(struct range *ranges, size_t count, uint64_t below)
{
	size_t last = 0;

	for (size_t i = 1; i < count; i++) {
		if (ranges[i].start - ranges[last].end < below)
			ranges[last].end = ranges[i].end;
		else
			ranges[++last] = ranges[i];
	}
	return last + 1;
}

size_t bundle_ranges_reduce(struct range *ranges, size_t count, size_t max)
{
	for (uint64_t below = 2 * BUNDLE_TAR_BLOCK; count > max; below *= 2)
		count = merge_gaps(ranges, count, below);
	return count;
}
