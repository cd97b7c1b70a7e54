/* cg_rows.c: indices that are elements of rows, checked for a block of iterations before it.
 *
 *     for(rangeiter(0L, nodes, 1L), b, |b, i, node|
 *       let from = lookup(start, node);
 *       let row = slice(source, from, lookup(start, node + 1L) - from);
 *       .. for(row, merger[f64, +], |sum, j, s| merge(sum, lookup(share, i64(s)))) ..)
 *
 * A check for each element is most of such a loop, and keeps LLVM from taking several at once; and a row of ten is too short to
 * be looked at by itself (cg_proof.c). But the rows of a block of iterations often lie side by side: then all are within
 * source[low .. high), from the first beginning to the last end, whose greatest element takes a vector of them at a time to
 * find and is compared once. They are then near when the loop gets to them.
 *
 *     low, high, all = least from, greatest from + size, sum of sizes, of the block's iterations
 *     if all rows are whole, high - low is at most twice `all`, and the greatest of source[low .. high) is below len(share):
 *         the iterations without checks, nor bounds of their rows
 *     else
 *         as they are
 *
 * What lies between rows may be looked at, too, and be too great, and rows may lie anywhere: the iterations with checks are
 * always right, and fail where they must. Bounds of slices are computed before the loop as far as they are arithmetic on indices,
 * and lookups that the loop proves, so nothing fails ahead.
 *
 * The inspector and executor of Saltz et al. (Run-Time Scheduling and Execution of Loops on Message Passing Machines, 1990),
 * for bounds.
 */
#include "cg.h"

enum { MOST = 1 << 15, DENSITY = 2 }; /* MOST: elements of a block, which shall stay in the nearer caches */

/* ---- which loops ---- */

typedef struct Search {
    const Cg *cg;
    const Loop *loop;
    int inside; /* the stamp of names that the loop binds */
    Rows *rows;
} Search;

static int let_of(const Rows *rows, const Symbol *symbol) {
    for (int i = rows->nlets; i-- > 0;) {
        if (rows->lets[i]->symbol == symbol) return i;
    }
    return -1;
}

static const Node *resolved(const Rows *rows, const Node *node) {
    int at;
    while (node->kind == N_Ident && (at = let_of(rows, node->symbol)) >= 0) node = rows->lets[at]->kids[0];
    return node;
}

static bool is_invariant(const Search *search, const Node *node) {
    return cg_is_invariant(search->cg, search->inside, node);
}

/* Arithmetic on the iteration's number and elements, and lookups of what does not change. */
static bool is_known(const Search *search, const Node *node, int *budget) {
    Symbol **params = search->loop->lambda->params;
    if (--*budget < 0) return false;
    if (is_invariant(search, node)) return true;
    switch (node->kind) {
    case N_Ident: {
        int at = let_of(search->rows, node->symbol);
        return at >= 0 ? search->rows->known[at] : node->symbol == params[1] || node->symbol == params[2];
    }
    case N_Binary:
        if (node->op != OP_add && node->op != OP_sub && node->op != OP_mul) return false;
        return is_known(search, node->kids[0], budget) && is_known(search, node->kids[1], budget);
    case N_Field:
    case N_Cast: return is_known(search, node->kids[0], budget);
    case N_Lookup:
        return node->kids[0]->type->kind == TY_vec && is_invariant(search, node->kids[0]) &&
               is_known(search, node->kids[1], budget);
    default: return false;
    }
}

static void note_let(const Search *search, const Node *let) {
    int budget = 16;
    Rows *rows = search->rows;
    if (rows->nlets == ROW_LETS) return;
    rows->known[rows->nlets] = type_is_scalar(let->symbol->type) && is_known(search, let->kids[0], &budget);
    rows->lets[rows->nlets++] = let;
}

/* Is it the inner loop's element of that iterator, as it is or as an i64? */
static bool is_element(const Rows *rows, const Node *node, const Node *inner, int number) {
    const Symbol *element = inner->kids[inner->count - 1]->params[2];
    node = resolved(rows, node);
    if (node->kind == N_Cast) node = resolved(rows, node->kids[0]);
    if (inner->count == 3) return node->kind == N_Ident && node->symbol == element;
    return node->kind == N_Field && node->index == number && node->kids[0]->kind == N_Ident &&
           node->kids[0]->symbol == element;
}

/* Lookups in the body of the inner loop. */
static void find_lookups(const Search *search, const Node *node, const Node *inner, int number) {
    Rows *rows = search->rows;
    int lets = rows->nlets;
    for (; node->kind == N_Let; node = node->kids[1]) {
        find_lookups(search, node->kids[0], inner, number);
        note_let(search, node);
    }
    for (int i = 0; i < node->count; i++) {
        if (node->kids[i]->kind != N_Lambda) find_lookups(search, node->kids[i], inner, number);
    }
    if (node->kind == N_Lookup && node->kids[0]->type->kind == TY_vec && rows->nlookups < ROW_LOOKUPS &&
        is_invariant(search, node->kids[0]) && is_element(rows, node->kids[1], inner, number)) {
        rows->lookup[rows->nlookups].node = node;
        rows->lookup[rows->nlookups++].slice = rows->nslices;
    }
    rows->nlets = lets;
}

