#include "collector/bundle_name.h"

#include "base/hash.h"
#include "base/rfc3339.h"

#include <stdio.h>
#include <string.h>

/* What a file system takes, less ".partial" and a number. */
enum { NAME_BYTES_MAX = 240, DIGEST_BYTES = 5 };

/* "<pid>-<comm>/process.json" -> comm */
static void process_name(const char *entry, char *ret, size_t ret_size)
{
	const char *dash = strchr(entry, '-');
	const char *slash = strchr(entry, '/');
	if (!dash || !slash || dash > slash) {
		snprintf(ret, ret_size, "process");
		return;
	}
	snprintf(ret, ret_size, "%.*s", (int)(slash - dash - 1), dash + 1);
}

static void time_stamp(time_t created, char ret[RFC3339_SIZE])
{
	char when[RFC3339_SIZE];
	rfc3339_utc(created, when);
	for (const char *c = when; *c; c++) {
		if (*c != '-' && *c != ':') *ret++ = *c;
	}
	*ret = 0;
}

/* The pod's name in at most max bytes. */
static void short_pod(const char *pod, size_t max, char *ret, size_t ret_size)
{
	uint8_t digest[SHA256_BYTES];
	if (strlen(pod) <= max) {
		snprintf(ret, ret_size, "%s", pod);
		return;
	}
	sha256_of(pod, strlen(pod), digest);
	int n = snprintf(ret, ret_size, "%.*s-", (int)(max - 1 - 2 * DIGEST_BYTES), pod);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		n += snprintf(ret + n, ret_size - (size_t)n, "%02x", digest[i]);
}

void bundle_name(const struct pod_target *target, const char *entry, time_t created,
		 char ret[BUNDLE_FILE_NAME_MAX])
{
	char process[64], stamp[RFC3339_SIZE], end[128], pod[254];
	process_name(entry, process, sizeof process);
	time_stamp(created, stamp);
	int end_len = snprintf(end, sizeof end, "%s_%.24s.podsnap.tar.zst", process, stamp);
	if (!target) {
		snprintf(ret, BUNDLE_FILE_NAME_MAX, "local_%s", end);
		return;
	}
	/* Kubernetes takes no longer names of these two. */
	int namespace_len = (int)MIN(strlen(target->namespace_), 63u);
	int container_len = (int)MIN(strlen(target->container), 63u);
	size_t max = (size_t)(NAME_BYTES_MAX - 3 - namespace_len - container_len - end_len);
	short_pod(target->pod, MIN(max, sizeof pod - 1), pod, sizeof pod);
	snprintf(ret, BUNDLE_FILE_NAME_MAX, "%.*s_%s_%.*s_%s", namespace_len, target->namespace_,
		 pod, container_len, target->container, end);
}
