/* nn_steps.h: optimizers, rates and random numbers of nn.c. */

static void zeros_like(int engine, const char *full) {
    double x[] = {1, NAN, INFINITY}, y[3] = {0};
    Arg args[] = {VEC("f64", x, 3)};
    check(engine, of("x", full, "(x)"), args, 1, y, 3, 0);
}

enum { P = 5 };
#define VECTOR(name) VEC("f64", name, P)
#define STATE \
    double p[P] = {1, -2, 3, 0.5, 0}, v[P] = {0.5, 0, 1, 2, 0.25}, g[P] = {-1, 2, 0.5, 3, 0.125}, y[3 * P]

static void sgd(int engine, const char *full) {
    STATE;
    for (int i = 0; i < P; i++) y[i] = p[i] - 0.1 * g[i];
    Arg args[] = {VECTOR(p), VECTOR(g), F64(0.1)};
    check(engine, of("p, g, rate", full, "(p, g, rate)"), args, 3, y, P, BY(0) | BY(1) | BY(2));
    args[1].as.v.length--;
    expect_failure(engine, full, args, 3, "lengths that differ");
    (void)v;
}

#define TWO(call) "|p, v, g, r, m| let y = nn." call "; flatten([y.$0, y.$1])"

static void momentum(int engine, const char *full) {
    STATE;
    bool nesterov = strstr(full, "nesterov") != NULL;
    for (int i = 0; i < P; i++) {
        y[P + i] = 0.9 * v[i] + g[i];
        y[i] = p[i] - 0.1 * (nesterov ? g[i] + 0.9 * y[P + i] : y[P + i]);
    }
    Arg args[] = {VECTOR(p), VECTOR(v), VECTOR(g), F64(0.1), F64(0.9)};
    check(engine, nesterov ? TWO("nesterov({p, v}, g, r, m)") : TWO("momentum({p, v}, g, r, m)"), args, 5, y,
          2 * P, BY(0) | BY(1) | BY(2) | BY(3) | BY(4));
}

static void adagrad(int engine, const char *full) {
    STATE;
    for (int i = 0; i < P; i++) {
        y[P + i] = v[i] + g[i] * g[i];
        y[i] = p[i] - 0.1 * g[i] / (sqrt(y[P + i]) + 1e-3);
    }
    Arg args[] = {VECTOR(p), VECTOR(v), VECTOR(g), F64(0.1), F64(1e-3)};
    check(engine, TWO("adagrad({p, v}, g, r, m)"), args, 5, y, 2 * P, BY(0) | BY(2));
    (void)full;
}

static void adam(int engine, const char *full) {
    STATE;
    double m[P] = {0.25, -1, 0, 0.5, 2}, decay = strstr(full, "adamw") ? 0.01 : 0;
    for (int64_t t = 0; t < 40; t += 13) {
        for (int i = 0; i < P; i++) {
            y[P + i] = 0.9 * m[i] + (1 - 0.9) * g[i];
            y[2 * P + i] = 0.99 * v[i] + (1 - 0.99) * g[i] * g[i];
            double mean = y[P + i] / (1 - pow(0.9, (double)t + 1));
            double square = y[2 * P + i] / (1 - pow(0.99, (double)t + 1));
            y[i] = p[i] - 0.1 * decay * p[i] - 0.1 * mean / (sqrt(square) + 1e-3);
        }
        Arg args[] = {VECTOR(p), VECTOR(m), VECTOR(v), VECTOR(g), I64(t), F64(decay)};
        Arg numbers[] = {F64(0.1), F64(0.9), F64(0.99), F64(1e-3)}, all[10];
        memcpy(all, args, sizeof args);
        memcpy(all + 6, numbers, sizeof numbers);
        check(engine,
              decay > 0 ? "|p, m, v, g, t, d, r, a, b, e| let y = nn.adamw({p, m, v}, g, t, r, a, b, e, d); "
                          "flatten([y.$0, y.$1, y.$2])"
                        : "|p, m, v, g, t, d, r, a, b, e| let y = nn.adam({p, m, v}, g, t, r, a, b, e); "
                          "flatten([y.$0, y.$1, y.$2])",
              all, 10, y, 3 * P, t ? 0 : BY(0) | BY(3));
    }
}

