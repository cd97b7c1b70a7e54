/* A column goes out and comes in again, with nothing but what the package says. */
#include <weld_arrow.h>

#include <stdio.h>

int main(void) {
    static const int32_t numbers[] = {1, 2, 3};
    weld_context_t context = weld_context_new(NULL);
    struct vector {
        const int32_t *data;
        int64_t length;
    } vector = {numbers, 3};
    weld_lazy_t lazy = weld_lazy_data("vec[i32]", &vector, NULL, NULL, NULL);
    weld_value_t value = NULL;
    struct ArrowArray array = {0};
    struct ArrowSchema schema = {0};
    weld_lazy_evaluate(context, &lazy, 1, &value, NULL);
    weld_arrow_field_t field = {.name = "x", .values = value};
    weld_arrow_t back =
        weld_arrow_export(&field, &array, &schema, NULL) ? weld_arrow_import(&array, &schema, NULL) : NULL;
    printf("%s %lld\n", back ? weld_arrow_format(back) : "nothing", (long long)weld_arrow_length(back));
    weld_arrow_free(back);
    weld_value_free(value);
    weld_lazy_free(lazy);
    weld_context_free(context);
    return 0;
}