static void find_rows(const Search *search, const Node *inner) {
    Rows *rows = search->rows;
    for (int i = 0; i < inner->count - 2 && rows->nslices < ROW_SLICES; i++) {
        const Node *iter = inner->kids[i], *slice = resolved(rows, iter->kids[0]);
        int budget = 16, before = rows->nlookups;
        if (iter->iter != IT_scalar || iter->count != 1 || slice->kind != N_Slice) continue;
        if (!type_is_integer(slice->type->args[0]) || !is_invariant(search, slice->kids[0])) continue;
        if (!is_known(search, slice->kids[1], &budget) || !is_known(search, slice->kids[2], &budget))
            continue;
        find_lookups(search, inner->kids[inner->count - 1]->kids[0], inner, i);
        if (rows->nlookups == before) continue;
        rows->iter[rows->nslices] = iter;
        rows->slice[rows->nslices++] = slice;
    }
}

/* What every iteration evaluates. Names of lets stay: rows further on may use them. */
static void find(const Search *search, const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        find(search, node->kids[0]);
        note_let(search, node);
    }
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < (lazy ? 1 : node->count); i++) {
        if (node->kids[i]->kind != N_Lambda) find(search, node->kids[i]);
    }
    if (node->kind == N_For) find_rows(search, node);
}

bool cg_rows_find(Cg *cg, const Loop *loop, Rows *rows) {
    *rows = (Rows){.nslices = 0};
    Search search = {cg, loop, cg_mark_bound(cg, loop->lambda), rows};
    find(&search, loop->lambda->kids[0]);
    return rows->nlookups > 0;
}

/* ---- the check ---- */

static bool lookups_are_proven(const Cg *cg, const Node *node) {
    if (node->kind == N_Lookup && !cg_is_proven(cg, node)) return false;
    for (int i = 0; i < node->count; i++) {
        if (!lookups_are_proven(cg, node->kids[i])) return false;
    }
    return true;
}

/* Marks the lets that the slices' bounds need. False: those have lookups that are not proven. */
static bool mark_needed(const Cg *cg, const Rows *rows, bool *needed) {
    bool proven = true;
    for (int i = rows->nlets; i-- > 0;) {
        const Symbol *symbol = rows->lets[i]->symbol;
        needed[i] = false;
        for (int k = 0; k < rows->nslices; k++)
            needed[i] |=
                node_uses(rows->slice[k]->kids[1], symbol) || node_uses(rows->slice[k]->kids[2], symbol);
        for (int k = i + 1; k < rows->nlets; k++)
            needed[i] |= needed[k] && node_uses(rows->lets[k]->kids[0], symbol);
        if (needed[i]) proven = proven && lookups_are_proven(cg, rows->lets[i]->kids[0]);
    }
    for (int k = 0; k < rows->nslices; k++) {
        proven = proven && lookups_are_proven(cg, rows->slice[k]->kids[1]) &&
                 lookups_are_proven(cg, rows->slice[k]->kids[2]);
    }
    return proven;
}

/* Where a slice lies in the iterations of a block; slots. */
typedef struct Hull {
    LLVMValueRef low, high, all, signs;
} Hull;

static LLVMValueRef new_slot(Cg *cg, int64_t value) {
    LLVMValueRef slot = cg_slot(cg, 8, 8);
    cg_store_at(cg, cg_i64(cg, value), slot, 0);
    return slot;
}

static Leaf chosen(Cg *cg, LLVMIntPredicate predicate, Leaf a, Leaf b) {
    return LLVMBuildSelect(cg->builder, LLVMBuildICmp(cg->builder, predicate, a, b, ""), a, b, "");
}

/* The row of the iteration that is bound. */
static void hull_add(Cg *cg, const Hull *hull, const Node *slice) {
    LLVMBuilderRef builder = cg->builder;
    Leaf start = cg_one(cg, slice->kids[1]), size = cg_one(cg, slice->kids[2]);
    Leaf end = LLVMBuildAdd(builder, start, size, ""), signs = cg_load_at(cg, cg->i64, hull->signs, 0);
    signs =
        LLVMBuildOr(builder, LLVMBuildOr(builder, signs, end, ""), LLVMBuildOr(builder, start, size, ""), "");
    cg_store_at(cg, signs, hull->signs, 0);
    cg_store_at(cg, LLVMBuildAdd(builder, cg_load_at(cg, cg->i64, hull->all, 0), size, ""), hull->all, 0);
    cg_store_at(cg, chosen(cg, LLVMIntSLT, start, cg_load_at(cg, cg->i64, hull->low, 0)), hull->low, 0);
    cg_store_at(cg, chosen(cg, LLVMIntSGT, end, cg_load_at(cg, cg->i64, hull->high, 0)), hull->high, 0);
}

/* Nothing is negative or beyond the vector's end, so all rows are whole and [low, high) lies in the vector; there is something
 * between them, and not much that is in none. */
