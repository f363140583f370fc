#include "dumpers/runtime/dotnet_dac.h"

#include "tests/unit/dumpers/runtime/dotnet_elf.h"

#define VERSION_9 "@(#)Version 9.0.124.61010 @Commit: c8acea22626efab11c13778c028975acdc34678f"
#define REBUILT_9 "@(#)Version 9.0.124.61010 @Commit: 0000000000000000000000000000000000000009"
#define VERSION_3 "@(#)Version 4.700.20.6602 @Commit: fd22fd600a2526a7c58536da0e80325eb710d7f1"

enum { RUNTIME_ID = 1, DAC_ID = 100 };

static struct lib *make_dac(const char *version)
{
	struct lib *lib = lib_new(version, DAC_ID);

	lib_name(lib, "CLRDataCreateInstance");
	return lib;
}

/* Takes both over. */
static int check(struct lib *runtime, struct lib *dac, struct err *e)
{
	_cleanup_blob_ struct blob *a = lib_blob(runtime);
	_cleanup_blob_ struct blob *b = lib_blob(dac);

	*e = (struct err){0};
	return dotnet_dac_check(a, b, e);
}

static void one_build(void **state)
{
	struct err e;

	assert_int_equal(check(lib_new(VERSION_9, RUNTIME_ID), make_dac(VERSION_9), &e), 0);
	assert_int_equal(check(lib_new(VERSION_3, RUNTIME_ID), make_dac(VERSION_3), &e), 0);
}

static void another_version(void **state)
{
	struct err e;

	assert_int_equal(check(lib_new(VERSION_3, RUNTIME_ID), make_dac(VERSION_9), &e),
			 -ERR_NOT_FOUND);
	assert_string_equal(e.text, "the data-access library is of .NET 9.0.1 (files "
				    "9.0.124.61010), and the runtime is 3 (files 4.700.20.6602)");
}

static void another_build_of_the_version(void **state)
{
	struct err e;

	assert_int_equal(check(lib_new(VERSION_9, RUNTIME_ID), make_dac(REBUILT_9), &e),
			 -ERR_NOT_FOUND);
	assert_contains(e.text, "another build of .NET 9.0.1");
	assert_contains(e.text, "c8acea22626efab11c13778c028975acdc34678f");
	assert_contains(e.text, "0000000000000000000000000000000000000009");
}

static void no_version(void **state)
{
	struct err e;

	assert_int_equal(check(lib_new("", RUNTIME_ID), make_dac(VERSION_9), &e), -ERR_UNSUPPORTED);
	assert_contains(e.text, "the runtime says no version");
	assert_int_equal(check(lib_new(VERSION_9, RUNTIME_ID), make_dac("@(#)Version N/A"), &e),
			 -ERR_UNSUPPORTED);
	assert_contains(e.text, "the data-access library says no version");
}

static void musl(void **state)
{
	struct lib *dac = make_dac(VERSION_9);
	struct err e;

	lib_name(dac, "libc.musl-x86_64.so.1");
	assert_int_equal(check(lib_new(VERSION_9, RUNTIME_ID), dac, &e), -ERR_UNSUPPORTED);
	assert_contains(e.text, "musl");
	assert_contains(e.hint, "--dac");
}

static void another_cpu(void **state)
{
	struct lib *dac = make_dac(VERSION_9);
	uint16_t machine = EM_AARCH64;
	struct err e;

	memcpy(dac->bytes + offsetof(Elf64_Ehdr, e_machine), &machine, sizeof(machine));
	assert_int_equal(check(lib_new(VERSION_9, RUNTIME_ID), dac, &e), -ERR_UNSUPPORTED);
	assert_contains(e.text, "another CPU");
}

static void another_library(void **state)
{
	struct err e;

	assert_int_equal(check(lib_new(VERSION_9, RUNTIME_ID), lib_new(VERSION_9, DAC_ID), &e),
			 -ERR_UNSUPPORTED);
	assert_contains(e.text, "CLRDataCreateInstance");
}

static void no_elf_file(void **state)
{
	struct lib *dac = make_dac(VERSION_9), *runtime = lib_new(VERSION_9, RUNTIME_ID);
	struct err e;

	memcpy(dac->bytes, "!<arch>", 7);
	assert_int_equal(check(runtime, dac, &e), -ERR_CORRUPT);
	assert_string_equal(e.text, "the data-access library: not an ELF image");
	runtime = lib_new(VERSION_9, RUNTIME_ID);
	memcpy(runtime->bytes, "#!/bin/", 7);
	assert_int_equal(check(runtime, make_dac(VERSION_9), &e), -ERR_CORRUPT);
	assert_string_equal(e.text, "the runtime: not an ELF image");
}

/* A program that has the runtime inside and names the library's build-id. */
static struct lib *single_file(uint8_t first_of_build_id)
{
	struct lib *lib = lib_new(VERSION_9, RUNTIME_ID);
	uint8_t *info = lib->bytes + LIB_DATA + 0x500;

	memcpy(info, "DotNetRuntimeInfo", 18);
	info[20] = 1;
	info[48] = LIB_BUILD_ID;
	for (uint8_t i = 0; i < LIB_BUILD_ID; i++)
		info[49 + i] = (uint8_t)(first_of_build_id + i);
	return lib;
}

static void the_one_that_a_single_file_names(void **state)
{
	struct err e;

	assert_int_equal(check(single_file(DAC_ID), make_dac(VERSION_9), &e), 0);
	/* The same version and commit do not make it the same build. */
	assert_int_equal(check(single_file(DAC_ID + 1), make_dac(VERSION_9), &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "has the build-id 6465666768");
	assert_contains(e.text, "takes the one with 65666768");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_build),
	    cmocka_unit_test(another_version),
	    cmocka_unit_test(another_build_of_the_version),
	    cmocka_unit_test(no_version),
	    cmocka_unit_test(musl),
	    cmocka_unit_test(another_cpu),
	    cmocka_unit_test(another_library),
	    cmocka_unit_test(no_elf_file),
	    cmocka_unit_test(the_one_that_a_single_file_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
