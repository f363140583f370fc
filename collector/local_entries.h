/* Entries that need no stop: process.json, copies of /proc files, and the mapped ELF files. */
#ifndef COLLECTOR_LOCAL_ENTRIES_H
#define COLLECTOR_LOCAL_ENTRIES_H

#include "collector/local_target.h"
#include "dumpers/stack/modules.h"

/* "<pid>-<comm>", the pid as its own namespace numbers it, unsafe bytes of the name as '_'. */
int process_entry_dir(const struct process *process, char *ret, size_t ret_size, struct err *e);
/* DIR/process.json and DIR/proc/... */
int add_process_entries(struct packer *packer, const struct process *process, const char *dir,
			bool show_secrets, struct err *e);
enum { MODULE_BYTES_MAX = 1 << 30 }; /* larger files are left out */

/* modules/<build-id>/<name>, name being the last component of path, or modules/sha256-<hash>/<name>
 * for a file without a build-id. */
int file_entry_name(const char *path, const uint8_t *build_id, size_t build_id_len,
		    struct blob *file, char *ret, size_t ret_size, struct err *e);
int module_entry_name(const struct module *module, struct blob *file, char *ret, size_t ret_size,
		      struct err *e);
/* The file as that entry; nothing if there is one of the name: two mappings of one file. */
int add_file(struct capture *c, const char *entry, struct blob *file, struct err *e);
/* The files of all modules; once, however many processes of a capture map one. dir is that of the
 * process. */
int add_modules(struct capture *c, struct modules *modules, const char *dir, struct err *e);

#endif
