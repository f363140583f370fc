#include "dumpers/proc/limits.h"
#include "dumpers/proc/namespaces.h"
#include "tests/unit/base/unit.h"

#include <sys/stat.h>

#define HEAD "Limit                     Soft Limit           Hard Limit           Units     \n"

static void real_lines(void **state)
{
	static const char text[] =
	    HEAD "Max cpu time              unlimited            unlimited            seconds   \n"
		 "Max core file size        0                    unlimited            bytes     \n"
		 "Max open files            1024                 1048576              files     \n"
		 "Max nice priority         0                    0                    \n";
	struct proc_limits limits;

	assert_int_equal(proc_limits_parse(text, strlen(text), &limits, NULL), 0);
	assert_true(limits.v[RLIMIT_CPU].soft == LIMIT_UNLIMITED);
	assert_int_equal(limits.v[RLIMIT_CORE].soft, 0);
	assert_true(limits.v[RLIMIT_CORE].hard == LIMIT_UNLIMITED);
	assert_int_equal(limits.v[RLIMIT_NOFILE].soft, 1024);
	assert_int_equal(limits.v[RLIMIT_NOFILE].hard, 1048576);
	assert_true(limits.v[RLIMIT_NICE].present);
	assert_false(limits.v[RLIMIT_NPROC].present);
	assert_string_equal(proc_limit_name(RLIMIT_NOFILE), "nofile");
	assert_string_equal(proc_limit_name(LIMIT_COUNT), "unknown");
}

static void malformed(void **state)
{
	static const char *const cases[] = {
	    "Max open files \n",
	    "Max open files 12\n",
	    "Max open files x 12 files\n",
	    "Max open files 18446744073709551616 1 files\n",
	};
	struct proc_limits limits;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(proc_limits_parse(cases[i], strlen(cases[i]), &limits, &e),
				 -ERR_CORRUPT);
		assert_contains(e.text, "Max open files");
	}
}

/* Every resource of the kernel is in the table under the right number. */
static void own_limits(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_limits limits;
	struct rlimit own;
	struct err e;

	assert_int_equal(RLIM_NLIMITS, LIMIT_COUNT);
	assert_int_equal(process_open(getpid(), &p, &e), 0);
	assert_int_equal(process_limits(&p, &limits, &e), 0);
	for (int i = 0; i < LIMIT_COUNT; i++) {
		assert_int_equal(getrlimit((__rlimit_resource_t)i, &own), 0);
		assert_true(limits.v[i].present);
		assert_true(limits.v[i].soft == own.rlim_cur);
		assert_true(limits.v[i].hard == own.rlim_max);
	}
}

static void namespace_links(void **state)
{
	uint64_t inode = 0;

	assert_true(ns_link_parse("pid:[4026531836]", NS_PID, &inode));
	assert_int_equal(inode, 4026531836);
	assert_false(ns_link_parse("pid:[4026531836", NS_PID, &inode));
	assert_false(ns_link_parse("pid:[]", NS_PID, &inode));
	assert_false(ns_link_parse("pid:[1]x", NS_PID, &inode));
	assert_false(ns_link_parse("net:[1]", NS_PID, &inode));
	assert_false(ns_link_parse("", NS_PID, &inode));
}

static void own_namespaces(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct namespaces ns;
	struct stat st;

	assert_int_equal(process_open(getpid(), &p, NULL), 0);
	process_namespaces(&p, &ns);
	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	assert_true(ns.v[NS_NET].inode == st.st_ino);
	for (int i = 0; i < NS_COUNT; i++)
		assert_int_equal(ns.v[i].same, ns.v[i].inode != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(real_lines),     cmocka_unit_test(malformed),
	    cmocka_unit_test(own_limits),     cmocka_unit_test(namespace_links),
	    cmocka_unit_test(own_namespaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
