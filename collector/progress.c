#include "collector/progress.h"

#include "base/human.h"
#include "base/log.h"

#include <stdio.h>

#define EVERY_NS (200ull * NS_PER_MS)

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
	uint64_t now = now_ns();
	if (!p->started_ns) p->started_ns = now;
	if (now - p->shown_ns < EVERY_NS || log_get_level() < LOG_INFO || !isatty(STDERR_FILENO))
		return;
	p->shown_ns = now;
	p->shown = true;
	double seconds = (double)(now - p->started_ns) / NS_PER_S;
	double rate = seconds > 0 ? (double)done / seconds : 0;
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX], left[HUMAN_MAX] = "?";
	if (rate > 0 && total >= done) {
		human_duration((uint64_t)((double)(total - done) / rate * NS_PER_S), left);
	}
	fprintf(stderr, "\r\033[K%s of %s, %s/s, %s left", human_size(done, a),
		human_size(total, b), human_size((uint64_t)rate, c), left);
}

void progress_end(struct progress *p)
{
	if (p->shown) fputs("\r\033[K", stderr);
	p->shown = false;
}
