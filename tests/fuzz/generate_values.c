/* generate_values.c: productions for operators, for values of any type, and for vectors. */
#include "generate_parts.h"

#include <stdio.h>
#include <string.h>

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

bool gen_op_inexact(Op op) { /* libm's functions, but not those that IEEE 754 fixes */
    return op_classes[op].class == 'f' && op != OP_sqrt;
}

static bool op_allowed(Gen *g, Op op, char form, const Type *type) {
    const OpClass *class = &op_classes[op];
    if (class->form != form || !class_takes(class->class, type)) return false;
    if (!type_is_float(type)) return true;
    if (g->exact) return !gen_op_inexact(op);
    return op != OP_sub && op != OP_neg && op != OP_rem && op != OP_div;
}

Op gen_random_op(Gen *g, char form, const Type *type) {
    Op found = OP_none;
    int seen = 0;
    for (int op = OP_none + 1; op < OP_COUNT; op++) {
        if (op_allowed(g, (Op)op, form, type) && gen_below(g, ++seen) == 0) found = (Op)op;
    }
    return found;
}

Op gen_random_reduction(Gen *g, const Type *type) {
    static const Op ops[] = {OP_min, OP_max, OP_add, OP_mul};
    return ops[gen_below(g, g->exact && gen_has_float(type) ? 2 : 4)];
}

/* An operand of a math function in an inexact program: near 1, so that errors do not grow. */
static void tame(Gen *g, Type *type) {
    buf_printf(g->out, "%d.%d%s", gen_below(g, 3), 1 + gen_below(g, 9), type->kind == TY_f32 ? "f" : "");
}

bool fits_unary(Gen *g, const Type *type) {
    return type_is_scalar(type) && gen_random_op(g, 'u', type) != OP_none;
}

void write_unary(Gen *g, Type *type, int depth) {
    Op op = gen_random_op(g, 'u', type);
    if (op == OP_none) {
        gen_literal(g, type);
        return;
    }
    bool word = op_classes[op].precedence == 0;
    bool negative = op == OP_sin || op == OP_cos || op == OP_tan || op == OP_log;
    if (negative) buf_printf(g->out, "(|t: %s| t * t)", type_classes[type->kind].spelling);
    buf_printf(g->out, word ? "(%s(" : "(%s (", op_classes[op].spelling);
    if (gen_op_inexact(op)) {
        tame(g, type);
    } else {
        gen_expr(g, type, depth - 1);
    }
    gen_put(g, "))");
}

bool fits_scalar(Gen *g, const Type *type) {
    (void)g;
    return type_is_scalar(type);
}

/* A divisor that is not 0: an odd integer. */
static void divisor(Gen *g, Type *type, int depth) {
    bool odd = type_is_integer(type) && gen_guarded(g);
    gen_put(g, odd ? "((" : "");
    gen_expr(g, type, depth);
    if (odd) buf_printf(g->out, ") | 1%s)", literal_suffix(type->kind));
}

void write_binary(Gen *g, Type *type, int depth) {
    Op op = gen_random_op(g, 'b', type);
    const OpClass *class = &op_classes[op];
    bool infix = class->precedence > 0;
    buf_printf(g->out, infix ? "((" : "%s((", class->spelling);
    if (gen_op_inexact(op)) {
        tame(g, type);
        gen_put(g, "), ");
        tame(g, type);
        gen_put(g, ")");
        return;
    }
    gen_expr(g, type, depth - 1);
    buf_printf(g->out, infix ? ") %s (" : "), (", class->spelling);
    (class->traits & FAILS ? divisor : gen_expr)(g, type, depth - 1);
    gen_put(g, "))");
}

void write_cast(Gen *g, Type *type, int depth) {
    Type *from = gen_random_scalar(g);
    bool tamed = !g->exact && type_is_float(type);
    if (!g->exact && type_is_float(from)) from = tamed ? from : gen_scalar(g, TY_i64);
    buf_printf(g->out, "%s(", type_classes[type->kind].spelling);
    bool mask = tamed && type_is_integer(from);
    if (mask) buf_printf(g->out, "15%s & ", literal_suffix(from->kind));
    gen_expr(g, from, depth - 1);
    gen_put(g, ")");
}

