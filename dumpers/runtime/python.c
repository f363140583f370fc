/* CPython: a program with the section .PyRuntime (3.7 and later: Include/internal/pycore_runtime.h)
 * or of that name; or libpython*.so in it or in a host such as uWSGI. */
#include "dumpers/runtime/runtime.h"

#include <stdio.h>
#include <string.h>

/* "python", "python3", "python3.11", "python3.11d" */
static bool is_python_name(const char *name)
{
	if (strncmp(name, "python", 6) != 0) return false;
	name += 6;
	name += strspn(name, "0123456789.");
	return strcmp(name, "") == 0 || strcmp(name, "d") == 0 || strcmp(name, "-dbg") == 0;
}

/* "3.11" out of "python3.11" or "libpython3.11.so.1.0"; a lone major says little. */
static void take_version(const char *name, struct runtime_guess *ret)
{
	const char *digits = strpbrk(name, "0123456789");
	size_t len = digits ? strspn(digits, "0123456789.") : 0;

	while (len > 0 && digits[len - 1] == '.')
		len--;
	if (len == 0 || !memchr(digits, '.', len)) return;
	snprintf(ret->version, sizeof(ret->version), "%.*s", (int)len, digits);
}

static void detect(struct runtime_facts *facts, struct runtime_guess *ret)
{
	const char *program = facts_program(facts), *library = facts_find_map(facts, "libpython");

	if (facts_exe_section(facts, ".PyRuntime", NULL, NULL)) {
		runtime_say(ret, RUNTIME_PROGRAM, "%s has the section .PyRuntime", facts->exe);
		take_version(program, ret);
	} else if (library) {
		bool own = is_python_name(program);

		runtime_say(ret, own ? RUNTIME_PROGRAM : RUNTIME_MAPPED, "maps %s", library);
		take_version(path_basename(library), ret);
	} else if (facts->maps_readable && facts->exe[0] && is_python_name(program)) {
		runtime_say(ret, RUNTIME_PROGRAM, "runs %s", facts->exe);
		take_version(program, ret);
	} else if (is_python_name(program)) {
		runtime_say_named(facts, program, ret);
		take_version(program, ret);
	}
}

const struct runtime runtime_python = {RUNTIME_PYTHON, "python", detect};
