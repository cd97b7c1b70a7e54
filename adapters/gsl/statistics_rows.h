/* statistics_rows.h: rows of GSL's statistics, vectors, sorting, histograms and polynomials, written in the language.
 *
 * GSL adds in long double, one element after the other. Here sums may be formed in any order, in double; beside them are sums
 * of smaller numbers, which take their place where they overflowed. A mean, a variance or a covariance then overflows only
 * if it is too large itself. What needs two passes makes two: the mean first, then the deviations. Where the library's
 * recurrences meet an infinity they end with NaN; here the mean of infinities of one sign is that infinity. */
/* clang-format off */
#define GREATEST "1.7976931348623157e308"
#define UP80 "1.2089258196146292e24"
#define DOWN80 "8.271806125530277e-25"
#define UP600 "4.149515568880993e180"
#define DOWN600 "2.409919865102884e-181"
#define V "|x: vec[f64]| "
#define ABS(text) "select(" text " < 0.0, -(" text "), " text ")"
/* The mean of `term` over x, as `mean`. What the smaller sum rounds to is not beyond the greatest number unless it is
 * infinite. */
#define MEAN_OF(data, term)                                                                                  \
    "let sums = result(for(" data ", merger[{f64, f64, i64}, +], |b, i, e| let t = " term "; "               \
    "merge(b, {t, t * " DOWN80 ", 1L}))); let n = f64(sums.$2); let small = sums.$1 / n; "                   \
    "let most = " GREATEST " * " DOWN80 "; "                                                                 \
    "let mean = if(" ABS("sums.$0") " <= " GREATEST ", sums.$0 / n, "                                        \
    "if(" ABS("sums.$1") " <= " GREATEST ", min(max(small, -most), most), small) * " UP80 "); "
/* The mean of the products of `a` and `c` over data, as `mean`; count as `count`, `n`. Smaller products are of those only that
 * can make a sum overflow: others would underflow, for which processors take time. */
#define MEAN_PRODUCT(data, a, c)                                                                             \
    "let sums = result(for(" data ", merger[{f64, f64, i64}, +], |b, i, e| let p = " a "; let q = " c "; "   \
    "let t = p * q; let small = select(" ABS("t") " <= 1e260, 0.0, p * " DOWN600 "); "                      \
    "merge(b, {t, small * (q * " DOWN600 "), 1L}))); let count = sums.$2; let n = f64(count); "             \
    "let mean = if(count == 0L, 0.0, "                                                                       \
    "if(" ABS("sums.$0") " <= " GREATEST ", sums.$0 / n, sums.$1 / n * " UP600 " * " UP600 ")); "
#define UNBIASED "if(count == 0L, 0.0, mean * (n / (n - 1.0)))"
/* The mean, then its own error taken off: so that equal elements have no deviation. */
#define CENTRE(m, x) "let first = gsl.mean(" x "); let " m " = first + gsl.mean(map(" x ", |e| e - first)); "

