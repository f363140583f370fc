#include "dumpers/proc/maps.h"

#include "base/search.h"
#include "dumpers/proc/scan.h"

#include <string.h>

static const char deleted_suffix[] = " (deleted)";

/* Column at which the kernel starts the name: fs/proc/task_mmu.c sets a width of
 * 25 + sizeof(void *) * 6 - 1 and puts one space behind it. */
enum { NAME_COLUMN = 25 + 8 * 6 };

static size_t count_lines(const char *text, size_t len)
{
	struct scan s = scan_of(text, len), line;
	size_t n = 0;

	while (scan_line(&s, &line))
		n++;
	return n;
}

static bool parse_prot(struct scan *s, struct map *ret)
{
	const char *p = s->at;

	if (scan_left(s) < 4) return false;
	if ((p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') ||
	    (p[2] != 'x' && p[2] != '-') || (p[3] != 'p' && p[3] != 's'))
		return false;
	ret->prot = (p[0] == 'r' ? PROT_READ : 0) | (p[1] == 'w' ? PROT_WRITE : 0) |
		    (p[2] == 'x' ? PROT_EXEC : 0);
	ret->shared = p[3] == 's';
	s->at += 4;
	return true;
}

/* "start-end rwxp offset major:minor inode", and what is left of the line. */
static bool parse_numbers(struct scan *line, struct map *ret)
{
	return scan_u64(line, 16, &ret->start) && scan_char(line, '-') &&
	       scan_u64(line, 16, &ret->end) && scan_char(line, ' ') && parse_prot(line, ret) &&
	       scan_char(line, ' ') && scan_u64(line, 16, &ret->offset) && scan_char(line, ' ') &&
	       scan_u32(line, 16, &ret->dev_major) && scan_char(line, ':') &&
	       scan_u32(line, 16, &ret->dev_minor) && scan_char(line, ' ') &&
	       scan_u64(line, 10, &ret->inode) && (line->at == line->end || *line->at == ' ');
}

/* Takes " (deleted)" off, and keeps the name at *at, which moves on; neighbours share one copy. The
 * name stays as the kernel wrote it, a newline in it as "\012": unescaping would be ambiguous. */
static void keep_name(struct scan name, const struct map *before, char **at, struct map *ret)
{
	size_t suffix_len = strlen(deleted_suffix), len = scan_left(&name);

	ret->deleted = false;
	if (len > suffix_len && !memcmp(name.end - suffix_len, deleted_suffix, suffix_len)) {
		ret->deleted = true;
		name.end -= suffix_len;
		len -= suffix_len;
	}
	ret->name = "";
	if (len == 0) return;
	if (before && scan_equals(&name, before->name)) {
		ret->name = before->name;
		return;
	}
	memcpy(*at, name.at, len);
	(*at)[len] = '\0';
	ret->name = *at;
	*at += len + 1;
}

static int parse_line(struct scan line, size_t number, const struct map *before, char **names_at,
		      struct map *ret, struct err *e)
{
	struct scan rest = line;

	if (memchr(line.at, '\0', scan_left(&line)))
		return err_set(e, ERR_CORRUPT, "maps: line %zu holds a NUL byte", number);
	if (!parse_numbers(&rest, ret))
		return err_set(e, ERR_CORRUPT, "maps: line %zu is not a mapping: \"%.*s\"", number,
			       (int)MIN(scan_left(&line), (size_t)80), line.at);
	if (ret->start >= ret->end)
		return err_set(e, ERR_CORRUPT, "maps: line %zu is an empty range", number);
	if (before && ret->start < before->end)
		return err_set(e, ERR_CORRUPT, "maps: line %zu is not above the line before",
			       number);
	scan_blanks(&rest);
	keep_name(rest, before, names_at, ret);
	return 0;
}

int maps_parse(const char *text, size_t len, struct maps *ret, struct err *e)
{
	_cleanup_maps_ struct maps maps = {0};
	struct scan s = scan_of(text, len), line;
	size_t lines;
	char *at;

	if (len > MAPS_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "maps: text of %zu bytes, %d are allowed", len,
			       MAPS_TEXT_MAX);
	lines = count_lines(text, len);
	if (lines > MAPS_COUNT_MAX)
		return err_set(e, ERR_LIMIT, "maps: %zu mappings, %d are allowed", lines,
			       MAPS_COUNT_MAX);

	maps.v = calloc(lines + 1, sizeof(*maps.v));
	/* A name and its NUL never take more than its line and the newline. */
	maps.names = malloc(len + 1);
	if (!maps.v || !maps.names)
		return err_set(e, ERR_NO_MEMORY, "maps: no memory for %zu mappings", lines);
	at = maps.names;
	while (scan_line(&s, &line)) {
		const struct map *before = maps.count ? &maps.v[maps.count - 1] : NULL;
		int r = parse_line(line, maps.count + 1, before, &at, &maps.v[maps.count], e);

		if (r < 0) return r;
		maps.count++;
	}
	*ret = maps;
	maps = (struct maps){0};
	return 0;
}

static int format_line(const struct map *m, struct buf *ret, struct err *e)
{
	size_t line_start = ret->len;
	int r = buf_printf(ret, e, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ",
			   (unsigned long long)m->start, (unsigned long long)m->end,
			   m->prot & PROT_READ ? 'r' : '-', m->prot & PROT_WRITE ? 'w' : '-',
			   m->prot & PROT_EXEC ? 'x' : '-', m->shared ? 's' : 'p',
			   (unsigned long long)m->offset, m->dev_major, m->dev_minor,
			   (unsigned long long)m->inode);

	if (r < 0) return r;
	if (m->name[0]) {
		size_t column = ret->len - line_start;
		int pad = column < NAME_COLUMN ? (int)(NAME_COLUMN - column) : 0;

		r = buf_printf(ret, e, "%*s%s%s", pad, "", m->name,
			       m->deleted ? deleted_suffix : "");
		if (r < 0) return r;
	}
	return buf_append(ret, "\n", 1, e);
}

int maps_format(const struct maps *maps, struct buf *ret, struct err *e)
{
	for (size_t i = 0; i < maps->count; i++) {
		int r = format_line(&maps->v[i], ret, e);

		if (r < 0) return r;
	}
	return 0;
}

void maps_done(struct maps *maps)
{
	if (!maps) return;
	free(maps->v);
	free(maps->names);
	*maps = (struct maps){0};
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool map_is_memory(const struct map *map)
{
	return starts_with(map->name, "/memfd:") || starts_with(map->name, "/SYSV") ||
	       starts_with(map->name, "/dev/shm/") || strcmp(map->name, "/dev/zero") == 0 ||
	       starts_with(map->name, "/anon_hugepage") || starts_with(map->name, "/[aio]") ||
	       starts_with(map->name, "/dev/hugepages/");
}

const struct map *maps_find(const struct maps *maps, uint64_t address)
{
	size_t i = FIRST_ABOVE(maps->v, maps->count, end, address);

	return i < maps->count && maps->v[i].start <= address ? &maps->v[i] : NULL;
}
