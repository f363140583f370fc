/*
 * What is read of .NET's files: the first byte chooses versions and build-ids of an ELF file (with
 * the second half of the input as data-access library), an assembly's PE headers, or the document
 * runtime/dotnet.json.
 */
#include "collector/dotnet_source.h"
#include "dumpers/runtime/dotnet_dac.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 64 << 20 };

static void fuzz_library(const uint8_t *data, size_t size)
{
	_cleanup_blob_ struct blob *all = NULL, *second = NULL;
	char product[DOTNET_VERSION_MAX];
	struct dotnet_version version;
	struct dotnet_build_id id;

	if (blob_from_memory(data, size, &all, NULL) < 0 ||
	    blob_slice(all, size / 2, size - size / 2, &second, NULL) < 0)
		abort();
	if (dotnet_version_read(all, &version, NULL) == 0) {
		if (!version.file[0] || strlen(version.file) >= sizeof(version.file)) abort();
		if (strlen(version.commit) >= sizeof(version.commit)) abort();
		dotnet_product_version(version.file, product, sizeof(product));
		if (strlen(product) >= sizeof(product)) abort();
	}
	if (dotnet_wanted_dac(all, &id, NULL) == 0)
		if (id.len == 0 || id.len > sizeof(id.bytes)) abort();
	dotnet_dac_check(all, second, NULL);
	/* A file says the same version as itself, whatever it is. */
	if (dotnet_dac_check(all, all, NULL) == -ERR_NOT_FOUND &&
	    dotnet_wanted_dac(all, &id, NULL) < 0)
		abort();
}

static void fuzz_assembly(const uint8_t *data, size_t size)
{
	_cleanup_blob_ struct blob *file = NULL;

	if (blob_from_memory(data, size, &file, NULL) < 0) abort();
	if (dotnet_is_assembly(elf_read_blob, file) && memcmp(data, "MZ", 2) != 0) abort();
}

/* What was parsed and printed must parse to the same. */
static void fuzz_document(const char *text, size_t len)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0}, again = {0};
	_cleanup_buf_ struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);

	if (dotnet_files_parse(text, len, &files, NULL) < 0) return;
	if (files.assembly_count > DOTNET_FILES_MAX) abort();
	if (dotnet_files_json(&files, &first, NULL) < 0) abort();
	/* Bytes that are no UTF-8 grow when they are printed, and then may be too long. */
	if (dotnet_files_parse(first.data, first.len, &again, NULL) < 0) return;
	if (dotnet_files_json(&again, &second, NULL) < 0) abort();
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1) return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_library(data + 1, size - 1);
		break;
	case 1:
		fuzz_assembly(data + 1, size - 1);
		break;
	default:
		fuzz_document((const char *)data + 1, size - 1);
		break;
	}
	return 0;
}
