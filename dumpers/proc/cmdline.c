#include "dumpers/proc/cmdline.h"

#include "base/secret.h"

#include <string.h>

void string_list_done(struct string_list *list)
{
	if (!list) return;
	free(list->v);
	free(list->storage);
	*list = (struct string_list){0};
}

static size_t count_strings(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t at = 0; at < len; n++)
		at += strnlen(text + at, len - at) + 1;
	return n;
}

/* Room for one pointer per string; the strings come into text, which list takes over. */
static int list_of(struct buf *text, struct string_list *list, struct err *e)
{
	size_t n = count_strings(text->data, text->len), at = 0;

	list->v = calloc(n + 1, sizeof(*list->v));
	list->storage = buf_steal(text);
	if (!list->v || !list->storage)
		return err_set(e, ERR_NO_MEMORY, "no memory for %zu strings", n);
	for (list->count = 0; list->count < n; list->count++) {
		list->v[list->count] = list->storage + at;
		at += strlen(list->storage + at) + 1;
	}
	return 0;
}

struct next_string {
	const char *at, *end;
};
static bool next_string(struct next_string *s, const char **ret, size_t *ret_len)
{
	if (s->at >= s->end) return false;
	*ret = s->at;
	*ret_len = strnlen(s->at, (size_t)(s->end - s->at));
	s->at += MIN(*ret_len + 1, (size_t)(s->end - s->at));
	return true;
}

/* An option, "--password", whose value is the next argument; or "" . */
static size_t option_name(const char *arg, size_t len, const char **ret)
{
	*ret = arg;
	if (len < 2 || arg[0] != '-' || memchr(arg, '=', len)) return 0;
	return len;
}

static int put_arg(const char *option, size_t option_len, const char *arg, size_t len,
		   struct buf *ret, struct err *e)
{
	const char *equals = memchr(arg, '=', len);
	size_t name_len = equals ? (size_t)(equals - arg) : 0;
	bool masked = false;
	int r;

	/* The name before '=' decides about the value behind it; it stays to be seen. */
	if (equals) {
		r = buf_append(ret, arg, name_len + 1, e);
		if (r < 0) return r;
		return secret_redact(arg, name_len, equals + 1, len - name_len - 1, ret, &masked,
				     e);
	}
	/* "--password --verbose": the next option is no value. */
	if (len > 0 && arg[0] == '-') option_len = 0;
	return secret_redact(option, option_len, arg, len, ret, &masked, e);
}

static int redact_args(const char *text, size_t len, struct buf *ret, struct err *e)
{
	struct next_string s = {text, text + len};
	const char *arg, *option = "";
	size_t arg_len, option_len = 0;

	while (next_string(&s, &arg, &arg_len)) {
		int r = put_arg(option, option_len, arg, arg_len, ret, e);

		if (r < 0) return r;
		r = buf_append(ret, "", 1, e);
		if (r < 0) return r;
		option_len = option_name(arg, arg_len, &option);
	}
	return 0;
}

/* Cuts a text after CMDLINE_COUNT_MAX strings; returns the bytes that stay. */
static size_t cap_strings(const char *text, size_t len, bool *ret_cut)
{
	struct next_string s = {text, text + len};
	const char *arg;
	size_t arg_len, n = 0;

	while (n < CMDLINE_COUNT_MAX && next_string(&s, &arg, &arg_len))
		n++;
	*ret_cut = s.at < s.end;
	return (size_t)(s.at - text);
}

/* The length without NULs at the end but one. */
static size_t drop_padding(const char *text, size_t len)
{
	while (len > 0 && text[len - 1] == '\0' && (len == 1 || text[len - 2] == '\0'))
		len--;
	return len;
}

int cmdline_split(const char *text, size_t len, bool redact, struct string_list *ret, struct err *e)
{
	_cleanup_buf_ struct buf copy = BUF_INIT(2 * (size_t)CMDLINE_TEXT_MAX);
	_cleanup_string_list_ struct string_list list = {0};
	int r;

	if (!text) text = "";
	len = cap_strings(text, drop_padding(text, len), &list.cut);
	r = redact ? redact_args(text, len, &copy, e) : buf_append(&copy, text, len, e);
	if (r < 0) return r;
	r = list_of(&copy, &list, e);
	if (r < 0) return r;
	*ret = list;
	list = (struct string_list){0};
	return 0;
}

