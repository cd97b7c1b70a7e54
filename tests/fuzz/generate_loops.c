/* generate_loops.c: productions for loops: iterators, builders, what is merged, and lanes. */
#include "generate_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- loops ---- */

/* A list written in place, walked whole or in part. */
static Type *iter_of_list(Gen *g, int depth) {
    Type *element = gen_random_type(g, 1);
    int count = 1 + gen_below(g, 3), stride = 1 + gen_below(g, 3), start = gen_below(g, 3),
        end = start + count * stride;
    if (!gen_guarded(g)) end++;
    gen_put(g, "iter(");
    gen_elements(g, element, gen_chance(g, 50) ? end : end + 1, depth);
    if (gen_chance(g, 80)) buf_printf(g->out, ", %dl, %dl, %dl", start, end, stride);
    gen_put(g, ")");
    return element;
}

/* A strided view of six elements. */
static Type *iter_nd(Gen *g, int depth) {
    static const char *const views[] = {"0l, 6l, 1l, [2l, 3l], [3l, 1l]", "0l, 6l, 1l, [3l, 2l], [1l, 3l]",
                                        "1l, 5l, 1l, [2l, 2l], [0l, 2l]", "5l, 11l, 1l, [6l], [-1l]",
                                        "0l, 8l, 1l, [2l, 2l, 2l], [1l, 2l, 1l]"};
    Type *element = gen_random_type(g, 1);
    gen_put(g, "nditer(");
    gen_elements(g, element, 6, depth);
    buf_printf(g->out, ", %s)", views[gen_below(g, 5)]);
    return element;
}

/* Iterators over a vector in scope, all as long as it is. */
static Type *iters_of_var(Gen *g, int at, int depth) {
    Var var = g->vars[at];
    Type *parts[3] = {var.type->args[0], NULL, NULL};
    int count = 1 + gen_below(g, 3);
    if (count == 1) {
        buf_printf(g->out, gen_chance(g, 50) ? "x%d" : "iter(x%d, 0l, len(x%d), 1l)", var.number, var.number);
        return parts[0];
    }
    buf_printf(g->out, "zip(x%d", var.number);
    for (int i = 1; i < count; i++) {
        int scope = g->count;
        gen_put(g, ", ");
        if (gen_chance(g, 40)) {
            buf_printf(g->out, "rangeiter(0l, len(x%d), 1l)", var.number);
            parts[i] = gen_scalar(g, TY_i64);
        } else {
            parts[i] = gen_random_type(g, 1);
            buf_printf(g->out, "map(x%d, |x%d| ", var.number, gen_name(g, var.type->args[0]));
            gen_expr(g, parts[i], depth - 2);
            gen_put(g, ")");
        }
        g->count = scope;
    }
    gen_put(g, ")");
    return type_make(g->types, TY_struct, OP_none, count, parts);
}

static Type *zip_of_lists(Gen *g, int depth) {
    Type *parts[3];
    int count = 1 + gen_below(g, 3), length = 1 + gen_below(g, 3);
    gen_put(g, "zip(");
    for (int i = 0; i < count; i++) {
        if (i) gen_put(g, ", ");
        parts[i] = gen_random_type(g, 1);
        if (gen_chance(g, 20)) {
            int start = gen_below(g, 9) - 4, step = 1 + gen_below(g, 3);
            buf_printf(g->out, "rangeiter(%dl, %dl, %dl)", start, start + length * step, step);
            parts[i] = gen_scalar(g, TY_i64);
        } else {
            gen_elements(g, parts[i], gen_guarded(g) ? length : length + 1, depth - 1);
        }
    }
    gen_put(g, ")");
    return count == 1 ? parts[0] : type_make(g->types, TY_struct, OP_none, count, parts);
}

/* Writes the iterators of a loop; returns the type of its element. */
static Type *iters(Gen *g, int depth) {
    int at = gen_find_vec(g), how = gen_below(g, 10);
    if (at >= 0 && how < 4 && g->loops < 2) return iters_of_var(g, at, depth);
    if (how == 4) return iter_nd(g, depth - 1);
    if (how == 5) return iter_of_list(g, depth - 1);
    if (how == 6) return zip_of_lists(g, depth);
    if (how < 8) {
        int step = 1 + gen_below(g, 3), start = gen_below(g, 9) - 4;
        buf_printf(g->out, "rangeiter(%dl, %dl, %dl)", start, start + step * gen_below(g, 6), step);
        return gen_scalar(g, TY_i64);
    }
    if (g->loops >= 2) {
        Type *element = gen_random_type(g, 1);
        gen_elements(g, element, 1 + gen_below(g, 3), depth - 1);
        return element;
    }
    Type *element = gen_random_element(g);
    gen_expr(g, type_vec(g->types, element), depth - 1);
    return element;
}

