/* fill.c: the results of cfill, which a C function writes into memory that is the run's.
 *
 *     cfill[f, {vec[f64], i64}](3L, a)     out = {{room for 3, 3}, 0};  f(&a, &out);  out's length may be 0..3 now
 *
 * Used by both engines. The memory is as it was allocated: the function is to write all that it leaves in the result.
 */
#include "../lang.h"

#include <string.h>

int fill_count(const Type *type) {
    if (type->kind == TY_vec) return type->args[0]->pointers ? -1 : 1;
    if (type->kind != TY_struct) return type->pointers ? -1 : 0;
    int count = 0;
    for (int i = 0; i < type->count && count >= 0; i++) {
        int more = fill_count(type->args[i]);
        count = more < 0 ? -1 : count + more;
    }
    return count;
}

/* Makes the vectors, each with the next of the sizes. */
static ErrorCode make_vectors(Worker *worker, const Type *type, const int64_t **size, char *out, Span span) {
    if (type->kind == TY_struct) {
        ErrorCode code = E_None;
        for (int i = 0; i < type->count && code == E_None; i++)
            code = make_vectors(worker, type->args[i], size, out + type->offsets[i], span);
        return code;
    }
    if (type->kind != TY_vec) return E_None;
    int64_t length = *(*size)++, each = type->args[0]->size > 0 ? type->args[0]->size : 1;
    if (length < 0) return worker_fail(worker, E_OutOfBounds, span, length, 0);
    if (length > INT64_MAX / each) {
        int64_t limit = budget_limit(region_budget(worker->region));
        return worker_fail(worker, E_OutOfMemory, span, INT64_MAX, limit);
    }
    void *data = length ? worker_alloc(worker, length * each, span) : NULL;
    if (length && !data) return E_OutOfMemory;
    *(Vec *)(void *)out = (Vec){data, length};
    return E_None;
}

ErrorCode fill_prepare(Worker *worker, const Type *type, const int64_t *sizes, void *out, Span span) {
    memset(out, 0, (size_t)type->size);
    return make_vectors(worker, type, &sizes, out, span);
}

/* What is wrong with what the function left, or NULL. A length that it raised, or made negative, would reach beyond the memory; with
 * other memory in its place the vector's own would be lost, and the other released as if it were the run's. */
static const char *find_fault(const Type *type, const char *made, const char *out) {
    if (type->kind == TY_struct) {
        const char *fault = NULL;
        for (int i = 0; i < type->count && !fault; i++)
            fault = find_fault(type->args[i], made + type->offsets[i], out + type->offsets[i]);
        return fault;
    }
    if (type->kind != TY_vec) return NULL;
    const Vec *room = (const Vec *)(const void *)made, *left = (const Vec *)(const void *)out;
    if (left->data != room->data)
        return "the C function put other memory in the place of its result's, which it is to fill";
    bool fits = left->length >= 0 && left->length <= room->length;
    return fits ? NULL : "the C function returned a vector longer than its room";
}

/* Numbers that functions fail with, as weld.h names them. */
enum { NO_MEMORY = 5 };
static const char *const reasons[] = {
    [1] = "the sizes of its arguments do not fit", [2] = "a value is outside of its domain",
    [3] = "a matrix is singular, or not definite", [4] = "a method did not converge",
    [NO_MEMORY] = "there was no memory",
};

static ErrorCode say_failure(Worker *worker, int32_t status, Span span) {
    bool known = status > 0 && status < (int32_t)(sizeof reasons / sizeof *reasons);
    ErrorCode code = status == NO_MEMORY ? E_OutOfMemory : E_ForeignCall;
    error_set(&worker->error, code, span, "the C function failed with status %d%s%s", (int)status,
              known ? ": " : "", known ? reasons[status] : "");
    return code;
}

ErrorCode fill_finish(Worker *worker, const Type *type, const void *made, const void *out, int32_t status,
                      Span span) {
    if (status != 0) return say_failure(worker, status, span);
    const char *fault = find_fault(type, made, out);
    if (!fault) return E_None;
    error_set(&worker->error, E_ForeignCall, span, "%s", fault);
    return E_ForeignCall;
}
