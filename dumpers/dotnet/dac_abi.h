/*
 * What libmscordaccore.so, .NET's data-access library (DAC), has to offer and asks for, as far as
 * it is used here: interface ids, positions in the tables of functions, and structures. They are
 * COM interfaces in the C ABI of x86-64: an object's first word points to its table, entries 0 to 2
 * are QueryInterface, AddRef and Release, and every function takes the object first. An interface
 * never changes once it was published, so one description serves .NET Core 3.1 to .NET 9.
 *
 * Source: github.com/dotnet/runtime, src/coreclr/inc: clrdata.idl (what the DAC asks of its host),
 * xclrdata.idl (the process), sospriv.idl (ISOSDacInterface) and dacprivate.h (the structures).
 */
#ifndef DUMPERS_DOTNET_DAC_ABI_H
#define DUMPERS_DOTNET_DAC_ABI_H

#include <assert.h>
#include <stdint.h>

typedef int32_t hresult; /* negative: failed */
enum {
	HR_OK = 0,
	HR_NOT_IMPLEMENTED = (int)0x80004001,
	HR_NO_INTERFACE = (int)0x80004002,
	HR_FAIL = (int)0x80004005,
};

struct guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};
/* clang-format off */
#define GUID_UNKNOWN          {0x00000000, 0x0000, 0x0000, {0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x46}}
#define GUID_DATA_TARGET      {0x3e11ccee, 0xd08b, 0x43e5, {0xaf, 0x01, 0x32, 0x71, 0x7a, 0x64, 0xda, 0x03}}
#define GUID_DATA_TARGET2     {0x6d05fae3, 0x189c, 0x4630, {0xa6, 0xdc, 0x1c, 0x25, 0x1e, 0x1c, 0x01, 0xab}}
#define GUID_RUNTIME_LOCATOR  {0xb760bf44, 0x9377, 0x4597, {0x8b, 0xe7, 0x58, 0x08, 0x3b, 0xdc, 0x51, 0x46}}
#define GUID_PROCESS          {0x5c552ab6, 0xfc09, 0x4cb3, {0x8e, 0x36, 0x22, 0xfa, 0x03, 0xc7, 0x98, 0xb7}}
#define GUID_SOS              {0x436f00f2, 0xb42a, 0x4b9f, {0x87, 0x0c, 0xe7, 0x3d, 0xb6, 0x6a, 0xe9, 0x30}}
#define GUID_SOS6             {0x11206399, 0x4b66, 0x4edb, {0x98, 0xea, 0x85, 0x65, 0x4e, 0x59, 0xad, 0x45}}
#define GUID_SOS8             {0xc12f35a9, 0xe55c, 0x4520, {0xa8, 0x94, 0xb3, 0xdc, 0x51, 0x65, 0xdf, 0xce}}
#define GUID_SOS12            {0x1b93bacc, 0x8ca4, 0x432d, {0x94, 0x3a, 0x3e, 0x6e, 0x7e, 0xc0, 0xb0, 0xa3}}
#define GUID_SOS14            {0x9aa22aca, 0x6dc6, 0x4a0c, {0xb4, 0xe0, 0x70, 0xd2, 0x41, 0x6b, 0x98, 0x37}}
/* clang-format on */

/* Entries of ICLRDataTarget2, which we are. */
enum {
	TARGET_GET_MACHINE = 3,
	TARGET_GET_POINTER_SIZE = 4,
	TARGET_GET_IMAGE_BASE = 5,
	TARGET_READ = 6,
	TARGET_CURRENT_THREAD = 10,
	TARGET_THREAD_CONTEXT = 11,
	TARGET_ENTRIES = 16,
	LOCATOR_GET_RUNTIME_BASE = 3,
	LOCATOR_ENTRIES = 4,
	MACHINE_AMD64 = 0x8664,
};

/* Entries of what the DAC is. */
enum {
	PROCESS_TASK_BY_THREAD = 7,
	TASK_STACK_WALK = 11,
	WALK_CONTEXT = 3,
	WALK_NEXT = 5,
	WALK_FRAME = 8,
	WALK_REQUEST = 9,
	FRAME_METHOD = 11,
	METHOD_IL_OFFSETS = 12,
	SOS_THREAD_STORE = 3,
	SOS_DOMAINS = 5,
	SOS_ASSEMBLIES = 9,
	SOS_MODULE_DATA = 13,
	SOS_MODULE_TYPES = 14,
	SOS_MODULES = 15,
	SOS_THREAD = 17,
	SOS_METHOD_AT = 21,
	SOS_METHOD_NAME = 22,
	SOS_METHOD_OF_FRAME = 23,
	SOS_OBJECT = 33,
	SOS_TYPE_NAME = 36,
	SOS_TYPE = 37,
	SOS_TYPE_FIELDS = 39,
	SOS_FIELD = 42,
	SOS_PE_FILE_NAME = 45,
	SOS_HEAP = 46,
	SOS_HEAP_LIST = 47,
	SOS_HEAP_DETAILS = 48,
	SOS_HEAP_STATIC = 49,
	SOS_SEGMENT = 50,
	SOS_DOMAIN_MODULE = 57, /* before .NET 9: where a module's statics are */
	SOS_SYNC_BLOCK = 59,
	SOS_HANDLES = 61,
	SOS_GLOBALS = 70,
	SOS_STACK_REFERENCES = 79,
	SOS6_COLLECTIBLE = 3,
	SOS8_GENERATION_COUNT = 3,
	SOS8_GENERATIONS = 4,
	SOS8_FINALIZATION = 5,
	SOS8_GENERATIONS_SERVER = 6,
	SOS8_FINALIZATION_SERVER = 7,
	SOS12_ALLOCATION_CONTEXT = 3,
	SOS14_STATIC_BASE = 3,
	SOS14_THREAD_STATIC_BASE = 4,
	ENUM_RELEASE = 2, /* of what lists handles or references of a stack */
	ENUM_NEXT = 6,
};

