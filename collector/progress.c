#include "collector/progress.h"

#include "base/human.h"
#include "base/log.h"

#include <stdio.h>

#define EVERY_NS (200ull * NS_PER_MS)

/* Is it time for a line? Then it counts as shown. */
static bool is_due(uint64_t *started_ns, uint64_t *shown_ns, uint64_t now)
{
	if (!*started_ns) *started_ns = now;
	if (now - *shown_ns < EVERY_NS || log_get_level() < LOG_INFO || !isatty(STDERR_FILENO))
		return false;
	*shown_ns = now;
	return true;
}

/* Under the lock. */
static void show_sum(struct progress_sum *sum)
{
	uint64_t now = now_ns();
	if (!is_due(&sum->started_ns, &sum->shown_ns, now)) return;
	sum->shown = true;
	double seconds = (double)(now - sum->started_ns) / NS_PER_S;
	double rate = seconds > 0 ? (double)sum->bytes / seconds : 0;
	char size[HUMAN_MAX], each[HUMAN_MAX];
	fprintf(stderr, "\r\033[K%zu of %zu done, %s, %s/s", sum->done, sum->items,
		human_size(sum->bytes, size), human_size((uint64_t)rate, each));
}

void progress_sum_init(struct progress_sum *sum, size_t items)
{
	*sum = (struct progress_sum){.items = items};
	pthread_mutex_init(&sum->lock, NULL);
}

void progress_sum_step(struct progress_sum *sum)
{
	pthread_mutex_lock(&sum->lock);
	sum->done++;
	show_sum(sum);
	pthread_mutex_unlock(&sum->lock);
}

void progress_sum_done(struct progress_sum *sum)
{
	if (sum->shown) fputs("\r\033[K", stderr);
	pthread_mutex_destroy(&sum->lock);
}

static void add_to_sum(struct progress *p, uint64_t done)
{
	pthread_mutex_lock(&p->sum->lock);
	if (done > p->counted) p->sum->bytes += done - p->counted;
	p->counted = MAX(p->counted, done);
	show_sum(p->sum);
	pthread_mutex_unlock(&p->sum->lock);
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
	uint64_t now = now_ns();
	if (p->sum) {
		add_to_sum(p, done);
		return;
	}
	if (!is_due(&p->started_ns, &p->shown_ns, now)) return;
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
