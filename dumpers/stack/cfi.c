#include "dumpers/stack/cfi.h"

#include "dumpers/stack/dwarf_cursor.h"

enum { ALIGNMENT_MAX = 64 };

struct cie {
	bool has_size;       /* augmentation 'z' */
	uint8_t pe, lsda_pe; /* pointer encodings */
	bool signal_frame;
	uint64_t code_align, return_column;
	int64_t data_align;
	struct dwarf_cursor program;
};

void cfi_reader_init(struct cfi_reader *r, struct target_memory *memory)
{
	r->memory = memory;
	r->cie = BUF_INIT(CFI_ENTRY_MAX);
	r->fde = BUF_INIT(CFI_ENTRY_MAX);
}

void cfi_reader_done(struct cfi_reader *r)
{
	buf_done(&r->cie);
	buf_done(&r->fde);
}

size_t cfi_pointer(const uint8_t *data, size_t len, uint8_t encoding, uint64_t addr, uint64_t base,
		   uint64_t *ret)
{
	struct dwarf_cursor c = dwarf_cursor_of(data, len);
	uint64_t value;

	switch (encoding & 0x0f) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		value = dwarf_fixed(&c, 8);
		break;
	case 0x01:
		value = dwarf_uleb(&c);
		break;
	case 0x02:
		value = dwarf_fixed(&c, 2);
		break;
	case 0x03:
		value = dwarf_fixed(&c, 4);
		break;
	case 0x09:
		value = (uint64_t)dwarf_sleb(&c);
		break;
	case 0x0a:
		value = (uint64_t)(int64_t)(int16_t)dwarf_fixed(&c, 2);
		break;
	case 0x0b:
		value = (uint64_t)(int64_t)(int32_t)dwarf_fixed(&c, 4);
		break;
	default:
		return 0;
	}
	if ((encoding & 0xf0) == CFI_PE_PCREL)
		value += addr;
	else if ((encoding & 0xf0) == CFI_PE_DATAREL && base)
		value += base;
	else if (encoding & 0xf0)
		return 0;
	if (c.bad) return 0;
	*ret = value;
	return len - dwarf_left(&c);
}

static bool read_augmentation(const char *text, struct dwarf_cursor *c, struct cie *cie)
{
	struct dwarf_cursor data;
	uint64_t len;
	uint64_t ignored;
	size_t n;
	uint8_t pe;

	if (text[0] == '\0') return true;
	/* "eh" of gcc before 3.0 has no size. */
	if (text[0] != 'z') return false;
	cie->has_size = true;
	len = dwarf_uleb(c);
	data = *c;
	dwarf_skip(c, len);
	if (c->bad) return false;
	data.end = c->at;
	for (const char *a = text + 1; *a; a++) {
		switch (*a) {
		case 'R':
			cie->pe = (uint8_t)dwarf_fixed(&data, 1);
			break;
		case 'L':
			cie->lsda_pe = (uint8_t)dwarf_fixed(&data, 1);
			break;
		case 'P':
			pe = (uint8_t)dwarf_fixed(&data, 1) & 0x0f;
			n = cfi_pointer(data.at, dwarf_left(&data), pe, 0, 0, &ignored);
			if (n == 0) return false;
			dwarf_skip(&data, n);
			break;
		case 'S':
			cie->signal_frame = true;
			break;
		default:
			/* The size says where the rest goes on; what was meant is not known, so
			 * what follows it in the string is not to be understood either. */
			return !data.bad;
		}
	}
	return !data.bad;
}

static int parse_cie(const struct buf *entry, struct cie *ret)
{
	struct dwarf_cursor c = dwarf_cursor_of((const uint8_t *)entry->data, entry->len);
	struct cie cie = {.pe = CFI_PE_ABSPTR, .lsda_pe = CFI_PE_OMIT};
	const char *augmentation;
	uint8_t version;

	if (dwarf_fixed(&c, 4) != 0) return -ERR_CORRUPT;
	version = (uint8_t)dwarf_fixed(&c, 1);
	if (version != 1 && version != 3) return -ERR_UNSUPPORTED;
	augmentation = (const char *)c.at;
	/* buf ends with a NUL behind its bytes: the text is bounded, and checked to end inside. */
	if (dwarf_left(&c) == 0) return -ERR_CORRUPT;
	dwarf_skip(&c, strlen(augmentation) + 1);
	cie.code_align = dwarf_uleb(&c);
	cie.data_align = dwarf_sleb(&c);
	cie.return_column = version == 1 ? dwarf_fixed(&c, 1) : dwarf_uleb(&c);
	if (c.bad || !read_augmentation(augmentation, &c, &cie)) return -ERR_CORRUPT;
	if (cie.code_align > ALIGNMENT_MAX || cie.data_align > ALIGNMENT_MAX ||
	    cie.data_align < -ALIGNMENT_MAX || cie.return_column >= CFI_REGS_MAX)
		return -ERR_CORRUPT;
	cie.program = c;
	*ret = cie;
	return 0;
}

/* The bytes of an entry behind its length; *ret_len 0 is the end mark. */
static int load_entry(struct cfi_reader *r, uint64_t addr, struct buf *ret, uint32_t *ret_len)
{
	uint32_t len;
	char *room;
	int err = target_memory_read(r->memory, addr, &len, sizeof(len));

	if (err < 0) return err;
	if (len == UINT32_MAX) return -ERR_UNSUPPORTED;
	if (len > CFI_ENTRY_MAX || (len != 0 && len < 8)) return -ERR_CORRUPT;
	buf_clear(ret);
	err = len ? buf_reserve(ret, len, &room, NULL) : 0;
	if (!err && len) err = target_memory_read(r->memory, addr + sizeof(len), room, len);
	if (err < 0) return err;
	if (len) {
		room[len] = '\0';
		ret->len = len;
	}
	*ret_len = len;
	return 0;
}

