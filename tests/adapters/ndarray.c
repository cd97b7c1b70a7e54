/* ndarray.c: the adapter ndarray against plain loops (ndarray_ref.h): every operation on every type, random shapes of up to
 * four axes of lengths 0 to 5, views of views with negative steps; shapes and types that do not fit must fail. */
#include "ndarray_ref.h"

#include <stdatomic.h>

static uint64_t seed = 88172645463325252ull;

static uint64_t draw(uint64_t below) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (seed * 0x2545F4914F6CDD1Dull >> 20) % below;
}

static weld_error_t error;
static weld_context_t contexts[2];

static void begin(void) {
    static const char *const engines[] = {"eval", "jit"};
    if (getenv("SEED"))
        seed ^= strtoull(getenv("SEED"), NULL, 10) * 0x9E3779B97F4A7C15ull; /* other numbers */
    setenv("WELD_ADAPTERS", WELD_BINARY_DIR "/lib", 1);
    error = weld_error_new();
    for (int i = 0; i < 2; i++) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.engine", engines[i]);
        contexts[i] = weld_context_new(conf);
        weld_conf_free(conf);
    }
}

static void end(void) {
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(weld_context_memory_usage(contexts[i]), 0);
        weld_context_free(contexts[i]);
    }
    weld_error_free(error);
}

TestSuite(ndarray, .init = begin, .fini = end);

