/* ndarray.c: the adapter ndarray against plain loops (ndarray_ref.h): every operation on every type, random shapes of up to
 * four axes of lengths 0 to 5, views of views with negative steps; shapes and types that do not fit must fail. */
#include "ndarray_pairs.h"

/* ---- views ---- */

Test(ndarray, views_of_views) {
    for (int round = 0; round < 1500; round++) {
        int64_t shape[WELD_ND_AXES];
        int rank = random_shape(shape, 0, 5), engine = round % 10 == 9;
        Pair pair = random_array((int)draw(WELD_ND_DTYPES), rank, shape, false);
        for (int depth = (int)draw(6); depth >= 0; depth--) {
            random_view(&pair);
            if (pair.ref.size > 600) break;
        }
        batch_add(pair.nd, pair.ref, 0, "a view", engine);
        if (round % 10 >= 8) batch_end(engine);
    }
}

/* ---- operations on elements ---- */

static const char *const unary_names[] = {"negative", "absolute", "square", "logical_not", "invert", "isnan",
                                          "isfinite", "exp",      "log",    "sqrt",        "erf",    "sin",
                                          "cos",      "tan",      "asin",   "acos",        "atan",   "sinh",
                                          "cosh",     "tanh",     "floor",  "ceil",        "trunc",  "rint"};

static double math_of(int op, double x) {
    switch (op) {
    case WELD_ND_EXP: return exp(x);
    case WELD_ND_LOG: return log(x);
    case WELD_ND_SQRT: return sqrt(x);
    case WELD_ND_ERF: return erf(x);
    case WELD_ND_SIN: return sin(x);
    case WELD_ND_COS: return cos(x);
    case WELD_ND_TAN: return tan(x);
    case WELD_ND_ASIN: return asin(x);
    case WELD_ND_ACOS: return acos(x);
    case WELD_ND_ATAN: return atan(x);
    case WELD_ND_SINH: return sinh(x);
    case WELD_ND_COSH: return cosh(x);
    case WELD_ND_TANH: return tanh(x);
    case WELD_ND_FLOOR: return floor(x);
    case WELD_ND_CEIL: return ceil(x);
    case WELD_ND_TRUNC: return trunc(x);
    case WELD_ND_RINT: return rint(x);
    default: cr_assert_fail("a unary operation without a test"); return 0;
    }
}

/* The result's type, -1: there is no such operation. */
static int unary_type(int op, int dtype) {
    switch (op) {
    case WELD_ND_NEGATIVE: return dtype == WELD_ND_BOOL ? -1 : dtype;
    case WELD_ND_INVERT: return ref_is_float(dtype) ? -1 : dtype;
    case WELD_ND_LOGICAL_NOT:
    case WELD_ND_ISNAN:
    case WELD_ND_ISFINITE: return WELD_ND_BOOL;
    default: break;
    }
    bool math = op >= WELD_ND_EXP && op <= WELD_ND_TANH;
    return math && !ref_is_float(dtype) ? WELD_ND_F64 : dtype;
}

static Cell unary_cell(int op, int from, int to, Cell x) {
    bool f = ref_is_float(from);
    switch (op) {
    case WELD_ND_NEGATIVE: return f ? ref_float(to, -x.d) : ref_integer(to, (int64_t)(0 - (uint64_t)x.i));
    case WELD_ND_ABSOLUTE:
        if (f) return ref_float(to, fabs(x.d));
        return ref_is_unsigned(from) || x.i >= 0 ? x : ref_integer(to, (int64_t)(0 - (uint64_t)x.i));
    case WELD_ND_SQUARE:
        return f ? ref_float(to, x.d * x.d) : ref_integer(to, (int64_t)((uint64_t)x.i * (uint64_t)x.i));
    case WELD_ND_LOGICAL_NOT: return ref_integer(to, f ? x.d == 0 : x.i == 0);
    case WELD_ND_INVERT: return ref_integer(to, from == WELD_ND_BOOL ? !x.i : ~x.i);
    case WELD_ND_ISNAN: return ref_integer(to, f && isnan(x.d));
    case WELD_ND_ISFINITE: return ref_integer(to, !f || isfinite(x.d));
    default: break;
    }
    if (op >= WELD_ND_FLOOR && !f) return x;
    return ref_float(to, math_of(op, ref_double(from, x)));
}

