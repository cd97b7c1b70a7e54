/* vector_kernel.h: sorting words with vectors; included by vector_sort.c behind vector_avx512.h or vector_avx2.h, once
 * for each width of vectors and of words. vector_sort.c says how it works.
 */

/* ---- up to 16 vectors, by a network ---- */

INLINE void NAME(order)(V *a, V *b) {
    V least = NAME(least)(*a, *b);
    *b = NAME(most)(*a, *b);
    *a = least;
}

/* The same, with the lanes of b taken the other way round in groups of width. */
INLINE void NAME(order_reverse)(V *a, V *b, int width) {
    V other = NAME(reverse)(*b, width), least = NAME(least)(*a, other);
    *b = NAME(most)(*a, other);
    *a = least;
}

/* Lanes of one vector against those that `other` brings to them. */
INLINE V NAME(order_lanes)(V v, V other, int lane) {
    return NAME(zip)(NAME(least)(v, other), NAME(most)(v, other), lane);
}

/* Groups of `width` lanes, each of which falls after a rise or the other way, become sorted, when their first exchange
 * is one of opposite lanes. */
INLINE V NAME(order_row)(V v, int width) {
    v = NAME(order_lanes)(v, NAME(reverse)(v, width), width / 2);
    if (width >= 16) v = NAME(order_lanes)(v, NAME(swap)(v, 4), 4);
    if (width >= 8) v = NAME(order_lanes)(v, NAME(swap)(v, 2), 2);
    if (width >= 4) v = NAME(order_lanes)(v, NAME(swap)(v, 1), 1);
    return v;
}

/* The first `rows` of up to 16 rows. Those that are missing would be the greatest word throughout and stay where they are,
 * so what compares with them is left out. */
#define X(a, b) ((b) < rows ? NAME(order)(&v[a], &v[b]) : (void)0)
INLINE void NAME(columns)(V *v, int rows) {
    if (rows <= 4)
        X(0, 2), X(1, 3), X(0, 1), X(2, 3), X(1, 2);
    else if (rows <= 8)
        X(0, 2), X(1, 3), X(4, 6), X(5, 7), X(0, 4), X(1, 5), X(2, 6), X(3, 7), X(0, 1), X(2, 3), X(4, 5),
            X(6, 7), X(2, 4), X(3, 5), X(1, 4), X(3, 6), X(1, 2), X(3, 4), X(5, 6);
    else
        X(0, 13), X(1, 12), X(2, 15), X(3, 14), X(4, 8), X(5, 6), X(7, 11), X(9, 10), X(0, 5), X(1, 7),
            X(2, 9), X(3, 4), X(6, 13), X(8, 14), X(10, 15), X(11, 12), X(0, 1), X(2, 3), X(4, 5), X(6, 8),
            X(7, 9), X(10, 11), X(12, 13), X(14, 15), X(0, 2), X(1, 3), X(4, 10), X(5, 11), X(6, 7), X(8, 9),
            X(12, 14), X(13, 15), X(1, 2), X(3, 12), X(4, 6), X(5, 7), X(8, 10), X(9, 11), X(13, 14), X(1, 4),
            X(2, 6), X(5, 8), X(7, 10), X(9, 13), X(11, 14), X(2, 4), X(3, 6), X(9, 12), X(11, 13), X(3, 5),
            X(6, 8), X(7, 9), X(10, 12), X(3, 4), X(5, 6), X(7, 8), X(9, 10), X(11, 12), X(6, 7), X(8, 9);
}
#undef X

/* Each group of width / 2 lanes is sorted, row after row; two neighbours are merged. */
#define X(a, b) ((b) < rows ? NAME(order_reverse)(&v[a], &v[b], width) : (void)0)
INLINE void NAME(merge_4)(V *v, int rows, int width) {
    X(0, 3), X(1, 2), X(0, 1), X(2, 3);
}
INLINE void NAME(merge_8)(V *v, int rows, int width) {
    X(0, 7), X(1, 6), X(2, 5), X(3, 4);
    NAME(merge_4)(v, rows, width);
    NAME(merge_4)(v + 4, rows - 4, width);
}
INLINE void NAME(merge_16)(V *v, int rows, int width) {
    X(0, 15), X(1, 14), X(2, 13), X(3, 12), X(4, 11), X(5, 10), X(6, 9), X(7, 8);
    NAME(merge_8)(v, rows, width);
    NAME(merge_8)(v + 8, rows - 8, width);
}
#undef X

