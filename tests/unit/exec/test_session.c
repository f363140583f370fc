/*
 * Whole sessions: the client against an exec endpoint that runs the push script on this machine,
 * in several shells, with this very program as the probe.
 */
#include "exec/remote.h"
#include "exec/session.h"

#include "fake_kubelet.h"
#include "fake_probe.h"
#include "shells.h"
#include "tests/unit/base/unit.h"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

static char dir[64];
static struct buf own_image = BUF_INIT(64 << 20);

/* Counts what came and holds it against what fake_probe.h sends. */
struct receiver {
	struct bundle_output out;
	unsigned frames, entries;
	bool wrong;
	unsigned fail_at;    /* frame at which the sink fails; 0: never */
	atomic_bool *cancel; /* set at frame cancel_at */
	unsigned cancel_at;
	int cancel_fd;
	unsigned room_calls, full_until; /* no room for that many questions */
	uint64_t resume_ns;
};

static int on_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	struct receiver *got = (struct receiver *)out;
	const uint8_t *data = frame->data;

	for (size_t i = 0; i < frame->len; i++)
		got->wrong |= data[i] != (uint8_t)(i * 31 + got->frames * 7);
	got->wrong |= frame->len != FAKE_FRAME_BYTES || frame->plain_offset != (uint64_t)got->frames
										   << 20;
	got->frames++;
	if (got->frames == got->fail_at) return err_set(e, ERR_NO_SPACE, "the disk is full");
	if (got->frames == got->cancel_at) {
		atomic_store(got->cancel, true);
		eventfd_write(got->cancel_fd, 1);
	}
	return 0;
}

static int on_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	struct receiver *got = (struct receiver *)out;

	got->entries++;
	got->wrong |= strcmp(entry->name, "thing") != 0;
	return 0;
}

static size_t room(void *ctx)
{
	struct receiver *got = ctx;

	return got->room_calls++ < got->full_until ? 0 : SIZE_MAX;
}

static struct kube *open_kube(int port)
{
	struct kube_options options = {.token = "secret-token"};
	struct kube *k;
	char server[64];
	struct err e;

	snprintf(server, sizeof(server), "http://127.0.0.1:%d", port);
	options.server = server;
	assert_int_equal(kube_open(&options, &k, &e), 0);
	return k;
}

static int run_session(struct fake_kubelet *kubelet, const char *request, struct receiver *got,
		       struct err *e)
{
	static const struct pod_target target = {.namespace_ = "ns", .pod = "p", .container = "c"};
	struct session_config config = {
	    .probe = own_image.data,
	    .probe_len = own_image.len,
	    .request = request,
	    .request_len = strlen(request),
	    .ping_ns = 100 * NS_PER_MS,
	    /* Short where it is waited for. */
	    .silence_ns = (got->full_until || strstr(request, "silence") ? 2ull : 20ull) * NS_PER_S,
	    .resume_ns = got->resume_ns,
	    .cancel = got->cancel,
	    .cancel_fd = got->cancel ? got->cancel_fd : -1,
	    .ctx = got,
	    .room = got->full_until ? room : NULL,
	    .room_fd = -1,
	};
	static struct wire_end end;
	struct kube *k;
	enum session_reach reach;
	int r;

	got->out = (struct bundle_output){on_frame, on_entry};
	*e = (struct err){0};
	assert_true(fake_kubelet_start(kubelet));
	k = open_kube(kubelet->port);
	r = session_run(k, &target, &config, &got->out, &end, &reach, e);
	kube_free(k);
	fake_kubelet_stop(kubelet);
	assert_false(got->wrong);
	assert_int_equal(r, -e->code);
	return r;
}

static void assert_nothing_is_left(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			fail_msg("%s is left", entry->d_name);
	closedir(d);
}

