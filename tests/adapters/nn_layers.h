/* nn_layers.h: matrices, activations and losses of nn.c. */

/* A row's text, applied: "|x, p| nn.elu(x, p)" and what is taken of it. */
static const char *of(const char *parameters, const char *full, const char *arguments) {
    static char text[256];
    snprintf(text, sizeof text, "|%s| %s%s", parameters, full, arguments);
    return text;
}

static void real(int engine, const char *full) {
    static const int64_t numbers[] = {0, 1, 2, 3, 13, 255, 65536, 1 << 24};
    for (int64_t k = 0; k < COUNT(numbers); k++) {
        Arg args[] = {I64(numbers[k]), F64(NAN)};
        double expected = (double)numbers[k];
        check(engine, of("n, x", "[", "nn.real(n, x)]"), args, 2, &expected, 1, 0);
    }
    (void)full;
}

/* y = x w' + b. */
static void dense_of(const double *x, const double *w, const double *b, double *y, int64_t n, int64_t k,
                     int64_t m) {
    for (int64_t r = 0; r < n; r++) {
        for (int64_t j = 0; j < m; j++) {
            double sum = 0;
            for (int64_t i = 0; i < k; i++) sum += x[r * k + i] * w[j * k + i];
            y[r * m + j] = sum + b[j];
        }
    }
}

static void dense(int engine, const char *full) {
    static const int64_t sizes[][3] = {{3, 4, 2}, {1, 1, 1}, {5, 1, 3},   {2, 0, 2},
                                       {0, 3, 2}, {3, 2, 0}, {37, 67, 19}};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        int64_t n = sizes[s][0], k = sizes[s][1], m = sizes[s][2];
        double *x = random_doubles(n * k), *w = random_doubles(m * k), *b = random_doubles(m);
        double *expected = random_doubles(n * m), shape[] = {(double)n, (double)m};
        dense_of(x, w, b, expected, n, k, m);
        Arg args[] = {X(n, k), MATRIX("f64", w, m, k), VEC("f64", b, m)};
        check(engine, of("x, w, b", full, "(x, w, b).$0"), args, 3, expected, n * m,
              s ? 0 : BY(0) | BY(1) | BY(2));
        check(engine, "|x, w, b| let y = nn.dense(x, w, b); [f64(y.$1), f64(y.$2)]", args, 3, shape, 2, 0);
        free(x), free(w), free(b), free(expected);
    }
    double x[12] = {0};
    Arg args[] = {X(3, 2), MATRIX("f64", x, 4, 2), VEC("f64", x, 4)}, wrong[3];
    for (int64_t i = 0; i < 3; i++) {
        memcpy(wrong, args, sizeof args);
        wrong[i].as.v.length -= 1;
        expect_failure(engine, full, wrong, 3, "a length that is not the size");
    }
    memcpy(wrong, args, sizeof args);
    wrong[1] = (Arg)MATRIX("f64", x, 4, 3);
    expect_failure(engine, full, wrong, 3, "as many columns that differ");
    wrong[1] = args[1];
    wrong[0].as.m.rows = -3, wrong[0].as.m.columns = -2;
    expect_failure(engine, full, wrong, 3, "a negative size");
}

