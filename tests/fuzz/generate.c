/* generate.c: random programs of the language, typed by construction.
 *
 * A program is grown from its type down: to write an i64, choose a row of `productions` whose `fits` takes
 * i64, say lookup, and let it write its parts: a vec[i64], an index. Operators, builders and iterators come
 * from the tables of lang/, so that a new row is drawn without a change here. Variables in scope are used
 * where one has the type. Every expression is written in its own parentheses, so precedence plays no part.
 *
 * Floats need care, as two right engines may differ in the last bit of exp(x) or of a sum. A program is
 * either exact:    only operations that IEEE 754 fixes; float reductions only by min and max; all results
 * equal, or inexact:  with math functions and float sums, but of positive numbers (no cancellation), and
 * floats decide nothing: they are not compared, not cast to integers, not keys, not sorted by. Results differ
 * by a few rounding errors at most. Few programs fail when they run: divisors are made odd, indices taken
 * modulo the length, iterators in step; about one time in forty such a guard is left out.
 */
#include "generate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_VARS = 64, DEEPEST = 7, UNGUARDED = 40 };

typedef struct Var {
    int number;
    Type *type;
} Var;

typedef struct Gen {
    Program *program; /* for its types */
    TypeTable *types;
    uint64_t state;
    Buf *out;
    Var vars[MOST_VARS];
    int count, names; /* variables in scope; names given out */
    int fuel;         /* expressions to be written yet */
    int loops;        /* around this point */
    bool exact;
} Gen;

static void expr(Gen *g, Type *type, int depth);

/* ---- choices ---- */

