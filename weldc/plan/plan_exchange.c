/* plan_exchange.c: what exchanges take and make, on any rank of a cluster.
 *
 *     4 ranks, v of 1000:   exchange[block](v) is 250, of nothing new       exchange[gather](w), w of 250: at most 1000, 8064 bytes
 *
 * One price is made for all ranks: that of the one that takes most. Blocks that are cut evenly are taken to be as long as the longest
 * one, which rank 0 has; the others have one element less, or none. What is not the same on all ranks, where a block begins and such,
 * is a number between bounds. Of a vector in blocks, wherever they are cut, all ranks together have at most n times what a rank
 * may have. So all ranks, given the same lengths (plan_lengths, of which they agree on the greatest), come to the same price.
 *
 * An exchange takes what it gives, and what it works with, which stays as long: until the step of the iterate around ends. What is
 * launched takes both from the launch on. There is no promise for dictionaries, rows that go to others, elements that are found, vectors of
 * vectors, which travel as texts, and parameter servers.
 */
#include "plan_price.h"

#include <string.h>

enum {
    SMALL_REDUCE = 4096,
    LISTS = 12,
    LIST_EACH = 32
}; /* as runtime/cluster/exchange_reduce.c; lists of so many bytes for each rank */

/* ---- arguments ---- */

int plan_vectors(const Type *type) {
    int count = type->kind == TY_vec;
    for (int i = 0; i < type->count && (type->kind == TY_vec || type->kind == TY_struct); i++)
        count += plan_vectors(type->args[i]);
    return count;
}

void plan_lengths(const Type *type, const void *value, int64_t *lengths) {
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            plan_lengths(type->args[i], (const char *)value + type->offsets[i], lengths);
            lengths += plan_vectors(type->args[i]);
        }
    } else if (type->kind == TY_vec) {
        Vec vec;
        memcpy(&vec, value, sizeof vec);
        if (vec.length > *lengths) *lengths = vec.length;
        for (int64_t i = 0; type->args[0]->pointers && i < vec.length; i++)
            plan_lengths(type->args[0], (const char *)vec.data + i * type->args[0]->size, lengths + 1);
    }
}

Abstract price_agreed(Pricer *p, const Type *type, const void *data, const int64_t **lengths, bool outer) {
    Abstract value = abstract_unknown(type);
    if (type->kind == TY_struct) {
        value.parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count; i++) {
            const char *at = data ? (const char *)data + type->offsets[i] : NULL;
            Abstract part = price_agreed(p, type->args[i], at, lengths, outer);
            if (value.parts) value.parts[i] = part;
        }
    } else if (type->kind == TY_vec) {
        value.known = outer ? EXACT : MOST;
        value.n = *(*lengths)++;
        value.given = outer;
        int64_t none = plan_vectors(type->args[0]);
        if (type->args[0]->pointers && (value.parts = abstract_parts(p, 1)))
            value.parts[0] = price_agreed(p, type->args[0], NULL, lengths, false);
        else
            *lengths += none;
    } else if (data && is_number(type)) {
        value.known = EXACT;
        memcpy(&value.n, data, (size_t)type->size);
    }
    return value;
}

/* ---- exchanges ---- */

/* A vector of which no more than its length is known. */
static Abstract vector_of(Pricer *p, const Type *type, Known known, int64_t n) {
    Abstract vec = {.type = type, .known = known, .n = known ? n : 0};
    abstract_name(p, &vec);
    return vec;
}

/* Elements of a vector, which stays as long as they do. */
static Abstract within(Abstract part, const Abstract *vec) {
    part.parts = vec->parts;
    part.given = vec->given;
    if (!vec->given && vec->known) part.room = abstract_room(vec);
    return part;
}

static int64_t ranks_of(const Pricer *p) {
    return p->ranks > 0 ? p->ranks : 1;
}

/* The longest block of so many elements that are cut evenly. */
static int64_t longest_block(const Pricer *p, int64_t n) {
    return n / ranks_of(p) + (n % ranks_of(p) > 0);
}

static int64_t all_of(const Pricer *p, int64_t n) {
    return count_times(ranks_of(p), n);
}

/* The vector's memory, and nothing more. */
static void take_vector(Pricer *p, const Node *node, const Abstract *vec) {
    if (!vec->known) price_give_up(p, node, "the length of a vector is not known");
    if (vec->known) price_take(p, price_block(count_times(vec->n, abstract_element(vec->type)->size)));
}

