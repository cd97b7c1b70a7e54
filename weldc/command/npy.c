/* npy.c: reads NumPy's .npy files, versions 1 to 3.
 *
 * A file is the magic "\x93NUMPY", a version (2 bytes), the length of the header (2 bytes in version 1, then
 * 4, little-endian), the header, and the data. The header is a Python dict:
 *
 *     {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
 *
 * Data is read straight into memory of ours (of large files by several threads: parts.c), so that its pages are
 * there before a run starts, and put right in place: big-endian elements are swapped, a bool becomes 0 or 1, a Fortran-ordered matrix is transposed in
 * tiles. Of ranks each reads its block of the elements, of a matrix its rows, or a file of its own. Files are read front to back, so a pipe will do. A header that promises more or less than the file
 * holds is an error.
 *
 * Format: NEP 1 and numpy.lib.format's documentation.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

typedef struct Header {
    TypeKind kind;
    size_t size; /* of an element */
    bool swap, fortran;
    int dimensions;
    int64_t shape[2], count;
    int64_t rows, first, own; /* rows of all, or elements; the first one that is loaded, and how many are */
} Header;

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Reads up to bytes, all of them unless the file ends before. -1: errno is set. */
static ssize_t read_fully(int file, void *into, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        size_t chunk = bytes - done < (1u << 26) ? bytes - done : 1u << 26; /* so that a cancel is noticed */
        ssize_t got = read(file, (char *)into + done, chunk);
        if (got < 0 && errno == EINTR && !cancel_flag) continue;
        if (got < 0 || cancel_flag) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static bool read_failed(Fault *fault, const char *path) {
    if (cancel_flag) return fault_set(fault, E_Cancelled, "cancelled while reading %s", path);
    return fault_set(fault, E_File, "cannot read %s: %s", path, strerror(errno));
}

/* ---- the header ---------------------------------------------------------------------------------------- */

/* A cursor over the header's Python literal. */
typedef struct Cursor {
    const char *at, *end;
} Cursor;

static bool take(Cursor *cursor, char expected) {
    while (cursor->at < cursor->end && isspace((unsigned char)*cursor->at)) cursor->at++;
    if (cursor->at == cursor->end || *cursor->at != expected) return false;
    cursor->at++;
    return true;
}

static bool take_word(Cursor *cursor, const char *word) {
    size_t length = strlen(word);
    while (cursor->at < cursor->end && isspace((unsigned char)*cursor->at)) cursor->at++;
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length)) return false;
    cursor->at += length;
    return true;
}

/* 'text' or "text", without escapes. */
static bool take_string(Cursor *cursor, char *out, size_t room) {
    char quote = take(cursor, '\'') ? '\'' : take(cursor, '"') ? '"' : 0;
    if (!quote) return false;
    size_t length = 0;
    while (cursor->at < cursor->end && *cursor->at != quote && length + 1 < room)
        out[length++] = *cursor->at++;
    out[length] = 0;
    return cursor->at < cursor->end && *cursor->at++ == quote;
}

static bool take_count(Cursor *cursor, int64_t *out) {
    int64_t value = 0;
    while (cursor->at < cursor->end && isspace((unsigned char)*cursor->at)) cursor->at++;
    if (cursor->at == cursor->end || !isdigit((unsigned char)*cursor->at)) return false;
    for (; cursor->at < cursor->end && isdigit((unsigned char)*cursor->at); cursor->at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *cursor->at - '0', &value)) {
            return false;
        }
    }
    if (cursor->at < cursor->end && *cursor->at == 'L') cursor->at++; /* as Python 2 wrote it */
    *out = value;
    return true;
}

static bool take_shape(Cursor *cursor, Header *out) {
    if (!take(cursor, '(')) return false;
    out->count = 1;
    while (!take(cursor, ')')) {
        int64_t extent;
        if (!take_count(cursor, &extent)) return false;
        if (out->dimensions < 2) out->shape[out->dimensions] = extent;
        out->dimensions++;
        if (__builtin_mul_overflow(out->count, extent, &out->count)) return false;
        if (!take(cursor, ',')) {
            if (!take(cursor, ')')) return false;
            break;
        }
    }
    return true;
}

