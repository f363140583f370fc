/* A core that is not written anywhere: the bytes that core_write would give, read at random. */
#ifndef DUMPERS_CORE_CORE_BLOB_H
#define DUMPERS_CORE_CORE_BLOB_H

#include "base/blob.h"
#include "dumpers/core/core.h"

/*
 * The plan, and the snapshot it is of, stay borrowed and must outlive the blob. A read of memory
 * that cannot be read is -ERR_IO, and -ERR_GONE of a live snapshot that was given up: what comes
 * would be of another instant. Holds headers and notes in memory; any thread may read.
 */
int core_open_blob(struct core *c, struct blob **ret, struct err *e);

#endif
