#include "dumpers/runtime/dotnet_image.h"

#include "dumpers/proc/elf_search.h"
#include "dumpers/proc/scan.h"

#include <stdio.h>
#include <string.h>

/* --- versions --- */

static const char version_mark[] = "@(#)Version ", commit_mark[] = " @Commit: ";
enum { VERSION_TEXT_MAX = 200 };

static bool is_number_text(const struct scan *s)
{
	for (const char *c = s->at; c < s->end; c++)
		if ((*c < '0' || *c > '9') && *c != '.') return false;
	return scan_left(s) > 0;
}

static bool is_hex_text(const struct scan *s)
{
	for (const char *c = s->at; c < s->end; c++)
		if ((*c < '0' || *c > '9') && (*c < 'a' || *c > 'f')) return false;
	return scan_left(s) > 0;
}

/* "9.0.124.61010 @Commit: c8ac..." up to a NUL. A build of one's own says "N/A". */
static bool take_version_text(const char *text, size_t len, struct dotnet_version *ret)
{
	struct scan s = scan_of(text, strnlen(text, len)), version;

	*ret = (struct dotnet_version){0};
	if (!scan_field(&s, &version) || !is_number_text(&version) ||
	    scan_left(&version) >= sizeof(ret->file))
		return false;
	scan_copy(&version, ret->file, sizeof(ret->file));
	if (scan_literal(&s, commit_mark) && is_hex_text(&s) && scan_left(&s) < sizeof(ret->commit))
		scan_copy(&s, ret->commit, sizeof(ret->commit));
	return true;
}

static int version_in(struct blob *file, const char *section, struct dotnet_version *ret,
		      struct err *e)
{
	size_t mark = sizeof(version_mark) - 1, len;
	char text[VERSION_TEXT_MAX];
	uint64_t at;
	int r = elf_search(file, section, version_mark, mark, &at, e);

	if (r < 0) return r;
	at += mark;
	len = (size_t)MIN(file->size - at, sizeof(text));
	r = blob_read_at(file, at, text, len, e);
	if (r < 0) return r;
	if (!take_version_text(text, len, ret))
		return err_set(e, ERR_NOT_FOUND, "its version is not that of a release");
	return 0;
}

int dotnet_version_read(struct blob *file, struct dotnet_version *ret, struct err *e)
{
	if (version_in(file, ".data", ret, NULL) == 0) return 0;
	return version_in(file, ".rodata", ret, e);
}

void dotnet_product_version(const char *file_version, char *ret, size_t ret_size)
{
	struct scan s = scan_of(file_version, strlen(file_version));
	uint32_t major, minor, third;

	ret[0] = '\0';
	if (!scan_u32(&s, 10, &major) || !scan_char(&s, '.') || !scan_u32(&s, 10, &minor) ||
	    !scan_char(&s, '.') || !scan_u32(&s, 10, &third))
		return;
	if (major >= 5)
		snprintf(ret, ret_size, "%u.%u.%u", major, minor, third / 100);
	else if (major == 4 && minor == 700)
		snprintf(ret, ret_size, "3");
}

/* --- what a single-file program names --- */

enum {
	INFO_BYTES = 96,
	INFO_VERSION_AT = 20,
	INFO_DAC_AT = 48, /* behind the runtime's own, of 24 bytes as well: length, build-id */
};

static int read_info(struct blob *program, uint8_t ret[INFO_BYTES], struct err *e)
{
	static const char signature[] = "DotNetRuntimeInfo"; /* with its NUL */
	static const char *const sections[] = {".data", ".rodata", ".data.rel.ro"};
	uint64_t at;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		r = elf_search(program, sections[i], signature, sizeof(signature), &at, e);
		if (!r) return blob_read_at(program, at, ret, INFO_BYTES, e);
	}
	return r;
}

int dotnet_wanted_dac(struct blob *program, struct dotnet_build_id *ret, struct err *e)
{
	uint8_t info[INFO_BYTES] = {0};
	size_t len;
	int r = read_info(program, info, e);

	if (r < 0) return r;
	len = info[INFO_DAC_AT];
	/* A little-endian number: no version that is known has more than its low byte. */
	if (info[INFO_VERSION_AT] == 0 || len == 0 || len > DOTNET_BUILD_ID_MAX)
		return err_set(e, ERR_NOT_FOUND, "its DotNetRuntimeInfo names no build-id");
	memcpy(ret->bytes, info + INFO_DAC_AT + 1, len);
	ret->len = len;
	return 0;
}

/* --- assemblies --- */

enum {
	PE_OFFSET_AT = 0x3c,
	PE_OFFSET_MAX = 1 << 20,
	PE_OPTIONAL_AT = 24, /* behind signature and file header */
	PE_OPTIONAL_SIZE_AT = 20,
	PE32 = 0x10b,
	PE32_PLUS = 0x20b,
	PE32_DIRECTORIES_AT = 96,
	PE32_PLUS_DIRECTORIES_AT = 112,
	PE_DIRECTORY_CLI = 14,
	PE_DIRECTORY_BYTES = 8,
};

static uint32_t le(const uint8_t *at, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = bytes; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

/* Is the optional header's data directory of the CLI header there, and used? */
static bool has_cli_header(elf_read_fn read, void *ctx, uint64_t optional, uint32_t optional_size)
{
	uint8_t magic[2], entry[PE_DIRECTORY_BYTES];
	uint32_t at;

	if (read(ctx, optional, magic, sizeof(magic)) < 0) return false;
	switch (le(magic, sizeof(magic))) {
	case PE32:
		at = PE32_DIRECTORIES_AT;
		break;
	case PE32_PLUS:
		at = PE32_PLUS_DIRECTORIES_AT;
		break;
	default:
		return false;
	}
	at += PE_DIRECTORY_CLI * PE_DIRECTORY_BYTES;
	if (at + sizeof(entry) > optional_size ||
	    read(ctx, optional + at, entry, sizeof(entry)) < 0)
		return false;
	return le(entry, 4) != 0 && le(entry + 4, 4) != 0;
}

bool dotnet_is_assembly(elf_read_fn read, void *ctx)
{
	uint8_t dos[PE_OFFSET_AT + 4], pe[PE_OPTIONAL_AT];
	uint32_t at;

	if (read(ctx, 0, dos, sizeof(dos)) < 0 || memcmp(dos, "MZ", 2) != 0) return false;
	at = le(dos + PE_OFFSET_AT, 4);
	if (at > PE_OFFSET_MAX || read(ctx, at, pe, sizeof(pe)) < 0 || memcmp(pe, "PE\0\0", 4) != 0)
		return false;
	return has_cli_header(read, ctx, (uint64_t)at + sizeof(pe),
			      le(pe + PE_OPTIONAL_SIZE_AT, 2));
}