Test(ndarray, every_unary_operation_on_every_type) {
    for (int engine = 0; engine < 2; engine++) {
        for (int op = 0; op < WELD_ND_UNARY_OPS; op++) {
            for (int dtype = 0; dtype < WELD_ND_DTYPES; dtype++) {
                int64_t shape[] = {4, 5};
                int to = unary_type(op, dtype);
                Pair x = random_array(dtype, 2, shape, false);
                weld_nd_t nd = weld_nd_unary((weld_nd_unary_op)op, x.nd, error);
                if (to < 0) {
                    expect_no(nd, WELD_ARGUMENT_ERROR, unary_names[op]);
                } else {
                    Ref ref = ref_new(to, 2, shape);
                    for (int64_t i = 0; i < ref.size; i++)
                        ref.cells[i] = unary_cell(op, dtype, to, x.ref.cells[i]);
                    bool exact = op < WELD_ND_EXP || op >= WELD_ND_FLOOR;
                    batch_add(nd, ref, exact ? 0 : to == WELD_ND_F32 ? 1e-5 : 1e-12, unary_names[op], engine);
                }
                pair_free(&x);
            }
        }
        batch_end(engine);
    }
}

static const char *const binary_names[] = {
    "add",         "subtract",   "multiply",    "divide",  "remainder",  "power",   "minimum",
    "maximum",     "equal",      "not_equal",   "less",    "less_equal", "greater", "greater_equal",
    "logical_and", "logical_or", "logical_xor", "bit_and", "bit_or",     "bit_xor"};

static int compute_type(int op, int a, int b) {
    int common = ref_promote(a, b);
    switch (op) {
    case WELD_ND_DIVIDE: return ref_is_float(common) ? common : WELD_ND_F64;
    case WELD_ND_REMAINDER:
    case WELD_ND_POWER: return common == WELD_ND_BOOL ? WELD_ND_I8 : common;
    case WELD_ND_LOGICAL_AND:
    case WELD_ND_LOGICAL_OR:
    case WELD_ND_LOGICAL_XOR: return WELD_ND_BOOL;
    case WELD_ND_SUBTRACT: return common == WELD_ND_BOOL ? -1 : common;
    case WELD_ND_BIT_AND:
    case WELD_ND_BIT_OR:
    case WELD_ND_BIT_XOR: return ref_is_float(common) ? -1 : common;
    default: return common;
    }
}

static Cell remainder_cell(int dtype, Cell a, Cell b) {
    if (ref_is_float(dtype)) {
        double r = dtype == WELD_ND_F32 ? (double)fmodf((float)a.d, (float)b.d) : fmod(a.d, b.d);
        if (r == 0) return ref_float(dtype, copysign(0, b.d));
        return ref_float(dtype, (r < 0) != (b.d < 0) ? r + b.d : r);
    }
    if (b.i == 0) return ref_integer(dtype, 0);
    if (dtype == WELD_ND_U64) return ref_integer(dtype, (int64_t)((uint64_t)a.i % (uint64_t)b.i));
    if (b.i == -1) return ref_integer(dtype, 0);
    int64_t r = a.i % b.i;
    return ref_integer(dtype, r != 0 && (r < 0) != (b.i < 0) ? r + b.i : r);
}

static Cell power_cell(int dtype, Cell a, Cell b) {
    if (ref_is_float(dtype))
        return ref_float(dtype, dtype == WELD_ND_F32 ? (double)powf((float)a.d, (float)b.d) : pow(a.d, b.d));
    uint64_t r = 1, x = (uint64_t)a.i;
    for (uint64_t n = (uint64_t)b.i; n; n >>= 1, x *= x) r *= n & 1 ? x : 1;
    return ref_integer(dtype, (int64_t)r);
}

