/* nn_cells.h: norms, recurrent cells, convolution and pooling of nn.c. */

enum { N = 4, F = 3 };

static void moments(const double *x, double *mean, double *variance) {
    for (int j = 0; j < F; j++) {
        mean[j] = variance[j] = 0;
        for (int i = 0; i < N; i++) mean[j] += x[i * F + j] / N;
        for (int i = 0; i < N; i++) variance[j] += pow(x[i * F + j] - mean[j], 2) / N;
    }
}

static void columns(int engine, const char *full) {
    double *x = random_doubles(N * F), mean[F], variance[F], sum[F];
    moments(x, mean, variance);
    for (int j = 0; j < F; j++) sum[j] = N * mean[j];
    Arg args[] = {X(N, F)};
    check(engine, of("x", full, "(x)"), args, 1,
          strstr(full, "sum")    ? sum
          : strstr(full, "mean") ? mean
                                 : variance,
          F, BY(0));
    args[0].as.v.length--;
    expect_failure(engine, full, args, 1, "too few elements");
    free(x);
}

static void batch_norm(int engine, const char *full) {
    double *x = random_doubles(N * F), gain[] = {1, 2, -0.5}, bias[] = {0.5, 0, 1}, y[N * F];
    double mean[] = {0.5, -1, 2}, variance[] = {1, 2, 0.5};
    bool given = strstr(full, "_by") != NULL;
    if (!given) moments(x, mean, variance);
    for (int i = 0; i < N * F; i++)
        y[i] = (x[i] - mean[i % F]) / sqrt(variance[i % F] + 1e-3) * gain[i % F] + bias[i % F];
    Arg args[] = {
        X(N, F),  VEC("f64", gain, F), VEC("f64", bias, F), VEC("f64", mean, F), VEC("f64", variance, F),
        F64(1e-3)};
    check(engine,
          given ? "|x, g, b, m, v, e| nn.batch_norm_by(x, m, v, g, b, e).$0"
                : "|x, g, b, m, v, e| nn.batch_norm(x, g, b, e).$0",
          args, 6, y, N * F, BY(0) | BY(1) | BY(2) | (given ? BY(3) | BY(4) : 0));
    free(x);
}

static void batch_norm_track(int engine, const char *full) {
    double *x = random_doubles(N * F), mean[F], variance[F], was[F] = {0.5, -1, 2}, wide[F] = {1, 2, 0.5},
           y[2 * F];
    moments(x, mean, variance);
    for (int j = 0; j < F; j++) {
        y[j] = 0.75 * was[j] + 0.25 * mean[j];
        y[F + j] = 0.75 * wide[j] + 0.25 * variance[j];
    }
    Arg args[] = {VEC("f64", was, F), VEC("f64", wide, F), X(N, F), F64(0.75)};
    check(engine, "|m, v, x, k| let s = nn.batch_norm_track({m, v}, x, k); flatten([s.$0, s.$1])", args, 4, y,
          2 * F, 0);
    Arg none[] = {X(0, F)};
    expect_failure(engine, "nn.column_mean", none, 1, "no rows");
    expect_failure(engine, "nn.column_variance", none, 1, "no rows");
    free(x);
    (void)full;
}

static void layer_norm(int engine, const char *full) {
    double *x = random_doubles(N * F), gain[] = {1, 2, -0.5}, bias[] = {0.5, 0, 1}, y[N * F];
    for (int i = 0; i < N; i++) {
        double mean = 0, variance = 0;
        for (int j = 0; j < F; j++) mean += x[i * F + j] / F;
        for (int j = 0; j < F; j++) variance += pow(x[i * F + j] - mean, 2) / F;
        for (int j = 0; j < F; j++)
            y[i * F + j] = (x[i * F + j] - mean) / sqrt(variance + 1e-3) * gain[j] + bias[j];
    }
    Arg args[] = {X(N, F), VEC("f64", gain, F), VEC("f64", bias, F), F64(1e-3)};
    check(engine, of("x, g, b, e", full, "(x, g, b, e).$0"), args, 4, y, N * F, BY(0) | BY(1) | BY(2));
    args[1].as.v.length--;
    expect_failure(engine, full, args, 4, "too short a gain");
    free(x);
}

/* ---- cells: N sequences, F inputs, H states, G gates ---- */

enum { H = 2 };
typedef struct Cell {
    double *x, *h, *s, *w, *b, *u, *c, a[N * 4 * H], z[N * 4 * H];
} Cell;