static weld_nd_t must(weld_nd_t nd) {
    cr_assert_not_null(nd, "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    return nd;
}

/* ---- pairs of an array and what it shall be ---- */

typedef struct Pair {
    weld_nd_t nd;
    Ref ref;
} Pair;

static void pair_free(Pair *pair) {
    weld_nd_free(pair->nd);
    ref_free(&pair->ref);
}

static Cell random_cell(int dtype, bool tame) {
    static const double floats[] = {0, -0.0, 1,     -1,       0.5,       -2.5,        3,
                                    7, 1e10, -1e10, INFINITY, -INFINITY, (double)NAN, 1e-300};
    static const int64_t integers[] = {0,   1,    -1,  2,     3,         7,         -5,        100,
                                       127, -128, 255, 32767, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    if (ref_is_float(dtype))
        return ref_float(dtype, tame || draw(2) ? ((double)draw(2001) - 1000) / 64 : floats[draw(14)]);
    return ref_integer(dtype, tame || draw(2) ? (int64_t)draw(9) - 2 : integers[draw(16)]);
}

static void *kept_data[4096];
static int kept_count;

static void forget_data(void) {
    for (int i = 0; i < kept_count; i++) free(kept_data[i]);
    kept_count = 0;
}

/* An array with random strides over data of its own: axes in any order, some the other way round. */
static Pair random_array(int dtype, int rank, const int64_t *shape, bool tame) {
    Ref ref = ref_new(dtype, rank, shape);
    int64_t strides[WELD_ND_AXES] = {0}, step = 1, first = 0;
    int order[WELD_ND_AXES];
    for (int i = 0; i < rank; i++) order[i] = i;
    for (int i = rank - 1; i > 0 && draw(2); i--) {
        int j = (int)draw((uint64_t)i + 1), swap = order[i];
        order[i] = order[j], order[j] = swap;
    }
    for (int i = rank - 1; i >= 0; i--) {
        int axis = order[i];
        strides[axis] = draw(4) ? step : -step;
        if (strides[axis] < 0 && shape[axis] > 0) first += (shape[axis] - 1) * step;
        step *= shape[axis] ? shape[axis] : 1;
    }
    int64_t size = weld_nd_type_size((weld_nd_dtype)dtype);
    char *data = calloc((size_t)ref.size + 1, (size_t)size);
    kept_data[kept_count++] = data;
    for (int64_t i = 0; i < ref.size; i++) {
        int64_t index[WELD_ND_AXES], at = first;
        ref.cells[i] = random_cell(dtype, tame);
        ref_indices(&ref, i, index);
        for (int j = 0; j < rank; j++) at += index[j] * strides[j];
        cell_to(dtype, data, at, ref.cells[i]);
    }
    weld_nd_t nd =
        weld_nd_from((weld_nd_dtype)dtype, data + first * size, rank, shape, strides, NULL, NULL, error);
    return (Pair){must(nd), ref};
}

static int random_shape(int64_t *shape, int least, int64_t most) {
    int rank = least + (int)draw((uint64_t)(5 - least));
    for (int i = 0; i < rank; i++) shape[i] = draw(16) ? 1 + (int64_t)draw((uint64_t)most) : 0;
    return rank;
}

static void replace(Pair *pair, weld_nd_t nd, Ref ref) {
    pair_free(pair);
    *pair = (Pair){must(nd), ref};
}

/* One view of an array, for both. */
static void random_view(Pair *pair) {
    int rank = pair->ref.rank, axes[WELD_ND_AXES];
    int64_t places[1024], count = 0, shape[WELD_ND_AXES];
    memcpy(shape, pair->ref.shape, sizeof shape);
    int axis = rank ? (int)draw((uint64_t)rank) : 0, given = draw(2) ? axis : axis - rank;
    switch (draw(6)) {
    case 0:
        for (int i = 0; i < rank; i++) axes[i] = i;
        for (int i = rank - 1; i > 0; i--) {
            int j = (int)draw((uint64_t)i + 1), swap = axes[i];
            axes[i] = axes[j], axes[j] = swap;
        }
        replace(pair, weld_nd_transpose(pair->nd, axes, error), ref_transpose(&pair->ref, axes));
        return;
    case 1: { /* a slice, its places found by walking */
        if (rank == 0) return;
        int64_t length = shape[axis], step = (int64_t)draw(7) - 3, bounds[2];
        if (step == 0) step = -1;
        for (int i = 0; i < 2; i++) bounds[i] = draw(3) ? (int64_t)draw(15) - 7 : WELD_ND_NONE;
        int64_t start = bounds[0], stop = bounds[1];
        if (start == WELD_ND_NONE)
            start = step > 0 ? 0 : length - 1;
        else if (start < 0)
            start += length;
        bool open = stop == WELD_ND_NONE;
        if (!open && stop < 0) stop = stop + length < 0 ? -1 : stop + length;
        for (int64_t at = start, tries = 0; tries < 1000; at += step, tries++) {
            /* Python starts inside: what is before the first place is cut off. */
            if (tries == 0 && step > 0 && at < 0) at = 0;
            if (tries == 0 && step < 0 && at >= length) at = length - 1;
            if (!open && (step > 0 ? at >= stop : at <= stop)) break;
            if (at >= 0 && at < length) places[count++] = at;
        }
        replace(pair, weld_nd_slice(pair->nd, given, bounds[0], bounds[1], step, error),
                ref_pick(&pair->ref, axis, places, count));
        return;
    }
    case 2:
        if (rank == 0 || shape[axis] == 0) return;
        places[0] = (int64_t)draw((uint64_t)shape[axis]);
        Ref picked = ref_pick(&pair->ref, axis, places, 1);
        for (int i = axis; i < rank - 1; i++) shape[i] = shape[i + 1];
        replace(
            pair,
            weld_nd_index(pair->nd, given, draw(2) ? places[0] : places[0] - pair->ref.shape[axis], error),
            ref_shaped(&picked, rank - 1, shape));
        ref_free(&picked);
        return;
    case 3:
        if (rank == 4) return;
        axis = (int)draw((uint64_t)rank + 1);
        for (int i = rank; i > axis; i--) shape[i] = shape[i - 1];
        shape[axis] = 1;
        replace(pair, weld_nd_expand(pair->nd, draw(2) ? axis : axis - rank - 1, error),
                ref_shaped(&pair->ref, rank + 1, shape));
        return;
    case 4: {
        int more = rank < 4 ? (int)draw(2) : 0;
        for (int i = rank - 1; i >= 0; i--)
            shape[i + more] = pair->ref.shape[i] == 1 ? 1 + (int64_t)draw(3) : pair->ref.shape[i];
        if (more) shape[0] = 1 + (int64_t)draw(3);
        replace(pair, weld_nd_broadcast(pair->nd, rank + more, shape, error),
                ref_broadcast(&pair->ref, rank + more, shape));
        return;
    }
    default: { /* the first axes become one, or all */
        int64_t whole[] = {pair->ref.size}, asked[] = {draw(2) && pair->ref.size ? -1 : pair->ref.size};
        if (draw(2) && rank > 1) {
            int64_t joined[WELD_ND_AXES] = {shape[0] * shape[1]};
            for (int i = 2; i < rank; i++) joined[i - 1] = shape[i];
            replace(pair, weld_nd_reshape(pair->nd, rank - 1, joined, error),
                    ref_shaped(&pair->ref, rank - 1, joined));
        } else {
            replace(pair, weld_nd_reshape(pair->nd, 1, asked, error), ref_shaped(&pair->ref, 1, whole));
        }
    }
    }
}

/* ---- batches: many arrays computed at once ---- */

enum { BATCH = 64 };

static struct Batch {
    weld_nd_t nd[BATCH];
    Ref ref[BATCH];
    double tolerance[BATCH];
    char what[BATCH][160];
    int count;
} batch;

static void batch_run(int engine) {
    weld_value_t values[BATCH];
    cr_assert(weld_nd_evaluate(contexts[engine], batch.nd, batch.count, values, error), "%s",
              weld_error_message(error));
    for (int i = 0; i < batch.count; i++) {
        expect_cells(values[i], &batch.ref[i], batch.tolerance[i], batch.what[i]);
        weld_value_free(values[i]);
        weld_nd_free(batch.nd[i]);
        ref_free(&batch.ref[i]);
    }
    batch.count = 0;
}

/* Takes over both. */
static void batch_add(weld_nd_t nd, Ref ref, double tolerance, const char *what, int engine) {
    cr_assert_not_null(nd, "%s: %s", what, weld_error_message(error));
    expect_shape(nd, &ref, what);
    batch.nd[batch.count] = nd;
    batch.ref[batch.count] = ref;
    batch.tolerance[batch.count] = tolerance;
    snprintf(batch.what[batch.count++], sizeof *batch.what, "%s", what);
    if (batch.count == BATCH) batch_run(engine);
}

static void batch_end(int engine) {
    if (batch.count) batch_run(engine);
    forget_data();
}

static weld_nd_t expect_no(weld_nd_t nd, uint64_t code, const char *what) {
    cr_assert_null(nd, "%s", what);
    cr_assert_eq(weld_error_code(error), code, "%s: %s", what, weld_error_message(error));
    cr_assert(strlen(weld_error_message(error)) > 15);
    return NULL;
}

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

/* ---- products ---- */

Test(ndarray, products_of_matrices) {
    for (int round = 0; round < 400; round++) {
        static const int usual[] = {WELD_ND_F64, WELD_ND_F32,  WELD_ND_F64, WELD_ND_I64,
                                    WELD_ND_I8,  WELD_ND_BOOL, WELD_ND_U16};
        int64_t n[3];
        for (int i = 0; i < 3; i++) n[i] = draw(12) ? 1 + (int64_t)draw(6) : 0;
        int ranks[] = {draw(4) ? 2 : 1, draw(4) ? 2 : 1};
        int64_t shapes[2][2] = {{n[0], n[1]}, {n[1], n[2]}};
        if (ranks[0] == 1) shapes[0][0] = n[1], n[0] = 1;
        if (ranks[1] == 1) n[2] = 1;
        Pair a = random_array(usual[draw(7)], ranks[0], shapes[0], true);
        Pair b = random_array(usual[draw(7)], ranks[1], shapes[1], true);
        int to = ref_promote(a.ref.dtype, b.ref.dtype), rank = 0;
        int64_t shape[2];
        if (ranks[0] == 2) shape[rank++] = n[0];
        if (ranks[1] == 2) shape[rank++] = n[2];
        Ref ref = ref_new(to, rank, shape);
        for (int64_t i = 0; i < ref.size; i++) {
            int64_t row = i / n[2], column = i % n[2];
            double sum = 0;
            uint64_t whole = 0;
            for (int64_t k = 0; k < n[1]; k++) {
                Cell x = ref_cast(a.ref.dtype, to, a.ref.cells[row * n[1] + k]);
                Cell y = ref_cast(b.ref.dtype, to, b.ref.cells[k * n[2] + column]);
                sum += x.d * y.d;
                whole += (uint64_t)x.i * (uint64_t)y.i;
            }
            ref.cells[i] = ref_is_float(to) ? ref_float(to, sum) : ref_integer(to, (int64_t)whole);
        }
        batch_add(weld_nd_matmul(a.nd, b.nd, error), ref, to == WELD_ND_F32 ? 1e-4 : 1e-10, "matmul",
                  round % 4 == 3);
        pair_free(&a);
        pair_free(&b);
        if (round % 4 >= 2) batch_end(round % 4 == 3);
    }
    batch_end(0);
}

/* ---- putting together ---- */

Test(ndarray, concatenate_and_stack) {
    enum { MOST = 40 };
    for (int round = 0; round < 400; round++) {
        int64_t shape[WELD_ND_AXES], whole[WELD_ND_AXES], index[WELD_ND_AXES];
        bool stacks = draw(3) == 0;
        int rank = random_shape(shape, 1, 4), engine = round % 8 == 7, dtype = -1,
            count = 1 + (int)draw(draw(8) ? 4 : MOST);
        if (rank == 4) rank = 3;
        int axis = (int)draw((uint64_t)(rank + stacks));
        Pair parts[MOST];
        weld_nd_t arrays[MOST];
        int64_t length = 0;
        for (int i = 0; i < count; i++) {
            if (!stacks) shape[axis] = (int64_t)draw(4);
            length += stacks ? 1 : shape[axis];
            parts[i] = random_array(draw(3) ? WELD_ND_F64 : (int)draw(WELD_ND_DTYPES), rank, shape, false);
            dtype = dtype < 0 ? parts[i].ref.dtype : ref_promote(dtype, parts[i].ref.dtype);
            arrays[i] = parts[i].nd;
        }
        memcpy(whole, shape, sizeof whole);
        if (stacks) memmove(whole + axis + 1, shape + axis, sizeof *shape * (size_t)(rank - axis));
        whole[axis] = length;
        Ref ref = ref_new(dtype, rank + stacks, whole);
        for (int64_t i = 0; i < ref.size; i++) {
            ref_indices(&ref, i, index);
            int from = 0;
            while (!stacks && index[axis] >= parts[from].ref.shape[axis])
                index[axis] -= parts[from++].ref.shape[axis];
            if (stacks) {
                from = (int)index[axis];
                memmove(index + axis, index + axis + 1, sizeof *index * (size_t)(rank - axis));
            }
            ref.cells[i] = ref_cast(parts[from].ref.dtype, dtype, *ref_at(&parts[from].ref, index, rank));
        }
        int given = draw(2) ? axis : axis - rank - stacks;
        weld_nd_t nd = stacks ? weld_nd_stack(arrays, count, given, error)
                              : weld_nd_concatenate(arrays, count, given, error);
        batch_add(nd, ref, 0, stacks ? "stack" : "concatenate", engine);
        for (int i = 0; i < count; i++) pair_free(&parts[i]);
        if (round % 8 >= 6) batch_end(engine);
    }
    batch_end(0);
}

Test(ndarray, take) {
    for (int round = 0; round < 400; round++) {
        int64_t shape[WELD_ND_AXES], at_shape[WELD_ND_AXES], whole[WELD_ND_AXES], index[WELD_ND_AXES];
        int rank = random_shape(shape, 1, 5), at_rank = (int)draw(3), engine = round % 8 == 7;
        if (rank == 4) rank = 3;
        int axis = (int)draw((uint64_t)rank);
        for (int i = 0; i < at_rank; i++) at_shape[i] = (int64_t)draw(4);
        Pair x = random_array((int)draw(WELD_ND_DTYPES), rank, shape, false);
        int at_type = draw(2) ? WELD_ND_I64 : WELD_ND_I8;
        Pair at = random_array(at_type, at_rank, at_shape, true);
        int64_t length = shape[axis];
        if (length > 0) { /* all within: -length .. length - 1 */
            Ref places = ref_new(at_type, at_rank, at_shape);
            int8_t narrow[64];
            int64_t wide[64];
            for (int64_t i = 0; i < places.size; i++) {
                wide[i] = (int64_t)draw((uint64_t)(2 * length)) - length;
                narrow[i] = (int8_t)wide[i];
                places.cells[i].i = wide[i];
            }
            void *copy = malloc(sizeof wide);
            kept_data[kept_count++] = copy;
            memcpy(copy, at_type == WELD_ND_I64 ? (void *)wide : narrow,
                   at_type == WELD_ND_I64 ? sizeof wide : sizeof narrow);
            replace(&at,
                    weld_nd_from((weld_nd_dtype)at_type, copy, at_rank, at_shape, NULL, NULL, NULL, error),
                    places);
        }
        int out_rank = rank - 1 + at_rank;
        for (int i = 0; i < out_rank; i++)
            whole[i] = i < axis ? shape[i] : i < axis + at_rank ? at_shape[i - axis] : shape[i - at_rank + 1];
        weld_nd_t nd = weld_nd_take(x.nd, at.nd, draw(2) ? axis : axis - rank, error);
        int64_t size = 1;
        for (int i = 0; i < out_rank; i++) size *= whole[i];
        if (size > 0 && length == 0) {
            expect_no(nd, WELD_ARRAY_OUT_OF_BOUNDS, "take of nothing");
        } else {
            Ref ref = ref_new(x.ref.dtype, out_rank, whole);
            for (int64_t i = 0; i < ref.size; i++) {
                int64_t from[WELD_ND_AXES];
                ref_indices(&ref, i, index);
                int64_t place = ref_at(&at.ref, index + axis, at_rank)->i;
                for (int j = 0; j < rank; j++)
                    from[j] = j < axis    ? index[j]
                              : j == axis ? (place < 0 ? place + length : place)
                                          : index[j - 1 + at_rank];
                ref.cells[i] = *ref_at(&x.ref, from, rank);
            }
            batch_add(nd, ref, 0, "take", engine);
        }
        pair_free(&x);
        pair_free(&at);
        if (round % 8 >= 6) batch_end(engine);
    }
    batch_end(0);
}

Test(ndarray, indices_out_of_bounds_fail) {
    int64_t shape[] = {3, 2};
    for (int engine = 0; engine < 2; engine++) {
        for (int64_t bad = -7; bad < 8; bad++) {
            for (int axis = 0; axis < 2; axis++) {
                Pair x = random_array(WELD_ND_F64, 2, shape, true);
                int64_t at[] = {0, bad}, count = 2;
                weld_nd_t indices = must(weld_nd_from(WELD_ND_I64, at, 1, &count, NULL, NULL, NULL, error));
                weld_nd_t taken = must(weld_nd_take(x.nd, indices, axis, error));
                weld_value_t value;
                bool ok = weld_nd_evaluate(contexts[engine], &taken, 1, &value, error);
                cr_assert_eq(ok, bad >= -shape[axis] && bad < shape[axis], "%lld", (long long)bad);
                if (ok)
                    weld_value_free(value);
                else
                    cr_assert_eq(weld_error_code(error), WELD_ARRAY_OUT_OF_BOUNDS, "%s",
                                 weld_error_message(error));
                weld_nd_free(taken);
                weld_nd_free(indices);
                pair_free(&x);
                forget_data();
            }
        }
    }
}

/* ---- making, reading, what is emitted ---- */

static void count_release(void *user) {
    atomic_fetch_add((_Atomic int *)user, 1);
}

static void expect_f64(weld_nd_t nd, const double *expected, int64_t count) {
    double read[64];
    must(nd);
    cr_assert_eq(weld_nd_size(nd), count);
    cr_assert(weld_nd_read(contexts[0], nd, read, count * 8, error), "%s", weld_error_message(error));
    for (int64_t i = 0; i < count; i++) cr_assert_float_eq(read[i], expected[i], 1e-14);
    weld_nd_free(nd);
}

Test(ndarray, sequences) {
    expect_f64(weld_nd_arange(WELD_ND_F64, 1, 2, 0.25, error), (double[]){1, 1.25, 1.5, 1.75}, 4);
    expect_f64(weld_nd_arange(WELD_ND_F64, 0, -1, -0.4, error), (double[]){0, -0.4, -0.8}, 3);
    expect_f64(weld_nd_arange(WELD_ND_F64, 1, 1, 1, error), NULL, 0);
    expect_f64(weld_nd_arange(WELD_ND_F64, 1, 0, 1, error), NULL, 0);
    expect_f64(weld_nd_linspace(0, 1, 5, true, error), (double[]){0, 0.25, 0.5, 0.75, 1}, 5);
    expect_f64(weld_nd_linspace(0, 1, 4, false, error), (double[]){0, 0.25, 0.5, 0.75}, 4);
    expect_f64(weld_nd_linspace(3, 1, 1, true, error), (double[]){3}, 1);
    expect_f64(weld_nd_linspace(3, 1, 0, true, error), NULL, 0);
    int32_t read[3];
    weld_nd_t nd = must(weld_nd_arange(WELD_ND_I32, 5, 11, 2, error));
    cr_assert(weld_nd_read(contexts[0], nd, read, sizeof read, error));
    cr_assert(read[0] == 5 && read[1] == 7 && read[2] == 9);
    weld_nd_free(nd);
    expect_no(weld_nd_arange(WELD_ND_F64, 0, 1, 0, error), WELD_ARGUMENT_ERROR, "a step of 0");
    expect_no(weld_nd_arange(WELD_ND_F64, 0, INFINITY, 1, error), WELD_ARGUMENT_ERROR, "to infinity");
    expect_no(weld_nd_arange(WELD_ND_F64, (double)NAN, 1, 1, error), WELD_ARGUMENT_ERROR, "from NaN");
    expect_no(weld_nd_linspace(0, 1, -1, true, error), WELD_ARGUMENT_ERROR, "a negative count");
}

Test(ndarray, one_value_everywhere_takes_no_room) {
    double half = 0.5;
    int64_t shape[] = {1000, 1000, 1000};
    weld_nd_t x = must(weld_nd_full(WELD_ND_F64, &half, 3, shape, error)),
              one = must(weld_nd_full(WELD_ND_F32, NULL, 0, NULL, error));
    weld_nd_t y = must(weld_nd_binary(WELD_ND_ADD, x, one, error)),
              z = must(weld_nd_unary(WELD_ND_NEGATIVE, y, error));
    weld_nd_t at = must(weld_nd_index(z, 0, 5, error)), row = must(weld_nd_index(at, 0, -1, error));
    weld_nd_t item = must(weld_nd_index(row, 0, 999, error));
    double read = 0;
    cr_assert(weld_nd_read(contexts[0], item, &read, 8, error), "%s", weld_error_message(error));
    cr_assert_eq(read, -0.5);
    weld_nd_t all[] = {x, one, y, z, at, row, item};
    for (int i = 0; i < 7; i++) weld_nd_free(all[i]);
}

Test(ndarray, data_are_released_once) {
    for (int fails = 0; fails < 2; fails++) {
        _Atomic int released = 0;
        double data[6] = {1, 2, 3, 4, 5, 6}, read[6];
        int64_t shape[] = {2, 3}, at = fails ? 9 : 1, zero = 0;
        weld_nd_t x =
            must(weld_nd_from(WELD_ND_F64, data, 2, shape, NULL, count_release, (void *)&released, error));
        weld_nd_t t = must(weld_nd_transpose(x, NULL, error)),
                  y = must(weld_nd_binary(WELD_ND_ADD, x, x, error));
        weld_nd_t index = must(weld_nd_from(WELD_ND_I64, &at, 0, NULL, NULL, NULL, NULL, error));
        weld_nd_t z = must(weld_nd_take(y, index, 1, error));
        weld_nd_free(x);
        cr_assert_eq(weld_nd_read(contexts[0], z, read, 16, error), !fails);
        if (!fails) cr_assert(read[0] == 4 && read[1] == 10);
        weld_nd_free(y);
        weld_nd_free(z);
        weld_nd_free(index);
        cr_assert_eq(released, 0);
        cr_assert(weld_nd_read(contexts[0], t, read, sizeof read, error));
        cr_assert(read[0] == 1 && read[1] == 4 && read[5] == 6);
        weld_nd_free(t);
        cr_assert_eq(released, 1);
        expect_no(weld_nd_from(WELD_ND_F64, NULL, 2, shape, NULL, count_release, (void *)&released, error),
                  WELD_ARGUMENT_ERROR, "no data");
        weld_nd_free(must(weld_nd_from(WELD_ND_F64, NULL, 1, &zero, NULL, NULL, NULL, error)));
        cr_assert_eq(released, 1);
    }
}

static char *text_of(weld_nd_t nd, char *(*show)(const weld_lazy_t *, int64_t, weld_error_t)) {
    weld_lazy_t lazy = weld_nd_lazy(nd, error);
    cr_assert_not_null(lazy, "%s", weld_error_message(error));
    char *text = show(&lazy, 1, error);
    cr_assert_not_null(text, "%s", weld_error_message(error));
    weld_lazy_free(lazy);
    return text;
}

static int count_of(const char *text, const char *word) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) count++;
    return count;
}

