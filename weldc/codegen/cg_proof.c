/* cg_proof.c: checks of indices that the loop proves are made once, before it.
 *
 *     for(v, vecmerger[f64,+](w), |b, i, x| merge(b, {row * dim + i, x * lookup(u, i + 1L)}))
 *
 * An index that is base + step * (number of the iteration), with a base and a step that do not change in the
 * loop, lies within the vector in all iterations if it does in the first and in the last: two comparisons
 * instead of one in each iteration, where they would also be exits that keep LLVM from vectorizing.
 *
 * Only what every iteration evaluates is considered, of a loop of one iteration at least, so that a check
 * that fails would have failed in the loop, too, and a loop of no iterations fails as little as before. Only
 * indices into what is the same in all iterations.
 *
 * Arithmetic on indices wraps. If the last index, computed without wrapping from the first, lies within the
 * vector, so do all between, and none of them wrapped. If it does not, or needs more than 64 bits, some
 * iteration leaves the vector: a step is less than 2^63 in size and so is the vector, hence the first index
 * on the way that is outside is not taken for one inside, having wrapped or not. So the check fails exactly
 * if one in the loop would.
 *
 * An index that is an element of a vector that a loop in place walks is looked at for many iterations ahead, too: the
 * greatest of these elements, which takes a vector of them at a time, is compared once. Signed ones are compared as unsigned,
 * so that one below zero is greater than any length. Such a loop walks a strip of iterations at a time (cg_loop.c), so its
 * elements are still near when it gets to them; one of few iterations is quicker with its checks.
 *
 *     for(slice(source, from, size), merger[f64,+], |b, j, s| merge(b, lookup(share, i64(s))))
 *
 * Slices that move with the iteration are looked at in the same way, before a block: whether none of them ends
 * at the vector's end before it has its size. If so, code for several iterations at once takes them as they
 * are, all of one length.
 */
#include "cg.h"

#include <stddef.h>

enum { LETS = 32 };

typedef struct Proof {
    Cg *cg;
    const Loop *loop;
    LLVMValueRef begin, end;
    bool walks;             /* looks at elements ahead */
    LLVMValueRef *greatest; /* element of each iterator, if it was looked for */
    const Node *lets[LETS]; /* of the body so far */
    int nlets, inside;      /* inside: the stamp of names that the loop binds */
    Slices *slices;         /* if they are looked for, instead of indices */
} Proof;

static bool is_inside(const Cg *cg, int inside, const Symbol *symbol) {
    return cg->stamps[symbol->id] == inside || !cg->values[symbol->id];
}

static bool names_outside(const Cg *cg, int inside, const Node *node) {
    if (node->kind == N_Ident) return !is_inside(cg, inside, node->symbol);
    if (node->kind == N_Let) return false;
    for (int i = 0; i < node->count; i++) {
        if (!names_outside(cg, inside, node->kids[i])) return false;
    }
    return true;
}

bool cg_is_invariant(const Cg *cg, int inside, const Node *node) {
    int budget = 16;
    return node_is_cheap(node, &budget) && names_outside(cg, inside, node);
}

static bool is_invariant(const Proof *proof, const Node *node) {
    return cg_is_invariant(proof->cg, proof->inside, node);
}

static const Node *let_of(const Proof *proof, const Symbol *symbol) {
    for (int i = proof->nlets; i-- > 0;) {
        if (proof->lets[i]->symbol == symbol) return proof->lets[i]->kids[0];
    }
    return NULL;
}

/* The iterator whose element in this iteration node is, seen through lets; or -1. */
static int iterator_of(const Proof *proof, const Node *node) {
    const Symbol *element = proof->loop->lambda->params[2];
    for (int i = 0; i < LETS && node->kind == N_Ident; i++) {
        if (node->symbol == element) return proof->loop->ncursors == 1 ? 0 : -1;
        node = let_of(proof, node->symbol);
        if (!node) return -1;
    }
    bool field = node->kind == N_Field && node->kids[0]->kind == N_Ident && proof->loop->ncursors > 1;
    return field && node->kids[0]->symbol == element ? node->index : -1;
}