/* "<f8" and the like: byte order, kind, size. */
static bool element_type(const char *path, const char *descr, Header *out, Fault *fault) {
    static const struct {
        const char *code;
        TypeKind kind;
    } rows[] = {{"b1", TY_bool}, {"?", TY_bool}, {"i1", TY_i8},  {"i2", TY_i16},
                {"i4", TY_i32},  {"i8", TY_i64}, {"u1", TY_u8},  {"u2", TY_u16},
                {"u4", TY_u32},  {"u8", TY_u64}, {"f4", TY_f32}, {"f8", TY_f64}};
    char order = '|';
    const char *code = descr;
    if (*code && strchr("<>|=", *code)) order = *code++;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(code, rows[i].code)) continue;
        out->kind = rows[i].kind;
        out->size = type_classes[rows[i].kind].bits / 8u;
        out->swap = order == '>' && out->size > 1;
        return true;
    }
    const char *what = strcmp(code, "f2") == 0                        ? "float16"
                       : *code == 'f'                                 ? "extended floats"
                       : *code == 'c'                                 ? "complex numbers"
                       : *code == 'O'                                 ? "Python objects"
                       : *code == 'S' || *code == 'U' || *code == 'a' ? "text"
                       : *code == 'M' || *code == 'm'                 ? "dates or times"
                                                                      : "no numbers";
    return fault_set(
        fault, E_File,
        "%s holds %s (dtype '%s'); integers of up to 64 bits, float32, float64 and bool can be read", path,
        what, descr);
}

static bool header_parse(const char *path, const char *text, size_t length, Header *out, Fault *fault) {
    Cursor cursor = {text, text + length};
    char key[32], descr[64] = "";
    bool seen_order = false, seen_shape = false, ok = take(&cursor, '{');
    while (ok && !take(&cursor, '}')) {
        ok = take_string(&cursor, key, sizeof key) && take(&cursor, ':');
        if (ok && strcmp(key, "descr") == 0) {
            if (take(&cursor, '[')) {
                return fault_set(fault, E_File, "%s holds records (a structured dtype), not numbers", path);
            }
            ok = take_string(&cursor, descr, sizeof descr);
        } else if (ok && strcmp(key, "fortran_order") == 0) {
            seen_order = true;
            out->fortran = take_word(&cursor, "True");
            ok = out->fortran || take_word(&cursor, "False");
        } else if (ok && strcmp(key, "shape") == 0) {
            seen_shape = true;
            ok = take_shape(&cursor, out);
        } else {
            ok = false;
        }
        if (ok && !take(&cursor, ',')) {
            ok = take(&cursor, '}');
            break;
        }
    }
    if (!ok || !*descr || !seen_order || !seen_shape) {
        return fault_set(fault, E_File, "%s is not a .npy file: its header cannot be understood", path);
    }
    if (!element_type(path, descr, out, fault)) return false;
    if (out->dimensions > 2) {
        return fault_set(fault, E_File, "%s has %d dimensions; 1 and 2 can be read", path, out->dimensions);
    }
    int64_t bytes;
    if (__builtin_mul_overflow(out->count, (int64_t)out->size, &bytes)) {
        return fault_set(fault, E_File, "%s has a header that promises more data than memory can have", path);
    }
    return true;
}

/* Reads everything before the data; *bytes: how much that is. */
static bool header_read(int file, const char *path, Header *out, int64_t *bytes, Fault *fault) {
    unsigned char start[12];
    ssize_t got = read_fully(file, start, 8);
    if (got < 0) return read_failed(fault, path);
    if (got < 8 || memcmp(start, "\x93NUMPY", 6)) {
        return fault_set(fault, E_File, "%s is not a .npy file", path);
    }
    if (start[6] < 1 || start[6] > 3) {
        return fault_set(fault, E_File, "%s is a .npy file of version %d.%d; 1 to 3 can be read", path,
                         start[6], start[7]);
    }
    size_t width = start[6] == 1 ? 2 : 4, length = 0;
    got = read_fully(file, start + 8, width);
    for (size_t i = width; i-- > 0;) length = length << 8 | start[8 + i];
    if (got < (ssize_t)width || length > 1 << 20) {
        return fault_set(fault, E_File, "%s is truncated, or not a .npy file", path);
    }
    char *text = malloc(length + 1);
    if (!text) return fault_set(fault, E_File, "no memory for the header of %s", path);
    got = read_fully(file, text, length);
    bool ok = got == (ssize_t)length;
    if (!ok) fault_set(fault, E_File, "%s is truncated: it ends within its header", path);
    ok = ok && header_parse(path, text, length, out, fault);
    free(text);
    *bytes = (int64_t)(8 + width + length);
    return ok;
}

