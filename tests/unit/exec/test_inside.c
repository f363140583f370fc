/* The look inside a container: what its script says in several shells, and what is made of that. */
#include "exec/inside.h"

#include "exec/access.h"
#include "shells.h"
#include "tests/unit/base/unit.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_BYTES (3u << 20)
#define TMP "place yes 4096 /tmp\n"

static void parse(const char *text, struct inside *ret)
{
	struct err e;

	assert_int_equal(inside_parse(text, strlen(text), ret, &e), 0);
}

static const char *place_of(const char *text, char *why, size_t size)
{
	static char path[INSIDE_PATH_MAX];
	_cleanup_inside_ struct inside in;
	const struct inside_place *found;

	parse(text, &in);
	found = inside_find_place(&in, PROBE_BYTES, why, size);
	if (!found) return NULL;
	snprintf(path, sizeof(path), "%s", found->path);
	return path;
}

static void what_is_not_said_is_not_known(void **state)
{
	_cleanup_inside_ struct inside in;

	parse("end\n", &in);
	assert_int_equal(in.pid, 0);
	assert_int_equal(in.self.len + in.target.len, 0);
	assert_true(in.attach == INSIDE_NOT_SAID && in.read == INSIDE_NOT_SAID);
	assert_int_equal(in.place_count, 0);
	assert_true(inside_memory_room(&in) == INSIDE_UNKNOWN);
	assert_string_equal(in.machine, "");
	assert_string_equal(in.tool, "");
}

static void what_is_cut_is_an_error(void **state)
{
	static const char *const cut[] = {"",     "\n",    "tool head\n", "tool head\nend",
					  "end ", "ends\n"};

	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		_cleanup_inside_ struct inside in;
		struct err e;

		assert_int_equal(inside_parse(cut[i], strlen(cut[i]), &in, &e), -ERR_TRUNCATED);
	}
}

static void facts_are_read(void **state)
{
	_cleanup_inside_ struct inside in;

	parse(
	    "machine x86_64\ntool dd\nself Uid:\t1\t2\t3\t4\nself Gid:\t1\npid 7\ntarget Name:\ta "
	    "b\n"
	    "attach no\nread yes\nowner no\nuserns yes\nyama 2\nlimit 100\nusage 70\ninactive 20\n"
	    "available_kib 1\nend\npid 8\n",
	    &in);
	assert_string_equal(in.machine, "x86_64");
	assert_string_equal(in.tool, "dd");
	assert_string_equal(in.self.data, "Uid:\t1\t2\t3\t4\nGid:\t1\n");
	assert_string_equal(in.target.data, "Name:\ta b\n");
	assert_int_equal(in.pid, 7); /* nothing counts behind the end */
	assert_true(in.attach == INSIDE_NO && in.read == INSIDE_YES && in.owner == INSIDE_NO);
	assert_true(in.same_userns == INSIDE_YES);
	assert_int_equal(in.yama_scope, 2);
	assert_int_equal(inside_memory_room(&in), 50);
}

static void malformed_values_are_not_said(void **state)
{
	_cleanup_inside_ struct inside in;

	parse("tool rm\npid -1\npid 99999999999999999999999\npid 1x\nattach maybe\nyama 77\nlimit "
	      "max\n"
	      "usage\navailable_kib 9223372036854775807\nself\ntarget \nplace\nmount\nmount "
	      "\nmount rw\n"
	      "\n \nend\n",
	      &in);
	assert_string_equal(in.tool, "");
	assert_int_equal(in.pid, 0);
	assert_int_equal(in.attach, INSIDE_NOT_SAID);
	assert_int_equal(in.yama_scope, 0);
	assert_true(inside_memory_room(&in) == INSIDE_UNKNOWN);
}

static void the_machine_and_the_limit_both_count(void **state)
{
	_cleanup_inside_ struct inside in;

	parse("limit 9223372036854771712\nusage 5\navailable_kib 3\nend\n", &in);
	assert_int_equal(inside_memory_room(&in), 3072);
	inside_done(&in);
	/* A limit that was lowered below what is used. */
	parse("limit 5\nusage 9\ninactive 100\navailable_kib 3\nend\n", &in);
	assert_int_equal(inside_memory_room(&in), 5);
	inside_done(&in);
	parse("limit 5\nusage 9\navailable_kib 3\nend\n", &in);
	assert_int_equal(inside_memory_room(&in), 0);
}

