/*
 * podsnap's end of the process that holds the DAC (dac_host.h): starts it, asks it, serves its
 * reads of the target's memory, and ends it. Whatever becomes of that process is an error of the
 * question that was open; every later one gives the same error.
 */
#ifndef DUMPERS_DOTNET_DAC_CLIENT_H
#define DUMPERS_DOTNET_DAC_CLIENT_H

#include "base/blob.h"
#include "base/buf.h"
#include "dumpers/dotnet/dac_wire.h"

/* Fills exactly len bytes of the target's memory, or fails. */
typedef int (*dac_read_fn)(void *ctx, uint64_t address, void *data, size_t len, struct err *e);

/* The registers of a thread; false where they are not known. */
typedef bool (*dac_registers_fn)(void *ctx, uint32_t tid, struct dac_wire_registers *ret);
/* The target as the library may see it. */
struct dac_view {
	dac_read_fn read;
	dac_registers_fn registers;
	void *ctx; /* borrowed */
};

struct dac_client;
enum { DAC_LIBRARY_MAX = 256 << 20 };
/*
 * Copies the library into memory of its own and starts the process. timeout_ns: for each question,
 * until its answer is there. -ERR_LIMIT for a library beyond DAC_LIBRARY_MAX bytes,
 * -ERR_UNSUPPORTED where no such process can be had.
 */
int dac_client_new(struct blob *library, const struct dac_view *view, uint64_t timeout_ns,
		   struct dac_client **ret, struct err *e);
/* Ends the process and waits for it. NULL-safe. */
void dac_client_free(struct dac_client *c);
/*
 * One question; its answer's records replace what ret holds. -ERR_CORRUPT where the library says
 * no, or was lost over this question while others can be asked. Once it can be asked no more:
 * -ERR_TIMEOUT, and -ERR_SERVER where its process is gone: of a signal, of a lack of memory.
 */
int dac_client_ask(struct dac_client *c, enum dac_message question, uint64_t argument,
		   struct buf *ret, struct err *e);

/* Questions over which a process of the library was lost. */
struct dac_unanswered {
	uint64_t count;
	char first[ERR_TEXT_MAX]; /* what the first of them was, and what became of it */
};
const struct dac_unanswered *dac_client_unanswered(const struct dac_client *c);

#endif
