/* Managed threads and their stacks. */
#ifndef DUMPERS_DOTNET_THREADS_H
#define DUMPERS_DOTNET_THREADS_H

#include "dumpers/dotnet/dotnet.h"

enum { THREAD_TEXT_MAX = 4096 }; /* bytes of a thread's name, of an exception's message */

struct dotnet_thread {
	uint32_t id;               /* Thread.ManagedThreadId */
	uint32_t os_id;            /* in the target's pid namespace; 0: not started, or ended */
	uint64_t address;          /* of the runtime's own thread, by which locks name it */
	char *name;                /* Thread.Name, owned; NULL: none, or not known */
	char *exception;           /* type of the exception that it handles, owned; NULL: none */
	char *message;             /* of it, owned; NULL: none, or not readable */
	uint64_t exception_object; /* its address; 0: none */
};
struct dotnet_threads {
	struct dotnet_thread *v; /* owned; ascending id */
	size_t count;
};
/* Those that the runtime lists. Errors of the DAC; what cannot be read of a thread is left out. */
int dotnet_threads_read(struct dotnet *d, struct dotnet_threads *ret, struct err *e);
void dotnet_threads_done(struct dotnet_threads *t);

struct dotnet_frames {
	struct dac_wire_frame *v; /* owned; innermost first */
	size_t count;
};
/* The managed frames of a thread, by its os_id. Errors of the DAC. */
int dotnet_frames_read(struct dotnet *d, uint32_t os_id, struct dotnet_frames *ret, struct err *e);
void dotnet_frames_done(struct dotnet_frames *f);
/*
 * Appends a method's type and name and its parameters' types, "Depot.Threads.Take(System.Object)",
 * types as Type.ToString() has them; nothing for one without a name.
 */
int dotnet_method_name(struct dotnet *d, uint64_t method, struct buf *ret, struct err *e);

#endif