static Cell arithmetic_cell(int op, int dtype, Cell a, Cell b) {
    bool f = ref_is_float(dtype);
    uint64_t x = (uint64_t)a.i, y = (uint64_t)b.i;
    int order = ref_compare(dtype, a, b);
    switch (op) {
    case WELD_ND_ADD: return f ? ref_float(dtype, a.d + b.d) : ref_integer(dtype, (int64_t)(x + y));
    case WELD_ND_SUBTRACT: return f ? ref_float(dtype, a.d - b.d) : ref_integer(dtype, (int64_t)(x - y));
    case WELD_ND_MULTIPLY: return f ? ref_float(dtype, a.d * b.d) : ref_integer(dtype, (int64_t)(x * y));
    case WELD_ND_DIVIDE: return ref_float(dtype, a.d / b.d);
    case WELD_ND_REMAINDER: return remainder_cell(dtype, a, b);
    case WELD_ND_POWER: return power_cell(dtype, a, b);
    case WELD_ND_MINIMUM: return (f && isnan(a.d)) || order == -1 || order == 0 ? a : b;
    case WELD_ND_MAXIMUM: return (f && isnan(a.d)) || order == 1 || order == 0 ? a : b;
    case WELD_ND_LOGICAL_AND:
    case WELD_ND_BIT_AND: return ref_integer(dtype, a.i & b.i);
    case WELD_ND_LOGICAL_OR:
    case WELD_ND_BIT_OR: return ref_integer(dtype, a.i | b.i);
    case WELD_ND_LOGICAL_XOR:
    case WELD_ND_BIT_XOR: return ref_integer(dtype, a.i ^ b.i);
    default: cr_assert_fail("a binary operation without a test"); return a;
    }
}

static Cell binary_cell(int op, int dtype, Cell a, Cell b) {
    int order = ref_compare(dtype, a, b);
    switch (op) {
    case WELD_ND_EQUAL: return ref_integer(WELD_ND_BOOL, order == 0);
    case WELD_ND_NOT_EQUAL: return ref_integer(WELD_ND_BOOL, order != 0);
    case WELD_ND_LESS: return ref_integer(WELD_ND_BOOL, order == -1);
    case WELD_ND_LESS_EQUAL: return ref_integer(WELD_ND_BOOL, order == -1 || order == 0);
    case WELD_ND_GREATER: return ref_integer(WELD_ND_BOOL, order == 1);
    case WELD_ND_GREATER_EQUAL: return ref_integer(WELD_ND_BOOL, order == 1 || order == 0);
    default: return arithmetic_cell(op, dtype, a, b);
    }
}

static Ref binary_ref(int op, int compute, const Ref *a, const Ref *b) {
    int64_t shape[WELD_ND_AXES], index[WELD_ND_AXES];
    int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < rank; i++) {
        int64_t x = i + a->rank - rank < 0 ? 1 : a->shape[i + a->rank - rank];
        int64_t y = i + b->rank - rank < 0 ? 1 : b->shape[i + b->rank - rank];
        shape[i] = x == 1 ? y : x;
    }
    bool tells = op >= WELD_ND_EQUAL && op <= WELD_ND_LOGICAL_XOR;
    Ref out = ref_new(tells ? WELD_ND_BOOL : compute, rank, shape);
    for (int64_t i = 0; i < out.size; i++) {
        ref_indices(&out, i, index);
        out.cells[i] = binary_cell(op, compute, ref_cast(a->dtype, compute, *ref_at(a, index, rank)),
                                   ref_cast(b->dtype, compute, *ref_at(b, index, rank)));
    }
    return out;
}