/* Functions of fuzz_differential.c. What is not pure is called as often as it is written. */
static void foreign_notes(Gen *g) {
    static const char *const notes[] = {"", "@(pure: true)", "@(pure: true, threadsafe: true)",
                                        "@(threadsafe: true)"};
    gen_put(g, notes[gen_below(g, 4)]);
}

void write_foreign(Gen *g, Type *type, int depth) {
    const char *name = type_classes[type->kind].spelling;
    foreign_notes(g);
    buf_printf(g->out, "cfun[fuzz_pick_%s, %s](", name, name);
    gen_expr(g, gen_scalar(g, TY_bool), depth - 1);
    for (int i = 0; i < 2; i++) {
        gen_put(g, ", ");
        gen_expr(g, type, depth - 1);
    }
    gen_put(g, ")");
}

bool fits_scalars(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_vec && type_is_scalar(type->args[0]);
}

void write_filled(Gen *g, Type *type, int depth) {
    const char *name = type_classes[type->args[0]->kind].spelling;
    foreign_notes(g);
    buf_printf(g->out, "cfill[fuzz_fill_%s, vec[%s]](7l & (", name, name);
    gen_expr(g, gen_scalar(g, TY_i64), depth - 1);
    gen_put(g, "), ");
    gen_expr(g, type->args[0], depth - 1);
    gen_put(g, ")");
}

bool fits_bool(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_bool;
}

void write_comparison(Gen *g, Type *type, int depth) {
    Type *of = gen_random_type(g, gen_chance(g, 70) ? 0 : 2);
    if (!gen_decides(g, of)) of = gen_scalar(g, TY_i32);
    (void)type;
    gen_put(g, "((");
    gen_expr(g, of, depth - 1);
    buf_printf(g->out, ") %s (", op_classes[gen_random_op(g, 'c', of)].spelling);
    gen_expr(g, of, depth - 1);
    gen_put(g, "))");
}

void write_logic(Gen *g, Type *type, int depth) {
    gen_put(g, "((");
    gen_expr(g, type, depth - 1);
    gen_put(g, gen_chance(g, 50) ? ") && (" : ") || (");
    gen_expr(g, type, depth - 1);
    gen_put(g, "))");
}

void write_assertion(Gen *g, Type *type, int depth) {
    gen_put(g, "assert((");
    gen_expr(g, type, depth - 1);
    gen_put(g, gen_guarded(g) ? ") || true)" : "))");
}

/* ---- any type ---- */

bool fits_any(Gen *g, const Type *type) {
    (void)g;
    (void)type;
    return true;
}

void write_binding(Gen *g, Type *type, int depth) {
    int scope = g->count;
    Type *of = gen_random_type(g, 2);
    int number = g->names++;
    buf_printf(g->out, "(let x%d = ", number);
    gen_expr(g, of, depth - 1);
    gen_put(g, "; ");
    if (g->count < MOST_VARS) g->vars[g->count++] = (Var){number, of};
    gen_expr(g, type, depth - 1);
    gen_put(g, ")");
    g->count = scope;
}

void write_choice(Gen *g, Type *type, int depth) {
    gen_put(g, gen_chance(g, 60) ? "if(" : "select(");
    gen_expr(g, gen_scalar(g, TY_bool), depth - 1);
    gen_put(g, ", ");
    gen_expr(g, type, depth - 1);
    gen_put(g, ", ");
    gen_expr(g, type, depth - 1);
    gen_put(g, ")");
}

void write_call(Gen *g, Type *type, int depth) {
    int scope = g->count, count = 1 + gen_below(g, 2), first = g->names;
    Type *params[2];
    g->names += count;
    gen_put(g, "(|");
    for (int i = 0; i < count; i++) {
        params[i] = gen_random_type(g, 2);
        buf_printf(g->out, "%sx%d: ", i ? ", " : "", first + i);
        gen_put_type(g, params[i]);
    }
    gen_put(g, "| ");
    for (int i = 0; i < count && g->count < MOST_VARS; i++) g->vars[g->count++] = (Var){first + i, params[i]};
    gen_expr(g, type, depth - 1);
    g->count = scope;
    gen_put(g, ")(");
    for (int i = 0; i < count; i++) {
        if (i) gen_put(g, ", ");
        gen_expr(g, params[i], depth - 1);
    }
    gen_put(g, ")");
}

