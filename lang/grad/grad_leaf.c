/* grad_leaf.c: the leaves of values, and what is known of their adjoints.
 *
 * Contributions to an adjoint come one by one, from the uses of a name, the last use first. While all are whole values
 * they are values: the first is taken as it is, a further one is added. When elements are added, or a loop adds to what
 * is outside of it, the leaf goes into a builder, once, and from then on everything is merged into that:
 *
 *     lookup(w, i) in an arm            let b = vecmerger[f64,+](zeros like w); let b = if(c, merge(b, {i, g}), b); ..
 *     for(rows, .., dot(row, w))        .. let b = for(rows, b, .. {j, g * row[j]} ..); .. let w' = result(b)
 *
 * A few single elements wait as *points* until the whole vector is needed. This is the accumulator of Schenck et al. (grad.c). Vectors of vectors lie end to end in one builder, with the offsets
 * of the rows. A name that is a part of another whose adjoint is in a builder (row = lookup(rows, i), a slice, a field,
 * a loop's element) adds directly into that builder, from its base on.
 * Within a loop the builder comes as a field of the loop's own, in an arm of an if it is the one outside, and the if gives
 * it back. Scalars from outside are added up within a block, and once for all at its end (grad_loop.c).
 */
#include "grad.h"

#include <stdio.h>
#include <string.h>

/* ---- leaves ---- */

int type_leaves(const Type *type) {
    int count = 0;
    switch (type->kind) {
    case TY_f32:
    case TY_f64: return 1;
    case TY_vec: return type_leaves(type->args[0]);
    case TY_dict: return type_leaves(type->args[1]);
    case TY_struct:
        for (int i = 0; i < type->count; i++) count += type_leaves(type->args[i]);
        return count;
    default: return 0;
    }
}

bool type_has_floats(const Type *type) {
    return type_leaves(type) > 0;
}

/* Of a struct: which field the leaf is in; *number becomes that of the field's leaf. */
static int leaf_field(const Type *type, int *number) {
    for (int i = 0; i < type->count; i++) {
        int count = type_leaves(type->args[i]);
        if (*number < count) return i;
        *number -= count;
    }
    return 0;
}

Type *leaf_type(Grad *g, const Type *type, int number) {
    switch (type->kind) {
    case TY_vec: return type_vec(&g->program->types, leaf_type(g, type->args[0], number));
    case TY_dict: return type_vec(&g->program->types, leaf_type(g, type->args[1], number));
    case TY_struct: {
        int field = leaf_field(type, &number);
        return leaf_type(g, type->args[field], number);
    }
    default: return type_scalar(&g->program->types, type->kind);
    }
}

Leaves leaves_of(Grad *g, const Type *type) {
    Leaves leaves = {type_leaves(type), NULL};
    leaves.types = grad_alloc(g, (size_t)leaves.count, sizeof *leaves.types);
    for (int i = 0; i < leaves.count; i++) leaves.types[i] = leaf_type(g, type, i);
    return leaves;
}

Type *leaf_scalar(const Type *leaf) {
    while (leaf->kind == TY_vec) leaf = leaf->args[0];
    return (Type *)(uintptr_t)leaf;
}

int leaf_rank(const Type *leaf) {
    int rank = 0;
    for (; leaf->kind == TY_vec; leaf = leaf->args[0]) rank++;
    return rank;
}

Info *info_of(const Grad *g, const Symbol *symbol) {
    return symbol->id < g->known ? g->infos[symbol->id] : NULL;
}

/* The leaf of the value, or zeros of its shape. */
static void write_leaf(Buf *out, const Type *type, int number, const char *value, int depth, bool zeros) {
    char inner[64];
    if (type->kind == TY_struct) {
        int field = leaf_field(type, &number);
        Buf part = {0};
        buf_printf(&part, "%s.$%d", value, field);
        if (part.text) write_leaf(out, type->args[field], number, part.text, depth, zeros);
        buf_release(&part);
    } else if (type->kind == TY_vec || type->kind == TY_dict) {
        bool dict = type->kind == TY_dict;
        buf_printf(out, dict ? "result(for(tovec(%s)" : "result(for(%s", value);
        buf_printf(out, ", appender, |b%d, i%d, e%d| merge(b%d, ", depth, depth, depth, depth);
        snprintf(inner, sizeof inner, dict ? "e%d.$1" : "e%d", depth);
        write_leaf(out, type->args[dict], number, inner, depth + 1, zeros);
        buf_printf(out, ")))");
    } else {
        buf_printf(out, "%s", zeros ? "T(0.0)" : value);
    }
}

