// Sums and groups by key; a dictionary passes from one program to the next, and comes out as a vector of
// pairs.
#include "weld.h"

#include <cstdio>
#include <cstdlib>
#include <map>

template <typename T> struct vec {
    T *data;
    int64_t length;
};
struct pair {
    int32_t key;
    double value;
};
struct group {
    int32_t key;
    vec<double> values;
};

static weld_module_t compile(const char *program) {
    weld_error_t e = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_module_t m = weld_module_compile(program, conf, e);
    weld_conf_free(conf);
    if (weld_error_code(e)) {
        fprintf(stderr, "%s\n", weld_error_message(e));
        exit(1);
    }
    weld_error_free(e);
    return m;
}

static weld_value_t run(weld_module_t m, weld_context_t context, weld_value_t arg) {
    weld_error_t e = weld_error_new();
    weld_value_t result = weld_module_run(m, context, arg, e);
    if (weld_error_code(e)) {
        fprintf(stderr, "%s\n", weld_error_message(e));
        exit(1);
    }
    weld_error_free(e);
    return result;
}

int main() {
    const int64_t length = 1000;
    pair *pairs = (pair *)malloc(sizeof(pair) * length);
    std::map<int32_t, double> expected;
    for (int32_t i = 0; i < length; i++) {
        pairs[i].key = i % 7 - 3;
        pairs[i].value = i;
        expected[pairs[i].key] += i;
    }
    vec<pair> input = {pairs, length};
    weld_value_t arg = weld_value_new(&input);
    weld_conf_t conf = weld_conf_new();
    weld_context_t context = weld_context_new(conf);

    weld_module_t sums =
        compile("|v: vec[{i32, f64}]| result(for(v, dictmerger[i32, f64, +], |b, i, e| merge(b, e)))");
    weld_module_t list = compile("|d: dict[i32, f64]| tovec(d)");
    weld_value_t dict = run(sums, context, arg);
    weld_value_t pairs_out = run(list, context, dict);
    weld_value_free(dict);
    vec<pair> *out = (vec<pair> *)weld_value_data(pairs_out);
    if (out->length != 7) return 2;
    for (int64_t i = 0; i < out->length; i++) {
        if (expected[out->data[i].key] != out->data[i].value) return 3;
    }
    weld_value_free(pairs_out);

    weld_module_t groups =
        compile("|v: vec[{i32, f64}]| tovec(result(for(v, groupmerger[i32, f64], |b, i, e| merge(b, e))))");
    weld_value_t grouped = run(groups, context, arg);
    vec<group> *g = (vec<group> *)weld_value_data(grouped);
    if (g->length != 7) return 4;
    for (int64_t i = 0; i < g->length; i++) {
        double sum = 0, last = -1;
        for (int64_t j = 0; j < g->data[i].values.length; j++) {
            double value = g->data[i].values.data[j];
            if (value <= last) return 5; // loop order
            last = value;
            sum += value;
        }
        if (sum != expected[g->data[i].key]) return 6;
    }
    weld_value_free(grouped);
    weld_value_free(arg);
    free(pairs);
    weld_module_free(sums);
    weld_module_free(list);
    weld_module_free(groups);
    weld_context_free(context);
    weld_conf_free(conf);
    puts("ok");
    return 0;
}