/* The product of matrices that are given as they are or transposed, and a vector added to each row. */
static void product(int engine, const char *full) {
    static const int64_t sizes[][3] = {{3, 4, 2},
                                       {1, 1, 1},
                                       {2, 0, 3},
                                       {0, 2, 3},
                                       {2, 3, 0},
                                       {23, 31, 41},
                                       /* cut into pieces of rows, columns, sums, small rows */
                                       {300, 70, 90},
                                       {40, 100, 300},
                                       {9, 9000, 20},
                                       {30011, 5, 11}};
    for (int64_t s = 0; s < 8 * COUNT(sizes); s++) {
        bool ta = s & 1, tb = s & 2, more = s & 4;
        int64_t m = sizes[s / 8][0], k = sizes[s / 8][1], n = sizes[s / 8][2];
        double *a = random_doubles(m * k + 1), *b = random_doubles(k * n + 1), *c = random_doubles(n + 1);
        double *expected = calloc((size_t)(m * n + 1), 8);
        for (int64_t i = 0; i < m * n && more; i++) expected[i] = c[i % n];
        for (int64_t i = 0; i < m * n * k; i++) {
            int64_t r = i / k / n, j = i / k % n, at = i % k;
            expected[r * n + j] += a[ta ? at * m + r : r * k + at] * b[tb ? j * k + at : at * n + j];
        }
        Arg args[] = {BOOL(ta),
                      BOOL(tb),
                      I64(m),
                      I64(n),
                      I64(k),
                      VEC("f64", a, m * k),
                      VEC("f64", b, k * n),
                      VEC("f64", c, more ? n : 0)};
        check(engine, of("s, t, m, n, k, a, b, c", full, "(s, t, m, n, k, a, b, c)"), args, 8, expected,
              m * n, s < 8 ? BY(5) | BY(6) | (more ? BY(7) : 0) : 0);
        for (int i = 5; i < 8; i++) {
            args[i].as.v.length++;
            if (i < 7 || args[i].as.v.length != n)
                expect_failure(engine, full, args, 8, "another number of elements");
            args[i].as.v.length--;
        }
        free(a), free(b), free(c), free(expected);
    }
}

static void width(int engine, const char *full) {
    double x[] = {1, 2}, eight = 8, four = 4;
    float y[] = {1, 2};
    for (int64_t n = 0; n < 3; n += 2) {
        Arg doubles[] = {VEC("f64", x, n)}, floats[] = {VEC("f32", y, n)};
        check_values(engine, "|v| [nn.width(v)]", doubles, 1, &eight, 1, 0);
        check_values(engine, "|v| [nn.width(v)]", floats, 1, &four, 1, 0);
    }
    (void)full;
}

static void linear(int engine, const char *full) {
    enum { R = 37, C = 5 };
    double *x = random_doubles(R * C), *w = random_doubles(C), b = 0.75, expected[R];
    dense_of(x, w, &b, expected, R, C, 1);
    Arg args[] = {X(R, C), VEC("f64", w, C), F64(b)}, few[] = {X(R, C), VEC("f64", w, C - 1), F64(b)};
    check(engine, of("x, w, b", full, "(x, w, b)"), args, 3, expected, R, BY(0) | BY(1) | BY(2));
    expect_failure(engine, full, few, 3, "too few weights");
    free(x), free(w);
}

static void matmul(int engine, const char *full) {
    static const int64_t sizes[][3] = {{3, 4, 2}, {1, 1, 1}, {2, 0, 2}, {0, 3, 2}, {3, 2, 0}, {23, 31, 41}};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        int64_t n = sizes[s][0], k = sizes[s][1], m = sizes[s][2];
        double *x = random_doubles(n * k), *y = random_doubles(k * m),
               *expected = calloc((size_t)(n * m + 1), 8);
        for (int64_t r = 0; r < n; r++) {
            for (int64_t i = 0; i < k; i++) {
                for (int64_t j = 0; j < m; j++) expected[r * m + j] += x[r * k + i] * y[i * m + j];
            }
        }
        Arg args[] = {X(n, k), MATRIX("f64", y, k, m)};
        check(engine, of("x, y", full, "(x, y).$0"), args, 2, expected, n * m, s ? 0 : BY(0) | BY(1));
        free(x), free(y), free(expected);
    }
    double x[6] = {0};
    Arg wrong[] = {X(2, 3), X(2, 3)}, few[] = {X(2, 3), X(3, 2)};
    few[1].as.v.length--;
    expect_failure(engine, full, wrong, 2, "sizes that do not meet");
    expect_failure(engine, full, few, 2, "too few elements");
}

