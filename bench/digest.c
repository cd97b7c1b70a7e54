/* digest.c: what an answer comes to, so that the answers of engines of all kinds can be compared.
 *
 * An answer lies in memory as its type says. {f64, vec[{i64, f64}]} has these leaves: the number; the
 * vector's length; the first fields; the second fields. A leaf of a vector is summed up plainly and weighted
 * by 1 + row mod 1021, which tells orders apart. Where the rows may come in any order the weight is 1 + first
 * field mod 1021, which tells whether the values are with the right keys. peers.py computes the same with
 * NumPy.
 *
 * Sums of floating-point numbers in different orders differ; the tolerance is relative to the sum of the
 * absolute values.
 */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "bench.h"

enum { WEIGHTS = 1021 };

/* A scalar of the type, flattened: its letter and width, and where it lies. */
typedef struct Leaf {
    char kind; /* i u f b */
    int bytes;
    size_t offset;
} Leaf;

typedef struct Layout {
    Leaf leaves[MOST_LEAVES];
    int count;
    size_t size, align;
} Layout;

static size_t round_up(size_t n, size_t align) {
    return (n + align - 1) / align * align;
}

static bool scalar_read(const char **text, Layout *out) {
    char kind = **text;
    int bits = 8;
    if (!strncmp(*text, "bool", 4)) {
        *text += 4;
    } else {
        if (!strchr("iuf", kind) || sscanf(*text + 1, "%d", &bits) != 1) return false;
        for (++*text; isdigit((unsigned char)**text);) ++*text;
    }
    *out = (Layout){
        .leaves = {{kind, bits / 8, 0}}, .count = 1, .size = (size_t)bits / 8, .align = (size_t)bits / 8};
    return true;
}

/* A struct of scalars and such structs, or a scalar. */
static bool layout_read(const char **text, Layout *out) {
    if (**text != '{') return scalar_read(text, out);
    *out = (Layout){.align = 1};
    do {
        Layout field;
        ++*text;
        if (!layout_read(text, &field)) return false;
        out->size = round_up(out->size, field.align);
        if (out->align < field.align) out->align = field.align;
        for (int i = 0; i < field.count; i++) {
            if (out->count == MOST_LEAVES) return false;
            out->leaves[out->count] = field.leaves[i];
            out->leaves[out->count++].offset += out->size;
        }
        out->size += field.size;
    } while (**text == ',');
    out->size = round_up(out->size, out->align);
    return *(*text)++ == '}';
}

static double leaf_value(const Leaf *leaf, const char *at) {
    at += leaf->offset;
#define AS(ctype)                 \
    {                             \
        ctype x;                  \
        memcpy(&x, at, sizeof x); \
        return (double)x;         \
    }
    if (leaf->kind == 'f') {
        if (leaf->bytes == 4) AS(float)
        AS(double)
    }
    bool wide = leaf->kind == 'i';
    if (leaf->bytes == 1 && wide) AS(int8_t)
    if (leaf->bytes == 1) AS(uint8_t)
    if (leaf->bytes == 2 && wide) AS(int16_t)
    if (leaf->bytes == 2) AS(uint16_t)
    if (leaf->bytes == 4 && wide) AS(int32_t)
    if (leaf->bytes == 4) AS(uint32_t)
    if (wide) AS(int64_t)
    AS(uint64_t)
#undef AS
}

static void digest_number(Digest *out, double x) {
    out->sum[out->count] = out->weighted[out->count] = x;
    out->scale[out->count++] = fabs(x);
}

static bool digest_vector(const Layout *layout, const Vector *vector, bool unordered, Digest *out) {
    if (out->count + 1 + layout->count > MOST_LEAVES) return false;
    digest_number(out, (double)vector->length);
    for (int i = 0; i < layout->count; i++) {
        double sum = 0, weighted = 0, scale = 0;
        const char *at = vector->data;
        for (int64_t row = 0; row < vector->length; row++, at += layout->size) {
            double x = leaf_value(&layout->leaves[i], at);
            uint64_t weight = unordered ? (uint64_t)leaf_value(&layout->leaves[0], at) : (uint64_t)row;
            sum += x;
            weighted += x * (double)(1 + weight % WEIGHTS);
            scale += fabs(x);
        }
        out->sum[out->count] = sum;
        out->weighted[out->count] = weighted;
        out->scale[out->count++] = scale;
    }
    return true;
}

/* *at: where the value of the type at *text lies; moved behind it. */
static bool digest_value(const char **text, const char *base, size_t *at, size_t *align, bool unordered,
                         Digest *out) {
    Layout layout;
    if (!strncmp(*text, "vec[", 4)) {
        *text += 4;
        if (!layout_read(text, &layout) || *(*text)++ != ']') return false;
        *at = round_up(*at, 8);
        *align = 8;
        bool good = digest_vector(&layout, (const Vector *)(base + *at), unordered, out);
        *at += sizeof(Vector);
        return good;
    }
    if (!layout_read(text, &layout) || out->count + layout.count > MOST_LEAVES) return false;
    *at = round_up(*at, layout.align);
    if (*align < layout.align) *align = layout.align;
    for (int i = 0; i < layout.count; i++) digest_number(out, leaf_value(&layout.leaves[i], base + *at));
    *at += layout.size;
    return true;
}

bool digest_make(const char *type, const void *data, bool unordered, Digest *out) {
    size_t at = 0, align = 1;
    *out = (Digest){0};
    if (*type != '{') return digest_value(&type, data, &at, &align, unordered, out) && !*type;
    do {
        type++;
        if (!digest_value(&type, data, &at, &align, unordered, out)) return false;
    } while (*type == ',');
    return !strcmp(type, "}");
}

bool digest_agree(const Digest *want, const Digest *got, double tolerance) {
    if (want->count != got->count) return false;
    for (int i = 0; i < want->count; i++) {
        double allowed = tolerance * want->scale[i] + 1e-300;
        if (!(fabs(want->sum[i] - got->sum[i]) <= allowed)) return false;
        if (!(fabs(want->weighted[i] - got->weighted[i]) <= allowed * WEIGHTS)) return false;
    }
    return true;
}
