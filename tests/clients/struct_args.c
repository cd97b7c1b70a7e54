/* Several parameters arrive as one C struct; the result is a C struct again. Handles are kept as void *. */
#include <weld.h>

#include <math.h>
#include <stdio.h>

typedef struct {
    double *data;
    int64_t length;
} doubles;

typedef struct {
    int8_t scale;
    doubles prices;
    bool negate;
    float offset;
} arguments;

typedef struct {
    double sum;
    int64_t count;
    doubles scaled;
    bool any;
} answer;

static const char *program =
    "|scale: i8, prices: vec[f64], negate: bool, offset: f32|"
    "let s = if(negate, -1.0, 1.0) * f64(scale);"
    "let scaled = result(for(prices, appender[f64], |b, i, p| merge(b, p * s + f64(offset))));"
    "{result(for(scaled, merger[f64, +], |b, i, p| merge(b, p))), len(scaled), scaled,"
    " result(for(scaled, merger[i64, +], |b, i, p| if(p < 0.0, merge(b, 1L), b))) > 0L}";

int main(void) {
    void *error = weld_error_new();
    void *module = weld_module_compile(program, NULL, error);
    if (!module) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        return 1;
    }
    void *context = weld_context_new(NULL);
    double prices[] = {1.5, 2.5, 100.0};
    arguments args = {3, {prices, 3}, true, 0.25f};
    void *argument = weld_value_new(&args);
    void *result = weld_module_run(module, context, argument, error);
    /* All of these may go before the result. */
    weld_value_free(argument);
    weld_context_free(context);
    weld_module_free(module);
    if (!result) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        return 2;
    }
    const answer *out = weld_value_data(result);
    if (out->count != 3 || fabs(out->sum - (-3.0 * 104.0 + 0.75)) > 1e-9 || !out->any) return 3;
    if (out->scaled.length != 3 || out->scaled.data[1] != -7.25) return 4;
    weld_value_free(result);
    weld_error_free(error);
    puts("ok");
    return 0;
}
