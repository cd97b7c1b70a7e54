/* case.c: texts in capitals or small letters.
 *
 *     "Äpfel ß" in capitals: "ÄPFEL ß"
 *
 * A character becomes one character, as the tables of Unicode say (case.def), in which binary search finds the row of a letter
 * beyond ASCII. Its UTF-8 may be longer by half. Bytes that are no UTF-8 stay as they are.
 */
#include "frame.h"

typedef struct Letters {
    int32_t first, last, step, offset;
} Letters;

static const Letters capitals[] = {
#define UPPER(first, last, step, offset) {first, last, step, offset},
#include "case.def"
};

static const Letters smalls[] = {
#define LOWER(first, last, step, offset) {first, last, step, offset},
#include "case.def"
};

static int32_t change(const Letters *rows, int64_t count, int32_t letter) {
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (rows[middle].last < letter)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count || letter < rows[low].first || (letter - rows[low].first) % rows[low].step)
        return letter;
    return letter + rows[low].offset;
}

/* The character of several bytes that begins at `at`; 0: there is none. */
static int decode(const char *at, int64_t length, int32_t *letter) {
    const unsigned char *byte = (const unsigned char *)at;
    int bytes = *byte < 0xc2 ? 0 : *byte < 0xe0 ? 2 : *byte < 0xf0 ? 3 : *byte < 0xf5 ? 4 : 0;
    if (!bytes || bytes > length) return 0;
    int32_t code = *byte & (0x7f >> bytes);
    for (int i = 1; i < bytes; i++) {
        if ((byte[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte[i] & 0x3f);
    }
    *letter = code;
    return bytes;
}

static int encode(int32_t letter, char *out) {
    if (letter < 0x80) return *out = (char)letter, 1;
    int bytes = letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
    for (int i = bytes - 1; i > 0; i--, letter >>= 6) out[i] = (char)(0x80 | (letter & 0x3f));
    out[0] = (char)(0xf00 >> bytes | letter);
    return bytes;
}

int64_t text_change_case(bool upper, const char *text, int64_t length, char *out) {
    const Letters *rows = upper ? capitals : smalls;
    int64_t count = upper ? sizeof capitals / sizeof *capitals : sizeof smalls / sizeof *smalls, made = 0;
    char from = upper ? 'a' : 'A', to = upper ? 'z' : 'Z';
    for (int64_t i = 0; i < length;) {
        int32_t letter;
        int bytes = decode(text + i, length - i, &letter);
        if (bytes) {
            made += encode(change(rows, count, letter), out + made);
            i += bytes;
        } else {
            char c = text[i++];
            out[made++] = c >= from && c <= to ? (char)(c ^ 0x20) : c;
        }
    }
    return made;
}
