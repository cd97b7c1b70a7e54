/* data.c: the inputs of columns.def: makes each once, as a .npy file, and reads it.
 *
 * A file is written under another name and renamed when it is complete, so that a file that exists is whole.
 * Columns are read into pages of 2 MiB, as a good loader would, and stay in memory until data_keep.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../examples/lineitem.h"
#include "bench.h"

enum { SEED = 1, BLOCK = 1 << 16, HEADER = 128 };

Sizes sizes_of(int64_t rows) {
    return (Sizes){.rows = rows,
                   .points = rows / 5 > 8 ? rows / 5 : 8,
                   .samples = rows / 10 > 1 ? rows / 10 : 1,
                   .images = 256 * (rows < 20000    ? 1
                                    : rows > 200000 ? 20
                                                    : rows / 10000),
                   .nodes = rows / 10 > 1 ? rows / 10 : 1};
}

static int64_t draw(uint64_t stream, int64_t i, uint64_t range) {
    return lineitem_draw(SEED + 100, stream, (uint64_t)i, range);
}

static double unit(uint64_t stream, int64_t i) {
    return (double)(lineitem_mix(lineitem_mix(stream + 1000) ^ (uint64_t)i) >> 11) * 0x1p-53;
}

static LineItem line(int64_t i) {
    LineItem item;
    lineitem_make(SEED, i, &item);
    return item;
}

/* Keys as identifiers are: different, and without a pattern. */
static int64_t scatter(int64_t i) {
    return (int64_t)(lineitem_mix((uint64_t)i) >> 1);
}

/* 1 with the probability that a model with alternating weights gives. */
static float label(int64_t i) {
    double score = 0;
    for (int64_t k = 0; k < 30; k++) score += (2 * unit(17, i * 30 + k) - 1) * (k % 2 ? 1 : -1);
    return unit(18, i) < 1 / (1 + exp(-score)) ? 1 : 0;
}

#define COLUMN(name, ctype, descr, length, columns, value)                      \
    static void fill_##name(Sizes s, int64_t start, int64_t count, void *out) { \
        (void)s;                                                                \
        for (int64_t at = 0; at < count; at++) {                                \
            int64_t i = start + at;                                             \
            ((ctype *)out)[at] = (ctype)(value);                                \
        }                                                                       \
    }
#include "columns.def"

#define COLUMN(name, ctype, descr, length, columns, value) \
    static int64_t length_##name(Sizes s) {                \
        (void)s;                                           \
        return length;                                     \
    }
#include "columns.def"

typedef struct Source {
    const char *name, *descr;
    size_t size;
    int64_t columns;
    int64_t (*length)(Sizes s);
    void (*fill)(Sizes s, int64_t start, int64_t count, void *out);
} Source;

static const Source sources[] = {
#define COLUMN(name, ctype, descr, length, columns, value) \
    {#name, descr, sizeof(ctype), columns, length_##name, fill_##name},
#include "columns.def"
};
enum { SOURCES = sizeof sources / sizeof *sources };

static const Source *source_find(const char *name) {
    for (int i = 0; i < SOURCES; i++)
        if (!strcmp(sources[i].name, name)) return &sources[i];
    fprintf(stderr, "weldc-bench: no column %s\n", name);
    return NULL;
}

/* NumPy's format, version 1.0: magic, length of the header, a Python dictionary padded with spaces. */
static void header_write(FILE *file, const Source *source, int64_t length) {
    char header[HEADER] = "\x93NUMPY\x01", shape[64];
    memset(header + 8, ' ', sizeof header - 8);
    header[8] = sizeof header - 10;
    header[9] = 0;
    if (source->columns)
        snprintf(shape, sizeof shape, "%lld, %lld", (long long)(length / source->columns),
                 (long long)source->columns);
    else
        snprintf(shape, sizeof shape, "%lld,", (long long)length);
    int end = snprintf(header + 10, sizeof header - 10,
                       "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", source->descr, shape);
    header[10 + end] = ' ';
    header[sizeof header - 1] = '\n';
    fwrite(header, 1, sizeof header, file);
}

static bool source_write(const Source *source, const char *path, Sizes sizes) {
    char partial[4200];
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "wb");
    void *block = malloc(BLOCK * source->size);
    bool good = file && block;
    int64_t length = source->length(sizes);
    if (good) header_write(file, source, length);
    for (int64_t start = 0; good && start < length; start += BLOCK) {
        int64_t count = length - start < BLOCK ? length - start : BLOCK;
        source->fill(sizes, start, count, block);
        good = fwrite(block, source->size, (size_t)count, file) == (size_t)count;
    }
    if (file) good = fclose(file) == 0 && good;
    good = good && rename(partial, path) == 0;
    if (!good) perror(path);
    free(block);
    return good;
}