static void transpose(int engine, const char *full) {
    double *x = random_doubles(12), y[12];
    for (int i = 0; i < 12; i++) y[i % 4 * 3 + i / 4] = x[i];
    Arg args[] = {X(3, 4)};
    check(engine, of("x", full, "(x).$0"), args, 1, y, 12, BY(0));
    args[0].as.v.length--;
    expect_failure(engine, full, args, 1, "too few elements");
    free(x);
}

static void add(int engine, const char *full) {
    double *x = random_doubles(6), *z = random_doubles(6), y[6];
    for (int i = 0; i < 6; i++) y[i] = x[i] + z[i];
    Arg args[] = {X(3, 2), MATRIX("f64", z, 3, 2)}, wrong[] = {X(3, 2), MATRIX("f64", z, 2, 3)};
    check(engine, of("x, y", full, "(x, y).$0"), args, 2, y, 6, BY(0) | BY(1));
    expect_failure(engine, full, wrong, 2, "another shape");
    free(x), free(z);
}

static void reshape(int engine, const char *full) {
    double *x = random_doubles(6), shape[] = {3, 2};
    Arg args[] = {X(2, 3), I64(3), I64(2)};
    check(engine, of("x, r, c", full, "(x, r, c).$0"), args, 3, x, 6, BY(0));
    check(engine, "|x, r, c| let y = nn.reshape(x, r, c); [f64(y.$1), f64(y.$2)]", args, 3, shape, 2, 0);
    args[1].as.i64 = 4;
    expect_failure(engine, full, args, 3, "another number of elements");
    free(x);
}

static void rows(int engine, const char *full) {
    int64_t at[] = {2, 0, 2};
    double *x = random_doubles(12), y[12];
    for (int i = 0; i < 12; i++) y[i] = x[at[i / 4] * 4 + i % 4];
    Arg args[] = {X(3, 4), VEC("i64", at, 3)};
    check(engine, of("x, at", full, "(x, at).$0"), args, 2, y, 12, BY(0));
    at[1] = 3;
    expect_failure(engine, full, args, 2, "a row behind the last");
    at[1] = -1;
    expect_failure(engine, full, args, 2, "a row before the first");
    free(x);
}

static void elements(int engine, const char *full) {
    int64_t at[] = {2, 0, 2};
    double x[] = {1, 2, 4}, y[] = {4, 1, 4};
    Arg args[] = {VEC("f64", x, 3), VEC("i64", at, 3)};
    check(engine, of("x, at", full, "(x, at)"), args, 2, y, 3, BY(0));
    at[1] = 3;
    expect_failure(engine, full, args, 2, "no such element");
}

/* ---- activations ---- */

static double relu_of(double e) {
    return e > 0 ? e : 0;
}
static double leaky_of(double e) {
    return e > 0 ? e : 0.3 * e;
}
static double elu_of(double e) {
    return e > 0 ? e : 0.3 * expm1(e);
}
static double sigmoid_of(double e) {
    return 1 / (1 + exp(-e));
}
static double softplus_of(double e) {
    return e > 30 ? e : log1p(exp(e));
}
static double silu_of(double e) {
    return e / (1 + exp(-e));
}
static double gelu_of(double e) {
    return e / 2 * (1 + erf(e / sqrt(2)));
}

static const struct Activation {
    const char *name;
    double (*of)(double);
    bool parameter;
} activations[] = {{"relu", relu_of, false}, {"leaky_relu", leaky_of, true},
                   {"elu", elu_of, true},    {"sigmoid", sigmoid_of, false},
                   {"tanh", tanh, false},    {"softplus", softplus_of, false},
                   {"silu", silu_of, false}, {"gelu", gelu_of, false}};

