/*
 * What a process is written in, and the evidence for it.
 *
 * To add a runtime: a file dumpers/runtime/x.c that defines `const struct runtime runtime_x`, and
 * its line in the table of runtime.c. detect() asks the facts, which are gathered once for all
 * runtimes, and says how sure it is; the surest wins, the earlier in the table among equals.
 */
#ifndef DUMPERS_RUNTIME_RUNTIME_H
#define DUMPERS_RUNTIME_RUNTIME_H

#include "base/json.h"
#include "dumpers/runtime/facts.h"

enum runtime_kind {
	RUNTIME_NATIVE,
	RUNTIME_JVM,
	RUNTIME_DOTNET,
	RUNTIME_PYTHON,
	RUNTIME_NODE,
	RUNTIME_GO,
};

enum runtime_confidence {
	RUNTIME_NO,
	RUNTIME_BY_NAME, /* only names could be read: the command line */
	RUNTIME_MAPPED,  /* its library is mapped; a program may embed it */
	RUNTIME_PROGRAM, /* the program file is it */
};

enum { RUNTIME_EVIDENCE_MAX = 384, RUNTIME_VERSION_MAX = 48 };

struct runtime_guess {
	const struct runtime *runtime; /* never NULL after runtime_detect */
	enum runtime_confidence confidence;
	char evidence[RUNTIME_EVIDENCE_MAX]; /* one short sentence without a full stop */
	char version[RUNTIME_VERSION_MAX];   /* "3.11", "go1.19.8"; "" not known */
};

struct runtime {
	enum runtime_kind kind;
	const char *name; /* "jvm": in tables, JSON and options */
	/* Fills confidence, evidence and version of *ret, which is zeroed before; leaves it zeroed
	 * when it is not this runtime. */
	void (*detect)(struct runtime_facts *facts, struct runtime_guess *ret);
};

extern const struct runtime runtime_native, runtime_jvm, runtime_dotnet, runtime_python,
    runtime_node, runtime_go;
/* All of them, in the order they are asked. */
extern const struct runtime *const runtimes[];
extern const size_t runtime_count;

/* Never fails: at worst native by name. */
void runtime_detect(const struct process *p, struct runtime_guess *ret);
/* The same over facts that the caller gathered. */
void runtime_detect_facts(struct runtime_facts *facts, struct runtime_guess *ret);

/* Writes the guess as an object: name, version, confidence ("name", "mapped", "program"),
 * evidence. */
void runtime_guess_json(const struct runtime_guess *guess, struct json *j);

/* For detect(): sets evidence and confidence. */
void runtime_say(struct runtime_guess *guess, enum runtime_confidence confidence, const char *fmt,
		 ...) _printf_(3, 4);
/* The common case of a mapped library: "maps PATH". False when no map's file name begins with
 * prefix (version digits and the like may follow). */
bool runtime_say_mapped(struct runtime_facts *facts, const char *prefix,
			struct runtime_guess *guess);
/* The common case of a program known by its name alone, where nothing else can be read. */
bool runtime_say_named(struct runtime_facts *facts, const char *name, struct runtime_guess *guess);

#endif
