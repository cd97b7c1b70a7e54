/* test_value.c: scalars, casts, keys, dictionaries, sorting, bytes and text, each against a model that is
 * plainly right. */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Budget budget;
static Arena arena;
static TypeTable types;
static int32_t cancel;
static Worker worker;
static const Span nowhere;

static void setup(void) {
    budget_init(&budget, 0);
    arena_init(&arena);
    types_init(&types, &arena);
    worker = (Worker){.cancel = &cancel, .region = region_new(&budget)};
    cr_assert(worker.region);
}

static void teardown(void) {
    region_free(worker.region);
    cr_expect_eq(budget.live, 0);
    arena_release(&arena);
}

TestSuite(value, .init = setup, .fini = teardown);

static Type *scalar(TypeKind kind) {
    return type_scalar(&types, kind);
}

static Type *make_struct(int count, Type **fields) {
    return type_make(&types, TY_struct, OP_none, count, fields);
}

static Type *make_dict(Type *key, Type *value) {
    Type *parts[2] = {key, value};
    return type_make(&types, TY_dict, OP_none, 2, parts);
}

/* splitmix64 */
static uint64_t random_state = 1;
static uint64_t next_random(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* ---- scalars ---- */

/* An integer type's value as a wide number, and back by wrapping: what every integer operator is checked
 * against. */
typedef __int128 Wide;

static Wide wide_of(TypeKind kind, const void *value) {
    switch (kind) {
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: return (Wide) * (const ctype *)value;
#include "../../lang/types.def"
    default: return 0;
    }
}

static Wide wrap(TypeKind kind, Wide value) {
    int bits = type_classes[kind].bits;
    Wide all = (Wide)1 << bits;
    value &= all - 1;
    return type_classes[kind].class == 's' && value >= all / 2 ? value - all : value;
}

static Wide model_binary(Op op, TypeKind kind, Wide a, Wide b) {
    int bits = type_classes[kind].bits, count = (int)(b & (bits - 1));
    switch (op) {
    case OP_add: return wrap(kind, a + b);
    case OP_sub: return wrap(kind, a - b);
    case OP_mul: return wrap(kind, (Wide)((unsigned __int128)a * (unsigned __int128)b));
    case OP_div: return wrap(kind, a / b);
    case OP_rem: return wrap(kind, a % b);
    case OP_min: return a < b ? a : b;
    case OP_max: return a > b ? a : b;
    case OP_bitand: return wrap(kind, a & b);
    case OP_bitor: return wrap(kind, a | b);
    case OP_bitxor: return wrap(kind, a ^ b);
    case OP_shl: return wrap(kind, (Wide)((unsigned __int128)a << count));
    case OP_shr: return a >> count;
    default: return 0;
    }
}

/* Edges of the type and some values in between. */
static int edges(TypeKind kind, uint64_t *out) {
    int bits = type_classes[kind].bits, count = 0;
    uint64_t top = (uint64_t)1 << (bits - 1);
    uint64_t values[] = {
        0, 1, 2, 3, 7, (uint64_t)-1, (uint64_t)-2, top, top - 1, top + 1, (uint64_t)bits, (uint64_t)bits + 1};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) out[count++] = values[i];
    for (int i = 0; i < 8; i++) out[count++] = next_random();
    return count;
}

Test(value, integer_operators_wrap_like_the_model) {
    static const Op ops[] = {OP_add, OP_sub,    OP_mul,   OP_div,    OP_rem, OP_min,
                             OP_max, OP_bitand, OP_bitor, OP_bitxor, OP_shl, OP_shr};
    for (int kind = TY_i8; kind <= TY_u64; kind++) {
        uint64_t values[32], out;
        int count = edges((TypeKind)kind, values);
        for (int i = 0; i < count * count; i++) {
            uint64_t *pa = &values[i / count], *pb = &values[i % count];
            Wide a = wide_of((TypeKind)kind, pa), b = wide_of((TypeKind)kind, pb);
            for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
                bool ok = scalar_binary(ops[k], scalar((TypeKind)kind), pa, pb, &out);
                bool divides = ops[k] == OP_div || ops[k] == OP_rem;
                cr_assert_eq(ok, !(divides && b == 0));
                if (ok)
                    cr_assert(wide_of((TypeKind)kind, &out) == model_binary(ops[k], (TypeKind)kind, a, b));
            }
            cr_assert_eq(scalar_compare(OP_lt, scalar((TypeKind)kind), pa, pb), a < b);
            cr_assert_eq(scalar_compare(OP_ge, scalar((TypeKind)kind), pa, pb), a >= b);
            cr_assert_eq(scalar_compare(OP_eq, scalar((TypeKind)kind), pa, pb), a == b);
            scalar_unary(OP_neg, scalar((TypeKind)kind), pa, &out);
            cr_assert(wide_of((TypeKind)kind, &out) == wrap((TypeKind)kind, -a));
            scalar_unary(OP_bitnot, scalar((TypeKind)kind), pa, &out);
            cr_assert(wide_of((TypeKind)kind, &out) == wrap((TypeKind)kind, ~a));
        }
    }
}

