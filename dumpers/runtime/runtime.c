#include "dumpers/runtime/runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Native last: it takes what nobody else claims. */
const struct runtime *const runtimes[] = {
    &runtime_jvm, &runtime_dotnet, &runtime_node, &runtime_python, &runtime_go, &runtime_native,
};
const size_t runtime_count = ARRAY_SIZE(runtimes);

void runtime_detect_facts(struct runtime_facts *facts, struct runtime_guess *ret)
{
	struct runtime_guess best = {.runtime = &runtime_native};

	for (size_t i = 0; i < runtime_count; i++) {
		struct runtime_guess guess = {.runtime = runtimes[i]};

		runtimes[i]->detect(facts, &guess);
		if (guess.confidence > best.confidence) best = guess;
	}
	*ret = best;
}

void runtime_detect(const struct process *p, struct runtime_guess *ret)
{
	_cleanup_facts_ struct runtime_facts facts;

	facts_read(p, &facts);
	runtime_detect_facts(&facts, ret);
}

void runtime_guess_json(const struct runtime_guess *guess, struct json *j)
{
	static const char *const confidences[] = {
	    [RUNTIME_NO] = "none",
	    [RUNTIME_BY_NAME] = "name",
	    [RUNTIME_MAPPED] = "mapped",
	    [RUNTIME_PROGRAM] = "program",
	};

	json_object(j);
	json_kv_string(j, "name", guess->runtime->name);
	json_kv_string(j, "version", guess->version[0] ? guess->version : NULL);
	json_kv_string(j, "confidence", confidences[guess->confidence]);
	json_kv_string(j, "evidence", guess->evidence);
	json_object_end(j);
}

void runtime_say(struct runtime_guess *guess, enum runtime_confidence confidence, const char *fmt,
		 ...)
{
	va_list ap;

	guess->confidence = confidence;
	va_start(ap, fmt);
	vsnprintf(guess->evidence, sizeof(guess->evidence), fmt, ap);
	va_end(ap);
}

bool runtime_say_mapped(struct runtime_facts *facts, const char *prefix,
			struct runtime_guess *guess)
{
	const char *path = facts_find_map(facts, prefix);

	if (!path) return false;
	runtime_say(guess, RUNTIME_MAPPED, "maps %s", path);
	return true;
}

bool runtime_say_named(struct runtime_facts *facts, const char *name, struct runtime_guess *guess)
{
	/* Where the map can be read, a name proves nothing. */
	if (facts->maps_readable || strcmp(facts_program(facts), name) != 0) return false;
	runtime_say(guess, RUNTIME_BY_NAME, "is called %s; its memory map is not readable", name);
	return true;
}
