/* elementwise.c: operations on elements, with broadcasting: one loop over what iterates, with an expression inside.
 *
 *     binary(SUBTRACT, x of i32, m of f64)   =>   |p0, p1, ..| map(zip(p0, p1), |e| let a = f64(e.$0); let b = e.$1; a - b)
 *
 * A row says in what type an operation computes, and its expression for integers, floats and bool; T stands for that type,
 * # for the letter of the C library's functions of floats. What is the same everywhere (scalars, full) is a name outside of
 * the loop; operations on such alone give such again.
 */
#include "nd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* COMMON: what both are promoted to. NUMBER: the same, bool as i8. FLOAT: the same, integers as f64. TRUTH: bool. */
typedef enum Compute { COMMON, NUMBER, FLOAT, TRUTH } Compute;

typedef struct Row {
    const char *function;
    Compute compute;
    bool tells;                            /* the result is a bool */
    const char *integers, *floats, *bools; /* NULL: there is no such operation */
} Row;

#define C_FUNCTION(name) "@(pure: true, threadsafe: true)cfun[" name "#, T](a)"

static const Row unary_rows[WELD_ND_UNARY_OPS] = {
    [WELD_ND_NEGATIVE] = {"ndarray.negative", COMMON, false, "-a", "-a", NULL},
    [WELD_ND_ABSOLUTE] = {"ndarray.absolute", COMMON, false, "select(a < T(0), -a, a)",
                          "select(a <= T(0), T(0) - a, a)", "a"},
    [WELD_ND_SQUARE] = {"ndarray.square", COMMON, false, "a * a", "a * a", "a"},
    [WELD_ND_LOGICAL_NOT] = {"ndarray.logical_not", TRUTH, true, NULL, NULL, "!a"},
    [WELD_ND_INVERT] = {"ndarray.invert", COMMON, false, "~a", NULL, "!a"},
    [WELD_ND_ISNAN] = {"ndarray.isnan", COMMON, true, "a != a", "a != a", "a != a"},
    [WELD_ND_ISFINITE] = {"ndarray.isfinite", COMMON, true, "a == a", "a - a == T(0)", "a == a"},
    [WELD_ND_EXP] = {"ndarray.exp", FLOAT, false, NULL, "exp(a)", NULL},
    [WELD_ND_LOG] = {"ndarray.log", FLOAT, false, NULL, "log(a)", NULL},
    [WELD_ND_SQRT] = {"ndarray.sqrt", FLOAT, false, NULL, "sqrt(a)", NULL},
    [WELD_ND_ERF] = {"ndarray.erf", FLOAT, false, NULL, "erf(a)", NULL},
    [WELD_ND_SIN] = {"ndarray.sin", FLOAT, false, NULL, "sin(a)", NULL},
    [WELD_ND_COS] = {"ndarray.cos", FLOAT, false, NULL, "cos(a)", NULL},
    [WELD_ND_TAN] = {"ndarray.tan", FLOAT, false, NULL, "tan(a)", NULL},
    [WELD_ND_ASIN] = {"ndarray.asin", FLOAT, false, NULL, "asin(a)", NULL},
    [WELD_ND_ACOS] = {"ndarray.acos", FLOAT, false, NULL, "acos(a)", NULL},
    [WELD_ND_ATAN] = {"ndarray.atan", FLOAT, false, NULL, "atan(a)", NULL},
    [WELD_ND_SINH] = {"ndarray.sinh", FLOAT, false, NULL, "sinh(a)", NULL},
    [WELD_ND_COSH] = {"ndarray.cosh", FLOAT, false, NULL, "cosh(a)", NULL},
    [WELD_ND_TANH] = {"ndarray.tanh", FLOAT, false, NULL, "tanh(a)", NULL},
    [WELD_ND_FLOOR] = {"ndarray.floor", COMMON, false, "a", C_FUNCTION("floor"), "a"},
    [WELD_ND_CEIL] = {"ndarray.ceil", COMMON, false, "a", C_FUNCTION("ceil"), "a"},
    [WELD_ND_TRUNC] = {"ndarray.trunc", COMMON, false, "a", C_FUNCTION("trunc"), "a"},
    [WELD_ND_RINT] = {"ndarray.rint", COMMON, false, "a", C_FUNCTION("rint"), "a"},
};