static void clip(int engine, const char *full) {
    static const double most[] = {1, 3, 100};
    for (int k = 0; k < 3; k++) {
        double g[] = {3, -4, 0}, factor = most[k] < 5 ? most[k] / 5 : 1, y[3];
        for (int i = 0; i < 3; i++) y[i] = factor * g[i];
        Arg args[] = {VEC("f64", g, 3), F64(most[k])};
        check(engine, of("g, most", full, "(g, most)"), args, 2, y, 3, BY(0) | BY(1));
    }
}

static double rate_at(const char *full, double t) {
    if (strstr(full, "step")) return 0.5 * pow(0.7, floor(t / 7));
    if (strstr(full, "exponential")) return 0.5 * pow(0.7, t);
    if (strstr(full, "inverse")) return 0.5 / (1 + 0.7 * t);
    if (strstr(full, "warmup")) return 0.5 * fmin(1, (t + 1) / 7);
    return 0.5 * (1 + cos(acos(-1) * fmin(1, t / 7))) / 2;
}

static void rate(int engine, const char *full) {
    char start[64];
    snprintf(start, sizeof start, "[%s", full);
    bool by_steps = strstr(full, "warmup") || strstr(full, "cosine");
    const char *rest = strstr(full, "step") ? "(r, t, n, f)]" : by_steps ? "(r, t, n)]" : "(r, t, f)]";
    for (int64_t t = 0; t < 30; t++) {
        double y = rate_at(full, (double)t);
        Arg args[] = {F64(0.5), I64(t), I64(7), F64(0.7)};
        check(engine, of("r, t, n, f", start, rest), args, 4, &y, 1, BY(0));
    }
}

/* ---- random numbers ---- */

/* The known answers of the authors' library. */
static void known_answers(int engine, const char *full) {
    static const uint32_t known[][6] = {
        {0, 0, 0, 0, 0x6b200159, 0x99ba4efe},
        {~0u, ~0u, ~0u, ~0u, 0x1cb996fc, 0xbb002be7},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xc4923a9c, 0x483df7a0}};
    for (int k = 0; k < 3; k++) {
        double y[] = {known[k][4], known[k][5]};
        Words out = threefry((Words){known[k][2], known[k][3]}, (Words){known[k][0], known[k][1]});
        Arg args[] = {I64(known[k][0]), I64(known[k][1]), I64(known[k][2]), I64(known[k][3])};
        check(engine,
              "|a, b, c, d| let y = nn.threefry({u32(c), u32(d)}, {u32(a), u32(b)}); [f64(y.$0), f64(y.$1)]",
              args, 4, y, 2, 0);
        cr_expect(out.a == known[k][4] && out.b == known[k][5], "%s in C", full);
    }
}

static const int64_t seeds[] = {0, 1, -7, 42, INT64_MAX, INT64_MIN};

static void key(int engine, const char *full) {
    static const int64_t places[] = {0, 1, 12345678901, INT64_MAX};
    for (int64_t k = 0; k < COUNT(seeds) * COUNT(places); k++) {
        int64_t seed = seeds[k / COUNT(places)], i = places[k % COUNT(places)];
        Words made = key_of(seed), d = draw(made, i);
        Words s = split(made, i);
        double y[] = {made.a, made.b, s.a, s.b, d.a, d.b};
        Arg args[] = {I64(seed), I64(i)};
        check(engine,
              "|s, i| let k = nn.key(s); let p = nn.split(k, i); let d = nn.draw(k, i); "
              "[f64(k.$0), f64(k.$1), f64(p.$0), f64(p.$1), f64(d.$0), f64(d.$1)]",
              args, 2, y, 6, 0);
    }
    (void)full;
}

enum { DRAWS = 1000 };

static void uniform(int engine, const char *full) {
    double y[DRAWS];
    char start[64];
    bool floats = strstr(full, "suniform") != NULL;
    for (int64_t k = 0; k < COUNT(seeds); k++) {
        for (int64_t i = 0; i < DRAWS; i++)
            y[i] = floats ? (double)(draw(key_of(seeds[k]), i).a >> 8) * 0x1p-24 : unit(key_of(seeds[k]), i);
        Arg args[] = {I64(seeds[k]), I64(DRAWS)};
        snprintf(start, sizeof start, "%s(nn.key(s)", full);
        check_values(engine, of("s, n", start, ", n)"), args, 2, y, DRAWS, 0);
    }
}

