/*
 * hazard MODE SEED [ARG]: a process with one thing about it that makes a snapshot hard (the table
 * at the end lists them). It fills memory with words that follow from SEED and their address,
 * prints "range NAME START LENGTH" for each such area, and "ready PID".
 *
 * SIGUSR1: looks at all of it again and prints "same N", N the ticks of its timer, or "FAIL ...".
 * SIGUSR2: does what the mode is about, if it is something that happens. SIGTERM: ends, status 0.
 */
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	SMALL = 64 << 10,
	HUGE_PAGE = 2 << 20,
	LARGE = 2 << 20,
	BULK = 256 << 20,
	MANY = 64,
	RANGES_MAX = 128
};

static uint64_t seed;
static const char *arg;
static atomic_ulong ticks;
static struct range {
	const char *name;
	uint64_t *start;
	size_t len;
} ranges[RANGES_MAX];
static size_t range_count;

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* splitmix64 (Steele and others 2014), of what a word is and where: nothing else looks like it. */
static uint64_t word_at(const uint64_t *address)
{
	uint64_t z = seed + (uint64_t)(uintptr_t)address * 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill_silently(const char *name, void *start, size_t len)
{
	uint64_t *words = start;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		words[i] = word_at(&words[i]);
	ranges[range_count++] = (struct range){name, words, len};
}

static void *fill(const char *name, void *start, size_t len)
{
	fill_silently(name, start, len);
	printf("range %s %p %#zx\n", name, start, len);
	return start;
}

static void *map(size_t len, int flags, int fd)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED) die("mmap");
	return memory;
}

static void *anonymous(size_t len)
{
	return map(len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static bool all_same(void)
{
	for (size_t r = 0; r < range_count; r++) {
		for (size_t i = 0; i < ranges[r].len / sizeof(uint64_t); i++) {
			if (ranges[r].start[i] == word_at(&ranges[r].start[i])) continue;
			printf("FAIL range %s changed at %p\n", ranges[r].name,
			       (void *)&ranges[r].start[i]);
			return false;
		}
	}
	return true;
}

/* --- memory -------------------------------------------------------------------------------------
 */

static void set_up_plain(void)
{
	size_t len = arg ? strtoul(arg, NULL, 10) << 20 : SMALL;

	fill("bulk", anonymous(len), len);
}

/* ARG MiB that nobody touches. */
static void set_up_reserve(void)
{
	anonymous(strtoul(arg, NULL, 10) << 20);
}

/* More than fits between a capture and its reader. */
static void set_up_bulk(void)
{
	fill("bulk", anonymous(BULK), BULK);
}

/* ARG MiB, or a few pages. */
static void advise(const char *name, int advice)
{
	size_t len = arg ? strtoul(arg, NULL, 10) << 20 : SMALL;
	void *memory = fill(name, anonymous(len), len);

	if (madvise(memory, len, advice) < 0) die("madvise");
	/* As much as nobody touched, which reads as zeros. */
	if (madvise(anonymous(SMALL), SMALL, advice) < 0) die("madvise");
}

static void set_up_dontfork(void)
{
	advise("dontfork", MADV_DONTFORK);
}

static void set_up_wipeonfork(void)
{
	advise("wipeonfork", MADV_WIPEONFORK);
}

/* Large enough for a hole in a core, if it were taken for untouched. */
static void set_up_shared(void)
{
	char name[64];
	int fd = memfd_create("hazard", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, LARGE) < 0) die("memfd_create");
	fill("memfd", map(LARGE, MAP_SHARED, fd), LARGE);
	fill("shared", map(LARGE, MAP_SHARED | MAP_ANONYMOUS, -1), LARGE);
	snprintf(name, sizeof(name), "/podsnap-hazard-%d", (int)getpid());
	for (int named = 0; named < 2; named++) {
		fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, LARGE) < 0) die("shm_open");
		fill(named ? "shm" : "shm-deleted", map(LARGE, MAP_SHARED, fd), LARGE);
		if (!named) shm_unlink(name);
	}
}

static void end_shared(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/podsnap-hazard-%d", (int)getpid());
	shm_unlink(name);
}

