/* weld.h: the C interface of weldc. Link with -lweld.
 *
 *     weld_error_t error = weld_error_new();
 *     weld_module_t module = weld_module_compile("|x: i64| x + 5l", NULL, error);
 *     weld_context_t context = weld_context_new(NULL);
 *     int64_t five = 5;
 *     weld_value_t argument = weld_value_new(&five);
 *     weld_value_t result = weld_module_run(module, context, argument, error);
 *     if (result) printf("%lld\n", (long long)*(int64_t *)weld_value_data(result));
 *     else fputs(weld_error_message(error), stderr);
 *
 * Names, numbers and signatures of the first part are those of Weld 0.4; its clients need no change. The
 * second part is ours.
 *
 * Handles are pointers to opaque things. Every *_free takes NULL and then does nothing. NULL or a handle of
 * another kind where a handle is needed is an error, reported as the function says, and never a crash; a
 * handle that was freed must not be used again. An error argument may be NULL: then only the result tells.
 * Texts that a function returns belong to the handle asked and live as long as it, unless the comment says
 * otherwise.
 *
 * Threads: a module may run in any number of threads at once, each with a context of its own. A context, the
 * errors and the configurations are for one thread at a time; running in a context that is running already is
 * an error. Values may be freed in any thread.
 *
 * Data: a scalar is the C type (bool one byte, 0 or 1), {A, B} the C struct, vec[T] is struct { T *data;
 * int64_t length; } where data may be NULL if length is 0. A dict is an opaque pointer: take tovec(d) to read
 * it.
 */
#ifndef _WELD_H_
#define _WELD_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__GNUC__)
#define WELD_API __attribute__((visibility("default")))
#else
#define WELD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef void *weld_conf_t;    /* settings */
typedef void *weld_context_t; /* owns the memory of runs and results */
typedef void *weld_error_t;   /* how a call ended */
typedef void *weld_module_t;  /* a compiled program */
typedef void *weld_value_t;   /* an argument or a result */
typedef void *weld_lazy_t;    /* a value that is still to be computed */
typedef void *weld_future_t;  /* values that are being computed */

/* What weld_error_code gives. The short names are Weld's; define WELD_NO_SHORT_NAMES to do without them. */
enum {
    WELD_SUCCESS = 0,
    WELD_CONFIGURATION_ERROR = 1, /* a setting has a value that it cannot have */
    WELD_LOAD_LIBRARY_ERROR = 2,  /* a library cannot be loaded, or lacks a function */
    WELD_COMPILE_ERROR = 3,       /* the program's text, or its types */
    WELD_ARRAY_OUT_OF_BOUNDS = 4, /* a lookup, slice or merge beyond a vector */
    WELD_BAD_ITERATOR_LENGTH = 5, /* an iterator's start, end or stride do not fit its data */
    WELD_MISMATCHED_ZIP_SIZE = 6, /* the iterators of one loop differ in length */
    WELD_OUT_OF_MEMORY = 7,       /* the context's limit, or the machine's memory */
    WELD_RUN_NOT_FOUND = 8,       /* never given */
    WELD_UNKNOWN = 9,             /* a fault of weldc itself */
    WELD_DESERIALIZATION_ERROR = 10,
    WELD_KEY_NOT_FOUND_ERROR = 11,
    WELD_ASSERTION_ERROR = 12,
    WELD_ERRNO_MAX = 13,      /* the end of Weld's own numbers */
    WELD_ARGUMENT_ERROR = 14, /* an argument of this interface, or of the program */
    WELD_FILE_ERROR = 15,     /* a file cannot be read or written */
    WELD_DIVISION_BY_ZERO = 16,
    WELD_FOREIGN_CALL_ERROR = 17, /* a C function could not be called */
    WELD_CANCELLED = 18,          /* stopped by weld_context_cancel */
    WELD_CLUSTER_ERROR = 19
};

/* What weld_set_log_level takes. */
enum {
    WELD_LOG_OFF = 0,
    WELD_LOG_ERROR = 1,
    WELD_LOG_WARN = 2,
    WELD_LOG_INFO = 3,
    WELD_LOG_DEBUG = 4,
    WELD_LOG_TRACE = 5
};