static Cell cell_of(int64_t gates) {
    Cell cell = {.x = random_doubles(N * F),
                 .h = random_doubles(N * H),
                 .s = random_doubles(N * H),
                 .w = random_doubles(gates * H * F),
                 .b = random_doubles(gates * H),
                 .u = random_doubles(gates * H * H),
                 .c = random_doubles(gates * H)};
    dense_of(cell.x, cell.w, cell.b, cell.a, N, F, gates * H);
    dense_of(cell.h, cell.u, cell.c, cell.z, N, H, gates * H);
    return cell;
}

static void check_cell(int engine, const char *text, const Cell *cell, int64_t gates, const double *y,
                       int64_t length) {
    Arg args[] = {MATRIX("f64", cell->x, N, F),   MATRIX("f64", cell->h, N, H),
                  MATRIX("f64", cell->s, N, H),   MATRIX("f64", cell->w, gates * H, F),
                  VEC("f64", cell->b, gates * H), MATRIX("f64", cell->u, gates * H, H),
                  VEC("f64", cell->c, gates * H)};
    unsigned cells = strstr(text, "lstm") ? BY(2) : 0;
    check(engine, text, args, 7, y, length, BY(0) | BY(1) | cells | BY(3) | BY(4) | BY(5) | BY(6));
    free(cell->x), free(cell->h), free(cell->s), free(cell->w), free(cell->b), free(cell->u), free(cell->c);
}

static void rnn(int engine, const char *full) {
    Cell cell = cell_of(1);
    double y[N * H];
    for (int i = 0; i < N * H; i++) y[i] = tanh(cell.a[i] + cell.z[i]);
    check_cell(engine, of("x, h, s, w, b, u, c", full, "(x, h, w, b, u, c).$0"), &cell, 1, y, N * H);
}

static void lstm(int engine, const char *full) {
    Cell cell = cell_of(4);
    double y[2 * N * H];
    for (int i = 0; i < N * H; i++) {
        const double *a = cell.a + i / H * 4 * H + i % H, *z = cell.z + i / H * 4 * H + i % H;
        double next =
            sigmoid_of(a[H] + z[H]) * cell.s[i] + sigmoid_of(a[0] + z[0]) * tanh(a[2 * H] + z[2 * H]);
        y[i] = sigmoid_of(a[3 * H] + z[3 * H]) * tanh(next);
        y[N * H + i] = next;
    }
    check_cell(engine,
               "|x, h, s, w, b, u, c| let y = nn.lstm(x, h, s, w, b, u, c); flatten([y.$0.$0, y.$1.$0])",
               &cell, 4, y, 2 * N * H);
    double x[64] = {0};
    Arg wrong[] = {
        X(N, F), X(N, H), X(N - 1, H), X(4 * H, F), VEC("f64", x, 4 * H), X(4 * H, H), VEC("f64", x, 4 * H)};
    expect_failure(engine, full, wrong, 7, "cells of fewer sequences");
}

static void gru(int engine, const char *full) {
    Cell cell = cell_of(3);
    double y[N * H];
    for (int i = 0; i < N * H; i++) {
        const double *a = cell.a + i / H * 3 * H + i % H, *z = cell.z + i / H * 3 * H + i % H;
        double keep = sigmoid_of(a[H] + z[H]), new = tanh(a[2 * H] + sigmoid_of(a[0] + z[0]) * z[2 * H]);
        y[i] = (1 - keep) * new + keep *cell.h[i];
    }
    check_cell(engine, of("x, h, s, w, b, u, c", full, "(x, h, w, b, u, c).$0"), &cell, 3, y, N * H);
    double x[64] = {0};
    Arg wrong[] = {X(N, F),     X(N - 1, H),         X(3 * H, F), VEC("f64", x, 3 * H),
                   X(3 * H, H), VEC("f64", x, 3 * H)};
    expect_failure(engine, full, wrong, 6, "states of fewer sequences");
}

/* ---- images: two of LINES lines, WIDE wide, CHANNELS channels ---- */

enum { IMAGES = 2, LINES = 4, WIDE = 5, CHANNELS = 2, KERNELS = 3, PIXELS = LINES * WIDE * CHANNELS };

static double pixel(const double *x, int64_t image, int64_t line, int64_t column, int64_t channel) {
    if (line < 0 || line >= LINES || column < 0 || column >= WIDE) return 0;
    return x[image * PIXELS + (line * WIDE + column) * CHANNELS + channel];
}

