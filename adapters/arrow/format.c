/* format.c: format strings, "l", "tsu:Europe/Paris", "+w:3", by the rows of formats.def. */
#include "arrow.h"

#include <string.h>

enum { NONE, TEXT, NUMBER };

static const FormatRow formats[] = {
#define FORMAT(spelling, rest, layout, type, size, doc) {spelling, rest, LAYOUT_##layout, type, size, doc},
#include "formats.def"
};

const LayoutRow layouts[LAYOUTS] = {
#define LAYOUT(id, buffers, children, entry) {buffers, children, entry},
#include "layouts.def"
};

/* The whole text is a number that is a possible length. */
static bool number_read(const char *text, int64_t *out) {
    int64_t number = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        number = 10 * number + (*text - '0');
        if (number > INT32_MAX) return false; /* as Arrow has it */
    }
    *out = number;
    return true;
}

bool format_read(const char *text, Format *out) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const FormatRow *row = &formats[i];
        size_t length = strlen(row->spelling);
        if (strncmp(text, row->spelling, length) != 0) continue;
        const char *rest = text + length;
        Format format = {row, 0};
        if (row->rest == NONE && *rest) continue;
        if (row->rest == NUMBER && !number_read(rest, &format.width)) continue;
        *out = format;
        return true;
    }
    return false;
}
