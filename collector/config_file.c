#include "collector/config_file.h"

#include "base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { FILE_MAX = 1 << 20, DEPTH_MAX = 8, KEY_MAX = 256 };

struct walk {
	struct options *options;
	const char *path;
	yaml_parser_t parser;
	char key[KEY_MAX]; /* joined so far */
};

static int bad(struct walk *w, const yaml_mark_t *mark, const char *what, struct err *e)
{
	return err_set(e, ERR_USAGE, "%s:%zu: %s", w->path, mark->line + 1, what);
}

static int next_event(struct walk *w, yaml_event_t *event, struct err *e)
{
	if (yaml_parser_parse(&w->parser, event)) return 0;
	return err_set(e, ERR_USAGE, "%s:%zu: %s", w->path, w->parser.problem_mark.line + 1,
		       w->parser.problem ? w->parser.problem : "not YAML");
}

static int set_value(struct walk *w, const yaml_event_t *event, struct err *e)
{
	char where[1200];
	snprintf(where, sizeof where, "%s:%zu", w->path, event->start_mark.line + 1);
	return options_set_key(w->options, w->key, (const char *)event->data.scalar.value, where,
			       e);
}

static int walk_mapping(struct walk *w, int depth, struct err *e);

static int walk_value(struct walk *w, int depth, struct err *e)
{
	yaml_event_t event;
	int r = next_event(w, &event, e);
	if (r) return r;
	if (event.type == YAML_SCALAR_EVENT)
		r = set_value(w, &event, e);
	else if (event.type == YAML_MAPPING_START_EVENT)
		r = walk_mapping(w, depth + 1, e);
	else
		r = bad(w, &event.start_mark, "a value must be a scalar or a mapping", e);
	yaml_event_delete(&event);
	return r;
}

static int walk_mapping(struct walk *w, int depth, struct err *e)
{
	size_t base = strlen(w->key);
	if (depth > DEPTH_MAX) return err_set(e, ERR_USAGE, "%s: nested too deeply", w->path);
	for (;;) {
		yaml_event_t event;
		int r = next_event(w, &event, e);
		if (r) return r;
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		if (event.type != YAML_SCALAR_EVENT) {
			r = bad(w, &event.start_mark, "a key must be a plain word", e);
		} else {
			size_t room = sizeof w->key - base;
			int n = snprintf(w->key + base, room, "%s%s", base ? "." : "",
					 (const char *)event.data.scalar.value);
			if (n < 0 || (size_t)n >= room)
				r = bad(w, &event.start_mark, "key too long", e);
		}
		yaml_event_delete(&event);
		if (!r) r = walk_value(w, depth, e);
		w->key[base] = 0;
		if (r) return r;
	}
}

static int walk_document(struct walk *w, struct err *e)
{
	for (;;) {
		yaml_event_t event;
		int r = next_event(w, &event, e);
		if (r) return r;
		yaml_event_type_t type = event.type;
		if (type == YAML_MAPPING_START_EVENT)
			r = walk_mapping(w, 1, e);
		else if (type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT) {
			r = bad(w, &event.start_mark, "the file must be a mapping", e);
		}
		yaml_event_delete(&event);
		if (r || type == YAML_STREAM_END_EVENT) return r;
	}
}

int config_file_load(struct options *options, const char *path, struct err *e)
{
	char standard[1024];
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	if (!path) {
		if (xdg && *xdg)
			snprintf(standard, sizeof standard, "%s/podsnap/config.yaml", xdg);
		else if (home)
			snprintf(standard, sizeof standard, "%s/.config/podsnap/config.yaml", home);
		else
			return 0;
		if (access(standard, F_OK)) return 0;
		path = standard;
	}
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
	int r = io_read_file(AT_FDCWD, path, &text, e);
	if (r) return r;
	struct walk w = {.options = options, .path = path};
	if (!yaml_parser_initialize(&w.parser)) return err_set(e, ERR_NO_MEMORY, "no memory");
	yaml_parser_set_input_string(&w.parser, (const unsigned char *)(text.data ? text.data : ""),
				     text.len);
	r = walk_document(&w, e);
	yaml_parser_delete(&w.parser);
	return r;
}