static bool element_steps(const Proof *proof, const Node *node, Steps *out) {
    int number = iterator_of(proof, node);
    if (number < 0 || proof->loop->cursors[number].iter->iter != IT_range) return false;
    *out = (Steps){proof->loop->cursors[number].start, proof->loop->cursors[number].stride};
    return true;
}

static bool steps_of(const Proof *proof, const Node *node, int depth, Steps *out);

static bool binary_steps(const Proof *proof, const Node *node, int depth, Steps *out) {
    LLVMBuilderRef builder = proof->cg->builder;
    Steps a, b;
    if (node->op != OP_add && node->op != OP_sub && node->op != OP_mul) return false;
    if (!steps_of(proof, node->kids[0], depth, &a) || !steps_of(proof, node->kids[1], depth, &b))
        return false;
    LLVMOpcode opcode = node->op == OP_add ? LLVMAdd : node->op == OP_sub ? LLVMSub : LLVMMul;
    out->base = LLVMBuildBinOp(builder, opcode, a.base, b.base, "");
    if (node->op != OP_mul) {
        out->step = LLVMBuildBinOp(builder, opcode, a.step, b.step, "");
        return true;
    }
    LLVMValueRef zero = cg_i64(proof->cg, 0);
    if (a.step != zero && b.step != zero) return false;
    out->step = a.step == zero ? LLVMBuildMul(builder, a.base, b.step, "")
                               : LLVMBuildMul(builder, a.step, b.base, "");
    return true;
}

/* The value of an i64 as base + step * (number of the iteration); constants are one object in LLVM, so that a
 * step of zero is known by its pointer. */
static bool steps_of(const Proof *proof, const Node *node, int depth, Steps *out) {
    enum { DEEPEST = 16 };
    if (node->type->kind != TY_i64 || depth > DEEPEST) return false;
    if (is_invariant(proof, node)) {
        *out = (Steps){cg_one(proof->cg, node), cg_i64(proof->cg, 0)};
        return true;
    }
    Symbol **params = proof->loop->lambda->params;
    if (element_steps(proof, node, out)) return true;
    if (node->kind == N_Ident) {
        if (node->symbol == params[1]) {
            *out = (Steps){cg_i64(proof->cg, 0), cg_i64(proof->cg, 1)};
            return true;
        }
        const Node *value = let_of(proof, node->symbol);
        return value && steps_of(proof, value, depth + 1, out);
    }
    return node->kind == N_Binary && binary_steps(proof, node, depth + 1, out);
}

/* A flag and a value, as LLVM's arithmetic with overflow gives them. */
static LLVMValueRef checked(Cg *cg, const char *name, LLVMValueRef a, LLVMValueRef b, LLVMValueRef *flag) {
    LLVMValueRef args[2] = {a, b};
    LLVMValueRef pair = cg_intrinsic(cg, name, &cg->i64, 1, args, 2);
    *flag = LLVMBuildExtractValue(cg->builder, pair, 1, "");
    return LLVMBuildExtractValue(cg->builder, pair, 0, "");
}

/* Do these i64 lie below the length in all iterations? last: the one that the message names where not. */
static LLVMValueRef lies_within(const Proof *proof, Steps steps, LLVMValueRef length, LLVMValueRef *out) {
    Cg *cg = proof->cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef first =
        LLVMBuildAdd(builder, steps.base, LLVMBuildMul(builder, steps.step, proof->begin, ""), "");
    LLVMValueRef ok = LLVMBuildICmp(builder, LLVMIntULT, first, length, ""), last = first;
    if (steps.step != cg_i64(cg, 0)) {
        LLVMValueRef one = cg_i64(cg, 1), far, over;
        LLVMValueRef times =
            LLVMBuildSub(builder, LLVMBuildSub(builder, proof->end, proof->begin, ""), one, "");
        LLVMValueRef way = checked(cg, "llvm.smul.with.overflow", steps.step, times, &far);
        last = checked(cg, "llvm.sadd.with.overflow", first, way, &over);
        LLVMValueRef wraps = LLVMBuildOr(builder, far, over, "");
        LLVMValueRef inside = LLVMBuildICmp(builder, LLVMIntULT, last, length, "");
        ok = LLVMBuildAnd(builder, ok, inside, "");
        ok = LLVMBuildAnd(builder, ok, LLVMBuildNot(builder, wraps, ""), "");
        last =
            LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntULT, first, length, ""), last, first, "");
    }
    *out = last;
    return ok;
}