static void activation(int engine, const char *full) {
    double x[] = {-800, -90, -1.5, -0.25, 0.125, 1, 3, 90, 800}, y[9];
    bool by_value = strlen(full) > 3 && strcmp(full + strlen(full) - 3, "_of") == 0;
    size_t length = strlen(full) - 3 - (by_value ? 3 : 0);
    int64_t found = 0;
    for (int64_t k = 0; k < COUNT(activations); k++) {
        const struct Activation *a = &activations[k];
        if (strlen(a->name) != length || strncmp(full + 3, a->name, length) != 0) continue;
        for (int i = 0; i < 9; i++) y[i] = a->of(x[i]);
        Arg args[] = {X(3, 3), F64(0.3)};
        const char *rest =
            by_value ? (a->parameter ? "(e, p))" : "(e))") : (a->parameter ? "(x, p).$0" : "(x).$0");
        char start[64];
        snprintf(start, sizeof start, "%s%s", by_value ? "map(x.$0, |e| " : "", full);
        check(engine, of("x, p", start, rest), args, 2, y, 9, BY(0) | (a->parameter ? BY(1) : 0));
        found++;
    }
    cr_expect(found == 1, "%s has no function in C", full);
    if (strncmp(full, "nn.relu", 7) == 0) {
        double none = NAN;
        Arg args[] = {MATRIX("f64", &none, 1, 1)};
        check(engine, "|x| nn.relu(x).$0", args, 1, &none, 1, 0);
    }
}

static void softmax(int engine, const char *full) {
    double x[] = {1, 2, 3, -4, 0.5, 1000, 999, 998.5, 1000.25, 990}, y[10];
    bool logarithm = strstr(full, "log") != NULL;
    for (int r = 0; r < 2; r++) {
        double sum = 0;
        for (int j = 0; j < 5; j++) sum += exp(x[r * 5 + j] - 1000 * r);
        for (int j = 0; j < 5; j++) {
            double e = x[r * 5 + j] - 1000 * r;
            y[r * 5 + j] = logarithm ? e - log(sum) : exp(e) / sum;
        }
    }
    Arg args[] = {X(2, 5)};
    check_values(engine, of("x", full, "(x).$0"), args, 1, y, 10, 1e-12);
    if (engine == 0) check_gradient(of("x", full, "(x).$0"), args, 1, BY(0));
    Arg first[] = {X(1, 5)};
    check_floats(engine, of("x", full, "(x).$0"), first, 1, y, 5);
    args[0].as.v.length--;
    expect_failure(engine, full, args, 1, "too few elements");
}

/* ---- losses ---- */

static void cross_entropy(int engine, const char *full) {
    double x[] = {1, 2, 3, -4, 0.5, 10, 9, 8.5, 10.25, 0}, y = 0;
    int64_t labels[] = {1, 4};
    for (int r = 0; r < 2; r++) {
        double sum = 0;
        for (int j = 0; j < 5; j++) sum += exp(x[r * 5 + j]);
        y += (log(sum) - x[r * 5 + labels[r]]) / 2;
    }
    Arg args[] = {X(2, 5), VEC("i64", labels, 2)}, few[] = {X(2, 5), VEC("i64", labels, 1)};
    check(engine, of("x, labels", "[nn.cross_entropy", "(x, labels)]"), args, 2, &y, 1, BY(0));
    expect_failure(engine, full, few, 2, "too few labels");
    Arg none[] = {X(0, 5), VEC("i64", labels, 0)};
    expect_failure(engine, full, none, 2, "no samples");
    labels[1] = 5;
    expect_failure(engine, full, args, 2, "a label without a column");
    labels[1] = -1;
    expect_failure(engine, full, args, 2, "a negative label");
}

static void argmax(int engine, const char *full) {
    double x[] = {1, 3, 3, NAN, 5, -1, NAN, NAN, NAN}, y[] = {1, 1, 0};
    Arg args[] = {X(3, 3)}, none[] = {X(3, 0)};
    check(engine, of("x", full, "(x)"), args, 1, y, 3, 0);
    expect_failure(engine, full, none, 1, "rows without elements");
}