#define LOGICAL(name, operator) {"ndarray.logical_" name, TRUTH, true, NULL, NULL, "a " operator" b"}
#define BITS(name, operator) {"ndarray.bit_" name, COMMON, false, "a " operator" b", NULL, "a " operator" b"}
#define COMPARISON(name, operator) \
    {"ndarray." name, COMMON, true, "a " operator" b", "a " operator" b", "a " operator" b"}

static const Row binary_rows[WELD_ND_BINARY_OPS] = {
    [WELD_ND_ADD] = {"ndarray.add", COMMON, false, "a + b", "a + b", "a | b"},
    [WELD_ND_SUBTRACT] = {"ndarray.subtract", COMMON, false, "a - b", "a - b", NULL},
    [WELD_ND_MULTIPLY] = {"ndarray.multiply", COMMON, false, "a * b", "a * b", "a & b"},
    [WELD_ND_DIVIDE] = {"ndarray.divide", FLOAT, false, NULL, "a / b", NULL},
    [WELD_ND_REMAINDER] =
        {"ndarray.remainder", NUMBER, false,
         "if(b == T(0), T(0), (let r = a % b; select(r != T(0) && (r < T(0)) != (b < T(0)), r + b, r)))",
         "let r = a % b; select(r != T(0), select((r < T(0)) != (b < T(0)), r + b, r), select(b < T(0), "
         "-T(0), T(0)))",
         NULL},
    [WELD_ND_POWER] =
        {"ndarray.power", NUMBER, false,
         "if(assert(b >= T(0)), iterate({T(1), a, b}, |s| "
         "let n = s.$2 / T(2); {{select(s.$2 % T(2) == T(1), s.$0 * s.$1, s.$0), s.$1 * s.$1, n}, "
         "n > T(0)}).$0, T(0))",
         "pow(a, b)", NULL},
    [WELD_ND_MINIMUM] = {"ndarray.minimum", COMMON, false, "min(a, b)", "select(a <= b | a != a, a, b)",
                         "a & b"},
    [WELD_ND_MAXIMUM] = {"ndarray.maximum", COMMON, false, "max(a, b)", "select(a >= b | a != a, a, b)",
                         "a | b"},
    [WELD_ND_EQUAL] = COMPARISON("equal", "=="),
    [WELD_ND_NOT_EQUAL] = COMPARISON("not_equal", "!="),
    [WELD_ND_LESS] = COMPARISON("less", "<"),
    [WELD_ND_LESS_EQUAL] = COMPARISON("less_equal", "<="),
    [WELD_ND_GREATER] = COMPARISON("greater", ">"),
    [WELD_ND_GREATER_EQUAL] = COMPARISON("greater_equal", ">="),
    [WELD_ND_LOGICAL_AND] = LOGICAL("and", "&"),
    [WELD_ND_LOGICAL_OR] = LOGICAL("or", "|"),
    [WELD_ND_LOGICAL_XOR] = LOGICAL("xor", "^"),
    [WELD_ND_BIT_AND] = BITS("and", "&"),
    [WELD_ND_BIT_OR] = BITS("or", "|"),
    [WELD_ND_BIT_XOR] = BITS("xor", "^"),
};

weld_nd_dtype nd_promote(weld_nd_dtype a, weld_nd_dtype b) {
    static const weld_nd_dtype wider[] = {[WELD_ND_U8] = WELD_ND_I16,
                                          [WELD_ND_U16] = WELD_ND_I32,
                                          [WELD_ND_U32] = WELD_ND_I64,
                                          [WELD_ND_U64] = WELD_ND_F64};
    if (a > b) return nd_promote(b, a);
    if (a == b || a == WELD_ND_BOOL) return b;
    if (b == WELD_ND_F64) return b;
    bool small = weld_nd_type_size(a) <= 2;
    if (b == WELD_ND_F32) return small ? WELD_ND_F32 : WELD_ND_F64;
    if (nd_is_signed(a) == nd_is_signed(b)) return b;
    return weld_nd_type_size(a) > weld_nd_type_size(b) ? a : wider[b];
}

