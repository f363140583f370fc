/* Registers as the data-access library wants them. */
#include "dumpers/dotnet/dac_host_internal.h"

#include "tests/unit/base/unit.h"

#include <stddef.h>
#include <sys/user.h>

enum { CONTEXT_SIZE = 0x4d0 };

static uint64_t at(const uint8_t *context, size_t offset, size_t size)
{
	uint64_t value = 0;
	memcpy(&value, context + offset, size);
	return value;
}

/* winnt.h counts the integer registers as instructions do, rip behind them. */
static void every_register_has_its_place(void **state)
{
	struct user_regs_struct regs;
	struct dac_wire_registers words;
	uint8_t context[CONTEXT_SIZE];
	static const size_t order[] = {
#define AT(name) offsetof(struct user_regs_struct, name)
	    AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi), AT(r8),
	    AT(r9),  AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15), AT(rip),
	};
	static const size_t segments[] = {AT(cs), AT(ds), AT(es), AT(fs), AT(gs), AT(ss)};
	assert_int_equal(sizeof(regs), sizeof(words));
	for (size_t i = 0; i < DAC_REGISTER_COUNT; i++)
		words.v[i] = 0x1122334455660000u + i * 0x101;
	memcpy(&regs, &words, sizeof(regs));
	memset(context, 0xaa, sizeof(context));
	assert_true(dac_context_fill(&words, context, sizeof(context)));
	assert_int_equal(at(context, 0x30, 4), 0x100007);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(at(context, 0x78 + 8 * i, 8),
				 at((const uint8_t *)&regs, order[i], 8));
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++)
		assert_int_equal(at(context, 0x38 + 2 * i, 2),
				 at((const uint8_t *)&regs, segments[i], 2));
	assert_int_equal(at(context, 0x44, 4), (uint32_t)regs.eflags);
	assert_int_equal(at(context, 0x00, 8), 0);
	for (size_t i = 0x100; i < sizeof(context); i++)
		assert_int_equal(context[i], 0);
}

static void a_context_too_small_stays_as_it_is(void **state)
{
	const struct dac_wire_registers words = {{0}};
	uint8_t context[0x100];
	memset(context, 0xaa, sizeof(context));
	assert_false(dac_context_fill(&words, context, sizeof(context) - 1));
	for (size_t i = 0; i < sizeof(context); i++)
		assert_int_equal(context[i], 0xaa);
	assert_true(dac_context_fill(&words, context, sizeof(context)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_register_has_its_place),
	    cmocka_unit_test(a_context_too_small_stays_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