#ifndef WELD_NO_SHORT_NAMES
typedef enum WeldRuntimeErrno {
    Success = 0,
    ConfigurationError,
    LoadLibraryError,
    CompileError,
    ArrayOutOfBounds,
    BadIteratorLength,
    MismatchedZipSize,
    OutOfMemory,
    RunNotFound,
    Unknown,
    DeserializationError,
    KeyNotFoundError,
    AssertionError,
    ErrnoMax
} WeldRuntimeErrno;

typedef enum WeldLogLevel { Off = 0, Error, Warn, Info, Debug, Trace } WeldLogLevel;
#endif
typedef uint64_t weld_errno_t;
typedef uint64_t weld_log_level_t;

/* ---- Configurations: settings by name, see `weldc settings` or docs/api.md ---------------------------- */

/* An empty configuration: every setting has its default. NULL: no memory. The caller frees it. */
WELD_API weld_conf_t weld_conf_new(void);
WELD_API void weld_conf_free(weld_conf_t conf);
/* What was set for key; NULL if nothing was, or on a bad handle. Never a default. Lives until the key is set
 * again or the configuration is freed. */
WELD_API const char *weld_conf_get(weld_conf_t conf, const char *key);
/* Sets key; both texts are copied. A value is checked when it is used; an unknown key is kept and ignored. A
 * value of NULL removes the key. A bad handle or a NULL key does nothing. */
WELD_API void weld_conf_set(weld_conf_t conf, const char *key, const char *value);

/* ---- Contexts: memory with a limit -------------------------------------------------------------------- */

/* A context with the configuration's memory limit and threads; conf NULL: the defaults. conf may be freed
 * right after. NULL: a setting is malformed, or no memory. The caller frees the context; values that it owns
 * keep it alive until they are freed as well. */
WELD_API weld_context_t weld_context_new(weld_conf_t conf);
/* The bytes that its values hold now; 0 once all are freed. -1 on a bad handle. */
WELD_API int64_t weld_context_memory_usage(weld_context_t context);
/* Drops this reference to the context. */
WELD_API void weld_context_free(weld_context_t context);

/* ---- Values ------------------------------------------------------------------------------------------- */

/* A value around the caller's data, to pass to a program: for a program of several parameters a struct with a
 * field for each, for one parameter that value itself. The data stay the caller's, are not copied, and must
 * outlive the run and the results that may point into them. NULL: no memory. The caller frees the value. */
WELD_API weld_value_t weld_value_new(const void *data);
/* The number of the run that made it, counted within its context from 0; -1 for the caller's own values. */
WELD_API int64_t weld_value_run(weld_value_t value);
/* A new reference to the context that owns the value, which the caller frees; NULL for the caller's own. */
WELD_API weld_context_t weld_value_context(weld_value_t value);
/* Where the value lies: of a result, until it is freed. NULL on a bad handle. */
WELD_API void *weld_value_data(weld_value_t value);
/* Frees a value; of a result also its data. Data of a value that a later result still points into live until
 * that result is freed. */
WELD_API void weld_value_free(weld_value_t value);

/* ---- Modules: compiled programs ----------------------------------------------------------------------- */

/* Compiles a program; conf NULL: the defaults. NULL: error says why. The caller frees the module. */
WELD_API weld_module_t weld_module_compile(const char *code, weld_conf_t conf, weld_error_t error);
/* Runs it. arg may be NULL if the program has no parameters. NULL: error says why, and the context is as
 * before and may be used again. The caller frees the result; module, arg and context may be freed before it.
 * As Weld's older clients did, a configuration may be passed for the context: the run then has one of its
 * own. */
WELD_API weld_value_t weld_module_run(weld_module_t module, weld_context_t context, weld_value_t arg,
                                      weld_error_t error);
/* Frees a module, which must not be running. Its results stay as they are. */
WELD_API void weld_module_free(weld_module_t module);

/* ---- Errors ------------------------------------------------------------------------------------------- */

/* An error object: code 0 and message "" until a call fills it. Every call that is given it overwrites it;
 * after success it holds 0 and "Success". NULL: no memory. The caller frees it. */
