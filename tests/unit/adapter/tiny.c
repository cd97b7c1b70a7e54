/* tiny.c: an adapter for test_adapter.c: functions that are right, and some that are not. */
#include <stdbool.h>
#include <time.h>
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

/* Doubles x by pieces, and says at `threads` how many threads at once were seen, up to 2: with `wait` a piece waits for another. */
typedef struct Doubles {
    const int64_t *data;
    int64_t length;
} Doubles;
typedef struct Doubling {
    const int64_t *x;
    int64_t *out, length;
    bool wait;
    _Atomic int64_t inside, most;
} Doubling;

static weld_divide_t divide;
EXPORT void weld_use_threads(weld_divide_t given);
EXPORT void weld_use_threads(weld_divide_t given) {
    divide = given;
}

static void nothing(void *state, int64_t i) {
    (void)i;
    ++*(_Atomic int64_t *)state;
}

static void double_one(void *state, int64_t i) {
    Doubling *doubling = state;
    _Atomic int64_t pieces = 0;
    int64_t inside = ++doubling->inside;
    for (int ms = 0; doubling->wait && doubling->most < 2 && inside < 2 && ms < 10000; ms++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (inside > doubling->most) doubling->most = inside;
    divide(3, nothing, &pieces);
    doubling->out[i] = pieces == 3 ? 2 * doubling->x[i] : -1;
    doubling->inside--;
}

EXPORT int weld_tiny_doubles(const Doubles *x, const bool *wait, Doubles *out);
EXPORT int weld_tiny_doubles(const Doubles *x, const bool *wait, Doubles *out) {
    int64_t *made = (int64_t *)(void *)(uintptr_t)out->data;
    Doubling doubling = {x->data, made, x->length, *wait, 0, 0};
    if (out->length != x->length + 1) return WELD_CALL_SIZES;
    divide(x->length, double_one, &doubling);
    made[x->length] = doubling.most;
    return WELD_CALL_DONE;
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
    ROW("doubles", NULL,
        "|x: vec[i64], wait: bool| cfill[weld_tiny_doubles, vec[i64]](len(x) + 1L, x, wait)"),
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
