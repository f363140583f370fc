/* The inside of the process that holds the DAC. */
#ifndef DUMPERS_DOTNET_DAC_HOST_INTERNAL_H
#define DUMPERS_DOTNET_DAC_HOST_INTERNAL_H

#include "base/buf.h"
#include "dumpers/dotnet/dac_abi.h"
#include "dumpers/dotnet/dac_wire.h"

/* Calls entry `slot` of a COM object: DAC_CALL(object, slot, types of arguments)(object, ...). */
#define DAC_CALL(object, slot, ...)                                                                \
	((hresult(*)(void *, ##__VA_ARGS__))((*(void *const **)(object))[slot]))

/* dac_sandbox.c: limits, Landlock where the kernel has it, seccomp. From here on the process can
 * compute, read what is open and the system's libraries, and write to the socket; -ERR_UNSUPPORTED
 * where seccomp cannot be had. */
int dac_confine(struct err *e);

/* dac_socket.c: both ends. -ERR_GONE at the end of the stream, -ERR_PROTOCOL for too long. */
int dac_send(int fd, enum dac_message message, uint64_t argument, const void *data, size_t len,
	     struct err *e);
/* The header of what comes next; then exactly its len bytes are to be received. */
int dac_receive_header(int fd, struct dac_header *ret, struct err *e);
int dac_receive(int fd, void *data, size_t len, struct err *e);

/* dac_target.c: the object that the DAC reads the target by. */
void *dac_target(uint64_t runtime_base);
/* Exactly len bytes of it. */
bool dac_target_read(uint64_t address, void *data, uint32_t len);
/* How many reads found nothing. */
uint64_t dac_target_failures(void);

/*
 * dac_context.c: a CONTEXT of x86-64 (winnt.h) with control, integer and segment registers; the
 * rest of its size bytes is zero. False if size is too small for them.
 */
bool dac_context_fill(const struct dac_wire_registers *registers, uint8_t *ret, uint32_t size);

/* dac_load.c: what the library gave. */
struct dac {
	void *process, *sos;
	void *sos6, *sos8, *sos12, *sos14; /* NULL: too old for it */
	struct dac_globals globals;
};
/* Text of what failed in e; *ret_hr is what the library said, HR_FAIL for no reason of its. */
int dac_load(uint64_t runtime_base, struct dac *ret, hresult *ret_hr, struct err *e);

/* dac_answer.c, dac_answer_heap.c, dac_answer_roots.c: append the records of an answer to ret. */
int dac_answer(struct dac *dac, const struct dac_header *question, struct buf *ret, hresult *ret_hr,
	       struct err *e);
int dac_answer_heap(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e);
int dac_answer_roots(struct dac *dac, const struct dac_header *question, struct buf *ret,
		     hresult *ret_hr, struct err *e);

/* Of the heap of that kind at that address (0: the only one), the address in which each of the
 * parts of the finalizer's queue ends; ret_count: how many there are. False: not to be had. */
enum { QUEUE_PARTS_MAX = 16 };
bool dac_finalizer_queue(struct dac *dac, uint64_t heap, const struct dac_heap *details,
			 uint64_t ret[static QUEUE_PARTS_MAX], uint32_t *ret_count);

/* Of a type that can be unloaded: the handle of its loader's object; else 0. */
uint64_t dac_loader_handle(struct dac *dac, uint64_t type);

/* Fields of the type's own, one after another; address: of its method table; what fn returns ends
 * it if it is not 0. */
typedef int (*dac_field_fn)(void *ctx, const struct dac_wire_field *field, struct err *e);
int dac_each_field(struct dac *dac, uint64_t address, const struct dac_type *type, dac_field_fn fn,
		   void *ctx, hresult *ret_hr, struct err *e);
/* dac_answer_stack.c */
int dac_answer_stack(struct dac *dac, uint64_t tid, struct buf *ret, hresult *ret_hr,
		     struct err *e);
int dac_answer_sync_blocks(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e);
int dac_answer_thread_objects(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e);
/* dac_answer.c: appends a name by its entry of ISOSDacInterface; without a name, nothing. */
int dac_append_name(struct dac *dac, int slot, uint64_t address, struct buf *ret, struct err *e);

static inline int dac_refused(hresult hr, const char *what, hresult *ret_hr, struct err *e)
{
	*ret_hr = hr;
	return err_set(e, ERR_CORRUPT, "%s: 0x%08x", what, (unsigned int)hr);
}

#endif