/* ---- statistics ---- */
{"mean", "double gsl_stats_mean(const double data[], size_t stride, size_t n)",
 V MEAN_OF("x", "e") "if(sums.$2 == 0L, 0.0, mean)", NULL, NULL, "the mean; 0 of no elements"},
{"variance_with_fixed_mean", "double gsl_stats_variance_with_fixed_mean(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| " MEAN_PRODUCT("x", "e - m", "e - m") "mean", NULL, NULL, "the mean square of the deviations from m"},
{"sd_with_fixed_mean", "double gsl_stats_sd_with_fixed_mean(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| sqrt(gsl.variance_with_fixed_mean(x, m))", NULL, NULL, "the root of that"},
{"variance_m", "double gsl_stats_variance_m(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| " MEAN_PRODUCT("x", "e - m", "e - m") UNBIASED, NULL, NULL, "the unbiased variance, given the mean"},
{"sd_m", "double gsl_stats_sd_m(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| sqrt(gsl.variance_m(x, m))", NULL, NULL, "the standard deviation, given the mean"},
{"tss_m", "double gsl_stats_tss_m(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| result(for(x, merger[f64, +], |b, i, e| let d = e - m; merge(b, d * d)))",
 NULL, NULL, "the sum of the squares of the deviations from m"},
{"tss", "double gsl_stats_tss(data, stride, n)", V CENTRE("m", "x") "gsl.tss_m(x, m)",
 NULL, NULL, "the sum of the squares of the deviations from the mean"},
{"variance", "double gsl_stats_variance(data, stride, n)",
 V "let m = gsl.mean(x); let sums = result(for(x, merger[{f64, f64, f64, i64}, +], |b, i, e| "
 "let d = e - m; let s = select(" ABS("d") " <= 1e130, 0.0, d * " DOWN600 "); merge(b, {d * d, d, s * s, 1L}))); let n = f64(sums.$3); "
 "let mean = if(sums.$0 <= " GREATEST ", max((sums.$0 - sums.$1 * (sums.$1 / n)) / n, 0.0), "
 "sums.$2 / n * " UP600 " * " UP600 "); "
 "if(sums.$3 == 0L, 0.0, mean * (n / (n - 1.0)))",
 NULL, NULL, "the unbiased variance; NaN of one element"},
{"sd", "double gsl_stats_sd(data, stride, n)", V "sqrt(gsl.variance(x))", NULL, NULL, "the standard deviation"},
{"absdev_m", "double gsl_stats_absdev_m(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| " MEAN_OF("x", "(let d = e - m; select(d < 0.0, -d, d))") "mean",
 NULL, NULL, "the mean absolute deviation from m"},
{"absdev", "double gsl_stats_absdev(data, stride, n)", V CENTRE("m", "x") "gsl.absdev_m(x, m)",
 NULL, NULL, "the mean absolute deviation from the mean"},
{"skew_m_sd", "double gsl_stats_skew_m_sd(data, stride, n, double mean, double sd)",
 "|x: vec[f64], m: f64, sd: f64| let sums = result(for(x, merger[{f64, i64}, +], |b, i, e| "
 "let z = (e - m) / sd; merge(b, {z * z * z, 1L}))); if(sums.$1 == 0L, 0.0, sums.$0 / f64(sums.$1))",
 NULL, NULL, "the skewness, given mean and standard deviation"},
{"skew", "double gsl_stats_skew(data, stride, n)", V CENTRE("m", "x") "gsl.skew_m_sd(x, m, gsl.sd_m(x, m))",
 NULL, NULL, "the skewness"},
{"kurtosis_m_sd", "double gsl_stats_kurtosis_m_sd(data, stride, n, double mean, double sd)",
 "|x: vec[f64], m: f64, sd: f64| let sums = result(for(x, merger[{f64, i64}, +], |b, i, e| "
 "let z = (e - m) / sd; merge(b, {z * z * z * z, 1L}))); if(sums.$1 == 0L, 0.0, sums.$0 / f64(sums.$1)) - 3.0",
 NULL, NULL, "the excess kurtosis, given mean and standard deviation"},
{"kurtosis", "double gsl_stats_kurtosis(data, stride, n)", V CENTRE("m", "x") "gsl.kurtosis_m_sd(x, m, gsl.sd_m(x, m))",
 NULL, NULL, "the excess kurtosis, 0 of a normal distribution"},
{"lag1_autocorrelation_m", "double gsl_stats_lag1_autocorrelation_m(data, stride, n, double mean)",
 "|x: vec[f64], m: f64| let n = len(x); let last = max(n - 1L, 0L); let first = min(n, 1L); "
 "let q = result(for(zip(iter(x, 0L, last, 1L), iter(x, first, n, 1L)), merger[f64, +], |b, i, e| "
 "merge(b, (e.$0 - m) * (e.$1 - m)))); q / gsl.tss_m(x, m)",
 NULL, NULL, "the correlation of each element with the next, given the mean"},
{"lag1_autocorrelation", "double gsl_stats_lag1_autocorrelation(data, stride, n)",
 V CENTRE("m", "x") "gsl.lag1_autocorrelation_m(x, m)", NULL, NULL, "the correlation of each element with the next"},
{"covariance_m", "double gsl_stats_covariance_m(data1, stride1, data2, stride2, n, double mean1, double mean2)",
 "|x: vec[f64], y: vec[f64], mx: f64, my: f64| " MEAN_PRODUCT("zip(x, y)", "e.$0 - mx", "e.$1 - my") UNBIASED,
 NULL, NULL, "the unbiased covariance, given the means"},
{"covariance", "double gsl_stats_covariance(data1, stride1, data2, stride2, n)",
 "|x: vec[f64], y: vec[f64]| gsl.covariance_m(x, y, gsl.mean(x), gsl.mean(y))", NULL, NULL, "the unbiased covariance"},
{"correlation", "double gsl_stats_correlation(data1, stride1, data2, stride2, n)",
 "|x: vec[f64], y: vec[f64]| " CENTRE("mx", "x") CENTRE("my", "y")
 "let sums = result(for(zip(x, y), merger[{f64, f64, f64}, +], |b, i, e| let p = e.$0 - mx; let q = e.$1 - my; "
 "merge(b, {p * p, q * q, p * q}))); "
 "if(sums.$0 > 1e-200 && sums.$0 <= " GREATEST " && sums.$1 > 1e-200 && sums.$1 <= " GREATEST ", "
 "sums.$2 / (sqrt(sums.$0) * sqrt(sums.$1)), "
 "(let wide = result(for(zip(x, y), {merger[f64, max], merger[f64, max]}, |b, i, e| "
 "let p = e.$0 - mx; let q = e.$1 - my; merge(b, {select(p < 0.0, -p, p), select(q < 0.0, -q, q)}))); "
 "let again = result(for(zip(x, y), merger[{f64, f64, f64}, +], |b, i, e| let p = (e.$0 - mx) / wide.$0; "
 "let q = (e.$1 - my) / wide.$1; merge(b, {p * p, q * q, p * q}))); "
 "again.$2 / (sqrt(again.$0) * sqrt(again.$1))))",
 NULL, NULL, "the correlation coefficient of Pearson"},
{"pvariance", "double gsl_stats_pvariance(data1, stride1, n1, data2, stride2, n2)",
 "|x: vec[f64], y: vec[f64]| let a = f64(len(x)); let c = f64(len(y)); "
 "((a - 1.0) * gsl.variance(x) + (c - 1.0) * gsl.variance(y)) / (a + c - 2.0)",
 NULL, NULL, "the pooled variance of two samples"},
{"ttest", "double gsl_stats_ttest(data1, stride1, n1, data2, stride2, n2)",
 "|x: vec[f64], y: vec[f64]| let a = f64(len(x)); let c = f64(len(y)); "
 "(gsl.mean(x) - gsl.mean(y)) / sqrt(gsl.pvariance(x, y) * (1.0 / a + 1.0 / c))",
 NULL, NULL, "the t statistic of two samples"},
{"wmean", "double gsl_stats_wmean(const double w[], wstride, data, stride, n)",
 "|w: vec[f64], x: vec[f64]| let sums = result(for(zip(w, x), merger[{f64, f64}, +], |b, i, e| "
 "if(e.$0 > 0.0, merge(b, {e.$0, e.$0 * e.$1}), b))); if(sums.$0 == 0.0, 0.0, sums.$1 / sums.$0)",
 NULL, NULL, "the mean by weights; elements whose weight is not positive do not count"},
{"wvariance_m", "double gsl_stats_wvariance_m(w, wstride, data, stride, n, double wmean)",
 "|w: vec[f64], x: vec[f64], m: f64| let sums = result(for(zip(w, x), merger[{f64, f64, f64}, +], |b, i, e| "
 "let d = e.$1 - m; if(e.$0 > 0.0, merge(b, {e.$0, e.$0 * e.$0, e.$0 * d * d}), b))); "
 "if(sums.$0 == 0.0, 0.0 / 0.0, sums.$2 / sums.$0 * (sums.$0 * sums.$0 / (sums.$0 * sums.$0 - sums.$1)))",
 NULL, NULL, "the unbiased variance by weights, given the mean"},
{"wvariance", "double gsl_stats_wvariance(w, wstride, data, stride, n)",
 "|w: vec[f64], x: vec[f64]| gsl.wvariance_m(w, x, gsl.wmean(w, x))", NULL, NULL, "the unbiased variance by weights"},
{"wsd", "double gsl_stats_wsd(w, wstride, data, stride, n)",
 "|w: vec[f64], x: vec[f64]| sqrt(gsl.wvariance(w, x))", NULL, NULL, "the standard deviation by weights"},
