#include "exec/rbac.h"

#include <stdio.h>
#include <string.h>

enum { PARTS_MAX = 10, PART_SIZE = 256 };

/* The parts of a path, without its query; their count, or -1 if there are too many. */
static int split(const char *path, char parts[PARTS_MAX][PART_SIZE])
{
	int count = 0;

	for (;;) {
		size_t len;

		path += *path == '/';
		len = strcspn(path, "/?");
		if (len == 0) return count;
		if (count == PARTS_MAX || len >= PART_SIZE) return -1;
		memcpy(parts[count], path, len);
		parts[count++][len] = '\0';
		path += len;
		if (*path != '/') return count;
	}
}

int rbac_rule(const char *method, const char *path, char *ret, size_t size, struct err *e)
{
	char parts[PARTS_MAX][PART_SIZE];
	const char *group = "", *namespace_ = NULL, *verbs = "\"list\"", *sub = NULL;
	int count = split(path, parts), at = 0;

	if (count >= 3 && strcmp(parts[0], "api") == 0) {
		at = 2;
	} else if (count >= 4 && strcmp(parts[0], "apis") == 0) {
		group = parts[1];
		at = 3;
	} else {
		return err_set(e, ERR_USAGE, "%s is no path of a resource", path);
	}
	if (count >= at + 3 && strcmp(parts[at], "namespaces") == 0) {
		namespace_ = parts[at + 1];
		at += 2;
	}
	if (count >= at + 2) verbs = "\"get\"";
	if (strcmp(method, "POST") == 0) verbs = "\"create\"";
	if (count >= at + 3) sub = parts[at + 2];
	if (sub && strcmp(sub, "exec") == 0) verbs = "\"get\", \"create\"";
	if (sub && strcmp(sub, "ephemeralcontainers") == 0) verbs = "\"patch\"";
	snprintf(ret, size,
		 "a %s%s needs this rule:\n"
		 "- apiGroups: [\"%s\"]\n"
		 "  resources: [\"%s%s%s\"]\n"
		 "  verbs: [%s]",
		 namespace_ ? "Role in namespace " : "ClusterRole", namespace_ ? namespace_ : "",
		 group, parts[at], sub ? "/" : "", sub ? sub : "", verbs);
	return 0;
}
