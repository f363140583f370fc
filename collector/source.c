#include "collector/source.h"

#include "dumpers/snapshot/corefile.h"
#include "exec/kube.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void source_done(struct source *s)
{
	bundle_free(s->bundle);
	blob_unref(s->blob);
	*s = (struct source){0};
}

static int open_bundle_blob(struct source *s, struct err *e)
{
	int r = bundle_open(s->blob, &s->bundle, e);
	if (r) return err_wrap(e, "%s", s->text);
	s->kind = SOURCE_BUNDLE;
	return 0;
}

/* A file that exists must be a bundle or a core: guessing a pod of that name would only confuse. */
static int open_file(const char *path, struct source *ret, struct err *e)
{
	_cleanup_source_ struct source s = {.text = path};
	int r = blob_open_file(path, &s.blob, e);
	if (r) return r;
	if (bundle_probe(s.blob)) {
		r = open_bundle_blob(&s, e);
		if (r) return r;
	} else if (corefile_probe(s.blob)) {
		s.kind = SOURCE_CORE;
	} else {
		err_set(e, ERR_CORRUPT, "%s is neither a podsnap bundle nor a core file", path);
		return err_hint(e, "If a pod of that name is meant, write pod/%s.", path);
	}
	*ret = s;
	s = (struct source){0};
	return 0;
}

int source_open_bundle(const char *path, struct source *ret, struct err *e)
{
	_cleanup_source_ struct source s = {.text = path};
	int r = blob_open_file(path, &s.blob, e);
	if (r) return r;
	if (!bundle_probe(s.blob))
		return err_set(e, ERR_CORRUPT, "%s is not a podsnap bundle", path);
	r = open_bundle_blob(&s, e);
	if (r) return r;
	*ret = s;
	s = (struct source){0};
	return 0;
}

bool source_is_file(const char *text)
{
	struct stat st;
	if (text[0] == '/' || !strncmp(text, "./", 2) || !strncmp(text, "../", 3)) return true;
	return !pod_source_is_typed(text) && !stat(text, &st) && S_ISREG(st.st_mode);
}

int source_open(const struct command_call *call, struct source *ret, struct err *e)
{
	if (!call->operand_count) {
		if (!option_is_set(call->options, OPT_PID) &&
		    !option_is_set(call->options, OPT_PROCESS)) {
			err_set(e, ERR_USAGE, "no source: name a pod, a file, or --pid N");
			return err_hint(
			    e, "For instance: podsnap ps deploy/NAME, or --pid $(pidof NAME).");
		}
		*ret = (struct source){.kind = SOURCE_LOCAL, .text = ""};
		return 0;
	}
	const char *text = call->operands[0];
	if (strstr(text, "://")) {
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: a URL cannot be a source yet; fetch the file first", text);
	}
	if (source_is_file(text)) return open_file(text, ret, e);
	*ret = (struct source){.kind = SOURCE_POD, .text = text};
	return 0;
}
