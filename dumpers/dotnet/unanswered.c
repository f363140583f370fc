#include "dumpers/dotnet/unanswered.h"

#include "dumpers/dotnet/dotnet_internal.h"

uint64_t unanswered_count(const struct dotnet *d)
{
	return dac_client_unanswered(d->client)->count;
}

int unanswered_text(const struct dotnet *d, struct buf *ret, struct err *e)
{
	const struct dac_unanswered *u = dac_client_unanswered(d->client);
	if (!u->count) return 0;
	int r = buf_printf(ret, e, "unknown is what was asked for when %s", u->first);
	if (!r && u->count > 1)
		r = buf_printf(ret, e, ", and %llu times more", (unsigned long long)(u->count - 1));
	return r ? r : buf_puts(ret, "\n", e);
}

void unanswered_json(const struct dotnet *d, struct json *j)
{
	const struct dac_unanswered *u = dac_client_unanswered(d->client);
	if (!u->count) return;
	json_key(j, "unanswered");
	json_object(j);
	json_kv_uint(j, "count", u->count);
	json_kv_string(j, "first", u->first);
	json_object_end(j);
}