static void convolution(int engine, const char *full) {
    static const int64_t shapes[][3] = {{2, 1, 0}, {3, 1, 1}, {3, 2, 1}, {1, 1, 0}, {4, 3, 0}};
    bool conv = strstr(full, "conv") != NULL;
    double *x = random_doubles(IMAGES * PIXELS), b[KERNELS] = {1, 0, -2};
    for (int64_t s = 0; s < COUNT(shapes); s++) {
        int64_t size = shapes[s][0], stride = shapes[s][1], pad = shapes[s][2], each = size * size * CHANNELS;
        int64_t high = (LINES + 2 * pad - size) / stride + 1, wide = (WIDE + 2 * pad - size) / stride + 1;
        int64_t places = IMAGES * high * wide;
        double *w = random_doubles(KERNELS * each), *seen = random_doubles(places * each);
        double *y = random_doubles(places * KERNELS);
        for (int64_t r = 0; r < places; r++) {
            int64_t top = r / wide % high * stride - pad, left = r % wide * stride - pad;
            for (int64_t k = 0; k < each; k++)
                seen[r * each + k] = pixel(x, r / (high * wide), top + k / CHANNELS / size,
                                           left + k / CHANNELS % size, k % CHANNELS);
        }
        dense_of(seen, w, b, y, places, each, KERNELS);
        Arg args[] = {X(IMAGES, PIXELS),
                      MATRIX("f64", w, KERNELS, each),
                      VEC("f64", b, KERNELS),
                      I64(LINES),
                      I64(WIDE),
                      I64(CHANNELS),
                      I64(size),
                      I64(stride),
                      I64(pad)};
        if (conv)
            check(engine, of("x, w, b, h, v, c, k, s, p", full, "(x, w, b, h, v, c, k, s, p).$0"), args, 9, y,
                  places * KERNELS, s == 2 ? BY(0) | BY(1) | BY(2) : 0);
        else
            check(engine, of("x, w, b, h, v, c, k, s, p", full, "(x, h, v, c, k, s, p).$0"), args, 9, seen,
                  places * each, s == 2 ? BY(0) : 0);
        double shape[] = {IMAGES, (double)(high * wide * KERNELS)};
        if (conv)
            check(engine,
                  "|x, w, b, h, v, c, k, s, p| let y = nn.conv2d(x, w, b, h, v, c, k, s, p); [f64(y.$1), "
                  "f64(y.$2)]",
                  args, 9, shape, 2, 0);
        free(w), free(seen), free(y);
    }
    static const int64_t wrong[][6] = {
        {LINES + 1, WIDE, CHANNELS, 2, 1, 0}, {LINES, WIDE, CHANNELS, 0, 1, 0},
        {LINES, WIDE, CHANNELS, 2, 0, 0},     {LINES, WIDE, CHANNELS, 2, 1, -1},
        {LINES, WIDE, CHANNELS, 7, 1, 0},     {-LINES, -WIDE, CHANNELS, 2, 1, 0}};
    for (int64_t k = 0; k < COUNT(wrong); k++) {
        const int64_t *p = wrong[k];
        Arg args[] = {X(IMAGES, PIXELS), I64(p[0]), I64(p[1]), I64(p[2]), I64(p[3]), I64(p[4]), I64(p[5])};
        if (!conv) expect_failure(engine, full, args, 7, "a size that does not fit");
    }
    free(x);
}

static void pool(int engine, const char *full) {
    static const int64_t shapes[][2] = {{2, 1}, {2, 2}, {3, 1}, {1, 3}, {4, 1}};
    bool mean = strstr(full, "average") != NULL;
    double *x = random_doubles(IMAGES * PIXELS), y[IMAGES * PIXELS];
    for (int64_t s = 0; s < COUNT(shapes); s++) {
        int64_t size = shapes[s][0], stride = shapes[s][1], n = 0;
        int64_t high = (LINES - size) / stride + 1, wide = (WIDE - size) / stride + 1;
        for (int64_t r = 0; r < IMAGES * high * wide * CHANNELS; r++) {
            int64_t place = r / CHANNELS;
            double most = -INFINITY, sum = 0;
            for (int64_t k = 0; k < size * size; k++) {
                double e = pixel(x, place / (high * wide), place / wide % high * stride + k / size,
                                 place % wide * stride + k % size, r % CHANNELS);
                most = fmax(most, e), sum += e;
            }
            y[n++] = mean ? sum / (double)(size * size) : most;
        }
        Arg args[] = {X(IMAGES, PIXELS), I64(LINES), I64(WIDE), I64(CHANNELS), I64(size), I64(stride)};
        check(engine, of("x, h, v, c, k, s", full, "(x, h, v, c, k, s).$0"), args, 6, y, n,
              s == 1 ? BY(0) : 0);
    }
    Arg wrong[] = {X(IMAGES, PIXELS), I64(LINES), I64(WIDE), I64(CHANNELS), I64(5), I64(1)};
    expect_failure(engine, full, wrong, 6, "a square higher than the image");
    free(x);
}