/* sqrt(mean((x - rows' means) * 2 where x > 0)), of an n x m matrix. */
static weld_nd_t chain(int64_t n, int64_t m, bool whole) {
    static double data[100];
    int64_t shape[] = {n, m};
    int last = 1;
    double two = 2;
    weld_nd_t x = must(weld_nd_from(WELD_ND_F64, data, 2, shape, NULL, NULL, NULL, error));
    weld_nd_t mean = must(weld_nd_reduce(WELD_ND_MEAN, x, &last, 1, true, error));
    weld_nd_t factor = must(weld_nd_full(WELD_ND_F64, &two, 0, NULL, error)),
              zero = must(weld_nd_full(WELD_ND_F64, NULL, 0, NULL, error));
    weld_nd_t a = must(weld_nd_binary(WELD_ND_SUBTRACT, x, whole ? factor : mean, error));
    weld_nd_t b = must(weld_nd_binary(WELD_ND_MULTIPLY, a, factor, error)),
              c = must(weld_nd_binary(WELD_ND_GREATER, x, zero, error));
    weld_nd_t d = must(weld_nd_where(c, b, zero, error)),
              e = must(weld_nd_reduce(WELD_ND_MEAN, d, NULL, 0, false, error));
    weld_nd_t f = must(weld_nd_unary(WELD_ND_SQRT, e, error)), all[] = {x, mean, factor, zero, a, b, c, d, e};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) weld_nd_free(all[i]);
    return f;
}

