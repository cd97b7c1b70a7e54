/* inputs.c: the memory that arguments lie in.
 *
 * Arguments are in memory and touched before a run starts, and belong to the command, not to the context:
 * they count neither in its limit nor in its peak. Large blocks lie on pages of 2 MB where the system gives
 * them, because a scan over 4 KB pages costs up to twice as much.
 *
 * A constant is a program without parameters that the interpreter evaluates. It is read with the parameter's
 * type in mind first (`[]` has no type of its own); where that fails, without, to name the type that it has.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "command.h"

enum { HUGE_PAGE = 2 << 20 };

static size_t mapped_size(size_t bytes) {
    return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* Large blocks begin at a huge page: a mapping that is one page larger is cut to size. */
static void *block_take(void *data, size_t bytes) {
    (void)data;
    if (bytes < HUGE_PAGE) return aligned_alloc(64, (bytes + 63) / 64 * 64);
    size_t size = mapped_size(bytes);
    if (size < bytes || size + HUGE_PAGE < size) return NULL;
    char *map = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    char *block = map + (HUGE_PAGE - (uintptr_t)map % HUGE_PAGE) % HUGE_PAGE;
    if (block > map) munmap(map, (size_t)(block - map));
    munmap(block + size, (size_t)(map + HUGE_PAGE - block));
    madvise(block, size, MADV_HUGEPAGE);
    return block;
}

static void block_give(void *data, void *block, size_t bytes) {
    (void)data;
    if (bytes < HUGE_PAGE) {
        free(block);
    } else {
        munmap(block, mapped_size(bytes));
    }
}

bool inputs_init(Inputs *inputs, Fault *fault) {
    budget_init(&inputs->budget, 0);
    inputs->budget.take = block_take;
    inputs->budget.give = block_give;
    inputs->region = region_new(&inputs->budget);
    bool ok = inputs->region && arena_init(&inputs->arena);
    if (!ok) {
        region_free(inputs->region);
        return fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    }
    types_init(&inputs->types, &inputs->arena);
    inputs->ranks = (Ranks){.rank = 0, .ranks = 1};
    return true;
}

void inputs_release(Inputs *inputs) {
    region_free(inputs->region);
    arena_release(&inputs->arena);
}

void *inputs_alloc(Inputs *inputs, size_t bytes, Fault *fault) {
    void *block = bytes <= INT64_MAX ? region_alloc(inputs->region, (int64_t)bytes) : NULL;
    if (!block) fault_set(fault, E_OutOfMemory, "no memory for %zu bytes of arguments", bytes);
    return block;
}

bool same_type(const Type *a, const Type *b) {
    if (a == b) return true;
    if (a->kind != b->kind || a->op != b->op || a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (!same_type(a->args[i], b->args[i])) return false;
    }
    return true;
}

/* ---- constants ----------------------------------------------------------------------------------------- */

/* The typed program of a constant expression; NULL: *error is set. */
static Program *constant_read(const char *name, const char *text, const Type *want, Error *error) {
    Program *program = program_new(name, text, strlen(text));
    if (!program) {
        error_set(error, E_OutOfMemory, (Span){0, 0, 0}, "no memory for an argument");
        return NULL;
    }
    bool ok = program_read(program);
    if (ok && !program->bare) {
        ok = error_set(&program->error, E_Argument, program->root->span, "a function is not a constant");
    }
    Type *whole = NULL;
    if (ok && want) {
        Type *result = type_import(&program->types, want);
        whole = result ? type_make(&program->types, TY_function, OP_none, 1, &result) : NULL;
    }
    if (ok && program_infer(program, whole)) return program;
    *error = program->error;
    program_free(program);
    return NULL;
}

/* Evaluates it into the inputs' memory. */
static bool constant_eval(Inputs *inputs, Program *program, Type *type, void *out, Error *error) {
    void *raw = malloc(type->size > 0 ? (size_t)type->size : 1);
    Worker worker = {.cancel = &cancel_flag, .region = inputs->region};
    bool ok = raw && program_eval(program, &worker, NULL, raw) == E_None;
    ok = ok && value_copy(&worker, type, raw, out); /* the program, and the constants in it, goes */
    free(raw);
    *error = worker.error;
    if (!ok) error_set(error, E_OutOfMemory, (Span){0, 0, 0}, "no memory for an argument");
    return ok;
}