static void a_flood_is_cut_and_control_characters_are_gone(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(8 << 20);
	_cleanup_inside_ struct inside in;
	char why[64], line[600];

	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (int i = 0; i < 1000; i++) {
		buf_printf(&text, NULL, "self %s\ntarget %s\nplace no - %s\nmachine %s\n", line,
			   line, line, line);
		buf_printf(&text, NULL, "tool %s\npid %s\n%s %s\nmount %s %s\n", line, line, line,
			   line, line, line);
	}
	buf_puts(&text, "machine \x1b[31m\x7f\nend\n", NULL);
	parse(text.data, &in);
	assert_true(in.self.len > INSIDE_STATUS_MAX - 700 && in.self.len <= INSIDE_STATUS_MAX);
	assert_int_equal(in.place_count, INSIDE_PLACES_MAX);
	assert_null(inside_find_place(&in, 1, why, sizeof(why)));
	assert_int_equal(strlen(why), sizeof(why) - 1);
	assert_string_equal(in.machine, "?[31m?");
}

static void bytes_that_are_no_text_do_no_harm(void **state)
{
	static const char text[] = "self a\0b\nplace yes 5 /\0x\nmount \0 /\nend\n";
	_cleanup_inside_ struct inside in;
	struct err e;

	assert_int_equal(inside_parse(text, sizeof(text) - 1, &in, &e), 0);
	assert_int_equal(in.place_count, 1);
}

static void the_first_place_that_takes_and_runs_it(void **state)
{
	char why[300];

	assert_string_equal(place_of(TMP "end\n", why, sizeof(why)), "/tmp");
	assert_string_equal(
	    place_of("place missing - /a\nplace no 9999 /b\nplace yes 3071 /c\nplace yes - /d\n"
		     "end\n",
		     why, sizeof(why)),
	    "/d");
	assert_null(place_of("place missing - /a\nplace no 9999 /b\nplace yes 3071 /c\nend\n", why,
			     sizeof(why)));
	assert_string_equal(why, "/a: does not exist, /b: not writable, /c: too little free");
}

static void the_mount_a_place_is_on_counts(void **state)
{
	char why[300];

	assert_null(place_of(TMP "mount ro,relatime /\nend\n", why, sizeof(why)));
	assert_string_equal(why, "/tmp: read-only");
	assert_null(place_of(TMP "mount rw,nosuid,noexec /tmp\nmount rw /\nmount rw /tm\nend\n",
			     why, sizeof(why)));
	assert_string_equal(why, "/tmp: noexec");
	/* The last one of a point hides those below; options are whole words. */
	assert_string_equal(place_of(TMP
				     "mount ro /\nmount ro /tmp\nmount rw,errors=remount-ro,prod "
				     "/tmp\nend\n",
				     why, sizeof(why)),
			    "/tmp");
	assert_null(place_of("place yes - /a b/c\nmount noexec /a\\040b\nend\n", why, sizeof(why)));
	assert_string_equal(why, "/a b/c: noexec");
}

/* --- the script --- */

static void run_script(const char *const shell[SHELL_WORDS], const char *pid, struct inside *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4 << 20);
	const char *argv[8];
	int out[2], n = 0, status;
	char data[4096];
	struct err e;
	ssize_t len;

	for (int i = 0; i < SHELL_WORDS && shell[i]; i++)
		argv[n++] = shell[i];
	argv[n++] = "-c";
	argv[n++] = inside_script;
	argv[n++] = "podsnap";
	argv[n++] = pid;
	argv[n] = NULL;
	assert_int_equal(pipe(out), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(out[1], 1);
		setenv("TMPDIR", "/proc/self", 1);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	while ((len = read(out[0], data, sizeof(data))) > 0)
		assert_int_equal(buf_append(&text, data, (size_t)len, NULL), 0);
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (inside_parse(text.data, text.len, ret, &e) != 0) fail_msg("%s:\n%s", e.text, text.data);
}