static int parse_fde(struct cfi_reader *r, uint64_t addr, uint32_t cie_distance,
		     struct cfi_fde *ret)
{
	struct dwarf_cursor c = dwarf_cursor_of((const uint8_t *)r->fde.data, r->fde.len);
	struct cie cie;
	uint64_t start, size;
	uint32_t len;
	size_t n;
	int err = load_entry(r, addr + 4 - cie_distance, &r->cie, &len);

	if (err < 0) return err;
	if (len == 0) return -ERR_CORRUPT;
	err = parse_cie(&r->cie, &cie);
	if (err < 0) return err;
	dwarf_skip(&c, 4);
	n = cfi_pointer(c.at, dwarf_left(&c), cie.pe, addr + 8, 0, &start);
	if (n == 0) return -ERR_UNSUPPORTED;
	dwarf_skip(&c, n);
	n = cfi_pointer(c.at, dwarf_left(&c), cie.pe & 0x0f, 0, 0, &size);
	if (n == 0) return -ERR_CORRUPT;
	dwarf_skip(&c, n);
	if (cie.has_size) dwarf_skip(&c, dwarf_uleb(&c));
	*ret = (struct cfi_fde){
	    .start = start,
	    .signal_frame = cie.signal_frame,
	    .cie_program = cie.program.at,
	    .cie_program_len = dwarf_left(&cie.program),
	    .program = c.at,
	    .program_len = dwarf_left(&c),
	    .code_align = cie.code_align,
	    .data_align = cie.data_align,
	    .return_column = cie.return_column,
	};
	return c.bad || add_overflows(start, size, &ret->end) ? -ERR_CORRUPT : 0;
}

int cfi_read(struct cfi_reader *r, uint64_t addr, struct cfi_entry *ret_entry, struct cfi_fde *ret)
{
	struct cfi_entry entry = {0};
	uint32_t len, id;
	int err = load_entry(r, addr, &r->fde, &len);

	if (err < 0) return err;
	if (add_overflows(addr, (uint64_t)len + sizeof(len), &entry.next)) return -ERR_CORRUPT;
	if (len == 0) {
		entry.is_end = true;
		*ret_entry = entry;
		return 0;
	}
	memcpy(&id, r->fde.data, sizeof(id));
	entry.is_cie = id == 0;
	*ret_entry = entry;
	return entry.is_cie ? 0 : parse_fde(r, addr, id, ret);
}

static int put_leb(struct buf *out, uint64_t value, bool is_signed, struct err *e)
{
	uint8_t bytes[10];
	size_t n = 0;
	bool more;

	do {
		uint8_t byte = value & 0x7f;

		if (is_signed) {
			value = (uint64_t)((int64_t)value >> 7);
			more = !((value == 0 && !(byte & 0x40)) ||
				 (value == UINT64_MAX && byte & 0x40));
		} else {
			value >>= 7;
			more = value != 0;
		}
		bytes[n++] = (uint8_t)(byte | (more ? 0x80 : 0));
	} while (more);
	return buf_append(out, bytes, n, e);
}

/* Puts the length into the 4 bytes kept for it at from. */
static void close_entry(struct buf *out, size_t from)
{
	uint32_t len = (uint32_t)(out->len - from - sizeof(uint32_t));

	memcpy(out->data + from, &len, sizeof(len));
}

static int write_cie(const struct cfi_fde *fde, struct buf *out, struct err *e)
{
	static const uint8_t head[9] = {0, 0, 0, 0, 0, 0, 0, 0, 3}; /* length, id, version */
	static const uint8_t tail[2] = {1, CFI_PE_UDATA8};
	size_t from = out->len;
	const char *augmentation = fde->signal_frame ? "zRS" : "zR";
	int r = buf_append(out, head, sizeof(head), e);

	if (!r) r = buf_append(out, augmentation, strlen(augmentation) + 1, e);
	if (!r) r = put_leb(out, fde->code_align, false, e);
	if (!r) r = put_leb(out, (uint64_t)fde->data_align, true, e);
	if (!r) r = put_leb(out, fde->return_column, false, e);
	if (!r) r = buf_append(out, tail, sizeof(tail), e);
	if (!r && fde->cie_program_len)
		r = buf_append(out, fde->cie_program, fde->cie_program_len, e);
	if (!r) close_entry(out, from);
	return r;
}

int cfi_write(const struct cfi_fde *fde, struct buf *out, size_t *ret_offset, struct err *e)
{
	/* libunwind reads 4 bytes behind a signal frame's FDE header; let them always be there. */
	static const uint8_t pad[8];
	size_t cie_at = out->len, fde_at;
	uint32_t head[2] = {0};
	uint64_t range[2] = {fde->start, fde->end - fde->start};
	uint8_t no_data = 0;
	int r = write_cie(fde, out, e);

	fde_at = out->len;
	head[1] = (uint32_t)(fde_at + sizeof(head[0]) - cie_at);
	if (!r) r = buf_append(out, head, sizeof(head), e);
	if (!r) r = buf_append(out, range, sizeof(range), e);
	if (!r) r = buf_append(out, &no_data, 1, e);
	if (!r && fde->program_len) r = buf_append(out, fde->program, fde->program_len, e);
	if (!r) {
		close_entry(out, fde_at);
		r = buf_append(out, pad, sizeof(pad), e);
	}
	if (r) {
		if (out->data) out->len = cie_at;
		return r;
	}
	*ret_offset = fde_at;
	return 0;
}
