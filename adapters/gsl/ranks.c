/* ranks.c: statistics that go by the order of the elements and that GSL computes with memory of the caller's: the correlation of
 * ranks, and the scales Sn and Qn of Rousseeuw and Croux.
 *
 * Sn and Qn search in what has to be sorted, by differences: what is not sorted, holds NaN or is too wide for a difference is
 * outside of the domain. */
#include "gsl_adapter.h"

#include <gsl/gsl_statistics_double.h>
#include <stdlib.h>

EXPORT int weld_gsl_spearman(const Doubles *x, const Doubles *y, double *out) {
    if (x->length != y->length || x->length == 0) return WELD_CALL_SIZES;
    for (int64_t i = 0; i < x->length; i++) {
        if (isnan(x->data[i]) || isnan(y->data[i])) return WELD_CALL_DOMAIN;
    }
    double *work = malloc((size_t)x->length * 2 * sizeof *work);
    if (!work) return WELD_CALL_NO_MEMORY;
    *out = gsl_stats_spearman(x->data, 1, y->data, 1, (size_t)x->length, work);
    free(work);
    return WELD_CALL_DONE;
}

static int check_sorted(const Doubles *x) {
    if (x->length == 0 || x->length > INT_MAX / 5) return WELD_CALL_SIZES;
    for (int64_t i = 1; i < x->length; i++) {
        if (!(x->data[i - 1] <= x->data[i])) return WELD_CALL_DOMAIN;
    }
    return isfinite(x->data[x->length - 1] - x->data[0]) ? WELD_CALL_DONE : WELD_CALL_DOMAIN;
}

typedef double OfPairs(const double *sorted, size_t stride, size_t n, double *work);
static int scale_by_medians(OfPairs *scale, const Doubles *x, double *out) {
    int status = check_sorted(x);
    if (status != WELD_CALL_DONE) return status;
    double *work = malloc((size_t)x->length * sizeof *work);
    if (!work) return WELD_CALL_NO_MEMORY;
    *out = scale(x->data, 1, (size_t)x->length, work);
    free(work);
    return WELD_CALL_DONE;
}

typedef double OfDifferences(const double *sorted, size_t stride, size_t n, double *work, int *numbers);
static int scale_by_differences(OfDifferences *scale, const Doubles *x, double *out) {
    int status = check_sorted(x);
    if (status != WELD_CALL_DONE) return status;
    double *work = malloc((size_t)x->length * 3 * sizeof *work);
    int *numbers = malloc((size_t)x->length * 5 * sizeof *numbers);
    if (work && numbers) *out = scale(x->data, 1, (size_t)x->length, work, numbers);
    status = work && numbers ? WELD_CALL_DONE : WELD_CALL_NO_MEMORY;
    free(work);
    free(numbers);
    return status;
}

EXPORT int weld_gsl_Sn0_from_sorted_data(const Doubles *x, double *out) {
    return scale_by_medians(gsl_stats_Sn0_from_sorted_data, x, out);
}
EXPORT int weld_gsl_Sn_from_sorted_data(const Doubles *x, double *out) {
    return scale_by_medians(gsl_stats_Sn_from_sorted_data, x, out);
}
EXPORT int weld_gsl_Qn0_from_sorted_data(const Doubles *x, double *out) {
    return scale_by_differences(gsl_stats_Qn0_from_sorted_data, x, out);
}
EXPORT int weld_gsl_Qn_from_sorted_data(const Doubles *x, double *out) {
    return scale_by_differences(gsl_stats_Qn_from_sorted_data, x, out);
}
