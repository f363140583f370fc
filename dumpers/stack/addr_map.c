#include "dumpers/stack/addr_map.h"

struct addr_map_slot {
	uint64_t key;
	uint32_t value;
	bool used;
};

enum { FIRST_CAP = 256 };

static size_t slot_of(const struct addr_map *m, uint64_t key)
{
	/* Fibonacci hashing: the high bits of the product are the mixed ones. */
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & (m->cap - 1);

	while (m->slots[i].used && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void addr_map_done(struct addr_map *m)
{
	free(m->slots);
	*m = (struct addr_map){.max = m->max};
}

bool addr_map_get(const struct addr_map *m, uint64_t key, uint32_t *ret)
{
	size_t i;

	if (!m->cap) return false;
	i = slot_of(m, key);
	if (!m->slots[i].used) return false;
	*ret = m->slots[i].value;
	return true;
}

static bool grow(struct addr_map *m)
{
	struct addr_map bigger = {.cap = m->cap ? m->cap * 2 : FIRST_CAP, .max = m->max};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots) return false;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used) bigger.slots[slot_of(&bigger, m->slots[i].key)] = m->slots[i];
	bigger.count = m->count;
	free(m->slots);
	*m = bigger;
	return true;
}

void addr_map_put(struct addr_map *m, uint64_t key, uint32_t value)
{
	if (m->count >= m->max) return;
	if ((m->count + 1) * 2 > m->cap && !grow(m)) return;
	m->slots[slot_of(m, key)] = (struct addr_map_slot){key, value, true};
	m->count++;
}
