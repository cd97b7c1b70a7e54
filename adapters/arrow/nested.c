/* nested.c: vectors of vectors as strings and lists.
 *
 *     {"ab", 2} {"", 0} {"cde", 3}   ->   offsets 0 2 2 5, data "abcde"
 *
 * If each lies where the one before ended, as in what was read from Arrow and left as it was, the data are used where they
 * are; else they are copied. What is missing counts as empty, in formats of one width as zeros. Readers trust in text
 * that it is UTF-8, so that is checked.
 */
#include "arrow.h"

#include <string.h>

typedef struct Nested {
    const Source *source;
    const uint8_t *validity;
    Format format;
    const Type *element;
    int64_t total;   /* elements of all vectors */
    const char *run; /* where all lie, if one behind the other */
    bool is_run;
} Nested;

static Vec vec_at(const Nested *n, int64_t i) {
    Vec vec;
    memcpy(&vec, n->source->base + i * n->source->stride, sizeof vec);
    if (n->validity && !n->validity[i]) vec.length = 0;
    return vec;
}

static bool is_fixed(const Nested *n) {
    return n->format.row->layout == LAYOUT_fixed_bytes || n->format.row->layout == LAYOUT_fixed_list;
}

static void measure(Nested *n) {
    const char *end = NULL;
    n->is_run = true;
    for (int64_t i = 0; i < n->source->count; i++) {
        Vec vec = vec_at(n, i);
        if (vec.length == 0) continue;
        if (!end) n->run = end = vec.data;
        n->is_run &= end == vec.data;
        end = (const char *)vec.data + vec.length * n->element->size;
        n->total += vec.length;
        if (n->total > MOST_LENGTH) return;
    }
}

static bool is_bytes(Layout layout) {
    return layout == LAYOUT_bytes || layout == LAYOUT_large_bytes || layout == LAYOUT_fixed_bytes;
}

static bool is_list(Layout layout) {
    return layout == LAYOUT_list || layout == LAYOUT_large_list || layout == LAYOUT_fixed_list;
}

static bool choose_format(Nested *n, const Sheet *sheet, const char **text, weld_error_t error) {
    bool is_byte = n->element->kind == TYPE_number && n->element->size == 1;
    bool is_text = is_byte && n->element->name[0] == 'i', is_large = n->total > INT32_MAX;
    if (!*text) *text = is_text ? is_large ? "U" : "u" : is_large ? "+L" : "+l";
    if (!format_read(*text, &n->format)) return sheet_bad_format(sheet, *text, "vec[vec[..]]", error);
    Layout layout = n->format.row->layout;
    if (!is_list(layout) && !(is_bytes(layout) && is_byte))
        return sheet_bad_format(sheet, *text, is_byte ? "vec[vec[i8]]" : "vec[vec[..]]", error);
    if (is_large && layouts[layout].entry == 4)
        return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\" is too large for format \"%.40s\"",
                     sheet->name, *text);
    return true;
}

static bool check_width(Nested *n, const Sheet *sheet, weld_error_t error) {
    int64_t width = n->format.width;
    for (int64_t i = 0; i < n->source->count; i++) {
        Vec vec = vec_at(n, i);
        if (vec.length == width) continue;
        if (!n->validity || n->validity[i])
            return fault(error, WELD_ARGUMENT_ERROR,
                         "column \"%.100s\": a vector of %lld elements is not of format \"%.40s%lld\"",
                         sheet->name, (long long)vec.length, n->format.row->spelling, (long long)width);
        n->is_run = false;
    }
    if (width && n->source->count > MOST_LENGTH / width) return no_memory(error);
    n->total = n->source->count * width;
    return true;
}

static bool is_ascii(const uint8_t *at, int64_t length) {
    uint64_t bits = 0;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        bits |= word;
    }
    while (length-- > 0) bits |= *at++;
    return !(bits & 0x8080808080808080u);
}

/* RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_utf8(const uint8_t *at, int64_t length) {
    const uint8_t *end = at + length;
    while (at < end) {
        uint8_t first = *at++;
        if (first < 0x80) continue;
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - at < more) return false;
        uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
        uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
        if (*at < low || *at > high) return false;
        for (int i = 1; i < more; i++) {
            if ((at[i] & 0xC0) != 0x80) return false;
        }
        at += more;
    }
    return true;
}

static bool check_text(const Nested *n, const Sheet *sheet, weld_error_t error) {
    if (n->format.row->spelling[0] != 'u' && n->format.row->spelling[0] != 'U') return true;
    if (n->is_run && is_ascii((const uint8_t *)n->run, n->total)) return true;
    for (int64_t i = 0; i < n->source->count; i++) {
        Vec vec = vec_at(n, i);
        if (vec.length > 0 && !is_utf8(vec.data, vec.length))
            return fault(error, WELD_ARGUMENT_ERROR,
                         "column \"%.100s\": element %lld is not UTF-8; ask for format \"z\"", sheet->name,
                         (long long)i);
    }
    return true;
}

/* All elements in one place. Memory that is made for that is the sheet's, as its last buffer. */
static const char *gather(const Nested *n, Sheet *sheet, weld_error_t error) {
    static const uint64_t none[1];
    if (n->is_run) return n->run ? n->run : (const char *)none;
    int buffers = sheet->buffers;
    int64_t size = n->element->size, step = is_fixed(n) ? n->format.width * size : 0;
    char *memory = sheet_room(sheet, 2, n->total, size, error), *to = memory;
    sheet->buffers = buffers;
    for (int64_t i = 0; memory && i < n->source->count; i++) {
        Vec vec = vec_at(n, i);
        if (vec.length) memcpy(to, vec.data, (size_t)(vec.length * size));
        to += is_fixed(n) ? step : vec.length * size;
    }
    return memory;
}

static bool fill_offsets(const Nested *n, Sheet *sheet, int entry, weld_error_t error) {
    char *to = sheet_room(sheet, 1, n->source->count + 1, entry, error);
    int64_t sum = 0;
    for (int64_t i = 0; to && i < n->source->count; i++) {
        sum += vec_at(n, i).length;
        if (entry == 8)
            ((int64_t *)(void *)to)[i + 1] = sum;
        else
            ((int32_t *)(void *)to)[i + 1] = (int32_t)sum;
    }
    return to != NULL;
}

bool fill_nested(Sheet *sheet, const Source *source, const uint8_t *validity, const char *text,
                 weld_error_t error) {
    Nested n = {.source = source, .validity = validity, .element = source->type->part[0]};
    measure(&n);
    if (n.total > MOST_LENGTH) return no_memory(error);
    if (!choose_format(&n, sheet, &text, error)) return false;
    if (is_fixed(&n) && !check_width(&n, sheet, error)) return false;
    if (!check_text(&n, sheet, error)) return false;
    Layout layout = n.format.row->layout;
    int entry = layouts[layout].entry;
    if (entry && !fill_offsets(&n, sheet, entry, error)) return false;
    const char *data = gather(&n, sheet, error);
    if (!data || !sheet_set_format(sheet, text, error)) return false;
    if (is_bytes(layout)) {
        sheet_set(sheet, entry ? 2 : 1, data);
        return true;
    }
    Sheet *items = sheet_new("item");
    if (!sheet_add(sheet, items)) return no_memory(error);
    Source elements = {n.element, data, n.element->size, n.total};
    return sheet_fill(items, &elements, NULL, NULL, error);
}
