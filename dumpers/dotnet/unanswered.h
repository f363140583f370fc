/*
 * What the data-access library was asked for and crashed over, or did not answer in time: it is
 * unknown in what was shown, and an answer says so at its end.
 */
#ifndef DUMPERS_DOTNET_UNANSWERED_H
#define DUMPERS_DOTNET_UNANSWERED_H

#include "base/json.h"
#include "dumpers/dotnet/dotnet.h"

/* How many questions. */
uint64_t unanswered_count(const struct dotnet *d);
/* One line; nothing if all were answered. */
int unanswered_text(const struct dotnet *d, struct buf *ret, struct err *e);
/* "unanswered":{"count","first"}; nothing if all were answered. */
void unanswered_json(const struct dotnet *d, struct json *j);

#endif
