// On x86-64 an integer division by zero is a signal that ends the process, and ONNX
// Runtime's integer Div and Mod (and Col2Im) divide by the values of a request. On arm64
// the same instruction gives 0. This file makes x86-64 do that too, only inside the
// library, and records it, so that the run is refused. Nothing is unwound: the library
// continues as it does on arm64.
#define _GNU_SOURCE
#include "ort_shim.h"

static __thread volatile int divided;

int shim_divided(void) {
	int was = divided;
	divided = 0;
	return was;
}

#if defined(__x86_64__) && defined(__linux__)
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

// The library's code. Set once, before the handler is installed.
static struct {
	uintptr_t inside, start, end;
} code;
static struct sigaction before;

static int find_code(struct dl_phdr_info *info, size_t size, void *unused) {
	(void)size, (void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_LOAD && code.inside >= start && code.inside - start < segment->p_memsz) {
			code.start = start;
			code.end = start + segment->p_memsz;
			return 1;
		}
	}
	return 0;
}

// division returns the length of the DIV or IDIV at p, 0 for any other instruction, and
// the bits of the registers that receive its result.
static int division(const uint8_t *p, uint64_t *rax, uint64_t *rdx) {
	const uint8_t *start = p;
	int narrow = 0;
	while (*p == 0x66 || *p == 0x67 || *p == 0x2e || *p == 0x3e || *p == 0xf2 || *p == 0xf3)
		narrow |= *p++ == 0x66;
	int wide = 0;
	if ((*p & 0xf0) == 0x40)
		wide = *p++ & 8;
	uint8_t opcode = p[0], mode = p[1] >> 6, base = p[1] & 7;
	if ((opcode != 0xf6 && opcode != 0xf7) || ((p[1] >> 3) & 7) < 6)
		return 0;
	p += 2;
	if (mode != 3 && base == 4)
		base = *p++ & 7; // of the index byte; 5 means the same as without one
	if (mode == 1)
		p += 1;
	else if (mode == 2 || (mode == 0 && base == 5))
		p += 4;
	uint64_t bits = narrow && !wide ? 0xffff : UINT64_MAX; // a result of 32 bits clears the upper half
	*rax = opcode == 0xf6 ? 0xffff : bits;                 // a byte's quotient and remainder are both in AX
	*rdx = opcode == 0xf6 ? 0 : bits;
	return (int)(p - start);
}

static void on_fpe(int number, siginfo_t *info, void *context) {
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	uintptr_t at = (uintptr_t)registers[REG_RIP];
	if (info->si_code == FPE_INTDIV && at >= code.start && at < code.end) {
		uint64_t rax = 0, rdx = 0;
		int length = division((const uint8_t *)at, &rax, &rdx);
		if (length > 0) {
			registers[REG_RAX] &= (greg_t)~rax;
			registers[REG_RDX] &= (greg_t)~rdx;
			registers[REG_RIP] += length;
			divided = 1;
			return;
		}
	}
	// Another signal: the earlier handler, that of Go's runtime, gets it.
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else
		sigaction(SIGFPE, &before, NULL); // and the instruction faults again
}

void shim_trap_division(const void *inside) {
	struct sigaction action = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	code.inside = (uintptr_t)inside;
	if (dl_iterate_phdr(find_code, NULL) == 0)
		return;
	sigfillset(&action.sa_mask);
	sigaction(SIGFPE, &action, &before);
}
#else
void shim_trap_division(const void *inside) { (void)inside; }
#endif