static void new_builder(Gen *g, Type *type, int depth) {
    if (type->kind == TY_struct) {
        gen_put(g, "{");
        for (int i = 0; i < type->count; i++) {
            if (i) gen_put(g, ", ");
            new_builder(g, type->args[i], depth);
        }
        gen_put(g, "}");
        return;
    }
    gen_put_type(g, type);
    if (type->kind == TY_appender && gen_chance(g, 20)) {
        buf_printf(g->out, "(%dl)", gen_below(g, 20));
    } else if (type->kind == TY_merger && gen_chance(g, 40)) {
        gen_put(g, "(");
        gen_expr(g, type->args[0], depth - 1);
        gen_put(g, ")");
    } else if (type->kind == TY_vecmerger) {
        gen_put(g, "(");
        gen_elements(g, type->args[0], 4, depth - 1);
        gen_put(g, ")");
    }
}

static void merged_value(Gen *g, const Type *builder, int depth) {
    if (builder->kind == TY_struct) {
        gen_put(g, "{");
        for (int i = 0; i < builder->count; i++) {
            if (i) gen_put(g, ", ");
            merged_value(g, builder->args[i], depth);
        }
        gen_put(g, "}");
        return;
    }
    if (builder->kind == TY_appender || builder->kind == TY_merger) {
        gen_expr(g, builder->args[0], depth);
        return;
    }
    gen_put(g, "{");
    if (builder->kind == TY_vecmerger) {
        gen_put(g, gen_guarded(g) ? "3l & " : "7l & ");
        gen_expr(g, gen_scalar(g, TY_i64), depth - 1);
    } else {
        gen_expr(g, builder->args[0], depth - 1);
    }
    gen_put(g, ", ");
    gen_expr(g, builder->args[builder->kind == TY_vecmerger ? 0 : 1], depth - 1);
    gen_put(g, "}");
}

static void merges(Gen *g, Type *builder, const char *path, int depth);

/* for(iters, start, |b, i, e| ..), where start is a path to a builder, or NULL for a new one. */
static void loop(Gen *g, Type *builder, const char *start, int depth) {
    int scope = g->count, outer = g->loops;
    char path[32];
    gen_put(g, "for(");
    Type *element = iters(g, depth - 1);
    gen_put(g, ", ");
    if (start) {
        gen_put(g, start);
    } else {
        new_builder(g, builder, depth - 1);
    }
    int own = g->names++;
    buf_printf(g->out, ", |x%d, ", own);
    buf_printf(g->out, "x%d, ", gen_name(g, gen_scalar(g, TY_i64)));
    buf_printf(g->out, "x%d| ", gen_name(g, element));
    snprintf(path, sizeof path, "x%d", own);
    g->loops++;
    merges(g, builder, start && gen_chance(g, 30) ? start : path, depth - 1); /* the outer name is an alias */
    g->loops = outer;
    g->count = scope;
    gen_put(g, ")");
}

static void merges_fields(Gen *g, Type *builder, const char *path, int depth) {
    gen_put(g, "{");
    for (int i = 0; i < builder->count; i++) {
        char part[64];
        if (i) gen_put(g, ", ");
        snprintf(part, sizeof part, "%s.$%d", path, i);
        merges(g, builder->args[i], part, depth - 1);
    }
    gen_put(g, "}");
}

/* The builder at path, with something merged into it. */
static void merges(Gen *g, Type *builder, const char *path, int depth) {
    int scope = g->count, how = gen_below(g, 12);
    if (depth <= 0 || g->fuel <= 0) how = 6;
    if (strlen(path) > 24 || (how == 0 && g->loops >= 3)) how = 6;
    if (how == 0) {
        loop(g, builder, path, depth);
    } else if (how <= 2) {
        gen_put(g, "if(");
        gen_expr(g, gen_scalar(g, TY_bool), depth - 1);
        gen_put(g, ", ");
        merges(g, builder, gen_chance(g, 50) ? path : path, depth - 1);
        buf_printf(g->out, ", %s)", path);
    } else if (how == 3) {
        Type *of = gen_random_type(g, 2);
        int number = g->names++;
        buf_printf(g->out, "(let x%d = ", number);
        gen_expr(g, of, depth - 1);
        gen_put(g, "; ");
        if (g->count < MOST_VARS) g->vars[g->count++] = (Var){number, of};
        merges(g, builder, path, depth - 1);
        gen_put(g, ")");
        g->count = scope;
    } else if (how == 4 && builder->kind != TY_struct) {
        gen_put(g, "merge(");
        merges(g, builder, path, depth - 1);
        gen_put(g, ", ");
        merged_value(g, builder, depth - 1);
        gen_put(g, ")");
    } else if (how == 5) {
        gen_put(g, path);
    } else if (builder->kind == TY_struct && how > 7) {
        merges_fields(g, builder, path, depth);
    } else {
        buf_printf(g->out, "merge(%s, ", path);
        merged_value(g, builder, depth - 1);
        gen_put(g, ")");
    }
}

