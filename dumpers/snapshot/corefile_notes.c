/* Notes of a core, as fs/binfmt_elf.c, gdb's gcore and createdump write them. */
#include "dumpers/snapshot/corefile_internal.h"
#include "dumpers/snapshot/podsnap_note.h"

#include <stdlib.h>
#include <string.h>

struct note {
	uint32_t type;
	char name[CORE_NOTE_NAME_MAX]; /* NUL-terminated */
	uint64_t offset;               /* of the description in the file */
	uint32_t len;
};

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The whole description in a new block, NUL-terminated. */
static int read_whole(struct corefile *c, const struct note *n, size_t max, char **ret,
		      struct err *e)
{
	_cleanup_free_ char *data = NULL;
	int r;

	if (n->len > max)
		return err_set(e, ERR_LIMIT, "core file: a note %s of %u bytes", n->name, n->len);
	data = malloc((size_t)n->len + 1);
	if (!data) return err_set(e, ERR_NO_MEMORY, "core file: a note of %u bytes", n->len);
	r = blob_read_at(c->blob, n->offset, data, n->len, e);
	if (r) return r;
	data[n->len] = '\0';
	*ret = STEAL_PTR(data);
	return 0;
}

/* The description's first bytes into a fixed place; *ret_len is what was there, at most size. */
static int read_some(struct corefile *c, const struct note *n, void *data, size_t size,
		     size_t *ret_len, struct err *e)
{
	size_t len = MIN((size_t)n->len, size);
	int r = blob_read_at(c->blob, n->offset, data, len, e);

	if (!r) *ret_len = len;
	return r;
}

/* struct timeval in the layout of 64-bit CPUs. */
static uint64_t ticks_of(const uint8_t *timeval)
{
	uint64_t s = get_u64(timeval), us = get_u64(timeval + 8);

	if (s > UINT64_MAX / TICKS_PER_S / 2 || us >= 1000000) return 0;
	return s * TICKS_PER_S + us * TICKS_PER_S / 1000000;
}

static struct snapshot_thread *new_thread(struct corefile *c, struct err *e)
{
	struct snapshot *s = &c->base;

	if (s->thread_count == SNAPSHOT_THREADS_MAX) {
		err_set(e, ERR_LIMIT, "core file: more than %d threads", SNAPSHOT_THREADS_MAX);
		return NULL;
	}
	if (s->thread_count == c->thread_cap) {
		size_t cap = c->thread_cap ? c->thread_cap * 2 : 16;
		struct snapshot_thread *grown = realloc(s->threads, cap * sizeof(*grown));

		if (!grown) {
			err_set(e, ERR_NO_MEMORY, "core file: %zu threads", cap);
			return NULL;
		}
		s->threads = grown;
		c->thread_cap = cap;
	}
	memset(&s->threads[s->thread_count], 0, sizeof(*s->threads));
	return &s->threads[s->thread_count++];
}

/* Starts a thread; the notes up to the next one are its own. */
static int read_prstatus(struct corefile *c, const struct note *n, struct err *e)
{
	const struct regs_layout *layout = regs_layout(c->base.e_machine);
	uint8_t data[PRSTATUS_REGS + SNAPSHOT_GREGS_MAX];
	struct snapshot_thread *t;
	size_t len;
	int r = read_some(c, n, data, sizeof(data), &len, e);

	if (r) return r;
	if (len < PRSTATUS_REGS + layout->gregs_len)
		return err_set(e, ERR_CORRUPT, "core file: a PRSTATUS note of %zu bytes", len);
	t = new_thread(c, e);
	if (!t) return -(e ? e->code : ERR_NO_MEMORY);
	t->state = '?';
	t->tid = (pid_t)get_u32(data + PRSTATUS_PID);
	t->cursig = (int16_t)(data[PRSTATUS_CURSIG] | data[PRSTATUS_CURSIG + 1] << 8);
	t->sigpend = get_u64(data + PRSTATUS_SIGPEND);
	t->sighold = get_u64(data + PRSTATUS_SIGHOLD);
	t->utime_ticks = ticks_of(data + PRSTATUS_UTIME);
	t->stime_ticks = ticks_of(data + PRSTATUS_STIME);
	t->gregs_len = layout->gregs_len;
	memcpy(t->gregs, data + PRSTATUS_REGS, t->gregs_len);
	regs_derive(layout, t);
	return 0;
}