static int redact_variables(const char *text, size_t len, bool show, struct buf *ret, struct err *e)
{
	struct next_string s = {text, text + len};
	const char *var, *equals;
	size_t var_len, name_len;
	bool masked = false;
	int r;

	while (next_string(&s, &var, &var_len)) {
		equals = memchr(var, '=', var_len);
		if (!equals || equals == var) continue;
		name_len = (size_t)(equals - var);
		r = buf_append(ret, var, name_len + 1, e);
		if (r < 0) return r;
		if (show)
			r = buf_append(ret, equals + 1, var_len - name_len - 1, e);
		else
			r = secret_redact(var, name_len, equals + 1, var_len - name_len - 1, ret,
					  &masked, e);
		if (r < 0) return r;
		r = buf_append(ret, "", 1, e);
		if (r < 0) return r;
	}
	return 0;
}

int environ_split(const char *text, size_t len, bool show_secrets, struct string_list *ret,
		  struct err *e)
{
	_cleanup_buf_ struct buf copy = BUF_INIT(2 * (size_t)CMDLINE_TEXT_MAX);
	_cleanup_string_list_ struct string_list list = {0};
	int r;

	if (!text) text = "";
	len = cap_strings(text, len, &list.cut);
	r = redact_variables(text, len, show_secrets, &copy, e);
	if (r < 0) return r;
	r = list_of(&copy, &list, e);
	if (r < 0) return r;
	*ret = list;
	list = (struct string_list){0};
	return 0;
}

static bool needs_quotes(const char *arg)
{
	return !*arg || strpbrk(arg, " \t\n\"'\\$`*?;&|<>()#~");
}

static int join_arg(const char *arg, bool quote, struct buf *ret, struct err *e)
{
	int r = quote ? buf_append(ret, "'", 1, e) : 0;

	for (; r == 0 && *arg; arg++) {
		unsigned char c = (unsigned char)*arg;

		if (c < 0x20 || c == 0x7f)
			r = buf_append(ret, "?", 1, e);
		else if (c == '\'' && quote)
			r = buf_puts(ret, "'\\''", e);
		else
			r = buf_append(ret, arg, 1, e);
	}
	return r == 0 && quote ? buf_append(ret, "'", 1, e) : r;
}

/* Cuts back to max bytes with "..." at the end, not inside a UTF-8 character. */
static void shorten(struct buf *b, size_t start, size_t max)
{
	size_t end;

	if (b->len - start <= max) return;
	end = start + MAX(max, (size_t)3) - 3;
	while (end > start && ((unsigned char)b->data[end] & 0xc0) == 0x80)
		end--;
	memcpy(b->data + end, "...", 4);
	b->len = end + 3;
}

int cmdline_join(const struct string_list *argv, size_t max_bytes, struct buf *ret, struct err *e)
{
	size_t start = ret->len;

	for (size_t i = 0; i < argv->count; i++) {
		int r = i > 0 ? buf_append(ret, " ", 1, e) : 0;
		bool quote = argv->count > 1 && needs_quotes(argv->v[i]);

		if (r == 0) r = join_arg(argv->v[i], quote, ret, e);
		if (r < 0) return r;
		if (max_bytes > 0 && ret->len - start > max_bytes) break;
	}
	if (max_bytes > 0) shorten(ret, start, max_bytes);
	return 0;
}

int process_cmdline(const struct process *p, bool redact, struct string_list *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(CMDLINE_TEXT_MAX);
	int r = process_read(p, "cmdline", &text, e);

	if (r < 0) return r;
	return cmdline_split(text.data, text.len, redact, ret, e);
}

int process_environ(const struct process *p, bool show_secrets, struct string_list *ret,
		    struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(CMDLINE_TEXT_MAX);
	int r = process_read(p, "environ", &text, e);

	if (r < 0) return r;
	return environ_split(text.data, text.len, show_secrets, ret, e);
}