static double binary_tolerance(int op, int dtype) {
    return op != WELD_ND_POWER ? 0 : dtype == WELD_ND_F32 ? 1e-5 : 1e-12;
}

Test(ndarray, every_binary_operation_on_all_types) {
    for (int op = 0; op < WELD_ND_BINARY_OPS; op++) {
        for (int both = 0; both < WELD_ND_DTYPES * WELD_ND_DTYPES; both++) {
            int engine = draw(8) == 0, types[] = {both / WELD_ND_DTYPES, both % WELD_ND_DTYPES};
            int64_t shape[] = {3, 6};
            int compute = compute_type(op, types[0], types[1]);
            Pair a = random_array(types[0], 2, shape, false),
                 b = random_array(types[1], 2, shape, op == WELD_ND_POWER);
            if (op == WELD_ND_POWER) { /* negative exponents of integers fail */
                Pair positive = {must(weld_nd_unary(WELD_ND_ABSOLUTE, b.nd, error)),
                                 ref_new(types[1], 2, shape)};
                for (int64_t i = 0; i < b.ref.size; i++)
                    positive.ref.cells[i] = unary_cell(WELD_ND_ABSOLUTE, types[1], types[1], b.ref.cells[i]);
                pair_free(&b);
                b = positive;
            }
            weld_nd_t nd = weld_nd_binary((weld_nd_binary_op)op, a.nd, b.nd, error);
            char what[100];
            snprintf(what, sizeof what, "%s of %s and %s", binary_names[op],
                     weld_nd_type_name((weld_nd_dtype)types[0]), weld_nd_type_name((weld_nd_dtype)types[1]));
            if (compute < 0) {
                expect_no(nd, WELD_ARGUMENT_ERROR, what);
            } else {
                Ref ref = binary_ref(op, compute, &a.ref, &b.ref);
                if (engine) {
                    weld_value_t value;
                    cr_assert(weld_nd_evaluate(contexts[1], &nd, 1, &value, error), "%s",
                              weld_error_message(error));
                    expect_cells(value, &ref, binary_tolerance(op, compute), what);
                    weld_value_free(value);
                }
                batch_add(nd, ref, binary_tolerance(op, compute), what, 0);
            }
            pair_free(&a);
            pair_free(&b);
        }
        batch_end(0);
    }
}

/* Shapes that go together: some axes of one are missing, or 1. */
static void random_partner(const int64_t *shape, int rank, int64_t *other, int *other_rank) {
    int gone = draw(3) ? 0 : (int)draw((uint64_t)rank + 1);
    *other_rank = rank - gone;
    for (int i = gone; i < rank; i++) other[i - gone] = draw(4) ? shape[i] : 1;
}

