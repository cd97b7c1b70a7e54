/* sheet.c: results as columns that Arrow's structs can show.
 *
 *     vec[i64]                   its elements, where they are
 *     vec[bool], validity        bits, copied
 *     vec[{i64, f64}]            a struct, each field copied into a column: here a row lies beside the next
 *     {vec[i64], vec[f64]}       a struct of columns, where they are
 *     vec[vec[T]]                nested.c
 */
#include "arrow.h"

#include <stdio.h>
#include <string.h>

Sheet *sheet_new(const char *name) {
    Sheet *sheet = calloc(1, sizeof *sheet);
    if (!sheet) return NULL;
    sheet->name = strdup(name ? name : "");
    if (sheet->name) return sheet;
    free(sheet);
    return NULL;
}

void sheet_free(Sheet *sheet) {
    if (!sheet) return;
    for (int64_t i = 0; i < sheet->children; i++) sheet_free(sheet->child[i]);
    for (int i = 0; i < 3; i++) free(sheet->owned[i]);
    sheet_free(sheet->dictionary);
    free(sheet->child);
    free(sheet->name);
    free(sheet->format);
    free(sheet);
}

bool sheet_add(Sheet *sheet, Sheet *child) {
    Sheet **more = child ? realloc(sheet->child, ((size_t)sheet->children + 1) * sizeof *more) : NULL;
    if (!more) {
        sheet_free(child);
        return false;
    }
    sheet->child = more;
    sheet->child[sheet->children++] = child;
    return true;
}

bool sheet_set_format(Sheet *sheet, const char *format, weld_error_t error) {
    sheet->format = strdup(format);
    return sheet->format || no_memory(error);
}

void sheet_set(Sheet *sheet, int buffer, const void *data) {
    static const uint64_t nothing[8];
    sheet->buffer[buffer] = data ? data : nothing;
    if (sheet->buffers <= buffer) sheet->buffers = buffer + 1;
}

void *sheet_room(Sheet *sheet, int buffer, int64_t count, int64_t size, weld_error_t error) {
    bool fits = size == 0 || count <= MOST_LENGTH / size;
    void *memory = fits ? calloc(1, (size_t)(count * size) + 1) : NULL;
    if (!memory) {
        no_memory(error);
        return NULL;
    }
    sheet->owned[buffer] = memory;
    sheet_set(sheet, buffer, memory);
    return memory;
}

bool sheet_bad_format(const Sheet *sheet, const char *format, const char *type, weld_error_t error) {
    return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\": %.100s cannot be of format \"%.40s\"",
                 sheet->name, type, format);
}

/* ---- elements ---- */

/* A bit for each byte, `stride` bytes apart; how many of them are 0. */
static int64_t bits_pack(const uint8_t *from, int64_t stride, int64_t count, uint8_t *out) {
    int64_t zeros = count;
    for (int64_t i = 0; i < count; i++) {
        bool set = from[i * stride] != 0;
        out[i / 8] |= (uint8_t)(set << i % 8);
        zeros -= set;
    }
    return zeros;
}

static bool fill_validity(Sheet *sheet, const uint8_t *validity, weld_error_t error) {
    sheet->buffer[0] = NULL;
    sheet->buffers = 1;
    if (!validity || !memchr(validity, 0, (size_t)sheet->length)) return true;
    uint8_t *bits = sheet_room(sheet, 0, sheet->length / 8 + 1, 1, error);
    if (!bits) return false;
    sheet->nulls = bits_pack(validity, 1, sheet->length, bits);
    return true;
}

static bool fill_bits(Sheet *sheet, const Source *source, const char *format, weld_error_t error) {
    if (format && strcmp(format, "b") != 0) return sheet_bad_format(sheet, format, "vec[bool]", error);
    uint8_t *bits = sheet_room(sheet, 1, source->count / 8 + 1, 1, error);
    if (!bits) return false;
    bits_pack((const uint8_t *)source->base, source->stride, source->count, bits);
    return sheet_set_format(sheet, "b", error);
}