Test(ndarray, chains_fuse_and_sizes_are_no_text) {
    weld_nd_t small = chain(2, 3, false), large = chain(7, 5, false), whole = chain(4, 4, true);
    char *a = text_of(small, weld_lazy_program), *b = text_of(large, weld_lazy_program);
    cr_assert_str_eq(a, b);
    free(a);
    free(b);
    char *plan = text_of(whole, weld_lazy_plan);
    cr_assert_eq(count_of(plan, "a loop over"), 1, "one loop: %s", plan);
    free(plan);
    plan = text_of(small, weld_lazy_plan);
    cr_assert_eq(count_of(plan, "a loop over"), 2, "the means, in one loop over the rows, and one loop: %s",
                 plan);
    free(plan);
    weld_nd_free(small);
    weld_nd_free(large);
    weld_nd_free(whole);
}

Test(ndarray, lazy_values_of_others) {
    int64_t three[] = {3}, four[] = {4}, read[4];
    weld_lazy_t lazy = weld_lazy_new("mine.numbers", "[1l, 2l, 3l]", NULL, 0, error);
    weld_lazy_t number = weld_lazy_new("mine.number", "5l", NULL, 0, error),
                text = weld_lazy_new(NULL, "[[1l]]", NULL, 0, error);
    weld_nd_t x = must(weld_nd_from_lazy(lazy, 1, three, error)),
              y = must(weld_nd_from_lazy(number, 0, NULL, error));
    weld_nd_t z = must(weld_nd_binary(WELD_ND_MULTIPLY, x, y, error));
    cr_assert(weld_nd_read(contexts[0], z, read, 24, error), "%s", weld_error_message(error));
    cr_assert(read[0] == 5 && read[2] == 15);
    weld_nd_t wrong = must(weld_nd_from_lazy(lazy, 1, four, error));
    cr_assert_not(weld_nd_read(contexts[0], wrong, read, 32, error), "another number of elements");
    expect_no(weld_nd_from_lazy(number, 1, three, error), WELD_ARGUMENT_ERROR, "a number");
    expect_no(weld_nd_from_lazy(text, 1, three, error), WELD_ARGUMENT_ERROR, "vectors");
    expect_no(weld_nd_from_lazy(NULL, 1, three, error), WELD_ARGUMENT_ERROR, "nothing");
    weld_nd_t arrays[] = {x, y, z, wrong};
    for (int i = 0; i < 4; i++) weld_nd_free(arrays[i]);
    weld_lazy_free(lazy);
    weld_lazy_free(number);
    weld_lazy_free(text);
}

