/* read.c: the elements of a column, all in one place, as the language has them.
 *
 *     plain   one piece: where they are. Several, or not aligned: copied one behind the other
 *     bits    a byte each
 *     bytes   {pointer, length} each, into the buffers of all pieces:
 *                 offsets 0 2 2 5, data "abcde"   ->   {"ab", 2} {"", 0} {"cde", 3}
 *     lists   {pointer, length} each, into the elements of the items, which are read first
 *
 * Offsets come from outside: each is checked against the items, or, for bytes, whose number nobody tells, against the one
 * before. Nothing is assumed about their alignment.
 */
#include "arrow.h"

#include <stdio.h>
#include <string.h>

static bool bad(const Column *column, weld_error_t error, const char *what) {
    return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\" of format \"%.40s\": %s", column->name,
                 column->text, what);
}

/* ---- bits ---- */

static void bits_expand(const uint8_t *bits, int64_t start, int64_t length, uint8_t *out) {
    int64_t i = 0;
    for (; i < length && (start + i) % 8; i++) out[i] = bits[(start + i) / 8] >> (start + i) % 8 & 1;
    for (const uint8_t *byte = bits + (start + i) / 8; i + 8 <= length; i += 8, byte++) {
        for (int k = 0; k < 8; k++) out[i + k] = *byte >> k & 1;
    }
    for (; i < length; i++) out[i] = bits[(start + i) / 8] >> (start + i) % 8 & 1;
}

/* NULL: nothing is missing in this piece. */
static const uint8_t *bitmap_of(const Column *column, const Piece *piece) {
    bool has_one = column->format.row->layout != LAYOUT_null && piece->array->null_count != 0;
    return has_one ? piece->array->buffers[0] : NULL;
}

bool column_has_nulls(const Column *column) {
    bool all = column->format.row->layout == LAYOUT_null;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        if (piece->length > 0 && (all || bitmap_of(column, piece))) return true;
    }
    return column->parent && column_has_nulls(column->parent);
}

/* Room for the elements, all zeros. */
static bool make_room(const Column *column, const char *type, int64_t size, Block *under, Flat *out,
                      weld_error_t error) {
    out->block = block_new((size_t)(column->length * size), under);
    if (!out->block) return no_memory(error);
    snprintf(out->type, sizeof out->type, "%s", type);
    out->size = size;
    out->vec = (Vec){out->block->memory, column->length};
    return true;
}

static void fill_validity(const Column *column, uint8_t *out) {
    bool all = column->format.row->layout == LAYOUT_null;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        const uint8_t *bits = bitmap_of(column, piece);
        if (bits)
            bits_expand(bits, piece->start, piece->length, out);
        else
            memset(out, !all, (size_t)piece->length);
        out += piece->length;
    }
}

bool column_validity(const Column *column, Flat *out, int64_t *nulls, weld_error_t error) {
    Flat above = {.block = NULL}, own = {.vec = {NULL, column->length}};
    int64_t missing = 0;
    if (column->parent && !column_validity(column->parent, &above, &missing, error)) return false;
    if (column_has_nulls(column)) {
        if (!make_room(column, "bool", 1, NULL, &own, error)) {
            block_drop(above.block);
            return false;
        }
        uint8_t *valid = own.block->memory;
        const uint8_t *parent = above.vec.data;
        fill_validity(column, valid);
        const int64_t length = column->length;
        int64_t there = 0;
        if (parent) {
            for (int64_t i = 0; i < length; i++) valid[i] &= parent[i];
        }
        for (int64_t i = 0; i < length; i++) there += valid[i];
        missing = length - there;
    }
    block_drop(above.block);
    if (missing == 0) { /* a bitmap without a zero */
        block_drop(own.block);
        own = (Flat){.vec = {NULL, column->length}};
    }
    *out = own;
    *nulls = missing;
    return true;
}

/* ---- scalars ---- */

static bool read_null(const Column *column, Flat *out, weld_error_t error) {
    return make_room(column, "bool", 1, NULL, out, error);
}

static bool read_bits(const Column *column, Flat *out, weld_error_t error) {
    if (!make_room(column, "bool", 1, NULL, out, error)) return false;
    uint8_t *to = out->block->memory;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        if (piece->length) bits_expand(piece->array->buffers[1], piece->start, piece->length, to);
        to += piece->length;
    }
    return true;
}