Test(value, float_operators_round_to_their_width) {
    float a = 16777216, b = 1, r;
    scalar_binary(OP_add, scalar(TY_f32), &a, &b, &r);
    cr_expect_eq(r, 16777216);
    double x = -0.0, y;
    scalar_unary(OP_neg, scalar(TY_f64), &x, &y);
    cr_expect(y == 0 && !signbit(y));
    double n = NAN, one = 1;
    scalar_binary(OP_min, scalar(TY_f64), &n, &one, &y);
    cr_expect_eq(y, 1);
    scalar_binary(OP_max, scalar(TY_f64), &one, &n, &y);
    cr_expect_eq(y, 1);
    cr_expect(scalar_compare(OP_ne, scalar(TY_f64), &n, &n));
    cr_expect_not(scalar_compare(OP_le, scalar(TY_f64), &n, &n));
    double zero = 0;
    cr_expect(scalar_binary(OP_div, scalar(TY_f64), &one, &zero, &y) && isinf(y));
}

Test(value, casts_between_integers_wrap) {
    for (int from = TY_bool; from <= TY_u64; from++) {
        uint64_t values[32], out;
        int count = edges((TypeKind)from, values);
        for (int i = 0; i < count; i++) {
            if (from == TY_bool) values[i] &= 1;
            for (int to = TY_i8; to <= TY_u64; to++) {
                scalar_cast(scalar((TypeKind)from), &values[i], scalar((TypeKind)to), &out);
                cr_assert(wide_of((TypeKind)to, &out) ==
                          wrap((TypeKind)to, wide_of((TypeKind)from, &values[i])));
            }
            uint8_t is;
            scalar_cast(scalar((TypeKind)from), &values[i], scalar(TY_bool), &is);
            cr_assert_eq(is, wide_of((TypeKind)from, &values[i]) != 0);
        }
    }
}

Test(value, casts_from_floats_saturate) {
    static const double doubles[] = {0,
                                     -0.0,
                                     0.9,
                                     -0.9,
                                     1.5,
                                     -1.5,
                                     127,
                                     127.9,
                                     128,
                                     -128.9,
                                     -129,
                                     255.9,
                                     256,
                                     65535.5,
                                     2147483647.5,
                                     2147483648.0,
                                     -2147483649.0,
                                     4294967295.5,
                                     4294967296.0,
                                     9.2e18,
                                     9223372036854775808.0,
                                     -9223372036854775808.0,
                                     1.8e19,
                                     18446744073709551616.0,
                                     1e300,
                                     -1e300,
                                     INFINITY,
                                     -INFINITY,
                                     NAN};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        double x = doubles[i];
        for (int to = TY_i8; to <= TY_u64; to++) {
            int bits = type_classes[to].bits;
            bool is_signed = type_classes[to].class == 's';
            Wide least = is_signed ? -((Wide)1 << (bits - 1)) : 0,
                 most = ((Wide)1 << (is_signed ? bits - 1 : bits)) - 1;
            Wide want = isnan(x) ? 0 : x <= (double)least ? least : x >= (double)most ? most : (Wide)x;
            uint64_t out;
            scalar_cast(scalar(TY_f64), &x, scalar((TypeKind)to), &out);
            cr_assert(wide_of((TypeKind)to, &out) == want, "%g to %s", x, type_classes[to].spelling);
        }
    }
}

