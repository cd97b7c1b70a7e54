/* gsl_special.h: tests of the functions that are called by value, made from the adapter's own tables: each over a cloud of
 * points with all edges, against the library called directly. */

typedef struct Point {
    int32_t n, m;
    double x, y, z, w;
} Point;
#define POINT "{i32, i32, f64, f64, f64, f64}"

typedef double Direct(const Point *p);

/* Everywhere, on the edges of what the functions are defined on, and where doubles end. */
static int64_t make_points(Point *points, int64_t room) {
    static const double edges[] = {0,         -0.0, 1,      -1,     0.5,   -0.5,   2,     -2,  INFINITY,
                                   -INFINITY, NAN,  1e-300, 5e-324, 1e300, -1e300, 170.5, 750, 1e10};
    static const int32_t orders[] = {0, 1, -1, 2, 3, 5, 10, 25, -7, 171, 1000, INT32_MAX, INT32_MIN};
    int64_t count = 0;
    for (; count < room; count++) {
        double width = pow(10, 4 * random_number());
        Point p = {(int32_t)random_below(20) - 2, (int32_t)random_below(6), width * random_number(),
                   width * random_number(),       2 * random_number(),      random_number()};
        int64_t kind = count % 4;
        if (kind == 1) p.n = orders[random_below(COUNT(orders))], p.x = 4 * random_number();
        if (kind == 2)
            p.x = edges[random_below(COUNT(edges))], p.y = edges[random_below(COUNT(edges))],
            p.z = edges[random_below(COUNT(edges))];
        if (kind == 3) p.x = fabs(random_number()), p.y = fabs(p.y), p.z = fabs(p.z);
        points[count] = p;
    }
    return count;
}

enum { NEEDS_X = 1, NEEDS_Y = 2, NEEDS_Z = 4, NEEDS_N = 8, NEEDS_M = 16, NEEDS_ORDER = 32, NEEDS_SMALL = 64 };

static bool is_order(int32_t n) {
    return n >= -100000 && n <= 100000;
}

static bool is_small(double x, bool needed) {
    return !needed || fabs(x) <= 1000;
}

/* All that are needed of the doubles are small, w with z. */
static bool are_small(const Point *p, int needs) {
    return is_small(p->x, needs & NEEDS_X) && is_small(p->y, needs & NEEDS_Y) &&
           is_small(p->z, needs & NEEDS_Z);
}

static bool is_defined(const Point *p, int needs) {
    return !((needs & NEEDS_X && isnan(p->x)) || (needs & NEEDS_Y && isnan(p->y)) ||
             (needs & NEEDS_Z && isnan(p->z)) || (needs & NEEDS_N && !is_order(p->n)) ||
             (needs & NEEDS_M && !is_order(p->m)) || (needs & NEEDS_ORDER && !(fabs(p->x) <= 100000)) ||
             (needs & NEEDS_SMALL && !are_small(p, needs)));
}

static void check_by_value(int engine, const char *full, const char *arguments, int needs, Direct *direct) {
    enum { POINTS = 400 };
    static Point points[POINTS];
    Vector data = {points, make_points(points, POINTS)};
    char code[256];
    snprintf(code, sizeof code, "|v: vec[" POINT "]| map(v, |p| %s(%s))", full, arguments);
    weld_error_t error = weld_error_new();
    weld_lazy_t v = weld_lazy_data("vec[" POINT "]", &data, NULL, NULL, error);
    weld_lazy_t lazy = v ? weld_lazy_new("test", code, &v, 1, error) : NULL;
    weld_value_t value = NULL;
    int before = handled;
    bool ok = lazy && weld_lazy_evaluate(context_of(engine), &lazy, 1, &value, error);
    cr_assert(ok, "%s: %s", full, weld_error_message(error));
    cr_expect(handled == before, "%s: the program's handler was called", full);
    const Vector *got = weld_value_data(value);
    for (int64_t i = 0; i < got->length; i++) {
        double x = ((const double *)got->data)[i], expected = NAN;
        for (int k = 0; k < 3; k++) *edges_met() |= edges_of_number((&points[i].x)[k], false);
        last_error = 0;
        if (is_defined(&points[i], needs)) expected = direct(&points[i]);
        /* After an error the library may leave its result unset, where the adapter gives NaN. */
        if (last_error && isnan(x)) continue;
        if (is_near(x, expected, 1e-14 * fabs(expected))) continue;
        cr_expect(false, "%s at n %d, m %d, x %.17g, y %.17g, z %.17g: %.17g, but the library gives %.17g",
                  full, points[i].n, points[i].m, points[i].x, points[i].y, points[i].z, x, expected);
        break;
    }
    weld_value_free(value);
    weld_lazy_free(lazy);
    weld_lazy_free(v);
    weld_error_free(error);
}

