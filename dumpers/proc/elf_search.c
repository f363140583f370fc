#include "dumpers/proc/elf_search.h"

#include <string.h>

enum { CHUNK = 64 << 10 };

int elf_search(struct blob *file, const char *section, const void *bytes, size_t len,
	       uint64_t *ret_offset, struct err *e)
{
	_cleanup_free_ char *chunk = malloc(CHUNK);
	uint64_t offset, size, end, at = 0;
	int r = elf_find_section(elf_read_blob, file, section, &offset, &size, e);

	if (r < 0) return r;
	if (!chunk) return err_set(e, ERR_NO_MEMORY, "no memory to search a file");
	if (len == 0 || len > ELF_SEARCH_BYTES_MAX || add_overflows(offset, size, &end))
		return err_set(e, ERR_CORRUPT, "section %s cannot be searched", section);
	size = MIN(size, (uint64_t)ELF_SEARCH_MAX);
	while (size - at >= len) {
		size_t n = (size_t)MIN(size - at, (uint64_t)CHUNK);
		const char *found;

		r = blob_read_at(file, offset + at, chunk, n, e);
		if (r < 0) return r;
		found = memmem(chunk, n, bytes, len);
		if (found) {
			*ret_offset = offset + at + (uint64_t)(found - chunk);
			return 0;
		}
		/* The next chunk begins with what a match across the border needs. */
		at += n - (len - 1);
	}
	return err_set(e, ERR_NOT_FOUND, "section %s does not have it", section);
}

bool elf_has_dynamic_name(struct blob *file, const char *name)
{
	char with_nuls[ELF_SEARCH_BYTES_MAX] = {0};
	size_t len = strlen(name);
	uint64_t at;

	if (len > sizeof(with_nuls) - 2) return false;
	memcpy(with_nuls + 1, name, len);
	return elf_search(file, ".dynstr", with_nuls, len + 2, &at, NULL) == 0;
}