static Symbol *apply_leaf(Grad *g, Symbol *value, int number, Type *leaf, bool zeros) {
    Buf text = {0};
    buf_printf(&text, "|v| ");
    write_leaf(&text, value->type, number, "v", 0, zeros);
    Node *made = apply_text(g, leaf_scalar(leaf), text.text ? text.text : "", 1, &value);
    buf_release(&text);
    return emit(g, zeros ? "zeros" : "leaf", made);
}

Symbol *leaf_of(Grad *g, Symbol *value, int number) {
    Type *leaf = leaf_type(g, value->type, number);
    return leaf == value->type ? value : apply_leaf(g, value, number, leaf, false);
}

Symbol *leaf_zeros(Grad *g, Symbol *value, int number) {
    Type *leaf = leaf_type(g, value->type, number);
    if (leaf->kind != TY_vec) return emit(g, "zero", zero_of(g, leaf));
    return apply_leaf(g, value, number, leaf, true);
}

Symbol *info_zeros(Grad *g, const Info *info, int number) {
    Symbol **part = info->part;
    if (!part) return leaf_zeros(g, now_of(info->symbol), number);
    for (int i = 0; i < parts_of(info->symbol->type); i++) {
        int count = part[i] ? type_leaves(part[i]->type) : 0;
        if (number < count) return leaf_zeros(g, part[i], number);
        number -= count;
    }
    return leaf_zeros(g, info->symbol, 0);
}

/* ---- builders of adjoints ---- */

Import *import_new(Grad *g, Block *block) {
    if (block->count == block->room) {
        int room = block->room ? 2 * block->room : 8;
        Import **imports = grad_alloc(g, (size_t)room, sizeof(Import *));
        if (block->count) memcpy(imports, block->imports, sizeof(Import *) * (size_t)block->count);
        block->imports = imports;
        block->room = room;
    }
    return block->imports[block->count++] = grad_alloc(g, 1, sizeof(Import));
}

Symbol *param_field(Grad *g, Block *block, int number, Type *type, const char *name) {
    Block *at = g->block;
    g->block = block;
    Node *param = node_new(g->program, N_Ident, g->span, block->param->type, 0);
    param->symbol = block->param;
    param->text = block->param->name;
    Node *field = node_make(g->program, N_Field, g->span, type, 1, param);
    field->index = number;
    struct Uses *uses = grad_alloc(g, 1, sizeof *uses);
    *uses = (struct Uses){field, block->fields};
    block->fields = uses;
    Symbol *symbol = emit(g, name, field);
    g->block = at;
    return symbol;
}

/* What a loop or step gets of the import made last, through its parameter. */
static Symbol *import_field(Grad *g, Block *block, Import *import, const char *name) {
    return param_field(g, block, block->fixed + block->count - 1, import->type, name);
}

Symbol *acc_now(Grad *g, Block *block, Acc *acc) {
    if (block == acc->owner->block) return acc->now;
    for (int i = 0; i < block->count; i++) {
        if (block->imports[i]->acc == acc) return block->imports[i]->now;
    }
    Symbol *outer = acc_now(g, block->parent, acc);
    Import *import = import_new(g, block);
    import->acc = acc;
    import->type = outer->type;
    import->now = block->kind == B_ARM ? outer : import_field(g, block, import, "sums");
    return import->now;
}

void acc_set(Grad *g, Block *block, Acc *acc, Symbol *now) {
    acc_now(g, block, acc);
    if (block == acc->owner->block) {
        acc->now = now;
        return;
    }
    for (int i = 0; i < block->count; i++) {
        if (block->imports[i]->acc == acc) block->imports[i]->now = now;
    }
}

