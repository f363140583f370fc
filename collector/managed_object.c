#include "collector/managed_object.h"

#include "base/log.h"
#include "dumpers/dotnet/search.h"

#include <errno.h>

/* The last operand, if it is one: "0x..." is no name of a pod or file that anybody has. */
static int take_address(struct command_call *call, struct managed_object *ret, struct err *e)
{
	char *end;
	if (!call->operand_count) return 0;
	const char *text = call->operands[call->operand_count - 1];
	if (strncmp(text, "0x", 2) != 0) {
		if (call->operand_count == 1) return 0;
		return err_set(e, ERR_USAGE, "%s: an address is written as 0x7f00deadbeef", text);
	}
	errno = 0;
	ret->address = strtoull(text, &end, 16);
	if (errno || !ret->address || (*end && *end != '.' && *end != '['))
		return err_set(e, ERR_USAGE, "%s: not an address", text);
	ret->path = end;
	call->operand_count--;
	return 0;
}

int managed_object_take(struct command_call *call, struct managed_object *ret, struct err *e)
{
	bool by_type = option_is_set(call->options, OPT_TYPE);
	*ret = (struct managed_object){.path = ""};
	int r = take_address(call, ret, e);
	if (r) return r;
	if (!!ret->address == by_type) {
		err_set(e, ERR_USAGE, "which object: either an address, or --type");
		return err_hint(e, "podsnap objects SOURCE --type REGEX lists addresses.");
	}
	return by_type ? managed_search(call, &ret->search, e) : 0;
}

void managed_object_done(struct managed_object *o)
{
	search_free(o->search);
	*o = (struct managed_object){0};
}

struct finding {
	uint64_t limit, found;
	managed_object_fn fn;
	void *ctx;
};

/* One more than the limit is only counted. */
static int give(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct finding *f = ctx;
	if (f->found++ && f->limit && f->found > f->limit) return 0;
	return f->fn(f->ctx, object->address, e);
}

int managed_object_each(const struct managed_object *o, struct managed *m, uint64_t limit,
			managed_object_fn fn, void *ctx, uint64_t *ret_found, struct err *e)
{
	struct finding f = {.limit = limit, .fn = fn, .ctx = ctx};
	struct dotnet_walk_loss loss;
	*ret_found = 1;
	if (o->address) {
		if (m->live)
			log_warn("this is another instant than that of the address: the collector "
				 "may have moved the object; --type and --where find it and show "
				 "it in one");
		return fn(ctx, o->address, e);
	}
	int r = search_run(o->search, m->dotnet, give, &f, &loss, e);
	if (r) return r;
	*ret_found = f.found;
	if (loss.ranges) m->call->partial = true;
	return f.found ? 0 : err_set(e, ERR_NOT_FOUND, "no such object is on the heap");
}