Test(ndarray, what_does_not_fit) {
    double data[6] = {0};
    int64_t shape[] = {2, 3}, negative[] = {2, -3}, huge[] = {INT64_MAX, 2, 0}, far[] = {INT64_MAX, 1},
            four[] = {4}, open[] = {-1, -1};
    int twice[] = {0, 0}, beyond[] = {2}, swap[] = {1, 1};
    const uint64_t bad = WELD_ARGUMENT_ERROR;
    weld_nd_t x = must(weld_nd_from(WELD_ND_F64, data, 2, shape, NULL, NULL, NULL, error)),
              y = must(weld_nd_transpose(x, NULL, error));
    weld_nd_t s = must(weld_nd_full(WELD_ND_F64, NULL, 0, NULL, error)), pair[] = {x, y}, hole[] = {x, NULL};
    expect_no(weld_nd_from((weld_nd_dtype)99, data, 2, shape, NULL, NULL, NULL, error), bad, "type");
    expect_no(weld_nd_from(WELD_ND_F64, data, 2, negative, NULL, NULL, NULL, error), bad, "length");
    expect_no(weld_nd_from(WELD_ND_F64, data, 3, huge, NULL, NULL, NULL, error), bad, "size");
    expect_no(weld_nd_from(WELD_ND_F64, data, 2, shape, far, NULL, NULL, error), bad, "strides");
    expect_no(weld_nd_from(WELD_ND_F64, data, 17, shape, NULL, NULL, NULL, error), bad, "rank");
    expect_no(weld_nd_from(WELD_ND_F64, data, -1, shape, NULL, NULL, NULL, error), bad, "rank");
    expect_no(weld_nd_from(WELD_ND_F64, data, 1, NULL, NULL, NULL, NULL, error), bad, "shape");
    expect_no(weld_nd_reshape(x, 1, four, error), bad, "reshape");
    expect_no(weld_nd_reshape(x, 2, open, error), bad, "reshape");
    expect_no(weld_nd_reshape(x, 0, NULL, error), bad, "reshape");
    expect_no(weld_nd_transpose(x, swap, error), bad, "transpose");
    expect_no(weld_nd_transpose(x, beyond, error), bad, "transpose");
    expect_no(weld_nd_slice(x, 2, 0, 1, 1, error), bad, "slice");
    expect_no(weld_nd_slice(x, 0, 0, 1, 0, error), bad, "slice");
    expect_no(weld_nd_index(x, 0, 2, error), WELD_ARRAY_OUT_OF_BOUNDS, "index");
    expect_no(weld_nd_index(x, 0, -3, error), WELD_ARRAY_OUT_OF_BOUNDS, "index");
    expect_no(weld_nd_index(s, 0, 0, error), bad, "index");
    expect_no(weld_nd_squeeze(x, 0, error), bad, "squeeze");
    expect_no(weld_nd_expand(x, 4, error), bad, "expand");
    expect_no(weld_nd_broadcast(x, 1, four, error), bad, "broadcast");
    expect_no(weld_nd_broadcast(x, 2, (int64_t[]){4, 3}, error), bad, "broadcast");
    expect_no(weld_nd_binary(WELD_ND_ADD, x, y, error), bad, "add");
    expect_no(weld_nd_binary((weld_nd_binary_op)99, x, x, error), bad, "op");
    expect_no(weld_nd_unary((weld_nd_unary_op)-1, x, error), bad, "op");
    expect_no(weld_nd_reduce((weld_nd_reduce_op)99, x, NULL, 0, false, error), bad, "op");
    expect_no(weld_nd_reduce(WELD_ND_SUM, x, twice, 2, false, error), bad, "axes");
    expect_no(weld_nd_reduce(WELD_ND_SUM, x, beyond, 1, false, error), bad, "axes");
    expect_no(weld_nd_reduce(WELD_ND_SUM, x, beyond, -1, false, error), bad, "axes");
    expect_no(weld_nd_reduce(WELD_ND_ARGMAX, x, (int[]){0, 1}, 2, false, error), bad, "axes");
    expect_no(weld_nd_cumsum(x, 2, error), bad, "cumsum");
    expect_no(weld_nd_matmul(x, x, error), bad, "matmul");
    expect_no(weld_nd_matmul(x, s, error), bad, "matmul");
    expect_no(weld_nd_concatenate(pair, 2, 0, error), bad, "concatenate");
    expect_no(weld_nd_concatenate(pair, 0, 0, error), bad, "concatenate");
    expect_no(weld_nd_concatenate(&s, 1, 0, error), bad, "concatenate");
    expect_no(weld_nd_concatenate(hole, 2, 0, error), bad, "concatenate");
    expect_no(weld_nd_stack(pair, 2, 0, error), bad, "stack");
    expect_no(weld_nd_stack(hole, 2, 0, error), bad, "stack");
    expect_no(weld_nd_take(x, x, 0, error), bad, "take");
    expect_no(weld_nd_cast(x, WELD_ND_DTYPES, error), bad, "cast");
    expect_no(weld_nd_unary(WELD_ND_EXP, NULL, error), bad, "NULL");
    expect_no(weld_nd_binary(WELD_ND_ADD, x, NULL, error), bad, "NULL");
    expect_no(weld_nd_where(x, NULL, x, error), bad, "NULL");
    expect_no(weld_nd_cast(NULL, WELD_ND_F64, error), bad, "NULL");
    expect_no(weld_nd_reduce(WELD_ND_SUM, NULL, NULL, 0, false, error), bad, "NULL");
    expect_no(weld_nd_cumsum(NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_matmul(NULL, x, error), bad, "NULL");
    expect_no(weld_nd_take(x, NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_reshape(NULL, 1, four, error), bad, "NULL");
    expect_no(weld_nd_transpose(NULL, NULL, error), bad, "NULL");
    expect_no(weld_nd_slice(NULL, 0, 0, 0, 1, error), bad, "NULL");
    expect_no(weld_nd_index(NULL, 0, 0, error), bad, "NULL");
    expect_no(weld_nd_expand(NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_squeeze(NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_broadcast(NULL, 1, four, error), bad, "NULL");
    expect_no(weld_nd_contiguous(NULL, error), bad, "NULL");
    cr_assert_null(weld_nd_lazy(NULL, error));
    cr_assert_null(weld_nd_hold(NULL));
    weld_nd_free(NULL);
    weld_nd_keep(NULL);
    cr_assert(weld_nd_type(NULL) == -1 && weld_nd_rank(NULL) == -1 && weld_nd_size(NULL) == -1 &&
              weld_nd_length(x, 2) == -1);
    cr_assert_null(weld_nd_type_name(WELD_ND_DTYPES));
    cr_assert_not(weld_nd_read(contexts[0], NULL, data, 48, error));
    cr_assert_not(weld_nd_read(contexts[0], x, data, 40, error));
    cr_assert_not(weld_nd_read(contexts[0], x, NULL, 48, error));
    cr_assert_not(weld_nd_read(NULL, x, data, 48, error));
    weld_value_t values[2];
    cr_assert_not(weld_nd_evaluate(contexts[0], hole, 2, values, error));
    cr_assert_not(weld_nd_evaluate(contexts[0], NULL, 1, values, error));
    cr_assert_null(weld_nd_binary(WELD_ND_ADD, x, y, NULL), "without an error object");
    weld_nd_free(x);
    weld_nd_free(y);
    weld_nd_free(s);
}