static void every_shell_says_what_is_so(void **state)
{
	char own_pid[16], line[64], why[300];

	snprintf(own_pid, sizeof(own_pid), "%d", getpid());
	snprintf(line, sizeof(line), "Tgid:\t%d\n", getpid());
	for (size_t i = 0; i < shell_count; i++) {
		_cleanup_inside_ struct inside in;

		run_script(shells[i], own_pid, &in);
		assert_int_equal(in.pid, getpid());
		assert_non_null(strstr(in.target.data, line));
		assert_non_null(strstr(in.self.data, "\nCapEff:\t"));
		assert_int_equal(in.owner, INSIDE_YES);
		assert_int_equal(in.read, INSIDE_YES);
		assert_true(in.attach == INSIDE_YES || in.yama_scope > 0);
		assert_int_equal(in.same_userns, INSIDE_YES);
		assert_true(*in.machine && *in.tool);
		assert_true(in.available > 0 && in.available != INSIDE_UNKNOWN);
		assert_int_equal(in.place_count, 7);
		assert_null(strstr(in.places[0].path, "self")); /* without links */
		assert_non_null(inside_find_place(&in, 1, why, sizeof(why)));
	}
}

static void a_process_is_found(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		_cleanup_inside_ struct inside in;

		/* What is picked is whatever runs here, and may end before it is looked at. */
		run_script(shells[i], "", &in);
		for (int tries = 0; in.pid == 0 && tries < 50; tries++) {
			inside_done(&in);
			run_script(shells[i], "", &in);
		}
		assert_true(in.pid > 0);
		inside_done(&in);
		run_script(shells[i], "4194305", &in);
		assert_int_equal(in.pid, 0);
	}
}

/* --- access reviews --- */

static void reviews(void **state)
{
	static const struct access_right right = {"create", "pods", "exec"};
	static const struct {
		const char *text;
		int r;
		bool allowed;
	} answers[] = {
	    {"{\"status\":{\"allowed\":true}}", 0, true},
	    {"{\"status\":{\"allowed\":false,\"denied\":true}}", 0, false},
	    {"{\"status\":{\"allowed\":\"true\"}}", -ERR_SERVER, false},
	    {"{\"status\":{}}", -ERR_SERVER, false},
	    {"[]", -ERR_SERVER, false},
	    {"", -ERR_SERVER, false},
	};
	_cleanup_buf_ struct buf body = BUF_INIT(4096);
	struct err e;

	assert_int_equal(access_review_body("ns", &right, "p\"", &body, &e), 0);
	assert_string_equal(body.data,
			    "{\"spec\":{\"resourceAttributes\":{\"namespace\":\"ns\",\"verb\":"
			    "\"create\",\"resource\":\"pods\",\"subresource\":\"exec\",\"name\":"
			    "\"p\\\"\"}},\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":"
			    "\"SelfSubjectAccessReview\"}");
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		bool allowed = false;

		assert_int_equal(
		    access_review_parse(answers[i].text, strlen(answers[i].text), &allowed, &e),
		    answers[i].r);
		assert_int_equal(allowed, answers[i].allowed);
	}
}

int main(void)
{
	choose_shells();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_said_is_not_known),
	    cmocka_unit_test(what_is_cut_is_an_error),
	    cmocka_unit_test(facts_are_read),
	    cmocka_unit_test(malformed_values_are_not_said),
	    cmocka_unit_test(the_machine_and_the_limit_both_count),
	    cmocka_unit_test(a_flood_is_cut_and_control_characters_are_gone),
	    cmocka_unit_test(bytes_that_are_no_text_do_no_harm),
	    cmocka_unit_test(the_first_place_that_takes_and_runs_it),
	    cmocka_unit_test(the_mount_a_place_is_on_counts),
	    cmocka_unit_test(every_shell_says_what_is_so),
	    cmocka_unit_test(a_process_is_found),
	    cmocka_unit_test(reviews),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
