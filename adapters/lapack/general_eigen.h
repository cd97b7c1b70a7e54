/* general_eigen.h: the eigenvalues of any matrix, of real numbers as pairs of vectors, for one precision; included like solvers.h,
 * behind it. */

#if COMPLEX
typedef struct SHIM(Eigen) {
    Numbers values, vectors;
} SHIM(Eigen);
#define LENGTHS out->values.length != *n
#define VALUES out->values.data
#else
typedef struct SHIM(Eigen) {
    Numbers re, im, vectors;
} SHIM(Eigen);
#define LENGTHS out->re.length != *n || out->im.length != *n
#define VALUES out->re.data, out->im.data
#endif

EXPORT int SHIM(geev)(const int64_t *n, const Numbers *a, SHIM(Eigen) * out) {
    if (!is_matrix(*n, *n, a->length) || LENGTHS) return WELD_CALL_SIZES;
    if (out->vectors.length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    NUMBER *work = SHIM(copy_of)(a);
    if (!work) return WELD_CALL_NO_MEMORY;
    int status = converged(LAPACK(geev)(LAPACK_ROW_MAJOR, 'N', 'V', (int)*n, work, (int)*n, VALUES, NULL,
                                        (int)*n, out->vectors.data, (int)*n));
    free(work);
    return status;
}
#undef LENGTHS
#undef VALUES
