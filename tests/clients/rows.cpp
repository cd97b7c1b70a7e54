// A vector of structs goes in, filtered rows with a nested vector and a string come out.
#include "weld.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

template <class T> struct weld_vec {
    T *data;
    int64_t length;
};

struct row {
    int32_t id;
    double amount;
    weld_vec<int16_t> tags;
};

struct answer {
    int32_t id;
    int64_t tags;
    weld_vec<int8_t> label;
};

static const char *program =
    "|rows: vec[{i32, f64, vec[i16]}]| "
    "result(for(rows, appender[{i32, i64, vec[i8]}], |b, i, r| "
    "if(r.$1 > 10.0, merge(b, {r.$0, len(r.$2), if(len(r.$2) > 1L, \"many\", \"few\")}), b)))";

int main() {
    weld_error_t error = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_module_t module = weld_module_compile(program, conf, error);
    if (weld_error_code(error)) {
        const char *message = weld_error_message(error);
        fprintf(stderr, "%s\n", message);
        exit(1);
    }
    weld_context_t context = weld_context_new(conf);

    int16_t tags[] = {1, 2, 3};
    std::vector<row> rows = {{1, 5.0, {tags, 1}}, {2, 50.0, {tags, 3}}, {3, 11.0, {nullptr, 0}}};
    weld_vec<row> input = {rows.data(), (int64_t)rows.size()};
    weld_value_t argument = weld_value_new(&input);
    weld_value_t result = weld_module_run(module, context, argument, error);
    if (weld_error_code(error) != Success) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        exit(1);
    }
    weld_module_free(module);
    void *data = weld_value_data(result);
    weld_vec<answer> *out = (weld_vec<answer> *)data;
    if (out->length != 2) return 2;
    if (out->data[0].id != 2 || out->data[0].tags != 3 || out->data[1].id != 3 || out->data[1].tags != 0)
        return 3;
    if (out->data[0].label.length != 4 || memcmp(out->data[0].label.data, "many", 4) != 0) return 4;
    if (out->data[1].label.length != 3 || memcmp(out->data[1].label.data, "few", 3) != 0) return 5;

    weld_context_t same = weld_value_context(result);
    weld_context_free(context);
    weld_value_free(result);
    if (weld_context_memory_usage(same) != 0) return 6;
    weld_context_free(same);
    weld_value_free(argument);
    weld_conf_free(conf);
    weld_error_free(error);
    puts("ok");
    return 0;
}
