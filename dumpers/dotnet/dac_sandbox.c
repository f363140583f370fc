/*
 * The library is code from the target's image. What its process may do is decided before it is
 * loaded: compute, and use what is open. Files: to read, for the libraries that it links and what
 * they look up; Landlock narrows that to the system's own directories. Whatever else it tries
 * fails with EPERM (seccomp(2), landlock(7)).
 */
#include "dumpers/dotnet/dac_host_internal.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { MEMORY_MAX_MIB = 4096, CPU_MAX_S = 600, FILES_MAX = 64, FILTER_MAX = 160 };

static int limit(int resource, rlim_t value, struct err *e)
{
	struct rlimit now;
	if (getrlimit(resource, &now) < 0) return err_errno(e, "cannot read a limit");
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value) value = now.rlim_max;
	const struct rlimit l = {value, value};
	return setrlimit(resource, &l) < 0 ? err_errno(e, "cannot set a limit") : 0;
}

static int set_limits(struct err *e)
{
	int r = limit(RLIMIT_AS, (rlim_t)MEMORY_MAX_MIB * MIB, e);
	if (!r) r = limit(RLIMIT_CPU, CPU_MAX_S, e);
	if (!r) r = limit(RLIMIT_NOFILE, FILES_MAX, e);
	if (!r) r = limit(RLIMIT_FSIZE, 0, e);
	if (!r) r = limit(RLIMIT_CORE, 0, e);
	return r;
}

static void allow_reading(int ruleset, const char *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	const struct landlock_path_beneath_attr rule = {
	    .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	    .parent_fd = fd};
	if (fd >= 0) syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* The memfd of the library is no file of any directory, and stays readable. */
static void confine_files(void)
{
	static const char *const readable[] = {
	    "/usr", "/lib", "/lib64", "/proc/self", "/sys/fs/cgroup", "/sys/devices/system"};
	const struct landlock_ruleset_attr attributes = {.handled_access_fs =
							     LANDLOCK_ACCESS_FS_MAKE_SYM * 2 -
							     1}; /* all of its first version */
	_cleanup_close_ int ruleset =
	    (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	if (ruleset < 0) return; /* the kernel lacks it; seccomp holds all the same */
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
		allow_reading(ruleset, readable[i]);
	syscall(SYS_landlock_restrict_self, ruleset, 0);
}

static const int allowed_calls[] = {
    SYS_read,           SYS_pread64,
    SYS_write,          SYS_close,
    SYS_recvfrom,       SYS_sendto,
    SYS_fstat,          SYS_newfstatat,
    SYS_statfs,         SYS_fstatfs,
    SYS_lseek,          SYS_getdents64,
    SYS_access,         SYS_faccessat,
    SYS_readlink,       SYS_readlinkat,
    SYS_getcwd,         SYS_pipe2,
    SYS_mmap,           SYS_munmap,
    SYS_mprotect,       SYS_madvise,
    SYS_mremap,         SYS_brk,
    SYS_futex,          SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_sigaltstack,    SYS_clock_gettime,
    SYS_clock_getres,   SYS_gettimeofday,
    SYS_getpid,         SYS_gettid,
    SYS_getppid,        SYS_getsid,
    SYS_getuid,         SYS_geteuid,
    SYS_getgid,         SYS_getegid,
    SYS_uname,          SYS_sysinfo,
    SYS_getrusage,      SYS_getrandom,
    SYS_sched_yield,    SYS_sched_getaffinity,
    SYS_get_mempolicy,  SYS_restart_syscall,
    SYS_exit,           SYS_exit_group,
};

struct filter {
	struct sock_filter v[FILTER_MAX];
	size_t count;
};
static void put(struct filter *f, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	if (f->count < FILTER_MAX)
		f->v[f->count++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}
static void put_load(struct filter *f, size_t offset)
{
	put(f, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}
static void put_return(struct filter *f, uint32_t action)
{
	put(f, BPF_RET | BPF_K, 0, 0, action);
}
/* The call is allowed if no bit of mask is set in an argument (below 2^32). */
static void put_call(struct filter *f, int call, int argument, uint32_t mask)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, mask ? 4 : 1, (uint32_t)call);
	if (mask) {
		put_load(f, offsetof(struct seccomp_data, args) + (size_t)argument * 8);
		put(f, BPF_JMP | BPF_JSET | BPF_K, 0, 1, mask);
		put_return(f, SECCOMP_RET_ERRNO | 1);
	}
	put_return(f, SECCOMP_RET_ALLOW);
}

static int confine_calls(struct err *e)
{
	struct filter f = {.count = 0};
	put_load(&f, offsetof(struct seccomp_data, arch));
	put(&f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	put_return(&f, SECCOMP_RET_KILL_PROCESS);
	put_load(&f, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(allowed_calls); i++)
		put_call(&f, allowed_calls[i], 0, 0);
	put_call(&f, SYS_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC);
	put_return(&f, SECCOMP_RET_ERRNO | 1);
	const struct sock_fprog program = {(unsigned short)f.count, f.v};
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return err_errno(e, "seccomp is not to be had here");
	return 0;
}

int dac_confine(struct err *e)
{
	int r = set_limits(e);
	if (r) return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "no_new_privs is not to be had here");
	confine_files();
	return confine_calls(e);
}
