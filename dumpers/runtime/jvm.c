/* HotSpot and OpenJ9: every launcher loads libjvm.so (JNI invocation interface). */
#include "dumpers/runtime/runtime.h"

#include <string.h>

static void detect(struct runtime_facts *facts, struct runtime_guess *ret)
{
	if (runtime_say_mapped(facts, "libjvm.so", ret)) {
		if (strcmp(facts_program(facts), "java") == 0) ret->confidence = RUNTIME_PROGRAM;
		return;
	}
	runtime_say_named(facts, "java", ret);
}

const struct runtime runtime_jvm = {RUNTIME_JVM, "jvm", detect};