Test(ndarray, broadcasting_of_views) {
    for (int round = 0; round < 1200; round++) {
        int engine = round % 8 == 7, rank, ranks[3];
        int64_t shape[WELD_ND_AXES], shapes[3][WELD_ND_AXES];
        rank = random_shape(shape, 0, 5);
        Pair part[3];
        for (int i = 0; i < 3; i++) {
            random_partner(shape, rank, shapes[i], &ranks[i]);
            part[i] =
                random_array(draw(2) ? WELD_ND_F64 : (int)draw(WELD_ND_DTYPES), ranks[i], shapes[i], false);
            if (draw(3) == 0 && ranks[i] > 0) { /* backwards, by way of a slice */
                int64_t places[8], length = shapes[i][0];
                for (int64_t j = 0; j < length; j++) places[j] = length - 1 - j;
                replace(&part[i], weld_nd_slice(part[i].nd, 0, WELD_ND_NONE, WELD_ND_NONE, -1, error),
                        ref_pick(&part[i].ref, 0, places, length));
            }
        }
        int op = (int)draw(WELD_ND_BINARY_OPS),
            compute = compute_type(op, part[0].ref.dtype, part[1].ref.dtype);
        if (compute >= 0 && op != WELD_ND_POWER)
            batch_add(weld_nd_binary((weld_nd_binary_op)op, part[0].nd, part[1].nd, error),
                      binary_ref(op, compute, &part[0].ref, &part[1].ref), 0, binary_names[op], engine);
        /* where(a, b, c), by way of broadcasting all to one shape */
        int common = ref_promote(part[1].ref.dtype, part[2].ref.dtype);
        Ref ab = binary_ref(WELD_ND_EQUAL, ref_promote(part[0].ref.dtype, part[1].ref.dtype), &part[0].ref,
                            &part[1].ref);
        Ref abc = binary_ref(WELD_ND_EQUAL, ref_promote(WELD_ND_BOOL, part[2].ref.dtype), &ab, &part[2].ref);
        Ref where = ref_new(common, abc.rank, abc.shape);
        for (int64_t i = 0; i < where.size; i++) {
            int64_t index[WELD_ND_AXES];
            ref_indices(&where, i, index);
            bool first =
                ref_cast(part[0].ref.dtype, WELD_ND_BOOL, *ref_at(&part[0].ref, index, where.rank)).i;
            const Ref *from = &part[first ? 1 : 2].ref;
            where.cells[i] = ref_cast(from->dtype, common, *ref_at(from, index, where.rank));
        }
        batch_add(weld_nd_where(part[0].nd, part[1].nd, part[2].nd, error), where, 0, "where", engine);
        ref_free(&ab);
        ref_free(&abc);
        for (int i = 0; i < 3; i++) pair_free(&part[i]);
        if (round % 8 >= 6) batch_end(engine);
    }
    batch_end(0);
}

Test(ndarray, casts) {
    for (int both = 0; both < WELD_ND_DTYPES * WELD_ND_DTYPES; both++) {
        int64_t shape[] = {24};
        int from = both / WELD_ND_DTYPES, to = both % WELD_ND_DTYPES;
        Pair x = random_array(from, 1, shape, false);
        Ref ref = ref_new(to, 1, shape);
        for (int64_t i = 0; i < ref.size; i++) ref.cells[i] = ref_cast(from, to, x.ref.cells[i]);
        batch_add(weld_nd_cast(x.nd, (weld_nd_dtype)to, error), ref, 0, "a cast", both % 2);
        pair_free(&x);
        if (both % 2 || batch.count > 40) batch_end(both % 2);
    }
    batch_end(0);
}

/* ---- reductions ---- */

static const char *const reduce_names[] = {"sum",        "product", "min",   "max", "any",
                                           "all",        "mean",    "var",   "std", "sample_var",
                                           "sample_std", "argmin",  "argmax"};

static int reduce_type(int op, int dtype) {
    switch (op) {
    case WELD_ND_SUM:
    case WELD_ND_PRODUCT:
        return ref_is_float(dtype) ? dtype : ref_is_unsigned(dtype) ? WELD_ND_U64 : WELD_ND_I64;
    case WELD_ND_MIN:
    case WELD_ND_MAX: return dtype;
    case WELD_ND_ANY:
    case WELD_ND_ALL: return WELD_ND_BOOL;
    case WELD_ND_ARGMIN:
    case WELD_ND_ARGMAX: return WELD_ND_I64;
    default: return ref_is_float(dtype) ? dtype : WELD_ND_F64;
    }
}

