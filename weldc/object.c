/* object.c: a linker for object files in memory: the x86-64 ELF files that our code generator makes.
 *
 * Code that comes from the cache must not pay for loading LLVM, and LLVM's own linker takes longer than this
 * for fresh code, too. What such a file holds is little: code, constants, and relocations between them, or to
 * symbols outside, which are calls (through a stub near the code) or addresses (from a table near the code):
 *
 *     mapping:  | code sections | stubs: jmp *[entry] |  page  | constants | table of addresses |
 *                 read, execute                                  read
 *
 *     call rt_for            PLT32       -> the stub of rt_for, or rt_for's section if it has one
 *     mov weld_types, %rax   GOTPCREL    -> the table's entry of weld_types
 *     vmovsd .LCPI0_0, %xmm0 PC32        -> the constant
 *
 * Every symbol that the file leaves open gets a stub and an entry, used or not: they are few. Where a program is several
 * files, each has such a mapping, and what one leaves open and another defines is found there. A mapping is
 * never writable and executable at once. A file is not trusted to be well formed: every offset, index, size
 * and distance is checked before it is used, and whatever is not known is refused. (What the machine code
 * does is the caller's to trust: it checks where a file comes from.)
 *
 * Source: System V ABI, AMD64 supplement, chapter 4.
 */
#include "weldc.h"

#include <errno.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct Object {
    struct {
        char *base;
        size_t size;
    } maps[OBJECT_FILES];
    const void *entry;
};

#if defined(__x86_64__) && defined(__linux__)

enum { STUB = 8, PAGE = 4096, MOST = 1 << 30 };

typedef struct Linker {
    const char *file;
    size_t size;
    Elf64_Ehdr header;
    Elf64_Shdr symbols, names; /* the table of symbols and their names */
    size_t nsymbols;
    size_t *places; /* of each section in the mapping; NOWHERE: it is not loaded */
    char *base;
    size_t stubs, table, total; /* offsets in the mapping, its size */
    size_t readable;            /* from here on it holds no code */
    const struct Linker *all;   /* of all files of the program */
    int count;
} Linker;
#define NOWHERE ((size_t)-1)

bool object_known_machine(void) {
    return true;
}

static bool inside(const Linker *l, uint64_t offset, uint64_t bytes) {
    return offset <= l->size && bytes <= l->size - offset;
}

static Elf64_Shdr section(const Linker *l, size_t index) {
    Elf64_Shdr s;
    memcpy(&s, l->file + l->header.e_shoff + index * sizeof s, sizeof s);
    return s;
}

static Elf64_Sym symbol(const Linker *l, size_t index) {
    Elf64_Sym s;
    memcpy(&s, l->file + l->symbols.sh_offset + index * sizeof s, sizeof s);
    return s;
}

/* NULL: the name lies outside of its table. */
static const char *symbol_name(const Linker *l, const Elf64_Sym *s) {
    return s->st_name < l->names.sh_size ? l->file + l->names.sh_offset + s->st_name : NULL;
}

static bool read_header(Linker *l) {
    static const unsigned char ident[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    Elf64_Ehdr *h = &l->header;
    if (l->size < sizeof *h || l->size > MOST) return false;
    memcpy(h, l->file, sizeof *h);
    return memcmp(h->e_ident, ident, sizeof ident) == 0 && h->e_type == ET_REL && h->e_machine == EM_X86_64 &&
           h->e_shentsize == sizeof(Elf64_Shdr) && h->e_shnum > 0 &&
           inside(l, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr));
}

/* Finds the one table of symbols, and holds every section to lie in the file. */
static bool read_sections(Linker *l) {
    bool found = false;
    for (size_t i = 0; i < l->header.e_shnum; i++) {
        Elf64_Shdr s = section(l, i);
        if (s.sh_type != SHT_NOBITS && !inside(l, s.sh_offset, s.sh_size)) return false;
        if (s.sh_type != SHT_SYMTAB) continue;
        if (found || s.sh_link >= l->header.e_shnum || s.sh_size % sizeof(Elf64_Sym)) return false;
        found = true;
        l->symbols = s;
        l->names = section(l, s.sh_link);
        l->nsymbols = s.sh_size / sizeof(Elf64_Sym);
    }
    return found && l->names.sh_type == SHT_STRTAB && inside(l, l->names.sh_offset, l->names.sh_size) &&
           l->names.sh_size > 0 && l->file[l->names.sh_offset + l->names.sh_size - 1] == 0;
}

static bool is_loaded(const Elf64_Shdr *s) {
    return (s->sh_flags & SHF_ALLOC) && s->sh_type == SHT_PROGBITS && s->sh_size > 0;
}