static void every_shell_runs_a_session(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		struct fake_kubelet kubelet = {.shell = {shells[i][0], shells[i][1]}};
		struct receiver got = {.frames = 0};
		struct err e;

		if (run_session(&kubelet, "frames=100", &got, &e) < 0)
			fail_msg("%s: %s", shells[i][0], e.text);
		assert_int_equal(got.frames, 100);
		assert_int_equal(got.entries, 1);
		assert_int_equal(kubelet.exit_code, 0);
		assert_nothing_is_left();
		assert_contains(kubelet.request, "GET /api/v1/namespaces/ns/pods/p/exec?"
						 "container=c&stdin=true&stdout=true&stderr=true"
						 "&command=sh&command=-c&command=umask");
	}
}

static void whatever_is_no_end_is_a_failure(void **state)
{
	static const struct {
		const char *request;
		int code;
		const char *part;
	} cases[] = {
	    {"frames=20 then=crash", ERR_TRUNCATED, "exit status 134"},
	    {"frames=20 then=exit0", ERR_TRUNCATED, "exit status 0"},
	    {"frames=20 then=silence", ERR_NETWORK, "silent for 2 s"},
	    {"frames=20 then=wrong-digest", ERR_PROTOCOL, "or others than it sent"},
	    {"frames=20 then=wrong-count", ERR_PROTOCOL, "1310879 arrived"},
	    {"frames=20 then=garbage", ERR_PROTOCOL, "no frame"},
	    {"frames=20 then=error", ERR_PERMISSION, "cannot trace process 1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_kubelet kubelet = {0};
		struct receiver got = {.frames = 0};
		struct err e;

		print_message("%s\n", cases[i].request);
		assert_int_equal(run_session(&kubelet, cases[i].request, &got, &e), -cases[i].code);
		assert_int_equal(got.frames, 20);
		assert_contains(e.text, cases[i].part);
		assert_nothing_is_left();
	}
}

static void a_cut_stream_is_a_failure(void **state)
{
	uint64_t seed = unit_seed();

	for (int i = 0; i < 10; i++) {
		uint64_t at = unit_random(&seed) % (100 * FAKE_FRAME_BYTES) + 1;
		struct fake_kubelet kubelet = {.cut_after = i % 2 ? at : 0,
					       .success_after = i % 2 ? 0 : at};
		struct receiver got = {.frames = 0};
		struct err e;

		assert_int_equal(run_session(&kubelet, "frames=200", &got, &e), -ERR_NETWORK);
		assert_true(got.frames < 200);
		assert_contains(e.text, "was cut after");
		if (i % 2 == 0) assert_contains(e.text, "reports success although");
		assert_int_equal(kubelet.exit_code, 1);
		assert_nothing_is_left();
	}
}

static void remember_request(const char *request)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s-request", dir);
	setenv("FAKE_REQUEST", path, 1);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(request, f) >= 0 && fclose(f) == 0);
}

/* Each frame arrives once and in order, as if nothing had been. */
static void a_cut_stream_goes_on(void **state)
{
	uint64_t seed = unit_seed();

	remember_request("frames=200");
	for (int i = 0; i < 6; i++) {
		uint64_t at = unit_random(&seed) % (60 * FAKE_FRAME_BYTES) + (100 << 10);
		struct fake_kubelet kubelet = {
		    .cut_after = i % 2 ? at : 0, .success_after = i % 2 ? 0 : at, .sound_from = 4};
		struct receiver got = {.resume_ns = 20ull * NS_PER_S};
		struct err e;

		if (run_session(&kubelet, "frames=200", &got, &e) < 0) fail_msg("%s", e.text);
		assert_int_equal(got.frames, 200);
		assert_int_equal(got.entries, 1);
		assert_int_equal(kubelet.connections, 4);
		assert_nothing_is_left();
	}
}

static void a_cut_before_the_first_frame_asks_anew(void **state)
{
	struct fake_kubelet kubelet = {.cut_after = 1, .sound_from = 2};
	struct receiver got = {.resume_ns = 20ull * NS_PER_S};
	struct err e;

	remember_request("frames=50 then=refuse");
	if (run_session(&kubelet, "frames=50", &got, &e) < 0) fail_msg("%s", e.text);
	assert_int_equal(got.frames, 50);
	assert_int_equal(got.entries, 1);
	assert_nothing_is_left();
}

