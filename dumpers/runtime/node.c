/* Node.js: the program exports node_module_register for its native modules (node.h), or its body is
 * libnode.so, as in Debian; also programs that have node packed in. */
#include "dumpers/runtime/runtime.h"

#include <string.h>

static void detect(struct runtime_facts *facts, struct runtime_guess *ret)
{
	const char *library = facts_find_map(facts, "libnode.so"), *program = facts_program(facts);
	bool named = strcmp(program, "node") == 0 || strcmp(program, "nodejs") == 0;

	if (library)
		runtime_say(ret, named ? RUNTIME_PROGRAM : RUNTIME_MAPPED, "maps %s", library);
	else if (facts_exe_has_symbol(facts, "node_module_register"))
		runtime_say(ret, RUNTIME_PROGRAM, "%s exports node_module_register", facts->exe);
	else if (!runtime_say_named(facts, "node", ret))
		runtime_say_named(facts, "nodejs", ret);
}

const struct runtime runtime_node = {RUNTIME_NODE, "node", detect};