void write_iterate(Gen *g, Type *type, int depth) {
    int scope = g->count, limit = 1 + gen_below(g, 4);
    gen_put(g, "iterate({");
    gen_expr(g, type, depth - 1);
    gen_put(g, ", 0}, |");
    Type *parts[2] = {type, gen_scalar(g, TY_i32)};
    int number = gen_name(g, type_make(g->types, TY_struct, OP_none, 2, parts));
    buf_printf(g->out, "x%d| {{", number);
    gen_expr(g, type, depth - 1);
    buf_printf(g->out, ", x%d.$1 + 1}, x%d.$1 < %d}).$0", number, number, limit);
    g->count = scope;
}

void write_bytes(Gen *g, Type *type, int depth) {
    gen_put(g, "deserialize[");
    gen_put_type(g, type);
    gen_put(g, "](serialize(");
    gen_expr(g, type, depth - 1);
    gen_put(g, "))");
}

void write_field(Gen *g, Type *type, int depth) {
    int count = 1 + gen_below(g, 2), which = gen_below(g, count);
    gen_put(g, "({");
    for (int i = 0; i < count; i++) {
        if (i) gen_put(g, ", ");
        gen_expr(g, i == which ? type : gen_random_type(g, 1), depth - 1);
    }
    buf_printf(g->out, "}.$%d)", which);
}

/* v[i mod len v], or a constant from the empty vector. */
void write_lookup(Gen *g, Type *type, int depth) {
    int number = g->names++;
    buf_printf(g->out, "(let x%d = ", number);
    gen_expr(g, type_vec(g->types, type), depth - 1);
    if (!gen_guarded(g)) {
        buf_printf(g->out, "; lookup(x%d, ", number);
        gen_expr(g, gen_scalar(g, TY_i64), depth - 1);
        gen_put(g, "))");
        return;
    }
    buf_printf(g->out, "; if(len(x%d) == 0l, ", number);
    gen_literal(g, type);
    buf_printf(g->out, ", lookup(x%d, (65535l & ", number);
    gen_expr(g, gen_scalar(g, TY_i64), depth - 1);
    buf_printf(g->out, ") %% len(x%d))))", number);
}

static Type *dict_of(Gen *g, Type *value) {
    Type *parts[2] = {gen_random_key(g, 1), value};
    return type_make(g->types, TY_dict, OP_none, 2, parts);
}

bool fits_dict_value(Gen *g, const Type *type) {
    (void)g;
    return gen_is_combinable(type) || type->kind == TY_vec;
}

void write_dict_lookup(Gen *g, Type *type, int depth) {
    Type *dict = dict_of(g, type);
    if (gen_chance(g, 50)) {
        gen_put(g, "optlookup(");
        gen_expr(g, dict, depth - 1);
        gen_put(g, ", ");
        gen_expr(g, dict->args[0], depth - 1);
        gen_put(g, ").$1");
        return;
    }
    int d = g->names, k = d + 1;
    g->names += 2;
    buf_printf(g->out, "(let x%d = ", d);
    gen_expr(g, dict, depth - 1);
    buf_printf(g->out, "; let x%d = ", k);
    gen_expr(g, dict->args[0], depth - 1);
    gen_put(g, "; ");
    if (gen_guarded(g)) {
        buf_printf(g->out, "if(keyexists(x%d, x%d), lookup(x%d, x%d), ", d, k, d, k);
        gen_literal(g, type);
        gen_put(g, "))");
    } else {
        buf_printf(g->out, "lookup(x%d, x%d))", d, k);
    }
}

void write_key_exists(Gen *g, Type *type, int depth) {
    (void)type;
    Type *dict = dict_of(g, gen_random_combinable(g));
    gen_put(g, "keyexists(");
    gen_expr(g, dict, depth - 1);
    gen_put(g, ", ");
    gen_expr(g, dict->args[0], depth - 1);
    gen_put(g, ")");
}

bool fits_i64(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_i64;
}

void write_length(Gen *g, Type *type, int depth) {
    (void)type;
    gen_put(g, "len(");
    gen_expr(g, type_vec(g->types, gen_random_type(g, 1)), depth - 1);
    gen_put(g, ")");
}

bool fits_struct(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_struct;
}

void write_structure(Gen *g, Type *type, int depth) {
    gen_put(g, "{");
    for (int i = 0; i < type->count; i++) {
        if (i) gen_put(g, ", ");
        gen_expr(g, type->args[i], depth - 1);
    }
    gen_put(g, "}");
}