/* A mean by weights of what `term` is of e.$1; 0 without a positive weight. */
#define WMEAN_OF(term)                                                                                       \
    "let sums = result(for(zip(w, x), merger[{f64, f64}, +], |b, i, e| let d = e.$1 - m; "                    \
    "if(e.$0 > 0.0, merge(b, {e.$0, e.$0 * " term "}), b))); if(sums.$0 == 0.0, 0.0, sums.$1 / sums.$0)"
#define WXM "|w: vec[f64], x: vec[f64], m: f64| "
#define WXMS "|w: vec[f64], x: vec[f64], m: f64, sd: f64| "
#define WX "|w: vec[f64], x: vec[f64]| "
#define WCENTRE "let first = gsl.wmean(w, x); let m = first + gsl.wmean(w, map(x, |e| e - first)); "
{"wsd_m", "double gsl_stats_wsd_m(w, wstride, data, stride, n, double wmean)", WXM "sqrt(gsl.wvariance_m(w, x, m))",
 NULL, NULL, "the standard deviation by weights, given the mean"},
{"wvariance_with_fixed_mean", "double gsl_stats_wvariance_with_fixed_mean(w, wstride, data, stride, n, double mean)",
 WXM WMEAN_OF("d * d"), NULL, NULL, "the variance around a mean that is known, by weights"},
{"wsd_with_fixed_mean", "double gsl_stats_wsd_with_fixed_mean(w, wstride, data, stride, n, double mean)",
 WXM "sqrt(gsl.wvariance_with_fixed_mean(w, x, m))", NULL, NULL, "the standard deviation around a mean that is known, by weights"},
{"wtss_m", "double gsl_stats_wtss_m(w, wstride, data, stride, n, double wmean)",
 WXM "result(for(zip(w, x), merger[f64, +], |b, i, e| let d = e.$1 - m; if(e.$0 > 0.0, merge(b, e.$0 * d * d), b)))",
 NULL, NULL, "the sum of the squares of the deviations from m, by weights"},
{"wtss", "double gsl_stats_wtss(w, wstride, data, stride, n)", WX WCENTRE "gsl.wtss_m(w, x, m)",
 NULL, NULL, "the sum of the squares of the deviations from the mean, by weights"},
{"wabsdev_m", "double gsl_stats_wabsdev_m(w, wstride, data, stride, n, double wmean)",
 WXM WMEAN_OF("select(d < 0.0, -d, d)"), NULL, NULL, "the mean absolute deviation from m, by weights"},
{"wabsdev", "double gsl_stats_wabsdev(w, wstride, data, stride, n)", WX WCENTRE "gsl.wabsdev_m(w, x, m)",
 NULL, NULL, "the mean absolute deviation from the mean, by weights"},
{"wskew_m_sd", "double gsl_stats_wskew_m_sd(w, wstride, data, stride, n, double wmean, double wsd)",
 WXMS WMEAN_OF("(let z = d / sd; z * z * z)"), NULL, NULL, "the skewness by weights, given mean and standard deviation"},
{"wskew", "double gsl_stats_wskew(w, wstride, data, stride, n)",
 WX WCENTRE "gsl.wskew_m_sd(w, x, m, gsl.wsd_m(w, x, m))", NULL, NULL, "the skewness by weights"},
{"wkurtosis_m_sd", "double gsl_stats_wkurtosis_m_sd(w, wstride, data, stride, n, double wmean, double wsd)",
 WXMS "(" WMEAN_OF("(let z = d / sd; z * z * z * z)") ") - 3.0", NULL, NULL,
 "the excess kurtosis by weights, given mean and standard deviation"},
{"wkurtosis", "double gsl_stats_wkurtosis(w, wstride, data, stride, n)",
 WX WCENTRE "gsl.wkurtosis_m_sd(w, x, m, gsl.wsd_m(w, x, m))", NULL, NULL, "the excess kurtosis by weights"},

