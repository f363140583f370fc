/* --help from the option table. */
#include "base/options_internal.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

const char *option_metavar(const struct option_def *def)
{
	if (def->metavar) return def->metavar;
	switch (def->type) {
	case OPTION_BOOL:
		return "";
	case OPTION_INT:
		return "N";
	case OPTION_SIZE:
		return "SIZE";
	case OPTION_DURATION:
		return "DURATION";
	case OPTION_CPUS:
		return "CPUS";
	case OPTION_ENUM:
		return def->choices;
	case OPTION_STRING:
	case OPTION_LIST:
		break;
	}
	return "TEXT";
}

/* "  -o, --output FILE" */
static int put_flags(const struct option_def *def, struct buf *ret, struct err *e)
{
	/* What is on by default is worth naming by how to turn it off. */
	bool on = def->type == OPTION_BOOL && def->def && strcmp(def->def, "true") == 0;
	const char *metavar = def->type == OPTION_BOOL ? "" : option_metavar(def);
	char letter[] = {'-', def->short_name, ',', ' ', '\0'};

	return buf_printf(ret, e, "  %s--%s%s%s%s", def->short_name ? letter : "    ",
			  on ? "[no-]" : "", def->name, *metavar ? " " : "", metavar);
}

/* "the sentence (default: 2s; also $PODSNAP_X)" */
static int put_sentence(const struct option_def *def, struct buf *ret, struct err *e)
{
	bool show_default = def->def && def->type != OPTION_BOOL && *def->def;
	const char *notes[3];
	size_t count = 0;
	char default_text[128], env_text[128];
	int r = buf_puts(ret, def->help ? def->help : "", e);

	if (def->type == OPTION_LIST) notes[count++] = "may be repeated";
	if (show_default) {
		snprintf(default_text, sizeof(default_text), "default: %s", def->def);
		notes[count++] = default_text;
	}
	if (def->env) {
		snprintf(env_text, sizeof(env_text), "also $%s", def->env);
		notes[count++] = env_text;
	}
	for (size_t i = 0; i < count && r == 0; i++)
		r = buf_printf(ret, e, "%s%s", i ? "; " : " (", notes[i]);
	if (count > 0 && r == 0) r = buf_puts(ret, ")", e);
	return r;
}

/* Breaks text at blanks; the cursor stands at column, later lines begin at HELP_COLUMN. */
static int put_wrapped(const char *text, size_t column, struct buf *ret, struct err *e)
{
	int r = 0;

	while (r == 0 && *(text += strspn(text, " "))) {
		size_t len = strcspn(text, " ");
		bool fits = column + 1 + len <= HELP_WIDTH;

		if (column < HELP_COLUMN)
			r = buf_printf(ret, e, "%*s", (int)(HELP_COLUMN - column), "");
		else if (column > HELP_COLUMN)
			r = fits ? buf_puts(ret, " ", e)
				 : buf_printf(ret, e, "\n%*s", HELP_COLUMN, "");
		if (column < HELP_COLUMN || (column > HELP_COLUMN && !fits))
			column = HELP_COLUMN;
		else if (column > HELP_COLUMN)
			column++;
		if (r == 0) r = buf_append(ret, text, len, e);
		column += len;
		text += len;
	}
	return r < 0 ? r : buf_puts(ret, "\n", e);
}

static int put_option(const struct option_def *def, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf sentence = BUF_INIT(4096);
	size_t start = ret->len, column;
	int r = put_sentence(def, &sentence, e);

	if (r == 0) r = put_flags(def, ret, e);
	if (r < 0) return r;
	column = ret->len - start;
	if (column + 2 > HELP_COLUMN && sentence.len > 0) {
		r = buf_puts(ret, "\n", e);
		if (r < 0) return r;
		column = 0;
	}
	return put_wrapped(sentence.data ? sentence.data : "", column, ret, e);
}

int options_help(const struct option_def *defs, size_t count, uint32_t verb_bit, struct buf *ret,
		 struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		int r;

		if (!option_takes_verb(&defs[i], verb_bit)) continue;
		r = put_option(&defs[i], ret, e);
		if (r < 0) return r;
	}
	return 0;
}
