/*
 * .NET (CoreCLR): libcoreclr.so is mapped, or is linked into a single-file program, which then
 * exports DotNetRuntimeInfo. The diagnostics socket is named in
 * https://github.com/dotnet/diagnostics/blob/main/documentation/design-docs/ipc-protocol.md
 */
#include "dumpers/runtime/runtime.h"

#include "dumpers/proc/scan.h"
#include "dumpers/proc/status.h"
#include "dumpers/proc/target_file.h"
#include "dumpers/runtime/dotnet_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { TMP_ENTRIES_MAX = 20000 };

/* "dotnet-diagnostic-PID-KEY-socket" in the target's /tmp; PID is of its own namespace. TMPDIR,
 * which may put it elsewhere, is not asked: the socket is only an addition to the evidence. */
static bool find_socket(const struct process *p, char *ret, size_t ret_size)
{
	int fd = openat(p->proc_fd, "root/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct proc_status status;
	struct dirent *entry;
	bool found = false;
	char prefix[64];
	DIR *dir;

	if (fd < 0) return false;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return false;
	}
	if (process_status(p, &status, NULL) == 0 && status.nspid_count > 0) {
		snprintf(prefix, sizeof(prefix), "dotnet-diagnostic-%llu-",
			 (unsigned long long)status.nspid[status.nspid_count - 1]);
		for (int i = 0; i < TMP_ENTRIES_MAX && !found && (entry = readdir(dir)); i++) {
			found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
			if (found) snprintf(ret, ret_size, "/tmp/%s", entry->d_name);
		}
	}
	closedir(dir);
	return found;
}

/* An installation's folder is named by it; else the file says it. */
static void take_version(const struct runtime_facts *facts, const char *path,
			 struct runtime_guess *ret)
{
	_cleanup_blob_ struct blob *file = NULL;
	struct dotnet_version version;

	if (dotnet_is_shared(path, ret->version, sizeof(ret->version))) return;
	if (facts->process && process_open_path(facts->process, path, &file, NULL) == 0 &&
	    dotnet_version_read(file, &version, NULL) == 0)
		dotnet_product_version(version.file, ret->version, sizeof(ret->version));
}

static void take_version_of_program(struct runtime_facts *facts, struct runtime_guess *ret)
{
	struct blob *exe = facts_exe_file(facts);
	struct dotnet_version version;

	if (exe && dotnet_version_read(exe, &version, NULL) == 0)
		dotnet_product_version(version.file, ret->version, sizeof(ret->version));
}

static void add_socket(struct runtime_facts *facts, struct runtime_guess *ret)
{
	size_t len = strlen(ret->evidence);
	char socket[300];

	if (facts->process && find_socket(facts->process, socket, sizeof(socket)))
		snprintf(ret->evidence + len, sizeof(ret->evidence) - len, ", has the socket %s",
			 socket);
}

static void detect(struct runtime_facts *facts, struct runtime_guess *ret)
{
	const char *path = facts_find_map(facts, "libcoreclr.so");

	if (path) {
		/* Its host, "dotnet" or a program's own, is nothing beside it. */
		runtime_say(ret, RUNTIME_PROGRAM, "maps %s", path);
		take_version(facts, path, ret);
		add_socket(facts, ret);
	} else if (facts_exe_has_symbol(facts, "DotNetRuntimeInfo")) {
		runtime_say(ret, RUNTIME_PROGRAM, "%s exports DotNetRuntimeInfo", facts->exe);
		take_version_of_program(facts, ret);
		add_socket(facts, ret);
	} else {
		runtime_say_named(facts, "dotnet", ret);
	}
}

const struct runtime runtime_dotnet = {RUNTIME_DOTNET, "dotnet", detect};
