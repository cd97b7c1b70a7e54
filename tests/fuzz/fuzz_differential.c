/* fuzz_differential.c: do the interpreter and compiled code agree on random programs?
 *
 *     fuzz_differential COUNT [SEED [SIZE]]
 *
 * Program number SEED + i is generated (generate.c) and
 *   1. read, typed, verified, printed; its text reads back to the same text, with and without types;
 *   2. run by the interpreter, as it was read;
 *   3. optimized, printed and run by the interpreter: by all passes, by one alone, by all but that one (which
 *      one goes by the seed), the verifier on;
 *   4. run as machine code: every optimization level of ours and of LLVM's in `engines`, the verifier on, on one
 *      thread and on several that take a few iterations at a time.
 * Exact programs must give equal results, NaN being equal to NaN; the others may differ by rounding
 * (TOLERANCE). A program that fails must fail everywhere, but which of several failures is reported is open,
 * and code that drops a failing expression whose value nobody needs may succeed (counted as `dropped`). A
 * disagreement is printed with the smallest SIZE at which the same seed still disagrees. Exit status: 0 all
 * agree, 1 some do not, 2 misuse.
 */
#include "generate.h"

#include "../../runtime/rt.h"
#include "../../weldc/weldc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- C functions that the programs call, for every scalar type ---- */

#define EXPORT __attribute__((visibility("default")))
#define FOREIGN(name, T)                                      \
    EXPORT T fuzz_pick_##name(bool first, T a, T b);          \
    EXPORT T fuzz_pick_##name(bool first, T a, T b) {         \
        return first ? a : b;                                 \
    }                                                         \
    EXPORT int fuzz_fill_##name(const T *x, Vec *out);        \
    EXPORT int fuzz_fill_##name(const T *x, Vec *out) {       \
        T *to = out->data;                                    \
        for (int64_t i = 0; i < out->length; i++) to[i] = *x; \
        return 0;                                             \
    }
FOREIGN(bool, bool)
FOREIGN(i8, int8_t)
FOREIGN(i16, int16_t)
FOREIGN(i32, int32_t)
FOREIGN(i64, int64_t)
FOREIGN(u8, uint8_t)
FOREIGN(u16, uint16_t)
FOREIGN(u32, uint32_t)
FOREIGN(u64, uint64_t)
FOREIGN(f32, float)
FOREIGN(f64, double)

typedef struct Engine {
    const char *name, *engine, *level, *llvm_level, *threads, *grain;
} Engine;

static const Engine engines[] = {
    {"interpreter", "eval", "0", "0", "1", "0"},
    {"jit, LLVM at 0", "jit", "0", "0", "1", "0"},
    {"jit, LLVM at 2", "jit", "2", "2", "1", "0"},
    {"jit, LLVM at 0, 4 threads, grain 1", "jit", "0", "0", "4", "1"},
    {"jit, LLVM at 2, 2 threads, grain 3", "jit", "2", "2", "2", "3"},
};
enum { ENGINES = sizeof engines / sizeof *engines };

/* Constants of the language as the arguments of a program. */
typedef struct Arguments {
    weld_module_t modules[GENERATE_ARGS];
    weld_value_t values[GENERATE_ARGS];
    char *data; /* the struct of them */
    int count;
} Arguments;

typedef struct Case {
    Buf text, args[GENERATE_ARGS];
    int nargs;
    bool exact;
    Buf complaint; /* what does not agree */
    bool failed, dropped;
} Case;

/* ---- comparing values of two modules, of the same type ---- */

static bool same_float(double a, double b, double tolerance) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (a == b) return true;
    return fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

/* How far f32 and f64 results may differ. */
typedef struct Tolerance {
    double single, twice;
} Tolerance;

/* Not at all where the program is exact; an f64 that may have come from an f32 only to that one's precision, since
 * the engines' f32 functions are not the same. */
