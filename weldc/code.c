/* code.c: compiled programs: what the code generator hands over, and running it.
 *
 * The code generator makes an *image*: plain bytes, which may be kept in a file and loaded in another
 * process:
 *
 *     ImageHeader | types that runtime calls are given, then the result's | bytes of string constants |
 * objects
 *
 * The objects refer to everything outside by symbols: runtime calls, libm's functions, foreign functions, the
 * table of types and the strings. A Code owns what those point to, so it lives without the program that it
 * came from, and does not change once it was made. A type is written as its kind, operator, number of
 * parts and the parts; the reader makes it anew and believes nothing.
 */
#include "weldc.h"

#include <stdlib.h>
#include <string.h>

typedef struct ImageHeader {
    uint64_t types, strings, objects[OBJECT_FILES]; /* bytes; 0: there is no such object */
    uint32_t count;                                 /* of types, without the result's */
    uint32_t builders_come_in;
} ImageHeader;

struct Code {
    Arena arena;
    TypeTable types;
    const Type **type_table;
    const Type *result;
    bool builders_come_in; /* in arguments: they may keep what a run allocates */
    Buf strings;
    const CodeOptions *options; /* while it is linked */
    Object *object;
    const Jit *jit; /* where object.c does not know the machine: the linker, and what it made */
    void *linked;
    ErrorCode (*run)(Worker *worker, const void *args, void *out);
};

/* ---- images ---- */

static void type_write(Buf *out, const Type *type) {
    uint32_t head[3] = {(uint32_t)type->kind, (uint32_t)type->op, (uint32_t)type->count};
    buf_put(out, (const char *)head, sizeof head);
    for (int i = 0; i < type->count; i++) type_write(out, type->args[i]);
}

bool image_write(Buf *image, const Program *program, const Type **types, int count, const Buf *strings,
                 const ObjectFile *files, int nfiles) {
    ImageHeader header = {.strings = strings->length, .count = (uint32_t)count};
    for (int i = 0; i < nfiles; i++) header.objects[i] = files[i].size;
    const Node *root = program->root;
    for (int i = 0; i < root->nparams; i++) header.builders_come_in |= root->params[i]->type->builders;
    buf_put(image, (const char *)&header, sizeof header);
    for (int i = 0; i < count; i++) type_write(image, types[i]);
    type_write(image, program_result_type(program));
    header.types = image->length - sizeof header;
    if (!image->failed) memcpy(image->text, &header, sizeof header);
    buf_put(image, strings->text ? strings->text : "", strings->length);
    for (int i = 0; i < nfiles; i++) buf_put(image, files[i].bytes, files[i].size);
    return !image->failed && !strings->failed;
}

typedef struct Reader {
    const char *at, *end;
    TypeTable *types;
    uint32_t left; /* parts that may still come */
} Reader;

/* Does a type of this kind have so many parts? */
static bool fits(TypeKind kind, Op op, uint32_t count) {
    if (kind <= TY_unknown || kind >= TY_COUNT || op < OP_none || op >= OP_COUNT) return false;
    int arguments = type_is_scalar(&(Type){.kind = kind}) ? 0 : type_classes[kind].arguments;
    return arguments < 0 || count == (uint32_t)arguments;
}

/* NULL: these bytes are not a type, or there is no memory and the arena says so. */
static Type *type_read(Reader *reader, int depth) {
    uint32_t head[3];
    if (depth > TYPE_PARTS || (size_t)(reader->end - reader->at) < sizeof head || reader->left-- == 0)
        return NULL;
    memcpy(head, reader->at, sizeof head);
    reader->at += sizeof head;
    TypeKind kind = (TypeKind)head[0];
    Op op = (Op)head[1];
    if (head[2] > (size_t)(reader->end - reader->at) / sizeof head || !fits(kind, op, head[2])) return NULL;
    if (type_is_scalar(&(Type){.kind = kind})) return type_scalar(reader->types, kind);
    Type **parts = calloc(head[2] + (size_t)1, sizeof *parts), *type = NULL;
    bool ok = parts != NULL;
    reader->types->arena->exhausted |= !ok;
    for (uint32_t i = 0; ok && i < head[2]; i++) ok = (parts[i] = type_read(reader, depth + 1)) != NULL;
    if (ok) type = type_make(reader->types, kind, op, (int)head[2], parts);
    free(parts);
    return type;
}

