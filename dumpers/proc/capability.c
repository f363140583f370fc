#include "dumpers/proc/capability.h"

static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

const char *capability_name(unsigned number)
{
	return number < ARRAY_SIZE(names) ? names[number] : NULL;
}

int capability_list(uint64_t set, struct buf *ret, struct err *e)
{
	size_t start = ret->len;

	for (unsigned i = 0; i < CAPABILITY_MAX; i++) {
		const char *comma = ret->len > start ? ", " : "";
		const char *name = capability_name(i);
		int r;

		if (!(set >> i & 1)) continue;
		r = name ? buf_printf(ret, e, "%s%s", comma, name)
			 : buf_printf(ret, e, "%s#%u", comma, i);
		if (r < 0) return r;
	}
	return 0;
}
