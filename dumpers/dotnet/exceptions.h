/* Exceptions on the managed heap: those that threads handle, those that somebody keeps, and those
 * that the collector has not taken yet. Such as say the same come as one kind. */
#ifndef DUMPERS_DOTNET_EXCEPTIONS_H
#define DUMPERS_DOTNET_EXCEPTIONS_H

#include "base/hash.h"
#include "dumpers/dotnet/search.h"
#include "dumpers/dotnet/threads.h"

enum {
	EXCEPTION_FRAMES_MAX = 256, /* of a stack; the innermost ones */
	EXCEPTION_INNER_MAX = 16,   /* one in another */
	EXCEPTION_KINDS_MAX = 1 << 14,
};

struct exception_frame {
	uint64_t pc;
	uint64_t method; /* its descriptor, for dotnet_method_name; 0: none */
};
struct exception {
	uint64_t address;
	const struct dotnet_type *type;
	char *message; /* owned; NULL: none of its own */
	char
	    *remote_stack; /* owned; where it had been thrown before it was thrown again; or NULL */
	uint32_t hresult;
	uint64_t inner;                 /* address; 0: none */
	struct exception_frame *frames; /* owned; innermost first; none: never thrown */
	size_t frame_count;
	bool cut; /* there are more */
};
/* -ERR_CORRUPT if the object is no exception. */
int exception_read(struct dotnet *d, uint64_t address, struct exception *ret, struct err *e);
void exception_done(struct exception *x);

/* Those of one type, message, stack and inner exceptions. */
struct exception_kind {
	uint8_t key[SHA256_BYTES]; /* of all that they have in common */
	uint64_t address;          /* of the first on the heap */
	uint64_t count;
	bool thrown;
	uint32_t handled; /* how many threads handle one of them now */
};
struct exceptions {
	struct exception_kind **kinds; /* owned; handled ones first, never thrown ones last, else
					  the most frequent first */
	size_t kind_count, kind_cap;
	void *by_key;             /* tsearch(3) */
	uint64_t found, left_out; /* of kinds beyond EXCEPTION_KINDS_MAX */
	struct dotnet_threads threads;
	struct exception_kind **of_thread; /* owned; what each of threads handles, or NULL */
	struct dotnet_walk_loss loss;
};
/* Those that the search finds. Errors of the DAC; without its list of threads none is handled. */
int exceptions_read(struct dotnet *d, struct search *search, struct exceptions *ret, struct err *e);
void exceptions_done(struct exceptions *x);

/* limit: kinds that are shown, 0: all. */
int exceptions_text(struct dotnet *d, const struct exceptions *x, uint64_t limit, struct buf *ret,
		    struct err *e);
/* {"schema":"podsnap.exceptions/1","pid","found","kinds","lost_bytes","exceptions":[{"count",
 * "address","type","message","hresult","frames":[{"pc","method"}],"remote_stack","inner":{...},
 * "threads":[{"id","tid","name"}]}]}; message, remote_stack and inner may be null. */
int exceptions_json(struct dotnet *d, const struct exceptions *x, pid_t pid, uint64_t limit,
		    struct buf *ret, struct err *e);

#endif
