/*
 * The process of the data-access library as podsnap sees it: it crashes over one question, is slow,
 * or gone for good. This program is that process, too, when it is called as podsnap is.
 */
#include "dumpers/dotnet/dac_client.h"
#include "dumpers/dotnet/dac_host_internal.h"

#include "tests/unit/base/unit.h"

#include <signal.h>

/* What the other process does, by the argument of a question about a type. */
enum { ANSWERS = 0x1000000, CRASHES = 0x2000000, HANGS = 0x3000000, REFUSES = 0x4000000 };
/* By that of START. */
enum { COMES_UP = 1, CRASHES_AT_ONCE = 2 };

static int answer(const struct dac_header *q)
{
	const struct dac_wire_type type = {.token = (uint32_t)q->argument};
	if (q->message == DAC_ASK_START && q->argument == CRASHES_AT_ONCE) raise(SIGKILL);
	if (q->message == DAC_ASK_TYPE && q->argument == CRASHES) raise(SIGKILL);
	if (q->message == DAC_ASK_TYPE && q->argument == HANGS) pause();
	if (q->message == DAC_ASK_TYPE && q->argument == REFUSES)
		return dac_send(DAC_SOCKET_FD, DAC_FAILED, 0, "no", 2, NULL);
	return dac_send(DAC_SOCKET_FD, DAC_ANSWER, 0, &type, sizeof(type), NULL);
}
static int other_process(void)
{
	struct dac_header question;
	while (!dac_receive_header(DAC_SOCKET_FD, &question, NULL)) {
		if (answer(&question)) return 1;
	}
	return 0;
}

static struct dac_client *start(uint64_t timeout_ns)
{
	static const struct dac_view view = {0};
	_cleanup_blob_ struct blob *library = NULL;
	struct dac_client *c = NULL;
	struct err e = {0};
	assert_int_equal(blob_from_memory("library", 7, &library, &e), 0);
	assert_int_equal(dac_client_new(library, &view, timeout_ns, &c, &e), 0);
	return c;
}
static int ask(struct dac_client *c, enum dac_message question, uint64_t argument, struct err *e)
{
	_cleanup_buf_ struct buf answer = BUF_INIT(DAC_PAYLOAD_MAX);
	struct dac_wire_type type;
	int r = dac_client_ask(c, question, argument, &answer, e);
	if (r) return r;
	assert_int_equal(answer.len, sizeof(type));
	memcpy(&type, answer.data, sizeof(type));
	assert_int_equal(type.token, (uint32_t)argument);
	return 0;
}
static void assert_answers(struct dac_client *c)
{
	assert_int_equal(ask(c, DAC_ASK_TYPE, ANSWERS, NULL), 0);
}

static void after_a_crash_only_its_question_is_unknown(void **state)
{
	struct dac_client *c = start(60 * (uint64_t)NS_PER_S);
	struct err e = {0};
	assert_int_equal(ask(c, DAC_ASK_START, COMES_UP, NULL), 0);
	assert_answers(c);
	assert_int_equal(dac_client_unanswered(c)->count, 0);
	assert_int_equal(ask(c, DAC_ASK_TYPE, CRASHES, &e), -ERR_CORRUPT);
	assert_contains(e.text, "(signal 9, Killed) when it was asked for the type at 0x2000000");
	assert_answers(c);
	assert_int_equal(ask(c, DAC_ASK_TYPE, CRASHES, &e), -ERR_CORRUPT);
	assert_answers(c);
	assert_int_equal(dac_client_unanswered(c)->count, 2);
	assert_string_equal(dac_client_unanswered(c)->first, e.text);
	dac_client_free(c);
}

static void a_no_is_an_answer(void **state)
{
	struct dac_client *c = start(60 * (uint64_t)NS_PER_S);
	assert_int_equal(ask(c, DAC_ASK_START, COMES_UP, NULL), 0);
	assert_int_equal(ask(c, DAC_ASK_TYPE, REFUSES, NULL), -ERR_CORRUPT);
	assert_int_equal(dac_client_unanswered(c)->count, 0);
	dac_client_free(c);
}

static void one_that_never_came_up_is_not_started_again(void **state)
{
	struct dac_client *c = start(60 * (uint64_t)NS_PER_S);
	struct err e = {0};
	assert_int_equal(ask(c, DAC_ASK_START, CRASHES_AT_ONCE, &e), -ERR_SERVER);
	assert_int_equal(ask(c, DAC_ASK_TYPE, ANSWERS, &e), -ERR_SERVER);
	assert_contains(e.text, "signal 9");
	dac_client_free(c);
}

static void what_hangs_is_ended_and_the_rest_is_answered(void **state)
{
	struct dac_client *c = start(5 * (uint64_t)NS_PER_S);
	struct err e = {0};
	assert_int_equal(ask(c, DAC_ASK_START, COMES_UP, NULL), 0);
	assert_int_equal(ask(c, DAC_ASK_TYPE, HANGS, &e), -ERR_CORRUPT);
	assert_contains(e.text, "did not answer in 5 s when it was asked for the type");
	assert_answers(c);
	assert_int_equal(dac_client_unanswered(c)->count, 1);
	dac_client_free(c);
}

static void it_is_started_again_some_times(void **state)
{
	struct dac_client *c = start(60 * (uint64_t)NS_PER_S);
	int r, times = 0;
	assert_int_equal(ask(c, DAC_ASK_START, COMES_UP, NULL), 0);
	do {
		r = ask(c, DAC_ASK_TYPE, CRASHES, NULL);
	} while (r == -ERR_CORRUPT && ++times < 1000);
	assert_int_equal(r, -ERR_SERVER);
	assert_in_range(times, 20, 100);
	assert_int_equal(ask(c, DAC_ASK_TYPE, ANSWERS, NULL), -ERR_SERVER);
	dac_client_free(c);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(after_a_crash_only_its_question_is_unknown),
	    cmocka_unit_test(a_no_is_an_answer),
	    cmocka_unit_test(one_that_never_came_up_is_not_started_again),
	    cmocka_unit_test(what_hangs_is_ended_and_the_rest_is_answered),
	    cmocka_unit_test(it_is_started_again_some_times),
	};
	if (argc > 1 && !strcmp(argv[1], "dac-host")) return other_process();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