static bool read_types(Code *code, const ImageHeader *header, const char *bytes) {
    Reader reader = {bytes, bytes + header->types, &code->types, UINT32_MAX};
    types_init(&code->types, &code->arena);
    code->type_table = arena_alloc(&code->arena, sizeof *code->type_table * ((size_t)header->count + 1));
    if (!code->type_table) return false;
    for (uint32_t i = 0; i < header->count; i++) {
        if (!(code->type_table[i] = type_read(&reader, 0))) return false;
    }
    code->result = type_read(&reader, 0);
    code->builders_come_in = header->builders_come_in;
    return code->result && reader.at == reader.end && !code->arena.exhausted;
}

/* ---- linking ---- */

bool code_missing_symbol(const char *name, Error *error) {
    size_t prefix = sizeof FOREIGN_PREFIX - 1;
    if (strncmp(name, FOREIGN_PREFIX, prefix) == 0) name += prefix;
    if (math_lacks_memory(name))
        return error_set(error, E_OutOfMemory, (Span){0}, "no memory to load the library of %s", name);
    return error_set(error, E_Library, (Span){0}, "there is no C function %s; load its library first", name);
}

static void *find_symbol(void *data, const char *name) {
    Code *code = data;
    if (strcmp(name, "weld_types") == 0) return code->type_table;
    if (strcmp(name, "weld_strings") == 0)
        return code->strings.text ? code->strings.text : (char *)&code->strings;
    void *math = math_symbol(name);
    if (math) return math;
    size_t prefix = sizeof FOREIGN_PREFIX - 1;
    if (strncmp(name, FOREIGN_PREFIX, prefix) == 0) name += prefix;
    return code->options->symbol(code->options->data, name);
}

static bool link_code(Code *code, const ObjectFile *files, int count, Error *error) {
    CodeOptions options = *code->options;
    options.symbol = find_symbol;
    options.data = code;
    const void *entry = NULL;
    if (object_known_machine()) {
        code->object = object_load(files, count, &options, error);
        if (code->object) entry = object_entry(code->object);
    } else if (code->jit) {
        code->linked = code->jit->link(files, count, &options, &entry, error);
    } else {
        error_set(error, E_Internal, (Span){0}, "there is no linker for this machine");
    }
    memcpy(&code->run, &entry, sizeof entry);
    return entry != NULL;
}

/* Finds the objects in what is left of an image; they take all of it. Returns how many there are, 0: they do not fit. */
static int read_objects(const ImageHeader *header, const char *bytes, size_t left, ObjectFile *files) {
    int count = 0;
    for (; count < OBJECT_FILES && header->objects[count]; count++) {
        if (header->objects[count] > left) return 0;
        files[count] = (ObjectFile){bytes, header->objects[count]};
        bytes += header->objects[count];
        left -= header->objects[count];
    }
    return left ? 0 : count;
}

static bool load(Code *code, const char *image, size_t size, Error *error) {
    ImageHeader header;
    if (size < sizeof header) return false;
    memcpy(&header, image, sizeof header);
    size_t rest = size - sizeof header;
    if (header.types > rest || header.strings > rest - header.types || header.count > header.types)
        return false;
    const char *types = image + sizeof header, *strings = types + header.types;
    ObjectFile files[OBJECT_FILES];
    int count = read_objects(&header, strings + header.strings, rest - header.types - header.strings, files);
    if (!count) return false;
    buf_put(&code->strings, strings, header.strings);
    if (code->strings.failed || !arena_init(&code->arena))
        return error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    bool ok = read_types(code, &header, types);
    if (code->arena.exhausted) return error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    return ok && link_code(code, files, count, error);
}

Code *code_load(const char *image, size_t size, const CodeOptions *options, const Jit *jit, Error *error) {
    Code *code = calloc(1, sizeof *code);
    if (!code) {
        error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
        return NULL;
    }
    code->options = options;
    code->jit = jit;
    bool ok = load(code, image, size, error);
    code->options = NULL;
    if (ok) return code;
    error_set(error, E_Internal, (Span){0}, "the compiled program is damaged");
    code_free(code);
    return NULL;
}

void code_free(Code *code) {
    if (!code) return;
    object_free(code->object);
    if (code->linked) code->jit->unlink(code->linked);
    buf_release(&code->strings);
    arena_release(&code->arena);
    free(code);
}

/* ---- running ---- */

ErrorCode code_run(const Code *code, Worker *worker, const void *args, void *out) {
    RegionMark mark = region_mark(worker->region);
    ErrorCode status = code->run(worker, args, out);
    if (status != E_None) exchange_stop(worker);
    if (status != E_None)
        region_reset(worker->region, mark);
    else if (code->builders_come_in)
        region_sweep(worker->region, mark, code->result, out);
    else
        region_finish(worker->region, mark, code->result, out);
    return status;
}

bool code_owns(const Code *code, const void *pointer) {
    const char *at = pointer, *text = code->strings.text;
    return text && at >= text && at <= text + code->strings.length;
}
