#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_info infos[ERR_CODE_COUNT] = {
    [ERR_OK] = {"ok", 0, NULL},
    [ERR_USAGE] = {"usage", 2, "run the command with --help to see what it takes"},
    [ERR_NOT_FOUND] = {"not_found", 1, "check the spelling, and that it exists where you look"},
    [ERR_EXISTS] = {"exists", 1, "choose another destination, or overwrite it with --force"},
    [ERR_PERMISSION] = {"permission", 1,
			"run as root or as the user that owns it; `podsnap doctor` names what "
			"blocks a target"},
    [ERR_UNSUPPORTED] = {"unsupported", 1,
			 "`podsnap doctor` says which ways work here; `podsnap version` prints "
			 "the formats it reads"},
    [ERR_IO] = {"io", 1, NULL},
    [ERR_NO_SPACE] = {"no_space", 1, "free some space, or choose another destination with -o"},
    [ERR_NO_MEMORY] = {"no_memory", 1, "free some memory, or raise the memory limit"},
    [ERR_LIMIT] = {"limit", 1, NULL},
    [ERR_CORRUPT] = {"corrupt", 1, "fetch the input again and compare its checksum"},
    [ERR_TRUNCATED] = {"truncated", 1,
		       "fetch or capture it again; `podsnap verify` says what is whole"},
    [ERR_TIMEOUT] = {"timeout", 1, "try again, or allow more time"},
    [ERR_CANCELLED] = {"cancelled", 1, NULL},
    [ERR_GONE] = {"gone", 1, "it ended meanwhile: look for its successor with `podsnap ps`"},
    [ERR_NETWORK] = {"network", 1, "check the address, the network and any proxy, then retry"},
    [ERR_AUTH] = {"auth", 1, "check that the credentials are valid and have not expired"},
    [ERR_FORBIDDEN] = {"forbidden", 1, "ask for the missing right, or use other credentials"},
    [ERR_SERVER] = {"server", 1, "try again later; the server's own log has the cause"},
    [ERR_PROTOCOL] = {"protocol", 1,
		      "check with `podsnap version` that both ends are of one version"},
    [ERR_PARTIAL] = {"partial", 3, NULL},
    [ERR_INTERNAL] = {"internal", 1, "this is a bug in podsnap: please report it"},
};

const struct err_info *err_info(int code)
{
	if (code < 0 || code >= ERR_CODE_COUNT) code = ERR_INTERNAL;
	return &infos[code];
}

/* Cuts at whole UTF-8 characters, so that a long name does not end in half of one. */
static void trim_partial_char(char *text)
{
	size_t end = strlen(text), start = end;

	while (start > 0 && end - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0) return;

	unsigned char lead = (unsigned char)text[start - 1];
	size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;

	if (need > end - start) text[start - 1] = '\0';
}

/* Formats beside dst first: the arguments may point into it. */
static void format_into(char *dst, size_t size, const char *fmt, va_list ap)
{
	char text[ERR_HINT_MAX];

	if (size > sizeof(text)) size = sizeof(text);
	if (vsnprintf(text, size, fmt, ap) >= (int)size) trim_partial_char(text);
	memcpy(dst, text, strlen(text) + 1);
}

int(err_set)(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!e) return -(int)code;
	va_start(ap, fmt);
	format_into(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->code = (int)code;
	e->sys_errno = 0;
	e->hint[0] = '\0';
	return -(int)code;
}

static enum err_code code_of_errno(int sys_errno)
{
	switch (sys_errno) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EPERM:
	case EACCES:
		return ERR_PERMISSION;
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	case ENOMEM:
		return ERR_NO_MEMORY;
	case ESRCH:
		return ERR_GONE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case EEXIST:
		return ERR_EXISTS;
	default:
		return ERR_IO;
	}
}

int(err_errno)(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	enum err_code code = code_of_errno(saved);
	char suffix[96];
	const char *reason;
	va_list ap;

	if (!e) return -(int)code;
	reason = strerrordesc_np(saved);
	if (reason)
		snprintf(suffix, sizeof(suffix), ": %s", reason);
	else
		snprintf(suffix, sizeof(suffix), ": errno %d", saved);

	/* The reason is kept whole, whatever the length of what is before it. */
	va_start(ap, fmt);
	format_into(e->text, sizeof(e->text) - strlen(suffix), fmt, ap);
	va_end(ap);
	memcpy(e->text + strlen(e->text), suffix, strlen(suffix) + 1);
	e->code = (int)code;
	e->sys_errno = saved;
	e->hint[0] = '\0';
	errno = saved;
	return -(int)code;
}

int(err_wrap)(struct err *e, const char *fmt, ...)
{
	char context[ERR_TEXT_MAX], text[ERR_TEXT_MAX];
	va_list ap;

	if (!e) return -ERR_IO;
	va_start(ap, fmt);
	format_into(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(text, e->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	if (snprintf(e->text, sizeof(e->text), "%s: %s", context, text) >= (int)sizeof(e->text))
		trim_partial_char(e->text);
	/* Wrapping "no error" is a caller's bug; 0 would hide it as a success. */
	if (e->code == ERR_OK) e->code = ERR_INTERNAL;
	return -e->code;
}

int(err_hint)(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e) return -ERR_IO;
	va_start(ap, fmt);
	format_into(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return -e->code;
}

const char *err_advice(const struct err *e)
{
	if (!e) return NULL;
	if (e->hint[0]) return e->hint;
	return err_info(e->code)->advice;
}
