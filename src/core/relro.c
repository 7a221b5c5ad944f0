/*
 * Seals the relocated read-only data of this program; see relro.h for why.
 *
 * The linker leaves its own ELF header in the first page of the program and
 * names it __ehdr_start, and the program headers are found from there as the
 * kernel found them. All addresses in them are relative to where the kernel
 * put the program.
 */

#include <sys/mman.h>

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include "core/core.h"
#include "core/relro.h"

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

void
relro_seal(void)
{
	const ElfW(Ehdr) *eh = &__ehdr_start;
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)((uintptr_t)eh + eh->e_phoff);
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t base = 0;
	int i;

	for (i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset == 0)
			base = (uintptr_t)eh - ph[i].p_vaddr;
	for (i = 0; i < eh->e_phnum; i++) {
		uintptr_t start, end;

		if (ph[i].p_type != PT_GNU_RELRO)
			continue;
		/*
		 * The linker begins the range where the writable segment
		 * begins and ends it on a page, so rounding down both ends
		 * covers all of it and nothing that is written later.
		 */
		start = (base + ph[i].p_vaddr) & ~(page - 1);
		end = (base + ph[i].p_vaddr + ph[i].p_memsz) & ~(page - 1);
		if (start < end && mprotect((void *)start, end - start, PROT_READ) == -1) {
			perror("windlass: cannot make relocated data read-only");
			abort();
		}
	}
}
