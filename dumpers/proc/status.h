/* /proc/PID/status (proc_pid_status(5), fs/proc/array.c): the fields podsnap uses. */
#ifndef DUMPERS_PROC_STATUS_H
#define DUMPERS_PROC_STATUS_H

#include "dumpers/proc/process.h"

enum {
	STATUS_TEXT_MAX = 256 << 10, /* a process may be in 65536 groups: those are cut, not read */
	STATUS_NAME_MAX = 64,
	STATUS_GROUPS_MAX = 64,
	STATUS_PID_LEVELS_MAX = 33, /* MAX_PID_NS_LEVEL 32 (include/linux/pid_namespace.h), and 0 */
};

/* Which fields were there: kernel threads have no memory, old kernels no Seccomp_filters. */
enum status_field {
	STATUS_NAME,
	STATUS_STATE,
	STATUS_TGID,
	STATUS_PPID,
	STATUS_TRACER_PID,
	STATUS_UID,
	STATUS_GID,
	STATUS_GROUPS,
	STATUS_NSPID,
	STATUS_KTHREAD,
	STATUS_THREADS,
	STATUS_VM_SIZE,
	STATUS_VM_RSS,
	STATUS_VM_PIN,
	STATUS_VM_SWAP,
	STATUS_VM_HWM,
	STATUS_RSS_ANON,
	STATUS_RSS_FILE,
	STATUS_RSS_SHMEM,
	STATUS_SIG_PND,
	STATUS_SHD_PND,
	STATUS_SIG_BLK,
	STATUS_SIG_IGN,
	STATUS_SIG_CGT,
	STATUS_CAP_PRM,
	STATUS_CAP_EFF,
	STATUS_CAP_BND,
	STATUS_NO_NEW_PRIVS,
	STATUS_SECCOMP,
	STATUS_SECCOMP_FILTERS,
	STATUS_FIELD_COUNT,
};

enum { ID_REAL, ID_EFFECTIVE, ID_SAVED, ID_FS, ID_COUNT };

struct proc_status {
	uint64_t present;           /* bit 1 << enum status_field; what is not there is 0 */
	char name[STATUS_NAME_MAX]; /* unescaped; the kernel cuts it at 15 bytes */
	char state;
	uint64_t tgid, ppid, tracer_pid;       /* in the reader's pid namespace; 0: outside, none */
	uint32_t uid[ID_COUNT], gid[ID_COUNT]; /* in the reader's user namespace */
	uint32_t groups[STATUS_GROUPS_MAX];
	size_t group_count;                    /* of those kept */
	uint64_t nspid[STATUS_PID_LEVELS_MAX]; /* the reader's namespace first, its own last */
	size_t nspid_count;
	uint64_t kthread; /* 1: a kernel thread (Linux 6.8 and later say so) */
	uint64_t threads;
	uint64_t vm_size_bytes, vm_rss_bytes, vm_pin_bytes, vm_swap_bytes, vm_hwm_bytes;
	uint64_t rss_anon_bytes, rss_file_bytes, rss_shmem_bytes;
	uint64_t sig_pnd, shd_pnd, sig_blk, sig_ign, sig_cgt; /* bit N - 1 for signal N */
	uint64_t cap_prm, cap_eff, cap_bnd; /* bit N for capability N (linux/capability.h) */
	uint64_t no_new_privs;
	uint64_t seccomp; /* 0 off, 1 strict, 2 filter */
	uint64_t seccomp_filters;
};

/* -ERR_CORRUPT when a line that it knows is malformed; unknown lines are passed over. */
int proc_status_parse(const char *text, size_t len, struct proc_status *ret, struct err *e);
static inline bool proc_status_has(const struct proc_status *s, enum status_field field)
{
	return (s->present >> field & 1) != 0;
}
/* Reads and parses /proc/PID/status; also the errors of process_read. */
int process_status(const struct process *p, struct proc_status *ret, struct err *e);

#endif