Test(value, casts_to_floats_round_once) {
    int64_t x = 9007199791611905; /* through double it would round to even, downwards */
    float out;
    scalar_cast(scalar(TY_i64), &x, scalar(TY_f32), &out);
    cr_expect_eq(out, 9007200328482816.0f);
    uint64_t u = UINT64_MAX;
    double d;
    scalar_cast(scalar(TY_u64), &u, scalar(TY_f64), &d);
    cr_expect_eq(d, 18446744073709551616.0);
    double big = 1e300;
    scalar_cast(scalar(TY_f64), &big, scalar(TY_f32), &out);
    cr_expect(isinf(out));
    uint8_t is;
    double tiny = 5e-324, n = NAN;
    scalar_cast(scalar(TY_f64), &tiny, scalar(TY_bool), &is);
    cr_expect_eq(is, 1);
    scalar_cast(scalar(TY_f64), &n, scalar(TY_bool), &is);
    cr_expect_eq(is, 1);
}

Test(value, identities_change_nothing) {
    static const Op ops[] = {OP_add, OP_mul, OP_min, OP_max};
    for (int kind = TY_i8; kind <= TY_f64; kind++) {
        uint64_t values[32];
        int count = edges((TypeKind)kind, values);
        Type *fields[2] = {scalar((TypeKind)kind), scalar(TY_i8)};
        Type *type = make_struct(2, fields);
        for (int k = 0; k < 4; k++) {
            for (int i = 0; i < count; i++) {
                char value[16] = {0}, into[16], again[16];
                memcpy(value, &values[i], (size_t)fields[0]->size);
                value[type->offsets[1]] = (char)i;
                if (scalar_compare(OP_ne, fields[0], value, value)) continue;
                combine_identity(type, ops[k], into);
                combine(type, ops[k], into, value);
                cr_assert(key_equal(type, into, value), "%s %s", op_classes[ops[k]].name,
                          type_classes[kind].spelling);
                memcpy(again, value, sizeof again);
                combine_identity(type, ops[k], into);
                combine(type, ops[k], again, into);
                cr_assert(key_equal(type, again, value));
            }
        }
    }
}

/* ---- order and keys ---- */

static Vec vec_of(void *data, int64_t length) {
    return (Vec){data, length};
}

Test(value, order_is_lexicographic) {
    Type *text = type_vec(&types, scalar(TY_i8)), *numbers = type_vec(&types, scalar(TY_f64));
    Vec ab = vec_of("ab", 2), abc = vec_of("abc", 3), b = vec_of("b", 1), high = vec_of("\xff", 1),
        none = {0};
    cr_expect_eq(value_compare(text, &ab, &abc), -1);
    cr_expect_eq(value_compare(text, &b, &abc), 1);
    cr_expect_eq(value_compare(text, &high, &ab), -1);
    cr_expect_eq(value_compare(text, &none, &ab), -1);
    cr_expect_eq(value_compare(text, &abc, &abc), 0);
    double with_nan[] = {1, NAN}, plain[] = {1, 2}, greater[] = {2, NAN};
    Vec n = vec_of(with_nan, 2), p = vec_of(plain, 2), g = vec_of(greater, 2);
    cr_expect_eq(value_compare(numbers, &n, &p), 2);
    cr_expect_eq(value_compare(numbers, &n, &n), 2);
    cr_expect_eq(value_compare(numbers, &n, &g), -1);
    cr_expect_eq(value_order(numbers, &n, &p), 1);
    cr_expect_eq(value_order(numbers, &p, &n), -1);
    cr_expect_eq(value_order(numbers, &n, &n), 0);
}

Test(value, equal_keys_hash_alike) {
    double zeros[] = {0.0, -0.0}, nans[] = {NAN, -NAN};
    Type *f64 = scalar(TY_f64), *vec = type_vec(&types, f64);
    cr_expect(key_equal(f64, &zeros[0], &zeros[1]) && key_equal(f64, &nans[0], &nans[1]));
    cr_expect_eq(key_hash(f64, &zeros[0]), key_hash(f64, &zeros[1]));
    cr_expect_eq(key_hash(f64, &nans[0]), key_hash(f64, &nans[1]));
    double a[] = {0.0, NAN}, b[] = {-0.0, -NAN};
    Vec x = vec_of(a, 2), y = vec_of(b, 2), z = vec_of(a, 1);
    cr_expect(key_equal(vec, &x, &y));
    cr_expect_eq(key_hash(vec, &x), key_hash(vec, &y));
    cr_expect_not(key_equal(vec, &x, &z));
    float f[] = {-0.0f, NAN};
    cr_expect_eq(key_bits(scalar(TY_f32), &f[0]), 0);
    cr_expect_eq(key_bits(scalar(TY_f32), &f[1]), 0x7FC00000);
    int8_t minus = -1;
    cr_expect_eq(key_bits(scalar(TY_i8), &minus), 255);
    /* Padding does not count. */
    Type *fields[2] = {scalar(TY_i8), scalar(TY_i32)};
    Type *padded = make_struct(2, fields), *vec_padded = type_vec(&types, padded);
    struct {
        int8_t a;
        int32_t b;
    } s, t;
    memset(&s, 0, sizeof s), memset(&t, -1, sizeof t);
    s.a = t.a = 5, s.b = t.b = 6;
    Vec vs = vec_of(&s, 1), vt = vec_of(&t, 1);
    cr_expect(key_equal(vec_padded, &vs, &vt));
    cr_expect_eq(key_hash(vec_padded, &vs), key_hash(vec_padded, &vt));
    uint64_t bits = 12345, hash = (bits ^ HASH_SEED) * HASH_FACTOR;
    cr_expect_eq(hash_u64(bits), hash ^ hash >> 32);
    cr_expect_eq(key_hash(padded, &s), hash_u64(5 | 6 << 8));
}