WELD_API weld_error_t weld_error_new(void);
/* A number of the enum above. A bad handle, NULL too, gives 0. */
WELD_API uint64_t weld_error_code(weld_error_t error);
/* `<program>:LINE:COLUMN: error[NAME]: text`, then the line of the program and a caret; without a place only
 * `error[NAME]: text`. Never NULL. Lives until the error is used again or freed. */
WELD_API const char *weld_error_message(weld_error_t error);
WELD_API void weld_error_free(weld_error_t error);

/* ---- The process -------------------------------------------------------------------------------------- */

/* Loads a shared library whose functions programs may call with cudf; it stays loaded. A name without a slash
 * is looked for as dlopen does, then in the current folder. Any thread may call it; programs compiled later
 * see it. Failure: error, code 2. */
WELD_API void weld_load_library(const char *filename, weld_error_t error);
/* What is logged on standard error, for the whole process; the first call decides, later ones do nothing. */
WELD_API void weld_set_log_level(uint64_t level);
/* Does nothing. */
WELD_API void weld_init(void);

/* What Weld's generated code called, for C functions that call it too: a run with memory of its own. A bad
 * handle gives NULL or 0. Memory that was not freed goes with weld_runst_release. */
WELD_API void *weld_runst_init(int32_t workers, int64_t memory_limit);
WELD_API void weld_runst_release(void *run);
WELD_API void *weld_runst_malloc(void *run,
                                 int64_t bytes); /* NULL: 0 bytes, or over the limit (errno is set) */
WELD_API void *weld_runst_realloc(void *run, void *memory, int64_t bytes);
WELD_API void weld_runst_free(void *run, void *memory);
WELD_API void weld_runst_set_result(void *run, void *result);
WELD_API void *weld_runst_get_result(void *run);
WELD_API void weld_runst_set_errno(void *run, uint64_t error);
WELD_API uint64_t weld_runst_get_errno(void *run);
WELD_API uint8_t weld_runst_assert(void *run,
                                   uint8_t condition);       /* 0 and AssertionError if it is 0; else 1 */
WELD_API void weld_runst_print(void *run, const char *text); /* a line on standard output */

/* ==== Not in Weld 0.4 ================================================================================== */

/* One more reference to a value, to be freed like the first; the same handle. NULL on a bad handle. */
WELD_API weld_value_t weld_value_hold(weld_value_t value);
/* Field number `index` of a result that is a struct, as a value, which the caller frees. It lies in the same memory, which
 * lives as long as either. NULL: not a result, not a struct, no such field, or no memory. */
WELD_API weld_value_t weld_value_field(weld_value_t value, int64_t index);
/* The bytes that the value's result holds in its context; 0 for the caller's own values, -1 on a bad handle.
 */
WELD_API int64_t weld_value_memory_usage(weld_value_t value);
/* The most bytes that were held at once since the context was made. -1 on a bad handle. */
WELD_API int64_t weld_context_memory_peak(weld_context_t context);
/* How long each fragment of the context's last run took, if the run's configuration has weld.timings: a line each, as
 * "fragment 0: line 1 of gsl.sort, a sort: 1 run, 2.417 ms", which names the library function that it comes from; the last line
 * is of what belongs to no fragment. Times are those of a clock, and count once: an iterate's are without its fragments'. The
 * caller releases the text with free(). Not while the context runs. NULL: a bad handle, no such run, or no memory. */
WELD_API char *weld_context_timings(weld_context_t context);
/* Stops the run that is going on in the context: it ends soon with WELD_CANCELLED. Without a run it does
 * nothing. Any thread, and a signal handler, may call it while the context is alive. */
WELD_API void weld_context_cancel(weld_context_t context);

/* The types of a module, spelled in the language: "vec[i64]". NULL, or -1, on a bad handle or index. */
WELD_API int64_t weld_module_parameter_count(weld_module_t module);
WELD_API const char *weld_module_parameter_name(weld_module_t module, int64_t index);
WELD_API const char *weld_module_parameter_type(weld_module_t module, int64_t index);
WELD_API const char *weld_module_result_type(weld_module_t module);
/* The type of a result; NULL for the caller's own values, whose type is not known. */
WELD_API const char *weld_value_type(weld_value_t value);
/* A result as a literal of the language, or as a line of JSON (struct and vec are arrays, dict an array of
 * [key, value] in key order, NaN and infinities strings). The caller releases the text with free(). NULL: not
 * a result, or no memory. */