/* ---- least and greatest: NaN if an element is NaN; there must be one ---- */
#define EXTREME(op)                                                                                          \
    V "let found = for(x, {merger[f64, " op "], merger[{i64, i64}, +]}, |b, i, e| "                          \
    "{merge(b.$0, e), merge(b.$1, {1L, select(e == e, 0L, 1L)})}); let counts = result(found.$1); "          \
    "if(assert(counts.$0 > 0L), if(counts.$1 > 0L, 0.0 / 0.0, result(found.$0)), 0.0)"
#define WHERE(name)                                                                                      \
    V "let best = gsl." name "(x); let is_nan = best != best; "                                              \
    "let at = result(for(x, merger[i64, min], |b, i, e| if(select(is_nan, e != e, e == best), merge(b, i), b))); "    \
    "if(assert(at < 9223372036854775807L), at, 0L)"
{"min", "double gsl_stats_min(data, stride, n)", EXTREME("min"), NULL, NULL, "the least element; NaN if there is a NaN"},
{"max", "double gsl_stats_max(data, stride, n)", EXTREME("max"), NULL, NULL, "the greatest element; NaN if there is a NaN"},
{"minmax", "void gsl_stats_minmax(double *min, double *max, data, stride, n)", V "{gsl.min(x), gsl.max(x)}",
 NULL, NULL, "the pair of both"},
{"min_index", "size_t gsl_stats_min_index(data, stride, n)", WHERE("min"),
 NULL, NULL, "where the first least element is, from 0; the first NaN if there is one"},
{"max_index", "size_t gsl_stats_max_index(data, stride, n)", WHERE("max"),
 NULL, NULL, "where the first greatest element is, from 0; the first NaN if there is one"},
{"minmax_index", "void gsl_stats_minmax_index(size_t *min, size_t *max, data, stride, n)",
 V "{gsl.min_index(x), gsl.max_index(x)}", NULL, NULL, "the pair of both places"},

