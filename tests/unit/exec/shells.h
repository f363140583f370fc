/* The shells that the push script is tested with: those of every Debian, or one that the caller
 * has. */
#ifndef TEST_SHELLS_H
#define TEST_SHELLS_H

#include <stdlib.h>
#include <string.h>

enum { SHELL_WORDS = 3 };
static const char *shells[][SHELL_WORDS] = {{"dash"}, {"bash"}};
static size_t shell_count = sizeof(shells) / sizeof(shells[0]);

/* PODSNAP_TEST_SHELL="busybox ash" is that shell alone. */
static inline void choose_shells(void)
{
	char *rest = getenv("PODSNAP_TEST_SHELL");

	if (!rest) return;
	shell_count = 1;
	for (int i = 0; i < SHELL_WORDS - 1; i++)
		shells[0][i] = strtok_r(rest, " ", &rest);
}

#endif