static Abstract number_to(Pricer *p, const Type *type, const Abstract *vec) {
    Abstract number = vec->known ? number_within(type, 0, all_of(p, vec->n)) : abstract_unknown(type);
    number.type = type;
    abstract_name(p, &number);
    return number;
}

/* {begin, end}, of which is known how far they are from each other. */
static Abstract share_of(Pricer *p, const Type *type, const Abstract *count) {
    Abstract share = {.type = type, .parts = abstract_parts(p, 2)};
    if (!share.parts) return share;
    bool some = count->known && count->n >= 0;
    for (int i = 0; i < 2; i++) {
        share.parts[i] = some ? number_within(type->args[i], 0, count->n) : abstract_unknown(type->args[i]);
        abstract_name(p, &share.parts[i]);
    }
    if (!some || count->known != EXACT) return share;
    share.parts[1].base = share.parts[0].base;
    share.parts[1].off = longest_block(p, count->n);
    return share;
}

/* Of vectors of the struct, or of one, the same lengths; of sums of numbers that are not negative bounds. */
static Abstract combined(Pricer *p, const Abstract *own, Op op) {
    const Type *type = own->type;
    Abstract all = abstract_unknown(type);
    if (type->kind == TY_struct) {
        all.parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && all.parts; i++) {
            Abstract part = abstract_part(own, i);
            all.parts[i] = combined(p, &part, op);
        }
        return all;
    }
    if (type->kind == TY_vec) return vector_of(p, type, own->known, own->n);
    if (type->kind != TY_i64 || !own->known) return all;
    int64_t least = number_least(own);
    if (op == OP_min || op == OP_max) all = number_within(type, least, own->n);
    if (op == OP_add && least >= 0) all = number_within(type, least, all_of(p, own->n));
    abstract_name(p, &all);
    return all;
}

/* Bytes of a value that is combined: of vectors their elements; -1: not known. */
static int64_t bytes_of(const Abstract *value) {
    const Type *type = value->type;
    if (type->kind == TY_vec) return value->known ? count_times(value->n, type->args[0]->size) + 16 : -1;
    if (type->kind != TY_struct || !type->pointers) return type->size + 16;
    int64_t bytes = 0;
    for (int i = 0; i < type->count && bytes >= 0; i++) {
        Abstract part = abstract_part(value, i);
        int64_t more = bytes_of(&part);
        bytes = more < 0 ? -1 : count_plus(bytes, more);
    }
    return bytes;
}

/* A vector: parts of all ranks, which are combined, and the whole. A struct: its parts are packed first, and unpacked. Few bytes: those of
 * all ranks. */
static void take_combined(Pricer *p, const Node *node, const Abstract *own) {
    int64_t bytes = bytes_of(own);
    if (bytes < 0) price_give_up(p, node, "the length of a vector is not known");
    if (bytes < 0) return;
    int64_t parts =
        own->type->kind == TY_struct ? 16 * (int64_t)own->type->count + REGION_HEADER : REGION_HEADER;
    int64_t rows = count_plus(bytes, all_of(p, 16 + parts)),
            few = bytes <= SMALL_REDUCE + 16 * parts ? all_of(p, bytes) : 0;
    int64_t copies = own->type->kind == TY_struct && own->type->pointers ? 3 : 0;
    price_take(p, count_plus(count_times(1 + copies, rows), few));
    if (!copies) price_need(p, rows);
}

/* Elements of `size` bytes from scale * i + offset on, for so many i that follow each other. */
static Abstract window_of(Pricer *p, const Type *type, const Abstract *vec, const Abstract *where) {
    Abstract begin = abstract_part(where, 0), end = abstract_part(where, 1), scale = abstract_part(where, 2),
             size = abstract_part(where, 4), window = {.type = type, .parts = abstract_parts(p, 2)};
    int64_t count = vec->known ? all_of(p, vec->n) : -1, steps, reach;
    bool near = abstract_same(&begin, &end) && scale.known == EXACT && size.known == EXACT && size.n >= 0 &&
                !__builtin_sub_overflow(end.off, begin.off, &steps) && steps > 0;
    near = near && !__builtin_mul_overflow(steps - 1, scale.n < 0 ? -scale.n : scale.n, &reach) &&
           !__builtin_add_overflow(reach, size.n, &reach);
    if (near && (count < 0 || reach < count)) count = reach;
    if (!window.parts) return window;
    window.parts[0] = vector_of(p, type->args[0], count < 0 ? UNKNOWN : MOST, count);
    window.parts[0].parts = vec->parts;
    window.parts[1] = number_to(p, type->args[1], vec);
    return window;
}