static void accuracy(int engine, const char *full) {
    double x[] = {1, 3, 2, 0, 5, -1, 7, 8, 6, 9, 1, 1}, y = 0.75;
    int64_t labels[] = {1, 1, 1, 1};
    Arg args[] = {X(4, 3), VEC("i64", labels, 4)}, few[] = {X(4, 3), VEC("i64", labels, 3)};
    Arg none[] = {X(0, 3), VEC("i64", labels, 0)};
    check(engine, "|x, labels| [nn.accuracy(x, labels)]", args, 2, &y, 1, 0);
    expect_failure(engine, full, none, 2, "no samples");
    expect_failure(engine, full, few, 2, "too few labels");
}

static double loss_at(const char *full, double x, double y) {
    double d = x - y, size = fabs(d);
    if (strstr(full, "squared")) return d * d;
    if (strstr(full, "absolute")) return size;
    if (strstr(full, "huber")) return size <= 0.75 ? d * d / 2 : 0.75 * (size - 0.75 / 2);
    return softplus_of(x) - y * x;
}

static void loss(int engine, const char *full) {
    double x[] = {1, -2, 0.5, 40, -35}, z[] = {1.5, 0, 1, 0.25, 1}, y = 0;
    bool parameter = strstr(full, "huber") != NULL;
    for (int i = 0; i < 5; i++) y += loss_at(full, x[i], z[i]) / 5;
    Arg args[] = {VEC("f64", x, 5), VEC("f64", z, 5), F64(0.75)};
    char start[64];
    snprintf(start, sizeof start, "[%s", full);
    check(engine, of("x, y, p", start, parameter ? "(x, y, p)]" : "(x, y)]"), args, 3, &y, 1, BY(0) | BY(1));
    args[1].as.v.length = 4;
    expect_failure(engine, full, args, parameter ? 3 : 2, "lengths that differ");
    args[0].as.v.length = args[1].as.v.length = 0;
    expect_failure(engine, full, args, parameter ? 3 : 2, "no samples");
}

static void is_finite(int engine, const char *full) {
    static const double bad[] = {INFINITY, -INFINITY, NAN};
    double e = -1e300;
    Arg args[] = {F64(e)};
    check_values(engine, "|e| [nn.finite(e)]", args, 1, &e, 1, 0);
    if (engine == 0) check_gradient("|e| [nn.finite(e)]", (Arg[]){F64(2)}, 1, BY(0));
    for (int i = 0; i < 3; i++) {
        args[0].as.f64 = bad[i];
        expect_failure(engine, full, args, 1, "no finite number");
    }
}

static void logistic_fit(int engine, const char *full) {
    enum { R = 7, C = 3 };
    double *x = random_doubles(R * C), *w = random_doubles(C), b = 0.75, scores[R], y[R], expected = 0;
    dense_of(x, w, &b, scores, R, C, 1);
    for (int i = 0; i < R; i++) y[i] = i % 2, expected += (softplus_of(scores[i]) - y[i] * scores[i]) / R;
    Arg args[] = {X(R, C), VEC("f64", w, C), F64(b), VEC("f64", y, R)};
    check(engine, "|x, w, b, y| [nn.logistic_fit(x, w, b, y)]", args, 4, &expected, 1,
          BY(0) | BY(1) | BY(2) | BY(3));
    args[1].as.v.length--;
    expect_failure(engine, full, args, 4, "too few weights");
    Arg none[] = {X(0, C), VEC("f64", w, C), F64(b), VEC("f64", y, 0)},
        few[] = {X(R, C), VEC("f64", w, C), F64(b), VEC("f64", y, R - 1)};
    expect_failure(engine, full, none, 4, "no samples");
    expect_failure(engine, full, few, 4, "too few labels");
    free(x), free(w);
}