static Symbol *add_base(Grad *g, Symbol *base, Symbol *index) {
    if (!base) return index;
    if (!index) return base;
    return emit(g, "place", binary(g, OP_add, use(g, base), use(g, index)));
}

Leaf leaf_element(Grad *g, Leaf whole, Symbol *index, Block *home) {
    Block *at = g->block;
    Type *i64 = type_scalar(&g->program->types, TY_i64);
    g->block = home;
    Symbol *place = add_base(g, whole.base, index);
    whole.base = emit(g, "base",
                      node_make(g->program, N_Lookup, g->span, i64, 2,
                                use(g, whole.acc->offsets[whole.level]), use(g, place)));
    whole.level++;
    g->block = at;
    return whole;
}

static void acc_merge(Grad *g, Acc *acc, Node *builder) {
    acc_set(g, g->block, acc, emit(g, "sums", builder));
}

/* Adds all elements of the adjoint, a vector. */
static void acc_add_all(Grad *g, Leaf at, Symbol *adjoint) {
    enum { MOST = 8 };
    Acc *acc = at.acc;
    int rank = leaf_rank(adjoint->type);
    Symbol *now = acc_now(g, g->block, acc), *arguments[MOST] = {now, adjoint};
    if (rank + 2 > MOST) {
        grad_fail(g, g->span, "there is no derivative of vectors nested as deeply as this");
        return;
    }
    arguments[2] = at.base ? at.base : emit(g, "base", i64_literal(g, 0));
    Buf text = {0};
    buf_printf(&text, "|b0, x0, p0");
    for (int i = 1; i < rank; i++) {
        arguments[2 + i] = acc->offsets[at.level + i - 1];
        buf_printf(&text, ", o%d", i);
    }
    buf_printf(&text, "| ");
    for (int i = 1; i <= rank; i++) {
        buf_printf(&text, "for(x%d, b%d, |b%d, i%d, x%d| ", i - 1, i - 1, i, i, i);
        if (i < rank) buf_printf(&text, "let p%d = lookup(o%d, p%d + i%d); ", i, i, i - 1, i);
    }
    buf_printf(&text, "merge(b%d, {p%d + i%d, x%d})", rank, rank - 1, rank, rank);
    for (int i = 0; i < rank; i++) buf_printf(&text, ")");
    acc_merge(g, acc, apply_text(g, acc->scalar, text.text ? text.text : "", 2 + rank, arguments));
    buf_release(&text);
}

void acc_add(Grad *g, Leaf at, Symbol *index, Symbol *adjoint) {
    if (at.level + 1 < at.acc->rank) {
        acc_add_all(g, leaf_element(g, at, index, g->block), adjoint);
        return;
    }
    Symbol *now = acc_now(g, g->block, at.acc), *place = add_base(g, at.base, index);
    Node *pair[2] = {use(g, place), use(g, adjoint)};
    acc_merge(g, at.acc, make_merge(g, use(g, now), struct_of(g, 2, pair)));
}

/* The place of each row's first element, where rows lie end to end. */
static Symbol *row_offsets(Grad *g, Symbol *rows) {
    return sums_before(
        g, emit(g, "lengths",
                apply_text(g, NULL, "|v| result(for(v, appender, |b, i, x| merge(b, len(x))))", 1, &rows)));
}

