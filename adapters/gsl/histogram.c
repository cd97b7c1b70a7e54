/* histogram.c: places drawn from a histogram, as gsl_histogram_pdf does. What counts is in statistics_rows.h.
 */
#include "gsl_adapter.h"

#include <gsl/gsl_histogram.h>

/* Of numbers from 0 to below 1; NaN of others. */
EXPORT int weld_gsl_histogram_pdf_sample(const Doubles *counts, const Doubles *ranges, const Doubles *r,
                                         Doubles *out) {
    if (ranges->length != counts->length + 1 || counts->length < 1 || out->length != r->length)
        return WELD_CALL_SIZES;
    for (int64_t i = 0; i < counts->length; i++) {
        if (!(counts->data[i] >= 0 && isfinite(counts->data[i]) && ranges->data[i] < ranges->data[i + 1]))
            return WELD_CALL_DOMAIN;
    }
    gsl_histogram histogram = {(size_t)counts->length, ranges->data, counts->data};
    guard_enter();
    gsl_histogram_pdf *pdf = gsl_histogram_pdf_alloc(histogram.n);
    int status = !pdf                                                     ? WELD_CALL_NO_MEMORY
                 : gsl_histogram_pdf_init(pdf, &histogram) == GSL_SUCCESS ? WELD_CALL_DONE
                                                                          : WELD_CALL_DOMAIN;
    for (int64_t i = 0; status == WELD_CALL_DONE && i < r->length; i++) {
        double at = r->data[i];
        out->data[i] = at >= 0 && at < 1 ? gsl_histogram_pdf_sample(pdf, at) : NAN;
    }
    if (pdf) gsl_histogram_pdf_free(pdf);
    guard_leave();
    return status;
}
