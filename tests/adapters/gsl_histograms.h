/* gsl_histograms.h: tests of histograms of one and of two dimensions; included behind gsl_vectors.h. */

/* Random elements, the limits themselves and their neighbours, some outside, NaN and infinities. */
static int64_t around(double *x, int64_t room, const gsl_histogram *h, int64_t bins) {
    int64_t n = 0;
    double low = h->range[0], high = h->range[bins];
    while (n < room / 2) x[n++] = low + (high - low) * (0.5 + 0.6 * random_number());
    while (n < room - 4) {
        double limit = h->range[random_below(bins + 1)];
        x[n++] = limit;
        x[n++] = nextafter(limit, -INFINITY);
        x[n++] = nextafter(limit, INFINITY);
    }
    x[n++] = NAN;
    x[n++] = INFINITY;
    return n;
}

static void count_all(gsl_histogram *h, const double *x, const double *w, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i])) gsl_histogram_accumulate(h, x[i], w ? w[i] : 1);
    }
}

static const struct Bins {
    int64_t n;
    double low, high;
} some_bins[] = {{1, 0, 1},        {3, 0, 1},           {10, -1, 1},
                 {100, 0, 0.3},    {7, 1e15, 1e15 + 7}, {50, -1e-300, 3e-300},
                 {1000, -10, 1000}};
enum { SOME_BINS = 7, ELEMENTS = 400 };

static void histogram_of(int engine, const char *full, const struct Bins *b, bool weighted) {
    double x[ELEMENTS], w[ELEMENTS];
    gsl_histogram *h = gsl_histogram_alloc((size_t)b->n);
    gsl_histogram_set_ranges_uniform(h, b->low, b->high);
    int64_t n = around(x, ELEMENTS, h, b->n);
    for (int64_t i = 0; i < n; i++) w[i] = random_number();
    count_all(h, x, weighted ? w : NULL, n);
    Arg args[] = {X, I64(b->n), F64(b->low), F64(b->high)};
    Arg with[] = {X, VEC("f64", w, n), I64(b->n), F64(b->low), F64(b->high)};
    weld_value_t value = weighted ? call(engine, full, with, 5) : call(engine, full, args, 4);
    expect_vector_of(full, weld_value_data(value), h->bin, b->n, false, 1e-13, 1);
    weld_value_free(value);
    gsl_histogram_free(h);
}

/* No points, and one, in a grid of one or two dimensions: the first of three bins each. */
static void expect_no_points(int engine, const char *full, int vectors) {
    double one[] = {0.1, 1}, expected[9] = {0};
    bool two = strstr(full, "2d");
    for (int64_t n = 0; n < 2; n++) {
        Arg args[9];
        int64_t count = 0;
        while (count < vectors) args[count++] = (Arg)VEC("f64", one, n);
        if (strstr(full, "accumulate")) args[vectors - 1] = (Arg)VEC("f64", one + 1, n); /* the weight */
        for (int d = 0; d < 1 + two; d++)
            args[count++] = (Arg)I64(3), args[count++] = (Arg)F64(0), args[count++] = (Arg)F64(3);
        expected[0] = (double)n;
        expect_doubles(engine, full, args, count, expected, two ? 9 : 3, 0);
    }
}

static void histogram(int engine, const char *full) {
    for (int k = 0; k < SOME_BINS; k++) histogram_of(engine, full, &some_bins[k], false);
    expect_no_points(engine, full, 1);
    double x[] = {1};
    static const struct Bins bad[] = {{0, 0, 1}, {-1, 0, 1}, {3, 1, 1}, {3, 2, 1}, {3, NAN, 1}};
    for (int k = 0; k < COUNT(bad); k++) {
        Arg args[] = {VEC("f64", x, 1), I64(bad[k].n), F64(bad[k].low), F64(bad[k].high)};
        expect_failure(engine, full, args, 4, "no bins");
    }
}
static void histogram_accumulate(int engine, const char *full) {
    expect_no_points(engine, full, 2);
    for (int k = 0; k < SOME_BINS; k++) histogram_of(engine, full, &some_bins[k], true);
}

