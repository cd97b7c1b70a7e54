/* ndarray_pairs.h: random arrays and views of the adapter ndarray beside what they shall be (ndarray_ref.h), and batches of
 * them computed at once. */
#ifndef NDARRAY_PAIRS_H
#define NDARRAY_PAIRS_H

#include "ndarray_ref.h"

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
static inline Pair random_array(int dtype, int rank, const int64_t *shape, bool tame) {
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

static inline int random_shape(int64_t *shape, int least, int64_t most) {
    int rank = least + (int)draw((uint64_t)(5 - least));
    for (int i = 0; i < rank; i++) shape[i] = draw(16) ? 1 + (int64_t)draw((uint64_t)most) : 0;
    return rank;
}

static void replace(Pair *pair, weld_nd_t nd, Ref ref) {
    pair_free(pair);
    *pair = (Pair){must(nd), ref};
}

/* One view of an array, for both. */
static inline void random_view(Pair *pair) {
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
static inline void batch_add(weld_nd_t nd, Ref ref, double tolerance, const char *what, int engine) {
    cr_assert_not_null(nd, "%s: %s", what, weld_error_message(error));
    expect_shape(nd, &ref, what);
    batch.nd[batch.count] = nd;
    batch.ref[batch.count] = ref;
    batch.tolerance[batch.count] = tolerance;
    snprintf(batch.what[batch.count++], sizeof *batch.what, "%s", what);
    if (batch.count == BATCH) batch_run(engine);
}

static inline void batch_end(int engine) {
    if (batch.count) batch_run(engine);
    forget_data();
}

static weld_nd_t expect_no(weld_nd_t nd, uint64_t code, const char *what) {
    cr_assert_null(nd, "%s", what);
    cr_assert_eq(weld_error_code(error), code, "%s: %s", what, weld_error_message(error));
    cr_assert(strlen(weld_error_message(error)) > 15);
    return NULL;
}

#endif