/* ---- sorting, and what needs it ---- */
{"sort", "void gsl_sort(double *data, size_t stride, size_t n)", V "sort(x, |a, b| compare(a, b))",
 NULL, NULL, "the elements, the least first"},
{"sort_index", "void gsl_sort_index(size_t *p, const double *data, size_t stride, size_t n)",
 V "map(sort(result(for(x, appender, |b, i, e| merge(b, {e, i}))), |a, b| compare(a.$0, b.$0)), |e| e.$1)",
 NULL, NULL, "where the elements are, the least first; equal ones in their order"},
{"sort_smallest", "int gsl_sort_smallest(double *dest, size_t k, const double *src, size_t stride, size_t n)",
 "|x: vec[f64], k: i64| if(assert(k >= 0L && k <= len(x)), slice(sort(x, |a, b| compare(a, b)), 0L, k), x)",
 NULL, NULL, "the k least elements, the least first"},
{"sort_largest", "int gsl_sort_largest(double *dest, size_t k, const double *src, size_t stride, size_t n)",
 "|x: vec[f64], k: i64| if(assert(k >= 0L && k <= len(x)), slice(sort(x, |a, b| compare(b, a)), 0L, k), x)",
 NULL, NULL, "the k greatest elements, the greatest first"},
{"select", "double gsl_stats_select(double data[], size_t stride, size_t n, size_t k)",
 "|x: vec[f64], k: i64| lookup(sort(x, |a, b| compare(a, b)), k)", NULL, NULL, "the k-th least element, from 0"},
{"median_from_sorted_data", "double gsl_stats_median_from_sorted_data(sorted, stride, n)",
 V "let n = len(x); if(n == 0L, 0.0, if(n % 2L == 1L, lookup(x, n / 2L), (lookup(x, n / 2L - 1L) + lookup(x, n / 2L)) / 2.0))",
 NULL, NULL, "the median of sorted data; 0 of none"},
{"median", "double gsl_stats_median(double data[], stride, n)", V "gsl.median_from_sorted_data(gsl.sort(x))",
 NULL, NULL, "the median"},
{"quantile_from_sorted_data", "double gsl_stats_quantile_from_sorted_data(sorted, stride, n, double f)",
 "|x: vec[f64], f: f64| let n = len(x); let place = f * f64(n - 1L); let low = i64(place); let part = place - f64(low); "
 "if(n == 0L, 0.0, if(assert(f >= 0.0 && f <= 1.0), if(low == n - 1L, lookup(x, low), "
 "(1.0 - part) * lookup(x, low) + part * lookup(x, low + 1L)), 0.0))",
 NULL, NULL, "the f-quantile of sorted data, f from 0 to 1; 0 of none"},
{"quantile", "double gsl_stats_quantile_from_sorted_data(sorted, stride, n, double f)",
 "|x: vec[f64], f: f64| gsl.quantile_from_sorted_data(gsl.sort(x), f)", NULL, NULL, "the f-quantile of any data"},
{"trmean_from_sorted_data", "double gsl_stats_trmean_from_sorted_data(double trim, sorted, stride, n)",
 "|trim: f64, x: vec[f64]| let n = len(x); if(trim >= 0.5, gsl.median_from_sorted_data(x), "
 "(let low = i64(trim * f64(n)); gsl.mean(slice(x, low, n - 2L * low))))",
 NULL, NULL, "the mean of sorted data without a part `trim` of them at each end"},
{"gastwirth_from_sorted_data", "double gsl_stats_gastwirth_from_sorted_data(sorted, stride, n)",
 V "0.3 * gsl.quantile_from_sorted_data(x, 1.0 / 3.0) + 0.4 * gsl.median_from_sorted_data(x) + "
 "0.3 * gsl.quantile_from_sorted_data(x, 2.0 / 3.0)",
 NULL, NULL, "Gastwirth's estimate of the location of sorted data: of three quantiles; 0 of none"},
{"mad0", "double gsl_stats_mad0(data, stride, n, double work[])",
 V "let m = gsl.median(x); gsl.median(map(x, |e| let d = e - m; select(d < 0.0, -d, d)))",
 NULL, NULL, "the median absolute deviation from the median"},
{"mad", "double gsl_stats_mad(data, stride, n, double work[])", V "1.482602218505602 * gsl.mad0(x)",
 NULL, NULL, "the same, scaled to estimate a standard deviation"},