static Tolerance tolerance_of(const Case *c) {
    if (c->exact) return (Tolerance){0, 0};
    bool mixed = strstr(c->text.text, "f32") != NULL;
    for (const char *at = c->text.text; *at && !mixed; at++) mixed = *at >= '0' && *at <= '9' && at[1] == 'f';
    return (Tolerance){1e-5, mixed ? 1e-5 : 1e-9};
}

static bool same_value(const Type *type, const void *a, const void *b, Tolerance t);

static bool same_array(const Type *type, const void *a, const void *b, int64_t count, Tolerance t) {
    for (int64_t i = 0; i < count && type->size; i++) {
        if (!same_value(type, (const char *)a + i * type->size, (const char *)b + i * type->size, t))
            return false;
    }
    return true;
}

/* Entries that are equal in key order. */
static bool same_dict(const Type *type, const Dict *a, const Dict *b, Tolerance t) {
    TypeTable types;
    Arena arena;
    if (a->length != b->length || !arena_init(&arena)) return false;
    types_init(&types, &arena);
    Type *entry = dict_entry_type(&types, type_import(&types, type));
    int64_t *x = malloc(sizeof *x * (size_t)(a->length + 1)),
            *y = malloc(sizeof *y * (size_t)(a->length + 1));
    bool same = x && y;
    if (same) dict_sorted(a, entry, x);
    if (same) dict_sorted(b, entry, y);
    for (int64_t i = 0; same && i < a->length; i++)
        same = same_value(entry, a->entries + x[i] * entry->size, b->entries + y[i] * entry->size, t);
    free(x);
    free(y);
    arena_release(&arena);
    return same;
}

static bool same_value(const Type *type, const void *a, const void *b, Tolerance t) {
    if (type->kind == TY_f32) return same_float(*(const float *)a, *(const float *)b, t.single);
    if (type->kind == TY_f64) return same_float(*(const double *)a, *(const double *)b, t.twice);
    if (type_is_scalar(type)) return memcmp(a, b, (size_t)type->size) == 0;
    if (type->kind == TY_dict) return same_dict(type, *(Dict *const *)a, *(Dict *const *)b, t);
    if (type->kind == TY_vec) {
        const Vec *v = a, *w = b;
        return v->length == w->length && same_array(type->args[0], v->data, w->data, v->length, t);
    }
    for (int i = 0; i < type->count; i++) {
        int64_t at = type->offsets[i];
        if (!same_value(type->args[i], (const char *)a + at, (const char *)b + at, t)) return false;
    }
    return true;
}

/* ---- one program ---- */

static void complain(Case *c, const char *what, const Error *error) {
    buf_printf(&c->complaint, "%s: error[%s]: %s\n", what, error_name(error->code), error->text);
}

static Program *read_typed(const char *text, size_t length) {
    Program *program = program_new("random", text, length);
    if (program && program_read(program) && program_infer(program, NULL)) program_verify(program);
    return program;
}

static void check_text(Case *c) {
    Program *program = read_typed(c->text.text, c->text.length);
    if (!program || program->error.code) {
        complain(c, "typing", &program->error);
        program_free(program);
        return;
    }
    for (int typed = 0; typed < 2; typed++) {
        Buf first = {0}, second = {0};
        program_print(&first, program, typed);
        Program *again = read_typed(first.text, first.length);
        if (again->error.code) {
            complain(c, "reading what was printed", &again->error);
        } else {
            program_print(&second, again, typed);
            if (first.length != second.length || memcmp(first.text, second.text, first.length))
                buf_printf(&c->complaint, "printing twice differs:\n%s\n----\n%s\n", first.text, second.text);
        }
        program_free(again);
        buf_release(&first);
        buf_release(&second);
    }
    program_free(program);
}

static weld_conf_t conf_for(const Engine *engine) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine->engine);
    weld_conf_set(conf, "weld.optimization.level", engine->level);
    weld_conf_set(conf, "weld.llvm.optimization.level", engine->llvm_level);
    weld_conf_set(conf, "weld.threads", engine->threads);
    weld_conf_set(conf, "weld.grain", engine->grain);
    weld_conf_set(conf, "weld.verify", "true");
    weld_conf_set(conf, "weld.memory.limit", "256M");
    weld_conf_set(conf, "weld.cache", "off");
    return conf;
}