/* ---- dictionaries ---- */

/* Fills a dictionary with counts of KEYS random keys out of RANGE and compares it with counting in an array.
 */
enum { KEYS = 100000, RANGE = 40000 };

typedef struct KeyMaker {
    Type *type;
    void (*make)(uint64_t number, void *out); /* a different key for each number < RANGE */
} KeyMaker;

static void make_number(uint64_t number, void *out) {
    memcpy(out, &number, 8);
}
static void make_f64(uint64_t number, void *out) {
    *(double *)out = (double)number / 7 - 1000;
}
static void make_f32(uint64_t number, void *out) {
    *(float *)out = (float)number * 0.5f - 1000;
}
static void make_bool(uint64_t number, void *out) {
    *(uint8_t *)out = number & 1;
}
static void make_text(uint64_t number, void *out) {
    char *text = region_alloc(worker.region, 24);
    int length = snprintf(text, 24, "%s%llu", number % 3 ? "key" : "", (unsigned long long)number);
    *(Vec *)out = (Vec){text, length};
}
static void make_pair(uint64_t number, void *out) {
    memset(out, (int)next_random(), 16);
    *(int8_t *)out = (int8_t)(number % 100);
    *(int64_t *)(void *)((char *)out + 8) = (int64_t)(number / 100);
}
static void make_vecs(uint64_t number, void *out) {
    double *data = region_alloc(worker.region, 24);
    data[0] = (double)(number % 10), data[1] = (double)(number / 10 % 100), data[2] = (double)(number / 1000);
    *(Vec *)out = (Vec){data, 3};
}

static void check_dict(const KeyMaker *maker, uint64_t range) {
    Type *dict_type = make_dict(maker->type, scalar(TY_i64));
    Type *entry = dict_entry_type(&types, dict_type);
    EntryType room;
    const Type *layout = dict_entry_layout(dict_type, &room);
    cr_assert(layout->size == entry->size && layout->align == entry->align &&
              layout->offsets[1] == entry->offsets[1]);
    Dict *dict = dict_new(&worker, entry, nowhere);
    int64_t *count = calloc(range, sizeof *count), distinct = 0;
    for (int i = 0; i < KEYS; i++) {
        uint64_t number = next_random() % range;
        _Alignas(16) char key[16] = {0};
        bool fresh;
        maker->make(number, key);
        int64_t *value = dict_insert(&worker, dict, entry, key, key_hash(maker->type, key), &fresh, nowhere);
        cr_assert(value);
        cr_assert_eq(fresh, count[number] == 0);
        cr_assert_eq(*value, count[number]);
        distinct += fresh;
        *value = ++count[number];
        if (i == KEYS / 2) cr_assert(dict_finish(&worker, dict, entry, nowhere)); /* and goes on growing */
    }
    cr_assert(dict_finish(&worker, dict, entry, nowhere));
    cr_assert_eq(dict->length, distinct);
    cr_assert_geq((int64_t)dict->mask + 1, 2 * dict->length);
    for (uint64_t number = 0; number < range; number++) {
        _Alignas(16) char key[16] = {0};
        maker->make(number, key);
        const int64_t *value = dict_find(dict, entry, key);
        cr_assert_eq(value ? *value : 0, count[number]);
    }
    int64_t *order = malloc(sizeof *order * (size_t)distinct);
    dict_sorted(dict, entry, order);
    for (int64_t i = 1; i < distinct; i++) {
        const char *a = dict->entries + order[i - 1] * entry->size,
                   *b = dict->entries + order[i] * entry->size;
        cr_assert_lt(value_order(maker->type, a, b), 0);
    }
    free(order);
    free(count);
}

