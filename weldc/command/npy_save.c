/* npy_save.c: writes results as .npy files; of ranks each writes its block into the one file.
 *
 *     rank 0   creates FILE.new-.., writes the header, and its block behind it
 *     rank r   writes its block behind those of the ranks before it
 *     rank 0   renames the file when all have done so
 *
 * So whoever opens FILE finds what was there before or the whole result, whatever fails in between. Ranks need a file
 * system that all of them see; one that does not says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

typedef struct Saving {
    const char *path;
    Ranks *ranks;
    Fault *fault;
    const Type *element;
    Vec own; /* this rank's elements */
    int dimensions;
    int64_t shape[2], before, all; /* elements before this rank's, and of all */
    Buf fresh;                     /* the name of the file until it is whole */
} Saving;

/* ---- what is saved ---- */

static bool is_matrix(const Type *type) {
    return type->kind == TY_struct && type->count == 3 && type->args[0]->kind == TY_vec &&
           type->args[1]->kind == TY_i64 && type->args[2]->kind == TY_i64;
}

/* A vector, a matrix as {elements, rows, columns}, or a scalar. */
static bool take_value(Saving *saving, const Type *type, const void *value) {
    const Type *vec = is_matrix(type) ? type->args[0] : type;
    saving->element = vec->kind == TY_vec ? vec->args[0] : vec;
    if (!type_is_scalar(saving->element)) {
        Buf text = {0};
        type_print(&text, type);
        fault_set(saving->fault, E_Argument,
                  "--save: a .npy file holds a vector of scalars, a matrix {vec, rows, columns} or a scalar, "
                  "not %.200s",
                  text.text ? text.text : "");
        buf_release(&text);
        return false;
    }
    if (vec->kind == TY_vec)
        memcpy(&saving->own, value, sizeof saving->own);
    else
        saving->own = (Vec){(void *)value, saving->ranks->rank == 0};
    saving->dimensions = vec == type ? vec->kind == TY_vec : 2;
    if (saving->dimensions == 2)
        memcpy(saving->shape, (const char *)value + type->offsets[1], sizeof saving->shape);
    return true;
}

/* Where this rank's elements belong. */
static bool find_place(Saving *saving) {
    Ranks *ranks = saving->ranks;
    int64_t *lengths = malloc((size_t)ranks->ranks * sizeof *lengths);
    bool ok = lengths || fault_set(saving->fault, E_OutOfMemory, "no memory to write %s", saving->path);
    ok = ok && ranks_gather(ranks, &saving->own.length, 1, lengths, saving->fault);
    for (int peer = 0; ok && peer < ranks->ranks; peer++) {
        saving->before += peer < ranks->rank ? lengths[peer] : 0;
        saving->all += lengths[peer];
    }
    free(lengths);
    if (saving->dimensions < 2) saving->shape[0] = saving->all;
    int64_t count;
    if (ok && saving->dimensions == 2 &&
        (__builtin_mul_overflow(saving->shape[0], saving->shape[1], &count) || count != saving->all ||
         saving->shape[0] < 0))
        ok = fault_set(saving->fault, E_Argument,
                       "--save: %lld elements are no matrix of %lld rows and %lld columns",
                       (long long)saving->all, (long long)saving->shape[0], (long long)saving->shape[1]);
    return ok;
}

/* ---- the file ---- */

/* Padded so that the elements begin at a multiple of 64. */
static void put_header(Buf *out, const Saving *saving) {
    const TypeClass *class = &type_classes[saving->element->kind];
    char shape[64] = "()";
    if (saving->dimensions == 1) snprintf(shape, sizeof shape, "(%lld,)", (long long)saving->shape[0]);
    if (saving->dimensions == 2)
        snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)saving->shape[0],
                 (long long)saving->shape[1]);
    Buf text = {0};
    char kind = class->class == 'f' || class->class == 'b' ? class->class : class->class == 's' ? 'i' : 'u';
    buf_printf(&text, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': %s, }",
               class->bits > 8 ? '<' : '|', kind, class->bits / 8, shape);
    while ((text.length + 11) % 64) buf_put(&text, " ", 1);
    buf_put(&text, "\n", 1);
    unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)text.length, (unsigned char)(text.length >> 8)};
    buf_put(out, (const char *)start, sizeof start);
    buf_put(out, text.text, text.length);
    out->failed |= text.failed;
    buf_release(&text);
}

static bool write_failed(const Saving *saving) {
    return fault_set(saving->fault, E_File, "cannot write %s: %s", saving->path, strerror(errno));
}

static bool write_at(int file, const char *bytes, size_t size, int64_t at) {
    while (size > 0) {
        ssize_t put = pwrite(file, bytes, size, (off_t)at);
        if (put < 0 && errno == EINTR && !cancel_flag) continue;
        if (put <= 0) return false;
        bytes += put;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

/* The header, and this rank's elements. */
static bool write_own(const Saving *saving, const Buf *header) {
    bool first = saving->ranks->rank == 0;
    int file = open(saving->fresh.text, O_WRONLY | O_CLOEXEC);
    int64_t size = saving->element->size, at = (int64_t)header->length + saving->before * size;
    bool ok = file >= 0 && (!first || write_at(file, header->text, header->length, 0)) &&
              write_at(file, saving->own.data, (size_t)(saving->own.length * size), at) && fsync(file) == 0;
    if (!ok) write_failed(saving);
    if (file >= 0) close(file);
    return ok;
}

/* Rank 0 makes the file, and tells its name. */
static bool make_file(Saving *saving) {
    bool ok = true;
    if (saving->ranks->rank == 0) {
        char *name = file_fresh(saving->path);
        if (name) buf_printf(&saving->fresh, "%s", name);
        saving->fresh.failed |= !name;
        free(name);
        int file = saving->fresh.failed
                       ? -1
                       : open(saving->fresh.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        ok = file >= 0 || write_failed(saving);
        if (file >= 0)
            close(file);
        else
            buf_release(&saving->fresh); /* nothing to remove */
    }
    return ok && ranks_text(saving->ranks, &saving->fresh, saving->fault);
}

static bool write_file(Saving *saving) {
    Buf header = {0};
    put_header(&header, saving);
    bool ok =
        !header.failed || fault_set(saving->fault, E_OutOfMemory, "no memory to write %s", saving->path);
    ok = ok && make_file(saving) && write_own(saving, &header);
    buf_release(&header);
    return ok;
}

bool npy_save(Ranks *ranks, const char *path, const Type *type, const void *value, Fault *fault) {
    Saving saving = {.path = path, .ranks = ranks, .fault = fault};
    if (!ranks_begin(ranks, ranks->engine, fault)) return false;
    bool ok = take_value(&saving, type, value) && find_place(&saving) && write_file(&saving);
    ok = ranks_end(ranks, ok, fault);
    if (ranks->rank == 0 && saving.fresh.length) {
        if (ok && rename(saving.fresh.text, path) != 0) ok = write_failed(&saving);
        if (!ok) unlink(saving.fresh.text);
    }
    buf_release(&saving.fresh);
    return ok;
}
