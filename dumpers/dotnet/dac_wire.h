/*
 * What the process that holds the DAC and podsnap say to each other, over one socketpair. Both are
 * of one build, so structures travel as they are. podsnap asks, and until the answer has come it
 * serves the reads of memory that the other side needs for it: one question is open at a time.
 * An answer is an array of the records that the question is for; podsnap believes none of it.
 */
#ifndef DUMPERS_DOTNET_DAC_WIRE_H
#define DUMPERS_DOTNET_DAC_WIRE_H

#include <stdint.h>

enum dac_message {
	/* Questions: argument is an address, where one is needed. */
	DAC_ASK_START = 1, /* argument: where libcoreclr.so is loaded. -> dac_wire_start */
	DAC_ASK_THREADS,   /* -> dac_wire_thread... */
	DAC_ASK_HEAP,      /* -> dac_wire_heap, then as many dac_wire_range and dac_wire_skip */
	DAC_ASK_TYPE,      /* of a method table -> dac_wire_type, then its name in UTF-8 */
	DAC_ASK_FIELDS,    /* of a method table, its own -> dac_wire_field... */
	DAC_ASK_MODULE,    /* -> dac_wire_module, then its path in UTF-8 */
	DAC_ASK_ARRAY,     /* an object -> dac_wire_array */
	/* Argument: how many records to leave out. As many as DAC_ROOTS_EACH -> there may be more.
	 */
	DAC_ASK_HANDLES, /* and the queue of the finalizer -> dac_wire_root... */
	DAC_ASK_STATICS, /* of all types without arguments -> dac_wire_root... */
	/* Argument: of what. */
	DAC_ASK_STATICS_OF,  /* a method table -> dac_wire_root... */
	DAC_ASK_STACK,       /* a thread, by its id in the system -> dac_wire_root... */
	DAC_ASK_METHOD,      /* an address of code -> its name in UTF-8 */
	DAC_ASK_FRAMES,      /* of a thread, by os_id -> dac_wire_frame..., innermost first */
	DAC_ASK_METHOD_NAME, /* a method's descriptor -> its name and parameters' types in UTF-8 */
	DAC_ASK_THREAD_OBJECTS, /* -> address of each System.Threading.Thread that a handle has */
	DAC_ASK_SYNC_BLOCKS,    /* in use by Monitor -> dac_wire_sync_block... */
	/* From the other side. */
	DAC_ANSWER,
	DAC_FAILED, /* argument: its hresult; text: what failed */
	DAC_READ,   /* argument: address, a multiple of DAC_BLOCK -> DAC_BYTES */
	/* To it: argument has a bit for each DAC_PAGE that is there, then DAC_BLOCK bytes. */
	DAC_BYTES,
	/* From it. argument: a thread's id, as the target's pid namespace has it -> DAC_REGISTERS
	 */
	DAC_READ_REGISTERS,
	DAC_REGISTERS, /* to it: dac_wire_registers, or nothing where they are not known */
};
struct dac_header {
	uint32_t message; /* enum dac_message */
	uint32_t len;     /* bytes that follow, <= DAC_PAYLOAD_MAX */
	uint64_t argument;
};
enum {
	DAC_PAGE = 4096,
	DAC_BLOCK = 4 * DAC_PAGE,
	DAC_PAYLOAD_MAX = 16 << 20,
	DAC_NAME_MAX = 16 << 10, /* bytes of a type's name or a path */
	DAC_FIELDS_MAX = 1 << 14,
	DAC_THREADS_MAX = 1 << 17,
	DAC_FRAMES_MAX = 1 << 12, /* of a thread */
	DAC_RANGES_MAX = 1 << 16,
	DAC_SYNC_BLOCKS_MAX = 1 << 18,
	DAC_ROOTS_EACH = 1 << 17,
	/* Descriptors of the process that holds the DAC. */
	DAC_SOCKET_FD = 3,
	DAC_LIBRARY_FD = 4,
};

/* The words of the note NT_PRSTATUS of x86-64: struct user_regs_struct, sys/user.h. */
enum { DAC_REGISTER_COUNT = 27 };
struct dac_wire_registers {
	uint64_t v[DAC_REGISTER_COUNT];
};