WELD_API char *weld_value_print(weld_value_t value);
WELD_API char *weld_value_json(weld_value_t value);
/* Writes a result into a file, with its type and a checksum: parameters of a model, say. The file is replaced as a whole: at
 * no time does it hold a part. False: error says why, and the file is as it was. */
WELD_API bool weld_value_save(weld_value_t value, const char *path, weld_error_t error);
/* The value of such a file, as a result of the context. A file that is damaged, cut off, of a later version or something
 * else is an error, WELD_FILE_ERROR. NULL: error says why. The caller frees the value. */
WELD_API weld_value_t weld_value_load(weld_context_t context, const char *path, weld_error_t error);

/* ---- Lazy values: computations put together before they are run --------------------------------------- */

/* A lazy value is data, or a fragment of the language applied to other lazy values. A library does not compute: its
 * functions take lazy values and return lazy values. When values are wanted, the fragments of all libraries become one
 * program, which is optimized as a whole: what were several passes over memory becomes one.
 *
 *     double samples[] = {1, 2, 3};
 *     struct { double *data; int64_t length; } vector = {samples, 3};
 *     weld_lazy_t x = weld_lazy_data("vec[f64]", &vector, NULL, NULL, error);
 *     weld_lazy_t y = weld_lazy_new("mine.scale", "|v| map(v, |e| e * 2.0)", &x, 1, error);
 *     weld_lazy_t s = weld_lazy_new("mine.sum", "|v| result(for(v, merger[f64, +], |b, i, e| merge(b, e)))", &y, 1, error);
 *     weld_value_t total;
 *     if (weld_lazy_evaluate(context, &s, 1, &total, error)) printf("%g\n", *(double *)weld_value_data(total));
 *
 * Lazy values belong to no context. They never change (but see weld_lazy_keep), are counted by reference, and may be used
 * in any number of threads at once. Making one costs about a microsecond if its text was seen before. */
enum { WELD_LAZY_ARGUMENTS = 4096 }; /* of one fragment, and values of one evaluation, at most */

/* Data as a lazy value. type: in the language, closed and without builders; data: a value of that type in memory, which is
 * copied, while the vectors that it points to stay the caller's and must not change. They may go when release(user) is
 * called, once, in any thread: when neither the lazy value nor a result that points into them is left. release may be
 * NULL. NULL: error says why, and release is not called. The caller frees the lazy value. */
WELD_API weld_lazy_t weld_lazy_data(const char *type, const void *data, void (*release)(void *user),
                                    void *user, weld_error_t error);
/* A result as a lazy value, which keeps it. NULL: error says why. */
WELD_API weld_lazy_t weld_lazy_value(weld_value_t value, weld_error_t error);
/* A fragment of the language, code, for `count` arguments: a function of so many parameters, whose types need not be written,
 * or an expression if there are none. function: who emits it, as "library.function"; errors name it; NULL: nobody. The
 * arguments stay the caller's and are held; one that is NULL is an error, so that after several calls only the last result
 * has to be looked at. NULL: error says why: its place is in code. The caller frees the lazy value. */
WELD_API weld_lazy_t weld_lazy_new(const char *function, const char *code, const weld_lazy_t *arguments,
                                   int64_t count, weld_error_t error);
/* A C function of the caller's as a lazy value, for fragments to call with scalars: `|v, f| map(v, |x| f(x))`. types: of its
 * `count` arguments, result: of what it returns; scalars, in the language. function is given user, pointers to the
 * arguments, and room for the result. It is called as often as the program says, in the thread that evaluates; with
 * WELD_PURE (equal arguments give equal results, nothing else happens) perhaps less often, with WELD_THREADSAFE in several
 * threads at once. It must return, and must not use the context that evaluates. release as for weld_lazy_data. It has no
 * value of its own: it cannot be evaluated. NULL: error says why. The caller frees the lazy value. */
typedef void (*weld_callback_t)(void *user, void *const *arguments, void *result);
enum { WELD_PURE = 1, WELD_THREADSAFE = 2 };
WELD_API weld_lazy_t weld_lazy_callback(const char *const *types, int64_t count, const char *result,
                                        uint64_t traits, weld_callback_t function,
                                        void (*release)(void *user), void *user, weld_error_t error);
