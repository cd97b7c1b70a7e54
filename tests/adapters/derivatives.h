/* derivatives.h: are the derivatives that an adapter's rows give (vjp) what differences of the functions say?
 *
 *     Arg args[] = {F64(2.0), VEC("f64", x, n)};          x is changed meanwhile, by one number at a time
 *     expect_derivative("cblas.dscal", args, 2, PROJECT);
 *
 * The result is made one number by PROJECT, whose gradient by each argument that holds doubles is compared with central
 * differences, under both engines. derived_all() then insists that no row with a vjp was left out.
 */
#ifndef DERIVATIVES_H
#define DERIVATIVES_H

#include "adapter.h"

/* Texts of the language that make a number of the result r: of a number, a vector, a vector of complex numbers. */
#define PROJECT_NUMBER "f64(r) * 1.5"
#define PROJECT "result(for(r, merger[f64, +], |b, i, e| merge(b, f64(e) * sin(f64(i) + 1.0))))"
#define PROJECT_COMPLEX                                                                                     \
    "result(for(r, merger[f64, +], |b, i, e| merge(b, f64(e.$0) * sin(f64(i) + 1.0) + f64(e.$1) * cos(3.0 " \
    "* "                                                                                                    \
    "f64(i)))))"

enum { MOST_DERIVED = 512 };
typedef struct Derived {
    const char *names[MOST_DERIVED];
    int64_t count;
} Derived;

static inline Derived *derived_names(void) {
    static Derived derived;
    return &derived;
}

/* The row of this name was compared. */
static inline void derived_add(const char *full) {
    Derived *derived = derived_names();
    const char *name = strchr(full, '.') + 1;
    for (int64_t i = 0; i < derived->count; i++) {
        if (strcmp(derived->names[i], name) == 0) return;
    }
    cr_assert(derived->count < MOST_DERIVED);
    derived->names[derived->count++] = strdup(name);
}

/* How many doubles, or floats, the argument holds; 0: none. */
static inline int64_t reals_of(const Arg *arg) {
    if (strcmp(arg->type, "f64") == 0 || strcmp(arg->type, "f32") == 0) return 1;
    if (strcmp(arg->type, "{f64,f64}") == 0) return 2;
    if (strcmp(arg->type, "vec[f64]") == 0 || strcmp(arg->type, "vec[f32]") == 0) return arg->as.v.length;
    return strcmp(arg->type, "vec[{f64,f64}]") == 0 ? 2 * arg->as.v.length : 0;
}

/* A number, real or complex, lies in the argument itself. */
static inline bool is_number(const Arg *arg) {
    return arg->type[0] == 'f' || strncmp(arg->type, "{f", 2) == 0;
}

static inline double *double_of(Arg *arg, int64_t at) {
    return is_number(arg) ? &arg->as.f64 + at : (double *)(uintptr_t)arg->as.v.data + at;
}

/* The value of |p0, p1, ..| text. */
static inline weld_value_t value_of(int engine, const char *text, const Arg *args, int64_t count,
                                    weld_error_t error) {
    weld_lazy_t lazies[MOST_ARGS];
    for (int64_t i = 0; i < count; i++)
        lazies[i] = weld_lazy_data(args[i].type, &args[i].as, NULL, NULL, error);
    weld_lazy_t lazy = weld_lazy_new("test", text, lazies, count, error);
    weld_value_t value = NULL;
    if (!lazy || !weld_lazy_evaluate(context_of(engine), &lazy, 1, &value, error)) value = NULL;
    weld_lazy_free(lazy);
    for (int64_t i = 0; i < count; i++) weld_lazy_free(lazies[i]);
    return value;
}

/* |p0, p1| let r = NAME(p0, p1); PROJECT, or, of argument `by`, its gradient. */
static inline void write_program(char *out, size_t room, const char *name, int64_t count, int64_t by,
                                 const char *project) {
    size_t at = 0;
#define PUT(...) at += (size_t)snprintf(out + at, at < room ? room - at : 0, __VA_ARGS__)
    PUT("|");
    for (int64_t i = 0; i < count; i++) PUT("%sp%d", i ? ", " : "", (int)i);
    PUT(by < 0 ? "| " : "| grad(|q| ");
    PUT("let r = %s(", name);
    for (int64_t i = 0; i < count; i++) {
        PUT("%s", i ? ", " : "");
        if (i == by)
            PUT("q");
        else
            PUT("p%d", (int)i);
    }
    PUT("); %s", project);
    if (by >= 0) PUT(")(p%d).$1", (int)by);
#undef PUT
    cr_assert(at < room);
}

/* NaN where the function is not defined on both sides. */
static inline double difference(const char *text, Arg *args, int64_t count, Arg *arg, int64_t at,
                                double width) {
    double values[2], *place = double_of(arg, at), before = *place;
    weld_error_t error = weld_error_new();
    for (int side = 0; side < 2; side++) {
        *place = before + (side ? width : -width);
        weld_value_t value = value_of(0, text, args, count, error);
        values[side] = value ? *(double *)weld_value_data(value) : NAN;
        weld_value_free(value);
    }
    *place = before;
    weld_error_free(error);
    return (values[1] - values[0]) / (2 * width);
}

/* Reads a number of the gradient by this argument. */
static inline double slope_at(const Arg *arg, const weld_value_t value, int64_t at) {
    const void *data = weld_value_data(value);
    bool floats = strstr(arg->type, "f32") != NULL;
    if (!is_number(arg)) data = ((const Vector *)data)->data;
    return floats ? (double)((const float *)data)[at] : ((const double *)data)[at];
}

