/*
 * The modules of a snapshot: mapped ELF files and the vdso, with build-id, load bias and a way to
 * their bytes. Captured bytes come first; a module's file backs a page only where its build-id is
 * the one in memory.
 */
#ifndef DUMPERS_STACK_MODULES_H
#define DUMPERS_STACK_MODULES_H

#include "dumpers/snapshot/snapshot.h"

enum { BUILD_ID_MAX = 64, MODULE_COUNT_MAX = 1 << 14 };

struct module {
	const char *path;    /* as the map names it; "[vdso]" */
	const char *name;    /* last component */
	uint64_t start, end; /* lowest and highest mapped address */
	uint64_t header;     /* where its ELF header is mapped */
	uint64_t header_end; /* end of that one map, as /proc/PID/map_files names it */
	uint64_t bias;       /* address minus p_vaddr */
	uint8_t build_id[BUILD_ID_MAX];
	size_t build_id_len; /* 0: the module has none */
	size_t index;        /* modules_at gives it back; ascending by address */
};

/*
 * Finds a module's file for a caller: by build-id, path and where the program runs (the target's
 * root, a bundle, this machine). *ret is a new reference. -ERR_NOT_FOUND when there is none. The
 * finder need not check the build-id: modules does.
 */
typedef int (*find_module_fn)(void *ctx, const struct module *module, struct blob **ret,
			      struct err *e);

struct modules;
/* The snapshot stays borrowed and must outlive it. find may be NULL. */
int modules_new(struct snapshot *s, find_module_fn find, void *ctx, struct modules **ret,
		struct err *e);
void modules_free(struct modules *m); /* NULL-safe */
/* The snapshot that was given. */
struct snapshot *modules_snapshot(const struct modules *m);
size_t modules_count(const struct modules *m);
const struct module *modules_at(const struct modules *m, size_t index);
/* The module that holds the address, or NULL. */
const struct module *modules_find(const struct modules *m, uint64_t address);
/* The module's file, opened once and checked against the build-id, or, of a module without one,
 * against the program headers in memory. Borrowed; NULL if not to be had (why in e). */
struct blob *modules_file(struct modules *m, const struct module *module, struct err *e);
/*
 * Memory as the target saw it: snapshot bytes, ZERO as zeros, unmodified file pages from the
 * module's file, and so uncaptured pages of maps that cannot be written (a core of another program
 * has no text). Exactly len bytes, or -ERR_NOT_FOUND, -ERR_IO.
 */
int modules_read(struct modules *m, uint64_t addr, void *data, size_t len, struct err *e);

/* A finder over the root of a live process: /proc/PID/map_files, then /proc/PID/root + path.
 * ctx is a const struct process *. */
int find_module_in_process(void *ctx, const struct module *module, struct blob **ret,
			   struct err *e);
/* A finder on this machine for cores: sysroot (ctx, const char *, may be NULL or "") + path. */
int find_module_in_sysroot(void *ctx, const struct module *module, struct blob **ret,
			   struct err *e);

#endif