/* Of at least one cell. */
static Cell reduce_cells(int op, int from, const Cell *cells, int64_t count) {
    int to = reduce_type(op, from), best = op == WELD_ND_MIN || op == WELD_ND_ARGMIN ? -1 : 1;
    double sum = 0, product = 1, squares = 0;
    uint64_t whole = 0, times = 1;
    bool any = false, all = true, nan = false;
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = ref_double(from, cells[i]);
        sum += x, product *= x;
        whole += (uint64_t)cells[i].i, times *= (uint64_t)cells[i].i;
        bool truth = ref_is_float(from) ? x != 0 : cells[i].i != 0;
        any |= truth, all &= truth;
        if (nan) continue;
        nan = ref_is_float(from) && isnan(x);
        if (nan || ref_compare(from, cells[i], cells[at]) == best) at = i;
    }
    double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        double d = ref_double(from, cells[i]) - mean;
        squares += d * d;
    }
    double var = squares / (double)count, sample = squares / (double)(count - 1);
    switch (op) {
    case WELD_ND_SUM: return ref_is_float(to) ? ref_float(to, sum) : ref_integer(to, (int64_t)whole);
    case WELD_ND_PRODUCT: return ref_is_float(to) ? ref_float(to, product) : ref_integer(to, (int64_t)times);
    case WELD_ND_MIN:
    case WELD_ND_MAX: return cells[at];
    case WELD_ND_ANY: return ref_integer(to, any);
    case WELD_ND_ALL: return ref_integer(to, all);
    case WELD_ND_MEAN: return ref_float(to, mean);
    case WELD_ND_VAR: return ref_float(to, var);
    case WELD_ND_STD: return ref_float(to, sqrt(var));
    case WELD_ND_SAMPLE_VAR: return ref_float(to, sample);
    case WELD_ND_SAMPLE_STD: return ref_float(to, sqrt(sample));
    case WELD_ND_ARGMIN:
    case WELD_ND_ARGMAX: return ref_integer(to, at);
    default: cr_assert_fail("a reduction without a test"); return cells[at];
    }
}

static Ref reduce_ref(int op, const Ref *x, const bool *goes, bool keep) {
    int64_t shape[WELD_ND_AXES], kept[WELD_ND_AXES], index[WELD_ND_AXES];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        kept[i] = goes[i] ? 1 : x->shape[i];
        if (!goes[i] || keep) shape[rank++] = kept[i];
    }
    Ref out = ref_new(reduce_type(op, x->dtype), rank, shape), same = ref_new(x->dtype, x->rank, kept);
    Cell *cells = calloc((size_t)x->size + 1, sizeof *cells);
    for (int64_t i = 0; i < out.size; i++) {
        int64_t count = 0;
        for (int64_t j = 0; j < x->size; j++) { /* those that lead to this one */
            ref_indices(x, j, index);
            if (ref_at(&same, index, x->rank) == &same.cells[i]) cells[count++] = x->cells[j];
        }
        out.cells[i] = reduce_cells(op, x->dtype, cells, count);
    }
    free(cells);
    ref_free(&same);
    return out;
}

static double reduce_tolerance(int op, int dtype) {
    bool exact = op >= WELD_ND_MIN && op <= WELD_ND_ALL;
    return exact || !ref_is_float(reduce_type(op, dtype)) ? 1e-300 : dtype == WELD_ND_F32 ? 1e-5 : 1e-9;
}

static void check_reduction(int op, const Pair *x, int engine) {
    bool goes[WELD_ND_AXES] = {false}, keep = draw(2), all = draw(4) == 0, one = op >= WELD_ND_ARGMIN;
    int axes[WELD_ND_AXES], count = 0, rank = x->ref.rank;
    for (int i = 0; i < rank; i++) {
        goes[i] = all || (one ? count == 0 && (draw(2) || i == rank - 1) : draw(2));
        if (goes[i]) axes[count++] = draw(2) ? i : i - rank;
    }
    if (one && count != 1) all = true;
    for (int i = 0; i < rank && all; i++) goes[i] = true;
    int64_t kept = 1, gone = 1;
    for (int i = 0; i < rank; i++) *(goes[i] ? &gone : &kept) *= x->ref.shape[i];
    weld_nd_t nd = weld_nd_reduce((weld_nd_reduce_op)op, x->nd, all ? NULL : axes, count, keep, error);
    char what[100];
    snprintf(what, sizeof what, "%s of %s over %d of %d axes", reduce_names[op],
             weld_nd_type_name((weld_nd_dtype)x->ref.dtype), all ? rank : count, rank);
    bool none = op == WELD_ND_MIN || op == WELD_ND_MAX || op >= WELD_ND_ARGMIN;
    if (gone == 0 && kept > 0 && none) {
        expect_no(nd, WELD_ARGUMENT_ERROR, what);
        return;
    }
    Ref ref;
    if (gone > 0) {
        ref = reduce_ref(op, &x->ref, goes, keep);
    } else {
        int64_t shape[WELD_ND_AXES];
        int left = 0;
        for (int i = 0; i < rank; i++) {
            if (!goes[i] || keep) shape[left++] = goes[i] ? 1 : x->ref.shape[i];
        }
        ref = ref_new(reduce_type(op, x->ref.dtype), left, shape);
        bool is_one = op == WELD_ND_PRODUCT || op == WELD_ND_ALL, is_nan = op >= WELD_ND_MEAN;
        for (int64_t i = 0; i < ref.size; i++) ref.cells[i] = (Cell){is_one, is_nan ? (double)NAN : is_one};
    }
    batch_add(nd, ref, reduce_tolerance(op, x->ref.dtype), what, engine);
}

