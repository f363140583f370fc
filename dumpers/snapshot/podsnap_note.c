#include "dumpers/snapshot/podsnap_note.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* --- writing --- */

static int write_thread(const struct snapshot_thread *t, struct buf *ret, struct err *e)
{
	char state[2] = {t->state, '\0'};
	struct json j;

	json_init(&j, ret, false);
	json_object(&j);
	json_kv_int(&j, "tid", t->tid);
	json_kv_string(&j, "name", t->name);
	json_kv_string(&j, "state", state);
	json_kv_string(&j, "wchan", t->wchan);
	if (t->in_syscall) json_kv_uint(&j, "syscall", t->syscall_nr);
	json_kv_uint(&j, "utime", t->utime_ticks);
	json_kv_uint(&j, "stime", t->stime_ticks);
	if (!t->gregs_len) {
		json_kv_bool(&j, "regs", false);
		json_kv_hex(&j, "pc", t->pc);
		json_kv_hex(&j, "sp", t->sp);
	}
	json_object_end(&j);
	return json_finish(&j, e);
}

int podsnap_note_threads(const struct snapshot *s, struct buf *ret, struct err *e)
{
	for (size_t i = 0; i < s->thread_count; i++) {
		int r = write_thread(&s->threads[i], ret, e);

		if (r) return err_wrap(e, "the core's note of threads");
	}
	return 0;
}

int podsnap_note_info(const struct snapshot *s, const char *version, struct buf *ret, struct err *e)
{
	struct json j;

	json_init(&j, ret, false);
	json_object(&j);
	json_kv_string(&j, "consistency", snapshot_consistency_name(s->consistency));
	json_kv_hex(&j, "taken", s->taken_ns);
	json_kv_string(&j, "exe", s->id.exe);
	json_kv_string(&j, "version", version ? version : "");
	json_object_end(&j);
	return json_finish(&j, e);
}

/* --- reading: objects without nesting, one after another --- */

struct cursor {
	const char *at, *end;
};

struct field {
	char key[32];
	char text[1024]; /* strings unescaped, NUL-terminated, cut; other values as written */
};

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && strchr(" \t\r\n", *c->at) && *c->at)
		c->at++;
}

static bool take(struct cursor *c, char want)
{
	skip_blanks(c);
	if (c->at == c->end || *c->at != want) return false;
	c->at++;
	return true;
}

static void put(char *out, size_t size, size_t *len, char c)
{
	if (*len + 1 < size) out[(*len)++] = c;
}

/* As UTF-8. The writer escapes control characters only, the last of which is U+009F. */
static void put_code(char *out, size_t size, size_t *len, unsigned code)
{
	if (code >= 0x800) {
		put(out, size, len, '?');
	} else if (code >= 0x80) {
		put(out, size, len, (char)(0xc0 | code >> 6));
		put(out, size, len, (char)(0x80 | (code & 0x3f)));
	} else {
		put(out, size, len, (char)code);
	}
}

static bool take_hex4(struct cursor *c, unsigned *ret)
{
	*ret = 0;
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d;

		if (c->at == c->end || !*c->at) return false;
		d = strchr(digits, *c->at >= 'A' && *c->at <= 'F' ? *c->at + 32 : *c->at);
		if (!d) return false;
		*ret = *ret << 4 | (unsigned)(d - digits);
		c->at++;
	}
	return true;
}

static bool take_escape(struct cursor *c, char *out, size_t size, size_t *len)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *known;
	unsigned code;

	if (c->at == c->end || !*c->at) return false;
	if (*c->at == 'u') {
		c->at++;
		if (!take_hex4(c, &code)) return false;
		put_code(out, size, len, code);
		return true;
	}
	known = strchr(names, *c->at++);
	if (!known) return false;
	put(out, size, len, values[known - names]);
	return true;
}

static bool take_string(struct cursor *c, char *out, size_t size)
{
	size_t len = 0;

	if (!take(c, '"')) return false;
	while (c->at < c->end && *c->at != '"') {
		char ch = *c->at++;

		if (ch != '\\')
			put(out, size, &len, ch);
		else if (!take_escape(c, out, size, &len))
			return false;
	}
	if (c->at == c->end) return false;
	c->at++;
	out[len] = '\0';
	return true;
}

static bool take_word(struct cursor *c, char *out, size_t size)
{
	size_t len = 0;

	while (c->at < c->end && *c->at && strchr("+-.0123456789Eaeflnrstu", *c->at))
		put(out, size, &len, *c->at++);
	out[len] = '\0';
	return len > 0;
}