Acc *leaf_open(Grad *g, Info *info, int number) {
    if (leaf_resolve(g, info, number)) return info->leaf[number].acc;
    Block *at = g->block;
    g->block = info->block;
    Leaf *leaf = &info->leaf[number];
    Type *type = info->leaves.types[number];
    Acc *acc = grad_alloc(g, 1, sizeof *acc);
    acc->scalar = leaf_scalar(type);
    acc->rank = leaf_rank(type);
    acc->owner = info;
    acc->number = number;
    acc->offsets = grad_alloc(g, (size_t)acc->rank, sizeof(Symbol *));
    acc->levels = grad_alloc(g, (size_t)acc->rank, sizeof(Symbol *));
    Symbol *flat = leaf->value ? leaf->value : info_zeros(g, info, number);
    for (int i = 0; i + 1 < acc->rank && !grad_failed(g); i++) {
        acc->levels[i] = flat;
        acc->offsets[i] = row_offsets(g, flat);
        flat = emit(g, "flat",
                    apply_text(g, acc->scalar,
                               "|v| result(for(v, appender, |b, i, x| for(x, b, |b2, j, y| merge(b2, y))))",
                               1, &flat));
    }
    acc->now =
        emit(g, "sums", make_new(g, builder_of(g, TY_vecmerger, OP_add, acc->scalar, NULL), use(g, flat)));
    Leaf before = *leaf;
    *leaf = (Leaf){.acc = acc};
    for (int i = 0; i < before.piece_count && !grad_failed(g); i++) {
        Leaf from = *leaf;
        from.base = before.pieces[i].start;
        acc_add_all(g, from, before.pieces[i].adjoint);
    }
    for (int i = 0; i < before.point_count && !grad_failed(g); i++)
        acc_add(g, *leaf, before.points[i].start, before.points[i].adjoint);
    g->block = at;
    return acc;
}

static Symbol *acc_close(Grad *g, Acc *acc) {
    Type *type = type_vec(&g->program->types, acc->scalar);
    Symbol *whole = emit(g, "adjoint", make_result(g, acc->now, type));
    for (int i = acc->rank - 2; i >= 0 && !grad_failed(g); i--) {
        Symbol *arguments[3] = {whole, acc->offsets[i], acc->levels[i]};
        whole = emit(g, "adjoint",
                     apply_text(g, acc->scalar,
                                "|f, o, v| result(for(zip(o, v), appender, |b, i, e| "
                                "merge(b, slice(f, e.$0, len(e.$1)))))",
                                3, arguments));
    }
    acc->closed = true;
    return whole;
}

/* ---- adjoints of leaves ---- */

/* Is the name a part of another one whose leaf is in a builder? */
static bool leaf_is_part(Grad *g, Info *info, int number, const Node *def) {
    bool part = def->kind == N_Ident || def->kind == N_Field ||
                (def->kind == N_Slice && !is_sorted_slice(def)) ||
                (def->kind == N_Lookup && def->kids[0]->type->kind == TY_vec);
    int own = number;
    Info *whole = part ? info_of(g, def->kind == N_Ident ? def->symbol : def->kids[0]->symbol) : NULL;
    if (!whole) return false;
    if (def->kind == N_Field) {
        for (int i = 0; i < def->index; i++) number += type_leaves(whole->symbol->type->args[i]);
    }
    if (!whole->active[number]) return false;
    if (whole->block != info->block)
        leaf_open(g, whole, number);
    else if (!leaf_resolve(g, whole, number))
        return false;
    Leaf leaf = whole->leaf[number];
    if (def->kind == N_Slice || def->kind == N_Lookup) {
        Symbol *index = now_of(def->kids[1]->symbol);
        Block *at = g->block;
        g->block = info->block;
        if (def->kind == N_Lookup)
            leaf = leaf_element(g, leaf, index, info->block);
        else
            leaf.base = add_base(g, leaf.base, index);
        g->block = at;
    }
    info->leaf[own] = leaf;
    return true;
}

bool leaf_resolve(Grad *g, Info *info, int number) {
    Leaf *leaf = &info->leaf[number];
    if (leaf->acc && !leaf->acc->closed) return true;
    leaf->acc = NULL;
    if (leaf->value || leaf->piece_count || leaf->point_count || info->leaves.types[number]->kind != TY_vec ||
        !info->def)
        return false;
    return leaf_is_part(g, info, number, info->def);
}

Leaf *leaf_slot(Grad *g, Info *info, int number) {
    Block *block = g->block;
    if (block == info->block) return &info->leaf[number];
    for (int i = 0; i < block->count; i++) {
        if (block->imports[i]->scalar == &info->leaf[number]) return &block->imports[i]->here;
    }
    Symbol *outer = NULL;
    if (block->kind == B_ARM) {
        g->block = block->parent;
        outer = leaf_slot(g, info, number)->value;
        g->block = block;
    }
    Import *import = import_new(g, block);
    import->scalar = &info->leaf[number];
    import->owner = info;
    import->number = number;
    import->type = info->leaves.types[number];
    import->here.value = block->kind == B_STEP ? import_field(g, block, import, "sum") : outer;
    return &import->here;
}

