/* The probe for x86-64, carried inside podsnap so that one file is the installation. */
	.section .rodata
	.balign 16
	.globl embedded_probe_x86_64
	.globl embedded_probe_x86_64_end
embedded_probe_x86_64:
	.incbin PROBE_FILE
embedded_probe_x86_64_end:
	.byte 0
	.section .note.GNU-stack, "", @progbits