/* ---- shapes ---- */

bool nd_broadcast_shapes(const Nd *const *arrays, int count, int *rank, int64_t *shape, weld_error_t error) {
    *rank = 0;
    memset(shape, 0, sizeof *shape * WELD_ND_AXES);
    for (int i = 0; i < count; i++) {
        if (arrays[i]->rank > *rank) *rank = arrays[i]->rank;
    }
    for (int axis = 0; axis < *rank; axis++) {
        shape[axis] = 1;
        for (int i = 0; i < count; i++) {
            int own = axis - (*rank - arrays[i]->rank);
            int64_t length = own < 0 ? 1 : arrays[i]->shape[own];
            if (length == 1 || length == shape[axis]) continue;
            if (shape[axis] != 1)
                return nd_fail(error, WELD_ARGUMENT_ERROR, "axes of lengths %lld and %lld do not go together",
                               (long long)shape[axis], (long long)length);
            shape[axis] = length;
        }
    }
    int64_t size;
    return nd_check_shape(*rank, shape, &size, error);
}

Nd *nd_empty(weld_nd_dtype dtype, int rank, const int64_t *shape, weld_error_t error) {
    char code[32];
    snprintf(code, sizeof code, "[]: vec[%s]", weld_nd_type_name(dtype));
    return nd_new(dtype, rank, shape, weld_lazy_new("ndarray.empty", code, NULL, 0, error), false, error);
}

Nd *nd_constant(weld_nd_dtype dtype, double value, int rank, const int64_t *shape, weld_error_t error) {
    weld_nd_t number = weld_nd_full(WELD_ND_F64, &value, rank, shape, error);
    weld_nd_t cast = number ? weld_nd_cast(number, dtype, error) : NULL;
    weld_nd_free(number);
    return cast;
}

weld_nd_t weld_nd_broadcast(weld_nd_t nd, int rank, const int64_t *shape, weld_error_t error) {
    int64_t size;
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!nd_check_shape(rank, shape, &size, error)) return NULL;
    int before = rank - nd->rank;
    if (before < 0) return nd_refuse(error, "broadcasting takes no axes away");
    Nd *view = nd_view(nd, error);
    if (!view) return NULL;
    for (int i = 0; i < rank; i++) {
        int64_t length = i < before ? 1 : nd->shape[i - before];
        view->shape[i] = shape[i];
        view->strides[i] = length == 1 ? 0 : nd->strides[i - before];
        if (length == 1 || length == shape[i]) continue;
        weld_nd_free(view);
        return nd_fail(error, WELD_ARGUMENT_ERROR, "an axis of length %lld cannot be broadcast to %lld",
                       (long long)length, (long long)shape[i]);
    }
    view->rank = rank;
    return view;
}

/* ---- loops ---- */

/* The expression, with the type's name for T and "f" or nothing for #. */
static void put_expression(Text *text, const char *expression, weld_nd_dtype dtype) {
    for (const char *c = expression; *c; c++) {
        if (*c == 'T')
            text_put(text, "%s", weld_nd_type_name(dtype));
        else if (*c == '#')
            text_put(text, "%s", dtype == WELD_ND_F32 ? "f" : "");
        else
            text_put(text, "%c", *c);
    }
}

static void put_operand(Text *text, int number, const Operand *operand, weld_nd_dtype compute) {
    const char *as = weld_nd_type_name(compute);
    bool casts = as && operand->dtype != compute;
    text_put(text, "let %c = %s%s%s%s; ", 'a' + number, casts ? as : "", casts ? "(" : "", operand->value,
             casts ? ")" : "");
}

