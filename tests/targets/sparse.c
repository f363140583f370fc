/*
 * sparse COUNT [STRIDE_KIB]: writes COUNT pages, one every STRIDE_KIB (128), in one mapping, so
 * that a core has that many segments. Each page holds its own address over and over. Prints "ready
 * PID START COUNT STRIDE", START in hex, STRIDE in bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	size_t stride = (argc > 2 ? strtoul(argv[2], NULL, 10) : 128) * 1024;
	char *start;

	if (!count || stride < 4096 || count > SIZE_MAX / stride) {
		fprintf(stderr, "usage: sparse COUNT [STRIDE_KIB]\n");
		return 2;
	}
	start = mmap(NULL, count * stride, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED || madvise(start, count * stride, MADV_NOHUGEPAGE) < 0) {
		perror("mmap");
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		uintptr_t *page = (uintptr_t *)(void *)(start + i * stride);

		for (size_t k = 0; k < 4096 / sizeof(*page); k++)
			page[k] = (uintptr_t)page;
	}
	printf("ready %d %p %zu %zu\n", (int)getpid(), (void *)start, count, stride);
	fflush(stdout);
	for (;;)
		pause();
}
