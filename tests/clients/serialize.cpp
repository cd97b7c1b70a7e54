// Bytes of a dictionary are read by hand, and go back through deserialize.
#include <weld.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

template <class T> struct weld_vec {
    T *data;
    int64_t length;
};
struct pair {
    int32_t a, b;
};
struct grouped {
    int32_t a;
    weld_vec<int32_t> b;
};

static weld_value_t run(const char *program, void *input) {
    weld_error_t e = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_module_t m = weld_module_compile(program, conf, e);
    if (weld_error_code(e)) {
        fprintf(stderr, "%s\n", weld_error_message(e));
        exit(1);
    }
    weld_value_t arg = weld_value_new(input);
    weld_context_t context = weld_context_new(conf);
    weld_value_t result = weld_module_run(m, context, arg, e);
    if (weld_error_code(e)) {
        fprintf(stderr, "%s\n", weld_error_message(e));
        exit(1);
    }
    weld_value_free(arg);
    weld_conf_free(conf);
    weld_context_free(context);
    weld_error_free(e);
    weld_module_free(m);
    return result;
}

int main() {
    pair data[100];
    for (int i = 0; i < 100; i++) data[i].a = i % 10, data[i].b = i;
    weld_vec<pair> v = {data, 100};

    weld_value_t bytes =
        run("|v:vec[{i32,i32}]| serialize(result(for(v, groupmerger[i32,i32], |b,i,e| merge(b, e))))", &v);
    weld_vec<uint8_t> *raw = (weld_vec<uint8_t> *)weld_value_data(bytes);
    uint8_t *at = raw->data;
    int64_t count, values;
    memcpy(&count, at, 8);
    if (count != 10 || raw->length != 8 + 10 * (4 + 8 + 10 * 4)) return 2;
    at += 8 + 4;
    memcpy(&values, at, 8);
    if (values != 10) return 3;

    weld_value_t back = run("|v:vec[u8]| tovec(deserialize[dict[i32,vec[i32]]](v))", raw);
    weld_vec<grouped> *groups = (weld_vec<grouped> *)weld_value_data(back);
    if (groups->length != 10) return 4;
    for (int64_t i = 0; i < 10; i++) {
        if (groups->data[i].b.length != 10) return 5;
        for (int64_t j = 0; j < 10; j++) {
            if (groups->data[i].b.data[j] != j * 10 + groups->data[i].a) return 6;
        }
    }
    weld_value_free(back);
    weld_value_free(bytes);
    puts("ok");
    return 0;
}
