/* symtab.c: functions of the executable that the dynamic linker does not know.
 *
 * dlsym finds a function of the executable only if it was linked with -rdynamic, which is easily forgotten:
 * the examples that come with Weld forget it. The function's name is still in the symbol table of the
 * executable's file, unless that was stripped. So the file is mapped, the section headers lead to .symtab and
 * its strings, and the value found there plus the address at which the executable was loaded is the function.
 * Everything read from the file is checked against its size.
 */
#include "rt.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct File {
    const char *base;
    size_t size;
} File;

/* `count` things of `size` bytes at an offset of the file, or NULL. */
static const void *file_part(const File *file, uint64_t offset, uint64_t count, uint64_t size) {
    if (offset > file->size || offset % 4 || (count && size > (file->size - offset) / count)) return NULL;
    return file->base + offset;
}

static const ElfW(Shdr) * find_sections(const File *file, uint64_t *count) {
    const ElfW(Ehdr) *header = file_part(file, 0, 1, sizeof *header);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return NULL;
    if (header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) return NULL;
    if (header->e_shentsize != sizeof(ElfW(Shdr))) return NULL;
    *count = header->e_shnum;
    return file_part(file, header->e_shoff, *count, sizeof(ElfW(Shdr)));
}

/* The value of a global function's symbol; 0: there is none. */
static uint64_t find_value(const File *file, const char *name) {
    uint64_t count;
    size_t length = strlen(name) + 1;
    const ElfW(Shdr) *sections = find_sections(file, &count);
    for (uint64_t i = 0; sections && i < count; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= count) continue;
        const ElfW(Shdr) *texts = &sections[sections[i].sh_link];
        uint64_t symbols = sections[i].sh_size / sizeof(ElfW(Sym));
        const ElfW(Sym) *symbol = file_part(file, sections[i].sh_offset, symbols, sizeof *symbol);
        for (uint64_t k = 0; symbol && k < symbols; k++, symbol++) {
            if ((symbol->st_info & 15) != STT_FUNC || symbol->st_info >> 4 == STB_LOCAL) continue;
            if (symbol->st_shndx == SHN_UNDEF || symbol->st_name >= texts->sh_size) continue;
            uint64_t at = texts->sh_offset + symbol->st_name;
            if (at < file->size && file->size - at >= length && memcmp(file->base + at, name, length) == 0) {
                return symbol->st_value;
            }
        }
    }
    return 0;
}

/* The first object that the linker reports is the executable. */
static int find_base(struct dl_phdr_info *info, size_t size, void *base) {
    (void)size;
    *(uintptr_t *)base = (uintptr_t)info->dlpi_addr;
    return 1;
}

static void *find_function(const char *name) {
    int descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint64_t value = 0;
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_size > 0) {
        File file = {.size = (size_t)status.st_size};
        void *map = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (map != MAP_FAILED) {
            file.base = map;
            value = find_value(&file, name);
            munmap(map, file.size);
        }
    }
    if (descriptor >= 0) close(descriptor);
    uintptr_t base = 0;
    if (!value || dl_iterate_phdr(find_base, &base) != 1) return NULL;
    return (void *)(base + (uintptr_t)value);
}

/* What was found; the interpreter asks at every call. It only grows. */
typedef struct Found Found;
struct Found {
    Found *next;
    void *address;
    char name[];
};

static _Atomic(Found *) found;

void *executable_symbol(const char *name) {
    for (Found *known = atomic_load(&found); known; known = known->next) {
        if (strcmp(known->name, name) == 0) return known->address;
    }
    void *address = find_function(name);
    Found *fresh = address ? malloc(sizeof *fresh + strlen(name) + 1) : NULL;
    if (!fresh) return address;
    fresh->address = address;
    strcpy(fresh->name, name);
    fresh->next = atomic_load(&found);
    while (!atomic_compare_exchange_weak(&found, &fresh->next, fresh)) continue;
    return address;
}
