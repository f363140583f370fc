/* Small helpers every module uses: cleanup attributes, array sizes, clocks, checked arithmetic. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _unused_ __attribute__((unused))

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline void free_ptr(void *p)
{
	free(*(void **)p);
}
/* Frees the pointed-to heap block when the variable goes out of scope. */
#define _cleanup_free_ _cleanup_(free_ptr)

/* Frees a text that must not stay in memory: it is overwritten first. *text may be NULL. */
static inline void free_secret(char **text)
{
	if (*text) explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static inline void close_fd(const int *fd)
{
	if (*fd >= 0) close(*fd);
}
/* Closes a descriptor when the variable goes out of scope; -1 means none. */
#define _cleanup_close_ _cleanup_(close_fd)

/* Passes ownership out of a _cleanup_ variable. */
#define STEAL_PTR(p)                                                                               \
	__extension__({                                                                            \
		__typeof__(p) steal_ptr_ = (p);                                                    \
		(p) = NULL;                                                                        \
		steal_ptr_;                                                                        \
	})
static inline int steal_fd(int *fd)
{
	int n = *fd;
	*fd = -1;
	return n;
}

/* Monotonic time in nanoseconds since an arbitrary point. */
static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#define NS_PER_MS 1000000u
#define NS_PER_S 1000000000u

/* a + b and a * b into *ret; true on overflow (then *ret is not to be used). */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}
static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

/* Rounds up to a power-of-two multiple; the caller has checked that it cannot overflow. */
static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
	return (value + power_of_two - 1) & ~(power_of_two - 1);
}
static inline uint64_t align_down(uint64_t value, uint64_t power_of_two)
{
	return value & ~(power_of_two - 1);
}

/* A half-open range [start, end) of addresses or offsets, in bytes. */
struct range {
	uint64_t start, end;
};

#endif