/* ---- vectors ---- */
#define XY "|x: vec[f64], y: vec[f64]| "
{"vector_add", "int gsl_vector_add(gsl_vector *a, const gsl_vector *b)", XY "map(zip(x, y), |e| e.$0 + e.$1)",
 NULL, NULL, "x + y"},
{"vector_sub", "int gsl_vector_sub(gsl_vector *a, const gsl_vector *b)", XY "map(zip(x, y), |e| e.$0 - e.$1)",
 NULL, NULL, "x - y"},
{"vector_mul", "int gsl_vector_mul(gsl_vector *a, const gsl_vector *b)", XY "map(zip(x, y), |e| e.$0 * e.$1)",
 NULL, NULL, "x y, element by element"},
{"vector_div", "int gsl_vector_div(gsl_vector *a, const gsl_vector *b)", XY "map(zip(x, y), |e| e.$0 / e.$1)",
 NULL, NULL, "x / y, element by element"},
{"vector_scale", "int gsl_vector_scale(gsl_vector *a, double x)", "|x: vec[f64], a: f64| map(x, |e| e * a)",
 NULL, NULL, "a x"},
{"vector_add_constant", "int gsl_vector_add_constant(gsl_vector *a, double x)",
 "|x: vec[f64], a: f64| map(x, |e| e + a)", NULL, NULL, "a added to each element"},
{"vector_axpby", "int gsl_vector_axpby(double alpha, const gsl_vector *x, double beta, gsl_vector *y)",
 "|alpha: f64, x: vec[f64], beta: f64, y: vec[f64]| map(zip(x, y), |e| "
 "select(beta == 0.0, alpha * e.$0, alpha * e.$0 + beta * e.$1))", NULL, NULL, "alpha x + beta y"},
{"vector_sum", "double gsl_vector_sum(const gsl_vector *a)", V "sum(x)", NULL, NULL, "the sum of the elements"},
{"vector_reverse", "int gsl_vector_reverse(gsl_vector *v)",
 V "let n = len(x); result(for(nditer(x, n - min(n, 1L), n - min(n, 1L) + n, 1L, [n], [-1L]), appender, |b, i, e| merge(b, e)))",
 NULL, NULL, "the elements from the last to the first"},
{"vector_isnull", "int gsl_vector_isnull(const gsl_vector *v)",
 V "result(for(x, merger[i64, +], |b, i, e| merge(b, select(e == 0.0, 0L, 1L)))) == 0L", NULL, NULL, "are all elements 0"},
{"vector_ispos", "int gsl_vector_ispos(const gsl_vector *v)",
 V "result(for(x, merger[i64, +], |b, i, e| merge(b, select(e <= 0.0, 1L, 0L)))) == 0L",
 NULL, NULL, "are no elements 0 or less"},
{"vector_isneg", "int gsl_vector_isneg(const gsl_vector *v)",
 V "result(for(x, merger[i64, +], |b, i, e| merge(b, select(e >= 0.0, 1L, 0L)))) == 0L",
 NULL, NULL, "are no elements 0 or more"},
{"vector_isnonneg", "int gsl_vector_isnonneg(const gsl_vector *v)",
 V "result(for(x, merger[i64, +], |b, i, e| merge(b, select(e < 0.0, 1L, 0L)))) == 0L",
 NULL, NULL, "are no elements less than 0"},