/* One more reference, to be freed like the first; the same handle. NULL on a bad handle. */
WELD_API weld_lazy_t weld_lazy_hold(weld_lazy_t lazy);
WELD_API void weld_lazy_free(weld_lazy_t lazy);
/* Asks that its value be kept when it is first computed, also as a part of something else: from then on it is data. What it
 * was computed from stays held as before; weld_lazy_value makes of a value a lazy value that holds nothing else. */
WELD_API void weld_lazy_keep(weld_lazy_t lazy);

/* What it is: its type, the function that emitted it ("data" for data), its code, its arguments (a new reference each).
 * NULL, or -1, on a bad handle or index. The texts live as long as the lazy value. */
WELD_API const char *weld_lazy_type(weld_lazy_t lazy);
WELD_API const char *weld_lazy_function(weld_lazy_t lazy);
WELD_API const char *weld_lazy_code(weld_lazy_t lazy);
WELD_API int64_t weld_lazy_argument_count(weld_lazy_t lazy);
WELD_API weld_lazy_t weld_lazy_argument(weld_lazy_t lazy, int64_t index);
/* What an evaluation of these would run: the merged program, and the fragments that the optimizer makes of it. The caller
 * releases the text with free(). NULL: error says why. */
WELD_API char *weld_lazy_program(const weld_lazy_t *lazies, int64_t count, weld_error_t error);
WELD_API char *weld_lazy_plan(const weld_lazy_t *lazies, int64_t count, weld_error_t error);

/* The gradient of a scalar, f32 or f64, by each of `count` values, at most 60, data or computed
 * from others, all else being as it is. True: gradients has a lazy value for each, of the same type, which the caller
 * frees: docs/language.md, Derivatives, says what is 0 in it. They merge with whatever else is evaluated. False: error
 * says what has no derivative, and gradients is as before. */
WELD_API bool weld_lazy_grad(weld_lazy_t scalar, const weld_lazy_t *by, int64_t count, weld_lazy_t *gradients,
                             weld_error_t error);
/* How a value of any type changes with `count` values, at most 60 and each given once, when they change in these directions,
 * which are of their types: a lazy value of its type. The value counts as a function of the `by`: what they are computed from stays as it is.
 * The caller frees it. NULL: error says what has no derivative. */
WELD_API weld_lazy_t weld_lazy_jvp(weld_lazy_t value, const weld_lazy_t *by, const weld_lazy_t *directions,
                                   int64_t count, weld_error_t error);

/* Computes lazy values, all by one program, in the context and with its configuration. True: values holds a value for each,
 * which the caller frees. False: error says why, values is as before, and so is the context. Values that were computed
 * together share memory, which goes with the last of them. */
WELD_API bool weld_lazy_evaluate(weld_context_t context, const weld_lazy_t *lazies, int64_t count,
                                 weld_value_t *values, weld_error_t error);
/* The same in a thread of its own, in which the context runs until it is done. The lazy values are held. NULL: error says
 * why. The caller frees the future. */
WELD_API weld_future_t weld_lazy_evaluate_async(weld_context_t context, const weld_lazy_t *lazies,
                                                int64_t count, weld_error_t error);
WELD_API bool weld_future_poll(weld_future_t future); /* is it done; true on a bad handle */
/* Waits until it is done. True: values has them, which the caller frees; they are given once. values may be NULL: they stay
 * in the future. False: error says why. */
WELD_API bool weld_future_wait(weld_future_t future, weld_value_t *values, weld_error_t error);
/* Stops it, soon, with WELD_CANCELLED, if it is not done. Any thread may call it. */
WELD_API void weld_future_cancel(weld_future_t future);
/* Frees a future, and the values in it; one that is not done is stopped first, and waited for. */
WELD_API void weld_future_free(weld_future_t future);

/* ---- Adapters: libraries whose functions are known by name --------------------------------------------- */