#define TAKES_D "p.$2", NEEDS_X
#define TAKES_DM TAKES_D
#define TAKES_DD "p.$2, p.$3", NEEDS_X | NEEDS_Y
#define TAKES_DDM TAKES_DD
#define TAKES_RD "p.$2, p.$3", NEEDS_ORDER | NEEDS_Y
#define TAKES_DDD "p.$2, p.$3, p.$4", NEEDS_X | NEEDS_Y | NEEDS_Z
#define TAKES_DDDM TAKES_DDD
#define TAKES_I "p.$0", NEEDS_N
#define TAKES_U "u32(p.$0)", 0
#define TAKES_UU "u32(p.$0), u32(p.$1)", 0
#define TAKES_ID "p.$0, p.$2", NEEDS_N | NEEDS_X
#define TAKES_DI "p.$2, p.$0", NEEDS_N | NEEDS_X
#define TAKES_DU "p.$2, u32(p.$0)", NEEDS_X
#define TAKES_UD "u32(p.$0), p.$3", NEEDS_Y
#define TAKES_IDD "p.$0, p.$2, p.$3", NEEDS_N | NEEDS_X | NEEDS_Y
#define TAKES_IID "p.$0, p.$1, p.$2", NEEDS_N | NEEDS_M | NEEDS_X
#define TAKES_HH "p.$2, p.$3", NEEDS_X | NEEDS_Y | NEEDS_SMALL
#define TAKES_HHH "p.$2, p.$3, p.$4", NEEDS_X | NEEDS_Y | NEEDS_Z | NEEDS_SMALL
#define TAKES_HHHH "p.$2, p.$3, p.$4, p.$5", NEEDS_X | NEEDS_Y | NEEDS_Z | NEEDS_SMALL
#define TAKES_HHHHM TAKES_HHHH
#define TAKES_IHH "p.$0, p.$2, p.$3", NEEDS_N | NEEDS_X | NEEDS_Y | NEEDS_SMALL
#define TAKES_IIH "p.$0, p.$1, p.$2", NEEDS_N | NEEDS_M | NEEDS_X | NEEDS_SMALL
#define GIVES_HH GIVES_DD
#define GIVES_HHH GIVES_DDD
#define GIVES_HHHH (p->x, p->y, p->z, p->w)
#define GIVES_HHHHM (p->x, p->y, p->z, p->w, GSL_PREC_DOUBLE)
#define GIVES_IHH GIVES_IDD
#define GIVES_IIH GIVES_IID
#define GIVES_D (p->x)
#define GIVES_DM (p->x, GSL_PREC_DOUBLE)
#define GIVES_DD (p->x, p->y)
#define GIVES_RD GIVES_DD
#define GIVES_DDM (p->x, p->y, GSL_PREC_DOUBLE)
#define GIVES_DDD (p->x, p->y, p->z)
#define GIVES_DDDM (p->x, p->y, p->z, GSL_PREC_DOUBLE)
#define GIVES_I (p->n)
#define GIVES_U ((unsigned)p->n)
#define GIVES_UU ((unsigned)p->n, (unsigned)p->m)
#define GIVES_ID (p->n, p->x)
#define GIVES_DI (p->x, p->n)
#define GIVES_DU (p->x, (unsigned)p->n)
#define GIVES_UD ((unsigned)p->n, p->y)
#define GIVES_IDD (p->n, p->x, p->y)
#define GIVES_IID (p->n, p->m, p->x)

#define SF(shape, name, doc)                                        \
    static double direct_##name(const Point *p) {                   \
        return gsl_sf_##name GIVES_##shape;                         \
    }                                                               \
    static void check_##name(int engine, const char *full) {        \
        check_by_value(engine, full, TAKES_##shape, direct_##name); \
    }
#include "../../adapters/gsl/special.def"
#undef SF

#define DISTRIBUTION(shape, name, allowed, doc, vjp)                \
    static double direct_##name(const Point *p) {                   \
        double x = p->x, y = p->y, z = p->z;                        \
        (void)x, (void)y, (void)z;                                  \
        return (allowed) ? gsl_##name GIVES_##shape : NAN;          \
    }                                                               \
    static void check_##name(int engine, const char *full) {        \
        check_by_value(engine, full, TAKES_##shape, direct_##name); \
    }
#include "../../adapters/gsl/distribution.def"
#undef DISTRIBUTION
