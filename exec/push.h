/*
 * Pushing the probe: the shell script that takes it from stdin and runs it, and the client's side
 * of the talk with that script, as a state machine without I/O.
 *
 * The script says what it does on stderr, in lines that start with "podsnap-push: " (ready, error
 * TEXT, exit N), and nothing on stdout, which is the probe's. The client sends the probe's bytes
 * after "ready", and nothing behind them before the probe has spoken: `head` may read ahead.
 */
#ifndef EXEC_PUSH_H
#define EXEC_PUSH_H

#include "base/buf.h"

/* Where the probe's file may be put, as words of a shell: the first that works is taken. */
#define PUSH_PLACES "\"$TMPDIR\" /tmp /var/tmp /dev/shm /run /dev ."

enum { PUSH_ARGUMENTS = 8, PUSH_TEXT_MAX = 4 << 10 };

enum push_state {
	PUSH_PREPARING, /* the script looks for a place */
	PUSH_SENDING,   /* push_output has bytes to send */
	PUSH_SENT,
	PUSH_FAILED, /* error: push_error; nothing runs */
	PUSH_EXITED, /* the probe ended: exit_code */
};

struct push {
	enum push_state state;
	const uint8_t *probe; /* borrowed */
	size_t probe_len, sent;
	int exit_code;    /* of the probe, meaningful when PUSH_EXITED */
	char reason[600]; /* of a failure */
	char line[600];   /* that is arriving on stderr */
	size_t line_len;
	/* What else came on stderr: the probe's crash text. Its first PUSH_TEXT_MAX bytes, no
	 * control characters but line breaks. */
	char text[PUSH_TEXT_MAX + 1];
	size_t text_len;
	/* The command: sh -c SCRIPT podsnap SIZE NAME MACHINE WATCHDOG_SECONDS, or PROGRAM serve */
	const char *command[PUSH_ARGUMENTS];
	size_t command_count;
	char size[24], name[24];
};

/* probe is borrowed. -ERR_IO without random numbers. */
int push_init(struct push *p, const void *probe, size_t len, struct err *e);
/* Instead, where the container has the probe already: program is its path there, borrowed. Nothing
 * is sent, and the script is not there to say how the probe ended. */
void push_init_installed(struct push *p, const void *probe, size_t len, const char *program);
/* The ELF machine of the probe; 0 if it is no ELF file. */
uint16_t push_e_machine(const struct push *p);
/* Bytes that came on stderr. */
void push_stderr(struct push *p, const void *data, size_t len);
/* Bytes to send now, and how many of them were. */
size_t push_output(const struct push *p, const void **ret);
void push_written(struct push *p, size_t len);
/* The failure that state PUSH_FAILED is, with what to do about it. Returns the negative code. */
int push_error(const struct push *p, struct err *e);

#endif
