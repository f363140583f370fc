#include "dumpers/runtime/describe.h"

#include "base/rfc3339.h"
#include "dumpers/proc/capability.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/proc/limits.h"
#include "dumpers/proc/namespaces.h"
#include "dumpers/proc/stat.h"
#include "dumpers/proc/status.h"
#include "dumpers/runtime/pids.h"
#include "dumpers/runtime/runtime.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

/* environ and cmdline are not here: they go through the masking of process.json. */
const struct proc_file proc_files[] = {
    {"maps", 64 << 20},         {"status", 256 << 10},  {"stat", 64 << 10},
    {"limits", 64 << 10},       {"cgroup", 64 << 10},   {"mountinfo", 16 << 20},
    {"smaps_rollup", 64 << 10}, {"io", 64 << 10},       {"oom_score", 4 << 10},
    {"oom_score_adj", 4 << 10}, {"schedstat", 4 << 10}, {"wchan", 4 << 10},
    {"net/tcp", 16 << 20},      {"net/tcp6", 16 << 20}, {"net/udp", 16 << 20},
    {"net/udp6", 16 << 20},     {"net/unix", 16 << 20}, {"net/sockstat", 64 << 10},
    {"net/dev", 1 << 20},
};
const size_t proc_file_count = ARRAY_SIZE(proc_files);

enum { UNREADABLE_MAX = 8 };

/* One description under way. */
struct description {
	const struct process *process;
	struct proc_status status;
	struct json j;
	/* What could not be read and why, printed at the end. */
	struct {
		const char *what;
		char why[256];
	} unreadable[UNREADABLE_MAX];
	size_t unreadable_count;
};

/* True when r is a failure, which is noted; the value is then to be written as null. */
static bool failed(struct description *d, const char *what, int r, const struct err *why)
{
	if (r >= 0) return false;
	if (d->unreadable_count < UNREADABLE_MAX) {
		size_t i = d->unreadable_count++;

		d->unreadable[i].what = what;
		snprintf(d->unreadable[i].why, sizeof(d->unreadable[i].why), "%.255s", why->text);
	}
	return true;
}

int process_summary_read(const struct process *p, struct process_summary *ret, struct err *e)
{
	struct proc_status status;
	int r = process_status(p, &status, e);

	if (r < 0) return r;
	*ret = (struct process_summary){.ns_pid = p->pid};
	if (status.nspid_count > 0) ret->ns_pid = (pid_t)status.nspid[status.nspid_count - 1];
	memcpy(ret->comm, status.name, MIN(sizeof(ret->comm), sizeof(status.name)));
	return 0;
}

static void put_identity(struct description *d)
{
	const struct proc_status *s = &d->status;
	char state[2] = {s->state, '\0'}, started[RFC3339_SIZE];
	uint64_t start_ns = proc_stat_start_ns(d->process->start_ticks);

	json_kv_int(&d->j, "pid", process_own_pid(d->process->pid, s));
	json_key(&d->j, "ns_pids");
	json_array(&d->j);
	for (size_t i = 0; i < s->nspid_count; i++)
		json_uint(&d->j, s->nspid[i]);
	json_array_end(&d->j);
	json_kv_uint(&d->j, "ppid", process_own_ppid(s));
	json_kv_uint(&d->j, "tracer_pid", s->tracer_pid);
	json_kv_string(&d->j, "name", s->name);
	json_kv_string(&d->j, "state", state);
	json_kv_uint(&d->j, "threads", s->threads);
	json_kv_uint(&d->j, "start_ticks", d->process->start_ticks);
	json_kv_string(&d->j, "started", rfc3339_utc((time_t)(start_ns / NS_PER_S), started));
}

static void put_link(struct description *d, const char *name)
{
	char target[4096];
	struct err why;
	int r = process_readlink(d->process, name, target, sizeof(target), &why);

	json_kv_string(&d->j, name, failed(d, name, r, &why) ? NULL : target);
}

static void put_build_id(struct json *j, const struct elf_id *id)
{
	char hex[2 * ELF_ID_BUILD_ID_MAX + 1];

	for (size_t i = 0; i < id->build_id_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id->build_id[i]);
	json_kv_string(j, "build_id", id->build_id_len ? hex : NULL);
}