LLVMValueRef cg_greatest(Cg *cg, const Cursor *cursor, LLVMValueRef begin, LLVMValueRef end) {
    const Type *type = cursor->element;
    LLVMTypeRef scalar = cg_scalar_type(cg, type);
    LLVMValueRef slot = cg_slot(cg, 8, 8);
    LLVMBuildStore(cg->builder, LLVMConstNull(scalar), slot);
    Counter counter = cg_counter_open(cg, begin, end);
    LLVMValueRef pair[2] = {LLVMBuildLoad2(cg->builder, scalar, slot, "")};
    cg_cursor_element(cg, cursor, counter.index, &pair[1]);
    LLVMBuildStore(cg->builder, cg_intrinsic(cg, "llvm.umax", &scalar, 1, pair, 2), slot);
    cg_counter_close(cg, &counter);
    LLVMValueRef found = LLVMBuildLoad2(cg->builder, scalar, slot, "");
    LLVMOpcode widen = type_is_signed(type) ? LLVMSExt : LLVMZExt;
    return type->size < 8 ? LLVMBuildCast(cg->builder, widen, found, cg->i64, "") : found;
}

static LLVMValueRef greatest_element(const Proof *proof, int number) {
    LLVMValueRef *known = &proof->greatest[number];
    if (!*known) *known = cg_greatest(proof->cg, &proof->loop->cursors[number], proof->begin, proof->end);
    return *known;
}

/* The iterator of unit stride whose element is the index, as it is or as an i64; or -1. */
static int index_element(const Proof *proof, const Node *index) {
    if (!proof->walks) return -1;
    for (int i = 0; i < LETS && index->kind == N_Ident; i++) {
        const Node *value = let_of(proof, index->symbol);
        if (!value) break;
        index = value;
    }
    if (index->kind == N_Cast) index = index->kids[0];
    int number = iterator_of(proof, index);
    if (number < 0) return -1;
    const Cursor *cursor = &proof->loop->cursors[number];
    bool fits = cursor->iter->iter == IT_scalar && cg_is_constant(cursor->stride, 1);
    return fits && type_is_integer(cursor->element) ? number : -1;
}

static void prove(const Proof *proof, const Node *node, LLVMValueRef length, const Node *index) {
    Cg *cg = proof->cg;
    Fn *fn = cg->fn;
    Steps steps;
    LLVMValueRef ok, worst;
    if (fn->nproven == PROVEN || cg_is_proven(cg, node)) return;
    int number = index_element(proof, index);
    if (steps_of(proof, index, 0, &steps)) {
        ok = lies_within(proof, steps, length, &worst);
    } else if (number >= 0) {
        worst = greatest_element(proof, number);
        ok = LLVMBuildICmp(cg->builder, LLVMIntULT, worst, length, "");
    } else {
        return;
    }
    cg_check(cg, ok, E_OutOfBounds, node, worst, length);
    fn->proven[fn->nproven++] = node;
}

