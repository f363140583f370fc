/* Notes as fs/binfmt_elf.c of the kernel writes them, each padded to 4 bytes. */
#include "dumpers/core/core_internal.h"
#include "dumpers/snapshot/podsnap_note.h"
#include "dumpers/snapshot/regs.h"

#include <string.h>

static const char core_name[] = "CORE", linux_name[] = "LINUX";

static void put_u32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, sizeof(value));
}

static void put_u64(uint8_t *p, uint64_t value)
{
	memcpy(p, &value, sizeof(value));
}

static void put_note_header(struct core_out *out, const char *name, uint32_t type, size_t len)
{
	Elf64_Nhdr h = {
	    .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)len, .n_type = type};

	core_put(out, &h, sizeof(h));
	core_put(out, name, h.n_namesz);
	core_put_zeros(out, align_up(h.n_namesz, 4) - h.n_namesz);
}

static void put_note(struct core_out *out, const char *name, uint32_t type, const void *data,
		     size_t len)
{
	put_note_header(out, name, type, len);
	core_put(out, data, len);
	core_put_zeros(out, align_up(len, 4) - len);
}

static void put_prpsinfo(const struct core *c, struct core_out *out)
{
	static const char states[] = "RSDTZW";
	const struct snapshot_identity *id = &c->s->id;
	const char *state = id->state ? strchr(states, id->state) : NULL;
	uint8_t d[PRPSINFO_SIZE] = {0};

	d[PRPSINFO_STATE] = state ? (uint8_t)(state - states) : 0;
	d[PRPSINFO_SNAME] = (uint8_t)(id->state ? id->state : '?');
	d[PRPSINFO_ZOMB] = id->state == 'Z';
	d[PRPSINFO_NICE] = (uint8_t)id->nice;
	put_u32(d + PRPSINFO_UID, id->uid);
	put_u32(d + PRPSINFO_GID, id->gid);
	put_u32(d + PRPSINFO_PID, (uint32_t)id->pid);
	put_u32(d + PRPSINFO_PPID, (uint32_t)id->ppid);
	put_u32(d + PRPSINFO_PGRP, (uint32_t)id->pgrp);
	put_u32(d + PRPSINFO_SID, (uint32_t)id->sid);
	memcpy(d + PRPSINFO_FNAME, id->comm, strnlen(id->comm, 15));
	memcpy(d + PRPSINFO_PSARGS, id->args, strnlen(id->args, 79));
	put_note(out, core_name, NT_PRPSINFO, d, sizeof(d));
}

/* struct timeval */
static void put_ticks(uint8_t *p, uint64_t ticks)
{
	put_u64(p, ticks / TICKS_PER_S);
	put_u64(p + 8, ticks % TICKS_PER_S * (1000000 / TICKS_PER_S));
}

/* A thread that did not stop has its pc and sp only; the rest is zeros. */
static void synthesise_regs(const struct regs_layout *layout, const struct snapshot_thread *t,
			    uint8_t *regs)
{
	put_u64(regs + layout->pc, t->pc);
	put_u64(regs + layout->sp, t->sp);
	put_u64(regs + layout->syscall_nr, t->in_syscall ? t->syscall_nr : UINT64_MAX);
}

static void put_prstatus(const struct core *c, const struct snapshot_thread *t,
			 struct core_out *out)
{
	const struct regs_layout *layout = regs_layout(c->s->e_machine);
	uint8_t d[PRSTATUS_REGS + SNAPSHOT_GREGS_MAX + PRSTATUS_TAIL] = {0};

	put_u32(d + PRSTATUS_SIGNO, (uint32_t)t->cursig);
	d[PRSTATUS_CURSIG] = (uint8_t)t->cursig;
	put_u64(d + PRSTATUS_SIGPEND, t->sigpend);
	put_u64(d + PRSTATUS_SIGHOLD, t->sighold);
	put_u32(d + PRSTATUS_PID, (uint32_t)t->tid);
	put_u32(d + PRSTATUS_PPID, (uint32_t)c->s->id.ppid);
	put_u32(d + PRSTATUS_PGRP, (uint32_t)c->s->id.pgrp);
	put_u32(d + PRSTATUS_SID, (uint32_t)c->s->id.sid);
	put_ticks(d + PRSTATUS_UTIME, t->utime_ticks);
	put_ticks(d + PRSTATUS_STIME, t->stime_ticks);
	if (t->gregs_len == layout->gregs_len)
		memcpy(d + PRSTATUS_REGS, t->gregs, t->gregs_len);
	else
		synthesise_regs(layout, t, d + PRSTATUS_REGS);
	put_u32(d + PRSTATUS_REGS + layout->gregs_len, t->fpregs_len > 0);
	put_note(out, core_name, NT_PRSTATUS, d, PRSTATUS_REGS + layout->gregs_len + PRSTATUS_TAIL);
}

