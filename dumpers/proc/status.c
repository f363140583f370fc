#include "dumpers/proc/status.h"

#include "dumpers/proc/scan.h"

enum kind { KIND_NAME, KIND_STATE, KIND_DEC, KIND_HEX, KIND_KB, KIND_IDS, KIND_GROUPS, KIND_NSPID };

static const struct {
	const char *label;
	enum kind kind;
	size_t offset; /* of the member; not for NAME, STATE, GROUPS, NSPID */
} fields[STATUS_FIELD_COUNT] = {
#define AT(member) offsetof(struct proc_status, member)
    [STATUS_NAME] = {"Name", KIND_NAME, 0},
    [STATUS_STATE] = {"State", KIND_STATE, 0},
    [STATUS_TGID] = {"Tgid", KIND_DEC, AT(tgid)},
    [STATUS_PPID] = {"PPid", KIND_DEC, AT(ppid)},
    [STATUS_TRACER_PID] = {"TracerPid", KIND_DEC, AT(tracer_pid)},
    [STATUS_UID] = {"Uid", KIND_IDS, AT(uid)},
    [STATUS_GID] = {"Gid", KIND_IDS, AT(gid)},
    [STATUS_GROUPS] = {"Groups", KIND_GROUPS, 0},
    [STATUS_NSPID] = {"NSpid", KIND_NSPID, 0},
    [STATUS_KTHREAD] = {"Kthread", KIND_DEC, AT(kthread)},
    [STATUS_THREADS] = {"Threads", KIND_DEC, AT(threads)},
    [STATUS_VM_SIZE] = {"VmSize", KIND_KB, AT(vm_size_bytes)},
    [STATUS_VM_RSS] = {"VmRSS", KIND_KB, AT(vm_rss_bytes)},
    [STATUS_VM_PIN] = {"VmPin", KIND_KB, AT(vm_pin_bytes)},
    [STATUS_VM_SWAP] = {"VmSwap", KIND_KB, AT(vm_swap_bytes)},
    [STATUS_VM_HWM] = {"VmHWM", KIND_KB, AT(vm_hwm_bytes)},
    [STATUS_RSS_ANON] = {"RssAnon", KIND_KB, AT(rss_anon_bytes)},
    [STATUS_RSS_FILE] = {"RssFile", KIND_KB, AT(rss_file_bytes)},
    [STATUS_RSS_SHMEM] = {"RssShmem", KIND_KB, AT(rss_shmem_bytes)},
    [STATUS_SIG_PND] = {"SigPnd", KIND_HEX, AT(sig_pnd)},
    [STATUS_SHD_PND] = {"ShdPnd", KIND_HEX, AT(shd_pnd)},
    [STATUS_SIG_BLK] = {"SigBlk", KIND_HEX, AT(sig_blk)},
    [STATUS_SIG_IGN] = {"SigIgn", KIND_HEX, AT(sig_ign)},
    [STATUS_SIG_CGT] = {"SigCgt", KIND_HEX, AT(sig_cgt)},
    [STATUS_CAP_PRM] = {"CapPrm", KIND_HEX, AT(cap_prm)},
    [STATUS_CAP_EFF] = {"CapEff", KIND_HEX, AT(cap_eff)},
    [STATUS_CAP_BND] = {"CapBnd", KIND_HEX, AT(cap_bnd)},
    [STATUS_NO_NEW_PRIVS] = {"NoNewPrivs", KIND_DEC, AT(no_new_privs)},
    [STATUS_SECCOMP] = {"Seccomp", KIND_DEC, AT(seccomp)},
    [STATUS_SECCOMP_FILTERS] = {"Seccomp_filters", KIND_DEC, AT(seccomp_filters)},
#undef AT
};

/* The kernel writes newline and backslash as "\n" and "\\" (string_escape_str with ESCAPE_SPACE |
 * ESCAPE_SPECIAL, only those two). */
static void take_name(struct scan value, char ret[STATUS_NAME_MAX])
{
	size_t n = 0;

	while (value.at < value.end && n < STATUS_NAME_MAX - 1) {
		if (scan_literal(&value, "\\n"))
			ret[n++] = '\n';
		else if (scan_literal(&value, "\\\\"))
			ret[n++] = '\\';
		else
			ret[n++] = *value.at++;
	}
	ret[n] = '\0';
}

static bool take_ids(struct scan *value, uint32_t *ret)
{
	for (size_t i = 0; i < ID_COUNT; i++) {
		scan_blanks(value);
		if (!scan_u32(value, 10, &ret[i])) return false;
	}
	return true;
}

static bool take_groups(struct scan *value, struct proc_status *ret)
{
	uint32_t group;

	ret->group_count = 0;
	for (scan_blanks(value); value->at < value->end; scan_blanks(value)) {
		if (!scan_u32(value, 10, &group)) return false;
		if (ret->group_count < STATUS_GROUPS_MAX) ret->groups[ret->group_count++] = group;
	}
	return true;
}

static bool take_nspid(struct scan *value, struct proc_status *ret)
{
	ret->nspid_count = 0;
	for (scan_blanks(value); value->at < value->end; scan_blanks(value)) {
		if (ret->nspid_count == STATUS_PID_LEVELS_MAX ||
		    !scan_u64(value, 10, &ret->nspid[ret->nspid_count]))
			return false;
		ret->nspid_count++;
	}
	return ret->nspid_count > 0;
}

static bool take_kb(struct scan *value, uint64_t *ret)
{
	uint64_t kb;

	return scan_u64(value, 10, &kb) && scan_literal(value, " kB") &&
	       !mul_overflows(kb, KIB, ret);
}

static bool take_value(enum status_field field, struct scan value, struct proc_status *ret)
{
	void *member = (char *)ret + fields[field].offset;

	/* The name is everything behind one tab; blanks may be part of it. */
	if (fields[field].kind == KIND_NAME) {
		scan_char(&value, '\t');
		take_name(value, ret->name);
		return true;
	}
	scan_blanks(&value);
	switch (fields[field].kind) {
	case KIND_STATE:
		ret->state = value.at < value.end ? *value.at : '\0';
		return ret->state != '\0';
	case KIND_DEC:
		return scan_u64(&value, 10, member);
	case KIND_HEX:
		return scan_u64(&value, 16, member);
	case KIND_KB:
		return take_kb(&value, member);
	case KIND_IDS:
		return take_ids(&value, member);
	case KIND_GROUPS:
		return take_groups(&value, ret);
	case KIND_NSPID:
		return take_nspid(&value, ret);
	default:
		return false;
	}
}

static int take_line(struct scan line, struct proc_status *ret, struct err *e)
{
	struct scan label;

	if (!scan_until(&line, ':', &label)) return 0;
	for (int i = 0; i < STATUS_FIELD_COUNT; i++) {
		if (!scan_equals(&label, fields[i].label)) continue;
		if (!take_value((enum status_field)i, line, ret))
			return err_set(e, ERR_CORRUPT, "status: the line %s is malformed",
				       fields[i].label);
		ret->present |= (uint64_t)1 << i;
		return 0;
	}
	return 0;
}

int proc_status_parse(const char *text, size_t len, struct proc_status *ret, struct err *e)
{
	struct scan s = scan_of(text, len), line;
	struct proc_status status = {0};

	while (scan_line(&s, &line)) {
		int r = take_line(line, &status, e);

		if (r < 0) return r;
	}
	*ret = status;
	return 0;
}

int process_status(const struct process *p, struct proc_status *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(STATUS_TEXT_MAX);
	int r = process_read(p, "status", &text, e);

	if (r < 0) return r;
	return proc_status_parse(text.data, text.len, ret, e);
}