/* The first element lies in [0, length - size]. */
static void prove_slice(Proof *proof, const Node *node) {
    Cg *cg = proof->cg;
    LLVMBuilderRef builder = cg->builder;
    Steps steps;
    LLVMValueRef last;
    if (cg->fn->nproven == PROVEN || !is_invariant(proof, node->kids[0]) ||
        !is_invariant(proof, node->kids[2]) || !steps_of(proof, node->kids[1], 0, &steps))
        return;
    const Leaf *data = cg_expr(cg, node->kids[0]);
    LLVMValueRef length = data[1], size = cg_one(cg, node->kids[2]);
    LLVMValueRef places = LLVMBuildAdd(builder, LLVMBuildSub(builder, length, size, ""), cg_i64(cg, 1), "");
    LLVMValueRef ok = LLVMBuildICmp(builder, LLVMIntULE, size, length, "");
    ok = LLVMBuildAnd(builder, ok, lies_within(proof, steps, places, &last), "");
    Slices *slices = proof->slices;
    slices->whole = slices->whole ? LLVMBuildAnd(builder, slices->whole, ok, "") : ok;
    if (slices->count < MOVING)
        slices->moving[slices->count++] = (Moving){node->type->args[0], data[0], steps, size};
    cg->fn->proven[cg->fn->nproven++] = node;
}

/* The state of the vecmerger that a merge goes into, if it is the same in all iterations. */
static LLVMValueRef fixed_state(const Proof *proof, const Node *node) {
    enum { MOST = 64 };
    int at = 0;
    for (int steps = 0; steps < MOST; steps++) {
        if (node->kind == N_Merge) {
            node = node->kids[0];
        } else if (node->kind == N_For) {
            node = node->kids[node->count - 2];
        } else if (node->kind == N_Field) {
            at += leaf_at(node->kids[0]->type, node->index);
            node = node->kids[0];
        } else if (node->kind == N_Ident && let_of(proof, node->symbol)) {
            node = let_of(proof, node->symbol);
        } else {
            break;
        }
    }
    if (node->kind != N_Ident) return NULL;
    bool own = node->symbol == proof->loop->lambda->params[0];
    return own || !is_inside(proof->cg, proof->inside, node->symbol) ? proof->cg->values[node->symbol->id][at]
                                                                     : NULL;
}

static void prove_node(Proof *proof, const Node *node) {
    if (proof->slices) {
        if (node->kind == N_Slice) prove_slice(proof, node);
    } else if (node->kind == N_Lookup && node->kids[0]->type->kind == TY_vec) {
        if (is_invariant(proof, node->kids[0]))
            prove(proof, node, cg_expr(proof->cg, node->kids[0])[1], node->kids[1]);
    } else if (node->kind == N_Merge && node->type->kind == TY_vecmerger) {
        LLVMValueRef state = node->kids[1]->kind == N_Struct ? fixed_state(proof, node->kids[0]) : NULL;
        if (state)
            prove(proof, node, cg_load_at(proof->cg, proof->cg->i64, state, offsetof(Appender, length)),
                  node->kids[1]->kids[0]);
    }
}

/* What every iteration evaluates. */
static void search(Proof *proof, const Node *node) {
    int lets = proof->nlets;
    for (; node->kind == N_Let; node = node->kids[1]) {
        search(proof, node->kids[0]);
        if (proof->nlets < LETS) proof->lets[proof->nlets++] = node;
    }
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < (lazy ? 1 : node->count); i++) {
        if (node->kids[i]->kind != N_Lambda) search(proof, node->kids[i]);
    }
    prove_node(proof, node);
    proof->nlets = lets;
}

static void prove_all(Proof *proof) {
    cg_bind(proof->cg, proof->loop->lambda->params[0], proof->loop->builders);
    proof->inside = cg_mark_bound(proof->cg, proof->loop->lambda);
    search(proof, proof->loop->lambda->kids[0]);
}

void cg_prove(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end, bool walks) {
    Proof proof = {.cg = cg, .loop = loop, .begin = begin, .end = end, .walks = walks};
    proof.greatest = arena_alloc(&cg->program->arena, sizeof *proof.greatest * (size_t)loop->ncursors);
    if (proof.greatest) prove_all(&proof);
}

void cg_prove_slices(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end, Slices *out) {
    *out = (Slices){.count = 0};
    Proof proof = {.cg = cg, .loop = loop, .begin = begin, .end = end, .slices = out};
    prove_all(&proof);
}

bool cg_is_proven(const Cg *cg, const Node *node) {
    for (int i = cg->fn->nproven; i-- > 0;) {
        if (cg->fn->proven[i] == node) return true;
    }
    return false;
}
