/* ndarray_join.c: products of matrices, concatenate, stack and take of the adapter ndarray against plain loops. */
#include "ndarray_pairs.h"

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
