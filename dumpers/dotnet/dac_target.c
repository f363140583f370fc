/*
 * ICLRDataTarget2 and ICLRRuntimeLocator: how the DAC sees the target. Memory comes in blocks from
 * the other end of the socket and is kept, since the DAC reads a few bytes at a time.
 */
#include "dumpers/dotnet/dac_host_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS_MAX = 1 << 14, HASH_SIZE = 1 << 15 };

struct block {
	uint64_t address;
	uint64_t pages; /* a bit for each DAC_PAGE that is there */
	uint8_t bytes[DAC_BLOCK];
};

static const struct guid guid_unknown = GUID_UNKNOWN, guid_target = GUID_DATA_TARGET,
			 guid_target2 = GUID_DATA_TARGET2, guid_locator = GUID_RUNTIME_LOCATOR;
/* One process serves one target, and the DAC passes no context but the object itself. */
static struct block *hash[HASH_SIZE];
static size_t block_count;
static uint64_t base_of_runtime, failures;

uint64_t dac_target_failures(void)
{
	return failures;
}

static size_t slot_of(uint64_t address)
{
	size_t i = (size_t)((address / DAC_BLOCK * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % HASH_SIZE;
	while (hash[i] && hash[i]->address != address)
		i = (i + 1) % HASH_SIZE;
	return i;
}

static void drop_all(void)
{
	for (size_t i = 0; i < HASH_SIZE; i++) {
		free(hash[i]);
		hash[i] = NULL;
	}
	block_count = 0;
}

/* Without the other side there is nothing to go on for. */
static struct block *fetch(uint64_t address)
{
	struct dac_header header;
	struct block *block = calloc(1, sizeof(*block));
	if (!block) return NULL;
	if (dac_send(DAC_SOCKET_FD, DAC_READ, address, NULL, 0, NULL) ||
	    dac_receive_header(DAC_SOCKET_FD, &header, NULL) || header.message != DAC_BYTES ||
	    header.len != DAC_BLOCK || dac_receive(DAC_SOCKET_FD, block->bytes, DAC_BLOCK, NULL))
		_exit(1);
	block->address = address;
	block->pages = header.argument;
	return block;
}

static const struct block *find_block(uint64_t address)
{
	size_t slot = slot_of(address);
	if (hash[slot]) return hash[slot];
	if (block_count == BLOCKS_MAX) {
		drop_all();
		slot = slot_of(address);
	}
	hash[slot] = fetch(address);
	if (hash[slot]) block_count++;
	return hash[slot];
}

static uint32_t read_memory(uint64_t address, uint8_t *data, uint32_t len)
{
	uint32_t done = 0;
	while (done < len) {
		uint64_t at;
		if (add_overflows(address, done, &at)) break;
		const struct block *block = find_block(align_down(at, DAC_BLOCK));
		uint32_t offset = (uint32_t)(at % DAC_BLOCK);
		if (!block || !(block->pages >> (offset / DAC_PAGE) & 1)) break;
		uint32_t n = MIN(len - done, DAC_PAGE - offset % DAC_PAGE);
		memcpy(data + done, block->bytes + offset, n);
		done += n;
	}
	return done;
}

bool dac_target_read(uint64_t address, void *data, uint32_t len)
{
	return read_memory(address, data, len) == len;
}

static hresult read_virtual(void *self, uint64_t address, uint8_t *data, uint32_t len,
			    uint32_t *ret_done)
{
	uint32_t done = read_memory(address, data, len);
	if (ret_done) *ret_done = done;
	if (done < len) failures++;
	return done ? HR_OK : HR_FAIL;
}

static hresult query(void *self, const struct guid *id, void **ret);
static uint32_t count_reference(void *self)
{
	return 1; /* it lives as long as the process */
}
static hresult get_machine(void *self, uint32_t *ret)
{
	*ret = MACHINE_AMD64;
	return HR_OK;
}
static hresult get_pointer_size(void *self, uint32_t *ret)
{
	*ret = 8;
	return HR_OK;
}
static hresult get_image_base(void *self, const uint16_t *name, uint64_t *ret)
{
	*ret = base_of_runtime; /* it asks for no other than its own runtime's */
	return HR_OK;
}
static hresult get_runtime_base(void *self, uint64_t *ret)
{
	*ret = base_of_runtime;
	return HR_OK;
}
static hresult get_thread_context(void *self, uint32_t tid, uint32_t flags, uint32_t size,
				  uint8_t *ret)
{
	struct dac_header header;
	struct dac_wire_registers registers;
	if (dac_send(DAC_SOCKET_FD, DAC_READ_REGISTERS, tid, NULL, 0, NULL) ||
	    dac_receive_header(DAC_SOCKET_FD, &header, NULL) || header.message != DAC_REGISTERS)
		_exit(1);
	if (!header.len) return HR_FAIL;
	if (header.len != sizeof(registers) ||
	    dac_receive(DAC_SOCKET_FD, &registers, sizeof(registers), NULL))
		_exit(1);
	return dac_context_fill(&registers, ret, size) ? HR_OK : HR_FAIL;
}
/* Arguments stay with the caller in this ABI, so one function stands for all that is not there. */
static hresult not_there(void *self)
{
	return HR_NOT_IMPLEMENTED;
}

static void *target_table[TARGET_ENTRIES], *locator_table[LOCATOR_ENTRIES];
static struct {
	void **table;
} target = {target_table}, locator = {locator_table};

static hresult query(void *self, const struct guid *id, void **ret)
{
	*ret = NULL;
	if (!memcmp(id, &guid_locator, sizeof(*id)))
		*ret = &locator;
	else if (!memcmp(id, &guid_unknown, sizeof(*id)) ||
		 !memcmp(id, &guid_target, sizeof(*id)) || !memcmp(id, &guid_target2, sizeof(*id)))
		*ret = &target;
	return *ret ? HR_OK : HR_NO_INTERFACE;
}

static void fill_unknown(void **table)
{
	table[0] = (void *)query;
	table[1] = table[2] = (void *)count_reference;
}

void *dac_target(uint64_t runtime_base)
{
	base_of_runtime = runtime_base;
	for (size_t i = 0; i < TARGET_ENTRIES; i++)
		target_table[i] = (void *)not_there;
	fill_unknown(target_table);
	fill_unknown(locator_table);
	target_table[TARGET_GET_MACHINE] = (void *)get_machine;
	target_table[TARGET_GET_POINTER_SIZE] = (void *)get_pointer_size;
	target_table[TARGET_GET_IMAGE_BASE] = (void *)get_image_base;
	target_table[TARGET_READ] = (void *)read_virtual;
	target_table[TARGET_THREAD_CONTEXT] = (void *)get_thread_context;
	locator_table[LOCATOR_GET_RUNTIME_BASE] = (void *)get_runtime_base;
	return &target;
}
