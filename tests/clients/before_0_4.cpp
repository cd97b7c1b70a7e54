// A client of the interface before contexts: the configuration is passed to the run.
#include "weld.h"

#include <stdio.h>
#include <stdlib.h>

struct weld_vector {
    int32_t *data;
    int64_t length;
};

int main() {
    weld_error_t e = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_module_t m =
        weld_module_compile("|x:vec[i32]| result(for(x, merger[i32,+], |b,i,e| merge(b,e)))", conf, e);
    weld_conf_free(conf);
    if (weld_error_code(e)) {
        printf("Error message: %s\n", weld_error_message(e));
        exit(1);
    }
    int32_t data[1000];
    for (int i = 0; i < 1000; i++) data[i] = 1;
    weld_vector v = {data, 1000};
    weld_value_t arg = weld_value_new(&v);
    conf = weld_conf_new();
    weld_value_t result = weld_module_run(m, conf, arg, e);
    if (weld_error_code(e)) {
        printf("Error message: %s\n", weld_error_message(e));
        exit(1);
    }
    void *result_data = weld_value_data(result);
    if (*(int32_t *)result_data != 1000) return 2;
    weld_value_free(result);
    weld_value_free(arg);
    weld_conf_free(conf);
    weld_error_free(e);
    weld_module_free(m);
    puts("ok");
    return 0;
}
