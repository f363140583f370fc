#include "upload/sink_types.h"

#include <string.h>

/* In order of asking: the file sink takes every path that no other claims. */
static const struct sink_type *const types[] = {&sink_stdout, &sink_s3, &sink_file};

int sink_open(const char *destination, const struct sink_config *config, struct sink **ret,
	      struct err *e)
{
	const char *scheme_end;

	if (!destination || !*destination) return err_set(e, ERR_USAGE, "the destination is empty");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i]->matches(destination))
			return types[i]->open(destination, config, ret, e);
	/* Only the scheme is named: what follows may hold a password or a signature. */
	scheme_end = strstr(destination, "://");
	err_set(e, ERR_UNSUPPORTED, "%.*s://: no such kind of destination",
		scheme_end ? (int)MIN(scheme_end - destination, 32) : 0, destination);
	return err_hint(e, "write to a FILE, a DIRECTORY, s3://BUCKET/KEY or - (standard output)");
}

int sink_write(struct sink *s, const void *data, size_t len, struct err *e)
{
	return len > 0 ? s->ops->write(s, data, len, e) : 0;
}

int sink_commit(struct sink *s, struct err *e)
{
	return s->ops->commit(s, e);
}

void sink_abort(struct sink *s, bool keep_partial, char **ret_kept)
{
	char *kept = NULL;

	s->ops->abort(s, keep_partial, &kept);
	if (ret_kept)
		*ret_kept = kept;
	else
		free(kept);
}

void sink_cancel(struct sink *s)
{
	if (s->ops->cancel) s->ops->cancel(s);
}

void sink_free(struct sink *s)
{
	if (s) s->ops->free(s);
}
