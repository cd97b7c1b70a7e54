/* A library of C functions for load_library.c. */
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    int64_t *data;
    int64_t length;
} vec_i64;

void shift_all(const vec_i64 *v, const int64_t *by, vec_i64 *result);

/* Buffers of a result belong to the function: this one keeps a single one. */
void shift_all(const vec_i64 *v, const int64_t *by, vec_i64 *result) {
    static int64_t buffer[64];
    result->data = buffer;
    result->length = v->length < 64 ? v->length : 64;
    for (int64_t i = 0; i < result->length; i++) buffer[i] = v->data[i] + *by;
}
