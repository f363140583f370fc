/* .NET metadata: every name and every constant that it can be asked for. Also names of types. */
#include "dumpers/dotnet/metadata.h"
#include "dumpers/dotnet/type_name.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_TRIED = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	if (name && strlen(name) >= METADATA_NAME_MAX) abort();
}

static void ask(const struct metadata *m, uint32_t row)
{
	struct metadata_literal literal;
	const char *space = NULL, *name = NULL;
	uint32_t at = 0;

	check_name(metadata_field(m, row));
	if (metadata_field_in_file(m, row) && !metadata_field(m, 1)) check_name("");
	if (metadata_type(m, row, &space, &name)) {
		check_name(space);
		check_name(name);
	}
	for (int i = 0; i < ROWS_TRIED && metadata_next_literal(m, row, &at, &literal); i++) {
		if (!literal.name || !at) abort();
		check_name(literal.name);
	}
}

static void name_type(const uint8_t *data, size_t size)
{
	struct buf name = BUF_INIT(1 << 20);

	if (!type_name_append((const char *)data, size, &name, NULL) && name.len > size) abort();
	buf_done(&name);
}

/* Each word may get "System." before it. */
static void name_method(const uint8_t *data, size_t size)
{
	struct buf name = BUF_INIT(8 << 20);

	if (!method_name_append((const char *)data, size, &name, NULL) && name.len > 8 * size)
		abort();
	buf_done(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct metadata *m;
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy) return 0;
	if (size) memcpy(copy, data, size);
	name_type(data, size);
	name_method(data, size);
	if (metadata_new(copy, size, &m, NULL)) return 0;
	for (uint32_t row = 0; row < ROWS_TRIED; row++)
		ask(m, row);
	ask(m, UINT32_MAX);
	metadata_free(m);
	return 0;
}