#define EACH(X) \
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15)
INLINE void NAME(merge)(V *v, int rows, int width) {
    if (rows <= 4)
        NAME(merge_4)(v, rows, width);
    else if (rows <= 8)
        NAME(merge_8)(v, rows, width);
    else
        NAME(merge_16)(v, rows, width);
#define X(i) ((i) < rows ? (void)(v[i] = NAME(order_row)(v[i], width)) : (void)0)
    EACH(X);
#undef X
}

/* Sorts up to `rows` vectors and more than `whole`: what is missing is filled up with the greatest word. */
INLINE void NAME(network)(WORD *data, int64_t count, int rows, int whole) {
    V v[16], most = NAME(all)(greatest_word(BITS));
#define AT(i) data + (i) * LANES
#define LANES_AT(i) clamp_lanes(count - (i) * LANES, LANES)
#define LOAD(i)    \
    ((i) >= rows   \
         ? (void)0 \
         : (void)(v[i] = (i) < whole ? NAME(load)(AT(i)) : NAME(load_first)(AT(i), LANES_AT(i), most)))
#define STORE(i)                              \
    ((i) >= rows   ? (void)0                  \
     : (i) < whole ? NAME(store)(AT(i), v[i]) \
                   : NAME(store_first)(AT(i), LANES_AT(i), v[i]))
    EACH(LOAD);
    NAME(columns)(v, rows);
    NAME(merge)(v, rows, 2);
    NAME(merge)(v, rows, 4);
    if (LANES >= 8) NAME(merge)(v, rows, 8);
    if (LANES >= 16) NAME(merge)(v, rows, 16);
    EACH(STORE);
#undef AT
#undef LANES_AT
#undef LOAD
#undef STORE
}
#undef EACH

KERNEL void NAME(network_4)(WORD *data, int64_t count) {
    NAME(network)(data, count, 4, 0);
}
KERNEL void NAME(network_8)(WORD *data, int64_t count) {
    NAME(network)(data, count, 8, 4);
}
KERNEL void NAME(network_12)(WORD *data, int64_t count) {
    NAME(network)(data, count, 12, 8);
}
KERNEL void NAME(network_16)(WORD *data, int64_t count) {
    NAME(network)(data, count, 16, 12);
}

enum { NAME(FEW) = 16 * LANES };

KERNEL void NAME(sort_few)(WORD *data, int64_t count) {
    if (count < 2) return;
    if (count <= 4 * LANES)
        NAME(network_4)(data, count);
    else if (count <= 8 * LANES)
        NAME(network_8)(data, count);
    else if (count <= 12 * LANES)
        NAME(network_12)(data, count);
    else
        NAME(network_16)(data, count);
}

/* ---- parting ---- */

INLINE V NAME(middle)(V a, V b, V c) {
    return NAME(most)(NAME(least)(a, b), NAME(least)(NAME(most)(a, b), c));
}

INLINE V NAME(any)(const WORD *data, int64_t count, uint64_t *random) {
    return NAME(load)(data + random_below(random, count - LANES + 1));
}

INLINE V NAME(any_middle)(const WORD *data, int64_t count, uint64_t *random) {
    V a = NAME(any)(data, count, random), b = NAME(any)(data, count, random);
    return NAME(middle)(a, b, NAME(any)(data, count, random));
}

/* A word from about the middle: of each lane the middle of 3 or 9 random vectors, and of these the middle. */
KERNEL WORD NAME(pivot)(const WORD *data, int64_t count, uint64_t *random) {
    V v = NAME(any_middle)(data, count, random);
    if (count > PIVOT_OF_9) {
        V b = NAME(any_middle)(data, count, random);
        v = NAME(middle)(v, b, NAME(any_middle)(data, count, random));
    }
    WORD lanes[LANES];
    v = NAME(order_row)(v, 2);
    v = NAME(order_row)(v, 4);
    if (LANES >= 8) v = NAME(order_row)(v, 8);
    if (LANES >= 16) v = NAME(order_row)(v, 16);
    NAME(store)(lanes, v);
    return lanes[LANES / 2 - 1];
}

enum { NAME(STEP) = 4 * LANES };

typedef struct NAME(Parting) {
    V pivot;
    WORD *left, *right, *to_left, *to_right; /* what is not read yet; where the next ones go */
} NAME(Parting);

