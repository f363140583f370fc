/*
 * Errors. A fallible function returns 0 or a negative enum err_code and fills the caller's
 * struct err. Nothing here allocates. A NULL struct err is allowed everywhere: the code is still
 * returned, the text is dropped.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/util.h"

enum err_code {
	ERR_OK = 0,
	ERR_USAGE,       /* the command line, configuration or request is wrong */
	ERR_NOT_FOUND,   /* no such file, process, pod, container, bucket, entry */
	ERR_EXISTS,      /* the destination exists and --force was not given */
	ERR_PERMISSION,  /* the kernel refused (EPERM, EACCES) */
	ERR_UNSUPPORTED, /* this kernel, CPU, format version or server cannot do it */
	ERR_IO,          /* a read or write failed */
	ERR_NO_SPACE,    /* disk or quota full */
	ERR_NO_MEMORY,
	ERR_LIMIT,     /* a cap of ours was reached: size, depth, count */
	ERR_CORRUPT,   /* input that breaks its own format */
	ERR_TRUNCATED, /* input or a transfer that ended early */
	ERR_TIMEOUT,   /* a deadline passed */
	ERR_CANCELLED, /* the user asked to stop */
	ERR_GONE,      /* the process, container or pod ended meanwhile */
	ERR_NETWORK,   /* name resolution, connection, TLS handshake, broken stream */
	ERR_AUTH,      /* the server does not know us (401, bad signature, expired certificate) */
	ERR_FORBIDDEN, /* the server knows us and says no (403) */
	ERR_SERVER,    /* the server failed (5xx) or answered nonsense */
	ERR_PROTOCOL,  /* the peer broke the wire protocol */
	ERR_PARTIAL,   /* done, but a part is missing and listed */
	ERR_INTERNAL,  /* a bug of ours */
	ERR_CODE_COUNT,
};

enum { ERR_TEXT_MAX = 768, ERR_HINT_MAX = 1024 };

struct err {
	int code;                /* enum err_code, positive; 0 = none */
	int sys_errno;           /* errno at the time, 0 if none */
	char text[ERR_TEXT_MAX]; /* what failed and in what, one line, no trailing newline */
	char hint[ERR_HINT_MAX]; /* the next step; empty: the code's general advice is printed */
};

/* One row of the table that maps a code to its outside meaning. */
struct err_info {
	const char *name;   /* in JSON: "not_found" */
	int exit_status;    /* 1 failed, 2 usage, 3 partial */
	const char *advice; /* general next step, or NULL */
};
const struct err_info *err_info(int code);

/* Sets code and formatted text, clears errno and hint; returns -code. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) _printf_(3, 4);

/*
 * The same from errno: the code follows errno (ENOENT not_found, EPERM/EACCES permission,
 * ENOSPC/EDQUOT no_space, ENOMEM no_memory, ESRCH gone, ETIMEDOUT timeout, EEXIST exists, other io)
 * and ": strerror" is appended to the text. errno is unchanged afterwards.
 */
int err_errno(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* Puts "context: " before the text; returns -e->code, so that `return err_wrap(e, ...)` works.
 * With e == NULL it returns -ERR_IO: use it only where e was passed down. */
int err_wrap(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* Sets the next step for the user (a command, a YAML rule); may hold newlines. Returns -e->code. */
int err_hint(struct err *e, const char *fmt, ...) _printf_(2, 3);

/*
 * No compiler can see that these four never return 0, so it would warn of outputs left unset on a
 * path that does not exist. UBSan traps if one ever does.
 */
static inline int err_negative(int r)
{
	if (r >= 0) __builtin_unreachable();
	return r;
}
#define err_set(...) err_negative(err_set(__VA_ARGS__))
#define err_errno(...) err_negative(err_errno(__VA_ARGS__))
#define err_wrap(...) err_negative(err_wrap(__VA_ARGS__))
#define err_hint(...) err_negative(err_hint(__VA_ARGS__))

/* hint if set, else the code's advice, else NULL. */
const char *err_advice(const struct err *e);

#endif