Test(ndarray, every_reduction_on_every_type) {
    for (int round = 0; round < 3; round++) {
        for (int op = 0; op < WELD_ND_REDUCE_OPS; op++) {
            for (int dtype = 0; dtype < WELD_ND_DTYPES; dtype++) {
                int64_t shape[WELD_ND_AXES];
                int rank = random_shape(shape, round == 0, 5);
                bool tame =
                    op != WELD_ND_MIN && op != WELD_ND_MAX && op < WELD_ND_ARGMIN && op != WELD_ND_ANY;
                Pair x = random_array(dtype, rank, shape, tame);
                check_reduction(op, &x, round == 2);
                pair_free(&x);
            }
        }
        batch_end(round == 2);
    }
}

Test(ndarray, reductions_of_views) {
    for (int round = 0; round < 2500; round++) {
        int64_t shape[WELD_ND_AXES];
        int rank = random_shape(shape, 0, 5), engine = round % 12 == 11;
        static const int usual[] = {WELD_ND_F64, WELD_ND_F64, WELD_ND_F32,
                                    WELD_ND_I64, WELD_ND_U8,  WELD_ND_BOOL};
        Pair x = random_array(usual[draw(6)], rank, shape, true);
        for (int depth = (int)draw(4); depth > 0 && x.ref.size < 200; depth--) random_view(&x);
        check_reduction((int)draw(WELD_ND_REDUCE_OPS), &x, engine);
        pair_free(&x);
        if (round % 12 >= 10) batch_end(engine);
    }
    batch_end(0);
}

Test(ndarray, running_sums) {
    for (int round = 0; round < 300; round++) {
        int64_t shape[WELD_ND_AXES], index[WELD_ND_AXES];
        int rank = random_shape(shape, 1, 5), dtype = (int)draw(WELD_ND_DTYPES),
            axis = (int)draw((uint64_t)rank);
        int to = reduce_type(WELD_ND_SUM, dtype);
        Pair x = random_array(dtype, rank, shape, true);
        Ref ref = ref_new(to, rank, shape);
        for (int64_t i = 0; i < ref.size; i++) {
            ref_indices(&ref, i, index);
            Cell value = ref_cast(dtype, to, x.ref.cells[i]);
            if (index[axis] > 0) {
                index[axis]--;
                Cell before = *ref_at(&ref, index, rank);
                value = ref_is_float(to) ? ref_float(to, before.d + value.d)
                                         : ref_integer(to, before.i + value.i);
            }
            ref.cells[i] = value;
        }
        batch_add(weld_nd_cumsum(x.nd, draw(2) ? axis : axis - rank, error), ref, 1e-6, "cumsum", round % 2);
        pair_free(&x);
        if (round % 60 == 59) batch_end(round % 2);
    }
    batch_end(0);
}
