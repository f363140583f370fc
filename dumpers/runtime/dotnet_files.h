/*
 * The files that reading a .NET process's heap takes elsewhere: the runtime (libcoreclr.so), its
 * data-access library (libmscordaccore.so, which lies beside it and is not mapped), and the managed
 * assemblies that are mapped. What a capture says of them in <pid>-<comm>/runtime/dotnet.json is
 * this list.
 */
#ifndef DUMPERS_RUNTIME_DOTNET_FILES_H
#define DUMPERS_RUNTIME_DOTNET_FILES_H

#include "base/buf.h"
#include "dumpers/proc/elf_id.h"
#include "dumpers/proc/maps.h"
#include "dumpers/proc/process.h"
#include "dumpers/runtime/dotnet_image.h"

enum { DOTNET_FILES_MAX = 4096, DOTNET_REASON_MAX = 240 };

enum dotnet_kind {
	DOTNET_FRAMEWORK_DEPENDENT, /* an installation's shared runtime */
	DOTNET_SELF_CONTAINED,      /* the program brings it along as files */
	DOTNET_SINGLE_FILE,         /* it is linked into the program, the assemblies are inside */
};
const char *dotnet_kind_name(enum dotnet_kind kind); /* "framework-dependent", ... */
bool dotnet_kind_parse(const char *name, enum dotnet_kind *ret);

struct dotnet_file {
	char *path; /* in the target's root; NULL: it has no such file */
	uint8_t build_id[ELF_ID_BUILD_ID_MAX];
	size_t build_id_len; /* 0: none. Of a file that is missing, the one that it must have */
	uint64_t size;       /* bytes; 0 where it could not be opened */
	char *entry;         /* of the archive that carries it, or NULL */
	char *reason;        /* why it could not be opened, or is not carried; NULL if it is */
	/* Where it is mapped; 0, 0: it is not. Not in the document. */
	uint64_t start, end;
	bool deleted; /* what is at the path now is another file */
};

struct dotnet_files {
	enum dotnet_kind kind;
	char version[DOTNET_VERSION_MAX]; /* "9.0.1", "3"; "": not known */
	struct dotnet_version files_say;  /* empty texts: not known */
	struct dotnet_file runtime;       /* libcoreclr.so, or the program of a single file */
	struct dotnet_file dac;
	struct dotnet_file *assemblies; /* owned; in the order of addresses */
	size_t assembly_count;          /* at most DOTNET_FILES_MAX; further ones are left out */
};

/*
 * Looks at the maps, which are of p, and at the files behind them. -ERR_NOT_FOUND if no .NET
 * runtime is mapped. What cannot be opened is in the list, with its reason; an assembly that cannot
 * is known by its name (.dll, .exe).
 */
int dotnet_files_find(const struct process *p, const struct maps *maps, struct dotnet_files *ret,
		      struct err *e);
void dotnet_files_done(struct dotnet_files *files); /* fine on a zeroed or done one */
#define _cleanup_dotnet_files_ _cleanup_(dotnet_files_done)

/* Opens one of p's: the mapped file itself where that may be, else what is at the path. Errors of
 * process_open_path; -ERR_NOT_FOUND also when the mapped file was deleted. */
int dotnet_file_open(const struct process *p, const struct dotnet_file *file, struct blob **ret,
		     struct err *e);
/* Sets the reason: cut, and the entry is none. */
int dotnet_file_set_reason(struct dotnet_file *file, const char *reason, struct err *e);
/* The one at this path of the target's root, or NULL. */
const struct dotnet_file *dotnet_files_at(const struct dotnet_files *files, const char *path);

/* Appends runtime/dotnet.json, schema "podsnap.dotnet/1". */
int dotnet_files_json(const struct dotnet_files *files, struct buf *ret, struct err *e);

/*
 * For detection, from a path alone: is this libcoreclr.so that of an installation? Its version,
 * which the folder is named by, goes to version.
 */
bool dotnet_is_shared(const char *runtime_path, char *version, size_t size);

#endif