static void no_way_back_is_a_failure_with_both_reasons(void **state)
{
	struct fake_kubelet kubelet = {.cut_after = 20 * FAKE_FRAME_BYTES, .sound_from = 2};
	struct receiver got = {.resume_ns = 20ull * NS_PER_S};
	struct err e;

	remember_request("frames=200 then=refuse");
	assert_int_equal(run_session(&kubelet, "frames=200", &got, &e), -ERR_NETWORK);
	assert_int_equal(kubelet.connections, 2);
	assert_contains(e.text, "was cut after");
	assert_contains(e.text, "no way back: no such probe");
	assert_nothing_is_left();
}

static void cuts_that_bring_nothing_have_an_end(void **state)
{
	/* As much as HELLO and RESUMED are, and less than a frame. */
	struct fake_kubelet kubelet = {.cut_after = 200};
	struct receiver got = {.resume_ns = 20ull * NS_PER_S};
	struct err e;

	remember_request("frames=200");
	assert_int_equal(run_session(&kubelet, "frames=200", &got, &e), -ERR_NETWORK);
	assert_true(kubelet.connections > 2 && kubelet.connections < 20);
	assert_nothing_is_left();
}

static void a_full_sink_stops_the_probe(void **state)
{
	struct fake_kubelet kubelet = {0};
	struct receiver got = {.fail_at = 50};
	struct err e;

	assert_int_equal(run_session(&kubelet, "frames=1000", &got, &e), -ERR_NO_SPACE);
	assert_int_equal(got.frames, 50);
	assert_string_equal(e.text, "the disk is full");
	assert_nothing_is_left();
}

static void a_slow_receiver_is_waited_for(void **state)
{
	struct fake_kubelet kubelet = {0};
	struct receiver got = {.full_until = 30};
	struct err e;

	/* At one question per heartbeat this outlasts the silence that is allowed. */
	assert_int_equal(run_session(&kubelet, "frames=30", &got, &e), 0);
	assert_int_equal(got.frames, 30);
	assert_true(got.room_calls > 30);
}

static void cancellation_ends_it_at_any_moment(void **state)
{
	uint64_t seed = unit_seed();

	for (int i = 0; i < 10; i++) {
		atomic_bool cancel = i == 0;
		struct fake_kubelet kubelet = {0};
		struct receiver got = {.cancel = &cancel,
				       .cancel_at = (unsigned)(unit_random(&seed) % 100 + 1),
				       .cancel_fd = eventfd(0, EFD_CLOEXEC)};
		struct err e;

		assert_int_equal(run_session(&kubelet, "frames=1000", &got, &e), -ERR_CANCELLED);
		/* What had arrived with that frame is still handed over. */
		assert_true(i == 0 ? got.frames == 0 : got.frames >= got.cancel_at);
		assert_true(got.frames < 1000);
		assert_nothing_is_left();
		close(got.cancel_fd);
	}
}

static void a_deaf_probe_does_not_hold_up_cancellation(void **state)
{
	atomic_bool cancel = false;
	struct fake_kubelet kubelet = {0};
	struct receiver got = {
	    .cancel = &cancel, .cancel_at = 10, .cancel_fd = eventfd(0, EFD_CLOEXEC)};
	struct err e;

	assert_int_equal(run_session(&kubelet, "frames=10 then=stuck", &got, &e), -ERR_CANCELLED);
	assert_nothing_is_left();
	close(got.cancel_fd);
}