static bool arguments_make(Arguments *args, Case *c, const Type *type, weld_context_t context) {
    Error error = {0};
    weld_conf_t conf = conf_for(&engines[0]);
    args->data = calloc(1, (size_t)type->size + 64);
    for (int i = 0; i < c->nargs && error.code == E_None; i++) {
        const Buf *text = &c->args[i];
        args->modules[i] =
            module_compile("argument", text->text, text->length, type->args[i], conf, &error, NULL);
        if (args->modules[i]) args->values[i] = module_run(args->modules[i], context, NULL, NULL, &error);
        if (args->values[i])
            memcpy(args->data + type->offsets[i], weld_value_data(args->values[i]),
                   (size_t)type->args[i]->size);
        args->count++;
    }
    weld_conf_free(conf);
    if (error.code) complain(c, "an argument", &error);
    return error.code == E_None;
}

static void arguments_free(Arguments *args) {
    for (int i = 0; i < args->count; i++) {
        weld_value_free(args->values[i]);
        weld_module_free(args->modules[i]);
    }
    free(args->data);
    memset(args, 0, sizeof *args);
}

typedef struct Run {
    weld_module_t module;
    weld_context_t context;
    weld_value_t value; /* NULL: it failed */
    Arguments args;
    Error error;
    bool compiled;
} Run;

static void run_begin(Run *run, Case *c, const Engine *engine) {
    weld_conf_t conf = conf_for(engine);
    run->context = weld_context_new(conf);
    run->module = module_compile("random", c->text.text, c->text.length, NULL, conf, &run->error, NULL);
    run->compiled = run->module != NULL;
    if (!run->module) {
        complain(c, engine->name, &run->error);
    } else if (strcmp(module_tier(run->module), engine->engine)) {
        buf_printf(&c->complaint, "%s ran as %s\n", engine->name, module_tier(run->module));
    } else if (arguments_make(&run->args, c, module_argument_type(run->module), run->context)) {
        run->value = module_run(run->module, run->context, run->args.data, NULL, &run->error);
        if (!run->value && (run->error.code == E_Internal || run->error.code == E_None))
            complain(c, engine->name, &run->error);
    }
    weld_conf_free(conf);
}

static void run_end(Run *run) {
    weld_value_free(run->value);
    arguments_free(&run->args);
    weld_module_free(run->module);
    weld_context_free(run->context);
}

static void compare_runs(Case *c, const Run *first, const Run *run, const Engine *engine) {
    const Type *type = module_result_type(first->module);
    if (!first->value && run->value) {
        c->dropped = true;
    } else if (first->value && !run->value) {
        complain(c, engine->name, &run->error);
    } else if (first->value) {
        const void *a = weld_value_data(first->value), *b = weld_value_data(run->value);
        if (same_value(type, a, b, tolerance_of(c))) return;
        buf_printf(&c->complaint, "%s gives ", engines[0].name);
        value_print(&c->complaint, type, a);
        buf_printf(&c->complaint, "\n%s gives ", engine->name);
        value_print(&c->complaint, type, b);
        buf_printf(&c->complaint, "\n");
    }
}

/* The program after these passes (NULL: those of level 2) has the same answer. */
static void check_passes(Case *c, const Run *first, const char *name, const char *passes) {
    PassOptions options = {.level = 2, .passes = passes, .verify = true};
    Engine engine = {name, "eval", "0", "0", "1", "0"};
    Case optimized = *c;
    Run run = {0};
    Program *program = read_typed(c->text.text, c->text.length);
    optimized.text = (Buf){0};
    if (!program || !program_optimize(program, &options)) {
        complain(c, name, &program->error);
    } else {
        program_print(&optimized.text, program, true);
        run_begin(&run, &optimized, &engine);
        c->complaint = optimized.complaint;
        if (c->complaint.length == 0) compare_runs(c, first, &run, &engine);
        if (c->complaint.length) buf_printf(&c->complaint, "after these passes:\n%s\n", optimized.text.text);
        run_end(&run);
    }
    buf_release(&optimized.text);
    program_free(program);
}

