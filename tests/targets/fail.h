/* How a program that checks itself tells of a violation: a line "FAIL ..." each. */
#ifndef TESTS_TARGETS_FAIL_H
#define TESTS_TARGETS_FAIL_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_ulong failures;

__attribute__((format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	atomic_fetch_add(&failures, 1);
	printf("FAIL %s\n", text);
	fflush(stdout);
}

#endif