/* ---- histograms: counts are doubles, the ranges are n + 1 limits; bin i holds ranges[i] <= x < ranges[i + 1] ---- */
#define LIMIT(i) "(f64(n - " i ") / f64(n) * low + f64(" i ") / f64(n) * high)"
#define PLACE                                                                                                \
    "let guess = max(min(i64((e - low) / (high - low) * f64(n)), n - 1L), 0L); "                             \
    "let at = iterate(guess, |g| if(e < " LIMIT("g") ", {g - 1L, true}, "                                    \
    "if(e >= " LIMIT("(g + 1L)") ", {g + 1L, true}, {g, false}))); "
#define BINS "if(assert(n > 0L && low < high), result(for(rangeiter(0L, n, 1L), appender, |b, i, k| merge(b, 0.0))), [])"
{"histogram_uniform_ranges", "int gsl_histogram_set_ranges_uniform(gsl_histogram *h, double xmin, double xmax)",
 "|n: i64, low: f64, high: f64| if(assert(n > 0L && low < high), "
 "result(for(rangeiter(0L, n + 1L, 1L), appender, |b, i, k| merge(b, " LIMIT("k") "))), [])",
 NULL, NULL, "the limits of n bins of one width"},
{"histogram", "int gsl_histogram_increment(gsl_histogram *h, double x)",
 "|x: vec[f64], n: i64, low: f64, high: f64| let bins = " BINS "; "
 "result(for(x, vecmerger[f64, +](bins), |b, i, e| if(e >= " LIMIT("0L") " && e < " LIMIT("n") ", "
 "(" PLACE "merge(b, {at, 1.0})), b)))",
 NULL, NULL, "how many elements fall into each of n bins from low to high; others, and NaN, are left out"},
{"histogram_accumulate", "int gsl_histogram_accumulate(gsl_histogram *h, double x, double weight)",
 "|x: vec[f64], w: vec[f64], n: i64, low: f64, high: f64| let bins = " BINS "; "
 "result(for(zip(x, w), vecmerger[f64, +](bins), |b, i, z| let e = z.$0; if(e >= " LIMIT("0L") " && e < " LIMIT("n") ", "
 "(" PLACE "merge(b, {at, z.$1})), b)))",
 NULL, NULL, "the same by weights"},
{"histogram_ranges", "int gsl_histogram_set_ranges(gsl_histogram *h, const double range[], size_t size)",
 "|x: vec[f64], ranges: vec[f64]| let n = len(ranges) - 1L; "
 "let rising = result(for(zip(iter(ranges, 0L, max(n, 0L), 1L), iter(ranges, min(len(ranges), 1L), len(ranges), 1L)), "
 "merger[i64, +], |b, i, e| merge(b, select(e.$0 < e.$1, 0L, 1L)))) == 0L; "
 "let bins = if(assert(n > 0L && rising), result(for(iter(ranges, 1L, n + 1L, 1L), appender, |b, i, k| merge(b, 0.0))), []); "
 "result(for(x, vecmerger[f64, +](bins), |b, i, e| if(e >= lookup(ranges, 0L) && e < lookup(ranges, n), "
 "(let place = iterate({0L, n}, |s| let half = (s.$0 + s.$1) / 2L; "
 "if(s.$1 - s.$0 <= 1L, {s, false}, {if(e < lookup(ranges, half), {s.$0, half}, {half, s.$1}), true})); "
 "merge(b, {place.$0, 1.0})), b)))",
 NULL, NULL, "how many elements fall into each of the bins between these limits, which rise"},
#define LIMIT_OF(i, n, low, high) "(f64(" n " - " i ") / f64(" n ") * " low " + f64(" i ") / f64(" n ") * " high ")"
#define PLACE_OF(e, n, low, high)                                                                            \
    "iterate(max(min(i64((" e " - " low ") / (" high " - " low ") * f64(" n ")), " n " - 1L), 0L), |g| "     \
    "if(" e " < " LIMIT_OF("g", n, low, high) ", {g - 1L, true}, "                                           \
    "if(" e " >= " LIMIT_OF("(g + 1L)", n, low, high) ", {g + 1L, true}, {g, false})))"