static Type *builder_make(Gen *g, TypeKind kind, Op op, Type *a, Type *b) {
    Type *args[2] = {a, b};
    return type_make(g->types, kind, op, b ? 2 : 1, args);
}

/* A builder whose result has this type, or NULL. */
static Type *builder_of(Gen *g, Type *type) {
    if (gen_is_combinable(type)) return builder_make(g, TY_merger, gen_random_reduction(g, type), type, NULL);
    if (type->kind == TY_vec) {
        Type *element = type->args[0];
        if (gen_is_combinable(element) && gen_chance(g, 25))
            return builder_make(g, TY_vecmerger, gen_random_reduction(g, element), element, NULL);
        return builder_make(g, TY_appender, OP_none, element, NULL);
    }
    if (type->kind != TY_dict) return NULL;
    Type *value = type->args[1];
    if (value->kind == TY_vec) return builder_make(g, TY_groupmerger, OP_none, type->args[0], value->args[0]);
    return builder_make(g, TY_dictmerger, gen_random_reduction(g, value), type->args[0], value);
}

bool fits_built(Gen *g, const Type *type) {
    (void)g;
    return gen_is_combinable(type) || type->kind == TY_vec || type->kind == TY_dict;
}

void write_built(Gen *g, Type *type, int depth) {
    gen_put(g, "result(");
    loop(g, builder_of(g, type), NULL, depth);
    gen_put(g, ")");
}

/* One field of a loop that fills a struct of builders. */
void write_built_field(Gen *g, Type *type, int depth) {
    Type *parts[3];
    int count = 1 + gen_below(g, 3), which = gen_below(g, count);
    for (int i = 0; i < count; i++) {
        Type *of = i == which ? type : gen_random_combinable(g);
        parts[i] = builder_of(g, of);
        if (i != which && gen_chance(g, 15)) parts[i] = type_make(g->types, TY_struct, OP_none, 1, &parts[i]);
    }
    Type *builder = type_make(g->types, TY_struct, OP_none, count, parts);
    if (gen_chance(g, 50)) {
        gen_put(g, "result(");
        loop(g, builder, NULL, depth);
        buf_printf(g->out, ").$%d", which);
    } else {
        int number = g->names++;
        buf_printf(g->out, "(let x%d = ", number);
        loop(g, builder, NULL, depth);
        buf_printf(g->out, "; result(x%d.$%d))", number, which);
    }
}

/* ---- joins ---- */

/* for(x, builder, |b, i, e| over a vector in scope; returns the number of b. The caller restores g->count. */
static int begin_loop(Gen *g, Type *builder) {
    Var data = g->vars[gen_find_vec(g)];
    int own = g->names++;
    buf_printf(g->out, "for(x%d, ", data.number);
    gen_put_type(g, builder);
    buf_printf(g->out, ", |x%d, x%d, ", own, gen_name(g, gen_scalar(g, TY_i64)));
    buf_printf(g->out, "x%d| ", gen_name(g, data.type->args[0]));
    return own;
}

bool fits_joined(Gen *g, const Type *type) {
    bool built = gen_is_combinable(type) || (type->kind == TY_vec && gen_is_combinable(type->args[0]));
    return built && g->loops < 2 && gen_find_vec(g) >= 0;
}