static void histogram_uniform_ranges(int engine, const char *full) {
    for (int k = 0; k < SOME_BINS; k++) {
        const struct Bins *b = &some_bins[k];
        gsl_histogram *h = gsl_histogram_alloc((size_t)b->n);
        gsl_histogram_set_ranges_uniform(h, b->low, b->high);
        Arg args[] = {I64(b->n), F64(b->low), F64(b->high)};
        expect_doubles(engine, full, args, 3, h->range, b->n + 1, 0);
        gsl_histogram_free(h);
    }
    double ranges[4];
    gsl_histogram *wide = gsl_histogram_alloc(3);
    gsl_histogram_set_ranges_uniform(wide, -1e308, 1e308);
    Arg far[] = {I64(3), F64(-1e308), F64(1e308)}, nan[] = {I64(3), F64(NAN), F64(1)};
    memcpy(ranges, wide->range, sizeof ranges);
    expect_doubles(engine, full, far, 3, ranges, 4, 1e-15);
    expect_failure(engine, full, nan, 3, "a NaN for a limit");
    gsl_histogram_free(wide);
}

/* A histogram of bins of random widths. */
static gsl_histogram *uneven(int64_t bins) {
    double ranges[64];
    ranges[0] = random_number();
    for (int64_t i = 0; i < bins; i++) ranges[i + 1] = ranges[i] + 1e-3 + fabs(random_number());
    gsl_histogram *h = gsl_histogram_alloc((size_t)bins);
    gsl_histogram_set_ranges(h, ranges, (size_t)bins + 1);
    return h;
}

static void histogram_ranges(int engine, const char *full) {
    for (int64_t bins = 1; bins < 60; bins += 7) {
        gsl_histogram *h = uneven(bins);
        double x[ELEMENTS];
        int64_t n = around(x, ELEMENTS, h, bins);
        count_all(h, x, NULL, n);
        Arg args[] = {X, VEC("f64", h->range, bins + 1)};
        expect_doubles(engine, full, args, 2, h->bin, bins, 0);
        gsl_histogram_free(h);
    }
    double one[] = {1, 2, 2}, falling[] = {2, 1};
    Arg none[] = {VEC("f64", one, 1), VEC("f64", one, 0)},
        single[] = {VEC("f64", one, 1), VEC("f64", one, 1)};
    Arg down[] = {VEC("f64", one, 1), VEC("f64", falling, 2)},
        equal[] = {VEC("f64", one, 1), VEC("f64", one, 3)};
    expect_failure(engine, full, none, 2, "no limits");
    expect_failure(engine, full, single, 2, "one limit");
    expect_failure(engine, full, down, 2, "falling limits");
    expect_failure(engine, full, equal, 2, "equal limits");
}