/* Every third page of a private mapping of the file is written. */
static void set_up_file(void)
{
	int fd = open(arg, O_RDONLY | O_CLOEXEC);
	char *memory;

	if (fd < 0) die(arg);
	memory = map(MANY * PAGE, MAP_PRIVATE, fd);
	printf("file %p %#x\n", (void *)memory, MANY * PAGE);
	for (size_t at = 0; at < MANY * PAGE; at += 3 * PAGE)
		fill("written", memory + at, PAGE);
}

static void set_up_hugetlb(void)
{
	fill("hugetlb", map(2 * HUGE_PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1),
	     2 * HUGE_PAGE);
}

static void set_up_thp(void)
{
	uintptr_t memory = (uintptr_t)anonymous(4 * HUGE_PAGE);
	void *aligned = (void *)((memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));

	if (madvise(aligned, 2 * HUGE_PAGE, MADV_HUGEPAGE) < 0) die("madvise");
	fill("thp", aligned, 2 * HUGE_PAGE);
}

/* Nobody reads its events: a fork would wait for ever. */
static void set_up_userfaultfd(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
	struct uffdio_register r = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	void *memory = fill("userfaultfd", anonymous(SMALL), SMALL);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	r.range = (struct uffdio_range){(uintptr_t)memory, SMALL};
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &r) < 0)
		die("userfaultfd");
}

/* ARG rings that have the same memory as a buffer: each pins it. */
static void set_up_io_uring(void)
{
	size_t len = 4 << 20;
	struct iovec buffer = {fill("io_uring", anonymous(len), len), len};

	for (long i = strtol(arg, NULL, 10); i > 0; i--) {
		struct io_uring_params p = {0};
		int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

		if (fd < 0 ||
		    syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1) < 0)
			die("io_uring");
	}
}

/* ARG MiB, whose pages count the rounds in which they were written, one after another. */
static volatile uint64_t *rounds;
static size_t rounds_len;

static void set_up_writer(void)
{
	rounds_len = strtoul(arg, NULL, 10) << 20;
	rounds = anonymous(rounds_len);
	for (size_t i = 0; i < rounds_len / sizeof(*rounds); i++)
		rounds[i] = word_at((const uint64_t *)&rounds[i]);
	for (size_t at = 0; at < rounds_len / sizeof(*rounds); at += PAGE / sizeof(*rounds))
		rounds[at] = 0;
	printf("rounds %p %#zx\n", (void *)(uintptr_t)rounds, rounds_len);
}

static void write_rounds(void)
{
	for (uint64_t round = 1;; round++) {
		for (size_t at = 0; at < rounds_len / sizeof(*rounds); at += PAGE / sizeof(*rounds))
			rounds[at] = round;
		atomic_fetch_add(&ticks, 1);
	}
}

/* One number, written to private memory and then to shared memory of two kinds. */
static volatile uint64_t *lockstep[3];

static void set_up_lockstep(void)
{
	static const char *const names[] = {"private", "shared", "memfd"};
	int fd = memfd_create("lockstep", 0);

	if (fd < 0 || ftruncate(fd, PAGE) < 0) die("memfd");
	lockstep[0] = anonymous(PAGE);
	lockstep[1] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lockstep[2] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < 3; i++) {
		if (lockstep[i] == MAP_FAILED) die("mmap");
		*lockstep[i] = 0;
		printf("lockstep %s %p %#x\n", names[i], (void *)(uintptr_t)lockstep[i], PAGE);
	}
}

static void count_in_lockstep(void)
{
	for (uint64_t n = 1;; n++)
		for (size_t i = 0; i < 3; i++)
			*lockstep[i] = n;
}

/* --- what it may do -----------------------------------------------------------------------------
 */

static void forbid_forks(unsigned flags)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 3, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 2, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0)
		die("seccomp");
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void run_seccomp(void)
{
	forbid_forks(SECCOMP_FILTER_FLAG_TSYNC);
	printf("filtered\n");
	fflush(stdout);
	wait_for_ever();
}

static void *filtered_thread(void *unused)
{
	forbid_forks(0);
	printf("filtered\n");
	fflush(stdout);
	wait_for_ever();
	return unused;
}

