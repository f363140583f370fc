#include "dumpers/core/core_select.h"

#include "dumpers/core/core_internal.h"
#include "dumpers/proc/coredump_filter.h"

#include <string.h>

/* Sorts of memory. */
enum sort {
	SORT_VDSO,
	SORT_ELF_HEADER,   /* the first page of a mapped ELF file */
	SORT_PRIVATE,      /* of no file, and private copies of memory that only looks like one */
	SORT_WRITTEN,      /* private pages of a file that were written */
	SORT_UNNAMED,      /* unmodified pages of a file that no build-id finds again */
	SORT_FILE,         /* unmodified pages of any other file */
	SORT_SHARED,       /* shared memory, gone with its last user */
	SORT_SHARED_OWN,   /* and that no other process has */
	SORT_SHARED_NAMED, /* shared memory that has a name yet: POSIX */
	SORT_SHARED_GONE,  /* a shared file that was deleted */
	SORT_SHARED_UNNAMED,
	SORT_SHARED_FILE,
	SORT_HUGE_PRIVATE, /* hugetlbfs */
	SORT_HUGE_SHARED,
	SORT_DAX_PRIVATE,
	SORT_DAX_SHARED,
	SORT_COUNT,
};

enum { FULL = 1 << CORE_FULL, HEAP = 1 << CORE_HEAP, STACKS = 1 << CORE_STACKS };

/*
 * Who takes what. kinds: STACKS takes what stands here only where unwinding reads, unless `whole`.
 * filter: core(5); any of these bits takes it, 0: the kernel always does. of_file: left out by
 * exclude_files.
 */
static const struct {
	unsigned kinds;
	uint32_t filter;
	bool of_file, whole;
} rules[SORT_COUNT] = {
    [SORT_VDSO] = {FULL | HEAP | STACKS, 0, .whole = true},
    [SORT_ELF_HEADER] = {FULL | HEAP | STACKS, FILTER_ELF_HEADERS | FILTER_FILE_PRIVATE,
			 .whole = true},
    [SORT_PRIVATE] = {FULL | HEAP | STACKS, FILTER_ANON_PRIVATE},
    [SORT_WRITTEN] = {FULL | HEAP | STACKS, FILTER_ANON_PRIVATE | FILTER_FILE_PRIVATE},
    [SORT_UNNAMED] = {FULL | STACKS, FILTER_FILE_PRIVATE, .of_file = true},
    [SORT_FILE] = {FULL | STACKS, FILTER_FILE_PRIVATE, .of_file = true},
    [SORT_SHARED] = {FULL | STACKS, FILTER_ANON_SHARED},
    [SORT_SHARED_OWN] = {FULL | HEAP | STACKS, FILTER_ANON_SHARED},
    [SORT_SHARED_NAMED] = {FULL | STACKS, FILTER_FILE_SHARED},
    [SORT_SHARED_GONE] = {FULL | STACKS, FILTER_ANON_SHARED, .of_file = true},
    [SORT_SHARED_UNNAMED] = {FULL | STACKS, FILTER_FILE_SHARED, .of_file = true},
    [SORT_SHARED_FILE] = {FULL | STACKS, FILTER_FILE_SHARED, .of_file = true},
    [SORT_HUGE_PRIVATE] = {FULL | HEAP | STACKS, FILTER_HUGE_PRIVATE},
    [SORT_HUGE_SHARED] = {FULL | STACKS, FILTER_HUGE_SHARED},
    [SORT_DAX_PRIVATE] = {FULL | HEAP | STACKS, FILTER_DAX_PRIVATE},
    [SORT_DAX_SHARED] = {FULL | STACKS, FILTER_DAX_SHARED},
};

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_huge(const struct core_config *config, const struct map *map)
{
	return starts_with(map->name, "/anon_hugepage") ||
	       starts_with(map->name, "/dev/hugepages/") ||
	       (config->filter && range_list_find(&config->filter->huge, map->start));
}

/* Pages that only the core can tell of: what is code without an ELF file has no name at all. */
static bool is_unnamed(const struct core_pages *p)
{
	return p->state == MEM_FILE &&
	       (p->is_elf ? !p->has_build_id : (p->map->prot & PROT_EXEC) != 0);
}

