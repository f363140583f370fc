/* What detection asks of a process: its map, program file, command line. Read when first asked. */
#ifndef DUMPERS_RUNTIME_FACTS_H
#define DUMPERS_RUNTIME_FACTS_H

#include "dumpers/proc/cmdline.h"
#include "dumpers/proc/exe.h"
#include "dumpers/proc/maps.h"

enum { FACTS_PATH_MAX = 1024 };

struct runtime_facts {
	const struct process *process; /* borrowed; NULL in tests that give the rest */
	struct maps maps;              /* no mapping when not readable */
	bool maps_borrowed, maps_readable;
	char exe[FACTS_PATH_MAX]; /* "" not readable; without " (deleted)" */
	struct string_list argv;  /* may be empty */
	char comm[64];
	char argv0[256];       /* for facts_program */
	struct blob *exe_file; /* NULL: not opened, or not to be had; ask facts_exe_file */
	bool exe_tried;
};
/* Never fails; p stays borrowed. */
void facts_read(const struct process *p, struct runtime_facts *ret);
/* The same without command line and name, over a map that is known: it stays borrowed, too. */
void facts_of_maps(const struct process *p, const struct maps *maps, struct runtime_facts *ret);
void facts_done(struct runtime_facts *f);
#define _cleanup_facts_ _cleanup_(facts_done)

/* Last component of a path. */
const char *path_basename(const char *path);
/* The path of the first mapped file whose last component begins with prefix, or NULL. */
const char *facts_find_map(const struct runtime_facts *f, const char *prefix);
/* The program's own name: of exe, else of argv[0] up to a blank (it may be a title), else comm.
 * Never NULL; lives as long as f. */
const char *facts_program(struct runtime_facts *f);
/* The program file, borrowed, opened once; NULL when it cannot be read. */
struct blob *facts_exe_file(struct runtime_facts *f);
/* Has the program file this section? Its place goes to the outputs when they are not NULL. */
bool facts_exe_section(struct runtime_facts *f, const char *name, uint64_t *ret_offset,
		       uint64_t *ret_size);
/* Does the program export (or import) this dynamic symbol? Looks for the name in .dynstr. */
bool facts_exe_has_symbol(struct runtime_facts *f, const char *symbol);

#endif