/* Takes so many words from the side with less room, without a branch that nobody could predict. */
INLINE const WORD *NAME(take)(NAME(Parting) * p, int64_t step) {
    int64_t from_right = -(int64_t)(p->left - p->to_left > p->to_right - p->right);
    const WORD *from = p->left + ((p->right - step - p->left) & from_right);
    p->left += step & ~from_right;
    p->right -= step & from_right;
    return from;
}

INLINE void NAME(put)(NAME(Parting) * p, V v) {
    int64_t lows = LANES - NAME(split)(v, p->pivot, p->to_left, p->to_right);
    p->to_left += lows;
    p->to_right += lows - LANES;
}

/* Steps of vectors, while there are any. While one waits to be put the next one is read, from the side with less room:
 * so there is room for a step on either side. What is left is read before the last one is put. */
INLINE int64_t NAME(part_steps)(NAME(Parting) * p, WORD *rest) {
    bool any = p->right - p->left >= NAME(STEP);
    const WORD *from = any ? NAME(take)(p, NAME(STEP)) : p->left;
    V a = p->pivot, b = a, c = a, d = a;
    if (any) {
        a = NAME(load)(from), b = NAME(load)(from + LANES);
        c = NAME(load)(from + 2 * LANES), d = NAME(load)(from + 3 * LANES);
    }
    while (p->right - p->left >= NAME(STEP)) {
        from = NAME(take)(p, NAME(STEP));
        V next_a = NAME(load)(from), next_b = NAME(load)(from + LANES), next_c = NAME(load)(from + 2 * LANES),
          next_d = NAME(load)(from + 3 * LANES);
        NAME(put)(p, a);
        NAME(put)(p, b);
        NAME(put)(p, c);
        NAME(put)(p, d);
        a = next_a, b = next_b, c = next_c, d = next_d;
    }
    int64_t nrest = p->right - p->left;
    for (int64_t i = 0; i < nrest; i += LANES)
        NAME(store)(rest + i, NAME(load_first)(p->left + i, clamp_lanes(nrest - i, LANES), p->pivot));
    p->left = p->right;
    if (any) {
        NAME(put)(p, a);
        NAME(put)(p, b);
        NAME(put)(p, c);
        NAME(put)(p, d);
    }
    return nrest;
}

/* Parts words, in any number; returns how many are not above the pivot: they come first. The outermost vectors are put
 * last: their places are the room for the others. */
KERNEL int64_t NAME(part)(WORD *data, int64_t count, WORD pivot) {
    NAME(Parting) p = {NAME(all)(pivot), data, data + count, data, data + count};
    WORD rest[2 * NAME(STEP)];
    V kept[8];
    int64_t nrest = count, i = 0;
    bool keeps = count >= 2 * NAME(STEP);
    if (keeps) {
        for (int k = 0; k < 4; k++) {
            kept[k] = NAME(load)(p.left + k * LANES);
            kept[k + 4] = NAME(load)(p.right - (k + 1) * LANES);
        }
        p.left += NAME(STEP);
        p.right -= NAME(STEP);
        nrest = NAME(part_steps)(&p, rest);
        for (; i + LANES <= nrest; i += LANES) NAME(put)(&p, NAME(load)(rest + i));
    } else {
        memcpy(rest, data, (size_t)count * sizeof *rest);
    }
    for (; i < nrest; i++) {
        bool above = rest[i] > pivot;
        *(above ? p.to_right - 1 : p.to_left) = rest[i];
        p.to_right -= above;
        p.to_left += !above;
    }
    for (int k = 0; k < 8 && keeps; k++) NAME(put)(&p, kept[k]);
    return p.to_left - data;
}

/* ---- sorting ---- */

KERNEL void NAME(sink)(WORD *heap, int64_t count, int64_t at) {
    WORD x = heap[at];
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] > heap[child]) child++;
        if (heap[child] <= x) break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

KERNEL void NAME(heap_sort)(WORD *data, int64_t count) {
    for (int64_t i = count / 2; i-- > 0;) NAME(sink)(data, count, i);
    for (int64_t i = count; i-- > 1;) {
        WORD most = data[0];
        data[0] = data[i];
        data[i] = most;
        NAME(sink)(data, i, 0);
    }
}