/* Into builder b goes the value of a key of dictionary d. */
static void merge_found(Gen *g, Type *key, Type *value, int d, int b, int depth) {
    int how = gen_below(g, 8), k = g->names++;
    buf_printf(g->out, "let x%d = ", k);
    gen_expr(g, key, depth);
    gen_put(g, "; ");
    if (how < 3) {
        buf_printf(g->out, "if(keyexists(x%d, x%d), merge(x%d, lookup(x%d, x%d)), x%d)", d, k, b, d, k, b);
    } else if (how < 5) {
        gen_put(g, "if(");
        gen_expr(g, gen_scalar(g, TY_bool), depth);
        buf_printf(g->out, ", merge(x%d, optlookup(x%d, x%d).$1), x%d)", b, d, k, b);
    } else if (how == 5) {
        buf_printf(g->out, "merge(x%d, if(optlookup(x%d, x%d).$0, optlookup(x%d, ", b, d, k, d);
        gen_expr(g, key, depth);
        gen_put(g, ").$1, ");
        gen_expr(g, value, depth);
        gen_put(g, "))");
    } else if (how == 6 || gen_guarded(g)) {
        buf_printf(g->out, "merge(x%d, optlookup(x%d, x%d).$1)", b, d, k);
    } else {
        buf_printf(g->out, "merge(x%d, lookup(x%d, x%d))", b, d, k);
    }
}

void write_joined(Gen *g, Type *type, int depth) {
    Type *value = type->kind == TY_vec ? type->args[0] : type, *key = gen_random_key(g, 1);
    int scope = g->count, dict = g->names++, outer = g->loops++;
    buf_printf(g->out, "(let x%d = result(", dict);
    int own = begin_loop(g, builder_make(g, TY_dictmerger, gen_random_reduction(g, value), key, value));
    buf_printf(g->out, "merge(x%d, {", own);
    gen_expr(g, key, depth - 2);
    gen_put(g, ", ");
    gen_expr(g, value, depth - 2);
    gen_put(g, "}))); result(");
    g->count = scope;
    own = begin_loop(g, type->kind == TY_vec
                            ? builder_make(g, TY_appender, OP_none, value, NULL)
                            : builder_make(g, TY_merger, gen_random_reduction(g, value), value, NULL));
    merge_found(g, key, value, dict, own, depth - 2);
    gen_put(g, ")))");
    g->count = scope;
    g->loops = outer;
}

/* ---- lanes ---- */

/* A simd expression; the lanes are in the struct or value named by e. */
static void lanes(Gen *g, Type *type, const char *e, int depth) {
    int how = gen_below(g, 8);
    Op op = gen_random_op(g, 'b', type);
    if (depth <= 0 || how < 2) {
        gen_put(g, e);
    } else if (how == 2) {
        gen_put(g, "broadcast(");
        gen_expr(g, type, depth - 2);
        gen_put(g, ")");
    } else if (how == 3 && gen_decides(g, type)) {
        gen_put(g, "select(");
        lanes(g, type, e, depth - 1);
        buf_printf(g->out, " %s ", op_classes[gen_random_op(g, 'c', type)].spelling);
        lanes(g, type, e, depth - 1);
        gen_put(g, ", ");
        lanes(g, type, e, depth - 1);
        gen_put(g, ", ");
        lanes(g, type, e, depth - 1);
        gen_put(g, ")");
    } else if (how == 4 && !gen_op_inexact(gen_random_op(g, 'u', type)) && gen_random_op(g, 'u', type)) {
        Op unary_op = gen_random_op(g, 'u', type);
        while (gen_op_inexact(unary_op)) unary_op = gen_random_op(g, 'u', type);
        buf_printf(g->out, "(%s(", op_classes[unary_op].spelling);
        lanes(g, type, e, depth - 1);
        gen_put(g, "))");
    } else {
        while (gen_op_inexact(op) || (op_classes[op].traits & FAILS && type_is_integer(type)))
            op = gen_random_op(g, 'b', type);
        bool infix = op_classes[op].precedence > 0;
        buf_printf(g->out, infix ? "((" : "%s((", op_classes[op].spelling);
        lanes(g, type, e, depth - 1);
        buf_printf(g->out, infix ? ") %s (" : "), (", op_classes[op].spelling);
        lanes(g, type, e, depth - 1);
        gen_put(g, "))");
    }
}

bool fits_lanes(Gen *g, const Type *type) {
    (void)g;
    return gen_is_number(type) || (type->kind == TY_vec && type_is_scalar(type->args[0]));
}

