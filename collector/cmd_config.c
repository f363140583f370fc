#include "base/io.h"
#include "base/json.h"
#include "collector/command.h"

#include <string.h>

static bool is_secret(size_t id)
{
	return id == OPT_TOKEN;
}

/* Options of a single run have neither a key nor a variable: they are no configuration. */
static bool is_configuration(const struct option_def *def)
{
	return def->env || def->key;
}

static int show_text(const struct options *o, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "%-24s  %-32s  %s\n", "OPTION", "VALUE", "FROM");
	for (size_t id = 0; !r && id < options_count(o); id++) {
		const struct option_def *def = options_def(o, id);
		_cleanup_buf_ struct buf value = BUF_INIT(64 * KIB), where = BUF_INIT(64 * KIB);
		if (!is_configuration(def)) continue;
		option_show(o, id, &value, &where);
		const char *text = value.len ? value.data : "-";
		if (is_secret(id) && value.len) text = "(hidden)";
		r = buf_printf(ret, e, "%-24s  %-32s  %s\n", def->name, text, where.data);
	}
	return r;
}

static int show_json(const struct options *o, struct buf *ret, struct err *e)
{
	struct json j;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.config/1");
	json_key(&j, "options");
	json_array(&j);
	for (size_t id = 0; id < options_count(o); id++) {
		const struct option_def *def = options_def(o, id);
		_cleanup_buf_ struct buf value = BUF_INIT(64 * KIB), where = BUF_INIT(64 * KIB);
		if (!is_configuration(def)) continue;
		option_show(o, id, &value, &where);
		json_object(&j);
		json_kv_string(&j, "name", def->name);
		json_kv_string(&j, "value", is_secret(id) && value.len ? "(hidden)" : value.data);
		json_kv_string(&j, "from", where.data);
		json_kv_string(&j, "env", def->env);
		json_kv_string(&j, "key", def->key);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MIB);
	if (strcmp(call->operands[0], "show") != 0) {
		return err_set(e, ERR_USAGE, "config %s: the one thing to do is `config show`",
			       call->operands[0]);
	}
	int r = option_bool(call->options, OPT_JSON) ? show_json(call->options, &text, e)
						     : show_text(call->options, &text, e);
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

const struct command cmd_config = {
    .name = "config",
    .verb = VERB_CONFIG,
    .usage = "show",
    .summary = "every option's value and where it came from",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