Test(value, dictionaries_count_like_an_array) {
    Type *pair[2] = {scalar(TY_i8), scalar(TY_i64)};
    KeyMaker makers[] = {
        {scalar(TY_i64), make_number},
        {scalar(TY_u64), make_number},
        {scalar(TY_i32), make_number},
        {scalar(TY_u32), make_number},
        {scalar(TY_u16), make_number},
        {scalar(TY_i16), make_number},
        {scalar(TY_f64), make_f64},
        {scalar(TY_f32), make_f32},
        {type_vec(&types, scalar(TY_i8)), make_text},
        {make_struct(2, pair), make_pair},
        {type_vec(&types, scalar(TY_f64)), make_vecs},
    };
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) check_dict(&makers[i], RANGE);
    KeyMaker small[] = {{scalar(TY_i8), make_number}, {scalar(TY_u8), make_number}};
    for (int i = 0; i < 2; i++) check_dict(&small[i], 256);
    KeyMaker bools = {scalar(TY_bool), make_bool};
    check_dict(&bools, 2);
}

Test(value, an_empty_dictionary_works) {
    Type *entry = dict_entry_type(&types, make_dict(scalar(TY_i64), scalar(TY_i64)));
    Dict *dict = dict_new(&worker, entry, nowhere);
    int64_t key = 5;
    cr_expect_null(dict_find(dict, entry, &key));
    cr_assert(dict_finish(&worker, dict, entry, nowhere));
    cr_expect_null(dict_find(dict, entry, &key));
    cr_expect_null(dict_find(NULL, entry, &key));
}

Test(value, groups_keep_merge_order) {
    Type *parts[2] = {scalar(TY_i32), scalar(TY_i64)};
    Type *builder = type_make(&types, TY_groupmerger, OP_none, 2, parts);
    Type *entry = dict_entry_type(&types, builder);
    EntryType room;
    cr_assert_eq(dict_entry_layout(builder, &room)->size, entry->size);
    Dict *dict = dict_new(&worker, entry, nowhere);
    enum { GROUPS = 1000 };
    static int64_t length[GROUPS], last[GROUPS];
    for (int64_t i = 0; i < KEYS; i++) {
        int32_t key = (int32_t)(next_random() % GROUPS);
        length[key]++;
        cr_assert(group_merge(&worker, dict, entry, &key, &i, nowhere));
        if (i == 70000) cr_assert(group_finish(&worker, dict, entry, nowhere)); /* and goes on */
    }
    cr_assert(group_finish(&worker, dict, entry, nowhere));
    memset(last, -1, sizeof last);
    for (int32_t key = 0; key < GROUPS; key++) {
        const Vec *values = dict_find(dict, entry, &key);
        cr_assert(values && values->length == length[key]);
        for (int64_t i = 0; i < values->length; i++) {
            int64_t value = ((int64_t *)values->data)[i];
            cr_assert_gt(value, last[key]);
            last[key] = value;
        }
    }
}

/* ---- sorting ---- */

static ErrorCode by_key(void *closure, Worker *w, const void *a, const void *b, int32_t *order) {
    int64_t x = ((const int64_t *)a)[0], y = ((const int64_t *)b)[0];
    (void)w;
    ++*(int64_t *)closure;
    *order = x < y ? -1 : x > y;
    return E_None;
}

static ErrorCode at_random(void *closure, Worker *w, const void *a, const void *b, int32_t *order) {
    (void)closure, (void)w, (void)a, (void)b;
    *order = (int32_t)(next_random() % 3) - 1;
    return E_None;
}

static ErrorCode fails(void *closure, Worker *w, const void *a, const void *b, int32_t *order) {
    (void)w, (void)a, (void)b;
    *order = 1;
    return --*(int64_t *)closure < 0 ? E_AssertionFailed : E_None;
}