static void check_optimizer(Case *c, const Run *first, uint64_t seed) {
    int chosen = 1 + (int)(seed % (PASS_COUNT - 1));
    Buf others = {0}, name = {0};
    buf_put(&others, " ", 1);
    for (int id = PASS_None + 1; id < PASS_COUNT; id++) {
        if (id != chosen && pass_classes[id].level <= 2)
            buf_printf(&others, "%s,", pass_classes[id].spelling);
    }
    buf_printf(&name, "all passes but %s", pass_classes[chosen].spelling);
    check_passes(c, first, "all passes", NULL);
    if (c->complaint.length == 0)
        check_passes(c, first, pass_classes[chosen].spelling, pass_classes[chosen].spelling);
    if (c->complaint.length == 0) check_passes(c, first, name.text, others.text);
    buf_release(&others);
    buf_release(&name);
}

/* Everything about one program; true: all agree. */
static bool check(Case *c, uint64_t seed, int size, int count) {
    Run runs[ENGINES] = {0};
    memset(c, 0, sizeof *c);
    c->exact = generate_program(seed, size, &c->text, c->args, &c->nargs);
    check_text(c);
    for (int i = 0; i < count && c->complaint.length == 0; i++) {
        run_begin(&runs[i], c, &engines[i]);
        if (i && c->complaint.length == 0) compare_runs(c, &runs[0], &runs[i], &engines[i]);
        if (i == 0 && c->complaint.length == 0) check_optimizer(c, &runs[0], seed);
    }
    c->failed = runs[0].compiled && !runs[0].value;
    for (int i = 0; i < count; i++) run_end(&runs[i]);
    return c->complaint.length == 0;
}

static void case_release(Case *c) {
    buf_release(&c->text);
    buf_release(&c->complaint);
    for (int i = 0; i < GENERATE_ARGS; i++) buf_release(&c->args[i]);
}

/* The same seed makes a smaller program at a smaller size: print the first that disagrees. */
static void report_smallest(uint64_t seed, int size, int count) {
    Case c;
    for (int smaller = 1; smaller <= size; smaller += smaller < 40 ? 1 : smaller / 10) {
        if (smaller + smaller / 10 > size) smaller = size;
        if (check(&c, seed, smaller, count) && smaller < size) {
            case_release(&c);
            continue;
        }
        printf("---- seed %llu, size %d\n%s\n", (unsigned long long)seed, smaller, c.text.text);
        for (int i = 0; i < c.nargs; i++) printf("argument %d: %s\n", i, c.args[i].text);
        printf("%s", c.complaint.text ? c.complaint.text : "(agrees when run again)\n");
        fflush(stdout);
        case_release(&c);
        return;
    }
}

int main(int argc, char **argv) {
    enum { MOST_REPORTS = 10 };
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    int size = argc > 3 ? atoi(argv[3]) : 0, used = ENGINES;
    long disagree = 0, failed = 0, dropped = 0, exact = 0;
    Error error = {0};
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (count <= 0) {
        fprintf(stderr, "usage: fuzz_differential COUNT [SEED [SIZE]]\n");
        return 2;
    }
    if (!jit_load(&error)) {
        printf("SKIPPED: machine code (%s); the interpreter alone is checked\n", error.text);
        used = 1;
    }
    for (long i = 0; i < count && disagree < MOST_REPORTS; i++) {
        Case c;
        int this_size = size ? size : 20 + (int)(i % 7) * 30;
        if (!check(&c, seed + (uint64_t)i, this_size, used)) {
            disagree++;
            report_smallest(seed + (uint64_t)i, this_size, used);
        }
        failed += c.failed;
        dropped += c.dropped;
        exact += c.exact;
        case_release(&c);
    }
    printf(
        "%ld programs from seed %llu: %ld disagree, %ld fail, %ld failures dropped, %ld exact, %d engines\n",
        count, (unsigned long long)seed, disagree, failed, dropped, exact, used);
    return disagree != 0;
}