/* False: the derivative by this argument is not known. The slopes are returned. */
static inline bool check_argument(const char *name, Arg *args, int64_t count, int64_t by, const char *project,
                                  double tolerance, double *slopes) {
    char text[2048], gradient[2048];
    weld_error_t error = weld_error_new();
    write_program(text, sizeof text, name, count, -1, project);
    write_program(gradient, sizeof gradient, name, count, by, project);
    int64_t reals = reals_of(&args[by]);
    for (int engine = 0; engine < ENGINES; engine++) {
        weld_value_t value = value_of(engine, gradient, args, count, error);
        if (!value && strstr(weld_error_message(error), "is not known")) {
            weld_error_free(error);
            return false;
        }
        cr_assert_not_null(value, "%s: %s", gradient, weld_error_message(error));
        for (int64_t i = 0; i < reals; i++) {
            double slope = slope_at(&args[by], value, i);
            if (engine == 0) slopes[i] = difference(text, args, count, &args[by], i, 1e-5);
            cr_expect(isnan(slopes[i]) || is_near(slope, slopes[i], tolerance * (1 + fabs(slopes[i]))),
                      "%s (%s): argument %d, number %d: %.12g, but differences say %.12g", name,
                      engine_names[engine], (int)by, (int)i, slope, slopes[i]);
            slopes[i] = slope;
        }
        weld_value_free(value);
    }
    weld_error_free(error);
    return true;
}

/* By every argument; false: it is known by none of them. */
static inline bool expect_derivative_within(const char *name, Arg *args, int64_t count, const char *project,
                                            double tolerance) {
    double slopes[256];
    bool known = false;
    for (int64_t by = 0; by < count; by++) {
        cr_assert(reals_of(&args[by]) <= COUNT(slopes));
        if (reals_of(&args[by])) known |= check_argument(name, args, count, by, project, tolerance, slopes);
    }
    if (known) derived_add(name);
    return known;
}

static inline void expect_derivative(const char *name, Arg *args, int64_t count, const char *project) {
    cr_expect(expect_derivative_within(name, args, count, project, 1e-6), "%s has no derivative", name);
}

/* The same function on floats: its gradient is that of the one on doubles, to a float's digits. */
static inline void expect_float_derivative(const char *name, const char *on_floats, Arg *args, int64_t count,
                                           const char *project) {
    Arg narrow[MOST_ARGS];
    float numbers[MOST_ARGS][256];
    double slopes[256];
    char gradient[2048];
    weld_error_t error = weld_error_new();
    for (int64_t i = 0; i < count; i++) {
        narrow[i] = args[i];
        int64_t reals = reals_of(&args[i]);
        for (int64_t k = 0; k < reals; k++) numbers[i][k] = (float)*double_of(&args[i], k);
        if (args[i].type[0] == 'f')
            narrow[i].type = "f32", narrow[i].as.f32 = numbers[i][0];
        else if (strcmp(args[i].type, "{f64,f64}") == 0)
            narrow[i].type = "{f32,f32}", memcpy(&narrow[i].as, numbers[i], 2 * sizeof **numbers);
        else if (strcmp(args[i].type, "vec[f64]") == 0)
            narrow[i].type = "vec[f32]", narrow[i].as.v.data = numbers[i];
        else if (strcmp(args[i].type, "vec[{f64,f64}]") == 0)
            narrow[i].type = "vec[{f32,f32}]", narrow[i].as.v.data = numbers[i];
    }
    for (int64_t by = 0; by < count; by++) {
        int64_t reals = reals_of(&args[by]);
        if (!reals || !check_argument(name, args, count, by, project, 1e-5, slopes)) continue;
        write_program(gradient, sizeof gradient, on_floats, count, by, project);
        weld_value_t value = value_of(1, gradient, narrow, count, error);
        cr_assert_not_null(value, "%s: %s", gradient, weld_error_message(error));
        for (int64_t i = 0; i < reals; i++) {
            double slope = slope_at(&narrow[by], value, i);
            cr_expect(is_near(slope, slopes[i], 1e-3 * (1 + fabs(slopes[i]))),
                      "%s: argument %d, number %d: %.12g, on doubles %.12g", on_floats, (int)by, (int)i,
                      slope, slopes[i]);
        }
        weld_value_free(value);
    }
    derived_add(on_floats);
    weld_error_free(error);
}

/* Every row that gives a derivative was compared, of those for which `counts` holds (NULL: all). */
static inline void derived_all_of(const char *adapter, bool (*counts)(const weld_function_t *f)) {
    weld_error_t error = weld_error_new();
    const weld_adapter_t *table = weld_adapter_find(adapter, error);
    cr_assert_not_null(table, "%s", weld_error_message(error));
    const Derived *derived = derived_names();
    for (const weld_function_t *f = table->functions; f->name; f++) {
        bool found = !f->vjp || (counts && !counts(f));
        for (int64_t i = 0; i < derived->count && !found; i++)
            found = strcmp(derived->names[i], f->name) == 0;
        cr_expect(found, "the derivative of %s.%s is not tested", adapter, f->name);
    }
    weld_error_free(error);
}

static inline void derived_all(const char *adapter) {
    derived_all_of(adapter, NULL);
}

#endif