struct dac_thread_store {
	int32_t count, unstarted, background, pending, dead;
	uint64_t first, finalizer, gc;
	uint32_t hosted;
};
struct dac_thread {
	uint32_t id, os_id;
	int32_t state;
	uint32_t preemptive_disabled;
	uint64_t alloc_ptr, alloc_limit, context, domain, frame;
	uint32_t lock_count;
	uint64_t nested, teb, fiber, last_thrown, next;
};
struct dac_object {
	uint64_t type;
	int32_t kind; /* DAC_OBJECT_* */
	uint64_t size, element_type;
	int32_t element_kind; /* CorElementType */
	uint32_t rank;
	uint64_t count, element_size, data, bounds, lower_bounds, rcw, ccw;
};
enum { DAC_OBJECT_ARRAY = 3 };
struct dac_type {
	uint32_t is_free;
	uint64_t module, class, parent;
	uint16_t interfaces, methods, virtual_slots, virtuals;
	uint32_t base_size, component_size, token, attributes, shared, dynamic, has_pointers;
};
struct dac_type_fields {
	uint16_t instance, statics, thread_statics; /* instance counts the base types' too */
	uint64_t first;
	uint16_t context_statics, reserved;
};
struct dac_field {
	int32_t kind, signature_kind; /* CorElementType */
	uint64_t type, type_module;
	uint32_t type_token, token;
	uint64_t enclosing;
	uint32_t offset, is_thread_static, is_context_static, is_static;
	uint64_t next;
};
struct dac_module {
	uint64_t address, file, image, metadata, metadata_size, assembly;
	uint32_t is_reflection, is_pe;
	uint64_t class_index, id;
	uint32_t flags;
	uint64_t maps[7], allocator, thunk_heap, index;
};
struct dac_generation {
	uint64_t start_segment, start, alloc_ptr, alloc_limit;
};
struct dac_heap {
	uint64_t address, alloc_allocated, marks[7];
	struct dac_generation generation[4];
	uint64_t ephemeral_segment, finalization[7], lowest, highest, card_table;
};
struct dac_heap_kind {
	uint32_t server, valid, count, max_generation;
};
struct dac_segment {
	uint64_t address, allocated, committed, reserved, used, memory, next, heap, high, flags,
	    background_allocated;
};
enum { DAC_SEGMENT_READ_ONLY = 1 };
struct dac_globals {
	uint64_t array, string, object, exception, free;
};
struct dac_sync_block {
	uint64_t object;
	uint32_t is_free;
	uint64_t address;
	uint32_t com_flags, held, recursion;
	uint64_t owner;
	uint32_t in_wait;
	uint64_t domain;
	uint32_t count; /* of all sync blocks */
};
struct dac_collectible {
	uint64_t loader_handle;
	uint32_t is_collectible;
};
struct dac_handle {
	uint64_t domain, handle, secondary;
	uint32_t type, strong, count, other_count, pegged;
};
struct dac_stack_reference {
	uint32_t has_register;
	int32_t reg, offset;
	uint64_t address, object;
	uint32_t flags;
	int32_t source_kind; /* 0: source is an address of code, else of a frame */
	uint64_t source, stack_pointer;
};
enum { DAC_REFERENCE_INTERIOR = 1 };
struct dac_domain_module {
	uint64_t domain, id, class_data, dynamic, gc_statics, other_statics;
};

static_assert(sizeof(struct dac_thread_store) == 0x38, "DacpThreadStoreData");
static_assert(sizeof(struct dac_thread) == 0x68, "DacpThreadData");
static_assert(sizeof(struct dac_object) == 0x60, "DacpObjectData");
static_assert(sizeof(struct dac_type) == 0x48, "DacpMethodTableData");
static_assert(sizeof(struct dac_type_fields) == 0x18, "DacpMethodTableFieldData");
static_assert(sizeof(struct dac_field) == 0x40, "DacpFieldDescData");
static_assert(sizeof(struct dac_module) == 0xa0, "DacpModuleData");
static_assert(sizeof(struct dac_heap) == 0x120, "DacpGcHeapDetails");
static_assert(sizeof(struct dac_heap_kind) == 0x10, "DacpGcHeapData");
static_assert(sizeof(struct dac_segment) == 0x58, "DacpHeapSegmentData");
static_assert(sizeof(struct dac_globals) == 0x28, "DacpUsefulGlobalsData");
static_assert(sizeof(struct dac_sync_block) == 0x48, "DacpSyncBlockData");
static_assert(sizeof(struct dac_collectible) == 0x10, "DacpMethodTableCollectibleData");
static_assert(sizeof(struct dac_handle) == 0x30, "SOSHandleData");
static_assert(sizeof(struct dac_stack_reference) == 0x38, "SOSStackRefData");
static_assert(sizeof(struct dac_domain_module) == 0x30, "DacpDomainLocalModuleData");

#endif
