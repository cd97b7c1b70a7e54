/* roles.c: what the parameters of a C function are for, as far as their names, types and places tell.
 *
 *     void product(size_t rows, size_t cols, const double *a, const double *x, size_t nx, double *y, size_t ny);
 *
 *     rows, cols, nx, ny are lengths; a is read and has rows * cols elements, x is read and has nx, y is written and has ny.
 *     x tells nx by itself (its owner); rows, cols and ny have to be said by the caller.
 *
 * A vector's length is, in this order: one named after it (nx, x_len, ..); the only one that is named after none; the lengths
 * beside it, up to the next vector, behind it if the function begins with a vector, else before it: two of these are the rows and
 * columns of a matrix. Beside a matrix, a vector without a length is guessed to be that of y = A x: what is read has as many elements as
 * the matrix has columns, and then what is written as many as it has rows. What is declared with its length, `double x[3]`, has that. In a function with strides, what has none is one
 * number if it is written. What is written may have a length that no parameter tells; of what is read, one must.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "command.h"

static bool is_one_of(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(name, names[i]) == 0) return true;
    }
    return false;
}
#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof *(names))

static const char *const counts[] = {"n", "len", "length", "size", "count", "num"};

static bool is_integer(const Param *param) {
    return !param->pointer && param->kind != TY_f32 && param->kind != TY_f64 && param->kind != TY_bool &&
           param->kind != TY_unknown;
}

/* Is it `word` and `name` beside each other, in one order: nx, n_x, x_n? */
static bool joins(const char *text, const char *word, const char *name) {
    char joined[4][160];
    snprintf(joined[0], sizeof *joined, "%s%s", word, name);
    snprintf(joined[1], sizeof *joined, "%s_%s", word, name);
    snprintf(joined[2], sizeof *joined, "%s%s", name, word);
    snprintf(joined[3], sizeof *joined, "%s_%s", name, word);
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, joined[i]) == 0) return true;
    }
    return false;
}

static bool is_named_after(const Param *length, const Param *vector) {
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (joins(length->name, counts[i], vector->name)) return true;
    }
    return false;
}

/* n, rows, n1; nx if there is an x. */
static bool is_length(const Prototype *p, const Param *param) {
    static const char *const more[] = {"m",     "rows",  "cols",   "columns", "nrow",  "nrows", "ncol",
                                       "ncols", "width", "height", "nx",      "ny",    "nz",    "n1",
                                       "n2",    "m1",    "m2",     "n_rows",  "n_cols"};
    if (!is_integer(param)) return false;
    if (IS_ONE_OF(param->name, counts) || IS_ONE_OF(param->name, more)) return true;
    for (int i = 0; i < p->count; i++) {
        if (p->params[i].pointer && is_named_after(param, &p->params[i])) return true;
    }
    return false;
}

/* stride, xstride, incx. */
static bool is_stride(const Param *param) {
    size_t length = strlen(param->name);
    if (!is_integer(param)) return false;
    if (length >= 6 &&
        (strcasecmp(param->name + length - 6, "stride") == 0 || strncasecmp(param->name, "stride", 6) == 0))
        return true;
    return strncasecmp(param->name, "inc", 3) == 0 && length >= 3 && length <= 5;
}

/* lda: how far a matrix' rows are apart. */
static bool is_leading(const Param *param) {
    return is_integer(param) && strncasecmp(param->name, "ld", 2) == 0 && strlen(param->name) <= 5;
}

/* `const double *x` */
static void lacks(Prototype *p, const char *before, const Param *param, const char *behind) {
    if (*p->why) return;
    snprintf(p->why, sizeof p->why, "%s`%s%s %s%s`%s", before,
             param->pointer && param->constant ? "const " : "", param->type, param->pointer ? "*" : "",
             param->name, behind);
}

static bool is_vector(const Param *param) {
    return param->role == ROLE_READ || param->role == ROLE_WRITTEN || param->role == ROLE_IN_PLACE;
}

/* Lengths beside the vector `at`, up to the next one in this direction; how many, of which `out` has two. */
static int beside(const Prototype *p, int at, int step, int out[2]) {
    int count = 0;
    for (int i = at + step; i >= 0 && i < p->count && !p->params[i].pointer; i += step) {
        if (p->params[i].role != ROLE_LENGTH) continue;
        if (count < 2) out[count] = i;
        count++;
    }
    if (count > 1 && step < 0) {
        int first = out[0];
        out[0] = out[1];
        out[1] = first;
    }
    return count;
}

/* The length named after this vector; -1. */
static int own_length(const Prototype *p, const Param *vector) {
    for (int i = 0; i < p->count; i++) {
        if (p->params[i].role == ROLE_LENGTH && is_named_after(&p->params[i], vector)) return i;
    }
    return -1;
}