static void normal(int engine, const char *full) {
    double y[DRAWS], sum = 0, squares = 0;
    char start[64];
    for (int64_t i = 0; i < DRAWS; i++) {
        y[i] = normal_at(key_of(42), i);
        sum += y[i], squares += y[i] * y[i];
    }
    cr_expect(fabs(sum / DRAWS) < 0.1 && fabs(squares / DRAWS - 1) < 0.15);
    Arg args[] = {I64(42), I64(DRAWS)};
    snprintf(start, sizeof start, "%s(nn.key(s)", full);
    check_values(engine, of("s, n", start, ", n)"), args, 2, y, DRAWS,
                 strstr(full, "snormal") ? 1e-7 : 1e-13);
}

static void weights(int engine, const char *full) {
    enum { R = 7, C = 5 };
    double y[R * C];
    bool floats = full[3] == 's', normals = strstr(full, "he") != NULL;
    for (int64_t i = 0; i < R * C; i++) {
        double u = floats ? (double)(draw(key_of(5), i).a >> 8) * 0x1p-24 : unit(key_of(5), i);
        y[i] = normals ? normal_at(key_of(5), i) * sqrt(2.0 / C) : sqrt(6.0 / (R + C)) * (2 * u - 1);
    }
    char start[64];
    Arg args[] = {I64(5), I64(R), I64(C)};
    snprintf(start, sizeof start, "%s(nn.key(s)", full);
    check_values(engine, of("s, r, c", start, ", r, c).$0"), args, 3, y, R * C, floats ? 1e-6 : 1e-13);
}

static void dropout(int engine, const char *full) {
    static const double rates[] = {0, 0.25, 0.5};
    double *x = random_doubles(24), y[24];
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 24; i++)
            y[i] = draw(key_of(9), i).a < (uint64_t)(rates[k] * 0x1p32) ? 0 : x[i] / (1 - rates[k]);
        Arg args[] = {I64(9), X(4, 6), F64(rates[k])};
        check(engine, "|s, x, r| nn.dropout(nn.key(s), x, r).$0", args, 3, y, 24, BY(1));
    }
    free(x);
    (void)full;
}

static void permutation(int engine, const char *full) {
    int64_t at[DRAWS];
    double y[DRAWS];
    for (int64_t k = 0; k < COUNT(seeds); k++) {
        permute(key_of(seeds[k]), at, DRAWS);
        for (int64_t i = 0; i < DRAWS; i++) y[i] = (double)at[i];
        Arg args[] = {I64(seeds[k]), I64(DRAWS)};
        check_values(engine, "|s, n| nn.permutation(nn.key(s), n)", args, 2, y, DRAWS, 0);
    }
    (void)full;
}

static void batch(int engine, const char *full) {
    enum { ROWS = 23, SIZE = 5, PASS = ROWS / SIZE };
    for (int64_t step = 0; step < 2 * PASS + 1; step++) {
        int64_t at[ROWS];
        double y[SIZE];
        permute(split(key_of(3), step / PASS), at, ROWS);
        for (int i = 0; i < SIZE; i++) y[i] = (double)at[step % PASS * SIZE + i];
        Arg args[] = {I64(3), I64(step), I64(SIZE), I64(ROWS)};
        check_values(engine, "|s, t, z, n| nn.batch(nn.key(s), t, z, n)", args, 4, y, SIZE, 0);
    }
    static const int64_t wrong[][3] = {{-1, 5, 23}, {0, 0, 23}, {0, 24, 23}, {0, -5, 23}, {0, 1, 0}};
    for (int64_t k = 0; k < COUNT(wrong); k++) {
        const uint32_t words[2] = {0, 3};
        Arg args[] = {{"{u32,u32}", {.i64 = 0}}, I64(wrong[k][0]), I64(wrong[k][1]), I64(wrong[k][2])};
        memcpy(&args[0].as, words, sizeof words);
        expect_failure(engine, full, args, 4, "no such batch");
    }
}
