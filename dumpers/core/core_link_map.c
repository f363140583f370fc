#include "dumpers/core/core_link_map.h"

#include <string.h>

enum {
	PHDRS_MAX = 512,
	DYNAMIC_MAX = 1024,      /* entries of the program's dynamic section */
	DYNAMIC_BYTES = 1 << 10, /* of a library's: twice what is usual */
	NAMESPACES_MAX = 16,
	LINK_MAPS_MAX = 4096, /* of all namespaces */
	NAME_MAX_BYTES = 4096,
	R_DEBUG_BYTES = 48,
	MODULE_DATA_MAX = 64 << 10, /* of one map */
	MODULES_DATA_BUDGET = 2 << 20,
};

/* struct link_map and struct r_debug, in words. */
enum { LM_ADDR, LM_NAME, LM_LD, LM_NEXT, LM_WORDS };
enum { RD_VERSION, RD_MAP, RD_NEXT = 5 };

struct walk {
	struct snapshot *s;
	struct core_wanted *w;
	uint64_t data_left; /* of MODULES_DATA_BUDGET */
	size_t maps_left;
	struct err *e;
};

static bool read_words(struct walk *walk, uint64_t addr, uint64_t *words, size_t count)
{
	return addr && snapshot_read_all(walk->s, addr, words, count * sizeof(*words), NULL) == 0;
}

/* --- what is loaded at each --- */

static size_t index_of(const struct maps *maps, const struct map *map)
{
	return (size_t)(map - maps->v);
}

static int want_map(struct walk *walk, const struct map *map)
{
	uint64_t len = MIN(map->end - map->start, (uint64_t)MODULE_DATA_MAX);

	len = MIN(len, walk->data_left);
	walk->data_left -= len;
	return core_want(walk->w, map->start, len, walk->e);
}

/* The maps of written data at addr: what relocation made read-only, and the one behind it. */
static int want_data(struct walk *walk, uint64_t addr)
{
	const struct maps *maps = &walk->s->maps;
	const struct map *map = maps_find(maps, addr);
	size_t next;
	int r;

	if (!map || map->shared || map->prot & PROT_EXEC) return 0;
	r = want_map(walk, map);
	next = index_of(maps, map) + 1;
	if (r || next == maps->count || maps->v[next].start != map->end ||
	    !(maps->v[next].prot & PROT_WRITE) || maps->v[next].shared)
		return r;
	return want_map(walk, &maps->v[next]);
}

/* A name's length with its NUL; 0 if it cannot be read or has no end. */
static size_t name_length(struct walk *walk, uint64_t addr)
{
	char piece[64];

	for (size_t len = 0; addr && len < NAME_MAX_BYTES;) {
		size_t want = MIN(sizeof(piece), (size_t)(CORE_PAGE - (addr + len) % CORE_PAGE));
		const char *end;

		if (snapshot_read_all(walk->s, addr + len, piece, want, NULL)) return 0;
		end = memchr(piece, '\0', want);
		if (end) return len + (size_t)(end - piece) + 1;
		len += want;
	}
	return 0;
}

static int want_chain(struct walk *walk, uint64_t node)
{
	uint64_t words[LM_WORDS];
	int r = 0;

	for (; !r && walk->maps_left && read_words(walk, node, words, LM_WORDS);
	     walk->maps_left--) {
		r = core_want(walk->w, node, sizeof(words), walk->e);
		if (!r)
			r = core_want(walk->w, words[LM_NAME], name_length(walk, words[LM_NAME]),
				      walk->e);
		if (!r) r = core_want(walk->w, words[LM_LD], DYNAMIC_BYTES, walk->e);
		if (!r) r = want_data(walk, words[LM_LD]);
		node = words[LM_NEXT];
	}
	return r;
}

/* One list for each dlmopen(3) namespace; before version 2 there is one. */
static int want_debug(struct walk *walk, uint64_t addr)
{
	uint64_t words[RD_NEXT + 1];
	int r = want_data(walk, addr);

	for (int i = 0; i < NAMESPACES_MAX && !r && read_words(walk, addr, words, RD_NEXT); i++) {
		r = core_want(walk->w, addr, R_DEBUG_BYTES, walk->e);
		if (!r) r = want_chain(walk, words[RD_MAP]);
		if ((uint32_t)words[RD_VERSION] < 2 || !read_words(walk, addr, words, RD_NEXT + 1))
			break;
		addr = words[RD_NEXT];
	}
	return r;
}

/* --- where it begins --- */

/* The program's dynamic section by its program headers; 0: there is none. */
static uint64_t find_dynamic(struct walk *walk, uint64_t phdrs, uint64_t count)
{
	uint64_t bias = 0, dynamic = 0;

	for (uint64_t i = 0; i < count; i++) {
		Elf64_Phdr p;
		uint64_t at;

		if (add_overflows(phdrs, i * sizeof(p), &at) ||
		    snapshot_read_all(walk->s, at, &p, sizeof(p), NULL))
			break;
		/* Differences wrap by design: a bias is the distance of two addresses. */
		if (p.p_type == PT_PHDR) bias = phdrs - p.p_vaddr;
		if (p.p_type == PT_DYNAMIC) dynamic = p.p_vaddr;
	}
	return dynamic ? dynamic + bias : 0;
}

/* Up to DT_NULL. Returns the value of DT_DEBUG in *ret_debug. */
static int want_dynamic(struct walk *walk, uint64_t addr, uint64_t *ret_debug)
{
	uint64_t entry[2], at = addr;

	for (int i = 0; i < DYNAMIC_MAX && read_words(walk, at, entry, 2); i++) {
		if (entry[0] == DT_DEBUG) *ret_debug = entry[1];
		if (add_overflows(at, sizeof(entry), &at) || entry[0] == DT_NULL) break;
	}
	return core_want(walk->w, addr, at > addr ? at - addr : 0, walk->e);
}

int core_want_link_map(struct snapshot *s, struct core_wanted *w, struct err *e)
{
	uint64_t phdrs = snapshot_auxv(s, AT_PHDR), debug = 0, dynamic;
	uint64_t count = MIN(snapshot_auxv(s, AT_PHNUM), (uint64_t)PHDRS_MAX);
	struct walk walk = {
	    .s = s, .w = w, .data_left = MODULES_DATA_BUDGET, .maps_left = LINK_MAPS_MAX, .e = e};
	int r;

	if (!phdrs || !count || snapshot_auxv(s, AT_PHENT) != sizeof(Elf64_Phdr)) return 0;
	r = core_want(w, phdrs, count * sizeof(Elf64_Phdr), e);
	dynamic = find_dynamic(&walk, phdrs, count);
	if (!r && dynamic) r = want_dynamic(&walk, dynamic, &debug);
	if (!r && debug) r = want_debug(&walk, debug);
	return r;
}