#define OF_HISTOGRAM(name, count)                                                               \
    static void name(int engine, const char *full) {                                            \
        for (int64_t bins = 1; bins < 60; bins += 7) {                                          \
            gsl_histogram *h = uneven(bins);                                                    \
            for (int64_t i = 0; i < bins; i++) h->bin[i] = 100 * random_number();               \
            if (bins == 8) gsl_histogram_reset(h);                                              \
            if (bins == 15) h->bin[3] = NAN;                                                    \
            if (bins == 22) h->bin[5] = 1e300;                                                  \
            Arg args[] = {VEC("f64", h->bin, bins), VEC("f64", h->range, bins + 1)};            \
            expect_close(full, number(engine, full, args, count), gsl_##name(h), 1e-12, 1e-12); \
            gsl_histogram_free(h);                                                              \
        }                                                                                       \
        Arg none[] = {VEC("f64", NULL, 0), VEC("f64", (double[]){1}, 1)};                       \
        expect_exactly(full, number(engine, full, none, count), 0);                             \
    }
OF_HISTOGRAM(histogram_sum, 1)
OF_HISTOGRAM(histogram_mean, 2)
OF_HISTOGRAM(histogram_sigma, 2)

static void histogram_pdf_sample(int engine, const char *full) {
    for (int64_t bins = 1; bins < 60; bins += 7) {
        gsl_histogram *h = uneven(bins);
        double r[50], expected[50];
        for (int64_t i = 0; i < bins; i++) h->bin[i] = fabs(random_number());
        if (bins == 15) h->bin[7] = 1e300;
        gsl_histogram_pdf *pdf = gsl_histogram_pdf_alloc((size_t)bins);
        gsl_histogram_pdf_init(pdf, h);
        for (int i = 0; i < 50; i++) {
            r[i] = i < 6 ? (double[]){0, 1, -1, NAN, 0.999999, 0.5}[i] : fabs(random_number());
            expected[i] = r[i] >= 0 && r[i] < 1 ? gsl_histogram_pdf_sample(pdf, r[i]) : NAN;
        }
        Arg args[] = {VEC("f64", h->bin, bins), VEC("f64", h->range, bins + 1), VEC("f64", r, 50)};
        expect_doubles(engine, full, args, 3, expected, 50, 0);
        expect_checked(engine, full, args, 3, 4);
        h->bin[0] = -1;
        expect_failure(engine, full, args, 3, "less than no elements");
        gsl_histogram_pdf_free(pdf);
        gsl_histogram_free(h);
    }
    Arg none[] = {VEC("f64", NULL, 0), VEC("f64", (double[]){1}, 1), VEC("f64", NULL, 0)};
    expect_failure(engine, full, none, 3, "no bins");
}

static void histogram2d_of(int engine, const char *full, const struct Bins *a, const struct Bins *b,
                           bool weighted) {
    double x[ELEMENTS], y[ELEMENTS], w[ELEMENTS];
    gsl_histogram *hx = gsl_histogram_alloc((size_t)a->n), *hy = gsl_histogram_alloc((size_t)b->n);
    gsl_histogram2d *h = gsl_histogram2d_alloc((size_t)a->n, (size_t)b->n);
    gsl_histogram_set_ranges_uniform(hx, a->low, a->high);
    gsl_histogram_set_ranges_uniform(hy, b->low, b->high);
    gsl_histogram2d_set_ranges_uniform(h, a->low, a->high, b->low, b->high);
    int64_t n = around(x, ELEMENTS, hx, a->n);
    around(y, ELEMENTS, hy, b->n);
    for (int64_t i = 0; i < n; i++) {
        int64_t other = random_below(n);
        double before = y[i];
        y[i] = y[other], y[other] = before;
        w[i] = random_number();
    }
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i]) && !isnan(y[i])) gsl_histogram2d_accumulate(h, x[i], y[i], weighted ? w[i] : 1);
    }
    Arg points[] = {VEC("f64", x, n), VEC("f64", y, n), VEC("f64", w, n)},
        grid[] = {I64(a->n), F64(a->low), F64(a->high), I64(b->n), F64(b->low), F64(b->high)}, args[9];
    int64_t count = weighted ? 3 : 2;
    memcpy(args, points, sizeof *args * (size_t)count);
    memcpy(args + count, grid, sizeof grid);
    expect_doubles(engine, full, args, count + 6, h->bin, a->n * b->n, 1e-13);
    args[count] = (Arg)I64(0);
    expect_failure(engine, full, args, count + 6, "no bins");
    args[count] = (Arg)I64(INT64_MAX);
    expect_failure(engine, full, args, count + 6, "too many bins");
    args[count] = grid[0], args[count + 4] = (Arg)F64(NAN);
    expect_failure(engine, full, args, count + 6, "a NaN for a limit");
    gsl_histogram_free(hx);
    gsl_histogram_free(hy);
    gsl_histogram2d_free(h);
}
static void histogram2d(int engine, const char *full) {
    expect_no_points(engine, full, 2);
    for (int k = 0; k < SOME_BINS - 1; k++)
        histogram2d_of(engine, full, &some_bins[k], &some_bins[(k * 2 + 1) % 4], false);
}
static void histogram2d_accumulate(int engine, const char *full) {
    expect_no_points(engine, full, 3);
    for (int k = 0; k < SOME_BINS - 1; k++)
        histogram2d_of(engine, full, &some_bins[k], &some_bins[(k * 2 + 1) % 4], true);
}