/* In place, back to scalars. */
KERNEL void NAME(unload)(const Wording *how, WORD *words, int64_t count) {
    if (!how || (how->magnitude == 0 && how->flip == 0)) return;
    V magnitude = NAME(all)((WORD)how->magnitude), flip = NAME(all)((WORD)how->flip);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        NAME(store)(words + i, NAME(word)(NAME(flip)(NAME(load)(words + i), flip), magnitude));
    V v = NAME(load_first)(words + i, count - i, flip);
    NAME(store_first)(words + i, count - i, NAME(word)(NAME(flip)(v, flip), magnitude));
}

/* The words are all within low..high. */
KERNEL void NAME(sort_cached)(WORD *data, int64_t count, WORD low, WORD high, int depth, uint64_t *random) {
    while (count > NAME(FEW)) {
        if (low == high) return;
        if (depth-- == 0) {
            NAME(heap_sort)(data, count);
            return;
        }
        WORD pivot = NAME(pivot)(data, count, random);
        if (pivot == high) pivot--; /* those above are then equal */
        int64_t lows = NAME(part)(data, count, pivot);
        if (lows < count - lows) {
            NAME(sort_cached)(data, lows, low, pivot, depth, random);
            data += lows;
            count -= lows;
            low = pivot + 1;
        } else {
            NAME(sort_cached)(data + lows, count - lows, pivot + 1, high, depth, random);
            count = lows;
            high = pivot;
        }
    }
    NAME(sort_few)(data, count);
}

KERNEL bool NAME(sort_deep)(const Wording *how, WORD *data, int64_t count, WORD low, WORD high, int depth,
                            uint64_t *random, const Worker *worker) {
    while (count * (int64_t)sizeof(WORD) > CACHED && low != high) {
        if (sort_is_over(worker)) return false;
        if (depth-- == 0) break;
        WORD pivot = NAME(pivot)(data, count, random);
        if (pivot == high) pivot--;
        int64_t lows = NAME(part)(data, count, pivot);
        bool left = lows < count - lows;
        if (left ? !NAME(sort_deep)(how, data, lows, low, pivot, depth, random, worker)
                 : !NAME(sort_deep)(how, data + lows, count - lows, (WORD)(pivot + 1), high, depth, random,
                                    worker))
            return false;
        if (left) data += lows, low = (WORD)(pivot + 1);
        if (!left) high = pivot;
        count = left ? count - lows : lows;
    }
    NAME(sort_cached)(data, count, low, high, depth < 0 ? 0 : depth, random);
    NAME(unload)(how, data, count);
    return true;
}

KERNEL bool NAME(sort)(const Wording *how, void *words, int64_t count, int64_t low, int64_t high,
                       const Worker *worker) {
    uint64_t random = (uint64_t)count * RANDOM_FACTOR;
    int depth = 8;
    for (int64_t left = count; left; left /= 2) depth += 2;
    return NAME(sort_deep)(how, words, count, (WORD)low, (WORD)high, depth, &random, worker);
}

/* ---- reading scalars ---- */

KERNEL void NAME(load_words)(const Wording *how, const void *from, int64_t count, void *words) {
    V magnitude = NAME(all)((WORD)how->magnitude), flip = NAME(all)((WORD)how->flip);
    const WORD *x = from;
    WORD *to = words;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        NAME(store)(to + i, NAME(flip)(NAME(word)(NAME(load)(x + i), magnitude), flip));
    V v = NAME(load_first)(x + i, count - i, flip);
    NAME(store_first)(to + i, count - i, NAME(flip)(NAME(word)(v, magnitude), flip));
}

enum { NAME(BLOCK) = BLOCK_BYTES / sizeof(WORD) };

KERNEL void NAME(count_block)(const WORD *words, int64_t length, const int64_t *splitters, int nsplitters,
                              int64_t *counts) {
    for (int k = 0; k < nsplitters; k++) {
        V splitter = NAME(all)((WORD)splitters[k]), count = NAME(all)(0);
        WORD lanes[LANES];
        int64_t i = 0, above = 0;
        for (; i + LANES <= length; i += LANES)
            count = NAME(count_above)(count, NAME(load)(words + i), splitter);
        NAME(store)(lanes, count);
        for (int lane = 0; lane < LANES; lane++) above += lanes[lane];
        for (; i < length; i++) above += words[i] > (WORD)splitters[k];
        counts[k] += above;
    }
}

