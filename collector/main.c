/* podsnap: finds the verb, reads the options, runs it, prints its error. */
#include "base/io.h"
#include "base/log.h"
#include "base/suggest.h"
#include "collector/cancel.h"
#include "collector/command.h"
#include "collector/config_file.h"
#include "dumpers/dotnet/dac_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &cmd_capture, &cmd_stacks, &cmd_ps,   &cmd_doctor, &cmd_heap,   &cmd_objects, &cmd_object,
    &cmd_roots,   &cmd_locks,  &cmd_show, &cmd_verify, &cmd_config, &cmd_version,
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i]->name, name)) return commands[i];
	}
	return NULL;
}

static int print_overview(struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(64 * KIB);
	int r = buf_puts(&text,
			 "podsnap: evidence from processes in Kubernetes pods\n\n"
			 "Usage: podsnap VERB [SOURCE] [options]\n\nVerbs:\n",
			 e);
	for (size_t i = 0; !r && i < ARRAY_SIZE(commands); i++) {
		r = buf_printf(&text, e, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	}
	if (!r) r = buf_puts(&text, "\nSee: podsnap VERB --help\n", e);
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

static int print_help(const struct command *c, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(256 * KIB);
	int r = buf_printf(&text, e, "podsnap %s: %s\n\nUsage: podsnap %s %s%s[options]\n", c->name,
			   c->summary, c->name, c->usage, *c->usage ? " " : "");
	if (!r && c->details) r = buf_printf(&text, e, "\n%s\n", c->details);
	if (!r) r = buf_puts(&text, "\nOptions:\n", e);
	if (!r) r = options_help(option_table, OPT_COUNT, c->verb, &text, e);
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

static int load_options(struct options *o, const struct command *c, int argc, char **argv,
			struct command_call *call, struct err *e)
{
	int r =
	    options_parse_args(o, argc, argv, c->verb, &call->operands, &call->operand_count, e);
	if (r) return r;
	log_set_level(option_bool(o, OPT_TRACE) || option_int(o, OPT_VERBOSE) > 1 ? LOG_TRACE
		      : option_bool(o, OPT_VERBOSE)                               ? LOG_DEBUG
		      : option_bool(o, OPT_QUIET)                                 ? LOG_ERROR
										  : LOG_INFO);
	if (option_bool(o, OPT_HELP)) return 0;
	r = options_parse_env(o, e);
	if (!r) r = config_file_load(o, option_string(o, OPT_CONFIG), e);
	if (r) return r;
	if (call->operand_count < c->operands_min || call->operand_count > c->operands_max) {
		err_set(e, ERR_USAGE, "podsnap %s takes %s", c->name,
			*c->usage ? c->usage : "no operand");
		return err_hint(e, "See: podsnap %s --help", c->name);
	}
	return 0;
}

/* A reader that went away (head, less) is no failure worth a word. */
static bool is_broken_pipe(const struct err *e)
{
	return e->sys_errno == EPIPE;
}

static int exit_status(int r, const struct command_call *call, const struct err *e)
{
	if (r == -ERR_CANCELLED && cancel_signal()) return 128 + cancel_signal();
	if (r) return err_info(e->code)->exit_status;
	return call->partial ? 3 : 0;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct command_call call = {0};
	_cleanup_options_ struct options *o = NULL;
	int r = options_new(&o, option_table, OPT_COUNT, &e);
	if (!r) r = load_options(o, c, argc, argv, &call, &e);
	if (!r) r = cancel_catch_signals(&e);
	if (!r && option_bool(o, OPT_HELP)) {
		r = print_help(c, &e);
	} else if (!r) {
		call.options = o;
		r = c->run(&call, &e);
	}
	if (r && !is_broken_pipe(&e)) log_err(&e);
	return exit_status(r, &call, &e);
}

static int unknown_verb(const char *name)
{
	struct err e;
	struct suggestion near;
	suggest_init(&near, name, strlen(name));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		suggest_consider(&near, commands[i]->name);
	err_set(&e, ERR_USAGE, "there is no verb \"%s\"%s%s%s", name,
		near.best ? "; did you mean " : "", near.best ? near.best : "",
		near.best ? "?" : "");
	err_hint(&e, "See: podsnap --help");
	log_err(&e);
	return 2;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		return print_overview(&e) ? 1 : argc < 2 ? 2 : 0;
	}
	if (!strcmp(argv[1], "dac-host")) return dac_host_main();
	const char *name = !strcmp(argv[1], "--version") ? "version" : argv[1];
	const struct command *c = find_command(name);
	return c ? run_command(c, argc - 2, argv + 2) : unknown_verb(name);
}