static void put_program(struct description *d)
{
	struct elf_id id;
	struct err why;
	int r = process_exe_id(d->process, &id, &why);

	json_key(&d->j, "program");
	if (failed(d, "program", r, &why)) {
		json_null(&d->j);
		return;
	}
	json_object(&d->j);
	put_build_id(&d->j, &id);
	json_kv_uint(&d->j, "elf_machine", id.e_machine);
	json_kv_uint(&d->j, "elf_bits", id.elf_class == ELFCLASS64 ? 64 : 32);
	json_kv_string(&d->j, "interpreter", id.interp[0] ? id.interp : NULL);
	json_object_end(&d->j);
}

static void put_strings(struct description *d, const char *key,
			int (*read)(const struct process *, bool, struct string_list *,
				    struct err *),
			bool flag)
{
	_cleanup_string_list_ struct string_list list = {0};
	struct err why;
	int r = read(d->process, flag, &list, &why);

	json_key(&d->j, key);
	if (failed(d, key, r, &why)) {
		json_null(&d->j);
		return;
	}
	json_array(&d->j);
	for (size_t i = 0; i < list.count; i++)
		json_string(&d->j, list.v[i]);
	json_array_end(&d->j);
}

static void put_ids(struct json *j, const char *key, const uint32_t *ids)
{
	json_key(j, key);
	json_object(j);
	json_kv_uint(j, "real", ids[ID_REAL]);
	json_kv_uint(j, "effective", ids[ID_EFFECTIVE]);
	json_kv_uint(j, "saved", ids[ID_SAVED]);
	json_kv_uint(j, "fs", ids[ID_FS]);
	json_object_end(j);
}

static void put_capabilities(struct json *j, const char *key, uint64_t set)
{
	json_key(j, key);
	json_array(j);
	for (unsigned i = 0; i < CAPABILITY_MAX; i++) {
		char unknown[16];

		if (!(set >> i & 1)) continue;
		snprintf(unknown, sizeof(unknown), "%u", i);
		json_string(j, capability_name(i) ? capability_name(i) : unknown);
	}
	json_array_end(j);
}

static void put_credentials(struct description *d)
{
	const struct proc_status *s = &d->status;

	put_ids(&d->j, "uid", s->uid);
	put_ids(&d->j, "gid", s->gid);
	json_key(&d->j, "groups");
	json_array(&d->j);
	for (size_t i = 0; i < s->group_count; i++)
		json_uint(&d->j, s->groups[i]);
	json_array_end(&d->j);
	json_key(&d->j, "capabilities");
	json_object(&d->j);
	put_capabilities(&d->j, "effective", s->cap_eff);
	put_capabilities(&d->j, "permitted", s->cap_prm);
	put_capabilities(&d->j, "bounding", s->cap_bnd);
	json_object_end(&d->j);
	json_kv_bool(&d->j, "no_new_privs", s->no_new_privs != 0);
	json_kv_string(&d->j, "seccomp",
		       s->seccomp == 0   ? "off"
		       : s->seccomp == 1 ? "strict"
					 : "filter");
}

/* A field of status, or null where this kernel or this kind of process has none. */
static void put_field(struct description *d, const char *key, enum status_field field,
		      uint64_t value)
{
	json_key(&d->j, key);
	if (proc_status_has(&d->status, field))
		json_uint(&d->j, value);
	else
		json_null(&d->j);
}

static void put_memory(struct description *d)
{
	const struct proc_status *s = &d->status;

	json_key(&d->j, "memory");
	json_object(&d->j);
	put_field(d, "virtual_bytes", STATUS_VM_SIZE, s->vm_size_bytes);
	put_field(d, "rss_bytes", STATUS_VM_RSS, s->vm_rss_bytes);
	put_field(d, "rss_peak_bytes", STATUS_VM_HWM, s->vm_hwm_bytes);
	put_field(d, "rss_anon_bytes", STATUS_RSS_ANON, s->rss_anon_bytes);
	put_field(d, "rss_file_bytes", STATUS_RSS_FILE, s->rss_file_bytes);
	put_field(d, "rss_shmem_bytes", STATUS_RSS_SHMEM, s->rss_shmem_bytes);
	put_field(d, "swap_bytes", STATUS_VM_SWAP, s->vm_swap_bytes);
	put_field(d, "pinned_bytes", STATUS_VM_PIN, s->vm_pin_bytes);
	json_object_end(&d->j);
}

static void put_signals(struct description *d)
{
	const struct proc_status *s = &d->status;

	json_key(&d->j, "signals");
	json_object(&d->j);
	json_kv_hex(&d->j, "pending", s->sig_pnd | s->shd_pnd);
	json_kv_hex(&d->j, "blocked", s->sig_blk);
	json_kv_hex(&d->j, "ignored", s->sig_ign);
	json_kv_hex(&d->j, "caught", s->sig_cgt);
	json_object_end(&d->j);
}

