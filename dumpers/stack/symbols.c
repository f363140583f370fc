#include "dumpers/stack/symbols.h"

#include "base/search.h"

#include <elf.h>
#include <string.h>

enum {
	OVERLAP_MAX = 32,   /* how far back an enclosing symbol is looked for */
	UNSIZED_MAX = 4096, /* bytes that a symbol without a size may reach */
};

struct symbol {
	uint64_t start, size;
	uint32_t name;
	uint8_t rank; /* of several at one address the lowest wins */
};

struct symbols {
	struct symbol *v; /* by start, then rank descending */
	size_t count;
	bool is_full; /* from .symtab: the local ones are among them */
	char *strings;
	size_t strings_len;
};

static int read_section(struct blob *file, const Elf64_Shdr *sh, void **ret, struct err *e)
{
	if (sh->sh_size > SYMBOLS_TABLE_MAX) return err_set(e, ERR_LIMIT, "symbol table too large");
	_cleanup_free_ void *data = malloc(sh->sh_size + 1);
	if (!data) return err_set(e, ERR_NO_MEMORY, "no memory for a symbol table");
	int r = blob_read_at(file, sh->sh_offset, data, sh->sh_size, e);
	if (r) return r;
	((char *)data)[sh->sh_size] = 0;
	*ret = STEAL_PTR(data);
	return 0;
}

static int read_section_headers(struct blob *file, Elf64_Shdr **ret, size_t *ret_count,
				struct err *e)
{
	Elf64_Ehdr eh;
	int r = blob_read_at(file, 0, &eh, sizeof eh, e);
	if (r) return r;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_shentsize != sizeof(Elf64_Shdr)) {
		return err_set(e, ERR_UNSUPPORTED, "not a 64-bit little-endian ELF image");
	}
	_cleanup_free_ Elf64_Shdr *v = calloc(eh.e_shnum + 1u, sizeof *v);
	if (!v) return err_set(e, ERR_NO_MEMORY, "no memory for section headers");
	r = blob_read_at(file, eh.e_shoff, v, eh.e_shnum * sizeof *v, e);
	if (r) return r;
	*ret = STEAL_PTR(v);
	*ret_count = eh.e_shnum;
	return 0;
}

static bool is_function(const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE || !sym->st_value)
		return false;
	return type == STT_FUNC || type == STT_GNU_IFUNC || (type == STT_NOTYPE && sym->st_size);
}

/* Of aliases (poll, __poll) the one that people write: global or weak before local, then the fewest
 * underscores in front, then global. */
static uint8_t rank_of(const Elf64_Sym *sym, const char *name)
{
	unsigned bind = ELF64_ST_BIND(sym->st_info), underscores = 0;

	while (underscores < 3 && name[underscores] == '_')
		underscores++;
	return (uint8_t)((bind == STB_LOCAL ? 8 : 0) + 2 * underscores +
			 (bind == STB_GLOBAL ? 0 : 1));
}

static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;
	if (x->start != y->start) return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank) return x->rank > y->rank ? -1 : 1;
	return x->name < y->name ? 1 : x->name > y->name ? -1 : 0;
}

static int load_table(struct symbols *s, struct blob *file, const Elf64_Shdr *table,
		      const Elf64_Shdr *strings, struct err *e)
{
	_cleanup_free_ Elf64_Sym *syms = NULL;
	int r = read_section(file, table, (void **)&syms, e);
	if (!r) r = read_section(file, strings, (void **)&s->strings, e);
	if (r) return r;
	size_t count = table->sh_size / sizeof *syms;
	s->strings_len = strings->sh_size;
	s->is_full = table->sh_type == SHT_SYMTAB;
	s->v = calloc(count + 1, sizeof *s->v);
	if (!s->v) return err_set(e, ERR_NO_MEMORY, "no memory for symbols");
	for (size_t i = 0; i < count; i++) {
		if (!is_function(&syms[i]) || syms[i].st_name >= s->strings_len) continue;
		if (!s->strings[syms[i].st_name]) continue;
		s->v[s->count++] =
		    (struct symbol){.start = syms[i].st_value,
				    .size = syms[i].st_size,
				    .name = syms[i].st_name,
				    .rank = rank_of(&syms[i], s->strings + syms[i].st_name)};
	}
	qsort(s->v, s->count, sizeof *s->v, compare);
	return 0;
}

static const Elf64_Shdr *find_table(const Elf64_Shdr *v, size_t count, uint32_t type)
{
	for (size_t i = 0; i < count; i++) {
		if (v[i].sh_type == type && v[i].sh_link < count &&
		    v[i].sh_entsize == sizeof(Elf64_Sym)) {
			return &v[i];
		}
	}
	return NULL;
}

int symbols_new(struct blob *file, struct symbols **ret, struct err *e)
{
	_cleanup_free_ Elf64_Shdr *sections = NULL;
	size_t count = 0;
	struct symbols *s = calloc(1, sizeof *s);
	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory for symbols");
	int r = read_section_headers(file, &sections, &count, e);
	const Elf64_Shdr *table = r ? NULL : find_table(sections, count, SHT_SYMTAB);
	if (!table && !r) table = find_table(sections, count, SHT_DYNSYM);
	if (table) r = load_table(s, file, table, &sections[table->sh_link], e);
	if (r) {
		symbols_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void symbols_free(struct symbols *s)
{
	if (!s) return;
	free(s->v);
	free(s->strings);
	free(s);
}

static bool holds(const struct symbols *s, size_t i, uint64_t vaddr)
{
	const struct symbol *sym = &s->v[i];
	if (sym->size) return vaddr - sym->start < sym->size;
	/* Hand-written assembly often has no size: it reaches to the next symbol, where all symbols
	 * are there. */
	if (vaddr == sym->start) return true;
	return s->is_full && vaddr - sym->start < UNSIZED_MAX &&
	       (i + 1 == s->count || vaddr < s->v[i + 1].start);
}

const char *symbols_find(const struct symbols *s, uint64_t vaddr, uint64_t *ret_offset)
{
	size_t above = FIRST_ABOVE(s->v, s->count, start, vaddr);

	for (size_t back = 0; back < OVERLAP_MAX && back < above; back++) {
		size_t i = above - 1 - back;
		if (!holds(s, i, vaddr)) continue;
		*ret_offset = vaddr - s->v[i].start;
		return s->strings + s->v[i].name;
	}
	return NULL;
}