/* ---- the data ------------------------------------------------------------------------------------------ */

static void swap_bytes(void *data, int64_t count, size_t size) {
    if (size == 2) {
        for (uint16_t *p = data, *end = p + count; p < end; p++) *p = __builtin_bswap16(*p);
    } else if (size == 4) {
        for (uint32_t *p = data, *end = p + count; p < end; p++) *p = __builtin_bswap32(*p);
    } else if (size == 8) {
        for (uint64_t *p = data, *end = p + count; p < end; p++) *p = __builtin_bswap64(*p);
    }
}

/* to[r][c] = from[c][r] by tiles that fit the nearest cache. */
static void transpose(char *to, const char *from, int64_t rows, int64_t columns, size_t size) {
    enum { TILE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += TILE) {
        for (int64_t c0 = 0; c0 < columns; c0 += TILE) {
            int64_t r1 = r0 + TILE < rows ? r0 + TILE : rows, c1 = c0 + TILE < columns ? c0 + TILE : columns;
            for (int64_t r = r0; r < r1; r++) {
                for (int64_t c = c0; c < c1; c++) {
                    memcpy(to + (size_t)(r * columns + c) * size, from + (size_t)(c * rows + r) * size, size);
                }
            }
        }
    }
}

static bool is_matrix(const Header *header) {
    return header->dimensions == 2 && header->shape[0] > 1 && header->shape[1] > 1;
}

/* Of the rows, or elements, that are loaded. */
static int64_t row_length(const Header *header) {
    return header->dimensions == 2 ? header->shape[1] : 1;
}

/* Bytes at a place behind the header. In a pipe there is but one order. */
static bool bytes_read(int file, const char *path, int64_t at, void *into, size_t bytes, Fault *fault) {
    bool parts = parts_pay(bytes) && lseek(file, (off_t)(at + (int64_t)bytes), SEEK_SET) >= 0;
    if (!parts) lseek(file, (off_t)at, SEEK_SET);
    ssize_t got = parts ? parts_read(file, at, into, bytes) : read_fully(file, into, bytes);
    if (got < 0) return read_failed(fault, path);
    if ((size_t)got == bytes) return true;
    return fault_set(fault, E_File,
                     "%s is truncated: it holds %zd of the %zu bytes of data that its header promises", path,
                     got, bytes);
}

/* Columns lie one after the other: of each the rows that are loaded. */
static bool columns_read(int file, const char *path, const Header *header, int64_t before, char *into,
                         Fault *fault) {
    size_t bytes = (size_t)header->own * header->size;
    for (int64_t column = 0; column < header->shape[1]; column++) {
        int64_t at = before + (column * header->rows + header->first) * (int64_t)header->size;
        if (!bytes_read(file, path, at, into + (size_t)column * bytes, bytes, fault)) return false;
    }
    return true;
}

/* Reads the elements into memory of the inputs, in row-major order and the machine's byte order. */
static bool data_read(Inputs *inputs, int file, const char *path, const Header *header, int64_t before,
                      void **out, Fault *fault) {
    int64_t count = header->own * row_length(header);
    size_t bytes = (size_t)count * header->size;
    bool all = count == header->count, columns = header->fortran && is_matrix(header);
    void *data = inputs_alloc(inputs, bytes, fault);
    int64_t at = before + header->first * row_length(header) * (int64_t)header->size;
    if (!data) return false;
    if (!(columns && !all ? columns_read(file, path, header, before, data, fault)
                          : bytes_read(file, path, at, data, bytes, fault)))
        return false;
    char beyond;
    if (all && read_fully(file, &beyond, 1) != 0) {
        return fault_set(fault, E_File, "%s holds more than the %zu bytes of data that its header promises",
                         path, bytes);
    }
    if (header->swap) swap_bytes(data, count, header->size);
    if (header->kind == TY_bool) {
        for (unsigned char *p = data, *end = p + bytes; p < end; p++) *p = *p != 0;
    }
    if (columns && header->own > 0) {
        void *rows = inputs_alloc(inputs, bytes, fault);
        if (!rows) return false;
        transpose(rows, data, header->own, header->shape[1], header->size);
        data = rows;
    }
    *out = data;
    return true;
}