/* A function of a library: a row of its adapter's table. docs/wrap-your-library.md writes one, `weldc bind` drafts it.
 *
 * code and native are functions, as texts of the language; a row has one of them, or both. code says what the function
 * means: it is what runs, and fuses with what is around it. native calls the library, by cfun and cfill (docs/language.md),
 * with symbols of the adapter or the library; annotations of the call say whether it is pure and threadsafe. It runs where
 * there is no code; beside code it is what tests hold the code against. Texts live as long as the process. */
typedef struct weld_function_t {
    const char *name;      /* "mean", of "gsl.mean"; NULL ends the table */
    const char *prototype; /* of the C function that it stands for, or "" */
    const char *code;      /* or NULL */
    const char *native;    /* or NULL */
    /* The derivative of the C function that native calls, for gradients: a function, as a text, of the arguments of that
     * call (of cfill without the size), its result and the result's adjoint. It gives the adjoints of those arguments that
     * hold floats, each of its argument's type and lengths: one alone, or a struct, with {} for one that is not known. May be the name
     * of a function of an adapter. NULL: there is none, or it follows from code. */
    const char *vjp;
    const char *doc; /* one line */
} weld_function_t;

enum { WELD_ADAPTER_VERSION = 1 };

/* What a function called by cfill may return. Other numbers are failures that say nothing more. */
enum {
    WELD_CALL_DONE = 0,
    WELD_CALL_SIZES = 1,       /* vectors and sizes do not fit together */
    WELD_CALL_DOMAIN = 2,      /* a value is outside of what the function is defined for */
    WELD_CALL_SINGULAR = 3,    /* a matrix is singular, or not positive definite */
    WELD_CALL_NOT_REACHED = 4, /* a method did not converge */
    WELD_CALL_NO_MEMORY = 5    /* reported as OutOfMemory */
};

/* How a C function called by cfill divides its work among the threads of the run that calls it: piece(state, i) for all i of
 * [0, pieces), in any order, some at once; returns when all are done, and how many threads there are for them. Pieces must not depend on each other, and must return.
 * On a thread that runs no such function, or whose run has no other threads, they run one after the other, here. A library
 * that exports `void weld_use_threads(weld_divide_t divide)` is told when it is loaded. */
typedef void (*weld_piece_t)(void *state, int64_t i);
typedef int64_t (*weld_divide_t)(int64_t pieces, weld_piece_t piece, void *state);

/* What a shared library libweld-NAME.so returns from `const weld_adapter_t *weld_adapter(void)`. */
typedef struct weld_adapter_t {
    uint64_t version; /* WELD_ADAPTER_VERSION */
    const char *name, *doc;
    const weld_function_t *functions;
} weld_adapter_t;

/* A function of an adapter, "gsl.mean", applied to lazy values: like weld_lazy_new with the text of its row. The shared
 * library libweld-gsl.so is looked for in the folders of the environment's WELD_ADAPTERS, separated by colons, then beside
 * libweld, and stays loaded. NULL: error says why. */
WELD_API weld_lazy_t weld_lazy_call(const char *function, const weld_lazy_t *arguments, int64_t count,
                                    weld_error_t error);
/* The table of an adapter, loaded if it was not. NULL: error says why. */
WELD_API const weld_adapter_t *weld_adapter_find(const char *name, weld_error_t error);

/* Fills an error with a number of the enum and a sentence, as the functions of an adapter do that are written in C. An error
 * that is NULL or a bad handle stays as it is; a number that is none counts as WELD_UNKNOWN, 0 is success. */
WELD_API void weld_error_set(weld_error_t error, uint64_t code, const char *text);

/* A module from the bytes that `weldc build` wrote, which may go afterwards; it needs no LLVM. NULL: error says why: they are
 * of another version, or for another processor. */
WELD_API weld_module_t weld_module_load(const void *data, int64_t size, weld_conf_t conf, weld_error_t error);

/* Where an error is: line and column (in characters) of the program's text, from 1; 0 if it has no place. */
WELD_API int64_t weld_error_line(weld_error_t error);
WELD_API int64_t weld_error_column(weld_error_t error);
/* The kind of an error: "OutOfBounds", "Type", ...; "Success" for code 0, "" while unused. Never NULL. */
WELD_API const char *weld_error_name(weld_error_t error);

#ifdef __cplusplus
}
#endif

#endif