/* Only one thread has the filter, and it is the one that looks best to fork. */
static void run_seccomp_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, filtered_thread, NULL)) die("pthread_create");
	for (;;)
		sleep(1000);
}

static void run_nproc(void)
{
	const struct rlimit none = {1, 1};

	if (setrlimit(RLIMIT_NPROC, &none) < 0) die("setrlimit");
	printf("limited\n");
	fflush(stdout);
	wait_for_ever();
}

/* --- what it is doing ---------------------------------------------------------------------------
 */

/* Until the child, which prints its pid, gets SIGUSR2. */
static void run_vfork(void)
{
	sigset_t set;
	int sig, status = 0;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pid = vfork();
	if (pid < 0) die("vfork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigwait(&set, &sig);
		_exit(3);
	}
	if (waitpid(pid, &status, 0) != pid) die("waitpid");
	printf("vfork %x\n", (unsigned)status);
	fflush(stdout);
	wait_for_ever();
}

/* In a call that no signal which is ignored may end. */
static void *wait_for_nothing(void *unused)
{
	struct epoll_event event;
	int none = epoll_create1(EPOLL_CLOEXEC);

	for (;;) {
		int got = epoll_wait(none, &event, 1, -1);

		printf("FAIL epoll_wait returned %d: %s\n", got, strerror(errno));
		fflush(stdout);
	}
	return unused;
}

static void *fork_for_ever(void *unused)
{
	unsigned random = (unsigned)gettid();

	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			usleep((unsigned)rand_r(&random) % 1000000);
			_exit(0);
		}
		rand_r(&random);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid) die("fork");
	}
	return unused;
}

/* SIGCHLD, which it ignores, comes all the time to a quarter of as many as ARG threads; those wait
 * for something else, and are the first that it made. */
static void run_children(void)
{
	pthread_t thread;

	for (int i = atoi(arg); i > 0; i--)
		if (pthread_create(&thread, NULL, wait_for_nothing, NULL)) die("pthread_create");
	for (int i = atoi(arg) / 4; i > 0; i--)
		if (pthread_create(&thread, NULL, fork_for_ever, NULL)) die("pthread_create");
	wait_for_nothing(NULL);
}

/* Makes the file ARG, and waits in the kernel until it may. */
static void run_write(void)
{
	if (open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0) die(arg);
	printf("written\n");
	fflush(stdout);
	wait_for_ever();
}

static void run_leader(void)
{
	pthread_exit(NULL);
}

static void set_up_timer(void)
{
	const struct itimerval every = {{0, 10000}, {0, 10000}};

	if (setitimer(ITIMER_REAL, &every, NULL) < 0) die("setitimer");
}

static void act_exec(void)
{
	static char name[] = "hazard", mode[] = "plain";
	char number[32];
	char *const argv[] = {name, mode, number, NULL};

	snprintf(number, sizeof(number), "%llu", (unsigned long long)seed + 1);
	execv("/proc/self/exe", argv);
	die("execv");
}

static void act_close(void)
{
	close((int)strtol(arg, NULL, 10));
}

/* --- where its main stack is --------------------------------------------------------------------
 */

static atomic_bool arrived;

static void stay_here(void)
{
	atomic_store(&arrived, true);
	wait_for_ever();
}

/* From another thread: printing would need more of the stack. */
static void tell_where(void)
{
	const struct range *last;

	while (!atomic_load(&arrived))
		sched_yield();
	last = &ranges[range_count - 1];
	printf("range %s %p %#zx\n", last->name, (void *)last->start, last->len);
}

/*
 * Calls then() as deep in the main stack as it ever was: what is in use begins in the last page it
 * has, if all functions are resolved (LD_BIND_NOW=1).
 */
__attribute__((noinline)) static void go_deep(void (*then)(void))
{
	size_t len = 512 << 10;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	char *top = alloca(len + here % PAGE - 768);

	fill_silently("deep", (void *)(((uintptr_t)top + 15) & ~(uintptr_t)15), len - PAGE);
	then();
}

static void run_deep(void)
{
	go_deep(stay_here);
}

static ucontext_t context, back;