static bool read_plain(const Column *column, Flat *out, weld_error_t error) {
    const FormatRow *row = column->format.row;
    const Piece *first = column->piece;
    const char *data = column->pieces == 1 && first->length ? first->array->buffers[1] : NULL;
    if (data && (uintptr_t)data % (uintptr_t)row->size == 0) {
        snprintf(out->type, sizeof out->type, "%s", row->type);
        out->size = row->size;
        out->vec = (Vec){data + first->start * row->size, first->length};
        out->block = block_hold(column->arrays);
        return true;
    }
    if (!make_room(column, row->type, row->size, NULL, out, error)) return false;
    char *to = out->block->memory;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        const char *from = piece->array->buffers[1];
        if (piece->length) memcpy(to, from + piece->start * row->size, (size_t)(piece->length * row->size));
        to += piece->length * row->size;
    }
    return true;
}

/* ---- strings ---- */

static int64_t offset_at(const void *offsets, int64_t index, int entry) {
    int64_t wide;
    int32_t narrow;
    if (entry == 8) {
        memcpy(&wide, (const char *)offsets + index * 8, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)offsets + index * 4, sizeof narrow);
    return narrow;
}

/* What the offsets part: elements of so many bytes from base on, of which there are `limit`. */
static inline bool part(const Piece *piece, int entry, const char *base, int64_t size, int64_t limit,
                        Vec *out) {
    const void *offsets = piece->array->buffers[1];
    if (!piece->length) return true;
    int64_t begin = offset_at(offsets, piece->start, entry);
    if (begin < 0) return false;
    for (int64_t i = 0; i < piece->length; i++) {
        int64_t end = offset_at(offsets, piece->start + i + 1, entry);
        if (end < begin || end > limit) return false;
        out[i] = (Vec){base ? base + begin * size : NULL, end - begin};
        begin = end;
    }
    return true;
}

static bool part_bytes(const Column *column, Flat *out, int entry, weld_error_t error) {
    if (!make_room(column, "vec[i8]", sizeof(Vec), column->arrays, out, error)) return false;
    Vec *to = out->block->memory;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        const char *data = piece->array->buffers[2];
        int64_t limit = data ? MOST_LENGTH : 0;
        bool ok = entry == 8 ? part(piece, 8, data, 1, limit, to) : part(piece, 4, data, 1, limit, to);
        if (!ok) return bad(column, error, "an offset is less than the one before, or without data");
        to += piece->length;
    }
    return true;
}

static bool read_bytes(const Column *column, Flat *out, weld_error_t error) {
    return part_bytes(column, out, 4, error);
}

static bool read_large_bytes(const Column *column, Flat *out, weld_error_t error) {
    return part_bytes(column, out, 8, error);
}

static bool read_fixed_bytes(const Column *column, Flat *out, weld_error_t error) {
    if (!make_room(column, "vec[i8]", sizeof(Vec), column->arrays, out, error)) return false;
    Vec *to = out->block->memory;
    int64_t width = column->format.width;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        const char *data = piece->array->buffers[1];
        for (int64_t i = 0; i < piece->length; i++)
            *to++ = (Vec){width ? data + (piece->start + i) * width : NULL, width};
    }
    return true;
}

/* A view: its length, then up to 12 bytes of text, or 4 of them, the number of a buffer and an offset into it. */
static bool view_read(const struct ArrowArray *array, const char *view, Vec *out) {
    int32_t word[4];
    memcpy(word, view, sizeof word);
    *out = (Vec){view + 4, word[0]};
    if (word[0] <= 12) return word[0] >= 0;
    const int64_t buffers = array->n_buffers - 3;
    if (word[2] < 0 || word[2] >= buffers || word[3] < 0) return false;
    const char *data = array->buffers[2 + word[2]];
    int64_t size = offset_at(array->buffers[array->n_buffers - 1], word[2], 8);
    out->data = data ? data + word[3] : NULL;
    return data && (int64_t)word[3] + word[0] <= size;
}

static bool is_null(const uint8_t *bits, int64_t index) {
    return bits && !(bits[index / 8] >> index % 8 & 1);
}