/* result(for(fringeiter(v), for(simditer(v), builder, lanes), the rest)) */
void write_vector_loop(Gen *g, Type *type, int depth) {
    Type *element = type->kind == TY_vec ? type->args[0] : type;
    Type *builder =
        builder_make(g, type->kind == TY_vec ? TY_appender : TY_merger,
                     type->kind == TY_vec ? OP_none : gen_random_reduction(g, type), element, NULL);
    int data = g->names, b = data + 1, i = data + 2, e = data + 3;
    bool two = gen_chance(g, 30);
    char lane[32];
    g->names += 4;
    buf_printf(g->out, "(let x%d = ", data);
    gen_put(g, "flatten([");
    gen_expr(g, type_vec(g->types, element), depth - 1);
    gen_put(g, ", ");
    gen_elements(g, element, 5 + gen_below(g, 8), depth - 2);
    buf_printf(g->out, "]); result(for(%s(x%d), for(", "fringeiter", data);
    buf_printf(g->out, two ? "zip(simditer(x%d), simditer(x%d)), " : "simditer(x%d), ", data, data);
    gen_put_type(g, builder);
    buf_printf(g->out, ", |x%d, x%d, x%d| merge(x%d, ", b, i, e, b);
    snprintf(lane, sizeof lane, two ? "x%d.$1" : "x%d", e);
    lanes(g, element, lane, depth < 3 ? depth : 3);
    buf_printf(g->out, ")), |x%d, x%d, x%d| merge(x%d, ", b, i, e, b);
    int scope = g->count;
    if (g->count < MOST_VARS) g->vars[g->count++] = (Var){e, element};
    gen_expr(g, element, depth - 1);
    g->count = scope;
    gen_put(g, "))))");
}

/* ---- mathematics under a condition ---- */

bool fits_sieved(Gen *g, const Type *type) {
    return !g->exact && g->loops == 0 && type->kind == TY_f64;
}

static void pick_text(Gen *g, const char *const *texts, int count, int number) {
    for (const char *at = texts[gen_below(g, count)]; *at; at++)
        buf_printf(g->out, *at == '#' ? "x%d" : "%c", *at == '#' ? number : *at);
}

/* Of the number # of the iteration; sums of positive numbers. */
static void sieved_condition(Gen *g, int number) {
    static const char *const texts[] = {"(# & 3l) != 1l",
                                        "# > 300l",
                                        "# < 0l",
                                        "(# * 7l & 15l) < 5l",
                                        "f64(# & 31l) * 0.1 < exp(0.01 * f64(#))",
                                        "# >= 0l",
                                        "# != 77l",
                                        "i8(#) < i8(9)"};
    pick_text(g, texts, 8, number);
}

static void sieved_value(Gen *g, int number) {
    static const char *const texts[] = {"exp(f64(# & 31l) * 0.05)",
                                        "log(f64(#) + 1.5) + sqrt(f64(#))",
                                        "f64(exp(f32(i8(#) & i8(7)))) + 1.0",
                                        "(let t = log(f64(#) + 2.0); t * t + exp(t * 0.1))",
                                        "select((# & 64l) == 0l, exp(f64(# & 15l)), 2.5)",
                                        "f64(#) * 0.5"};
    pick_text(g, texts, 6, number);
}

/* Lets, conditions, and merges into three builders. */
static void sieved_body(Gen *g, int b, int e) {
    int let = g->names++;
    bool twice = gen_chance(g, 30), last = gen_chance(g, 30);
    buf_printf(g->out, "(let x%d = ", let);
    sieved_value(g, e);
    gen_put(g, "; if(");
    sieved_condition(g, e);
    if (gen_chance(g, 20)) buf_printf(g->out, " && x%d > 3.0", let);
    gen_put(g, last ? ", x" : ", ");
    if (last) buf_printf(g->out, "%d, ", b);
    if (twice) {
        gen_put(g, "if(");
        sieved_condition(g, e);
        gen_put(g, ", ");
    }
    buf_printf(g->out, "{merge(x%d.$0, ", b);
    sieved_value(g, e);
    buf_printf(g->out, gen_chance(g, 50) ? " + x%d), " : "), ", let);
    buf_printf(g->out, "merge(x%d.$1, x%d * 3l), merge(x%d.$2, x%d)}", b, e, b, let);
    if (twice) buf_printf(g->out, ", x%d)", b);
    if (!last) buf_printf(g->out, ", x%d", b);
    gen_put(g, "))");
}

void write_sieved(Gen *g, Type *type, int depth) {
    int all = g->names++, b = g->names++, i = g->names++, e = g->names++, rows = gen_below(g, 900);
    (void)type, (void)depth;
    buf_printf(g->out, "(let x%d = for(rangeiter(0l, %dl, 1l), ", all, rows);
    buf_printf(g->out, "{merger[f64, +], merger[i64, +], appender[f64]}, |x%d, x%d, x%d| ", b, i, e);
    sieved_body(g, b, gen_chance(g, 50) ? i : e);
    buf_printf(g->out, "); result(x%d.$0) + f64(result(x%d.$1) & 7l) + ", all, all);
    buf_printf(g->out, "result(for(result(x%d.$2), merger[f64, +], |b, i, x| merge(b, x))))", all);
}