static bool is_unpriced(ExchangeKind kind, const char **why) {
    if (kind >= EXCHANGE_merge && kind <= EXCHANGE_settle) *why = "how many keys there are is not known";
    if (kind == EXCHANGE_find) *why = "how many elements are looked up is not known";
    if (kind >= EXCHANGE_host && kind <= EXCHANGE_take) *why = "what a parameter server takes is not known";
    return *why != NULL;
}

/* What an exchange of this kind gives, and takes. a, b: its operands. */
static Abstract exchanged(Pricer *p, const Node *node, ExchangeKind kind, const Type *type, const Abstract *a,
                          const Abstract *b) {
    const char *why = NULL;
    Abstract made = abstract_unknown(type);
    bool vector = type->kind == TY_vec, travels = vector && type->args[0]->pointers;
    if (is_unpriced(kind, &why)) price_give_up(p, node, why);
    if (why) return made;
    price_take(p, count_times(LISTS, price_block(all_of(p, LIST_EACH))));
    switch (kind) {
    case EXCHANGE_share: return share_of(p, type, a);
    case EXCHANGE_start: return a->known ? number_within(type, 0, all_of(p, a->n)) : made;
    case EXCHANGE_block: made = vector_of(p, type, a->known, longest_block(p, a->n)); return within(made, a);
    case EXCHANGE_part: return within(vector_of(p, type, b->known, b->n), a);
    case EXCHANGE_seed:
        if (vector) made = vector_of(p, type, a->known, a->n);
        if (vector) take_vector(p, node, &made);
        return made;
    case EXCHANGE_reduce: take_combined(p, node, a); return combined(p, a, node->op);
    case EXCHANGE_portion:
        made = vector_of(p, type, a->known, longest_block(p, a->n));
        made.room = all_of(p, made.n);
        if (a->known) price_take(p, count_plus(bytes_of(a), all_of(p, type->args[0]->size)));
        if (a->known && bytes_of(a) <= SMALL_REDUCE) price_take(p, all_of(p, bytes_of(a)));
        if (!a->known) price_give_up(p, node, "the length of a vector is not known");
        return made;
    case EXCHANGE_window: made = window_of(p, type, a, b); break;
    case EXCHANGE_place: {
        Abstract total = abstract_part(b, 1);
        made = vector_of(p, type,
                         total.known == EXACT ? EXACT
                         : a->known           ? MOST
                                              : UNKNOWN,
                         total.known == EXACT ? total.n : all_of(p, a->n));
        break;
    }
    case EXCHANGE_scatter: made = vector_of(p, type, a->known, longest_block(p, a->n)); break;
    case EXCHANGE_align: made = vector_of(p, type, b->known, b->n); break;
    case EXCHANGE_gather:
    case EXCHANGE_collect:
    case EXCHANGE_deal: made = vector_of(p, type, a->known ? MOST : UNKNOWN, all_of(p, a->n)); break;
    default: /* an element, or a value of rank 0 */
        travels = type->pointers;
        price_take(p, price_block(all_of(p, type->size)));
        break;
    }
    const Abstract *vec = kind == EXCHANGE_window && made.parts ? &made.parts[0] : &made;
    if (vec->type->kind == TY_vec) {
        travels = abstract_element(vec->type)->pointers;
        take_vector(p, node, vec);
    }
    if (travels) price_give_up(p, node, "how long texts of vectors are that travel is not known");
    return made;
}

Abstract price_exchange(Pricer *p, Node *node) {
    ExchangeKind kind = (ExchangeKind)node->bits, launched = exchange_launched(kind);
    Abstract a = price_node(p, node->kids[0]), b = {0};
    if (node->count > 1) b = price_node(p, node->kids[1]);
    if (kind == EXCHANGE_wait)
        return b.parts ? b.parts[0] : abstract_unknown(node->type); /* it was taken by the launch */
    if (launched == EXCHANGE_COUNT) return exchanged(p, node, kind, node->type, &a, &b);
    Abstract number = {.type = node->type, .parts = abstract_parts(p, 1)};
    Abstract made = exchanged(p, node, launched, node->kids[0]->type, &a, &b);
    if (number.parts) number.parts[0] = made;
    return number;
}
