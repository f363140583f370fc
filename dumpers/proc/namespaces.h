/* The namespaces of a process (namespaces(7)): /proc/PID/ns/ links, "pid:[4026531836]". */
#ifndef DUMPERS_PROC_NAMESPACES_H
#define DUMPERS_PROC_NAMESPACES_H

#include "dumpers/proc/process.h"

enum ns_kind { NS_CGROUP, NS_IPC, NS_MNT, NS_NET, NS_PID, NS_TIME, NS_USER, NS_UTS, NS_COUNT };

struct namespace
{
	uint64_t inode; /* 0: not to be had, by permission or because this kernel has none */
	bool same;      /* as this program's; false when either is not known */
};
struct namespaces {
	struct namespace v[NS_COUNT];
};

const char *ns_kind_name(enum ns_kind kind);
/* "pid:[4026531836]" for kind NS_PID; false when the text is not of that form. */
bool ns_link_parse(const char *text, enum ns_kind kind, uint64_t *ret_inode);
/* Never fails: what cannot be read stays 0. */
void process_namespaces(const struct process *p, struct namespaces *ret);

#endif
