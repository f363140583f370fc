/*
 * mappings DIR: memory of every sort, each word of it its own address. For each it prints "region
 * NAME START LENGTH", in hexadecimal, but for what this machine has not; at last "ready PID". DIR
 * is for the files that it maps.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum { PAGE = 4096, LEN = 16 * PAGE, SPARSE = 64 << 20 };
#define HUGE_LEN ((size_t)2 << 20)
#define RW (PROT_READ | PROT_WRITE)

static void fill(void *start, size_t len)
{
	uintptr_t *words = start;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		words[i] = (uintptr_t)&words[i];
}

static void announce(const char *name, const void *start, size_t len)
{
	printf("region %s %lx %lx\n", name, (unsigned long)(uintptr_t)start, (unsigned long)len);
}

/* Maps, fills and announces; an fd of -1 that should be one, and a map that fails, are passed over.
 */
static void *add(const char *name, size_t len, int flags, int fd)
{
	void *p = mmap(NULL, len, RW, flags, fd, 0);

	if (p == MAP_FAILED) return NULL;
	fill(p, len);
	announce(name, p, len);
	return p;
}

static int make_file(const char *dir, const char *name, size_t len)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)len) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static int make_memfd(const char *name, unsigned flags, size_t len)
{
	int fd = memfd_create(name, flags);

	return fd >= 0 && ftruncate(fd, (off_t)len) < 0 ? -1 : fd;
}

static void add_private(void)
{
	void *p = add("dontdump", LEN, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(p, LEN, MADV_DONTDUMP);
	add("private", LEN, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	p = add("no-access", LEN, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	mprotect(p, LEN, PROT_NONE);
	p = mmap(NULL, 2 * HUGE_LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p = (void *)(((uintptr_t)p + HUGE_LEN - 1) / HUGE_LEN * HUGE_LEN);
	madvise(p, HUGE_LEN, MADV_HUGEPAGE);
	fill(p, HUGE_LEN);
	announce("transparent-huge", p, HUGE_LEN);
}

static void add_shared(const char *dir)
{
	int id = shmget(IPC_PRIVATE, LEN, IPC_CREAT | 0600);
	uint8_t *p = shmat(id, NULL, 0);
	char name[64];
	int fd;

	shmctl(id, IPC_RMID, NULL);
	fill(p, LEN);
	announce("system-v", p, LEN);
	add("shared", LEN, MAP_SHARED | MAP_ANONYMOUS, -1);
	add("memfd", LEN, MAP_SHARED, make_memfd("m", 0, LEN));
	snprintf(name, sizeof(name), "/podsnap-test-%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd >= 0 && ftruncate(fd, LEN) == 0) add("posix", LEN, MAP_SHARED, fd);
	shm_unlink(name);
	add("file-shared", LEN, MAP_SHARED, make_file(dir, "shared", LEN));
	add("file-gone", LEN, MAP_SHARED, make_file(dir, "gone", LEN));
	if (chdir(dir) == 0) unlink("gone");
	p = mmap(NULL, SPARSE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fill(p, PAGE);
	fill(p + SPARSE - PAGE, PAGE);
	announce("sparse", p, SPARSE);
}

static void add_files(const char *dir)
{
	int fd = make_file(dir, "private", LEN);

	add("file-written", LEN, MAP_PRIVATE, fd);
	announce("file-unmodified", mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, 0), LEN);
}

static void add_huge(void)
{
	add("huge-private", HUGE_LEN, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	add("huge-shared", HUGE_LEN, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	add("huge-memfd", HUGE_LEN, MAP_SHARED, make_memfd("h", MFD_HUGETLB, HUGE_LEN));
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: mappings DIR\n");
		return 2;
	}
	add_private();
	add_shared(argv[1]);
	add_files(argv[1]);
	add_huge();
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}