static void write_sum(Buf *out, const char *pair, int rank) {
    char left[32];
    if (rank == 0) {
        buf_printf(out, "%s.$0 + %s.$1", pair, pair);
        return;
    }
    buf_printf(out, "result(for(zip(%s.$0, %s.$1), appender, |b%d, i%d, e%d| merge(b%d, ", pair, pair, rank,
               rank, rank, rank);
    snprintf(left, sizeof left, "e%d", rank);
    write_sum(out, left, rank - 1);
    buf_printf(out, ")))");
}

static Symbol *add_values(Grad *g, Symbol *a, Symbol *b) {
    if (a->type->kind != TY_vec) return emit(g, "sum", binary(g, OP_add, use(g, a), use(g, b)));
    Symbol *arguments[2] = {a, b};
    Buf text = {0};
    buf_printf(&text, "|a, b| let pair = {a, b}; ");
    write_sum(&text, "pair", leaf_rank(a->type));
    Symbol *sum =
        emit(g, "sum", apply_text(g, leaf_scalar(a->type), text.text ? text.text : "", 2, arguments));
    buf_release(&text);
    return sum;
}

void leaf_add(Grad *g, Info *info, int number, Symbol *adjoint) {
    if (!info || !info->active[number] || !adjoint || grad_failed(g)) return;
    bool scalar = info->leaves.types[number]->kind != TY_vec;
    if (!scalar && info->block != g->block) leaf_open(g, info, number);
    if (!scalar && leaf_resolve(g, info, number)) {
        acc_add_all(g, info->leaf[number], adjoint);
        return;
    }
    Leaf *slot = leaf_slot(g, info, number);
    slot->value = slot->value ? add_values(g, slot->value, adjoint) : adjoint;
}

/* A few elements wait until the vector is there; false: no more of them. */
static bool leaf_add_point(Grad *g, Info *info, int number, Symbol *index, Symbol *adjoint) {
    enum { MOST_POINTS = 6 };
    if (info->block != g->block || info->part || adjoint->type->kind == TY_vec) return false;
    if (info->symbol->type->kind != TY_vec || leaf_resolve(g, info, number)) return false;
    Leaf *leaf = &info->leaf[number];
    if (leaf->point_count == MOST_POINTS) return false;
    if (!leaf->points) leaf->points = grad_alloc(g, MOST_POINTS, sizeof *leaf->points);
    leaf->points[leaf->point_count++] = (Piece){index, adjoint};
    return true;
}

void leaf_add_at(Grad *g, Info *info, int number, Symbol *index, Symbol *adjoint, bool many) {
    if (!info || !info->active[number] || !adjoint || grad_failed(g)) return;
    if (many && leaf_add_piece(g, info, number, index, adjoint)) return;
    if (!many && leaf_add_point(g, info, number, index, adjoint)) return;
    leaf_open(g, info, number);
    Leaf at = info->leaf[number];
    if (many) {
        at.base = add_base(g, at.base, index);
        acc_add_all(g, at, adjoint);
    } else {
        acc_add(g, at, index, adjoint);
    }
}

Symbol *leaf_value(Grad *g, Info *info, int number) {
    Leaf *leaf = &info->leaf[number];
    if (!leaf->acc && leaf->piece_count) {
        Leaf points = {.points = leaf->points, .point_count = leaf->point_count};
        points.value = pieces_gather(g, info, number);
        *leaf = points;
    }
    if (!leaf->acc && leaf->point_count) leaf_open(g, info, number);
    if (!leaf->acc) return leaf->value;
    if (leaf->acc->closed || leaf->acc->owner != info || leaf->acc->number != number) return NULL;
    *leaf = (Leaf){.value = acc_close(g, leaf->acc)};
    return leaf->value;
}

Symbol *leaf_value_but_points(Grad *g, Info *info, int number) {
    Leaf *leaf = &info->leaf[number], points = *leaf;
    leaf->point_count = 0;
    Symbol *value = leaf_value(g, info, number);
    leaf->points = points.points;
    leaf->point_count = points.point_count;
    return value;
}
