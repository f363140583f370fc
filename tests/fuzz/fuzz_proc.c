/*
 * Every parser of /proc texts, command lines and ELF images. The first byte chooses the parser by
 * its low bits; an input that holds two texts has a NUL between them.
 */
#include "dumpers/proc/cgroup.h"
#include "dumpers/proc/cmdline.h"
#include "dumpers/proc/coredump_filter.h"
#include "dumpers/proc/elf_id.h"
#include "dumpers/proc/fds.h"
#include "dumpers/proc/limits.h"
#include "dumpers/proc/maps.h"
#include "dumpers/proc/namespaces.h"
#include "dumpers/proc/stat.h"
#include "dumpers/proc/status.h"
#include "dumpers/runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20 };

static void fuzz_smaps(const char *text, size_t len)
{
	_cleanup_coredump_filter_ struct coredump_filter f = {.huge = RANGE_LIST_INIT(100),
							      .dontdump = RANGE_LIST_INIT(100)};
	struct range at = {0};
	uint32_t mask;

	coredump_filter_parse_mask(text, len, &mask, NULL);
	coredump_filter_parse_smaps(text, len, &at, &f, NULL);
	for (size_t i = 0; i < f.huge.count; i++)
		if (f.huge.ranges[i].start >= f.huge.ranges[i].end) abort();
}

/* What was parsed and printed must parse to the same, and the map must find its own addresses. */
static void fuzz_maps(const char *text, size_t len)
{
	_cleanup_maps_ struct maps maps = {0}, again = {0};
	_cleanup_buf_ struct buf printed = BUF_INIT(8 * (size_t)TEXT_MAX);

	fuzz_smaps(text, len);
	if (maps_parse(text, len, &maps, NULL) < 0) return;
	if (maps_format(&maps, &printed, NULL) < 0) abort();
	if (maps_parse(printed.data, printed.len, &again, NULL) < 0) abort();
	if (again.count != maps.count) abort();
	for (size_t i = 0; i < maps.count; i++) {
		const struct map *a = &maps.v[i], *b = &again.v[i];

		if (a->start != b->start || a->end != b->end || a->prot != b->prot ||
		    a->inode != b->inode || strcmp(a->name, b->name) != 0)
			abort();
		if (maps_find(&maps, a->start) != a || maps_find(&maps, a->end - 1) != a) abort();
	}
}

static void fuzz_stat(const char *text, size_t len)
{
	struct proc_stat stat;

	if (proc_stat_parse(text, len, &stat, NULL) == 0)
		if (stat.pid < 0 || strlen(stat.comm) >= sizeof(stat.comm)) abort();
}

static void fuzz_status(const char *text, size_t len)
{
	struct proc_status status;
	struct proc_limits limits;

	if (proc_status_parse(text, len, &status, NULL) == 0) {
		if (status.group_count > STATUS_GROUPS_MAX ||
		    status.nspid_count > STATUS_PID_LEVELS_MAX ||
		    strlen(status.name) >= sizeof(status.name))
			abort();
	}
	proc_limits_parse(text, len, &limits, NULL);
}

/* A cgroup file, NUL, a mountinfo. */
static void fuzz_cgroup(const char *text, size_t len)
{
	size_t first = strnlen(text, len), second = MIN(first + 1, len);
	char path[CGROUP_PATH_MAX], mount[CGROUP_PATH_MAX], id[CGROUP_CONTAINER_ID_SIZE];
	size_t skip;
	int version;

	if (!cgroup_find_path(text, first, "memory", path, &version)) return;
	if (path[0] != '/' || (version != 1 && version != 2)) abort();
	cgroup_container_id(path, id);
	if (!cgroup_find_mount(text + second, len - second, version, "memory", path, mount, &skip))
		return;
	if (mount[0] != '/' || skip > strlen(path)) abort();
	/* Nothing may lead out of the mount. */
	if (strstr(path + skip, "/../")) abort();
}

static void fuzz_fds(const char *text, size_t len)
{
	struct fd_info v[2] = {{.fd = 3, .target = "socket:[5]", .inode = 5},
			       {.fd = 4, .target = "socket:[5]", .inode = 5}};
	struct fd_list list = {.v = v, .count = 2};
	char target[FD_TARGET_MAX] = "";
	uint64_t pos, flags, inode;

	for (int t = 0; t < SOCKET_TABLES; t++)
		socket_table_apply(text, len, (enum socket_table)t, &list);
	if (memcmp(&v[0].socket, &v[1].socket, sizeof(v[0].socket)) != 0) abort();
	fdinfo_parse(text, len, &pos, &flags);
	memcpy(target, text, MIN(len, sizeof(target) - 1));
	fd_target_inode(target);
	ns_link_parse(target, NS_PID, &inode);
}

/* A password is put where it must not survive. */
static void fuzz_cmdline(const char *text, size_t len)
{
	static const char planted[] = "DB_PASSWORD=PLANTED-SECRET";
	_cleanup_string_list_ struct string_list argv = {0}, env = {0};
	_cleanup_buf_ struct buf line = BUF_INIT(8 * (size_t)TEXT_MAX), with = BUF_INIT(TEXT_MAX);

	if (cmdline_split(text, len, true, &argv, NULL) < 0) abort();
	if (cmdline_join(&argv, 100, &line, NULL) < 0 || line.len > 100) abort();
	if (buf_append(&with, planted, sizeof(planted), NULL) < 0) return;
	if (buf_append(&with, text, len, NULL) < 0) return;
	if (environ_split(with.data, with.len, false, &env, NULL) < 0) abort();
	if (env.count == 0 || strstr(env.v[0], "PLANTED")) abort();
}

static void fuzz_elf(const char *image, size_t len)
{
	_cleanup_facts_ struct runtime_facts facts = {.exe_tried = true, .maps_readable = true};
	struct runtime_guess guess;
	struct elf_id id;

	if (blob_from_memory(image, len, &facts.exe_file, NULL) < 0) return;
	if (elf_id_of_blob(facts.exe_file, &id, NULL) == 0 && id.build_id_len > sizeof(id.build_id))
		abort();
	elf_id_read(elf_read_blob, facts.exe_file, ELF_LAYOUT_MEMORY, &id, NULL);
	runtime_detect_facts(&facts, &guess);
	if (!guess.runtime || strlen(guess.version) >= sizeof(guess.version)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const char *, size_t) = {
	    fuzz_maps, fuzz_stat, fuzz_status, fuzz_cgroup, fuzz_fds, fuzz_cmdline, fuzz_elf,
	};

	if (size == 0 || size > TEXT_MAX / 2) return 0;
	parsers[data[0] % ARRAY_SIZE(parsers)]((const char *)data + 1, size - 1);
	return 0;
}
