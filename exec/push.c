#include "exec/push.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MARK "podsnap-push: "
#define WATCHDOG_S "20" /* a push that stands is over after that */

/*
 * For dash, bash and busybox ash. Arguments: size, random name, `uname -m` that the probe is for,
 * seconds without a byte after which the push is given up.
 *
 * - The file is made with noclobber (O_EXCL): in a shared /tmp its name may be waiting for us. Its
 *   name tells the probe that it may unlink itself.
 * - A place is tried by running a script there, and by filling it: a tmpfs may be small or noexec.
 *   127 is a script whose /bin/sh does not exist, which is no fault of the place.
 * - Where the client or the container runtime dies, stdin may never end, and no signal comes: the
 *   watchdog ends a push in which nothing moves. It must not hold stdout, or the exec would not end
 *   before it does. If the shell was killed meanwhile, its number may be somebody else's: the time
 *   since when it runs tells.
 * - Every process here is waited for: an orphan would become a zombie of the container's process 1,
 *   which is the target and need not reap what it did not start.
 * - Where no more processes are allowed the shell ends at its next fork, in a trap, too. So `take`
 *   is ended first, which needs none, and makes room for the removal of the file.
 * - A subshell loses a signal that comes before it has dropped its parent's traps. So none is sent
 *   to one that could be lost: `take` is ended by SIGKILL, and the watchdog, which has a child of
 *   its own, ends by itself as soon as the file is complete or gone.
 * - The file is opened by the shell itself, so that `take` cannot make it anew after its removal.
 * - `take` runs in the background, so that the shell can act on signals; a background process has
 *   /dev/null as its stdin, hence descriptor 3.
 * - The probe is not exec'ed: after it, however it ends, the shell removes the file.
 */
static const char script[] =
    "umask 077\n"
    "n=$1 m=$3 g=$4 f='' h='' w='' why=''\n"
    "say() { echo \"podsnap-push: $*\" >&2; }\n"
    "die() { say \"error $*\"; exit 125; }\n"
    "clean() {\n"
    " trap '' HUP INT TERM\n"
    " [ -z \"$h\" ] || { kill -9 \"$h\"; wait \"$h\"; }\n"
    " [ -z \"$f\" ] || rm -f \"$f\"\n"
    " [ -z \"$w\" ] || wait \"$w\"\n"
    "}\n"
    "trap 'clean 2>/dev/null' EXIT\n"
    "trap 'exit 143' HUP INT TERM\n"
    "trap '' PIPE\n"
    "u=$(uname -m 2>/dev/null)\n"
    "[ -z \"$u\" ] || [ -z \"$m\" ] || [ \"$u\" = \"$m\" ] ||"
    " die \"the node's CPU is $u, but the probe is for $m\"\n"
    "if head -c 1 </dev/zero >/dev/null 2>&1; then t='head'\n"
    "elif dd bs=1 count=1 </dev/zero >/dev/null 2>&1; then t='dd'\n"
    "else die 'the image has neither head -c nor dd'; fi\n"
    "take() { if [ $t = head ]; then exec head -c \"$n\"; else exec dd bs=1 count=\"$n\"; fi; }\n"
    "for d in " PUSH_PLACES "; do\n"
    " [ -n \"$d\" ] || continue\n"
    " c=$d/.podsnap-$2\n"
    " if ! o=$( (set -C; : >\"$c\") 2>&1 ); then why=\"$why, $d: ${o##*: }\"; continue; fi\n"
    " f=$c\n"
    " if { echo '#!/bin/sh'; echo exit 7; } >\"$f\" && chmod 700 \"$f\"; then\n"
    "  \"$f\" </dev/null >/dev/null; r=$?\n"
    "  if [ $r != 7 ] && [ $r != 127 ]; then why=\"$why, $d: may not run programs\"\n"
    "  elif [ $t = head ] && ! (take </dev/zero >\"$f\"); then why=\"$why, $d: no $n bytes free\"\n"
    "  else break; fi\n"
    " else why=\"$why, $d: write or chmod failed\"; fi 2>/dev/null\n"
    " rm -f \"$f\"; f=''\n"
    "done\n"
    "[ -n \"$f\" ] || die \"no place to run the probe from: ${why#, }\"\n"
    "exec 3<&0 4>\"$f\"\n"
    "take <&3 >&4 2>/dev/null &\n"
    "h=$!\n"
    "exec 3<&- 4>&-\n"
    "since() { read -r x </proc/$$/stat && set -- $x && shift 21 && echo \"$1\"; }\n"
    "b=$(since 2>/dev/null)\n"
    "(\n"
    " trap - EXIT HUP INT TERM\n"
    " i=0 p='' s=.1 k=10\n"
    " sleep $s || s=1 k=1\n"
    " while q=$(wc -c <\"$f\") && [ \"$q\" -lt \"$n\" ]; do\n"
    "  if [ \"$q\" = \"$p\" ]; then i=$((i + 1)); else i=0 p=$q; fi\n"
    "  if [ $i -ge $((g * k)) ]; then\n"
    "   rm -f \"$f\"\n"
    "   [ \"$(since)\" != \"$b\" ] || kill $$\n"
    "   exit\n"
    "  fi\n"
    "  sleep $s\n"
    " done\n"
    ") </dev/null >/dev/null 2>&1 &\n"
    "w=$!\n"
    "say ready\n"
    "wait $h\n"
    "h=''\n"
    "if s=$(wc -c <\"$f\" 2>/dev/null) && [ \"$s\" -ne \"$n\" ]; then\n"
    " die \"only $s of the probe's $n bytes arrived\"\n"
    "fi\n"
    "\"$f\" serve\n"
    "r=$?\n"
    "say \"exit $r\"\n"
    "exit $r\n";