static int read_prpsinfo(struct corefile *c, const struct note *n, struct err *e)
{
	struct snapshot_identity *id = &c->base.id;
	uint8_t d[PRPSINFO_SIZE];
	size_t len;
	int r = read_some(c, n, d, sizeof(d), &len, e);

	if (r) return r;
	if (len < sizeof(d)) return 0;
	id->state =
	    d[PRPSINFO_SNAME] >= 'A' && d[PRPSINFO_SNAME] <= 'z' ? (char)d[PRPSINFO_SNAME] : '?';
	id->nice = (int8_t)d[PRPSINFO_NICE];
	id->uid = get_u32(d + PRPSINFO_UID);
	id->gid = get_u32(d + PRPSINFO_GID);
	id->pid = (pid_t)get_u32(d + PRPSINFO_PID);
	id->ppid = (pid_t)get_u32(d + PRPSINFO_PPID);
	id->pgrp = (pid_t)get_u32(d + PRPSINFO_PGRP);
	id->sid = (pid_t)get_u32(d + PRPSINFO_SID);
	memcpy(id->comm, d + PRPSINFO_FNAME, sizeof(id->comm) - 1);
	memcpy(id->args, d + PRPSINFO_PSARGS, sizeof(id->args) - 1);
	/* The kernel leaves the space after the last argument. */
	for (size_t i = strlen(id->args); i > 0 && id->args[i - 1] == ' '; i--)
		id->args[i - 1] = '\0';
	return 0;
}

static int read_xstate(struct corefile *c, const struct note *n, struct snapshot_thread *t,
		       struct err *e)
{
	char *data = NULL;
	int r = read_whole(c, n, SNAPSHOT_XSTATE_MAX, &data, e);

	if (r) return r;
	free(t->xstate);
	t->xstate = (uint8_t *)data;
	t->xstate_len = n->len;
	return 0;
}

static int read_siginfo(struct corefile *c, const struct note *n, struct snapshot_thread *t,
			struct err *e)
{
	size_t len;

	return read_some(c, n, t->siginfo, sizeof(t->siginfo), &len, e);
}