bool inputs_constant(Inputs *inputs, const char *name, const char *text, size_t skip, const Type *want,
                     Datum *out, Fault *fault) {
    Error first = {0}, error = {0};
    Program *program = constant_read(name, text + skip, want, &first);
    if (!program && want && first.code == E_Type) program = constant_read(name, text + skip, NULL, &error);
    bool ok = false;
    if (!program) {
        error = first;
        if (error.code == E_Syntax || error.code == E_Type) error.code = E_Argument;
    } else {
        Type *type = program_result_type(program);
        if (want && !same_type(type, want)) {
            *out = (Datum){type_import(&inputs->types, type), NULL};
            ok = true;
        } else {
            out->data = inputs_alloc(inputs, (size_t)type->size, fault);
            out->type = type_import(&inputs->types, type);
            ok = out->data && constant_eval(inputs, program, type, out->data, &error);
        }
    }
    if (!ok && error.code != E_None && fault->error.code == E_None) {
        fault->error = error;
        size_t shift = error.span.source == 0 ? skip : 0, length = strlen(text);
        fault_place(fault, name, text, length, error.span.begin + shift, error.span.end + shift);
    }
    program_free(program);
    return ok;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool has_npy_magic(const char *path) {
    char start[6] = "";
    FILE *file = fopen(path, "rbe");
    bool ok =
        file && fread(start, 1, sizeof start, file) == sizeof start && memcmp(start, "\x93NUMPY", 6) == 0;
    if (file) fclose(file);
    return ok;
}

/* A file that weld_value_save or --save wrote. */
static bool value_load(Inputs *inputs, const char *path, Datum *out, Fault *fault) {
    Error error = {0};
    Stored stored;
    bool ok = store_open(&stored, path, &error);
    if (ok) {
        Worker worker = {.cancel = &cancel_flag, .region = inputs->region};
        out->type = type_import(&inputs->types, stored.type);
        out->data = out->type ? inputs_alloc(inputs, (size_t)out->type->size + 1, fault) : NULL;
        ok = out->data && store_value(&stored, &worker, out->data, &error);
    }
    store_close(&stored);
    return ok || fault_set(fault, error.code ? error.code : E_OutOfMemory, "%s",
                           error.code ? error.text : "no memory for the arguments");
}

/* A file as its bytes, for a parameter that takes such. */
static bool bytes_load(Inputs *inputs, const char *path, const Type *want, Datum *out, Fault *fault) {
    Text text = {0};
    if (!text_of_file(path, &text, fault)) return false;
    Vec *vec = inputs_alloc(inputs, sizeof *vec, fault);
    char *bytes = vec ? inputs_alloc(inputs, text.length + 1, fault) : NULL;
    if (bytes) {
        memcpy(bytes, text.bytes, text.length);
        *vec = (Vec){bytes, (int64_t)text.length};
        *out = (Datum){type_import(&inputs->types, want), vec};
    }
    text_release(&text);
    return bytes && (out->type || fault_set(fault, E_OutOfMemory, "no memory for the arguments"));
}

static bool are_bytes(const Type *type) {
    return type && type->kind == TY_vec && (type->args[0]->kind == TY_i8 || type->args[0]->kind == TY_u8);
}

bool inputs_empty(Inputs *inputs, const Type *type, Datum *out, Fault *fault) {
    size_t bytes = type->size > 0 ? (size_t)type->size : 1;
    *out = (Datum){type_import(&inputs->types, type), inputs_alloc(inputs, bytes, fault)};
    if (!out->type) fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    if (out->data) memset(out->data, 0, bytes);
    return out->type && out->data;
}

bool inputs_file(Inputs *inputs, const char *path, const Type *want, Share share, Datum *out, Fault *fault) {
    if (ends_with(path, ".npy")) return npy_load(inputs, path, share, out, fault);
    if (ends_with(path, ".csv")) return csv_load(inputs, path, NULL, want, share, out, fault);
    const char *column = strstr(path, ".csv:");
    if (column) {
        char *file = strndup(path, (size_t)(column + 4 - path));
        bool ok = file && csv_load(inputs, file, column + 5, want, share, out, fault);
        if (!file) fault_set(fault, E_OutOfMemory, "no memory for a path");
        free(file);
        return ok;
    }
    if (has_npy_magic(path)) return npy_load(inputs, path, SHARE_whole, out, fault);
    if (store_is(path)) return value_load(inputs, path, out, fault);
    if (are_bytes(want) && *path) return bytes_load(inputs, path, want, out, fault);
    return fault_set(fault, E_File, "%s is neither a .npy nor a .csv file, nor a value that was saved",
                     *path ? path : "an empty name");
}