static bool folder_make(const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = path + 1; *slash; slash++) {
        if (*slash != '/') continue;
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST) return false;
        *slash = '/';
    }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

bool data_make(const char *dir, Sizes sizes, const char *const *names, int count) {
    if (!folder_make(dir)) {
        perror(dir);
        return false;
    }
    const Source *missing[SOURCES];
    int missing_count = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat status;
        const Source *source = source_find(names[i]);
        if (!source) return false;
        snprintf(path, sizeof path, "%s/%s.npy", dir, source->name);
        bool known = stat(path, &status) == 0;
        for (int j = 0; j < missing_count; j++) known = known || missing[j] == source;
        if (!known) missing[missing_count++] = source;
    }
    if (missing_count) fprintf(stderr, "making %d files in %s\n", missing_count, dir);
    bool good = true;
#pragma omp parallel for schedule(dynamic) reduction(&& : good)
    for (int i = 0; i < missing_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.npy", dir, missing[i]->name);
        good = source_write(missing[i], path, sizes) && good;
    }
    return good;
}

void *pages_new(size_t bytes) {
    size_t page = (size_t)2 << 20;
    bytes = (bytes + page) / page * page;
    void *data = aligned_alloc(page, bytes);
    if (data) madvise(data, bytes, MADV_HUGEPAGE);
    return data;
}

static Column loaded[SOURCES];

static bool column_read(Column *column, const Source *source, const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) || status.st_size < HEADER) {
        perror(path);
        if (file) fclose(file);
        return false;
    }
    size_t bytes = (size_t)status.st_size - HEADER;
    void *data = pages_new(bytes);
    bool good = data && fseek(file, HEADER, SEEK_SET) == 0 && fread(data, 1, bytes, file) == bytes;
    fclose(file);
    if (!good) {
        fprintf(stderr, "weldc-bench: cannot read %s\n", path);
        free(data);
        return false;
    }
    *column = (Column){.name = source->name,
                       .data = {data, (int64_t)(bytes / source->size)},
                       .columns = source->columns,
                       .size = source->size};
    return true;
}

/* The 150 types of parts of TPC-H, such as STANDARD PLATED TIN. peers.py makes the same. */
static int type_name(int type, char *out) {
    static const char *const first[] = {"STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"};
    static const char *const second[] = {"ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"};
    static const char *const third[] = {"TIN", "NICKEL", "BRASS", "STEEL", "COPPER"};
    return sprintf(out, "%s %s %s", first[type / 25], second[type / 5 % 5], third[type % 5]);
}

/* Of part_type the file has numbers; here each row gets a text of its own, one after the other. */
static bool texts_make(Column *column) {
    uint8_t *numbers = column->data.data;
    int64_t rows = column->data.length;
    Vector *texts = pages_new((size_t)rows * sizeof *texts);
    char *bytes = pages_new((size_t)rows * 28), name[64];
    if (!texts || !bytes) return false;
    for (int64_t i = 0; i < rows; i++) {
        int length = type_name(numbers[i], name);
        memcpy(bytes, name, (size_t)length);
        texts[i] = (Vector){bytes, length};
        bytes += length;
    }
    free(numbers);
    column->data.data = texts;
    column->size = sizeof *texts;
    return true;
}

Column *data_load(const char *dir, const char *name) {
    const Source *source = source_find(name);
    if (!source) return NULL;
    Column *column = &loaded[source - sources];
    if (column->data.data) return column;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.npy", dir, name);
    if (!column_read(column, source, path)) return NULL;
    if (!strcmp(name, "part_type") && !texts_make(column)) return NULL;
    return column;
}

void data_keep(const char *const *names, int count) {
    for (int i = 0; i < SOURCES; i++) {
        bool keep = !loaded[i].data.data;
        for (int j = 0; j < count; j++) keep = keep || !strcmp(names[j], sources[i].name);
        if (keep) continue;
        if (!strcmp(sources[i].name, "part_type") && loaded[i].data.length)
            free(((Vector *)loaded[i].data.data)->data);
        free(loaded[i].data.data);
        loaded[i] = (Column){0};
    }
}