static enum sort sort_of_file(const struct core_pages *p)
{
	const struct map *map = p->map;

	if (p->is_elf && map->offset == 0 && p->start < map->start + CORE_PAGE)
		return SORT_ELF_HEADER;
	if (is_unnamed(p)) return map->shared ? SORT_SHARED_UNNAMED : SORT_UNNAMED;
	if (map->shared) return map->deleted ? SORT_SHARED_GONE : SORT_SHARED_FILE;
	return p->state == MEM_FILE ? SORT_FILE : SORT_WRITTEN;
}

/* .NET 7 and later map the memory of their code and of what describes types twice, to write and to
 * run; no other process has it. */
static bool is_mapped_twice(const struct map *map)
{
	return strcmp(map->name, "/memfd:doublemapper") == 0;
}

static enum sort sort_of(const struct core_config *config, const struct core_pages *p)
{
	const struct map *map = p->map;

	if (strcmp(map->name, "[vdso]") == 0) return SORT_VDSO;
	if (is_huge(config, map)) return map->shared ? SORT_HUGE_SHARED : SORT_HUGE_PRIVATE;
	if (starts_with(map->name, "/dev/dax"))
		return map->shared ? SORT_DAX_SHARED : SORT_DAX_PRIVATE;
	if (map->inode != 0 && !map_is_memory(map)) return sort_of_file(p);
	if (!map->shared) return SORT_PRIVATE;
	if (is_mapped_twice(map)) return SORT_SHARED_OWN;
	return map->inode == 0 || map->deleted ? SORT_SHARED : SORT_SHARED_NAMED;
}

/* Does what the process asked of its own cores take it? */
static bool filter_takes(const struct coredump_filter *filter, const struct map *map,
			 enum sort sort)
{
	if (rules[sort].filter == 0) return true;
	return (filter->mask & rules[sort].filter) &&
	       !range_list_find(&filter->dontdump, map->start);
}

/* Is start where unwinding reads? Narrows *end to where that changes. */
static bool is_stack(const struct core_select *select, uint64_t start, uint64_t *end)
{
	const struct range *r = range_list_next(&select->stacks, start);

	if (!r) return false;
	if (r->start > start) {
		*end = MIN(*end, r->start);
		return false;
	}
	*end = MIN(*end, r->end);
	return true;
}

enum core_verdict core_select(const struct core_select *select, const struct core_pages *pages,
			      uint64_t *ret_end)
{
	const struct core_config *config = select->config;
	enum sort sort = sort_of(config, pages);
	bool in_file = pages->state == MEM_FILE && (sort == SORT_FILE || sort == SORT_SHARED_FILE);
	enum core_verdict otherwise = in_file ? CORE_TO_FILE : CORE_LEAVE_OUT;

	*ret_end = pages->end;
	if (sort == SORT_ELF_HEADER) *ret_end = MIN(pages->end, pages->map->start + CORE_PAGE);
	/* Only the filter may want of files what the files have. */
	if (in_file && (config->kind != CORE_FULL || !config->filter)) return CORE_TO_FILE;
	if (config->exclude_files && rules[sort].of_file) return otherwise;
	if (config->filter && !filter_takes(config->filter, pages->map, sort)) return otherwise;
	if (!(rules[sort].kinds & 1u << config->kind)) return otherwise;
	if (config->kind != CORE_STACKS || rules[sort].whole) return CORE_TAKE;
	return is_stack(select, pages->start, ret_end) ? CORE_TAKE : otherwise;
}

int core_select_init(struct core_select *select, struct snapshot *s,
		     const struct core_config *config, struct err *e)
{
	*select =
	    (struct core_select){.config = config, .stacks = RANGE_LIST_INIT(CORE_RANGES_LIMIT)};
	return config->kind == CORE_STACKS ? core_stack_ranges(s, config, &select->stacks, e) : 0;
}

void core_select_done(struct core_select *select)
{
	range_list_done(&select->stacks);
}
