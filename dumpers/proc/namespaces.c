#include "dumpers/proc/namespaces.h"

#include "dumpers/proc/scan.h"

#include <stdio.h>
#include <string.h>

static const char *const names[NS_COUNT] = {
    [NS_CGROUP] = "cgroup", [NS_IPC] = "ipc",   [NS_MNT] = "mnt",   [NS_NET] = "net",
    [NS_PID] = "pid",       [NS_TIME] = "time", [NS_USER] = "user", [NS_UTS] = "uts",
};

const char *ns_kind_name(enum ns_kind kind)
{
	return (unsigned)kind < NS_COUNT ? names[kind] : "unknown";
}

bool ns_link_parse(const char *text, enum ns_kind kind, uint64_t *ret_inode)
{
	struct scan s = scan_of(text, strlen(text));

	return scan_literal(&s, ns_kind_name(kind)) && scan_literal(&s, ":[") &&
	       scan_u64(&s, 10, ret_inode) && scan_char(&s, ']') && s.at == s.end;
}

static uint64_t inode_of(const struct process *p, enum ns_kind kind)
{
	char name[16], target[64];
	uint64_t inode;

	snprintf(name, sizeof(name), "ns/%s", names[kind]);
	if (process_readlink(p, name, target, sizeof(target), NULL) < 0) return 0;
	return ns_link_parse(target, kind, &inode) ? inode : 0;
}

void process_namespaces(const struct process *p, struct namespaces *ret)
{
	_cleanup_process_ struct process self = PROCESS_INIT;
	bool have_self = process_open(getpid(), &self, NULL) == 0;

	for (int i = 0; i < NS_COUNT; i++) {
		struct namespace *ns = &ret->v[i];

		ns->inode = inode_of(p, (enum ns_kind)i);
		ns->same =
		    have_self && ns->inode != 0 && ns->inode == inode_of(&self, (enum ns_kind)i);
	}
}