/* The only length that is named after no vector; -1: there are several, or none. */
static int common_length(const Prototype *p) {
    int found = -1;
    for (int i = 0; i < p->count; i++) {
        bool named = p->params[i].role != ROLE_LENGTH;
        for (int k = 0; k < p->count && !named; k++)
            named = p->params[k].pointer && is_named_after(&p->params[i], &p->params[k]);
        if (named) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

/* In a function with strides, every vector has one right behind it. */
static bool lacks_stride(const Prototype *p, int at) {
    bool strides = false;
    for (int i = 0; i < p->count; i++) strides |= p->params[i].role == ROLE_STRIDE;
    return strides && (at + 1 == p->count || p->params[at + 1].role != ROLE_STRIDE);
}

/* False: no parameter tells, or several may. */
static bool find_lengths(const Prototype *p, int at, Param *vector) {
    if (vector->fixed > 0) return true;
    if (lacks_stride(p, at)) return false;
    static const char *const vectors[] = {"x", "y", "z", "u", "v", "w"}; /* not matrices of m and n */
    int out[2] = {-1, -1}, own = own_length(p, vector), common = common_length(p);
    bool behind = false;
    if (own < 0) own = common;
    if (own >= 0) {
        vector->lengths[0] = own;
        return true;
    }
    for (int i = p->count - 1; i >= 0; i--) {
        if (p->params[i].pointer) behind = true;
        if (p->params[i].role == ROLE_LENGTH) behind = false; /* the first of both decides */
    }
    int count = beside(p, at, behind ? 1 : -1, out);
    if (count < 1 || count > 2) return false;
    if (count == 2 && IS_ONE_OF(vector->name, vectors) && strlen(p->params[out[0]].name) == 1) return false;
    memcpy(vector->lengths, out, sizeof out);
    return true;
}

/* The vector x, or y, of y = A x. */
static bool guess_length(const Prototype *p, Param *vector) {
    const Param *matrix = NULL;
    bool product = vector->role == ROLE_READ;
    for (int i = 0; i < p->count; i++) {
        if (p->params[i].role == ROLE_READ && p->params[i].lengths[1] >= 0) matrix = &p->params[i];
        product |= p->params[i].guessed;
    }
    if (!matrix || !product) return false;
    vector->guessed = true;
    vector->lengths[0] = matrix->lengths[vector->role == ROLE_READ];
    return true;
}

/* A length is told by the first given vector that has it and no other. */
static void find_owners(Prototype *p) {
    for (int i = 0; i < p->count; i++) p->params[i].owner = -1;
    for (int i = p->count - 1; i >= 0; i--) {
        const Param *param = &p->params[i];
        bool given = param->role == ROLE_READ || param->role == ROLE_IN_PLACE;
        if (given && param->lengths[0] >= 0 && param->lengths[1] < 0) p->params[param->lengths[0]].owner = i;
    }
}

/* Whether there are vectors, lengths, and rows that are apart. */
static void find_kinds(Prototype *p, int *lengths, const Param **leading) {
    for (int i = 0; i < p->count; i++) {
        Param *param = &p->params[i];
        param->lengths[0] = param->lengths[1] = -1;
        if (param->pointer) {
            param->role = param->constant ? ROLE_READ : ROLE_WRITTEN;
            p->reads += param->constant;
            p->writes += !param->constant;
        }
    }
    for (int i = 0; i < p->count && p->reads + p->writes; i++) {
        Param *param = &p->params[i];
        if (is_length(p, param))
            param->role = ROLE_LENGTH;
        else if (is_stride(param))
            param->role = ROLE_STRIDE;
        else if (is_leading(param))
            *leading = param;
        *lengths += param->role == ROLE_LENGTH;
    }
}

/* Which may be a length, of any name. */
static bool has_integer_behind(const Prototype *p, int at) {
    return at + 1 < p->count && is_integer(&p->params[at + 1]);
}

/* A length that the function changes, as the room in a buffer. */
static bool is_changed_length(const Prototype *p, const Param *param) {
    Param number = *param;
    number.pointer = false;
    if (!is_integer(&number)) return false;
    for (int i = 0; i < p->count; i++) {
        if (&p->params[i] != param && p->params[i].pointer && is_named_after(param, &p->params[i]))
            return true;
    }
    return IS_ONE_OF(param->name, counts);
}

/* What is written beside no length at all is one number each; beside no vector that is read, it is taken as changed. */
static void find_written(Prototype *p, int lengths) {
    bool in_place = p->reads == 0;
    for (int i = 0; i < p->count; i++) {
        Param *param = &p->params[i];
        if (param->role != ROLE_WRITTEN) continue;
        bool number =
            param->fixed == 0 && (lengths == 0 || (lacks_stride(p, i) && !has_integer_behind(p, i)));
        if (is_changed_length(p, param)) lacks(p, "it changes a length, ", param, "");
        if (number && type_classes[param->kind].bits == 8)
            lacks(p, "how long ", param, " is, if it is a text or bytes, no parameter tells");
        param->role = number ? ROLE_NUMBER : in_place ? ROLE_IN_PLACE : ROLE_WRITTEN;
        p->reads += param->role == ROLE_IN_PLACE;
    }
}

void roles_find(Prototype *p) {
    int lengths = 0;
    const Param *leading = NULL;
    find_kinds(p, &lengths, &leading);
    if (p->result.pointer)
        snprintf(p->why, sizeof p->why, "its result `%s%s *` is a pointer",
                 p->result.constant ? "const " : "", p->result.type);
    if (leading) lacks(p, "it takes a matrix whose rows are apart: ", leading, "");
    for (int i = 0; i < p->count; i++) { /* as LAPACK and BLAS name it */
        if (p->params[i].pointer && lengths && strcasecmp(p->params[i].name, "ap") == 0)
            lacks(p, "it takes a packed triangle: ", &p->params[i], "");
    }
    find_written(p, lengths);
    for (int i = 0; i < p->count; i++) {
        Param *param = &p->params[i];
        if (!is_vector(param) || find_lengths(p, i, param) || guess_length(p, param)) continue;
        if (param->role == ROLE_WRITTEN) continue;
        if (param->kind == TY_i8 && !lengths) lacks(p, "", param, " is a text that ends where a 0 is");
        lacks(p, "how long ", param,
              lengths ? " is, of several lengths, its name and place do not tell"
                      : " is, no parameter tells: none is named n, len, length, size or count");
    }
    find_owners(p);
    if (p->result.kind == TY_unknown && !p->writes && !*p->why)
        snprintf(p->why, sizeof p->why, "it returns nothing");
    p->status = p->writes && p->result.kind == TY_i32;
    p->values = p->writes + (p->result.kind != TY_unknown && !p->status);
}