struct dac_wire_start {
	uint64_t string_type, free_type, object_type;
	uint8_t reads_failed; /* of memory that it asked for */
	uint8_t reserved[7];
};
struct dac_wire_thread {
	uint32_t id, os_id;        /* os_id 0: it has ended */
	uint64_t address;          /* of the runtime's own thread */
	uint64_t exception_handle; /* of the exception that it handles; 0: none */
};
/*
 * A frame of managed code, or a mark that the runtime leaves on the stack where it goes from
 * managed code to its own (pc 0): sp is then where the mark is.
 */
struct dac_wire_frame {
	uint64_t pc, sp;
	uint64_t method; /* its descriptor; 0: none */
	int32_t
	    il_offset; /* of the code at pc, or of the call that it is the return of; < 0: none */
	uint32_t reserved;
};
struct dac_wire_heap {
	uint32_t server, valid, heap_count;
	uint32_t range_count, skip_count;
	uint32_t reserved;
};
/* What an object's lock becomes when it is contended, or somebody is in Monitor.Wait. */
struct dac_wire_sync_block {
	uint64_t object;
	uint64_t owner; /* address of the runtime's own thread; not sure unless is_held */
	uint32_t times; /* that the owner has entered it */
	uint32_t entering, in_wait; /* threads in Monitor.Enter and in Monitor.Wait for it */
	uint32_t is_held;
};
/* Objects lie in [start, end), one after another. */
struct dac_wire_range {
	uint64_t start, end;
	uint32_t heap;
	uint8_t generation; /* 0 to 2; DAC_LARGE, DAC_PINNED */
	uint8_t frozen;
	uint8_t reserved[2];
};
enum { DAC_LARGE = 3, DAC_PINNED = 4, DAC_GENERATIONS = 5 };
/* Room of a thread for new objects: at start the next object is at end. */
struct dac_wire_skip {
	uint64_t start, end;
};
struct dac_wire_type {
	uint64_t module, parent;
	uint32_t base_size, component_size; /* bytes; of an array or string also per element */
	uint32_t token;                     /* TypeDef in its module's metadata */
	uint32_t is_free;
	uint64_t loader_handle; /* of a type that can be unloaded: of its loader's object; else 0 */
	uint32_t has_references, reserved;
};
struct dac_wire_field {
	uint64_t type;        /* method table of the field's type, 0 if not loaded */
	uint64_t type_module; /* and what it is named by, where it is not loaded */
	uint64_t address;     /* of a static's slot; 0 if it has none yet */
	uint32_t type_token, token;
	uint32_t offset; /* of an instance field, from the first byte after the method table */
	uint8_t kind;    /* CorElementType; of an enum that of its numbers */
	uint8_t is_static, is_thread_static, reserved;
};
enum dac_root_kind {
	DAC_ROOT_STATIC,
	DAC_ROOT_THREAD_STATIC,
	DAC_ROOT_STACK,
	DAC_ROOT_FINALIZER,
	DAC_ROOT_HANDLE,
	DAC_ROOT_DEPENDENT, /* keeps object alive as long as what is at slot lives */
	DAC_ROOT_KINDS,
};
/* HandleType (gcinterface.h) of those that keep an object alive. */
enum {
	DAC_HANDLE_STRONG = 2,
	DAC_HANDLE_PINNED = 3,
	DAC_HANDLE_VARIABLE = 4,
	DAC_HANDLE_COUNTED = 5,
	DAC_HANDLE_DEPENDENT = 6,
	DAC_HANDLE_ASYNC_PINNED = 7,
	DAC_HANDLE_SIZED = 8,
};
/* A reference from outside of the heap into it. */
struct dac_wire_root {
	uint64_t slot;    /* address of the reference; of a stack it may be 0: in a register */
	uint64_t object;  /* of a stack and a dependent handle; of the others it is at slot */
	uint64_t source;  /* of a static its type; of a stack the code's address, or the frame's */
	uint64_t module;  /* of a static: its type's */
	uint32_t token;   /* of a static: its field's */
	uint32_t thread;  /* its id in the system: of a thread's static, of a stack */
	uint8_t kind;     /* enum dac_root_kind */
	uint8_t handle;   /* DAC_HANDLE_* */
	uint8_t in_frame; /* of a stack: source is a frame of the runtime's own */
	uint8_t interior; /* of a stack: object may be an address within an object */
	uint8_t reserved[4];
};
struct dac_wire_module {
	uint64_t metadata, metadata_size;
};
struct dac_wire_array {
	uint64_t element_type, data, count;
	uint32_t element_size, rank, element_kind, reserved;
};

#endif