/* The next field; false at the object's end or a fault, which *ok tells apart. */
static bool next_field(struct cursor *c, bool first, struct field *f, bool *ok)
{
	*ok = true;
	if (take(c, '}')) return false;
	*ok = (first || take(c, ',')) && take_string(c, f->key, sizeof(f->key)) && take(c, ':');
	if (!*ok) return false;
	skip_blanks(c);
	if (c->at < c->end && *c->at == '"')
		*ok = take_string(c, f->text, sizeof(f->text));
	else
		*ok = take_word(c, f->text, sizeof(f->text));
	return *ok;
}

static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = MIN(strlen(text), size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static void set_thread_field(struct snapshot_thread *t, const struct field *f)
{
	uint64_t number = strtoull(f->text, NULL, 0);

	if (strcmp(f->key, "name") == 0) {
		copy_text(t->name, sizeof(t->name), f->text);
	} else if (strcmp(f->key, "state") == 0) {
		t->state = f->text[0] >= ' ' && f->text[0] <= '~' ? f->text[0] : '?';
	} else if (strcmp(f->key, "wchan") == 0) {
		copy_text(t->wchan, sizeof(t->wchan), f->text);
	} else if (strcmp(f->key, "syscall") == 0) {
		t->in_syscall = true;
		t->syscall_nr = number;
	} else if (strcmp(f->key, "utime") == 0) {
		t->utime_ticks = number;
	} else if (strcmp(f->key, "stime") == 0) {
		t->stime_ticks = number;
	} else if (strcmp(f->key, "pc") == 0) {
		t->pc = number;
	} else if (strcmp(f->key, "sp") == 0) {
		t->sp = number;
	} else if (strcmp(f->key, "regs") == 0 && strcmp(f->text, "false") == 0) {
		t->gregs_len = 0;
	}
}

static struct snapshot_thread *thread_of(struct snapshot *s, const struct field *f, size_t hint)
{
	pid_t tid = (pid_t)strtol(f->text, NULL, 10);

	/* In the writer's order, so that 100,000 threads are not searched for one by one. */
	if (hint < s->thread_count && s->threads[hint].tid == tid) return &s->threads[hint];
	return (struct snapshot_thread *)(uintptr_t)snapshot_find_thread(s, tid);
}

static bool parse_thread(struct snapshot *s, struct cursor *c, size_t hint)
{
	struct snapshot_thread *t = NULL;
	struct field f;
	bool ok;

	if (!take(c, '{')) return false;
	for (bool first = true; next_field(c, first, &f, &ok); first = false) {
		if (first) {
			if (strcmp(f.key, "tid") != 0) return false;
			t = thread_of(s, &f, hint);
		} else if (t) {
			set_thread_field(t, &f);
		}
	}
	return ok;
}

int podsnap_parse_threads(struct snapshot *s, const char *text, size_t len, struct err *e)
{
	struct cursor c = {text, text + len};

	for (size_t line = 0; skip_blanks(&c), c.at < c.end; line++) {
		if (line >= SNAPSHOT_THREADS_MAX)
			return err_set(e, ERR_LIMIT, "the core's note of threads: too many");
		if (!parse_thread(s, &c, line))
			return err_set(e, ERR_CORRUPT, "the core's note of threads: line %zu",
				       line + 1);
	}
	return 0;
}

int podsnap_parse_info(struct snapshot *s, const char *text, size_t len, struct err *e)
{
	struct cursor c = {text, text + len};
	struct field f;
	bool ok = take(&c, '{');

	for (bool first = true; ok && next_field(&c, first, &f, &ok); first = false) {
		if (strcmp(f.key, "taken") == 0)
			s->taken_ns = strtoull(f.text, NULL, 0);
		else if (strcmp(f.key, "exe") == 0)
			copy_text(s->id.exe, sizeof(s->id.exe), f.text);
		else if (strcmp(f.key, "consistency") == 0 && strcmp(f.text, "running") == 0)
			s->consistency = CONSISTENCY_RUNNING;
	}
	return ok ? 0 : err_set(e, ERR_CORRUPT, "the core's INFO note is not what podsnap writes");
}

int podsnap_parse_ranges(const void *data, size_t len, struct range_list *ret, struct err *e)
{
	uint64_t last = 0;

	if (len % 16) return err_set(e, ERR_CORRUPT, "a core's note of ranges is %zu bytes", len);
	for (size_t at = 0; at < len; at += 16) {
		uint64_t pair[2];
		int r;

		memcpy(pair, (const uint8_t *)data + at, sizeof(pair));
		if (pair[0] < last || pair[1] < pair[0])
			return err_set(e, ERR_CORRUPT, "a core's note of ranges is out of order");
		last = pair[1];
		r = range_list_add(ret, pair[0], pair[1], e);
		if (r) return r;
	}
	return 0;
}
