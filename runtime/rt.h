/* rt.h: the runtime's internals: contexts, values, modules, settings. weld.h is the public face.
 *
 * The weldc command uses this header where weld.h does not show enough (stages, timings, spans).
 */
#ifndef RT_H
#define RT_H

#include "../lang/lang.h"
#include "../weldc/weldc.h"
#include "weld.h"

/* ---- settings.c: settings.def ------------------------------------------------------------------------- */

/* Settings as kept in a weld_conf: any key; known keys are checked and converted when they are used. */
const char *conf_get(weld_conf_t conf, const char *key); /* what was set, or the default of settings.def, or NULL */
typedef struct Options { /* the known settings, converted; fields as in settings.def */
    int64_t memory_limit;
    int64_t threads;
    bool bounds_checks;
    int64_t llvm_level;
    int64_t level;         /* of our passes */
    const char *passes;    /* NULL: those of the level */
    const char *processor;
    bool verify;           /* the verifier after every pass */
    bool foreign;          /* may programs call C functions */
    const char *engine;    /* "auto", "jit" or "eval" */
    const char *dump_dir, *dump_name, *dump_formats;
    bool dump;
    const char *run_name;
} Options;
bool conf_options(weld_conf_t conf, Options *out, Error *error); /* false: a bad value, code Setting */

/* ---- memory.c ------------------------------------------------------------------------------------------ */

bool memory_budget(Budget *budget, int64_t limit); /* on a jemalloc arena; huge pages for large blocks */
void memory_budget_release(Budget *budget);
int64_t memory_default_limit(void); /* 80 % of what this process may use, cgroups respected */

/* ---- module.c, value.c ----------------------------------------------------------------------------------- */

typedef struct Timings {
    double parse_ms, infer_ms, optimize_ms, codegen_ms;
} Timings;

/* A compiled program; the handle behind weld_module_t. */
weld_module_t module_compile(const char *name, const char *text, size_t length, const Type *want,
                             weld_conf_t conf, Error *error, Timings *timings);
Program *module_program(weld_module_t module);     /* as read and typed, not optimized */
const char *module_tier(weld_module_t module);     /* "eval" or "jit" */
const Type *module_argument_type(weld_module_t m); /* the struct of its parameters */
const Type *module_result_type(weld_module_t m);

/* Runs it. args: the struct of arguments. cancel: becomes non-zero to stop it, or NULL. Error with span. */
weld_value_t module_run(weld_module_t module, weld_context_t context, const void *args, const volatile int32_t *cancel,
                        Error *error);
const Type *value_type(weld_value_t value); /* NULL for the user's own values */
int64_t context_peak(weld_context_t context);
bool library_load(const char *path, Error *error); /* for foreign calls; weld_load_library */

#endif
