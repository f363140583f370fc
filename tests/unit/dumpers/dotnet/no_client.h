/* What dac_client.h has beside dac_client_ask, for a test that answers the questions itself. */
#ifndef TESTS_UNIT_DUMPERS_DOTNET_NO_CLIENT_H
#define TESTS_UNIT_DUMPERS_DOTNET_NO_CLIENT_H

#include "dumpers/dotnet/dac_client.h"

int dac_client_new(struct blob *library, const struct dac_view *view, uint64_t timeout_ns,
		   struct dac_client **ret, struct err *e)
{
	return err_set(e, ERR_INTERNAL, "not here");
}
void dac_client_free(struct dac_client *c)
{
}
const struct dac_unanswered *dac_client_unanswered(const struct dac_client *c)
{
	static const struct dac_unanswered none;
	return &none;
}

#endif
