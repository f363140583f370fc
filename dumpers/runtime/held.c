#include "dumpers/runtime/held.h"

#include "base/io.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4 << 20, LISTENS = 0x10000 /* __SO_ACCEPTCON, net/unix/af_unix.c */ };

/* "0000...: 00000002 00000000 00010000 0001 01 12345 @podsnap-held-ID" */
static bool listens(const char *line)
{
	const char *p = strchr(line, ':');
	unsigned long value = 0;
	char *end;

	/* Behind the colon: references, protocol, flags. */
	for (int field = 0; p && field < 3; field++) {
		value = strtoul(++p, &end, 16);
		p = end > p ? end : NULL;
	}
	return p && value & LISTENS;
}

static bool parse_line(const char *line, char ret[HELD_ID_SIZE])
{
	const char *name = strchr(line, '@');

	if (!name || strncmp(name + 1, HELD_SOCKET_PREFIX, strlen(HELD_SOCKET_PREFIX)) != 0)
		return false;
	if (!listens(line)) return false;
	name += 1 + strlen(HELD_SOCKET_PREFIX);
	for (size_t i = 0; i < HELD_ID_SIZE - 1; i++)
		if (!isxdigit((unsigned char)name[i])) return false;
	if (name[HELD_ID_SIZE - 1]) return false;
	memcpy(ret, name, HELD_ID_SIZE);
	return true;
}

void held_list_parse(const char *text, size_t len, struct held_list *ret)
{
	const char *end = text + len;

	*ret = (struct held_list){0};
	while (text < end && ret->count < HELD_MAX) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((stop ? stop : end) - text);
		char line[256];

		snprintf(line, sizeof(line), "%.*s", (int)MIN(n, sizeof(line) - 1), text);
		if (parse_line(line, ret->ids[ret->count])) ret->count++;
		text += n + 1;
	}
}

void held_list_read(struct held_list *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);

	*ret = (struct held_list){0};
	if (io_read_file(AT_FDCWD, "/proc/net/unix", &text, NULL) == 0 && text.len > 0)
		held_list_parse(text.data, text.len, ret);
}