static const char *machine_name(uint16_t e_machine)
{
	switch (e_machine) {
	case EM_X86_64:
		return "x86_64";
	case EM_AARCH64:
		return "aarch64";
	default:
		return "";
	}
}

uint16_t push_e_machine(const struct push *p)
{
	if (p->probe_len < 20 || memcmp(p->probe, ELFMAG, SELFMAG) != 0) return 0;
	return (uint16_t)(p->probe[18] | p->probe[19] << 8);
}

int push_init(struct push *p, const void *probe, size_t len, struct err *e)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, "no random numbers");
	*p = (struct push){.probe = probe, .probe_len = len};
	snprintf(p->size, sizeof(p->size), "%zu", len);
	snprintf(p->name, sizeof(p->name), "%016llx", (unsigned long long)random);
	p->command[0] = "sh";
	p->command[1] = "-c";
	p->command[2] = script;
	p->command[3] = "podsnap";
	p->command[4] = p->size;
	p->command[5] = p->name;
	p->command[6] = machine_name(push_e_machine(p));
	p->command[7] = WATCHDOG_S;
	p->command_count = PUSH_ARGUMENTS;
	return 0;
}

void push_init_installed(struct push *p, const void *probe, size_t len, const char *program)
{
	*p = (struct push){
	    .state = PUSH_SENT,
	    .probe = probe,
	    .probe_len = len,
	    .sent = len,
	    .command = {program, "serve"},
	    .command_count = 2,
	};
}

static void keep_text(struct push *p, const char *text, size_t len)
{
	for (size_t i = 0; i < len && p->text_len < PUSH_TEXT_MAX; i++) {
		unsigned char c = (unsigned char)text[i];

		p->text[p->text_len++] = (c < ' ' && c != '\n') || c == 0x7f ? ' ' : (char)c;
	}
	p->text[p->text_len] = '\0';
}

static void take_line(struct push *p)
{
	const char *line = p->line;

	p->line[p->line_len] = '\0';
	p->line_len = 0;
	if (strncmp(line, MARK, strlen(MARK)) != 0) {
		keep_text(p, line, strlen(line));
		keep_text(p, "\n", 1);
		return;
	}
	line += strlen(MARK);
	if (strcmp(line, "ready") == 0 && p->state == PUSH_PREPARING) {
		p->state = PUSH_SENDING;
	} else if (strncmp(line, "error ", 6) == 0 && p->state < PUSH_FAILED) {
		p->state = PUSH_FAILED;
		snprintf(p->reason, sizeof(p->reason), "%s", line + 6);
	} else if (strncmp(line, "exit ", 5) == 0 && p->state == PUSH_SENT) {
		p->exit_code = (int)strtol(line + 5, NULL, 10);
		p->state = PUSH_EXITED;
	}
}

void push_stderr(struct push *p, const void *data, size_t len)
{
	const char *text = data;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n' || p->line_len == sizeof(p->line) - 1) take_line(p);
		if (c == '\n') continue;
		p->line[p->line_len++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
}

size_t push_output(const struct push *p, const void **ret)
{
	if (p->state != PUSH_SENDING) return 0;
	*ret = p->probe + p->sent;
	return p->probe_len - p->sent;
}

void push_written(struct push *p, size_t len)
{
	p->sent += MIN(len, p->probe_len - p->sent);
	if (p->state == PUSH_SENDING && p->sent == p->probe_len) p->state = PUSH_SENT;
}

int push_error(const struct push *p, struct err *e)
{
	if (strncmp(p->reason, "only ", 5) == 0)
		return err_set(e, ERR_TRUNCATED, "pushing the probe: %s", p->reason);
	err_set(e, ERR_UNSUPPORTED, "pushing the probe: %s", p->reason);
	if (strncmp(p->reason, "no place", 8) == 0)
		return err_hint(e,
				"give the container a place where files may be written and run, "
				"for instance an emptyDir volume mounted at /tmp, or enter by an "
				"ephemeral container: --probe-image");
	return -ERR_UNSUPPORTED;
}