KERNEL void NAME(count)(const Wording *how, const void *from, int64_t count, const int64_t *splitters,
                        int nsplitters, int64_t *counts) {
    _Alignas(64) WORD words[NAME(BLOCK)];
    for (int64_t at = 0; at < count; at += NAME(BLOCK)) {
        int64_t length = count - at < NAME(BLOCK) ? count - at : NAME(BLOCK);
        NAME(load_words)(how, (const WORD *)from + at, length, words);
        NAME(count_block)(words, length, splitters, nsplitters, counts);
    }
}

/* By the splitter in the middle, then both sides by theirs. The parts from to[0] on; odd: whether the first one is an odd
 * one. */
KERNEL void NAME(scatter_block)(WORD *words, int64_t length, const int64_t *splitters, int nsplitters,
                                void **to, bool paired, bool odd) {
    if (nsplitters == 0) {
        int64_t bytes = length * (int64_t)sizeof *words, back = paired && odd ? bytes : 0;
        memcpy((char *)*to - back, words, (size_t)bytes);
        *to = (char *)*to + (back ? -bytes : bytes);
        return;
    }
    int middle = nsplitters / 2;
    int64_t lows = NAME(part)(words, length, (WORD)splitters[middle]);
    NAME(scatter_block)(words, lows, splitters, middle, to, paired, odd);
    NAME(scatter_block)(words + lows, length - lows, splitters + middle + 1, nsplitters - middle - 1,
                        to + middle + 1, paired, (odd + middle + 1) % 2);
}

/* Parts words on their way from memory into a block. What is no whole vector goes first: then there is always room for a
 * vector that is stored twice. */
KERNEL int64_t NAME(load_parted)(const Wording *how, const WORD *from, int64_t count, WORD *words,
                                 WORD pivot) {
    V magnitude = NAME(all)((WORD)how->magnitude), flip = NAME(all)((WORD)how->flip);
    NAME(Parting) p = {NAME(all)(pivot), words, words + count, words, words + count};
    int64_t whole = count / LANES * LANES;
    WORD rest[LANES];
    V v = NAME(load_first)(from + whole, count - whole, flip);
    NAME(store)(rest, NAME(flip)(NAME(word)(v, magnitude), flip));
    for (int64_t i = 0; i < count - whole; i++) *(rest[i] > pivot ? --p.to_right : p.to_left++) = rest[i];
    for (int64_t i = 0; i < whole; i += LANES)
        NAME(put)(&p, NAME(flip)(NAME(word)(NAME(load)(from + i), magnitude), flip));
    return p.to_left - words;
}

KERNEL void NAME(scatter)(const Wording *how, const void *from, int64_t count, const int64_t *splitters,
                          int nsplitters, void **to, bool paired) {
    _Alignas(64) WORD words[NAME(BLOCK)];
    int middle = nsplitters / 2;
    for (int64_t at = 0; at < count; at += NAME(BLOCK)) {
        int64_t length = count - at < NAME(BLOCK) ? count - at : NAME(BLOCK);
        int64_t lows =
            NAME(load_parted)(how, (const WORD *)from + at, length, words, (WORD)splitters[middle]);
        NAME(scatter_block)(words, lows, splitters, middle, to, paired, false);
        NAME(scatter_block)(words + lows, length - lows, splitters + middle + 1, nsplitters - middle - 1,
                            to + middle + 1, paired, (middle + 1) % 2);
    }
}

KERNEL int64_t NAME(find)(const Wording *how, const void *from, int64_t at, int64_t count, int64_t below) {
    const WORD *x = from;
    V magnitude = NAME(all)((WORD)how->magnitude), flip = NAME(all)((WORD)how->flip),
      bound = NAME(all)((WORD)below);
    for (; count - at >= NAME(STEP); at += NAME(STEP)) {
        V least = NAME(flip)(NAME(word)(NAME(load)(x + at), magnitude), flip);
        for (int i = 1; i < 4; i++) {
            V v = NAME(word)(NAME(load)(x + at + i * LANES), magnitude);
            least = NAME(least)(least, NAME(flip)(v, flip));
        }
        if (NAME(any_below)(least, bound)) return at;
    }
    return at;
}

static const SortKernel NAME(kernel) = {sizeof(WORD),  NAME(load_words), NAME(count),
                                        NAME(scatter), NAME(sort),       NAME(find)};

#undef TARGET
#undef KERNEL
#undef INLINE
#undef NAME
#undef WORD
#undef LANES
#undef V
#undef BITS
