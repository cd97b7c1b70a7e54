/* generate.c: random programs of the language, typed by construction.
 *
 * A program is grown from its type down: to write an i64, choose a row of `productions` whose `fits` takes
 * i64, say lookup, and let it write its parts: a vec[i64], an index. Operators, builders and iterators come
 * from the tables of lang/, so that a new row is drawn without a change here. Variables in scope are used
 * where one has the type. Every expression is written in its own parentheses, so precedence plays no part.
 *
 * Floats need care, as two right engines may differ in the last bit of exp(x) or of a sum. In an exact
 * program there are only operations that IEEE 754 fixes, and float reductions only by min and max: all
 * results are equal. In the others there are math functions and float sums, but of positive numbers (no
 * cancellation), and floats decide nothing: they are not compared, not cast to integers, not keys, not sorted
 * by; results differ by a few rounding errors at most.
 *
 * Few programs fail when they run: divisors are made odd, indices taken modulo the length, iterators in step;
 * about one time in forty such a guard is left out.
 */
#include "generate_parts.h"

#include <stdio.h>
#include <string.h>

enum { DEEPEST = 7, UNGUARDED = 40 };

/* ---- choices ---- */

uint64_t gen_next(Gen *g) { /* splitmix64 */
    uint64_t z = g->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

int gen_below(Gen *g, int count) {
    return (int)(gen_next(g) % (uint64_t)count);
}

bool gen_chance(Gen *g, int percent) {
    return gen_below(g, 100) < percent;
}

bool gen_guarded(Gen *g) {
    return gen_below(g, UNGUARDED) != 0;
}

void gen_put(Gen *g, const char *text) {
    buf_put(g->out, text, strlen(text));
}

void gen_put_type(Gen *g, const Type *type) {
    type_print(g->out, type);
}

/* ---- types ---- */

Type *gen_scalar(Gen *g, TypeKind kind) {
    return type_scalar(g->types, kind);
}

bool gen_has_float(const Type *type) {
    if (type_is_float(type)) return true;
    for (int i = 0; i < type->count; i++) {
        if (gen_has_float(type->args[i])) return true;
    }
    return false;
}

bool gen_is_number(const Type *type) {
    return type_is_scalar(type) && type->kind != TY_bool;
}

bool gen_is_combinable(const Type *type) {
    if (type->kind != TY_struct) return gen_is_number(type);
    for (int i = 0; i < type->count; i++) {
        if (!gen_is_number(type->args[i])) return false;
    }
    return type->count > 0;
}

/* May values of this type decide something: be compared, be keys? */
bool gen_decides(Gen *g, const Type *type) {
    return type_is_comparable(type) && (g->exact || !gen_has_float(type));
}

Type *gen_random_scalar(Gen *g) {
    static const TypeKind usual[] = {TY_i64, TY_i32, TY_f64, TY_bool, TY_i8, TY_f32};
    if (g->palette[2] && gen_chance(g, 75)) return g->palette[gen_below(g, 3)];
    if (gen_chance(g, 40)) return gen_scalar(g, usual[gen_below(g, 6)]);
    return gen_scalar(g, (TypeKind)(TY_bool + gen_below(g, TY_f64 - TY_bool + 1)));
}

static Type *gen_random_number(Gen *g) {
    Type *type = gen_random_scalar(g);
    return type->kind == TY_bool ? gen_scalar(g, TY_i64) : type;
}

static Type *gen_random_struct(Gen *g, int most, Type *(*part)(Gen *g, int depth), int depth) {
    Type *parts[4];
    int count = 1 + gen_below(g, most);
    for (int i = 0; i < count; i++) parts[i] = part(g, depth);
    return type_make(g->types, TY_struct, OP_none, count, parts);
}

static Type *number_part(Gen *g, int depth) {
    (void)depth;
    return gen_random_number(g);
}

Type *gen_random_combinable(Gen *g) {
    return gen_chance(g, 70) ? gen_random_number(g) : gen_random_struct(g, 3, number_part, 0);
}

Type *gen_random_key(Gen *g, int depth) {
    Type *key = gen_random_scalar(g);
    if (depth > 0 && gen_chance(g, 15)) key = type_vec(g->types, gen_random_key(g, depth - 1));
    if (depth > 0 && gen_chance(g, 20)) key = gen_random_struct(g, 2, gen_random_key, depth - 1);
    return gen_decides(g, key) && !(gen_has_float(key) && gen_chance(g, 70)) ? key : gen_scalar(g, TY_i32);
}

Type *gen_random_type(Gen *g, int depth) {
    int choice = gen_below(g, 10);
    if (depth <= 0 || choice < 4 || g->dense) return gen_random_scalar(g);
    if (choice < 7) return type_vec(g->types, gen_random_type(g, depth - 1));
    if (choice < 9) {
        if (gen_chance(g, 3)) return type_make(g->types, TY_struct, OP_none, 0, NULL);
        return gen_random_struct(g, 3, gen_random_type, depth - 1);
    }
    Type *parts[2] = {gen_random_key(g, 1), NULL};
    parts[1] =
        gen_chance(g, 60) ? gen_random_combinable(g) : type_vec(g->types, gen_random_type(g, depth - 2));
    return type_make(g->types, TY_dict, OP_none, 2, parts);
}

/* ---- names ---- */

/* Brings a name into scope; the caller restores g->count when it ends. */
int gen_name(Gen *g, Type *type) {
    int number = g->names++;
    if (g->count < MOST_VARS) g->vars[g->count++] = (Var){number, type};
    return number;
}

/* Writes a variable of this type, or a field of one; false: there is none. */
bool gen_put_var(Gen *g, const Type *type) {
    int var = -1, field = -1, seen = 0;
    for (int i = 0; i < g->count; i++) {
        const Type *of = g->vars[i].type;
        if (of == type && gen_below(g, ++seen) == 0) var = i, field = -1;
        for (int k = 0; of->kind == TY_struct && k < of->count; k++) {
            if (of->args[k] == type && gen_below(g, ++seen) == 0) var = i, field = k;
        }
    }
    if (var < 0) return false;
    buf_printf(g->out, field < 0 ? "x%d" : "x%d.$%d", g->vars[var].number, field);
    return true;
}

/* A variable that is a vector: its place in g->vars, or -1. */
int gen_find_vec(Gen *g) {
    int found = -1, seen = 0;
    for (int i = 0; i < g->count; i++) {
        if (g->vars[i].type->kind == TY_vec && gen_below(g, ++seen) == 0) found = i;
    }
    return found;
}

/* Of a vector in scope, mostly, so that loops follow on one another. */
Type *gen_random_element(Gen *g) {
    int at = gen_find_vec(g);
    return at >= 0 && gen_chance(g, 60) ? g->vars[at].type->args[0] : gen_random_type(g, 2);
}

/* ---- constants ---- */

static void literal_integer(Gen *g, const Type *type) {
    const TypeClass *class = &type_classes[type->kind];
    int bits = class->bits;
    uint64_t value = (uint64_t)gen_below(g, 12);
    bool negative = false;
    if (gen_chance(g, 12)) value = gen_next(g) >> (64 - bits + gen_below(g, bits));
    if (class->class == 's') {
        uint64_t top = (uint64_t)1 << (bits - 1);
        value &= top - 1;
        negative = g->exact && gen_chance(g, 25);
        if (gen_chance(g, 3)) value = negative ? top : top - 1;
    }
    const char *suffix = literal_suffix(type->kind);
    buf_printf(g->out, negative ? "(-%llu%s)" : "%llu%s", (unsigned long long)value, suffix);
}

static void literal_float(Gen *g, const Type *type) {
    static const double odd[] = {0.0, 1e30, 1e-30, 3.0e9, 1e19, 16777217.0};
    double value = gen_below(g, 32) / 8.0;
    if (g->exact && gen_chance(g, 10)) value = odd[gen_below(g, 6)];
    char text[40];
    snprintf(text, sizeof text, "%.9g", value);
    if (!strpbrk(text, ".e")) strcat(text, ".0");
    const char *suffix = type->kind == TY_f32 ? "f" : "";
    bool negative = g->exact && gen_chance(g, 25);
    buf_printf(g->out, negative ? "(-%s%s)" : "%s%s", text, suffix);
}

static void literal_string(Gen *g) {
    static const char *const parts[] = {"a", "b", "ab", " ", "#", "\\n", "\\\"", "\\x41", "\\t", "\\\\", "z"};
    gen_put(g, "\"");
    for (int i = gen_below(g, 5); i > 0; i--) gen_put(g, parts[gen_below(g, 11)]);
    gen_put(g, "\"");
}

/* The least that has the type, for the ends of the tree and for arguments. */
void gen_literal(Gen *g, Type *type) {
    if (type->kind == TY_bool) {
        gen_put(g, gen_chance(g, 50) ? "true" : "false");
    } else if (type_is_float(type)) {
        literal_float(g, type);
    } else if (type_is_scalar(type)) {
        literal_integer(g, type);
    } else if (type->kind == TY_struct) {
        gen_put(g, "{");
        for (int i = 0; i < type->count; i++) {
            if (i) gen_put(g, ", ");
            gen_literal(g, type->args[i]);
        }
        gen_put(g, "}");
    } else if (type->kind == TY_vec && type->args[0]->kind == TY_i8 && gen_chance(g, 50)) {
        literal_string(g);
    } else if (type->kind == TY_vec) {
        int count = gen_below(g, 5);
        gen_put(g, count ? "[" : "([]");
        for (int i = 0; i < count; i++) {
            if (i) gen_put(g, ", ");
            gen_literal(g, type->args[0]);
        }
        gen_put(g, count ? "]" : ": ");
        if (!count) gen_put_type(g, type);
        if (!count) gen_put(g, ")");
    } else { /* a dictionary of one entry */
        Type *value = type->args[1];
        bool group = value->kind == TY_vec;
        gen_put(g, group ? "result(merge(groupmerger[" : "result(merge(dictmerger[");
        gen_put_type(g, type->args[0]);
        gen_put(g, ",");
        gen_put_type(g, group ? value->args[0] : value);
        gen_put(g, group ? "], {" : ",max], {");
        gen_literal(g, type->args[0]);
        gen_put(g, ", ");
        gen_literal(g, group ? value->args[0] : value);
        gen_put(g, "}))");
    }
}

/* Long enough for compiled loops to work on several elements at once. */
static void gen_long_list(Gen *g, Type *element) {
    gen_put(g, "[");
    for (int i = 5 + gen_below(g, 60); i > 0; i--) {
        gen_literal(g, element);
        if (i > 1) gen_put(g, ", ");
    }
    gen_put(g, "]");
}

/* ---- lists ---- */

void gen_elements(Gen *g, Type *element, int count, int depth) {
    gen_put(g, "[");
    for (int i = 0; i < count; i++) {
        if (i) gen_put(g, ", ");
        gen_expr(g, element, depth - 1);
    }
    gen_put(g, "]");
}

/* ---- the table ---- */

typedef struct Production {
    int weight;
    bool dense;
    bool (*fits)(Gen *g, const Type *type);
    void (*write)(Gen *g, Type *type, int depth);
} Production;

static const Production productions[] = {
#define PRODUCTION(id, weight, dense, fits, doc) {weight, dense, fits_##fits, write_##id},
#include "productions.def"
};

/* A value at hand: a name in scope, or a constant. */
static void leaf(Gen *g, Type *type) {
    if (!gen_chance(g, 80) || !gen_put_var(g, type)) gen_literal(g, type);
}

void gen_expr(Gen *g, Type *type, int depth) {
    const Production *chosen = NULL;
    int weights = 0;
    g->fuel--;
    if (depth <= 0 || g->fuel <= 0 || gen_chance(g, 12)) {
        leaf(g, type);
        return;
    }
    for (size_t i = 0; i < sizeof productions / sizeof *productions; i++) {
        const Production *p = &productions[i];
        if ((g->dense && !p->dense) || !p->fits(g, type)) continue;
        weights += p->weight;
        if (gen_below(g, weights) < p->weight) chosen = p;
    }
    chosen->write(g, type, depth);
}

static Type *scalar_part(Gen *g, int depth) {
    (void)depth;
    return gen_random_scalar(g);
}

/* Parameters with their types; their constants go to args. */
static void parameters(Gen *g, Buf *text, Buf args[GENERATE_ARGS], int count) {
    for (int i = 0; i < count; i++) {
        Type *type = gen_chance(g, 60) ? type_vec(g->types, gen_random_type(g, 1)) : gen_random_type(g, 2);
        while (type->kind == TY_dict) type = gen_random_type(g, 1);
        bool data = i == 0 && gen_chance(g, 70);
        if (data) type = type_vec(g->types, gen_random_struct(g, 3, scalar_part, 0));
        buf_printf(text, "%sx%d: ", i ? ", " : "|", gen_name(g, type));
        gen_put_type(g, type);
        g->out = &args[i];
        if (data || (type->kind == TY_vec && type->args[0]->kind != TY_vec && gen_chance(g, 50))) {
            gen_long_list(g, type->args[0]);
        } else {
            gen_literal(g, type);
        }
        g->out = text;
    }
    if (count) gen_put(g, "| ");
}

/* A loop over a parameter that computes on scalars alone: much arithmetic, and all of it in the result. */
static void dense_loop(Gen *g) {
    int scope = g->count, at = gen_find_vec(g);
    buf_printf(g->out, "map(x%d, |x%d| ", g->vars[at].number, gen_name(g, g->vars[at].type->args[0]));
    g->fuel = 60;
    g->dense = true;
    gen_expr(g, gen_random_struct(g, 4, scalar_part, 0), 5);
    g->dense = false;
    g->count = scope;
    gen_put(g, ")");
}

/* Several results show more of what was computed. */
static void results(Gen *g, int size) {
    int count = size < 20 || gen_chance(g, 30) ? 1 : 2 + gen_below(g, 4);
    gen_put(g, count > 1 ? "{" : "");
    for (int i = 0; i < count; i++) {
        if (i) gen_put(g, ", ");
        g->fuel = size / count + 1;
        if (!g->exact && gen_chance(g, 25)) {
            write_sieved(g, gen_scalar(g, TY_f64), DEEPEST);
        } else if (size >= 20 && gen_find_vec(g) >= 0 && gen_chance(g, 30)) {
            dense_loop(g);
        } else {
            gen_expr(g, gen_random_type(g, count > 1 ? 1 : 3), size < 40 ? 3 : DEEPEST);
        }
    }
    gen_put(g, count > 1 ? "}" : "");
}

bool generate_program(uint64_t seed, int size, Buf *text, Buf args[GENERATE_ARGS], int *nargs) {
    Gen gen = {.state = seed * 0x2545F4914F6CDD1Du + 1, .out = text}, *g = &gen;
    *nargs = 0;
    g->program = program_new("generate", "", 0);
    if (!g->program) return false;
    g->types = &g->program->types;
    g->exact = gen_chance(g, 75);
    for (int i = 0; i < 3; i++) g->palette[i] = gen_random_scalar(g);
    if (gen_chance(g, 50)) g->palette[0] = gen_scalar(g, TY_i64);
    *nargs = gen_below(g, GENERATE_ARGS + 1);
    parameters(g, text, args, *nargs);
    results(g, size);
    program_free(g->program);
    return g->exact;
}
