/* Writes a core of a process to stdout: corewriter [-n] PID. -n: without stopping it. What it did
 * goes to stderr as key=value. */
#include "dumpers/core/core.h"

#include "base/log.h"
#include "dumpers/snapshot/live.h"

#include <stdio.h>
#include <string.h>

struct stdout_sink {
	struct core_sink base;
	char buffer[1 << 20];
	uint64_t lost, torn;
};

static int reserve(struct core_sink *sink, void **ret_data, size_t *ret_len, struct err *e)
{
	struct stdout_sink *s = (struct stdout_sink *)sink;

	*ret_data = s->buffer;
	*ret_len = sizeof(s->buffer);
	return 0;
}

static int commit(struct core_sink *sink, size_t len, struct err *e)
{
	return io_write_all(STDOUT_FILENO, ((struct stdout_sink *)sink)->buffer, len, "stdout", e);
}

static int lost(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	((struct stdout_sink *)sink)->lost += end - start;
	return 0;
}

static int torn(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	((struct stdout_sink *)sink)->torn += end - start;
	return 0;
}

static int run(pid_t pid, const struct live_config *live, struct err *e)
{
	static struct stdout_sink sink = {
	    .base = {.reserve = reserve, .commit = commit, .lost = lost, .torn = torn}};
	const struct core_config config = {.version = "corewriter"};
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_snapshot_ struct snapshot *s = NULL;
	struct live_pause at_stop, pause;
	struct core *core = NULL;
	int r = process_open(pid, &p, e);

	if (!r) r = snapshot_open_live(&p, live, &s, e);
	if (r) return r;
	snapshot_live_pause(s, &at_stop);
	r = core_plan(s, &config, &core, e);
	if (!r) r = core_write(core, &sink.base, e);
	snapshot_live_release(s);
	snapshot_live_pause(s, &pause);
	if (!r)
		fprintf(stderr,
			"threads=%zu segments=%zu size=%llu lost=%llu torn=%llu stop_us=%llu "
			"pause_us=%llu early=%s\n",
			s->thread_count, core_segment_count(core),
			(unsigned long long)core_size(core), (unsigned long long)sink.lost,
			(unsigned long long)sink.torn, (unsigned long long)at_stop.pause_ns / 1000,
			(unsigned long long)pause.pause_ns / 1000, pause.why ? pause.why : "no");
	core_free(core);
	return r;
}

int main(int argc, char **argv)
{
	bool running = argc == 3 && strcmp(argv[1], "-n") == 0;
	struct live_config live = {.mode = SNAPSHOT_STOP,
				   .max_pause_ns = running ? 0 : 30 * (uint64_t)NS_PER_S};
	struct err e = {0};

	if (argc != 2 + running) {
		fprintf(stderr, "usage: corewriter [-n] PID > CORE\n");
		return 2;
	}
	if (run((pid_t)strtol(argv[argc - 1], NULL, 10), &live, &e)) {
		log_err(&e);
		return 1;
	}
	return 0;
}
