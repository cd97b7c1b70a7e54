/* merges.c: how often an iteration of a loop merges into its builders, as far as the shape of the body tells.
 *
 *     |b, i, x| if(x > 0, {merge(b.$0, x), merge(b.$1, i)}, {b.$0, merge(b.$1, 0)})
 *                                                       b.$0: at least 0, at most 1 times; b.$1: 1 to 1
 *
 * A builder's *leaf* is its place among all builders of the loop's builder type. Each name of a builder in the
 * body has a root: the leaf that it stands for, or a fresh builder, or unknown; a merge into an unknown one of
 * the leaf's type may be one into the leaf. Lets and operands add up, arms of an if take the least and the
 * most, a loop inside merges any number of times or never. Linear in the body.
 */
#include "../weldc.h"

int leaf_count(const Type *type) {
    if (type->kind == TY_vec) return 2;
    if (type->kind != TY_struct) return 1;
    int count = 0;
    for (int i = 0; i < type->count; i++) count += leaf_count(type->args[i]);
    return count;
}

int leaf_at(const Type *type, int field) {
    int at = 0;
    for (int i = 0; i < field; i++) at += leaf_count(type->args[i]);
    return at;
}

bool builder_is_new(const Node *builder) {
    if (builder->kind == N_NewBuilder) return true;
    for (int i = 0; builder->kind == N_Struct && i < builder->count; i++) {
        if (!builder_is_new(builder->kids[i])) return false;
    }
    return builder->kind == N_Struct;
}

enum {
    ROOT_UNKNOWN,
    ROOT_FRESH,
    ROOT_LEAF
}; /* ROOT_LEAF + n: of the builder asked about, leaf n, or the part that begins with that */
enum { MOST = 64 };

typedef struct Bound {
    Merges *merges;
    const Symbol *builder;
    const Type *type; /* of the leaf */
    int leaf;
    int serial; /* what roots holds of earlier questions does not count */
} Bound;

static void remember_root(const Bound *bound, const Symbol *symbol, int root) {
    if (root > UINT8_MAX) root = ROOT_UNKNOWN;
    bound->merges->roots[symbol->id] = bound->serial << 8 | root;
}

static int known_root(const Bound *bound, const Symbol *symbol) {
    int known = bound->merges->roots[symbol->id];
    return known >> 8 == bound->serial ? known & UINT8_MAX : ROOT_UNKNOWN;
}

/* Which leaf of the builder the value of node is, as far as its shape tells. */
static int root_of(const Bound *bound, const Node *node) {
    while (node->kind == N_Let || node->kind == N_Merge || node->kind == N_For) {
        node = node->kids[node->kind == N_Let ? 1 : node->kind == N_Merge ? 0 : node->count - 2];
    }
    if (node->kind == N_NewBuilder) return ROOT_FRESH;
    if (node->kind == N_Ident)
        return node->symbol == bound->builder ? ROOT_LEAF : known_root(bound, node->symbol);
    if (node->kind == N_Field) {
        int root = root_of(bound, node->kids[0]);
        return root < ROOT_LEAF ? root : root + leaf_at(node->kids[0]->type, node->index);
    }
    if (node->kind != N_Struct) return ROOT_UNKNOWN;
    for (int i = 0; i < node->count; i++) {
        if (root_of(bound, node->kids[i]) != ROOT_FRESH) return ROOT_UNKNOWN;
    }
    return ROOT_FRESH;
}

static MergeBound both(MergeBound a, MergeBound b) {
    int most = a.most < 0 || b.most < 0 || a.most + b.most > MOST ? -1 : a.most + b.most;
    return (MergeBound){a.least + b.least, most};
}

static MergeBound either(MergeBound a, MergeBound b) {
    int most = a.most < 0 || b.most < 0 ? -1 : a.most > b.most ? a.most : b.most;
    return (MergeBound){a.least < b.least ? a.least : b.least, most};
}

static MergeBound bound_of(const Bound *bound, const Node *node);

static MergeBound bound_of_kids(const Bound *bound, const Node *node, int from) {
    MergeBound sum = {0, 0};
    for (int i = from; i < node->count; i++) sum = both(sum, bound_of(bound, node->kids[i]));
    return sum;
}

static MergeBound bound_of_merge(const Bound *bound, const Node *node) {
    MergeBound kids = bound_of_kids(bound, node, 0);
    int root = root_of(bound, node->kids[0]);
    int lanes = node->kids[1]->type->kind == TY_simd ? WELD_LANES : 1;
    if (root == ROOT_LEAF + bound->leaf) return both(kids, (MergeBound){lanes, lanes});
    bool maybe = root == ROOT_UNKNOWN && node->kids[0]->type == bound->type;
    return maybe ? both(kids, (MergeBound){0, lanes}) : kids;
}

/* A loop or iterate merges any number of times, or never. */
static MergeBound bound_of_loop(const Bound *bound, const Node *node) {
    const Node *lambda = node->kids[node->count - 1];
    MergeBound before = {0, 0};
    for (int i = 0; i < node->count - 1; i++) before = both(before, bound_of(bound, node->kids[i]));
    int root = root_of(bound, node->kids[node->count - 2]);
    if (node->kind == N_For) remember_root(bound, lambda->params[0], root);
    MergeBound inside = bound_of(bound, lambda->kids[0]);
    return inside.most == 0 ? before : both(before, (MergeBound){0, -1});
}

static MergeBound bound_of(const Bound *bound, const Node *node) {
    MergeBound sum = {0, 0};
    for (; node->kind == N_Let; node = node->kids[1]) {
        sum = both(sum, bound_of(bound, node->kids[0]));
        remember_root(bound, node->symbol, root_of(bound, node->kids[0]));
    }
    MergeBound here;
    switch (node->kind) {
    case N_Merge: here = bound_of_merge(bound, node); break;
    case N_If:
        here = either(bound_of(bound, node->kids[1]), bound_of(bound, node->kids[2]));
        here = both(here, bound_of(bound, node->kids[0]));
        break;
    case N_And:
    case N_Or:
        here = either((MergeBound){0, 0}, bound_of(bound, node->kids[1]));
        here = both(here, bound_of(bound, node->kids[0]));
        break;
    case N_For:
    case N_Iterate:
    case N_Sort: here = bound_of_loop(bound, node); break;
    default: here = bound_of_kids(bound, node, 0); break;
    }
    return both(sum, here);
}

static const Type *leaf_type(const Type *type, int leaf) {
    if (type->kind != TY_struct) return type;
    for (int i = 0; i < type->count; i++) {
        int count = leaf_count(type->args[i]);
        if (leaf < count) return leaf_type(type->args[i], leaf);
        leaf -= count;
    }
    return NULL;
}

MergeBound merge_bound(Merges *merges, const Node *node, const Symbol *builder, int leaf) {
    Bound bound = {merges, builder, leaf_type(builder->type, leaf), leaf, ++merges->questions & 0x7fffff};
    return bound_of(&bound, node);
}
