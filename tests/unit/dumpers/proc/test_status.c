#include "dumpers/proc/status.h"
#include "tests/unit/base/unit.h"

#include <signal.h>
#include <sys/prctl.h>

/* nginx in a container, Linux 6.8. */
static const char sample[] = "Name:\tnginx\n"
			     "Umask:\t0022\n"
			     "State:\tS (sleeping)\n"
			     "Tgid:\t4242\n"
			     "Ngid:\t0\n"
			     "Pid:\t4242\n"
			     "PPid:\t4200\n"
			     "TracerPid:\t17\n"
			     "Uid:\t0\t101\t102\t103\n"
			     "Gid:\t1\t2\t3\t4294967295\n"
			     "FDSize:\t64\n"
			     "Groups:\t101 1000 \n"
			     "NStgid:\t4242\t7\n"
			     "NSpid:\t4242\t7\n"
			     "Kthread:\t0\n"
			     "VmPeak:\t   10848 kB\n"
			     "VmSize:\t   10840 kB\n"
			     "VmPin:\t       4 kB\n"
			     "VmHWM:\t    7600 kB\n"
			     "VmRSS:\t    7500 kB\n"
			     "RssAnon:\t    1100 kB\n"
			     "RssFile:\t    6300 kB\n"
			     "RssShmem:\t     100 kB\n"
			     "VmSwap:\t      12 kB\n"
			     "Threads:\t3\n"
			     "SigQ:\t1/31174\n"
			     "SigPnd:\t0000000000000001\n"
			     "ShdPnd:\t0000000000000002\n"
			     "SigBlk:\t0000000000010000\n"
			     "SigIgn:\t0000000040001000\n"
			     "SigCgt:\tfffffffc98016a07\n"
			     "CapInh:\t0000000000000000\n"
			     "CapPrm:\t00000000a80425fb\n"
			     "CapEff:\t00000000a80425fa\n"
			     "CapBnd:\t000001ffffffffff\n"
			     "NoNewPrivs:\t1\n"
			     "Seccomp:\t2\n"
			     "Seccomp_filters:\t1\n"
			     "Cpus_allowed:\t3\n";

static void fields(void **state)
{
	struct proc_status s;
	struct err e;

	assert_int_equal(proc_status_parse(sample, strlen(sample), &s, &e), 0);
	assert_true(s.present == ((uint64_t)1 << STATUS_FIELD_COUNT) - 1);
	assert_string_equal(s.name, "nginx");
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.tgid, 4242);
	assert_int_equal(s.ppid, 4200);
	assert_int_equal(s.tracer_pid, 17);
	assert_int_equal(s.uid[ID_EFFECTIVE], 101);
	assert_int_equal(s.uid[ID_FS], 103);
	assert_true(s.gid[ID_FS] == UINT32_MAX);
	assert_int_equal(s.group_count, 2);
	assert_int_equal(s.groups[1], 1000);
	assert_int_equal(s.nspid_count, 2);
	assert_int_equal(s.nspid[1], 7);
	assert_int_equal(s.threads, 3);
	assert_int_equal(s.vm_size_bytes, 10840 * 1024);
	assert_int_equal(s.vm_pin_bytes, 4096);
	assert_int_equal(s.vm_rss_bytes, 7500 * 1024);
	assert_int_equal(s.vm_swap_bytes, 12 * 1024);
	assert_int_equal(s.rss_anon_bytes, 1100 * 1024);
	assert_true(s.sig_cgt == 0xfffffffc98016a07);
	assert_int_equal(s.cap_prm, 0xa80425fb);
	assert_int_equal(s.cap_eff, 0xa80425fa);
	assert_true(s.cap_bnd == 0x1ffffffffff);
	assert_int_equal(s.no_new_privs, 1);
	assert_int_equal(s.seccomp, 2);
	assert_int_equal(s.seccomp_filters, 1);
}

static void absent_fields_are_known_absent(void **state)
{
	static const char kernel_thread[] = "Name:\tkworker/0:1-events\nState:\tI (idle)\n"
					    "Tgid:\t9\nPPid:\t2\nGroups:\t \nThreads:\t1\n";
	struct proc_status s;

	assert_int_equal(proc_status_parse(kernel_thread, strlen(kernel_thread), &s, NULL), 0);
	assert_string_equal(s.name, "kworker/0:1-events");
	assert_false(proc_status_has(&s, STATUS_VM_RSS));
	assert_true(proc_status_has(&s, STATUS_GROUPS));
	assert_int_equal(s.group_count, 0);
	assert_int_equal(proc_status_parse(NULL, 0, &s, NULL), 0);
	assert_int_equal(s.present, 0);
}

static void a_name_cannot_forge_lines(void **state)
{
	static const char text[] = "Name:\tx\\nUid: \\\\ 0\nUid:\t5\t5\t5\t5\n";
	struct proc_status s;

	assert_int_equal(proc_status_parse(text, strlen(text), &s, NULL), 0);
	assert_string_equal(s.name, "x\nUid: \\ 0");
	assert_int_equal(s.uid[0], 5);
}

/* The kernel's own escaping, by a name that needs it. */
static void own_status(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status s;
	char before[16];
	struct err e;

	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_int_equal(prctl(PR_SET_NAME, "a) S\n\\n\tb"), 0);
	assert_int_equal(process_open(getpid(), &p, &e), 0);
	assert_int_equal(process_status(&p, &s, &e), 0);
	prctl(PR_SET_NAME, before);
	assert_string_equal(s.name, "a) S\n\\n\tb");
	assert_int_equal(s.tgid, getpid());
	assert_int_equal(s.uid[ID_EFFECTIVE], geteuid());
	assert_int_equal(s.nspid[0], getpid());
	assert_true(s.vm_rss_bytes > 0);
}

static void many_groups_are_cut(void **state)
{
	char text[2048] = "Groups:\t";
	struct proc_status s;

	for (int i = 0; i < 200; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d ", i);
	assert_int_equal(proc_status_parse(text, strlen(text), &s, NULL), 0);
	assert_int_equal(s.group_count, STATUS_GROUPS_MAX);
	assert_int_equal(s.groups[STATUS_GROUPS_MAX - 1], STATUS_GROUPS_MAX - 1);
}

static void hostile(void **state)
{
	static const char *const cases[] = {
	    "Tgid:\t\n",
	    "Tgid:\t-1\n",
	    "State:\t\n",
	    "Uid:\t0\t0\t0\n",
	    "Uid:\t0\t0\t0\t4294967296\n",
	    "VmRSS:\t18014398509481984 kB\n",
	    "VmRSS:\t5 MB\n",
	    "VmRSS:\t5",
	    "SigCgt:\t10000000000000000\n",
	    "NSpid:\t\n",
	    "NSpid:\t1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
	    "Groups:\tx\n",
	};
	struct proc_status s = {.tgid = 5};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(proc_status_parse(cases[i], strlen(cases[i]), &s, &e),
				 -ERR_CORRUPT);
		assert_contains(e.text, "is malformed");
	}
	assert_int_equal(s.tgid, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),
	    cmocka_unit_test(absent_fields_are_known_absent),
	    cmocka_unit_test(a_name_cannot_forge_lines),
	    cmocka_unit_test(own_status),
	    cmocka_unit_test(many_groups_are_cut),
	    cmocka_unit_test(hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
