/* What no other runtime claims: C, C++, Rust, ... */
#include "dumpers/runtime/runtime.h"

static void detect(struct runtime_facts *facts, struct runtime_guess *ret)
{
	if (facts->maps_readable)
		runtime_say(ret, RUNTIME_MAPPED, "%s maps no library of another runtime",
			    facts->exe[0] ? facts->exe : facts_program(facts));
	else
		runtime_say(ret, RUNTIME_BY_NAME,
			    "nothing known of %s; its memory map is not readable",
			    facts_program(facts));
}

const struct runtime runtime_native = {RUNTIME_NATIVE, "native", detect};
