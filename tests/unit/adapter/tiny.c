/* tiny.c: an adapter for test_adapter.c: functions that are right, and some that are not. */
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT double weld_tiny_product(double x, double y);
EXPORT double weld_tiny_product(double x, double y) {
    return x * y;
}

EXPORT int64_t weld_tiny_triple(int64_t x);
EXPORT int64_t weld_tiny_triple(int64_t x) {
    return 3 * x;
}

#define ROW(name, code, native) {name, "", code, native, NULL, "a function"}

/* The same function under several names, of which the derivatives are known differently. */
#define DERIVED(name, symbol, vjp) \
    {name, "", NULL, "|x: f64, y: f64| @(pure: true)cfun[" symbol ", f64](x, y)", vjp, "a function"}
EXPORT double weld_tiny_half(double x, double y);
EXPORT double weld_tiny_half(double x, double y) {
    return x * y;
}
EXPORT double weld_tiny_few(double x, double y);
EXPORT double weld_tiny_few(double x, double y) {
    return x * y;
}
EXPORT double weld_tiny_other(double x, double y);
EXPORT double weld_tiny_other(double x, double y) {
    return x * y;
}
EXPORT double weld_tiny_broken(double x, double y);
EXPORT double weld_tiny_broken(double x, double y) {
    return x * y;
}
EXPORT double weld_tiny_without(double x, double y);
EXPORT double weld_tiny_without(double x, double y) {
    return x * y;
}

static const weld_function_t functions[] = {
#ifdef CHANGED
    ROW("twice", "|x: i64| let tiny = x; let e = 9L * x; tiny + e", NULL),
#else
    ROW("twice", "|x: i64| let tiny = x; let e = x; tiny + e", NULL),
#endif
    ROW("four", "|x: i64| tiny.twice(tiny.twice(x))", NULL),
    ROW("many", "|v: vec[i64]| map(v, tiny.four)", NULL),
    ROW("triple", NULL, "|x: i64| @(pure: true, threadsafe: true)cfun[weld_tiny_triple, i64](x)"),
    ROW("both", "|x: i64| x * 3l", "|x: i64| cfun[weld_tiny_triple, i64](x)"),
    ROW("any", "|x, y| x + y", NULL),
    ROW("none", "|| 5l", NULL),
    ROW("order", "|a: i64, b: i64| compare(b, a)", NULL),
    ROW("macros", "macro double(x) = x + x; |x: i64| double(x)", NULL),
    ROW("types", "type pair = {i64, i64}; |x: i64| {x, x}: pair", NULL),
    ROW("fails", "|x: i64|\n  1l / x", NULL),
    ROW("self", "|x: i64| tiny.self(x)", NULL),
    ROW("ping", "|x: i64| tiny.pong(x)", NULL),
    ROW("pong", "|x: i64| tiny.ping(x)", NULL),
    ROW("value", "1l", NULL),
    ROW("broken", "|x: i64| x +", NULL),
    ROW("wrong", "|x: i64|\n x + true", NULL),
    ROW("lost", "|x: i64| tiny.nothing(x)", NULL),
    ROW("nowhere", "|x: i64| no_such_library_at_all.f(x)", NULL),
    ROW("missing", NULL, "|x: i64| cfun[weld_tiny_is_not_there, i64](x)"),
    ROW("empty", NULL, NULL),
    DERIVED("product", "weld_tiny_product", "tiny.product_vjp"),
    ROW("product_vjp", "|x, y, r, g| {g * y, g * x}", NULL),
    DERIVED("half", "weld_tiny_half", "|x, y, r, g| let s = {g * y, {}}; s"),
    DERIVED("few", "weld_tiny_few", "|x, r, g| g"),
    DERIVED("other", "weld_tiny_other", "|x, y, r, g| {f32(g), g}"),
    DERIVED("broken_vjp", "weld_tiny_broken", "|x, y, r, g| {g * true, g}"),
    DERIVED("without", "weld_tiny_without", NULL),
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

EXPORT const weld_adapter_t *weld_adapter(void);
EXPORT const weld_adapter_t *weld_adapter(void) {
#ifdef WRONG_VERSION
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION + 1, "wrong", "of another version",
                                           functions};
#else
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "tiny", "for the tests", functions};
#endif
    return &adapter;
}