Nd *nd_elements(const char *function, const Nd *const *arrays, int count, weld_nd_dtype compute,
                weld_nd_dtype result, const char *expression, weld_error_t error) {
    enum { MOST = 3 };
    int rank;
    int64_t shape[WELD_ND_AXES], size = 1;
    Operand operands[MOST];
    if (!nd_broadcast_shapes(arrays, count, &rank, shape, error)) return NULL;
    for (int i = 0; i < rank; i++) size *= shape[i];
    if (size == 0) return nd_empty(result, rank, shape, error);
    Fragment f = {.function = function, .error = error};
    bool iterates = false;
    for (int i = 0; i < count; i++) {
        operand_open(&f, arrays[i], rank, shape, &operands[i]);
        iterates |= operands[i].iterates;
    }
    if (iterates) {
        text_put(&f.body, "map(");
        operands_put(&f, operands, count, size);
        text_put(&f.body, ", |e| ");
    }
    for (int i = 0; i < count; i++) put_operand(&f.body, i, &operands[i], compute);
    put_expression(&f.body, expression, compute);
    if (iterates) text_put(&f.body, ")");
    return nd_new(result, rank, shape, fragment_close(&f), !iterates, error);
}

static Nd *apply(const Row *row, const Nd *const *arrays, int count, weld_error_t error) {
    for (int i = 0; i < count; i++) {
        if (!arrays[i]) return nd_refuse(error, "an operand is NULL");
    }
    weld_nd_dtype compute = arrays[0]->dtype;
    for (int i = 1; i < count; i++) compute = nd_promote(compute, arrays[i]->dtype);
    if (row->compute == TRUTH) compute = WELD_ND_BOOL;
    if (row->compute == NUMBER && compute == WELD_ND_BOOL) compute = WELD_ND_I8;
    if (row->compute == FLOAT && !nd_is_float(compute)) compute = WELD_ND_F64;
    const char *expression = nd_is_float(compute)      ? row->floats
                             : compute == WELD_ND_BOOL ? row->bools
                                                       : row->integers;
    if (!expression)
        return nd_fail(error, WELD_ARGUMENT_ERROR, "there is no %s of %s", strchr(row->function, '.') + 1,
                       weld_nd_type_name(compute));
    return nd_elements(row->function, arrays, count, compute, row->tells ? WELD_ND_BOOL : compute, expression,
                       error);
}

weld_nd_t weld_nd_unary(weld_nd_unary_op op, weld_nd_t a, weld_error_t error) {
    if ((unsigned)op >= WELD_ND_UNARY_OPS) return nd_refuse(error, "there is no such operation");
    const Nd *arrays[] = {a};
    return apply(&unary_rows[op], arrays, 1, error);
}

weld_nd_t weld_nd_binary(weld_nd_binary_op op, weld_nd_t a, weld_nd_t b, weld_error_t error) {
    if ((unsigned)op >= WELD_ND_BINARY_OPS) return nd_refuse(error, "there is no such operation");
    const Nd *arrays[] = {a, b};
    return apply(&binary_rows[op], arrays, 2, error);
}

weld_nd_t weld_nd_cast(weld_nd_t nd, weld_nd_dtype dtype, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!weld_nd_type_name(dtype)) return nd_refuse(error, "there is no such type of elements");
    if (nd->dtype == dtype) return nd_same(nd, error);
    const Nd *arrays[] = {nd};
    return nd_elements("ndarray.cast", arrays, 1, dtype, dtype, "a", error);
}

weld_nd_t weld_nd_where(weld_nd_t condition, weld_nd_t a, weld_nd_t b, weld_error_t error) {
    if (!condition || !a || !b) return nd_refuse(error, "an operand is NULL");
    weld_nd_dtype common = nd_promote(a->dtype, b->dtype);
    const weld_nd_t given[] = {condition, a, b};
    weld_nd_t parts[3] = {NULL};
    bool ok = true;
    for (int i = 0; i < 3 && ok; i++)
        ok = (parts[i] = weld_nd_cast(given[i], i ? common : WELD_ND_BOOL, error));
    const Nd *arrays[] = {parts[0], parts[1], parts[2]};
    Nd *result = NULL;
    if (ok)
        result = nd_elements("ndarray.where", arrays, 3, WELD_ND_DTYPES, common, "select(a, b, c)", error);
    for (int i = 0; i < 3; i++) weld_nd_free(parts[i]);
    return result;
}