/* ---- ranks ---- */

/* Files of all ranks must go together. Sets rows, and what of them this rank loads. */
static bool agree(Ranks *ranks, const char *path, Share share, Header *header, Fault *fault) {
    int64_t rows = header->dimensions == 0 ? 1 : header->shape[0];
    header->rows = header->own = rows;
    if (share == SHARE_whole) return true;
    if (share == SHARE_part && header->dimensions == 0)
        return fault_set(fault, E_File, "%s holds one number, which has no parts", path);
    int64_t own[4] = {header->kind, header->dimensions, row_length(header), rows};
    int64_t *all = malloc(4 * (size_t)ranks->ranks * sizeof *all);
    bool ok = all || fault_set(fault, E_OutOfMemory, "no memory for the header of %s", path);
    ok = ok && ranks_gather(ranks, own, 4, all, fault);
    bool same = ok && all[0] == own[0] && all[1] == own[1] && all[2] == own[2];
    if (ok && !same)
        ok = fault_set(fault, E_File,
                       "%s holds %s in %lld dimensions, %lld in a row, but on rank 0 it is %s in %lld, %lld",
                       path, type_classes[own[0]].spelling, (long long)own[1], (long long)own[2],
                       type_classes[all[0]].spelling, (long long)all[1], (long long)all[2]);
    if (ok && share == SHARE_block && all[3] != rows)
        ok = fault_set(fault, E_File, "%s has %lld rows, but on rank 0 it has %lld", path, (long long)rows,
                       (long long)all[3]);
    if (ok && share == SHARE_block && header->dimensions > 0) {
        header->first = block_begin(rows, ranks->rank, ranks->ranks);
        header->own = block_begin(rows, ranks->rank + 1, ranks->ranks) - header->first;
    }
    for (int peer = 0; ok && share == SHARE_part && peer < ranks->ranks; peer++)
        header->rows += peer == ranks->rank ? 0 : all[4 * peer + 3];
    free(all);
    return ok;
}

/* The value around the elements: a vector, a matrix as {vec, rows, columns}, or a scalar. */
static bool wrap(Inputs *inputs, const Header *header, void *data, Datum *out, Fault *fault) {
    TypeTable *types = &inputs->types;
    Type *element = type_scalar(types, header->kind), *size = type_scalar(types, TY_i64);
    struct {
        Vec vec;
        int64_t shape[2];
    } *value = inputs_alloc(inputs, sizeof *value, fault);
    if (!value) return false;
    value->vec = (Vec){data, header->own * row_length(header)};
    value->shape[0] = header->rows;
    value->shape[1] = header->shape[1];
    if (header->dimensions == 0) {
        *out = (Datum){element, data};
    } else if (header->dimensions == 1) {
        *out = (Datum){type_vec(types, element), value};
    } else {
        *out = (Datum){
            type_make(types, TY_struct, OP_none, 3, (Type *[]){type_vec(types, element), size, size}), value};
    }
    return true;
}

/* Compares the file's size with the header's promise before memory is taken for it. */
static bool size_check(int file, const char *path, const Header *header, int64_t before, Fault *fault) {
    struct stat status;
    if (fstat(file, &status) || !S_ISREG(status.st_mode)) return true;
    int64_t promised = header->count * (int64_t)header->size, held = (int64_t)status.st_size - before;
    if (held == promised) return true;
    return fault_set(fault, E_File, "%s %s: its header promises %lld bytes of data, but %lld follow", path,
                     held < promised ? "is truncated" : "does not agree with its header", (long long)promised,
                     (long long)held);
}

bool npy_load(Inputs *inputs, const char *path, Share share, Datum *out, Fault *fault) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return fault_set(fault, E_File, "cannot open %s: %s", path, strerror(errno));
    Header header = {0};
    int64_t before = 0;
    void *data = NULL;
    bool ok = header_read(file, path, &header, &before, fault) &&
              size_check(file, path, &header, before, fault) &&
              agree(&inputs->ranks, path, share, &header, fault) &&
              data_read(inputs, file, path, &header, before, &data, fault) &&
              wrap(inputs, &header, data, out, fault);
    close(file);
    return ok;
}