Test(value, sorting_is_stable) {
    for (int64_t count = 0; count < 3000; count = count * 5 / 4 + 1) {
        int64_t(*data)[2] = malloc(sizeof *data * (size_t)(count + 1)),
        (*scratch)[2] = malloc(sizeof *data * (size_t)(count + 1));
        for (int64_t i = 0; i < count; i++) {
            data[i][0] = (int64_t)(next_random() % 50);
            data[i][1] = i;
        }
        int64_t calls = 0;
        cr_assert_eq(sort_stable(&worker, data, scratch, count, sizeof *data, by_key, &calls), E_None);
        for (int64_t i = 1; i < count; i++) {
            cr_assert(data[i - 1][0] < data[i][0] ||
                      (data[i - 1][0] == data[i][0] && data[i - 1][1] < data[i][1]));
        }
        calls = 0;
        cr_assert_eq(sort_stable(&worker, data, scratch, count, sizeof *data, by_key, &calls), E_None);
        cr_assert_leq(calls, 2 * count); /* sorted input is linear */
        cr_assert_eq(sort_stable(&worker, data, scratch, count, sizeof *data, at_random, NULL), E_None);
        char *seen = calloc(1, (size_t)count + 1);
        for (int64_t i = 0; i < count; i++) seen[data[i][1]]++;
        for (int64_t i = 0; i < count; i++) cr_assert_eq(seen[i], 1);
        int64_t left = count / 2;
        if (count > 2)
            cr_assert_eq(sort_stable(&worker, data, scratch, count, sizeof *data, fails, &left),
                         E_AssertionFailed);
        free(seen), free(data), free(scratch);
    }
}

/* ---- bytes ---- */

/* {bool, vec[{i8, i32}], vec[vec[f64]], dict[vec[i8], {i64, vec[i16]}]} */
typedef struct Example {
    uint8_t flag;
    Vec padded, nested;
    Dict *dict;
} Example;

static Type *example_type(void) {
    Type *two[2] = {scalar(TY_i8), scalar(TY_i32)},
         *value[2] = {scalar(TY_i64), type_vec(&types, scalar(TY_i16))};
    Type *dict = make_dict(type_vec(&types, scalar(TY_i8)), make_struct(2, value));
    Type *fields[4] = {scalar(TY_bool), type_vec(&types, make_struct(2, two)),
                       type_vec(&types, type_vec(&types, scalar(TY_f64))), dict};
    return make_struct(4, fields);
}

static Example make_example(const Type *type) {
    static struct {
        int8_t a;
        int32_t b;
    } padded[2];
    static double numbers[] = {1.5, -0.0, 1e300};
    static int16_t shorts[] = {-1, 300};
    memset(padded, 0xEE, sizeof padded);
    padded[0].a = 1, padded[0].b = 2, padded[1].a = 3, padded[1].b = 4;
    Vec *inner = region_alloc(worker.region, 3 * sizeof *inner);
    inner[0] = vec_of(numbers, 3), inner[1] = vec_of(NULL, 0), inner[2] = vec_of(numbers + 2, 1);
    EntryType room;
    const Type *entry = dict_entry_layout(type->args[3], &room);
    Dict *dict = dict_new(&worker, entry, nowhere);
    static const char *const keys[] = {"one", "", "three"};
    for (int i = 0; i < 3; i++) {
        Vec key = vec_of((void *)(uintptr_t)keys[i], (int64_t)strlen(keys[i]));
        bool fresh;
        struct {
            int64_t a;
            Vec v;
        } *value = dict_insert(&worker, dict, entry, &key, key_hash(entry->args[0], &key), &fresh, nowhere);
        value->a = i;
        value->v = vec_of(shorts, i);
    }
    dict_finish(&worker, dict, entry, nowhere);
    return (Example){1, vec_of(padded, 2), vec_of(inner, 3), dict};
}

static const char example_json[] =
    "[true,[[1,2],[3,4]],[[1.5,-0.0,1e+300],[],[1e+300]],"
    "[[[],[1,[-1]]],[[111,110,101],[0,[]]],[[116,104,114,101,101],[2,[-1,300]]]]]";

static void expect_example(const Type *type, const Example *value) {
    Buf buf = {0};
    value_print_json(&buf, type, value);
    cr_expect_str_eq(buf.text, example_json);
    buf_release(&buf);
}

Test(value, serializing_and_reading_back_is_the_identity) {
    Type *type = example_type();
    Example value = make_example(type), back;
    Vec bytes = {NULL, value_serialized_size(type, &value)};
    /* flag; 2 padded; 3 nested with 3, 0 and 1 numbers; 3 pairs */
    cr_expect_eq(bytes.length,
                 1 + (8 + 16) + (8 + 8 + 24 + 8 + 8 + 8) + 8 + (11 + 16) + (8 + 18) + (13 + 20));
    bytes.data = malloc((size_t)bytes.length);
    value_serialize(type, &value, bytes.data);
    for (int i = 1; i < 4; i++) cr_expect_eq(((char *)bytes.data)[9 + i], 0, "padding is zeroed");
    cr_assert_eq(value_deserialize(&worker, nowhere, type, &bytes, &back), E_None);
    expect_example(type, &back);
    free(bytes.data);
}

