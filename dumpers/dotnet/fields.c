#include "dumpers/dotnet/fields.h"

#include "dumpers/dotnet/object_internal.h"

uint64_t field_number(struct dotnet *d, uint64_t object, const char *name, size_t size)
{
	struct dotnet_type *type;
	const struct dotnet_field *field;
	uint64_t value = 0, at;
	if (dotnet_type_of(d, object, &type, NULL) ||
	    dotnet_find_field(d, type, name, &field, NULL) ||
	    add_overflows(object, OBJECT_HEADER + (uint64_t)field->is.offset, &at) ||
	    dotnet_read(d, at, &value, size, NULL))
		return 0;
	return value;
}

char *field_text(struct dotnet *d, uint64_t object, const char *name)
{
	uint64_t string = field_number(d, object, name, sizeof(uint64_t));
	struct node *n = string ? node_new() : NULL;
	char *text = NULL;
	if (n && !show_string(d, string, n, NULL) && n->kind == NODE_STRING)
		text = strndup(n->text ? n->text : "", MIN(n->text_len, (size_t)FIELD_TEXT_MAX));
	node_free(n);
	return text;
}