static bool read_bytes_view(const Column *column, Flat *out, weld_error_t error) {
    if (!make_room(column, "vec[i8]", sizeof(Vec), column->arrays, out, error)) return false;
    Vec *to = out->block->memory;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *piece = &column->piece[p];
        const uint8_t *bits = bitmap_of(column, piece);
        const char *views = piece->array->buffers[1];
        for (int64_t i = piece->start; i < piece->start + piece->length; i++, to++) {
            if (is_null(bits, i)) continue; /* then a view can be anything; this one is empty */
            if (!view_read(piece->array, views + 16 * i, to))
                return bad(column, error, "a view leads out of its buffer");
        }
    }
    return true;
}

/* ---- lists ---- */

/* Views with offsets and sizes in any order. */
static bool part_views(const Column *list, const Piece *piece, int entry, const char *base, int64_t size,
                       int64_t limit, Vec *out) {
    const uint8_t *bits = bitmap_of(list, piece);
    for (int64_t i = 0; i < piece->length; i++) {
        if (is_null(bits, piece->start + i)) continue;
        int64_t begin = offset_at(piece->array->buffers[1], piece->start + i, entry);
        int64_t length = offset_at(piece->array->buffers[2], piece->start + i, entry);
        if (begin < 0 || length < 0 || begin > limit || length > limit - begin) return false;
        out[i] = (Vec){base ? base + begin * size : NULL, length};
    }
    return true;
}

static void part_evenly(const Column *list, const Piece *piece, const char *base, int64_t size, Vec *out) {
    int64_t width = list->format.width;
    for (int64_t i = 0; i < piece->length; i++)
        out[i] = (Vec){base ? base + (piece->start + i) * width * size : NULL, width};
}

bool column_items(const Column *list, const Flat *items, Flat *out, weld_error_t error) {
    const Layout layout = list->format.row->layout;
    int entry = layouts[layout].entry;
    char type[sizeof out->type];
    snprintf(type, sizeof type, "vec[%.*s]", (int)sizeof type - 6, items->type);
    if (!make_room(list, type, sizeof(Vec), items->block, out, error)) return false;
    Vec *to = out->block->memory;
    const char *base = items->vec.data;
    for (int64_t p = 0; p < list->pieces; p++) {
        const Piece *piece = &list->piece[p];
        int64_t limit = list->child[0]->piece[p].length;
        bool ok = true;
        if (layout == LAYOUT_fixed_list)
            part_evenly(list, piece, base, items->size, to);
        else if (layout == LAYOUT_list_view || layout == LAYOUT_large_list_view)
            ok = part_views(list, piece, entry, base, items->size, limit, to);
        else
            ok = part(piece, entry, base, items->size, limit, to);
        if (!ok) return bad(list, error, "an offset is less than the one before, or beyond the items");
        if (base) base += limit * items->size;
        to += piece->length;
    }
    return true;
}

static bool read_list(const Column *list, Flat *out, weld_error_t error) {
    const Column *child = list->child[0];
    if (child->dictionary || child->format.row->layout == LAYOUT_struct)
        return bad(list, error, "there are no lists of structs or dictionaries here; take its items");
    Flat items = {.block = NULL};
    bool ok = column_flat(child, &items, error) && column_items(list, &items, out, error);
    block_drop(items.block);
    return ok;
}

static bool read_large_list(const Column *list, Flat *out, weld_error_t error) {
    return read_list(list, out, error);
}

static bool read_fixed_list(const Column *list, Flat *out, weld_error_t error) {
    return read_list(list, out, error);
}

static bool read_list_view(const Column *list, Flat *out, weld_error_t error) {
    return read_list(list, out, error);
}

static bool read_large_list_view(const Column *list, Flat *out, weld_error_t error) {
    return read_list(list, out, error);
}

static bool read_struct(const Column *column, Flat *out, weld_error_t error) {
    (void)out;
    return bad(column, error, "the elements of a struct lie in its columns");
}

static bool read_refused(const Column *column, Flat *out, weld_error_t error) {
    (void)out;
    return bad(column, error, "this cannot be read");
}

bool column_flat(const Column *column, Flat *out, weld_error_t error) {
    static bool (*const readers[LAYOUTS])(const Column *, Flat *, weld_error_t) = {
#define LAYOUT(id, buffers, children, entry) read_##id,
#include "layouts.def"
    };
    Flat flat = {.block = NULL};
    if (readers[column->format.row->layout](column, &flat, error)) {
        *out = flat;
        return true;
    }
    block_drop(flat.block);
    return false;
}