Test(value, corrupted_bytes_fail_cleanly) {
    Type *type = example_type();
    Example value = make_example(type), back;
    int64_t length = value_serialized_size(type, &value);
    char *bytes = malloc((size_t)length + 1);
    for (int64_t cut = 0; cut < length; cut++) { /* a copy of its own, so that reading past it shows */
        char *part = malloc((size_t)cut + 1);
        value_serialize(type, &value, bytes);
        memcpy(part, bytes, (size_t)cut);
        Vec vec = vec_of(part, cut);
        cr_assert_eq(value_deserialize(&worker, nowhere, type, &vec, &back), E_Deserialization);
        free(part);
        worker.error = (Error){0};
    }
    Vec longer = vec_of(bytes, length + 1);
    bytes[length] = 0;
    cr_assert_eq(value_deserialize(&worker, nowhere, type, &longer, &back), E_Deserialization);
    for (int round = 0; round < 20000; round++) {
        value_serialize(type, &value, bytes);
        for (int k = 0; k < 3; k++) bytes[next_random() % (uint64_t)length] = (char)next_random();
        Vec vec = vec_of(bytes, length);
        worker.error = (Error){0};
        RegionMark mark = region_mark(worker.region);
        ErrorCode code = value_deserialize(&worker, nowhere, type, &vec, &back);
        cr_assert(code == E_None || code == E_Deserialization);
        cr_assert_eq(worker.error.code, code);
        if (code == E_None) { /* then it is a value like any other */
            Buf buf = {0};
            value_print_json(&buf, type, &back);
            buf_release(&buf);
        }
        region_reset(worker.region, mark);
    }
    free(bytes);
}

Test(value, repeated_keys_are_no_dictionary) {
    Type *type = make_dict(scalar(TY_i8), scalar(TY_i8));
    char bytes[] = {2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 3};
    Vec vec = vec_of(bytes, sizeof bytes);
    Dict *dict;
    cr_expect_eq(value_deserialize(&worker, nowhere, type, &vec, &dict), E_Deserialization);
    bytes[10] = 2;
    worker.error = (Error){0};
    cr_expect_eq(value_deserialize(&worker, nowhere, type, &vec, &dict), E_None);
    cr_expect_eq(dict->length, 2);
}

Test(value, copies_share_nothing) {
    Type *type = example_type();
    Example value = make_example(type), copy;
    cr_assert(value_copy(&worker, type, &value, &copy));
    int64_t bytes = value_bytes(type, &value);
    cr_expect_eq(bytes, value_bytes(type, &copy));
    memset(value.padded.data, 0, 16);
    memset(value.nested.data, 0, 3 * sizeof(Vec));
    memset(value.dict->entries, 0, (size_t)value.dict->length * 16);
    memset(value.dict->index, 0, 16);
    expect_example(type, &copy);
    cr_expect_gt(bytes, 300);
}

static bool is_among(const void *data, uint64_t word) {
    const int64_t *keys = data;
    return word == (uint64_t)keys[0] || word == (uint64_t)keys[1];
}