/* Gives places to the sections that hold code, or to the others. */
static bool place(Linker *l, bool code) {
    for (size_t i = 0; i < l->header.e_shnum; i++) {
        Elf64_Shdr s = section(l, i);
        if (!is_loaded(&s) || !(s.sh_flags & SHF_EXECINSTR) == code) continue;
        uint64_t align = s.sh_addralign ? s.sh_addralign : 1;
        if (align > PAGE || (align & (align - 1)) || (s.sh_flags & SHF_TLS)) return false;
        l->total = (l->total + align - 1) & ~(align - 1);
        l->places[i] = l->total;
        l->total += s.sh_size;
        if (l->total > MOST) return false;
    }
    return true;
}

static bool lay_out(Linker *l) {
    for (size_t i = 0; i < l->header.e_shnum; i++) l->places[i] = NOWHERE;
    if (!place(l, true)) return false;
    l->stubs = l->total = (l->total + 15) & ~(size_t)15;
    l->total += l->nsymbols * STUB;
    l->readable = l->total = (l->total + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (!place(l, false)) return false;
    l->table = l->total = (l->total + 15) & ~(size_t)15;
    l->total += l->nsymbols * sizeof(void *);
    return l->total <= MOST;
}

static void copy_sections(Linker *l) {
    for (size_t i = 0; i < l->header.e_shnum; i++) {
        Elf64_Shdr s = section(l, i);
        if (l->places[i] != NOWHERE) memcpy(l->base + l->places[i], l->file + s.sh_offset, s.sh_size);
    }
}

/* Where a symbol that the file defines lies. NULL: nowhere. */
static char *defined(const Linker *l, const Elf64_Sym *s) {
    if (s->st_shndx == SHN_UNDEF || s->st_shndx >= l->header.e_shnum) return NULL;
    size_t at = l->places[s->st_shndx];
    if (at == NOWHERE || s->st_value > section(l, s->st_shndx).sh_size) return NULL;
    return l->base + at + s->st_value;
}

/* The address of what the file defines for others under this name, or NULL. */
static char *find_global(const Linker *l, const char *name) {
    for (size_t i = 1; i < l->nsymbols; i++) {
        Elf64_Sym s = symbol(l, i);
        if (ELF64_ST_BIND(s.st_info) != STB_GLOBAL || s.st_shndx == SHN_UNDEF) continue;
        const char *found = symbol_name(l, &s);
        char *at = found && strcmp(found, name) == 0 ? defined(l, &s) : NULL;
        if (at) return at;
    }
    return NULL;
}

/* Of a symbol that the file leaves open: in another file, or outside of all. */
static void *find_open(const Linker *l, const char *name, const CodeOptions *options) {
    for (int i = 0; i < l->count; i++) {
        void *at = &l->all[i] == l ? NULL : find_global(&l->all[i], name);
        if (at) return at;
    }
    return options->symbol(options->data, name);
}

/* Fills the table of addresses and the stubs. */
static bool bind_symbols(const Linker *l, const CodeOptions *options, Error *error) {
    for (size_t i = 1; i < l->nsymbols; i++) {
        Elf64_Sym s = symbol(l, i);
        const char *name = symbol_name(l, &s);
        void *address = s.st_shndx == SHN_UNDEF ? NULL : defined(l, &s);
        if (s.st_shndx == SHN_UNDEF) {
            if (!name || !*name || ELF64_ST_TYPE(s.st_info) == STT_TLS) return false;
            address = find_open(l, name, options);
            if (!address) return code_missing_symbol(name, error);
        }
        memcpy(l->base + l->table + i * sizeof address, &address, sizeof address);
        char *stub = l->base + l->stubs + i * STUB;
        int32_t distance = (int32_t)((l->table + i * sizeof address) - (l->stubs + i * STUB + 6));
        stub[0] = (char)0xff, stub[1] = 0x25; /* jmp *distance(%rip) */
        memcpy(stub + 2, &distance, sizeof distance);
        memset(stub + 6, 0xcc, 2);
    }
    return true;
}

static bool put_32(char *at, int64_t value) {
    int32_t narrow = (int32_t)value;
    memcpy(at, &narrow, sizeof narrow);
    return narrow == value;
}

/* Applies one relocation to the section that begins at `target` and has `bytes` bytes. */
static bool relocate(const Linker *l, char *target, uint64_t bytes, const Elf64_Rela *r) {
    uint32_t type = ELF64_R_TYPE(r->r_info);
    size_t index = ELF64_R_SYM(r->r_info), width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
    if (type == R_X86_64_NONE) return true;
    if (index >= l->nsymbols || r->r_offset > bytes || width > bytes - r->r_offset) return false;
    Elf64_Sym s = symbol(l, index);
    char *at = target + r->r_offset, *to = defined(l, &s);
    int64_t place = (int64_t)(intptr_t)at, addend = r->r_addend, value;
    if (addend < INT32_MIN || addend > INT32_MAX) return false;
    bool external = s.st_shndx == SHN_UNDEF;
    char *entry = l->base + l->table + index * sizeof(void *);
    switch (type) {
    case R_X86_64_64:
    case R_X86_64_PC64:
        if (external) memcpy(&to, entry, sizeof to);
        value = (int64_t)(intptr_t)to + addend - (type == R_X86_64_PC64 ? place : 0);
        memcpy(at, &value, sizeof value);
        return to != NULL;
    case R_X86_64_PLT32:
        if (external) to = l->base + l->stubs + index * STUB;
        return to && put_32(at, (int64_t)(intptr_t)to + addend - place);
    case R_X86_64_PC32: return to && put_32(at, (int64_t)(intptr_t)to + addend - place);
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX:
        return (external || to) && put_32(at, (int64_t)(intptr_t)entry + addend - place);
    default: return false;
    }
}

static bool relocate_all(const Linker *l) {
    for (size_t i = 0; i < l->header.e_shnum; i++) {
        Elf64_Shdr s = section(l, i);
        if (s.sh_type == SHT_REL) return false;
        if (s.sh_type != SHT_RELA || s.sh_info >= l->header.e_shnum || l->places[s.sh_info] == NOWHERE)
            continue;
        if (s.sh_size % sizeof(Elf64_Rela)) return false;
        uint64_t bytes = section(l, s.sh_info).sh_size;
        for (uint64_t at = 0; at < s.sh_size; at += sizeof(Elf64_Rela)) {
            Elf64_Rela r;
            memcpy(&r, l->file + s.sh_offset + at, sizeof r);
            if (!relocate(l, l->base + l->places[s.sh_info], bytes, &r)) return false;
        }
    }
    return true;
}

static bool protect(const Linker *l) {
    return mprotect(l->base, l->readable, PROT_READ | PROT_EXEC) == 0 &&
           (l->total == l->readable ||
            mprotect(l->base + l->readable, l->total - l->readable, PROT_READ) == 0);
}

/* Brings a file into memory, as it is. */
static bool open_file(Linker *l, Error *error) {
    if (!read_header(l) || !read_sections(l)) return false;
    l->places = malloc(l->header.e_shnum * sizeof *l->places);
    if (!l->places) return error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    if (!lay_out(l)) return false;
    void *map = mmap(NULL, l->total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return error_set(error, E_OutOfMemory, (Span){0}, "no memory for compiled code");
    l->base = map;
    copy_sections(l);
    return true;
}

/* Binds it to what is outside. All files are in memory. */
static bool link_file(const Linker *l, const CodeOptions *options, Error *error) {
    if (!bind_symbols(l, options, error) || !relocate_all(l)) return false;
    return protect(l) || error_set(error, errno == ENOMEM ? E_OutOfMemory : E_Internal, (Span){0},
                                   "the memory of compiled code cannot be protected: %s", strerror(errno));
}

static bool link_files(Linker *all, int count, Object *object, const CodeOptions *options, Error *error) {
    for (int i = 0; i < count; i++) {
        bool ok = open_file(&all[i], error);
        object->maps[i].base = all[i].base;
        object->maps[i].size = all[i].total;
        if (!ok) return false;
    }
    for (int i = 0; i < count; i++) {
        if (!link_file(&all[i], options, error)) return false;
        const char *entry = find_global(&all[i], "weld_run");
        if (entry && entry < all[i].base + all[i].stubs) object->entry = entry;
    }
    return object->entry != NULL;
}

Object *object_load(const ObjectFile *files, int count, const CodeOptions *options, Error *error) {
    Linker all[OBJECT_FILES] = {0};
    for (int i = 0; i < count; i++)
        all[i] = (Linker){.file = files[i].bytes, .size = files[i].size, .all = all, .count = count};
    Object *object = calloc(1, sizeof *object);
    bool ok = object ? link_files(all, count, object, options, error)
                     : error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    for (int i = 0; i < count; i++) free(all[i].places);
    if (ok) return object;
    error_set(error, E_Internal, (Span){0}, "the machine code is damaged");
    object_free(object);
    return NULL;
}

#else

bool object_known_machine(void) {
    return false;
}

Object *object_load(const ObjectFile *files, int count, const CodeOptions *options, Error *error) {
    (void)files, (void)count, (void)options;
    error_set(error, E_Internal, (Span){0}, "there is no linker for this machine");
    return NULL;
}

#endif

const void *object_entry(const Object *object) {
    return object->entry;
}

void object_free(Object *object) {
    for (int i = 0; object && i < OBJECT_FILES; i++) {
        if (object->maps[i].base) munmap(object->maps[i].base, object->maps[i].size);
    }
    free(object);
}