static int compare_files(const void *a, const void *b)
{
	const struct core_file_entry *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* count, page size, count times {start, end, offset in pages}, then the names. */
static int read_files(struct corefile *c, const struct note *n, struct err *e)
{
	uint64_t count, page;
	const char *name, *end;
	const uint8_t *d;
	int r;

	if (c->file_note || n->len < 16) return 0;
	r = read_whole(c, n, CORE_FILE_NOTE_MAX, &c->file_note, e);
	if (r) return r;
	d = (const uint8_t *)c->file_note;
	end = c->file_note + n->len;
	count = get_u64(d);
	page = get_u64(d + 8);
	if (count > CORE_FILES_MAX || count > (n->len - 16) / 24)
		return err_set(e, ERR_CORRUPT, "core file: %llu mapped files in a note of %u bytes",
			       (unsigned long long)count, n->len);
	c->files = calloc(count + 1, sizeof(*c->files));
	if (!c->files) return err_set(e, ERR_NO_MEMORY, "core file: mapped files");
	name = c->file_note + 16 + 24 * count;
	for (uint64_t i = 0; i < count && name < end; i++) {
		const uint8_t *entry = d + 16 + 24 * i;
		struct core_file_entry f = {.start = get_u64(entry), .end = get_u64(entry + 8)};

		f.name = name;
		name += strlen(name) + 1;
		if (f.start >= f.end || mul_overflows(get_u64(entry + 16), page, &f.offset))
			continue;
		c->files[c->file_count++] = f;
	}
	qsort(c->files, c->file_count, sizeof(*c->files), compare_files);
	return 0;
}

static int read_ranges(struct corefile *c, const struct note *n, struct range_list *list,
		       struct err *e)
{
	_cleanup_free_ char *data = NULL;
	int r = read_whole(c, n, (size_t)NOTE_RANGES_MAX * 16, &data, e);

	return r ? r : podsnap_parse_ranges(data, n->len, list, e);
}

static int read_text(struct corefile *c, const struct note *n, size_t max, char **text, size_t *len,
		     struct err *e)
{
	int r;

	if (*text) return 0;
	r = read_whole(c, n, max, text, e);
	if (!r) *len = n->len;
	return r;
}

static int read_podsnap(struct corefile *c, const struct note *n, struct err *e)
{
	c->ours = true;
	switch (n->type) {
	case NOTE_ZERO:
		return read_ranges(c, n, &c->zero, e);
	case NOTE_NOT_CAPTURED:
		return read_ranges(c, n, &c->not_captured, e);
	case NOTE_FILE_PAGES:
		return read_ranges(c, n, &c->file_pages, e);
	case NOTE_MAPS:
		return read_text(c, n, MAPS_TEXT_MAX, &c->maps_note, &c->maps_note_len, e);
	case NOTE_THREADS:
		return read_text(c, n, NOTE_THREADS_TEXT_MAX, &c->threads_note,
				 &c->threads_note_len, e);
	case NOTE_INFO:
		return read_text(c, n, NOTE_INFO_TEXT_MAX, &c->info_note, &c->info_note_len, e);
	default:
		return 0;
	}
}

/* Notes that belong to the thread whose PRSTATUS came last. */
static int read_thread_note(struct corefile *c, const struct note *n, struct err *e)
{
	struct snapshot_thread *t;

	if (!c->base.thread_count) return 0;
	t = &c->base.threads[c->base.thread_count - 1];
	switch (n->type) {
	case NT_FPREGSET:
		return read_some(c, n, t->fpregs, sizeof(t->fpregs), &t->fpregs_len, e);
	case NT_X86_XSTATE:
		return read_xstate(c, n, t, e);
	case NT_SIGINFO:
		return read_siginfo(c, n, t, e);
	default:
		return 0;
	}
}

static int read_note(struct corefile *c, const struct note *n, struct err *e)
{
	if (strcmp(n->name, PODSNAP_NOTE_NAME) == 0) return read_podsnap(c, n, e);
	if (strcmp(n->name, "CORE") != 0 && strcmp(n->name, "LINUX") != 0) return 0;
	switch (n->type) {
	case NT_PRSTATUS:
		return read_prstatus(c, n, e);
	case NT_PRPSINFO:
		return read_prpsinfo(c, n, e);
	case NT_AUXV:
		return read_some(c, n, c->base.auxv, sizeof(c->base.auxv), &c->base.auxv_len, e);
	case NT_FILE:
		return read_files(c, n, e);
	default:
		return read_thread_note(c, n, e);
	}
}

/* The note at *at; moves *at behind it. False at a fault: the rest of the segment is passed over.
 */
static bool next_note(struct corefile *c, uint64_t *at, uint64_t end, struct note *n)
{
	uint8_t head[sizeof(Elf64_Nhdr) + CORE_NOTE_NAME_MAX];
	size_t room = (size_t)MIN(end - *at, (uint64_t)sizeof(head));
	uint32_t name_len;

	memset(head, 0, sizeof(head));
	if (room < sizeof(Elf64_Nhdr) || blob_read_at(c->blob, *at, head, room, NULL) < 0)
		return false;
	name_len = get_u32(head);
	n->len = get_u32(head + 4);
	n->type = get_u32(head + 8);
	memset(n->name, 0, sizeof(n->name));
	if (name_len < CORE_NOTE_NAME_MAX) memcpy(n->name, head + 12, name_len);
	n->offset = *at + sizeof(Elf64_Nhdr) + align_up(name_len, 4);
	if (n->offset > end || n->len > end - n->offset) return false;
	*at = MIN(end, n->offset + align_up(n->len, 4));
	return true;
}

int corefile_read_notes(struct corefile *c, struct err *e)
{
	size_t count = 0;

	for (size_t i = 0; i < c->note_range_count; i++) {
		uint64_t at = c->note_ranges[i].start;
		struct note n;

		while (at < c->note_ranges[i].end && next_note(c, &at, c->note_ranges[i].end, &n)) {
			int r = read_note(c, &n, e);

			if (r) return r;
			if (++count > CORE_NOTES_MAX)
				return err_set(e, ERR_LIMIT, "core file: more than %d notes",
					       CORE_NOTES_MAX);
		}
	}
	if (!c->base.thread_count)
		return err_set(e, ERR_CORRUPT, "the core file names no threads (no PRSTATUS note)");
	return 0;
}