/* Two of the keys are the words that are tried first for free slots; of eight slots, one stays free. */
Test(value, tables_hold_any_word_and_are_copied) {
    Type *key = type_scalar(&types, TY_i64), *pair[2] = {key, key};
    Type *type = type_make(&types, TY_dict, OP_none, 2, pair);
    Type *entry = dict_entry_type(&types, type);
    enum { WORDS = 8, SLOTS = 8 };
    int64_t keys[WORDS] = {(int64_t)hash_u64(0), (int64_t)hash_u64(1), 0, -1, INT64_MIN, INT64_MAX, 1};
    int64_t entries[2 * WORDS];
    TableSlot slots[SLOTS];
    Dict dict = {.length = 7, .capacity = 7, .mask = SLOTS - 1, .shift = 61, .values = -1, .table = slots};
    cr_assert(table_fits(entry));
    cr_assert(table_choose_vacant(entry, is_among, keys, &dict.vacant));
    cr_expect_eq(dict.vacant, hash_u64(2));
    table_clear(&dict, 0, SLOTS);
    for (int64_t i = 0; i < 7; i++) {
        entries[2 * i] = keys[i];
        entries[2 * i + 1] = i;
        cr_assert(table_enter(&dict, entry, &keys[i], &i, UINT64_MAX));
    }
    dict.entries = (char *)entries;
    Dict *original = &dict, *copy;
    cr_assert(value_copy(&worker, type, &original, &copy));
    cr_expect_eq(value_bytes(type, &original), value_bytes(type, &copy));
    memset(slots, 0, sizeof slots);
    for (int64_t i = 0; i < 7; i++) {
        const int64_t *value = dict_find(copy, entry, &keys[i]);
        cr_assert_not_null(value);
        cr_expect_eq(*value, i);
    }
    int64_t missing = 77, vacant = (int64_t)copy->vacant;
    cr_expect_null(dict_find(copy, entry, &missing));
    cr_expect_null(dict_find(copy, entry, &vacant));
}

/* ---- text ---- */

static void expect_text(const Type *type, const void *value, const char *text, const char *json) {
    Buf buf = {0};
    value_print(&buf, type, value);
    cr_expect_str_eq(buf.text, text);
    buf.length = 0;
    value_print_json(&buf, type, value);
    cr_expect_str_eq(buf.text, json);
    buf_release(&buf);
}

Test(value, printing) {
    double doubles[] = {0.1, -0.0, NAN, INFINITY, -INFINITY, 1e22, 5e-324, DBL_MAX, 3};
    Vec vec = vec_of(doubles, 9), none = {0};
    expect_text(type_vec(&types, scalar(TY_f64)), &vec,
                "[0.1, -0.0, nan, inf, -inf, 1e22, 5e-324, 1.7976931348623157e308, 3.0]",
                "[0.1,-0.0,\"nan\",\"inf\",\"-inf\",1e+22,5e-324,1.7976931348623157e+308,3.0]");
    float floats[] = {0.1f, 16777216, FLT_MAX, 1e-45f};
    vec = vec_of(floats, 4);
    Buf buf = {0};
    value_print_json(&buf, type_vec(&types, scalar(TY_f32)), &vec);
    cr_expect_str_eq(buf.text, "[0.1,16777216.0,3.4028235e+38,1e-45]");
    buf_release(&buf);
    Type *text = type_vec(&types, scalar(TY_i8)), *texts = type_vec(&types, text);
    Vec words[] = {vec_of("a\"\\\n\t", 5), vec_of("", 0), vec_of("\x01", 1), vec_of("\xc3\xbc", 2),
                   vec_of("\xc3", 1)};
    vec = vec_of(words, 5);
    expect_text(texts, &vec, "[\"a\\\"\\\\\\n\\t\", [], [1c], \"\xc3\xbc\", [-61c]]",
                "[[97,34,92,10,9],[],[1],[-61,-68],[-61]]");
    expect_text(texts, &none, "[]: vec[vec[i8]]", "[]");
    words[0] = none;
    vec = vec_of(words, 2);
    expect_text(texts, &vec, "[[]: vec[i8], []]", "[[],[]]");
    Type *fields[3] = {scalar(TY_bool), scalar(TY_u64), text};
    struct {
        uint8_t a;
        uint64_t b;
        Vec c;
    } s = {1, UINT64_MAX, {0}};
    expect_text(make_struct(3, fields), &s, "{true, 18446744073709551615ul, []: vec[i8]}",
                "[true,18446744073709551615,[]]");
    Dict *dict = NULL;
    expect_text(make_dict(scalar(TY_i32), scalar(TY_f64)), &dict, "[]: vec[{i32,f64}]", "[]");
}

/* Random bits of both widths print with digits that read back. */
Test(value, json_floats_read_back) {
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random();
        double x, back;
        float f;
        memcpy(&x, &bits, 8);
        memcpy(&f, &bits, 4);
        Buf buf = {0};
        number_print_json(&buf, scalar(TY_f64), &x);
        if (isfinite(x)) {
            back = strtod(buf.text, NULL);
            cr_assert(memcmp(&x, &back, 8) == 0, "%s", buf.text);
        }
        buf.length = 0;
        number_print_json(&buf, scalar(TY_f32), &f);
        if (isfinite(f)) cr_assert_eq(strtof(buf.text, NULL), f, "%s", buf.text);
        buf_release(&buf);
    }
}