static void a_push_that_breaks_off_leaves_nothing(void **state)
{
	atomic_bool cancel = false;
	struct fake_kubelet kubelet = {.stall_after = 100000};
	struct receiver got = {.cancel = &cancel, .cancel_fd = -1};
	struct err e;

	/* The endpoint reads no more: the push stands until somebody gives up. */
	kubelet.cut_after = 0;
	got.cancel_fd = eventfd(0, EFD_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(2);
		_exit(run_session(&kubelet, "frames=1", &got, &e) == 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	/* Killed in the middle, endpoint and all: the script sees the end of its stdin. */
	for (int i = 0; i < 600; i++) {
		struct dirent **names = NULL;
		int n = scandir(dir, &names, NULL, NULL);

		for (int j = 0; j < n; j++)
			free(names[j]);
		free(names);
		if (n == 2) break;
		poll(NULL, 0, 50);
	}
	assert_nothing_is_left();
	close(got.cancel_fd);
}

static void what_prevents_a_start_is_explained(void **state)
{
	static const struct {
		const char *refusal, *status, *text, *hint;
		int code;
	} cases[] = {
	    {"HTTP/1.1 403 Forbidden\r\nContent-Length: 57\r\n\r\n"
	     "{\"message\":\"pods \\\"p\\\" is forbidden: User \\\"x\\\"\"}",
	     NULL, "is forbidden: User \"x\"", "resources: [\"pods/exec\"]", ERR_FORBIDDEN},
	    {"HTTP/1.1 401 Unauthorized\r\nContent-Length: "
	     "26\r\n\r\n{\"message\":\"Unauthorized\"}",
	     NULL, "asks for credentials", "renew", ERR_AUTH},
	    {"HTTP/1.1 404 Not Found\r\nContent-Length: 23\r\n\r\n{\"message\":\"no such p\"} ",
	     NULL, "no such p", "", ERR_NOT_FOUND},
	    {NULL,
	     "{\"status\":\"Failure\",\"message\":\"OCI runtime exec failed: exec: \\\"sh\\\": "
	     "executable file not found in $PATH\"}",
	     "has no shell", "-c", ERR_UNSUPPORTED},
	    {NULL, "{\"status\":\"Failure\",\"message\":\"container not found (\\\"app\\\")\"}",
	     "does not run", "", ERR_GONE},
	    {NULL, "{\"status\":\"Success\"}", "was cut after 0 bytes", "try again", ERR_NETWORK},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_kubelet kubelet = {.refusal = cases[i].refusal,
					       .status = cases[i].status};
		struct receiver got = {.frames = 0};
		struct err e;

		assert_int_equal(run_session(&kubelet, "frames=1", &got, &e), -cases[i].code);
		assert_contains(e.text, cases[i].text);
		assert_contains(e.hint, cases[i].hint);
		assert_null(strstr(e.text, "secret-token"));
		assert_int_equal(kubelet.connections, 1);
	}
}

static void a_status_is_told_without_our_script(void **state)
{
	static const char text[] = "{\"status\":\"Failure\",\"message\":\"sending: Post "
				   "\\\"https://h:1/exec/p?command=sh&c=a%0A"
				   "\\\": dial tcp: refused?\\nyes\"}";
	struct remote_status status;

	remote_status_parse(text, strlen(text), &status);
	assert_string_equal(status.message,
			    "sending: Post \"https://h:1/exec/p\": dial tcp: refused? yes");
}

static void a_server_that_restarts_is_asked_again(void **state)
{
	struct fake_kubelet kubelet = {
	    .refusal =
		"HTTP/1.1 503 Unavailable\r\nContent-Length: 18\r\n\r\n{\"message\":\"soon\"}"};
	struct receiver got = {.frames = 0};
	struct err e;

	assert_int_equal(run_session(&kubelet, "frames=1", &got, &e), -ERR_SERVER);
	assert_int_equal(kubelet.connections, 4);
	assert_contains(e.text, "soon");
}

/* v4 is asked for alone, and v5 where that is not known: refused, or answered without it. */
static void a_server_of_another_protocol(void **state)
{
	for (int silent = 0; silent < 2; silent++) {
		struct fake_kubelet kubelet = {.protocol = "v5.channel.k8s.io",
					       .silent_protocol = silent};
		struct fake_kubelet older = {.protocol = "v3.channel.k8s.io",
					     .silent_protocol = silent};
		struct receiver got = {.frames = 0}, none = {.frames = 0};
		struct err e;

		if (run_session(&kubelet, "frames=20", &got, &e) < 0) fail_msg("%s", e.text);
		assert_int_equal(got.frames, 20);
		assert_int_equal(kubelet.connections, 2);
		assert_true(run_session(&older, "frames=20", &none, &e) < 0);
		assert_contains(e.text, silent ? "no exec protocol that we know" : "400");
		assert_int_equal(older.connections, 2);
	}
	assert_nothing_is_left();
}

static void a_container_without_a_place_names_those_it_tried(void **state)
{
	/* A directory that is not there, and a shell that may write nowhere. */
	static const char deny[] =
	    "unshare -m sh -c '"
	    "mount --bind /dev /dev && mount -o remount,bind,ro /dev && "
	    "mount -t tmpfs -o noexec x /dev/shm && "
	    "for d in /tmp /var/tmp /run; do mount -t tmpfs -o ro x $d || exit 99; done; "
	    "cd /proc && TMPDIR=/nosuch exec sh \"$@\"' sh \"$@\"";
	struct fake_kubelet kubelet = {.shell = {"sh", "-c", deny, "sh"}};
	struct receiver got = {.frames = 0};
	struct err e;

	if (geteuid() != 0) {
		print_message("not possible here: needs root to mount\n");
		return;
	}
	assert_int_equal(run_session(&kubelet, "frames=1", &got, &e), -ERR_UNSUPPORTED);
	print_message("%s\n", e.text);
	assert_contains(e.text, "no place to run the probe from");
	assert_contains(e.text, "/nosuch: ");
	assert_contains(e.text, "/tmp: Read-only file system");
	assert_contains(e.text, "/dev/shm: may not run programs");
	assert_contains(e.hint, "emptyDir");
}

static int set_up(void **state)
{
	struct err e;

	choose_shells();
	snprintf(dir, sizeof(dir), "/tmp/podsnap-unit-XXXXXX");
	if (!mkdtemp(dir)) return -1;
	setenv("TMPDIR", dir, 1);
	setenv("HOME", dir, 1);
	unsetenv("KUBECONFIG");
	return io_read_file(AT_FDCWD, "/proc/self/exe", &own_image, &e);
}

static int tear_down(void **state)
{
	buf_done(&own_image);
	unlink(getenv("FAKE_REQUEST"));
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_shell_runs_a_session),
	    cmocka_unit_test(whatever_is_no_end_is_a_failure),
	    cmocka_unit_test(a_cut_stream_is_a_failure),
	    cmocka_unit_test(a_cut_stream_goes_on),
	    cmocka_unit_test(a_cut_before_the_first_frame_asks_anew),
	    cmocka_unit_test(no_way_back_is_a_failure_with_both_reasons),
	    cmocka_unit_test(cuts_that_bring_nothing_have_an_end),
	    cmocka_unit_test(a_full_sink_stops_the_probe),
	    cmocka_unit_test(a_slow_receiver_is_waited_for),
	    cmocka_unit_test(cancellation_ends_it_at_any_moment),
	    cmocka_unit_test(a_deaf_probe_does_not_hold_up_cancellation),
	    cmocka_unit_test(a_push_that_breaks_off_leaves_nothing),
	    cmocka_unit_test(what_prevents_a_start_is_explained),
	    cmocka_unit_test(a_status_is_told_without_our_script),
	    cmocka_unit_test(a_server_that_restarts_is_asked_again),
	    cmocka_unit_test(a_server_of_another_protocol),
	    cmocka_unit_test(a_container_without_a_place_names_those_it_tried),
	};

	if (argc > 1 && strcmp(argv[1], "serve") == 0) return fake_probe_serve();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