#define IS_WITHIN(e, n, low, high) e " >= " LIMIT_OF("0L", n, low, high) " && " e " < " LIMIT_OF(n, n, low, high)
#define OF_GRID "nx: i64, xlow: f64, xhigh: f64, ny: i64, ylow: f64, yhigh: f64| "
{"histogram2d", "int gsl_histogram2d_increment(gsl_histogram2d *h, double x, double y)",
 "|x: vec[f64], y: vec[f64], " OF_GRID "gsl.histogram2d_accumulate(x, y, map(x, |e| 1.0), nx, xlow, xhigh, ny, ylow, yhigh)",
 NULL, NULL, "how many points {x, y} fall into each of nx times ny bins, y's bins fastest; others, and NaN, are left out"},
{"histogram2d_accumulate", "int gsl_histogram2d_accumulate(gsl_histogram2d *h, double x, double y, double weight)",
 "|x: vec[f64], y: vec[f64], w: vec[f64], " OF_GRID
 "let bins = if(assert(nx > 0L && ny > 0L && nx < 1073741824L && ny < 1073741824L && xlow < xhigh && ylow < yhigh), "
 "result(for(rangeiter(0L, nx * ny, 1L), appender, |b, i, k| merge(b, 0.0))), []); "
 "result(for(zip(x, y, w), vecmerger[f64, +](bins), |b, i, e| "
 "if(" IS_WITHIN("e.$0", "nx", "xlow", "xhigh") " && " IS_WITHIN("e.$1", "ny", "ylow", "yhigh") ", "
 "(let p = " PLACE_OF("e.$0", "nx", "xlow", "xhigh") "; let q = " PLACE_OF("e.$1", "ny", "ylow", "yhigh") "; "
 "merge(b, {p * ny + q, e.$2})), b)))",
 NULL, NULL, "the same by weights"},
#define HELD "zip(counts, iter(ranges, 0L, n, 1L), iter(ranges, min(len(ranges), 1L), len(ranges), 1L))"
{"histogram_sum", "double gsl_histogram_sum(const gsl_histogram *h)", "|counts: vec[f64]| sum(counts)",
 NULL, NULL, "the sum of the counts"},
{"histogram_mean", "double gsl_histogram_mean(const gsl_histogram *h)",
 "|counts: vec[f64], ranges: vec[f64]| let n = max(len(ranges) - 1L, 0L); "
 "let sums = result(for(" HELD ", merger[{f64, f64}, +], |b, i, e| let m = (e.$2 + e.$1) / 2.0; "
 "if(e.$0 > 0.0, merge(b, {e.$0, e.$0 * m}), b))); if(sums.$0 == 0.0, 0.0, sums.$1 / sums.$0)",
 NULL, NULL, "the mean of what a histogram counts, to the width of its bins"},
{"histogram_sigma", "double gsl_histogram_sigma(const gsl_histogram *h)",
 "|counts: vec[f64], ranges: vec[f64]| let n = max(len(ranges) - 1L, 0L); let mean = gsl.histogram_mean(counts, ranges); "
 "let sums = result(for(" HELD ", merger[{f64, f64}, +], |b, i, e| let d = (e.$2 + e.$1) / 2.0 - mean; "
 "if(e.$0 > 0.0, merge(b, {e.$0, e.$0 * (d * d)}), b))); if(sums.$0 == 0.0, 0.0, sqrt(sums.$1 / sums.$0))",
 NULL, NULL, "the standard deviation of what a histogram counts, to the width of its bins"},

/* ---- polynomials ---- */
{"poly_eval", "double gsl_poly_eval(const double c[], int len, double x)",
 "|c: vec[f64], x: f64| let n = len(c); if(n == 0L, 0.0, iterate({lookup(c, n - 1L), n - 2L}, |s| "
 "if(s.$1 < 0L, {s, false}, {{lookup(c, s.$1) + x * s.$0, s.$1 - 1L}, true})).$0)",
 NULL, NULL, "c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule"},
    /* clang-format on */