static void to_context(void)
{
	swapcontext(&back, &context);
}

static void run_context(void)
{
	getcontext(&context);
	context.uc_stack.ss_sp = anonymous(4 * SMALL);
	context.uc_stack.ss_size = 4 * SMALL;
	makecontext(&context, stay_here, 0);
	go_deep(to_context);
}

static void on_other_stack(int sig)
{
	stay_here();
	(void)sig;
}

static void to_handler(void)
{
	syscall(SYS_tgkill, getpid(), gettid(), SIGRTMIN);
}

static void run_altstack(void)
{
	struct sigaction action = {.sa_handler = on_other_stack, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_sp = anonymous(4 * SMALL), .ss_size = 4 * SMALL};

	if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGRTMIN, &action, NULL) < 0)
		die("sigaltstack");
	go_deep(to_handler);
}

/* ------------------------------------------------------------------------------------------------
 */

static const struct mode {
	const char *name;
	void (*set_up)(void); /* first */
	void (*run)(void);    /* by the main thread, for ever */
	void (*act)(void);    /* at SIGUSR2 */
	void (*end)(void);
	bool alone; /* run() comes before the second thread */
} modes[] = {
    {"plain", set_up_plain, NULL, NULL},
    {"reserve", set_up_reserve, NULL, NULL},
    {"dontfork", set_up_dontfork, NULL, NULL},
    {"wipeonfork", set_up_wipeonfork, NULL, NULL},
    {"shared", set_up_shared, NULL, NULL, end_shared},
    {"file", set_up_file, NULL, NULL},
    {"hugetlb", set_up_hugetlb, NULL, NULL},
    {"thp", set_up_thp, NULL, NULL},
    {"userfaultfd", set_up_userfaultfd, NULL, NULL},
    {"io_uring", set_up_io_uring, NULL, NULL},
    {"writer", set_up_writer, write_rounds, NULL},
    {"lockstep", set_up_lockstep, count_in_lockstep, NULL},
    {"seccomp", NULL, run_seccomp, NULL},
    {"seccomp-thread", NULL, run_seccomp_thread, NULL},
    {"nproc", NULL, run_nproc, NULL},
    {"vfork", NULL, run_vfork, NULL},
    {"vfork-bulk", set_up_bulk, run_vfork, NULL},
    {"children", NULL, run_children, NULL},
    {"vfork-alone", NULL, run_vfork, NULL, NULL, true},
    {"write", NULL, run_write, NULL},
    {"write-alone", NULL, run_write, NULL, NULL, true},
    {"leader", NULL, run_leader, NULL},
    {"timer", set_up_timer, NULL, NULL},
    {"exec", set_up_bulk, NULL, act_exec},
    {"close", set_up_bulk, NULL, act_close},
    {"deep", NULL, run_deep, tell_where},
    {"context", NULL, run_context, tell_where},
    {"altstack", NULL, run_altstack, tell_where},
};
static const struct mode *mode;

static void *serve(void *signals)
{
	int sig;

	while (sigwait(signals, &sig) == 0) {
		if (sig == SIGALRM) atomic_fetch_add(&ticks, 1);
		if (sig == SIGUSR1 && all_same()) printf("same %lu\n", atomic_load(&ticks));
		if (sig == SIGUSR2 && mode->act) mode->act();
		if (sig == SIGTERM) break;
		fflush(stdout);
	}
	if (mode->end) mode->end();
	exit(0);
	return NULL;
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, name) == 0) return &modes[i];
	fprintf(stderr, "hazard: no mode %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	static sigset_t set;
	pthread_t server;

	if (argc < 3) {
		fprintf(stderr, "usage: hazard MODE SEED [ARG]\n");
		return 2;
	}
	mode = find_mode(argv[1]);
	seed = strtoull(argv[2], NULL, 0);
	arg = argv[3];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (strcmp(mode->name, "plain") != 0) fill("plain", anonymous(SMALL), SMALL);
	if (mode->set_up) mode->set_up();
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (mode->alone) mode->run();
	if (pthread_create(&server, NULL, serve, &set)) die("pthread_create");
	if (mode->run) mode->run();
	wait_for_ever();
}