static void put_namespaces(struct description *d)
{
	struct namespaces ns;

	process_namespaces(d->process, &ns);
	json_key(&d->j, "namespaces");
	json_object(&d->j);
	for (int i = 0; i < NS_COUNT; i++) {
		json_key(&d->j, ns_kind_name((enum ns_kind)i));
		if (ns.v[i].inode == 0) {
			json_null(&d->j);
			continue;
		}
		json_object(&d->j);
		json_kv_uint(&d->j, "inode", ns.v[i].inode);
		json_kv_bool(&d->j, "same_as_podsnap", ns.v[i].same);
		json_object_end(&d->j);
	}
	json_object_end(&d->j);
}

/* A number, "unlimited", or null. */
static void put_limit(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	if (value == CGROUP_UNLIMITED)
		json_string(j, "unlimited");
	else if (value == CGROUP_UNKNOWN)
		json_null(j);
	else
		json_uint(j, value);
}

static void put_limits(struct description *d)
{
	struct proc_limits limits;
	struct err why;
	int r = process_limits(d->process, &limits, &why);

	json_key(&d->j, "limits");
	if (failed(d, "limits", r, &why)) {
		json_null(&d->j);
		return;
	}
	json_object(&d->j);
	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		if (!limits.v[i].present) continue;
		json_key(&d->j, proc_limit_name(i));
		json_object(&d->j);
		put_limit(&d->j, "soft", limits.v[i].soft);
		put_limit(&d->j, "hard", limits.v[i].hard);
		json_object_end(&d->j);
	}
	json_object_end(&d->j);
}

static void put_cgroup(struct description *d)
{
	struct cgroup_info info;

	process_cgroup(d->process, &info);
	json_key(&d->j, "cgroup");
	json_object(&d->j);
	json_kv_uint(&d->j, "version", (uint64_t)info.version);
	json_kv_string(&d->j, "path", info.path[0] ? info.path : NULL);
	json_kv_string(&d->j, "container_id", info.container_id[0] ? info.container_id : NULL);
	put_limit(&d->j, "memory_limit_bytes", info.own_memory.limit);
	put_limit(&d->j, "memory_usage_bytes", info.own_memory.usage);
	json_key(&d->j, "memory_tightest_level");
	json_object(&d->j);
	put_limit(&d->j, "limit_bytes", info.memory.limit);
	put_limit(&d->j, "usage_bytes", info.memory.usage);
	put_limit(&d->j, "inactive_file_bytes", info.memory_inactive_file_bytes);
	json_object_end(&d->j);
	put_limit(&d->j, "pids_limit", info.pids.limit);
	put_limit(&d->j, "pids_current", info.pids.usage);
	put_limit(&d->j, "cpu_quota_us", info.cpu_quota_us);
	put_limit(&d->j, "cpu_period_us", info.cpu_period_us);
	json_kv_bool(&d->j, "oom_group", info.oom_group);
	json_object_end(&d->j);
}

static void put_runtime(struct description *d)
{
	struct runtime_guess guess;

	runtime_detect(d->process, &guess);
	json_key(&d->j, "runtime");
	runtime_guess_json(&guess, &d->j);
}

static void put_unreadable(struct description *d)
{
	json_key(&d->j, "unreadable");
	json_object(&d->j);
	for (size_t i = 0; i < d->unreadable_count; i++)
		json_kv_string(&d->j, d->unreadable[i].what, d->unreadable[i].why);
	json_object_end(&d->j);
}

int process_describe_json(const struct process *p, bool show_secrets, struct buf *ret,
			  struct err *e)
{
	struct description d = {.process = p};
	int r = process_check(p, e);

	if (r == 0) r = process_status(p, &d.status, e);
	if (r < 0) return r;
	json_init(&d.j, ret, true);
	json_object(&d.j);
	json_kv_string(&d.j, "schema", "podsnap.process/1");
	put_identity(&d);
	put_link(&d, "exe");
	put_link(&d, "cwd");
	put_link(&d, "root");
	put_program(&d);
	put_runtime(&d);
	put_strings(&d, "command", process_cmdline, !show_secrets);
	put_strings(&d, "environment", process_environ, show_secrets);
	json_kv_bool(&d.j, "secrets_masked", !show_secrets);
	put_credentials(&d);
	put_namespaces(&d);
	put_limits(&d);
	put_cgroup(&d);
	put_memory(&d);
	put_signals(&d);
	put_unreadable(&d);
	json_object_end(&d.j);
	return json_finish(&d.j, e);
}
