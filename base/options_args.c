/* The command line: GNU-style flags anywhere among the operands. */
#include "base/options_internal.h"
#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

struct arg_parser {
	struct options *o;
	uint32_t verb_bit;
	char **argv;
	int argc;
	int next; /* index of the argument after the current one */
	size_t operand_count;
};

enum { NAME_SHOWN = 80 }; /* bytes of a hostile flag that an error repeats */

/* --- finding --- */

static bool name_is(const struct option_def *def, const char *name, size_t len)
{
	return strncmp(def->name, name, len) == 0 && def->name[len] == '\0';
}

/* A flag may stand twice in the table for different verbs: the one this verb takes wins. Returns
 * the index, or count; *ret_other_verb tells whether another verb knows it. */
static size_t find_long(const struct arg_parser *p, const char *name, size_t len,
			bool *ret_other_verb)
{
	const struct options *o = p->o;

	*ret_other_verb = false;
	for (size_t i = 0; i < o->count; i++) {
		if (!name_is(&o->defs[i], name, len)) continue;
		if (option_takes_verb(&o->defs[i], p->verb_bit)) return i;
		*ret_other_verb = true;
	}
	return o->count;
}

static size_t find_short(const struct arg_parser *p, char name, bool *ret_other_verb)
{
	const struct options *o = p->o;

	*ret_other_verb = false;
	for (size_t i = 0; i < o->count; i++) {
		if (!name || o->defs[i].short_name != name) continue;
		if (option_takes_verb(&o->defs[i], p->verb_bit)) return i;
		*ret_other_verb = true;
	}
	return o->count;
}

/* --- refusing --- */

static int refuse_long(const struct arg_parser *p, const char *name, size_t len, bool other_verb,
		       struct err *e)
{
	int shown = (int)MIN(len, (size_t)NAME_SHOWN);
	bool negated = len > 3 && strncmp(name, "no-", 3) == 0;
	struct suggestion near, near_negated;

	if (other_verb)
		return err_set(e, ERR_USAGE, "--%.*s does not apply to this command", shown, name);
	suggest_init(&near, name, len);
	suggest_init(&near_negated, name + (negated ? 3 : 0), len - (negated ? 3 : 0));
	for (size_t i = 0; i < p->o->count; i++) {
		const struct option_def *def = &p->o->defs[i];

		if (!option_takes_verb(def, p->verb_bit)) continue;
		suggest_consider(&near, def->name);
		if (negated && def->type == OPTION_BOOL) suggest_consider(&near_negated, def->name);
	}
	if (near_negated.best && (!near.best || near_negated.best_distance < near.best_distance))
		return err_set(e, ERR_USAGE, "unknown option --%.*s; did you mean --%s%s?", shown,
			       name, negated ? "no-" : "", near_negated.best);
	if (near.best)
		return err_set(e, ERR_USAGE, "unknown option --%.*s; did you mean --%s?", shown,
			       name, near.best);
	return err_set(e, ERR_USAGE, "unknown option --%.*s", shown, name);
}

/* --- taking --- */

/* The value of a flag that needs one: what is attached, else the next argument. */
static int take_value(struct arg_parser *p, size_t id, const char *flag, const char *attached,
		      struct err *e)
{
	if (!attached) {
		if (p->next >= p->argc)
			return err_set(e, ERR_USAGE, "%s needs a value: %s %s", flag, flag,
				       option_metavar(&p->o->defs[id]));
		attached = p->argv[p->next++];
	}
	return options_set(p->o, id, attached, ORIGIN_FLAG, NULL, e);
}

/* arg: what stands behind the two dashes. */
static int parse_long(struct arg_parser *p, const char *arg, struct err *e)
{
	size_t len = strcspn(arg, "="), id;
	const char *value = arg[len] ? arg + len + 1 : NULL;
	bool other_verb, other_verb_negated = false;
	char flag[NAME_SHOWN + 3];

	id = find_long(p, arg, len, &other_verb);
	if (id == p->o->count && len > 3 && strncmp(arg, "no-", 3) == 0) {
		id = find_long(p, arg + 3, len - 3, &other_verb_negated);
		if (id < p->o->count) {
			if (p->o->defs[id].type != OPTION_BOOL)
				return err_set(
				    e, ERR_USAGE,
				    "--%.*s: --%s is not a switch that can be turned off",
				    (int)MIN(len, (size_t)NAME_SHOWN), arg, p->o->defs[id].name);
			if (value)
				return err_set(e, ERR_USAGE, "--%.*s takes no value",
					       (int)MIN(len, (size_t)NAME_SHOWN), arg);
			return options_set(p->o, id, "false", ORIGIN_FLAG, NULL, e);
		}
	}
	if (id == p->o->count) return refuse_long(p, arg, len, other_verb || other_verb_negated, e);

	if (p->o->defs[id].type == OPTION_BOOL)
		return options_set(p->o, id, value ? value : "true", ORIGIN_FLAG, NULL, e);
	snprintf(flag, sizeof(flag), "--%s", p->o->defs[id].name);
	return take_value(p, id, flag, value, e);
}

/* arg: what stands behind one dash, at least one letter: switches, then at most one flag with a
 * value that is the rest of arg or the next argument. */
static int parse_shorts(struct arg_parser *p, const char *arg, struct err *e)
{
	for (; *arg; arg++) {
		char flag[3] = {'-', *arg, '\0'};
		bool other_verb;
		size_t id = find_short(p, *arg, &other_verb);
		int r;

		if (id == p->o->count && other_verb)
			return err_set(e, ERR_USAGE, "%s does not apply to this command", flag);
		if (id == p->o->count) return err_set(e, ERR_USAGE, "unknown option %s", flag);
		if (p->o->defs[id].type != OPTION_BOOL)
			return take_value(p, id, flag, arg[1] ? arg + 1 : NULL, e);
		r = options_set(p->o, id, "true", ORIGIN_FLAG, NULL, e);
		if (r < 0) return r;
	}
	return 0;
}

static int parse_all(struct arg_parser *p, struct err *e)
{
	bool only_operands = false;

	while (p->next < p->argc) {
		const char *arg = p->argv[p->next++];
		int r = 0;

		if (only_operands || arg[0] != '-' || arg[1] == '\0')
			p->o->operands[p->operand_count++] = arg;
		else if (strcmp(arg, "--") == 0)
			only_operands = true;
		else if (arg[1] == '-')
			r = parse_long(p, arg + 2, e);
		else
			r = parse_shorts(p, arg + 1, e);
		if (r < 0) return r;
	}
	return 0;
}

int options_parse_args(struct options *o, int argc, char **argv, uint32_t verb_bit,
		       const char *const **ret_operands, size_t *ret_count, struct err *e)
{
	struct arg_parser p = {.o = o, .verb_bit = verb_bit, .argv = argv, .argc = argc};
	int r;

	free(o->operands);
	o->operands = calloc((size_t)MAX(argc, 0) + 1, sizeof(*o->operands));
	if (!o->operands) return err_set(e, ERR_NO_MEMORY, "no memory for %d operands", argc);
	r = parse_all(&p, e);
	if (r < 0) return r;
	*ret_operands = o->operands;
	*ret_count = p.operand_count;
	return 0;
}
