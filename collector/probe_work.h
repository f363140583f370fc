/* The probe's worker: runs the request in a thread and hands what it makes to the wire. */
#ifndef COLLECTOR_PROBE_WORK_H
#define COLLECTOR_PROBE_WORK_H

#include "bundle/wire.h"

#include <pthread.h>

/* The wire, shared between the thread that does its I/O and the one that does the looking. */
struct probe_link {
	pthread_mutex_t lock;
	pthread_cond_t
	    room; /* the window opened, output was written, a READ came, or closed was set */
	struct wire *wire;
	int wakeup_fd; /* eventfd: there is new output */
	bool closed;   /* the client is gone for good: every send fails */
	bool has_read; /* of a held snapshot, and not answered */
	struct wire_read read;
};
int probe_link_init(struct probe_link *link, const struct wire_config *config, struct err *e);
/* Makes every present and later send of the worker fail with -ERR_CANCELLED. */
void probe_link_close(struct probe_link *link);
/* Waits for the window with what is of the stream. */
int probe_link_send(struct probe_link *link, enum wire_type type, const void *payload, size_t len,
		    struct err *e);
int probe_link_send_data(struct probe_link *link, const struct bundle_frame *frame, struct err *e);
/* A READ that came; one before that is not answered yet is not wanted any more. */
int probe_link_take_read(struct probe_link *link, const struct wire_frame *f, struct err *e);
void probe_link_drain_wakeup(struct probe_link *link);
/* 0, or -ERR_CANCELLED once closed. */
int probe_link_check(struct probe_link *link, struct err *e);

struct probe_work;
/* request: NUL-separated options, copied. Why it cannot start the client hears, too, by END. */
int probe_work_start(struct probe_link *link, const void *request, size_t len,
		     struct probe_work **ret, struct err *e);
/* For how long the request wants a lost client, or the next one, to be waited for; 0: not at all.
 */
uint64_t probe_work_resume_ns(const struct probe_work *work);
/* A snapshot is held, which other clients may come for. */
bool probe_work_is_held(const struct probe_work *work);
/* Waits for the thread; NULL-safe. The link is closed or the work is done. */
void probe_work_end(struct probe_work *work);

/* What the probe comes to use at most with one compressor and the smallest window. */
#define PROBE_ROOM_MIN ((uint64_t)16 << 20)
/* Bytes that our control group and that of the container (pick.h) may still use, or the machine. */
uint64_t probe_memory_room(const char *container);

#endif