static bool fill_numbers(Sheet *sheet, const Source *source, const char *text, weld_error_t error) {
    const Type *type = source->type;
    Format format;
    if (!text) text = type->format;
    if (!format_read(text, &format) || format.row->layout != LAYOUT_plain ||
        strcmp(format.row->type, type->name) != 0)
        return sheet_bad_format(sheet, text, type->name, error);
    if (source->stride == type->size || source->count <= 1) {
        sheet_set(sheet, 1, source->count ? source->base : NULL);
    } else {
        char *to = sheet_room(sheet, 1, source->count, type->size, error);
        if (!to) return false;
        for (int64_t i = 0; i < source->count; i++)
            memcpy(to + i * type->size, source->base + i * source->stride, (size_t)type->size);
    }
    return sheet_set_format(sheet, text, error);
}

static bool is_struct_format(const Sheet *sheet, const char *format, weld_error_t error) {
    return !format || strcmp(format, "+s") == 0 || sheet_bad_format(sheet, format, "a struct", error);
}

/* The next child of a struct, named by its number. */
static Sheet *add_numbered(Sheet *sheet, weld_error_t error) {
    char name[24];
    snprintf(name, sizeof name, "%lld", (long long)sheet->children);
    if (sheet_add(sheet, sheet_new(name))) return sheet->child[sheet->children - 1];
    no_memory(error);
    return NULL;
}

static bool fill_structs(Sheet *sheet, const Source *source, const char *format, weld_error_t error) {
    const Type *type = source->type;
    if (!is_struct_format(sheet, format, error)) return false;
    for (int64_t i = 0; i < type->count; i++) {
        Sheet *child = add_numbered(sheet, error);
        const char *base = source->base ? source->base + type->offset[i] : NULL;
        Source field = {type->part[i], base, source->stride, source->count};
        if (!child || !sheet_fill(child, &field, NULL, NULL, error)) return false;
    }
    return sheet_set_format(sheet, "+s", error);
}

bool sheet_fill(Sheet *sheet, const Source *source, const uint8_t *validity, const char *format,
                weld_error_t error) {
    sheet->length = source->count;
    if (!fill_validity(sheet, validity, error)) return false;
    switch (source->type->kind) {
    case TYPE_bool: return fill_bits(sheet, source, format, error);
    case TYPE_number: return fill_numbers(sheet, source, format, error);
    case TYPE_vec: return fill_nested(sheet, source, validity, format, error);
    default: return fill_structs(sheet, source, format, error);
    }
}

/* ---- values ---- */

static bool fill_value(Sheet *sheet, const Type *type, const char *data, const Vec *validity,
                       const char *format, weld_error_t error);

static bool fill_columns(Sheet *sheet, const Type *type, const char *data, const char *format,
                         weld_error_t error) {
    if (!is_struct_format(sheet, format, error)) return false;
    for (int64_t i = 0; i < type->count; i++) {
        Sheet *child = add_numbered(sheet, error);
        if (!child || !fill_value(child, type->part[i], data + type->offset[i], NULL, NULL, error))
            return false;
        if (i > 0 && child->length != sheet->length)
            return fault(error, WELD_ARGUMENT_ERROR,
                         "column \"%.100s\": field 0 has %lld elements, field %lld has %lld", sheet->name,
                         (long long)sheet->length, (long long)i, (long long)child->length);
        sheet->length = child->length;
    }
    return sheet_set_format(sheet, "+s", error);
}

static bool fits(const Sheet *sheet, const Vec *validity, int64_t length, weld_error_t error) {
    return !validity || validity->length == length ||
           fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\" has %lld values, its validity %lld",
                 sheet->name, (long long)length, (long long)validity->length);
}

static bool fill_value(Sheet *sheet, const Type *type, const char *data, const Vec *validity,
                       const char *format, weld_error_t error) {
    const uint8_t *bytes = validity && validity->length ? validity->data : NULL;
    if (type->kind == TYPE_struct)
        return fill_columns(sheet, type, data, format, error) &&
               fits(sheet, validity, sheet->length, error) && fill_validity(sheet, bytes, error);
    Source source = {type, data, type->size, 1};
    if (type->kind == TYPE_vec) {
        const Vec *vec = (const Vec *)(const void *)data;
        source = (Source){type->part[0], vec->data, type->part[0]->size, vec->length};
    }
    return fits(sheet, validity, source.count, error) && sheet_fill(sheet, &source, bytes, format, error);
}