static LLVMValueRef hull_pays(Cg *cg, const Hull *hull, LLVMValueRef length) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef low = cg_load_at(cg, cg->i64, hull->low, 0), high = cg_load_at(cg, cg->i64, hull->high, 0);
    LLVMValueRef all = cg_load_at(cg, cg->i64, hull->all, 0), signs = cg_load_at(cg, cg->i64, hull->signs, 0);
    LLVMValueRef most = LLVMBuildMul(builder, all, cg_i64(cg, DENSITY), "");
    LLVMValueRef ok[5] = {
        LLVMBuildICmp(builder, LLVMIntSGE, signs, cg_i64(cg, 0), ""),
        LLVMBuildICmp(builder, LLVMIntSLE, high, length, ""),
        LLVMBuildICmp(builder, LLVMIntSLT, low, high, ""),
        LLVMBuildICmp(builder, LLVMIntULE, LLVMBuildSub(builder, high, low, ""), most, ""),
        LLVMBuildICmp(builder, LLVMIntULE, all, cg_i64(cg, MOST), ""),
    };
    for (int i = 1; i < 5; i++) ok[0] = LLVMBuildAnd(builder, ok[0], ok[i], "");
    return ok[0];
}

/* Are the indices that are elements of the slice in their vectors' bounds? */
static LLVMValueRef elements_fit(Cg *cg, const Rows *rows, int slice, const Hull *hull, LLVMValueRef data) {
    Cursor cursor = {.iter = rows->iter[slice],
                     .element = rows->slice[slice]->type->args[0],
                     .data = data,
                     .start = cg_i64(cg, 0),
                     .stride = cg_i64(cg, 1)};
    LLVMValueRef greatest = cg_greatest(cg, &cursor, cg_load_at(cg, cg->i64, hull->low, 0),
                                        cg_load_at(cg, cg->i64, hull->high, 0));
    LLVMValueRef fit = NULL;
    for (int i = 0; i < rows->nlookups; i++) {
        if (rows->lookup[i].slice != slice) continue;
        LLVMValueRef length = cg_expr(cg, rows->lookup[i].node->kids[0])[1];
        LLVMValueRef ok = LLVMBuildICmp(cg->builder, LLVMIntULT, greatest, length, "");
        fit = fit ? LLVMBuildAnd(cg->builder, fit, ok, "") : ok;
    }
    return fit;
}

LLVMValueRef cg_rows_check(Cg *cg, const Loop *loop, const Rows *rows, LLVMValueRef from, LLVMValueRef to) {
    LLVMBuilderRef builder = cg->builder;
    bool needed[ROW_LETS];
    Hull hull[ROW_SLICES];
    Leaf *vec[ROW_SLICES];
    if (!mark_needed(cg, rows, needed)) return NULL;
    for (int k = 0; k < rows->nslices; k++) {
        vec[k] = cg_expr(cg, rows->slice[k]->kids[0]);
        hull[k] = (Hull){new_slot(cg, INT64_MAX), new_slot(cg, 0), new_slot(cg, 0), new_slot(cg, 0)};
    }
    Counter counter = cg_counter_open(cg, from, to);
    cg_bind_iteration(cg, loop, counter.index);
    for (int i = 0; i < rows->nlets; i++) {
        if (needed[i]) cg_bind(cg, rows->lets[i]->symbol, cg_expr(cg, rows->lets[i]->kids[0]));
    }
    for (int k = 0; k < rows->nslices; k++) hull_add(cg, &hull[k], rows->slice[k]);
    cg_counter_close(cg, &counter);
    LLVMValueRef pays = hull_pays(cg, &hull[0], vec[0][1]);
    for (int k = 1; k < rows->nslices; k++)
        pays = LLVMBuildAnd(builder, pays, hull_pays(cg, &hull[k], vec[k][1]), "");
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), look = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildCondBr(builder, pays, look, after);
    cg_goto(cg, look);
    LLVMValueRef fit = elements_fit(cg, rows, 0, &hull[0], vec[0][0]), no = LLVMConstNull(cg->i1);
    for (int k = 1; k < rows->nslices; k++)
        fit = LLVMBuildAnd(builder, fit, elements_fit(cg, rows, k, &hull[k], vec[k][0]), "");
    LLVMBasicBlockRef looked = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    LLVMValueRef ok = LLVMBuildPhi(builder, cg->i1, "");
    LLVMAddIncoming(ok, &no, &before, 1);
    LLVMAddIncoming(ok, &fit, &looked, 1);
    return ok;
}

void cg_rows_rely(Cg *cg, const Rows *rows) {
    Fn *fn = cg->fn;
    fn->rows = rows;
    fn->whole = true;
    for (int i = 0; i < rows->nlookups && fn->nproven < PROVEN; i++)
        fn->proven[fn->nproven++] = rows->lookup[i].node;
    for (int i = 0; i < rows->nslices && fn->nproven < PROVEN; i++)
        fn->proven[fn->nproven++] = rows->slice[i];
}

void cg_rows_note(Cg *cg, const Node *lookup) {
    const Rows *rows = cg->fn->rows;
    for (int i = 0; rows && i < rows->nlookups; i++) cg->picks += rows->lookup[i].node == lookup;
}
