/* Standard input into a sink, for the store's tests: s3_cat [-f] [-r RETRIES] [-t] DESTINATION.
 * -t puts the queue and its thread between; SIGINT cancels. Prints the error, its hint and its
 * name. */
#include "base/log.h"
#include "upload/sink.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct sink *current;

static void cancel(int sig)
{
	/* Its contract allows it here. */
	sink_cancel(current); // NOLINT(bugprone-signal-handler,cert-sig30-c)
}

static int copy(struct sink *s, struct err *e)
{
	static char block[1 << 20];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), stdin)) > 0) {
		int r = sink_write(s, block, n, e);

		if (r < 0) return r;
	}
	return 0;
}

static int run(const char *destination, const struct sink_config *config, bool thread,
	       struct err *e)
{
	struct sink *s = NULL, *outer;
	int r = sink_open(destination, config, &s, e);

	if (r < 0) return r;
	current = s;
	signal(SIGINT, cancel);
	/* The tests wait for this line before they break something. */
	fprintf(stderr, "open\n");
	if (thread) {
		r = sink_threaded(s, 4 << 20, &outer, e);
		if (r == 0) s = outer;
	}
	if (r == 0) r = copy(s, e);
	if (r == 0) r = sink_commit(s, e);
	if (r == 0)
		printf("%s\n", s->location);
	else
		sink_abort(s, false, NULL);
	sink_free(s);
	return r;
}

int main(int argc, char **argv)
{
	struct sink_config config = {.name = "suggested.podsnap.tar.zst"};
	struct err e = {0};
	bool thread = false;
	int c;

	while ((c = getopt(argc, argv, "fr:t")) != -1) {
		if (c == 'f')
			config.force = true;
		else if (c == 'r')
			config.retries = (int)strtol(optarg, NULL, 10);
		else if (c == 't')
			thread = true;
		else
			return 2;
	}
	if (optind + 1 != argc) return 2;
	log_set_level(LOG_DEBUG);
	if (run(argv[optind], &config, thread, &e) == 0) return 0;
	log_err(&e);
	fprintf(stderr, "code=%s\n", err_info(e.code)->name);
	return 1;
}