/* The type of a result. NULL: error set. */
static Type *type_of(const Sheet *sheet, weld_value_t value, weld_error_t error) {
    static const char *const unlike[] = {"dict[", "simd[", "merger[", "appender["};
    const char *text = weld_value_type(value);
    Type *type = text ? type_read(text) : NULL;
    if (type) return type;
    for (size_t i = 0; text && i < sizeof unlike / sizeof *unlike; i++) {
        if (!strstr(text, unlike[i])) continue;
        fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\": Arrow has nothing like %.200s", sheet->name,
              text);
        return NULL;
    }
    if (text)
        no_memory(error);
    else
        fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\": this is not a result", sheet->name);
    return NULL;
}

static bool read_validity(const Sheet *sheet, weld_value_t value, Vec *out, weld_error_t error) {
    const char *type = weld_value_type(value);
    if (type && strcmp(type, "vec[bool]") == 0)
        *out = *(const Vec *)weld_value_data(value);
    else if (type && strcmp(type, "bool") == 0)
        *out = (Vec){weld_value_data(value), 1};
    else
        return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\": validity is a vec[bool], not %.100s",
                     sheet->name, type ? type : "this");
    return true;
}

/* Whoever reads the column relies on them. */
static bool check_indices(const Sheet *sheet, const Type *type, const Vec *validity, weld_error_t error) {
    const uint8_t *bytes = validity && validity->length ? validity->data : NULL;
    for (int64_t i = 0; i < sheet->length; i++) {
        int64_t index = index_at((const char *)sheet->buffer[1] + i * type->size, type->name);
        if ((index < 0 || index >= sheet->dictionary->length) && (!bytes || bytes[i]))
            return fault(error, WELD_ARGUMENT_ERROR,
                         "column \"%.100s\": index %lld is not in the dictionary of %lld values", sheet->name,
                         (long long)index, (long long)sheet->dictionary->length);
    }
    return true;
}

static bool fill_dictionary(Sheet *sheet, const Type *index, const weld_arrow_field_t *field,
                            const Vec *validity, weld_error_t error) {
    if (index->kind == TYPE_vec) index = index->part[0];
    if (index->kind != TYPE_number || index->name[0] == 'f')
        return fault(error, WELD_ARGUMENT_ERROR,
                     "column \"%.100s\": the indices of a dictionary are integers", sheet->name);
    sheet->dictionary = sheet_new(NULL);
    if (!sheet->dictionary) return no_memory(error);
    Type *type = type_of(sheet, field->dictionary, error);
    bool ok =
        type &&
        fill_value(sheet->dictionary, type, weld_value_data(field->dictionary), NULL, field->format, error) &&
        check_indices(sheet, index, validity, error);
    type_free(type);
    return ok;
}

static bool fill_field(Sheet *sheet, const weld_arrow_field_t *field, weld_error_t error) {
    Vec validity, *valid = NULL;
    if (field->validity) {
        if (!read_validity(sheet, field->validity, &validity, error)) return false;
        valid = &validity;
        sheet->nullable = true;
    }
    Type *type = type_of(sheet, field->values, error);
    const char *format = field->dictionary ? NULL : field->format;
    bool ok = type && fill_value(sheet, type, weld_value_data(field->values), valid, format, error);
    if (ok && field->dictionary) ok = fill_dictionary(sheet, type, field, valid, error);
    type_free(type);
    return ok;
}

Sheet *sheet_of_field(const weld_arrow_field_t *field, weld_error_t error) {
    Sheet *sheet = sheet_new(field->name);
    if (!sheet) {
        no_memory(error);
        return NULL;
    }
    if (fill_field(sheet, field, error)) return sheet;
    sheet_free(sheet);
    return NULL;
}
