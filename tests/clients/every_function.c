/* every_function.c: each public function of weld.h and of the adapters' headers, called with NULL in the place of each
 * pointer, with handles of every other kind, with lengths and numbers that are negative or huge, and with texts that are
 * none: an error, never a crash, and nothing is lost or kept.
 *
 *     every_function          calls every row
 *     every_function --list   prints the rows' names, which every_function.sh holds against what is exported
 *
 * A row names a function and gives its arguments, each by the letter of its kind (below); each is called in turn with every
 * value of that kind, the right ones (index 0) in the others' place. What it gives back is freed as its letter says. */
#include "weld_arrow.h"
#include "weld_frame.h"
#include "weld_ndarray.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef union Arg {
    void *p;
    int64_t i;
    double d;
} Arg;

enum { MOST_ARGUMENTS = 9, MOST_VALUES = 24 };

/* One call. */
typedef struct Call {
    Arg a[MOST_ARGUMENTS];
    bool fails; /* the answer said so: NULL, false or -1 */
} Call;

/* Handles of weld.h, each of which is wrong where another is wanted. */
enum { CONF, CONTEXT, VALUE, MODULE, LAZY, FUTURE, ERROR, HANDLES };

enum { ROOM = 70000 };

static void *right[HANDLES], *run;
static weld_error_t error;
static weld_context_t context;
static weld_frame_t frame;
static weld_nd_t array;
static weld_arrow_t table, list;
static weld_value_t values[ROOM];
static int failures;

static void count_release(void *user) {
    (void)user;
}

static void fill_five(void *user, void *const *arguments, void *result) {
    (void)user;
    (void)arguments;
    *(int64_t *)result = 5;
}

#define P(n) call->a[n].p
#define I(n) call->a[n].i
#define N(n) ((int)call->a[n].i)
#define D(n) call->a[n].d

/* ---- how results are freed ---- */
#define GIVES(expression, type, free_it) \
    do {                                 \
        type out = (expression);         \
        call->fails = !out;              \
        if (out) free_it(out);           \
    } while (0)
#define KEEPS(x) ((void)(x))
#define SAYS(expression) (call->fails = (int64_t)(expression) < 0)
#define DOES(expression) (expression)
#define SHOWS(expression) (call->fails = !(expression))
#define COMPUTES(expression)                                   \
    do {                                                       \
        weld_value_t *to = values;                             \
        memset(values, 0, sizeof values);                      \
        call->fails = !(expression);                           \
        for (int k = 0; k < ROOM; k++) weld_value_free(to[k]); \
    } while (0)

/* ---- values of every kind; the first is right, where there is one ---- */

typedef struct Kind {
    char letter;
    int count;
    bool handle; /* the second, NULL, and all that follow are wrong */
    Arg values[MOST_VALUES];
} Kind;

static Kind kinds[64];
static int kind_count;

static Kind *kind_of(char letter) {
    for (int k = 0; k < kind_count; k++) {
        if (kinds[k].letter == letter) return &kinds[k];
    }
    printf("no kind %c\n", letter);
    exit(2);
}

static Kind *add_kind(char letter, bool handle) {
    Kind *kind = &kinds[kind_count++];
    *kind = (Kind){.letter = letter, .handle = handle};
    return kind;
}

static void add_pointer(Kind *kind, const void *p) {
    kind->values[kind->count++].p = (void *)(uintptr_t)p;
}

static void add_handles(void *const handles[HANDLES]) {
    static const char letters[] = "csvmlfe";
    for (int h = 0; h < HANDLES; h++) {
        Kind *kind = add_kind(letters[h], true);
        add_pointer(kind, handles[h]);
        add_pointer(kind, NULL);
        for (int other = 0; other < HANDLES; other++) {
            if (other != h) add_pointer(kind, handles[other]);
        }
    }
}

static void add_texts(char letter, const char *right) {
    Kind *kind = add_kind(letter, false);
    add_pointer(kind, right);
    add_pointer(kind, NULL);
    static const char *const texts[] = {"",    "(",  "\x01\xff\xfe",       "no.such", "missing", "i64 as ",
                                        "-1l", "\"", "|x: vec[i64]| x.$9", "a, , b"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) add_pointer(kind, texts[i]);
}

static void add_numbers(char letter, int64_t right) {
    Kind *kind = add_kind(letter, false);
    const int64_t all[] = {right, 0, -1, 2, 5000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) kind->values[kind->count++].i = all[i];
}

#include "every_function.h"

/* ---- rows ---- */

#define FUNCTION(name, kinds, code)       \
    static void call_##name(Call *call) { \
        (void)call;                       \
        code;                             \
    }
#include "every_function.def"
#undef FUNCTION

typedef struct Row {
    const char *name, *kinds;
    void (*call)(Call *);
} Row;

static const Row rows[] = {
#define FUNCTION(name, kinds, code) {#name, kinds, call_##name},
#include "every_function.def"
#undef FUNCTION
};

/* ---- calling ---- */

static void complain(const Row *row, size_t at, int value, const char *what) {
    printf("%s, argument %zu, value %d: %s (%s)\n", row->name, at, value, what, weld_error_message(error));
    failures++;
}

static bool has_error(const Row *row) {
    return strlen(row->kinds) > 1 && row->kinds[strlen(row->kinds) - 1] == 'e';
}

static void call_row(const Row *row) {
    size_t count = strlen(row->kinds);
    for (size_t at = 0; at < count; at++) {
        const Kind *kind = kind_of(row->kinds[at]);
        for (int value = 0; value < kind->count; value++) {
            Call call = {0};
            for (size_t k = 0; k < count; k++)
                call.a[k] = kind_of(row->kinds[k])->values[k == at ? value : 0];
            weld_error_set(error, WELD_UNKNOWN, "untouched");
            row->call(&call);
            uint64_t code = weld_error_code(error);
            bool told = has_error(row) && call.a[count - 1].p == error;
            if (told && code == WELD_UNKNOWN) complain(row, at, value, "the error was not filled");
            if (told && call.fails && code == WELD_SUCCESS && !strstr(row->name, "valid"))
                complain(row, at, value, "a failure without an error");
            if (told && !call.fails && code != WELD_SUCCESS)
                complain(row, at, value, "an error without a failure");
            if (told && kind->handle && value > 0 && row->kinds[at] != 'e' && code == WELD_SUCCESS &&
                !strchr("c", row->kinds[at]))
                complain(row, at, value, "a wrong handle was taken");
        }
    }
    Call call = {0};
    if (!count) row->call(&call);
}

/* Is all as before: a small program runs in the context. */
static void expect_usable(const Row *row) {
    weld_lazy_t six = weld_lazy_new(NULL, "1l + 5l", NULL, 0, error);
    weld_value_t value = NULL;
    bool ok = weld_lazy_evaluate(context, &six, 1, &value, error);
    if (!ok || *(int64_t *)weld_value_data(value) != 6) complain(row, 0, 0, "the context is not usable");
    weld_value_free(value);
    weld_lazy_free(six);
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "--list") == 0) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) puts(rows[i].name);
        return 0;
    }
    open_all();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (count > 1 && strcmp(words[1], rows[i].name) != 0) continue;
        if (count > 1 || getenv("WELD_VERBOSE")) printf("%s\n", rows[i].name), fflush(stdout);
        call_row(&rows[i]);
        expect_usable(&rows[i]);
    }
    close_all();
    printf("%zu functions, %d failures\n", sizeof rows / sizeof *rows, failures);
    return failures != 0;
}