/* ---- vectors ---- */

bool fits_vec(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_vec;
}

void write_list(Gen *g, Type *type, int depth) {
    gen_elements(g, type->args[0], 1 + gen_below(g, 4), depth);
}

void write_slice(Gen *g, Type *type, int depth) {
    gen_put(g, "slice(");
    gen_expr(g, type, depth - 1);
    for (int i = 0; i < 2; i++) {
        gen_put(g, gen_guarded(g) ? ", 7l & (" : ", (");
        gen_expr(g, gen_scalar(g, TY_i64), depth - 1);
        gen_put(g, ")");
    }
    gen_put(g, ")");
}

/* Writes a path from a value of this type to a part that may decide an order; false: there is none. */
static bool ordered_part(Gen *g, const Type *type, char *path, size_t size) {
    if (!gen_has_float(type) && type_is_comparable(type)) return true;
    if (type->kind != TY_struct) return false;
    size_t end = strlen(path);
    for (int i = 0; i < type->count; i++) {
        snprintf(path + end, size - end, ".$%d", i);
        if (ordered_part(g, type->args[i], path, size)) return true;
    }
    path[end] = 0;
    return false;
}

bool fits_sort(Gen *g, const Type *type) {
    char path[64] = "";
    return type->kind == TY_vec && ordered_part(g, type->args[0], path, sizeof path);
}

void write_sort(Gen *g, Type *type, int depth) {
    char path[64] = "";
    int a = g->names, b = a + 1;
    bool down = gen_chance(g, 40);
    g->names += 2;
    ordered_part(g, type->args[0], path, sizeof path);
    gen_put(g, "sort(");
    gen_expr(g, type, depth - 1);
    buf_printf(g->out, ", |x%d, x%d| compare(x%d%s, x%d%s))", a, b, down ? b : a, path, down ? a : b, path);
}

void write_map(Gen *g, Type *type, int depth) {
    int scope = g->count;
    Type *from = gen_random_element(g);
    gen_put(g, "map(");
    gen_expr(g, type_vec(g->types, from), depth - 1);
    buf_printf(g->out, ", |x%d| ", gen_name(g, from));
    gen_expr(g, type->args[0], depth - 1);
    gen_put(g, ")");
    g->count = scope;
}

void write_filter(Gen *g, Type *type, int depth) {
    int scope = g->count;
    gen_put(g, "filter(");
    gen_expr(g, type, depth - 1);
    buf_printf(g->out, ", |x%d| ", gen_name(g, type->args[0]));
    gen_expr(g, gen_scalar(g, TY_bool), depth - 1);
    gen_put(g, ")");
    g->count = scope;
}

void write_flatten(Gen *g, Type *type, int depth) {
    gen_put(g, "flatten(");
    gen_elements(g, type, 1 + gen_below(g, 3), depth);
    gen_put(g, ")");
}

bool fits_bytes(Gen *g, const Type *type) {
    (void)g;
    return type->kind == TY_vec && type->args[0]->kind == TY_u8;
}

/* Not of floats: the bits of a NaN are open. Nor of dictionaries: their order is. */
void write_serialized(Gen *g, Type *type, int depth) {
    Type *of = gen_random_type(g, 2);
    (void)type;
    if (!gen_decides(g, of) || gen_has_float(of)) of = type_vec(g->types, gen_scalar(g, TY_i16));
    gen_put(g, "serialize(");
    gen_expr(g, of, depth - 1);
    gen_put(g, ")");
}

bool fits_pairs(Gen *g, const Type *type) {
    if (type->kind != TY_vec || type->args[0]->kind != TY_struct || type->args[0]->count != 2) return false;
    const Type *pair = type->args[0];
    return !gen_has_float(pair->args[0]) && type_is_key(pair->args[0]) && fits_dict_value(g, pair->args[1]);
}

void write_pairs(Gen *g, Type *type, int depth) {
    int a = g->names, b = a + 1;
    g->names += 2;
    gen_put(g, "sort(tovec(");
    gen_expr(g, type_make(g->types, TY_dict, OP_none, 2, type->args[0]->args), depth - 1);
    buf_printf(g->out, "), |x%d, x%d| compare(x%d.$0, x%d.$0))", a, b, a, b);
}