static uint64_t next(Gen *g) { /* splitmix64 */
    uint64_t z = g->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static int below(Gen *g, int count) {
    return (int)(next(g) % (uint64_t)count);
}

static bool chance(Gen *g, int percent) {
    return below(g, 100) < percent;
}

static bool guarded(Gen *g) {
    return below(g, UNGUARDED) != 0;
}

static void put(Gen *g, const char *text) {
    buf_put(g->out, text, strlen(text));
}

static void put_type(Gen *g, const Type *type) {
    type_print(g->out, type);
}

/* ---- types ---- */

static Type *scalar(Gen *g, TypeKind kind) {
    return type_scalar(g->types, kind);
}

static bool has_float(const Type *type) {
    if (type_is_float(type)) return true;
    for (int i = 0; i < type->count; i++) {
        if (has_float(type->args[i])) return true;
    }
    return false;
}

static bool is_number(const Type *type) {
    return type_is_scalar(type) && type->kind != TY_bool;
}

static bool is_combinable(const Type *type) {
    if (type->kind != TY_struct) return is_number(type);
    for (int i = 0; i < type->count; i++) {
        if (!is_number(type->args[i])) return false;
    }
    return type->count > 0;
}

/* May values of this type decide something: be compared, be keys? */
static bool decides(Gen *g, const Type *type) {
    return type_is_comparable(type) && (g->exact || !has_float(type));
}

static Type *random_scalar(Gen *g) {
    static const TypeKind usual[] = {TY_i64, TY_i32, TY_f64, TY_bool, TY_i8, TY_f32};
    if (chance(g, 60)) return scalar(g, usual[below(g, 6)]);
    return scalar(g, (TypeKind)(TY_bool + below(g, TY_f64 - TY_bool + 1)));
}

static Type *random_number(Gen *g) {
    Type *type = random_scalar(g);
    return type->kind == TY_bool ? scalar(g, TY_i64) : type;
}

static Type *random_struct(Gen *g, int most, Type *(*part)(Gen *g, int depth), int depth) {
    Type *parts[4];
    int count = 1 + below(g, most);
    for (int i = 0; i < count; i++) parts[i] = part(g, depth);
    return type_make(g->types, TY_struct, OP_none, count, parts);
}

static Type *number_part(Gen *g, int depth) {
    (void)depth;
    return random_number(g);
}

static Type *random_combinable(Gen *g) {
    return chance(g, 70) ? random_number(g) : random_struct(g, 3, number_part, 0);
}

static Type *random_key(Gen *g, int depth) {
    Type *key = random_scalar(g);
    if (depth > 0 && chance(g, 15)) key = type_vec(g->types, random_key(g, depth - 1));
    if (depth > 0 && chance(g, 20)) key = random_struct(g, 2, random_key, depth - 1);
    return decides(g, key) && !(has_float(key) && chance(g, 70)) ? key : scalar(g, TY_i32);
}

static Type *random_type(Gen *g, int depth) {
    int choice = below(g, 10);
    if (depth <= 0 || choice < 4) return random_scalar(g);
    if (choice < 7) return type_vec(g->types, random_type(g, depth - 1));
    if (choice < 9) {
        if (chance(g, 3)) return type_make(g->types, TY_struct, OP_none, 0, NULL);
        return random_struct(g, 3, random_type, depth - 1);
    }
    Type *parts[2] = {random_key(g, 1), NULL};
    parts[1] = chance(g, 60) ? random_combinable(g) : type_vec(g->types, random_type(g, depth - 2));
    return type_make(g->types, TY_dict, OP_none, 2, parts);
}

/* ---- names ---- */

/* Brings a name into scope; the caller restores g->count when it ends. */
static int name(Gen *g, Type *type) {
    int number = g->names++;
    if (g->count < MOST_VARS) g->vars[g->count++] = (Var){number, type};
    return number;
}

/* Writes a variable of this type, or a field of one; false: there is none. */
static bool put_var(Gen *g, const Type *type) {
    int var = -1, field = -1, seen = 0;
    for (int i = 0; i < g->count; i++) {
        const Type *of = g->vars[i].type;
        if (of == type && below(g, ++seen) == 0) var = i, field = -1;
        for (int k = 0; of->kind == TY_struct && k < of->count; k++) {
            if (of->args[k] == type && below(g, ++seen) == 0) var = i, field = k;
        }
    }
    if (var < 0) return false;
    buf_printf(g->out, field < 0 ? "x%d" : "x%d.$%d", g->vars[var].number, field);
    return true;
}

/* A variable that is a vector: its place in g->vars, or -1. */
static int find_vec(Gen *g) {
    int found = -1, seen = 0;
    for (int i = 0; i < g->count; i++) {
        if (g->vars[i].type->kind == TY_vec && below(g, ++seen) == 0) found = i;
    }
    return found;
}

/* ---- constants ---- */

static void literal_integer(Gen *g, const Type *type) {
    const TypeClass *class = &type_classes[type->kind];
    int bits = class->bits;
    uint64_t value = (uint64_t)below(g, 12);
    bool negative = false;
    if (chance(g, 12)) value = next(g) >> (64 - bits + below(g, bits));
    if (class->class == 's') {
        uint64_t top = (uint64_t)1 << (bits - 1);
        value &= top - 1;
        negative = g->exact && chance(g, 25);
        if (chance(g, 3)) value = negative ? top : top - 1;
    }
    const char *suffix = literal_suffix(type->kind);
    buf_printf(g->out, negative ? "(-%llu%s)" : "%llu%s", (unsigned long long)value, suffix);
}

static void literal_float(Gen *g, const Type *type) {
    static const double odd[] = {0.0, 1e30, 1e-30, 3.0e9, 1e19, 16777217.0};
    double value = below(g, 32) / 8.0;
    if (g->exact && chance(g, 10)) value = odd[below(g, 6)];
    char text[40];
    snprintf(text, sizeof text, "%.9g", value);
    if (!strpbrk(text, ".e")) strcat(text, ".0");
    const char *suffix = type->kind == TY_f32 ? "f" : "";
    bool negative = g->exact && chance(g, 25);
    buf_printf(g->out, negative ? "(-%s%s)" : "%s%s", text, suffix);
}

static void literal_string(Gen *g) {
    static const char *const parts[] = {"a", "b", "ab", " ", "#", "\\n", "\\\"", "\\x41", "\\t", "\\\\", "z"};
    put(g, "\"");
    for (int i = below(g, 5); i > 0; i--) put(g, parts[below(g, 11)]);
    put(g, "\"");
}

/* The least that has the type, for the ends of the tree and for arguments. */
static void literal(Gen *g, Type *type) {
    if (type->kind == TY_bool) {
        put(g, chance(g, 50) ? "true" : "false");
    } else if (type_is_float(type)) {
        literal_float(g, type);
    } else if (type_is_scalar(type)) {
        literal_integer(g, type);
    } else if (type->kind == TY_struct) {
        put(g, "{");
        for (int i = 0; i < type->count; i++) {
            if (i) put(g, ", ");
            literal(g, type->args[i]);
        }
        put(g, "}");
    } else if (type->kind == TY_vec && type->args[0]->kind == TY_i8 && chance(g, 50)) {
        literal_string(g);
    } else if (type->kind == TY_vec) {
        int count = below(g, 5);
        put(g, count ? "[" : "([]");
        for (int i = 0; i < count; i++) {
            if (i) put(g, ", ");
            literal(g, type->args[0]);
        }
        put(g, count ? "]" : ": ");
        if (!count) put_type(g, type);
        if (!count) put(g, ")");
    } else { /* a dictionary of one entry */
        Type *value = type->args[1];
        bool group = value->kind == TY_vec;
        put(g, group ? "result(merge(groupmerger[" : "result(merge(dictmerger[");
        put_type(g, type->args[0]);
        put(g, ",");
        put_type(g, group ? value->args[0] : value);
        put(g, group ? "], {" : ",max], {");
        literal(g, type->args[0]);
        put(g, ", ");
        literal(g, group ? value->args[0] : value);
        put(g, "}))");
    }
}

/* Long enough for compiled loops to work on several elements at once. */
static void long_list(Gen *g, Type *element) {
    put(g, "[");
    for (int i = 5 + below(g, 60); i > 0; i--) {
        literal(g, element);
        if (i > 1) put(g, ", ");
    }
    put(g, "]");
}

/* ---- operators ---- */

static bool class_takes(char class, const Type *type) {
    char have = type_classes[type->kind].class;
    switch (class) {
    case 'i': return have == 's' || have == 'u';
    case 'n': return have == 's' || have == 'u' || have == 'f';
    case 'f': return have == 'f';
    case 'l': return have == 's' || have == 'u' || have == 'b';
    case 'b': return have == 'b';
    default: return true;
    }
}

static bool op_inexact(Op op) { /* libm's functions, but not those that IEEE 754 fixes */
    return op_classes[op].class == 'f' && op != OP_sqrt;
}

static bool op_allowed(Gen *g, Op op, char form, const Type *type) {
    const OpClass *class = &op_classes[op];
    if (class->form != form || !class_takes(class->class, type)) return false;
    if (!type_is_float(type)) return true;
    if (g->exact) return !op_inexact(op);
    return op != OP_sub && op != OP_neg && op != OP_rem && op != OP_div;
}

static Op random_op(Gen *g, char form, const Type *type) {
    Op found = OP_none;
    int seen = 0;
    for (int op = OP_none + 1; op < OP_COUNT; op++) {
        if (op_allowed(g, (Op)op, form, type) && below(g, ++seen) == 0) found = (Op)op;
    }
    return found;
}

static Op random_reduction(Gen *g, const Type *type) {
    static const Op ops[] = {OP_min, OP_max, OP_add, OP_mul};
    return ops[below(g, g->exact && has_float(type) ? 2 : 4)];
}

/* An operand of a math function in an inexact program: near 1, so that errors do not grow. */
static void tame(Gen *g, Type *type) {
    buf_printf(g->out, "%d.%d%s", below(g, 3), 1 + below(g, 9), type->kind == TY_f32 ? "f" : "");
}

static bool fits_unary(Gen *g, const Type *type) {
    return type_is_scalar(type) && random_op(g, 'u', type) != OP_none;
}

static void unary(Gen *g, Type *type, int depth) {
    Op op = random_op(g, 'u', type);
    if (op == OP_none) {
        literal(g, type);
        return;
    }
    bool word = op_classes[op].precedence == 0;
    bool negative = op == OP_sin || op == OP_cos || op == OP_tan || op == OP_log;
    if (negative) buf_printf(g->out, "(|t: %s| t * t)", type_classes[type->kind].spelling);
    buf_printf(g->out, word ? "(%s(" : "(%s (", op_classes[op].spelling);
    if (op_inexact(op)) {
        tame(g, type);
    } else {
        expr(g, type, depth - 1);
    }
    put(g, "))");
}

static bool fits_binary(Gen *g, const Type *type) {
    (void)g;
    return type_is_scalar(type);
}

/* A divisor that is not 0: an odd integer. */
static void divisor(Gen *g, Type *type, int depth) {
    bool odd = type_is_integer(type) && guarded(g);
    put(g, odd ? "((" : "");
    expr(g, type, depth);
    if (odd) buf_printf(g->out, ") | 1%s)", literal_suffix(type->kind));
}

static void binary(Gen *g, Type *type, int depth) {
    Op op = random_op(g, 'b', type);
    const OpClass *class = &op_classes[op];
    bool infix = class->precedence > 0;
    buf_printf(g->out, infix ? "((" : "%s((", class->spelling);
    if (op_inexact(op)) {
        tame(g, type);
        put(g, "), ");
        tame(g, type);
        put(g, ")");
        return;
    }
    expr(g, type, depth - 1);
    buf_printf(g->out, infix ? ") %s (" : "), (", class->spelling);
    (class->traits & FAILS ? divisor : expr)(g, type, depth - 1);
    put(g, "))");
}

static bool fits_cast(Gen *g, const Type *type) {
    (void)g;
    return type_is_scalar(type);
}

static void cast(Gen *g, Type *type, int depth) {
    Type *from = random_scalar(g);
    bool tamed = !g->exact && type_is_float(type);
    if (!g->exact && type_is_float(from)) from = tamed ? from : scalar(g, TY_i64);
    buf_printf(g->out, "%s(", type_classes[type->kind].spelling);
    bool mask = tamed && type_is_integer(from);
    if (mask) buf_printf(g->out, "15%s & ", literal_suffix(from->kind));
    expr(g, from, depth - 1);
    put(g, ")");
}

static bool fits_bool(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_bool;
}

static void comparison(Gen *g, Type *type, int depth) {
    Type *of = random_type(g, chance(g, 70) ? 0 : 2);
    if (!decides(g, of)) of = scalar(g, TY_i32);
    (void)type;
    put(g, "((");
    expr(g, of, depth - 1);
    buf_printf(g->out, ") %s (", op_classes[random_op(g, 'c', of)].spelling);
    expr(g, of, depth - 1);
    put(g, "))");
}

static void logic(Gen *g, Type *type, int depth) {
    put(g, "((");
    expr(g, type, depth - 1);
    put(g, chance(g, 50) ? ") && (" : ") || (");
    expr(g, type, depth - 1);
    put(g, "))");
}

static void assertion(Gen *g, Type *type, int depth) {
    put(g, "assert((");
    expr(g, type, depth - 1);
    put(g, guarded(g) ? ") || true)" : "))");
}

/* ---- any type ---- */

static bool fits_any(Gen *g, const Type *type) {
    (void)g;
    (void)type;
    return true;
}

static void binding(Gen *g, Type *type, int depth) {
    int scope = g->count;
    Type *of = random_type(g, 2);
    int number = g->names++;
    buf_printf(g->out, "(let x%d = ", number);
    expr(g, of, depth - 1);
    put(g, "; ");
    if (g->count < MOST_VARS) g->vars[g->count++] = (Var){number, of};
    expr(g, type, depth - 1);
    put(g, ")");
    g->count = scope;
}

static void choice(Gen *g, Type *type, int depth) {
    put(g, chance(g, 60) ? "if(" : "select(");
    expr(g, scalar(g, TY_bool), depth - 1);
    put(g, ", ");
    expr(g, type, depth - 1);
    put(g, ", ");
    expr(g, type, depth - 1);
    put(g, ")");
}

static void call(Gen *g, Type *type, int depth) {
    int scope = g->count, count = 1 + below(g, 2), first = g->names;
    Type *params[2];
    g->names += count;
    put(g, "(|");
    for (int i = 0; i < count; i++) {
        params[i] = random_type(g, 2);
        buf_printf(g->out, "%sx%d: ", i ? ", " : "", first + i);
        put_type(g, params[i]);
    }
    put(g, "| ");
    for (int i = 0; i < count && g->count < MOST_VARS; i++) g->vars[g->count++] = (Var){first + i, params[i]};
    expr(g, type, depth - 1);
    g->count = scope;
    put(g, ")(");
    for (int i = 0; i < count; i++) {
        if (i) put(g, ", ");
        expr(g, params[i], depth - 1);
    }
    put(g, ")");
}

static void iterate(Gen *g, Type *type, int depth) {
    int scope = g->count, limit = 1 + below(g, 4);
    put(g, "iterate({");
    expr(g, type, depth - 1);
    put(g, ", 0}, |");
    Type *parts[2] = {type, scalar(g, TY_i32)};
    int number = name(g, type_make(g->types, TY_struct, OP_none, 2, parts));
    buf_printf(g->out, "x%d| {{", number);
    expr(g, type, depth - 1);
    buf_printf(g->out, ", x%d.$1 + 1}, x%d.$1 < %d}).$0", number, number, limit);
    g->count = scope;
}

static void bytes(Gen *g, Type *type, int depth) {
    put(g, "deserialize[");
    put_type(g, type);
    put(g, "](serialize(");
    expr(g, type, depth - 1);
    put(g, "))");
}

static void field(Gen *g, Type *type, int depth) {
    int count = 1 + below(g, 3), which = below(g, count);
    put(g, "({");
    for (int i = 0; i < count; i++) {
        if (i) put(g, ", ");
        expr(g, i == which ? type : random_type(g, 1), depth - 1);
    }
    buf_printf(g->out, "}.$%d)", which);
}

/* v[i mod len v], or a constant from the empty vector. */
static void lookup(Gen *g, Type *type, int depth) {
    int number = g->names++;
    buf_printf(g->out, "(let x%d = ", number);
    expr(g, type_vec(g->types, type), depth - 1);
    if (!guarded(g)) {
        buf_printf(g->out, "; lookup(x%d, ", number);
        expr(g, scalar(g, TY_i64), depth - 1);
        put(g, "))");
        return;
    }
    buf_printf(g->out, "; if(len(x%d) == 0l, ", number);
    literal(g, type);
    buf_printf(g->out, ", lookup(x%d, (65535l & ", number);
    expr(g, scalar(g, TY_i64), depth - 1);
    buf_printf(g->out, ") %% len(x%d))))", number);
}

static Type *dict_of(Gen *g, Type *value) {
    Type *parts[2] = {random_key(g, 1), value};
    return type_make(g->types, TY_dict, OP_none, 2, parts);
}

static bool fits_dict_value(Gen *g, const Type *type) {
    (void)g;
    return is_combinable(type) || type->kind == TY_vec;
}

static void dict_lookup(Gen *g, Type *type, int depth) {
    Type *dict = dict_of(g, type);
    if (chance(g, 50)) {
        put(g, "optlookup(");
        expr(g, dict, depth - 1);
        put(g, ", ");
        expr(g, dict->args[0], depth - 1);
        put(g, ").$1");
        return;
    }
    int d = g->names, k = d + 1;
    g->names += 2;
    buf_printf(g->out, "(let x%d = ", d);
    expr(g, dict, depth - 1);
    buf_printf(g->out, "; let x%d = ", k);
    expr(g, dict->args[0], depth - 1);
    put(g, "; ");
    if (guarded(g)) {
        buf_printf(g->out, "if(keyexists(x%d, x%d), lookup(x%d, x%d), ", d, k, d, k);
        literal(g, type);
        put(g, "))");
    } else {
        buf_printf(g->out, "lookup(x%d, x%d))", d, k);
    }
}

static void key_exists(Gen *g, Type *type, int depth) {
    (void)type;
    Type *dict = dict_of(g, random_combinable(g));
    put(g, "keyexists(");
    expr(g, dict, depth - 1);
    put(g, ", ");
    expr(g, dict->args[0], depth - 1);
    put(g, ")");
}

static bool fits_i64(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_i64;
}

static void length(Gen *g, Type *type, int depth) {
    (void)type;
    put(g, "len(");
    expr(g, type_vec(g->types, random_type(g, 1)), depth - 1);
    put(g, ")");
}

static bool fits_struct(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_struct;
}

static void structure(Gen *g, Type *type, int depth) {
    put(g, "{");
    for (int i = 0; i < type->count; i++) {
        if (i) put(g, ", ");
        expr(g, type->args[i], depth - 1);
    }
    put(g, "}");
}

/* ---- vectors ---- */

static bool fits_vec(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_vec;
}

static void elements(Gen *g, Type *element, int count, int depth) {
    put(g, "[");
    for (int i = 0; i < count; i++) {
        if (i) put(g, ", ");
        expr(g, element, depth - 1);
    }
    put(g, "]");
}

static void list(Gen *g, Type *type, int depth) {
    elements(g, type->args[0], 1 + below(g, 4), depth);
}

static void slice(Gen *g, Type *type, int depth) {
    put(g, "slice(");
    expr(g, type, depth - 1);
    for (int i = 0; i < 2; i++) {
        put(g, guarded(g) ? ", 7l & (" : ", (");
        expr(g, scalar(g, TY_i64), depth - 1);
        put(g, ")");
    }
    put(g, ")");
}

/* Writes a path from a value of this type to a part that may decide an order; false: there is none. */
static bool ordered_part(Gen *g, const Type *type, char *path, size_t size) {
    if (!has_float(type) && type_is_comparable(type)) return true;
    if (type->kind != TY_struct) return false;
    size_t end = strlen(path);
    for (int i = 0; i < type->count; i++) {
        snprintf(path + end, size - end, ".$%d", i);
        if (ordered_part(g, type->args[i], path, size)) return true;
    }
    path[end] = 0;
    return false;
}

static bool fits_sort(Gen *g, const Type *type) {
    char path[64] = "";
    return type->kind == TY_vec && ordered_part(g, type->args[0], path, sizeof path);
}

static void sort(Gen *g, Type *type, int depth) {
    char path[64] = "";
    int a = g->names, b = a + 1;
    bool down = chance(g, 40);
    g->names += 2;
    ordered_part(g, type->args[0], path, sizeof path);
    put(g, "sort(");
    expr(g, type, depth - 1);
    buf_printf(g->out, ", |x%d, x%d| compare(x%d%s, x%d%s))", a, b, down ? b : a, path, down ? a : b, path);
}

/* Of a vector in scope, mostly, so that loops follow on one another. */
static Type *random_element(Gen *g) {
    int at = find_vec(g);
    return at >= 0 && chance(g, 60) ? g->vars[at].type->args[0] : random_type(g, 2);
}

static void map(Gen *g, Type *type, int depth) {
    int scope = g->count;
    Type *from = random_element(g);
    put(g, "map(");
    expr(g, type_vec(g->types, from), depth - 1);
    buf_printf(g->out, ", |x%d| ", name(g, from));
    expr(g, type->args[0], depth - 1);
    put(g, ")");
    g->count = scope;
}

static void filter(Gen *g, Type *type, int depth) {
    int scope = g->count;
    put(g, "filter(");
    expr(g, type, depth - 1);
    buf_printf(g->out, ", |x%d| ", name(g, type->args[0]));
    expr(g, scalar(g, TY_bool), depth - 1);
    put(g, ")");
    g->count = scope;
}

static void flatten(Gen *g, Type *type, int depth) {
    put(g, "flatten(");
    elements(g, type, 1 + below(g, 3), depth);
    put(g, ")");
}

static bool fits_bytes(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_vec && type->args[0]->kind == TY_u8;
}

/* Not of floats: the bits of a NaN are open. Nor of dictionaries: their order is. */
static void serialized(Gen *g, Type *type, int depth) {
    Type *of = random_type(g, 2);
    (void)type;
    if (!decides(g, of) || has_float(of)) of = type_vec(g->types, scalar(g, TY_i16));
    put(g, "serialize(");
    expr(g, of, depth - 1);
    put(g, ")");
}

static bool fits_pairs(Gen *g, const Type *type) {
    if (type->kind != TY_vec || type->args[0]->kind != TY_struct || type->args[0]->count != 2) return false;
    const Type *pair = type->args[0];
    return !has_float(pair->args[0]) && type_is_key(pair->args[0]) && fits_dict_value(g, pair->args[1]);
}

static void pairs(Gen *g, Type *type, int depth) {
    int a = g->names, b = a + 1;
    g->names += 2;
    put(g, "sort(tovec(");
    expr(g, type_make(g->types, TY_dict, OP_none, 2, type->args[0]->args), depth - 1);
    buf_printf(g->out, "), |x%d, x%d| compare(x%d.$0, x%d.$0))", a, b, a, b);
}

/* ---- loops ---- */

/* A list written in place, walked whole or in part. */
static Type *iter_of_list(Gen *g, int depth) {
    Type *element = random_type(g, 1);
    int count = 1 + below(g, 3), stride = 1 + below(g, 3), start = below(g, 3), end = start + count * stride;
    if (!guarded(g)) end++;
    put(g, "iter(");
    elements(g, element, chance(g, 50) ? end : end + 1, depth);
    if (chance(g, 80)) buf_printf(g->out, ", %dl, %dl, %dl", start, end, stride);
    put(g, ")");
    return element;
}

/* A strided view of six elements. */
static Type *iter_nd(Gen *g, int depth) {
    static const char *const views[] = {"0l, 6l, 1l, [2l, 3l], [3l, 1l]", "0l, 6l, 1l, [3l, 2l], [1l, 3l]",
                                        "1l, 5l, 1l, [2l, 2l], [0l, 2l]", "5l, 11l, 1l, [6l], [-1l]",
                                        "0l, 8l, 1l, [2l, 2l, 2l], [1l, 2l, 1l]"};
    Type *element = random_type(g, 1);
    put(g, "nditer(");
    elements(g, element, 6, depth);
    buf_printf(g->out, ", %s)", views[below(g, 5)]);
    return element;
}

/* Iterators over a vector in scope, all as long as it is. */
static Type *iters_of_var(Gen *g, int at, int depth) {
    Var var = g->vars[at];
    Type *parts[3] = {var.type->args[0], NULL, NULL};
    int count = 1 + below(g, 3);
    if (count == 1) {
        buf_printf(g->out, chance(g, 50) ? "x%d" : "iter(x%d, 0l, len(x%d), 1l)", var.number, var.number);
        return parts[0];
    }
    buf_printf(g->out, "zip(x%d", var.number);
    for (int i = 1; i < count; i++) {
        int scope = g->count;
        put(g, ", ");
        if (chance(g, 40)) {
            buf_printf(g->out, "rangeiter(0l, len(x%d), 1l)", var.number);
            parts[i] = scalar(g, TY_i64);
        } else {
            parts[i] = random_type(g, 1);
            buf_printf(g->out, "map(x%d, |x%d| ", var.number, name(g, var.type->args[0]));
            expr(g, parts[i], depth - 2);
            put(g, ")");
        }
        g->count = scope;
    }
    put(g, ")");
    return type_make(g->types, TY_struct, OP_none, count, parts);
}

static Type *zip_of_lists(Gen *g, int depth) {
    Type *parts[3];
    int count = 1 + below(g, 3), length = 1 + below(g, 3);
    put(g, "zip(");
    for (int i = 0; i < count; i++) {
        if (i) put(g, ", ");
        parts[i] = random_type(g, 1);
        if (chance(g, 20)) {
            int start = below(g, 9) - 4, step = 1 + below(g, 3);
            buf_printf(g->out, "rangeiter(%dl, %dl, %dl)", start, start + length * step, step);
            parts[i] = scalar(g, TY_i64);
        } else {
            elements(g, parts[i], guarded(g) ? length : length + 1, depth - 1);
        }
    }
    put(g, ")");
    return count == 1 ? parts[0] : type_make(g->types, TY_struct, OP_none, count, parts);
}

/* Writes the iterators of a loop; returns the type of its element. */
static Type *iters(Gen *g, int depth) {
    int at = find_vec(g), how = below(g, 10);
    if (at >= 0 && how < 4 && g->loops < 2) return iters_of_var(g, at, depth);
    if (how == 4) return iter_nd(g, depth - 1);
    if (how == 5) return iter_of_list(g, depth - 1);
    if (how == 6) return zip_of_lists(g, depth);
    if (how < 8) {
        int step = 1 + below(g, 3), start = below(g, 9) - 4;
        buf_printf(g->out, "rangeiter(%dl, %dl, %dl)", start, start + step * below(g, 6), step);
        return scalar(g, TY_i64);
    }
    if (g->loops >= 2) {
        Type *element = random_type(g, 1);
        elements(g, element, 1 + below(g, 3), depth - 1);
        return element;
    }
    Type *element = random_element(g);
    expr(g, type_vec(g->types, element), depth - 1);
    return element;
}

static void new_builder(Gen *g, Type *type, int depth) {
    if (type->kind == TY_struct) {
        put(g, "{");
        for (int i = 0; i < type->count; i++) {
            if (i) put(g, ", ");
            new_builder(g, type->args[i], depth);
        }
        put(g, "}");
        return;
    }
    put_type(g, type);
    if (type->kind == TY_appender && chance(g, 20)) {
        buf_printf(g->out, "(%dl)", below(g, 20));
    } else if (type->kind == TY_merger && chance(g, 40)) {
        put(g, "(");
        expr(g, type->args[0], depth - 1);
        put(g, ")");
    } else if (type->kind == TY_vecmerger) {
        put(g, "(");
        elements(g, type->args[0], 4, depth - 1);
        put(g, ")");
    }
}

static void merged_value(Gen *g, const Type *builder, int depth) {
    if (builder->kind == TY_struct) {
        put(g, "{");
        for (int i = 0; i < builder->count; i++) {
            if (i) put(g, ", ");
            merged_value(g, builder->args[i], depth);
        }
        put(g, "}");
        return;
    }
    if (builder->kind == TY_appender || builder->kind == TY_merger) {
        expr(g, builder->args[0], depth);
        return;
    }
    put(g, "{");
    if (builder->kind == TY_vecmerger) {
        put(g, guarded(g) ? "3l & " : "7l & ");
        expr(g, scalar(g, TY_i64), depth - 1);
    } else {
        expr(g, builder->args[0], depth - 1);
    }
    put(g, ", ");
    expr(g, builder->args[builder->kind == TY_vecmerger ? 0 : 1], depth - 1);
    put(g, "}");
}

static void merges(Gen *g, Type *builder, const char *path, int depth);

/* for(iters, start, |b, i, e| ..), where start is a path to a builder, or NULL for a new one. */
static void loop(Gen *g, Type *builder, const char *start, int depth) {
    int scope = g->count, outer = g->loops;
    char path[32];
    put(g, "for(");
    Type *element = iters(g, depth - 1);
    put(g, ", ");
    if (start) {
        put(g, start);
    } else {
        new_builder(g, builder, depth - 1);
    }
    int own = g->names++;
    buf_printf(g->out, ", |x%d, ", own);
    buf_printf(g->out, "x%d, ", name(g, scalar(g, TY_i64)));
    buf_printf(g->out, "x%d| ", name(g, element));
    snprintf(path, sizeof path, "x%d", own);
    g->loops++;
    merges(g, builder, start && chance(g, 30) ? start : path, depth - 1); /* the outer name is an alias */
    g->loops = outer;
    g->count = scope;
    put(g, ")");
}

static void merges_fields(Gen *g, Type *builder, const char *path, int depth) {
    put(g, "{");
    for (int i = 0; i < builder->count; i++) {
        char part[64];
        if (i) put(g, ", ");
        snprintf(part, sizeof part, "%s.$%d", path, i);
        merges(g, builder->args[i], part, depth - 1);
    }
    put(g, "}");
}

/* The builder at path, with something merged into it. */
static void merges(Gen *g, Type *builder, const char *path, int depth) {
    int scope = g->count, how = below(g, 12);
    if (depth <= 0 || g->fuel <= 0) how = 6;
    if (strlen(path) > 24 || (how == 0 && g->loops >= 3)) how = 6;
    if (how == 0) {
        loop(g, builder, path, depth);
    } else if (how <= 2) {
        put(g, "if(");
        expr(g, scalar(g, TY_bool), depth - 1);
        put(g, ", ");
        merges(g, builder, chance(g, 50) ? path : path, depth - 1);
        buf_printf(g->out, ", %s)", path);
    } else if (how == 3) {
        Type *of = random_type(g, 2);
        int number = g->names++;
        buf_printf(g->out, "(let x%d = ", number);
        expr(g, of, depth - 1);
        put(g, "; ");
        if (g->count < MOST_VARS) g->vars[g->count++] = (Var){number, of};
        merges(g, builder, path, depth - 1);
        put(g, ")");
        g->count = scope;
    } else if (how == 4 && builder->kind != TY_struct) {
        put(g, "merge(");
        merges(g, builder, path, depth - 1);
        put(g, ", ");
        merged_value(g, builder, depth - 1);
        put(g, ")");
    } else if (how == 5) {
        put(g, path);
    } else if (builder->kind == TY_struct && how > 7) {
        merges_fields(g, builder, path, depth);
    } else {
        buf_printf(g->out, "merge(%s, ", path);
        merged_value(g, builder, depth - 1);
        put(g, ")");
    }
}

static Type *builder_make(Gen *g, TypeKind kind, Op op, Type *a, Type *b) {
    Type *args[2] = {a, b};
    return type_make(g->types, kind, op, b ? 2 : 1, args);
}

/* A builder whose result has this type, or NULL. */
static Type *builder_of(Gen *g, Type *type) {
    if (is_combinable(type)) return builder_make(g, TY_merger, random_reduction(g, type), type, NULL);
    if (type->kind == TY_vec) {
        Type *element = type->args[0];
        if (is_combinable(element) && chance(g, 25))
            return builder_make(g, TY_vecmerger, random_reduction(g, element), element, NULL);
        return builder_make(g, TY_appender, OP_none, element, NULL);
    }
    if (type->kind != TY_dict) return NULL;
    Type *value = type->args[1];
    if (value->kind == TY_vec) return builder_make(g, TY_groupmerger, OP_none, type->args[0], value->args[0]);
    return builder_make(g, TY_dictmerger, random_reduction(g, value), type->args[0], value);
}

static bool fits_built(Gen *g, const Type *type) {
    (void)g;
    return is_combinable(type) || type->kind == TY_vec || type->kind == TY_dict;
}

static void built(Gen *g, Type *type, int depth) {
    put(g, "result(");
    loop(g, builder_of(g, type), NULL, depth);
    put(g, ")");
}

/* One field of a loop that fills a struct of builders. */
static void built_field(Gen *g, Type *type, int depth) {
    Type *parts[3];
    int count = 1 + below(g, 3), which = below(g, count);
    for (int i = 0; i < count; i++) {
        Type *of = i == which ? type : random_combinable(g);
        parts[i] = builder_of(g, of);
        if (i != which && chance(g, 15)) parts[i] = type_make(g->types, TY_struct, OP_none, 1, &parts[i]);
    }
    Type *builder = type_make(g->types, TY_struct, OP_none, count, parts);
    if (chance(g, 50)) {
        put(g, "result(");
        loop(g, builder, NULL, depth);
        buf_printf(g->out, ").$%d", which);
    } else {
        int number = g->names++;
        buf_printf(g->out, "(let x%d = ", number);
        loop(g, builder, NULL, depth);
        buf_printf(g->out, "; result(x%d.$%d))", number, which);
    }
}

/* ---- lanes ---- */

/* A simd expression; the lanes are in the struct or value named by e. */
static void lanes(Gen *g, Type *type, const char *e, int depth) {
    int how = below(g, 8);
    Op op = random_op(g, 'b', type);
    if (depth <= 0 || how < 2) {
        put(g, e);
    } else if (how == 2) {
        put(g, "broadcast(");
        expr(g, type, depth - 2);
        put(g, ")");
    } else if (how == 3 && decides(g, type)) {
        put(g, "select(");
        lanes(g, type, e, depth - 1);
        buf_printf(g->out, " %s ", op_classes[random_op(g, 'c', type)].spelling);
        lanes(g, type, e, depth - 1);
        put(g, ", ");
        lanes(g, type, e, depth - 1);
        put(g, ", ");
        lanes(g, type, e, depth - 1);
        put(g, ")");
    } else if (how == 4 && !op_inexact(random_op(g, 'u', type)) && random_op(g, 'u', type)) {
        Op unary_op = random_op(g, 'u', type);
        while (op_inexact(unary_op)) unary_op = random_op(g, 'u', type);
        buf_printf(g->out, "(%s(", op_classes[unary_op].spelling);
        lanes(g, type, e, depth - 1);
        put(g, "))");
    } else {
        while (op_inexact(op) || (op_classes[op].traits & FAILS && type_is_integer(type)))
            op = random_op(g, 'b', type);
        bool infix = op_classes[op].precedence > 0;
        buf_printf(g->out, infix ? "((" : "%s((", op_classes[op].spelling);
        lanes(g, type, e, depth - 1);
        buf_printf(g->out, infix ? ") %s (" : "), (", op_classes[op].spelling);
        lanes(g, type, e, depth - 1);
        put(g, "))");
    }
}

static bool fits_lanes(Gen *g, const Type *type) {
    (void)g;
    return is_number(type) || (type->kind == TY_vec && type_is_scalar(type->args[0]));
}

/* result(for(fringeiter(v), for(simditer(v), builder, lanes), the rest)) */
static void vector_loop(Gen *g, Type *type, int depth) {
    Type *element = type->kind == TY_vec ? type->args[0] : type;
    Type *builder = builder_make(g, type->kind == TY_vec ? TY_appender : TY_merger,
                                 type->kind == TY_vec ? OP_none : random_reduction(g, type), element, NULL);
    int data = g->names, b = data + 1, i = data + 2, e = data + 3;
    bool two = chance(g, 30);
    char lane[32];
    g->names += 4;
    buf_printf(g->out, "(let x%d = ", data);
    put(g, "flatten([");
    expr(g, type_vec(g->types, element), depth - 1);
    put(g, ", ");
    elements(g, element, 5 + below(g, 8), depth - 2);
    buf_printf(g->out, "]); result(for(%s(x%d), for(", "fringeiter", data);
    buf_printf(g->out, two ? "zip(simditer(x%d), simditer(x%d)), " : "simditer(x%d), ", data, data);
    put_type(g, builder);
    buf_printf(g->out, ", |x%d, x%d, x%d| merge(x%d, ", b, i, e, b);
    snprintf(lane, sizeof lane, two ? "x%d.$1" : "x%d", e);
    lanes(g, element, lane, depth < 3 ? depth : 3);
    buf_printf(g->out, ")), |x%d, x%d, x%d| merge(x%d, ", b, i, e, b);
    int scope = g->count;
    if (g->count < MOST_VARS) g->vars[g->count++] = (Var){e, element};
    expr(g, element, depth - 1);
    g->count = scope;
    put(g, "))))");
}

/* ---- the table ---- */

typedef struct Production {
    int weight;
    bool (*fits)(Gen *g, const Type *type);
    void (*write)(Gen *g, Type *type, int depth);
} Production;

static const Production productions[] = {
    {10, fits_binary, binary},    {4, fits_unary, unary},
    {4, fits_cast, cast},         {5, fits_bool, comparison},
    {3, fits_bool, logic},        {1, fits_bool, assertion},
    {3, fits_any, binding},       {3, fits_any, choice},
    {1, fits_any, call},          {1, fits_any, iterate},
    {1, fits_any, bytes},         {2, fits_any, field},
    {2, fits_any, lookup},        {2, fits_dict_value, dict_lookup},
    {1, fits_bool, key_exists},   {2, fits_i64, length},
    {12, fits_struct, structure}, {3, fits_vec, list},
    {2, fits_vec, slice},         {2, fits_sort, sort},
    {3, fits_vec, map},           {2, fits_vec, filter},
    {1, fits_vec, flatten},       {3, fits_bytes, serialized},
    {3, fits_pairs, pairs},       {6, fits_built, built},
    {4, fits_built, built_field}, {2, fits_lanes, vector_loop},
};

/* A value at hand: a name in scope, or a constant. */
static void leaf(Gen *g, Type *type) {
    if (!chance(g, 80) || !put_var(g, type)) literal(g, type);
}

static void expr(Gen *g, Type *type, int depth) {
    const Production *chosen = NULL;
    int weights = 0;
    g->fuel--;
    if (depth <= 0 || g->fuel <= 0 || chance(g, 12)) {
        leaf(g, type);
        return;
    }
    for (size_t i = 0; i < sizeof productions / sizeof *productions; i++) {
        const Production *p = &productions[i];
        if (!p->fits(g, type)) continue;
        weights += p->weight;
        if (below(g, weights) < p->weight) chosen = p;
    }
    chosen->write(g, type, depth);
}

bool generate_program(uint64_t seed, int size, Buf *text, Buf args[GENERATE_ARGS], int *nargs) {
    Gen gen = {.state = seed * 0x2545F4914F6CDD1Du + 1, .out = text, .fuel = size}, *g = &gen;
    *nargs = 0;
    g->program = program_new("generate", "", 0);
    if (!g->program) return false;
    g->types = &g->program->types;
    g->exact = chance(g, 75);
    int count = below(g, GENERATE_ARGS + 1);
    for (int i = 0; i < count; i++) {
        Type *type = chance(g, 60) ? type_vec(g->types, random_type(g, 1)) : random_type(g, 2);
        while (type->kind == TY_dict) type = random_type(g, 1);
        buf_printf(text, "%sx%d: ", i ? ", " : "|", name(g, type));
        put_type(g, type);
        g->out = &args[i];
        if (type->kind == TY_vec && type->args[0]->kind != TY_vec && chance(g, 50)) {
            long_list(g, type->args[0]);
        } else {
            literal(g, type);
        }
        g->out = text;
    }
    if (count) put(g, "| ");
    *nargs = count;
    expr(g, random_type(g, 3), size < 40 ? 3 : DEEPEST);
    program_free(g->program);
    return g->exact;
}
