/*
 * Which call frame programs are run. libunwind 1.6 indexes arrays by DW_CFA_register's second
 * operand and by the return column, divides without looking, and follows jumps in expressions; so
 * what compilers and assemblers write passes here, and nothing else.
 */
#include "dumpers/stack/cfi.h"
#include "dumpers/stack/dwarf_cursor.h"

#include <dwarf.h>

struct checker {
	struct dwarf_cursor c;
	bool has_cfa;      /* a rule for the CFA was set */
	unsigned remember; /* states on the stack */
	bool in_cie;
};

/* Operations without operands that cannot trap or jump. */
static bool is_plain_op(uint8_t op)
{
	if (op >= DW_OP_lit0 && op <= DW_OP_lit31) return true;
	switch (op) {
	case DW_OP_deref:
	case DW_OP_dup:
	case DW_OP_drop:
	case DW_OP_over:
	case DW_OP_swap:
	case DW_OP_rot:
	case DW_OP_abs:
	case DW_OP_and:
	case DW_OP_minus:
	case DW_OP_mul:
	case DW_OP_neg:
	case DW_OP_not:
	case DW_OP_or:
	case DW_OP_plus:
	case DW_OP_xor:
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
	case DW_OP_eq:
	case DW_OP_ge:
	case DW_OP_gt:
	case DW_OP_le:
	case DW_OP_lt:
	case DW_OP_ne:
	case DW_OP_nop:
		return true;
	default:
		return false;
	}
}

static bool check_operation(struct dwarf_cursor *c)
{
	uint8_t op = (uint8_t)dwarf_fixed(c, 1);

	if (op >= DW_OP_breg0 && op < DW_OP_breg0 + CFI_REGS_MAX) {
		dwarf_sleb(c);
		return !c->bad;
	}
	switch (op) {
	case DW_OP_const1u:
	case DW_OP_const1s:
		dwarf_skip(c, 1);
		break;
	case DW_OP_const2u:
	case DW_OP_const2s:
		dwarf_skip(c, 2);
		break;
	case DW_OP_const4u:
	case DW_OP_const4s:
		dwarf_skip(c, 4);
		break;
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_addr:
		dwarf_skip(c, 8);
		break;
	case DW_OP_constu:
	case DW_OP_plus_uconst:
		dwarf_uleb(c);
		break;
	case DW_OP_consts:
		dwarf_sleb(c);
		break;
	case DW_OP_deref_size: {
		uint64_t size = dwarf_fixed(c, 1);

		return !c->bad && (size == 1 || size == 2 || size == 4 || size == 8);
	}
	default:
		return is_plain_op(op);
	}
	return !c->bad;
}

static bool check_expression(struct dwarf_cursor *c)
{
	uint64_t len = dwarf_uleb(c);
	struct dwarf_cursor expression = *c;

	dwarf_skip(c, len);
	if (c->bad || len == 0 || len > CFI_EXPRESSION_MAX) return false;
	expression.end = c->at;
	while (dwarf_left(&expression))
		if (!check_operation(&expression)) return false;
	return true;
}

static bool check_reg(uint64_t reg)
{
	return reg < CFI_REGS_MAX;
}

static bool check_state(struct checker *k, uint8_t op)
{
	/* In a CIE it could bring back the state before any CFA rule. */
	if (k->in_cie) return false;
	if (op == DW_CFA_remember_state) return ++k->remember <= CFI_REMEMBER_MAX;
	return k->remember-- > 0;
}

/* Opcodes whose operand is not in the opcode's low bits. */
static bool check_extended(struct checker *k, uint8_t op)
{
	struct dwarf_cursor *c = &k->c;

	switch (op) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_advance_loc1:
		dwarf_skip(c, 1);
		return true;
	case DW_CFA_advance_loc2:
		dwarf_skip(c, 2);
		return true;
	case DW_CFA_advance_loc4:
		dwarf_skip(c, 4);
		return true;
	case DW_CFA_restore_extended:
	case DW_CFA_undefined:
	case DW_CFA_same_value:
		return check_reg(dwarf_uleb(c));
	case DW_CFA_offset_extended:
	case DW_CFA_offset_extended_sf:
	case DW_CFA_GNU_negative_offset_extended: {
		bool ok = check_reg(dwarf_uleb(c));

		dwarf_uleb(c);
		return ok;
	}
	case DW_CFA_register: {
		bool ok = check_reg(dwarf_uleb(c));

		return check_reg(dwarf_uleb(c)) && ok;
	}
	case DW_CFA_remember_state:
	case DW_CFA_restore_state:
		return check_state(k, op);
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf: {
		bool ok = check_reg(dwarf_uleb(c));

		dwarf_uleb(c);
		k->has_cfa = true;
		return ok;
	}
	case DW_CFA_def_cfa_register:
		k->has_cfa = true;
		return check_reg(dwarf_uleb(c));
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_GNU_args_size:
		dwarf_uleb(c);
		return true;
	case DW_CFA_def_cfa_expression:
		k->has_cfa = true;
		return check_expression(c);
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		return check_reg(dwarf_uleb(c)) && check_expression(c);
	default:
		/* DW_CFA_set_loc among them: its pointer would need another place. */
		return false;
	}
}

static bool check_program(struct checker *k)
{
	while (dwarf_left(&k->c)) {
		uint8_t byte = (uint8_t)dwarf_fixed(&k->c, 1);
		uint8_t low = byte & 0x3f;

		switch (byte & 0xc0) {
		case DW_CFA_advance_loc:
			break;
		case DW_CFA_offset:
			dwarf_uleb(&k->c);
			if (!check_reg(low)) return false;
			break;
		case DW_CFA_restore:
			if (!check_reg(low)) return false;
			break;
		default:
			if (!check_extended(k, low)) return false;
		}
		if (k->c.bad) return false;
	}
	return true;
}

bool cfi_check(const struct cfi_fde *fde)
{
	struct checker k = {
	    .c = dwarf_cursor_of(fde->cie_program, fde->cie_program_len),
	    .in_cie = true,
	};

	if (fde->return_column >= CFI_REGS_MAX || fde->start >= fde->end) return false;
	if (!check_program(&k) || !k.has_cfa) return false;
	k.in_cie = false;
	k.c = dwarf_cursor_of(fde->program, fde->program_len);
	return check_program(&k);
}
