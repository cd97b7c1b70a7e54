/* Every single allocation of a compilation and a run fails once: each time there is an error, nothing
 * crashes, and the context holds no bytes afterwards. malloc is this program's own, so it does not go
 * together with sanitizers.
 */
#include "weld.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern void *__libc_malloc(size_t bytes), *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes), *__libc_memalign(size_t align, size_t bytes);

static long left = -1; /* allocations until they fail; -1: they do not */

static int fails(void) {
    if (left > 0)
        left--;
    else if (left == 0)
        errno = ENOMEM;
    return left == 0;
}

void *malloc(size_t bytes) {
    return fails() ? NULL : __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
    return fails() ? NULL : __libc_calloc(count, bytes);
}
void *realloc(void *block, size_t bytes) {
    return fails() ? NULL : __libc_realloc(block, bytes);
}
void *aligned_alloc(size_t align, size_t bytes) {
    return fails() ? NULL : __libc_memalign(align, bytes);
}

void no_memory_twice(int64_t *x, int64_t *result);
void no_memory_twice(int64_t *x, int64_t *result) {
    *result = 2 * *x;
}

static const char *const programs[] = {
    "|x: i64| let v = result(for(rangeiter(0l, x, 1l), appender[i64], |b, i, e| merge(b, e)));"
    "{x + 1l, sort(v, |a, b| compare(b, a)), \"abc\", serialize(v),"
    " tovec(result(for(v, groupmerger[vec[i8], i64], |b, i, e| merge(b, {if(e > 3l, \"x\", \"y\"), e}))))}",
    "|x: i64| cudf[no_memory_twice, i64](x)",
    "|x: i64| lookup([1l], x)",
    "|x: i64| x + ",
};

/* With allocation number n failing. 1: that many did not happen. -1: something is wrong. */
static int try(const char *program, long n) {
    int64_t x = 100;
    weld_error_t error = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval"); /* LLVM ends the process when there is no memory */
    left = n;
    weld_conf_set(conf, "weld.threads", "1");
    weld_module_t module = weld_module_compile(program, conf, error);
    int compiled = weld_error_code(error) == 0;
    weld_context_t context = weld_context_new(conf);
    weld_value_t argument = weld_value_new(&x), result = weld_module_run(module, context, argument, error);
    char *text = weld_value_print(result);
    int done = left > 0;
    left = -1;
    int bad = compiled != (module != NULL) || (result != NULL) != (weld_error_code(error) == 0) ||
              (!result && strlen(weld_error_message(error)) < 10) ||
              (!result && context && weld_context_memory_usage(context) != 0);
    free(text);
    weld_value_free(result);
    if (context && weld_context_memory_usage(context) != 0) bad = 1;
    weld_value_free(argument);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
    weld_error_free(error);
    return bad ? -1 : done;
}

int main(void) {
    for (int i = 0; i < 4; i++) {
        int done = 0;
        for (long n = 0; !done; n++) {
            done = try(programs[i], n);
            if (done < 0 || n > 100000) {
                printf("program %d, allocation %ld\n", i, n);
                return 1;
            }
        }
    }
    puts("ok");
    return 0;
}