static void put_thread(const struct core *c, const struct snapshot_thread *t, struct core_out *out)
{
	put_prstatus(c, t, out);
	if (t->fpregs_len) put_note(out, core_name, NT_FPREGSET, t->fpregs, t->fpregs_len);
	if (t->xstate_len) put_note(out, linux_name, NT_X86_XSTATE, t->xstate, t->xstate_len);
	put_note(out, core_name, NT_SIGINFO, t->siginfo, sizeof(t->siginfo));
}

/* Memory that only looks like a file is in the core; naming it makes gdb complain that it cannot be
 * opened. */
static bool is_file(const struct map *map)
{
	return map->inode && map->name[0] == '/' && strncmp(map->name, "/memfd:", 7) != 0 &&
	       strncmp(map->name, "/SYSV", 5) != 0 && strcmp(map->name, "/dev/zero") != 0 &&
	       strncmp(map->name, "/anon_hugepage", 14) != 0;
}

static const char *deleted_suffix(const struct map *map)
{
	return map->deleted ? " (deleted)" : "";
}

/* count, page size, {start, end, offset in pages} each, then the names. */
static void put_file_note(const struct core *c, struct core_out *out)
{
	const struct maps *maps = &c->s->maps;
	uint64_t head[2] = {0, CORE_PAGE};
	size_t len = sizeof(head);

	for (size_t i = 0; i < maps->count; i++) {
		if (!is_file(&maps->v[i])) continue;
		head[0]++;
		len += 24 + strlen(maps->v[i].name) + strlen(deleted_suffix(&maps->v[i])) + 1;
	}
	put_note_header(out, core_name, NT_FILE, len);
	core_put(out, head, sizeof(head));
	for (size_t i = 0; i < maps->count; i++) {
		const struct map *map = &maps->v[i];
		uint64_t entry[3] = {map->start, map->end, map->offset / CORE_PAGE};

		if (is_file(map)) core_put(out, entry, sizeof(entry));
	}
	for (size_t i = 0; i < maps->count; i++) {
		const char *suffix = deleted_suffix(&maps->v[i]);

		if (!is_file(&maps->v[i])) continue;
		core_put(out, maps->v[i].name, strlen(maps->v[i].name));
		core_put(out, suffix, strlen(suffix) + 1);
	}
	core_put_zeros(out, align_up(len, 4) - len);
}

static void put_ranges(struct core_out *out, uint32_t type, const struct range_list *list)
{
	if (list->count)
		put_note(out, PODSNAP_NOTE_NAME, type, list->ranges,
			 list->count * sizeof(*list->ranges));
}

static void put_text(struct core_out *out, uint32_t type, const struct buf *text)
{
	put_note(out, PODSNAP_NOTE_NAME, type, text->data ? text->data : "", text->len);
}

void core_put_notes(struct core *c, struct core_out *out)
{
	put_prpsinfo(c, out);
	if (c->s->auxv_len) put_note(out, core_name, NT_AUXV, c->s->auxv, c->s->auxv_len);
	put_file_note(c, out);
	if (c->s->thread_count) put_thread(c, &c->s->threads[c->first_thread], out);
	for (size_t i = 0; i < c->s->thread_count; i++)
		if (i != c->first_thread) put_thread(c, &c->s->threads[i], out);
	put_ranges(out, NOTE_ZERO, &c->zero);
	put_ranges(out, NOTE_NOT_CAPTURED, &c->not_captured);
	put_ranges(out, NOTE_FILE_PAGES, &c->file);
	put_text(out, NOTE_MAPS, &c->maps);
	put_text(out, NOTE_THREADS, &c->threads);
	put_text(out, NOTE_INFO, &c->info);
}

int core_prepare_notes(struct core *c, const char *version, struct err *e)
{
	int r;

	if (!regs_layout(c->s->e_machine))
		return err_set(e, ERR_UNSUPPORTED, "no core can be written for ELF machine %u",
			       c->s->e_machine);
	for (size_t i = c->s->thread_count; i-- > 0;)
		if (c->s->threads[i].cursig) c->first_thread = i;
	buf_init(&c->maps, MAPS_TEXT_MAX);
	buf_init(&c->threads, NOTE_THREADS_TEXT_MAX);
	buf_init(&c->info, NOTE_INFO_TEXT_MAX);
	r = maps_format(&c->s->maps, &c->maps, e);
	if (!r) r = podsnap_note_threads(c->s, &c->threads, e);
	if (!r) r = podsnap_note_info(c->s, version, &c->info, e);
	return r;
}
