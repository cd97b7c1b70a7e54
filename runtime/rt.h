/* rt.h: the runtime's internals: contexts, values, modules, settings. weld.h is the public face.
 *
 * The weldc command uses this header where weld.h does not show enough (stages, timings, spans).
 */
#ifndef RT_H
#define RT_H

#include <pthread.h>

#include "../lang/lang.h"
#include "../weldc/weldc.h"
#define WELD_NO_SHORT_NAMES /* `Error` is a struct here */
#include "weld.h"

/* ---- handles ---------------------------------------------------------------------------------------- */

/* Every public handle begins with a word that tells what it is, so that a wrong handle is seen before it is
 * used. It is cleared when the handle is freed. */
typedef enum HandleKind {
    HANDLE_NONE,
    HANDLE_CONF = 0x57436f6e,
    HANDLE_CONTEXT,
    HANDLE_ERROR,
    HANDLE_MODULE,
    HANDLE_VALUE,
    HANDLE_RUN,
    HANDLE_LAZY,
    HANDLE_FUTURE
} HandleKind;
typedef struct Handle {
    uint64_t kind;
} Handle;
/* The handle itself if it is of this kind, else NULL. */
static inline void *handle_as(void *handle, HandleKind kind) {
    return handle && (uintptr_t)handle % 8 == 0 && ((Handle *)handle)->kind == kind ? handle : NULL;
}

/* ---- object.c: what is shared by counting references ------------------------------------------------- */

/* How values and lazy values begin. */
typedef struct Object Object;
struct Object {
    Handle handle;
    _Atomic int refs;
    Object *dead; /* the next one to be destroyed */
};
void object_init(Object *object, HandleKind kind); /* with one reference */
void *object_hold(void *object);
void object_drop(void *object); /* takes NULL */
/* Drops a reference while another object is destroyed: what dies of it is put on a list. Takes NULL. */
void object_bury(void *object, Object **dead);

/* ---- settings.c: settings.def ----------------------------------------------------------------------- */

typedef struct Setting {
    const char *key, *kind, *fallback, *accepts, *doc; /* fallback: the default, or NULL */
} Setting;
extern const Setting settings[];
extern const int setting_count;

typedef bool OptionBOOL;
typedef int64_t OptionINT, OptionBYTES;
typedef const char *OptionCHOICE, *OptionTEXT, *OptionWORDS;
/* The known settings, converted. Texts belong to the conf or the table. memory_limit: 0 none. passes and
 * dump_name: NULL when not set. */
typedef struct Options {
#define SETTING(id, key, kind, fallback, accepts, doc) Option##kind id;
#include "settings.def"
} Options;

weld_conf_t conf_copy(weld_conf_t conf); /* takes NULL; NULL: no memory */
/* What was set, or the default of settings.def, or NULL. Takes a NULL conf. */
const char *conf_get(weld_conf_t conf, const char *key);
bool conf_options(weld_conf_t conf, Options *out, Error *error); /* false: a bad value, code Setting */
/* Copies all texts of the options into one block, which the caller frees, and makes them those. NULL: no memory. */
char *options_own(Options *options);
PassOptions options_passes(const Options *options); /* its texts stay the options' */
/* Appends what was set, in the order of settings.def; code: only what may change the code. */
void conf_print(weld_conf_t conf, bool code, Buf *out);

/* ---- log.c ------------------------------------------------------------------------------------------ */

/* Writes a line on standard error if the level of weld_set_log_level, at first WELD_LOG_OFF, reaches `level`.
 */
void rt_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- memory.c --------------------------------------------------------------------------------------- */

/* On a jemalloc arena; huge pages for large blocks. limit: -1: the default, which is asked for when it matters. */
bool memory_budget(Budget *budget, int64_t limit);
void memory_budget_release(Budget *budget); /* all blocks were given back */
int64_t memory_default_limit(void);         /* 80 % of what this process may use, cgroups respected */

/* ---- pages.c: large blocks --------------------------------------------------------------------------- */

enum { PAGES_LEAST = 128 << 10 }; /* bytes of the least one */
typedef struct Pages Pages;
Pages *pages_new(Budget *budget); /* keeps free blocks, up to a quarter of its limit; NULL: no memory */
void pages_free(Pages *pages);    /* with what it keeps; takes NULL */
void *pages_take(Pages *pages, size_t bytes); /* page-aligned */
void pages_give(Pages *pages, void *block, size_t bytes);
/* The block with another size, maybe at another place. NULL: it is as it was. */
void *pages_resize(Pages *pages, void *block, size_t bytes, size_t wanted);

/* ---- pinned.c: memory that an RDMA device knows; opened by the engine of a cluster (cluster.h) ---------- */

enum { PINNED_LEAST = 32 << 10 }; /* bytes of a block that is taken there */
void *pinned_take(size_t bytes);  /* page-aligned, of any content; NULL: there is none */
void pinned_give(void *block, size_t bytes);
bool pinned_extend(void *block, size_t bytes, size_t wanted); /* where it is; false: it is as it was */
bool pinned_owns(const void *block);
bool pinned_in_use(void); /* is there any memory that a device knows? */

/* ---- file.c: bytes of files --------------------------------------------------------------------------- */

/* Two lanes of hash_mix over the same words, from different starts, the second over rotated ones. */
typedef struct Hash {
    uint64_t low, high;
} Hash;
extern const Hash hash_start;
Hash hash_two(Hash hash, const char *bytes, size_t length);
/* All bytes, or false: errno says why, unless the file ended. */
bool file_read(int file, char *bytes, size_t size);
bool file_write(int file, const char *bytes, size_t size);
/* A name for a file beside this one, which shall replace it; those that dead writers left are removed. The caller frees it. NULL: no memory. */
char *file_fresh(const char *path);
/* The file of this path is these parts, or false: it is as it was, errno says why. */
bool file_replace(const char *path, const char *const *parts, const size_t *sizes, int count);

/* ---- foreign.c: C functions ------------------------------------------------------------------------- */

bool library_load(const char *path, Error *error); /* for foreign calls; weld_load_library */
/* The C function of this name in the loaded libraries (latest first) or the process, or NULL. */
void *foreign_symbol(const char *name);
/* symtab.c: a function of the executable by the symbol table of its file, or NULL. */
void *executable_symbol(const char *name);
struct _ffi_type *ffi_scalar(TypeKind kind); /* libffi's type of a scalar */
extern const Host foreign_host;              /* calls functions through libffi */
extern const Host no_foreign;                /* knows none */

/* ---- rtcalls.c: what compiled code calls ------------------------------------------------------------ */

void *rtcall_symbol(const char *name); /* a function of weldc/rtcalls.def, or NULL */

/* ---- team.c: the threads of a context ------------------------------------------------------------------ */

typedef struct Team Team;
Team *team_new(int threads, int64_t grain); /* the caller and so many others less one; NULL: no memory */
void team_free(Team *team);                 /* takes NULL */
int team_threads(const Team *team);         /* NULL: 1 */
int64_t team_grain(const Team *team);       /* the setting weld.grain */
/* Offers a task to the helpers until team_end, which waits for those that took it. member: from 1 on, each
 * once. Only by the thread that runs the program, one task at a time. */
void team_begin(Team *team, void (*task)(void *data, int member), void *data);
void team_end(Team *team);
/* The same with the caller as member 0; takes NULL. */
void team_run(Team *team, void (*task)(void *data, int member), void *data);

/* ---- divide.c: C functions that divide their work among a run's threads -------------------------------- */

void divide_enter(Worker *worker); /* this thread calls a C function for the worker; NULL: no more */
void divide_offer(void *library);  /* tells a library that was loaded, if it asks, how to divide work */

/* ---- parallel.c, parallel_sort.c, top.c: loops and sorts on a team ----------------------------------------------
 */

/* status body(state, worker, begin, end); see weldc/codegen/cg.h. */
typedef ErrorCode (*LoopBody)(void *state, Worker *worker, int64_t begin, int64_t end);

/* A loop as compiled code hands it over. */
typedef struct Loop {
    LoopBody body;
    void *state;          /* its first words: pointers to the builders' states */
    int64_t count, size;  /* iterations; of the state */
    const Type *builder;  /* NULL: iterations must come one after the other */
    const int64_t *exact; /* as in LoopShape */
    int64_t least;        /* likewise */
    Span span;
} Loop;
ErrorCode loop_run(Worker *worker, const Loop *loop);
/* gather.c: a dictmerger's partitions become a dictionary again. form: what it will be used for.
 * entry: {K, V}. */
bool gather(Worker *worker, Dict *dict, const Type *entry, DictForm form, Span span);
/* from[0] becomes the dictionary of all, as if their merges came one after the other; at least one has partitions. */
bool gather_all(Worker *worker, Dict **from, int64_t count, const Type *entry, Op op, Span span);
/* As sort_stable. */
ErrorCode sort_run(Worker *worker, void *data, void *scratch, int64_t count, int64_t size,
                   SortCompare compare, void *closure);
/* As sort_by_key. */
ErrorCode sort_run_by_key(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                          const SortKey *key, Span span);
/* What slice(sorted, start, count) would be; start and count are not negative. */
ErrorCode sort_top_by_key(Worker *worker, const void *data, int64_t length, int64_t size, const SortKey *key,
                          int64_t start, int64_t count, Vec *out, Span span);
/* The same of {x, i} for each scalar x, by x, where i is its number; nan_last: NaNs come behind all others. */
ErrorCode sort_top_numbered(Worker *worker, const void *data, int64_t length, const SortKey *key,
                            bool nan_last, int64_t start, int64_t count, Vec *out, Span span);
/* The same as the first with a function. False: nothing was done, sorting all is as good. */
bool sort_top(Worker *worker, const void *data, int64_t length, int64_t size, SortCompare compare,
              void *closure, int64_t start, int64_t count, Vec *out, Span span, ErrorCode *code);

/* ---- parallel_append.c: appenders of units, put together while the loop runs ------------------------- */

enum { OUTLET_STREAMS = 64 };
typedef struct Outlet Outlet;
/* For at most so many appenders; NULL: no memory. On the outer worker's region, which only the outlet uses
 * while the loop runs. */
Outlet *outlet_new(Worker *outer, Span span, int64_t units, int members, int streams);
void outlet_free(Outlet *outlet); /* takes NULL */
/* An appender of the loop, the size of its elements, and where a unit's record has its own. */
void outlet_add(Outlet *outlet, Appender *into, int64_t size, int64_t at);
/* Waits until few units have no place, and sets the record's appenders. False: another unit has failed. */
bool outlet_start(Outlet *outlet, int64_t unit, int member, void *record);
void outlet_fail(Outlet *outlet);              /* a unit has failed: nobody waits for its place */
bool outlet_end(Outlet *outlet, int64_t unit); /* what it appended may be moved now; false: no memory */
/* All units have ended, and the members' regions were adopted: the loop's appenders get their lengths. */
void outlet_finish(Outlet *outlet, int members);

/* Makes room in a loop's appenders for as much as they will take if they go on as in the first `done`
 * iterations; with 0 for that it notes their lengths before. Returns the builder's next leaf. */
int appenders_foresee(Worker *worker, const Loop *loop, const Type *builder, int leaf, int64_t *lengths,
                      int64_t done);

/* ---- jitload.c -------------------------------------------------------------------------------------- */

/* The code generator in libweldjit, loaded when first asked for; NULL: error set, code Library. */
const Jit *jit_load(Error *error);
/* The folder of the file that the runtime lies in, libweld or a program, without the last slash. False: not known. */
bool own_folder(char *folder, size_t size);

/* ---- report.c: error handles ------------------------------------------------------------------------ */

/* Fills an error handle (NULL or a bad handle: nothing) with an error rendered against the program that it is
 * in, or NULL; code E_None: success. */
void report(weld_error_t handle, const Error *error, const Program *program);
void report_copy(weld_error_t to, weld_error_t from);
/* The same for a fault without a place. */
void report_fault(weld_error_t handle, ErrorCode code, const char *text);

/* ---- signature.c: types that outlive their program -------------------------------------------------- */

/* A program's types, shared by its module and all results. signature_new gives NULL if there is no memory. */
typedef struct Signature Signature;
struct Signature {
    _Atomic int refs;
    Signature *whole; /* of a part: whose types these are */
    Arena arena;
    TypeTable types;
    Type *argument; /* the struct of the parameters */
    Type *result;
    const char **names, **texts; /* of the parameters: name, type */
    const char *result_text;
};
Signature *signature_new(const Program *program, const Type *argument, const Type *result);
/* That of a field of its result. */
Signature *signature_part(Signature *whole, int field);
Signature *signature_hold(Signature *signature);
void signature_drop(Signature *signature); /* takes NULL */

/* ---- context.c -------------------------------------------------------------------------------------- */

/* The memory of runs and their results. Its state is also the cancel flag of the run that is going on. */
typedef struct Context {
    Handle handle;
    _Atomic int refs;
    _Atomic int32_t state; /* CONTEXT_IDLE, ... */
    int64_t runs;          /* started so far */
    Budget budget;
    Team *team;       /* NULL: one thread */
    int64_t grain;    /* the setting weld.grain */
    weld_conf_t conf; /* a copy of what it was made with: for lazy values */
    char *timings;    /* of the last run that measured them, or NULL */
} Context;
enum { CONTEXT_IDLE = -1, CONTEXT_RUNNING = 0, CONTEXT_CANCELLED = 1 };

Context *context_new(weld_conf_t conf, Error *error); /* NULL: error set */
Context *context_hold(Context *context);
void context_drop(Context *context);                /* takes NULL */
bool context_begin(Context *context, Error *error); /* a run; false: one is going on, error set */
void context_end(Context *context);
int64_t context_peak(weld_context_t context);
int64_t context_allocations(weld_context_t context); /* how many blocks it has had; -1: bad handle */

/* ---- timings.c: how long fragments took --------------------------------------------------------------- */

typedef struct Lap {
    FragmentKind kind;
    Span span;
    int64_t runs, ns;
} Lap;
typedef struct Stopwatch {
    Lap *laps; /* by a fragment's number */
    int count;
    int64_t begin_ns, last_ns;
} Stopwatch;

void stopwatch_begin(Stopwatch *watch);
void stopwatch_pass(Stopwatch *watch, int number, FragmentKind kind, Span span);
/* Releases it. A line for each fragment, or NULL: no memory. program: of the fragments' spans, or NULL. */
char *stopwatch_end(Stopwatch *watch, const Program *program);

/* ---- value.c ---------------------------------------------------------------------------------------- */

typedef struct Value Value;
struct Value {
    Object object;
    Context *context;     /* NULL: the user's own, and then the next four are, too */
    Signature *signature; /* its result is the value's type */
    Region *region;       /* what `data` points to; NULL: nothing */
    void **held;          /* objects whose data this value may point into, kept alive by it */
    int64_t held_count;
    void *data;         /* of a result: a block of the context's budget; of a part: inside the whole's */
    bool is_part;       /* of a struct that is a result, which it holds */
    bool in_blocks;     /* of its vectors each rank has its block: weld.cluster.result=blocks */
    int64_t bytes, run; /* that it holds, for a result; -1 */
};

/* A result that is still to be computed: `data` has room for it, `region` is empty. held: values and lazy values that it
 * may come to point into. NULL: no memory. */
Value *value_new_result(Context *context, Signature *signature, void *const *held, int64_t count);
/* Frees what the result does not reach, and lets go of what it does not point into. */
void value_finish(Value *value);
/* reach.c: lets go of what is held and not pointed into. */
void value_release_unused(Value *value);
/* A field of a result that is a struct, as a value of its own. NULL: no memory. */
Value *value_part(Value *whole, int field);
void value_destroy(Value *value, Object **dead);
const Type *value_type(weld_value_t value); /* NULL for the user's own values */
/* Copies what of the value lies in a module's constants, as owns(module, pointer) tells, into the worker's
 * region. False: failed, the worker has the error. */
bool value_detach(Worker *worker, const Type *type, void *value,
                  bool (*owns)(const void *module, const void *pointer), const void *module);

/* ---- store.c: values in files ------------------------------------------------------------------------- */

/* A file of a value that was opened: its type, in a program of its own. Zeroed: none. */
typedef struct Stored {
    Program *program;
    Type *type;
    char *file; /* its bytes */
    Vec bytes;  /* those of the value */
} Stored;
bool store_write(const char *path, const Type *type, const void *value, Error *error);
bool store_is(const char *path); /* does a file begin like one of these */
/* Reads and checks the file. False: error set. The caller closes it in any case. */
bool store_open(Stored *stored, const char *path, Error *error);
/* The value, of stored->type, in the worker's region. False: error set. */
bool store_value(const Stored *stored, Worker *worker, void *out, Error *error);
void store_close(Stored *stored);

/* ---- callback.c: C functions of the caller's ----------------------------------------------------------- */

/* A C function that programs can call: the machine code that libffi makes of a callback. */
typedef struct Callback Callback;
typedef void (*CallbackFunction)(void *user, void *const *arguments, void *result);
Callback *callback_new(CallbackFunction function, void *user,
                       const Type *type); /* type: a function's. NULL: no memory */
int64_t callback_address(const Callback *callback);
void callback_free(Callback *callback); /* takes NULL */

/* ---- adapter.c -------------------------------------------------------------------------------------- */

extern const Imports adapter_imports; /* functions of adapters, for programs that name them */
Program *program_open(const char *name, const char *text, size_t length); /* program_new with these imports */
/* Calls visit for every adapter that is installed, in the order of their names; adapter NULL: it cannot be loaded, why
 * says why. */
void adapters_each(void (*visit)(void *data, const weld_adapter_t *adapter, const char *name,
                                 const char *why),
                   void *data);

/* ---- arguments.c -------------------------------------------------------------------------------------- */

/* Is this a struct of arguments for these parameters, as far as can be seen? False: error set. */
bool value_is_malformed(const Type *type, const void *value); /* a vector that cannot be */
bool arguments_check(const Signature *signature, const void *args, Error *error);
/* The arguments with every bool 0 or 1: themselves, or a copy in the worker's region; NULL: no memory. */
const void *arguments_normal(Worker *worker, const Signature *signature, const void *args);

/* ---- dump.c ----------------------------------------------------------------------------------------- */

/* Files of the stages of one compilation, as weld.compile.dumpCode... ask for them. */
typedef struct Dump {
    const char *formats; /* NULL: no dump */
    char path[4096];     /* folder and name, without ending */
} Dump;
bool dump_begin(Dump *dump, const Options *options, Error *error);
bool dump_wants(const Dump *dump, const char *format);
/* Writes text to a new file if its format is wanted. False: error set. */
bool dump_text(const Dump *dump, const char *format, const Buf *text, Error *error);
bool dump_program(const Dump *dump, const char *format, const Program *program, Error *error);

typedef struct Recipe Recipe; /* lazy/lazy.h */

/* ---- unit.c: what a program's text becomes ------------------------------------------------------------- */

typedef struct Timings {
    double parse_ms, infer_ms, optimize_ms, codegen_ms;
} Timings;
double rt_clock_ms(void);

/* What a checkpoint must agree in with the program that goes on from it. */
typedef struct CheckpointKey {
    Hash program, settings;
} CheckpointKey;

typedef struct Unit Unit;
struct Unit {
    _Atomic int refs;
    /* Fixed once it was made: */
    Options options;
    char *texts; /* of options */
    Signature *signature;
    Recipe *recipe; /* what the program was merged by, or NULL: it has a text */
    struct {
        const char *name;
        void *address;
    } *foreign; /* the C functions that it calls, by name */
    int foreign_count;
    bool math;      /* operators that SLEEF has functions for */
    bool constants; /* may results point into the program or the code */
    bool dumps;     /* it wrote files: to be done anew each time */
    Buf disk_key;   /* "": not on disk */
    bool saving;    /* its gradients keep little */
    CheckpointKey checkpoint;
    Recompute *again; /* what it computes twice */
    int nagain;
    Unit *saver;      /* the same program as such a unit; or NULL: there is no budget, or no gradient */
    weld_conf_t conf; /* its configuration, if there is a budget; or NULL */
    /* Under the lock: */
    pthread_mutex_t lock;
    Program *program; /* as read; once `consumed`, optimized: errors are rendered against its text */
    Program *
        rewritten; /* what the interpreter runs on a cluster, or where vectors are computed twice; NULL: not yet asked for */
    Program *typed; /* the program once more, not optimized; NULL: not yet asked for */
    bool consumed, shown;
    int interpreting; /* runs */
    double spent_ns;  /* by runs so far, in the interpreter's time */
    Code *light;      /* the first code, where it was made quickly; runs may still be in it */
    bool probed;      /* code was looked for on disk */
    bool hopeless;    /* there will be no code */
    Program *planned; /* the optimized program once more, and its plan (promise.c); NULL: not yet asked for */
    Plan *plan;
    Unit *variants; /* the same program, computing this or that twice (promise.c): a list by `other` */
    Unit *other;
    int64_t unfit,
        unfit_least; /* the last price that nothing computed twice made fit the budget; what it could be */
    bool from_disk;
    const Jit *jit;
    _Atomic(Code *) code;  /* once set, it stays, but for: */
    _Atomic bool is_light; /* better code may take its place */
    /* Of the cache in memory, under its lock: */
    Unit *next;
    uint64_t hash;
    Buf key;
};
/* Where a program comes from. */
typedef struct Origin {
    const char *name, *text; /* of a recipe the text is its bytes, for the caches */
    size_t length;
    const Type *want;       /* the type that the program shall have, or NULL */
    Recipe *recipe;         /* or NULL: from the text */
    bool saving;            /* its gradients keep little */
    const Recompute *again; /* what it computes twice (plan_again.c); nagain: how often */
    int nagain;
    const char *image; /* its code, made ahead of time; or NULL */
    size_t image_size;
} Origin;
/* What code of a unit with this configuration runs on: a processor's name, or for "native" all that tells this
 * machine's from others. */
void machine_print(Buf *out);
/* A unit of this program, with one reference. NULL: error set and, like success, reported to the handle. */
Unit *unit_new(const Origin *origin, weld_conf_t conf, Error *error, Timings *timings, weld_error_t handle);
bool unit_is_current(const Unit *unit); /* do its C functions still lie where they did */
Unit *unit_hold(Unit *unit);
void unit_drop(Unit *unit);                            /* takes NULL */
bool unit_image(Unit *unit, Buf *image, Error *error); /* appends the image of its code. False: error set */
/* Code, if there shall be some for so many runs with these arguments. NULL: the interpreter. timings: or
 * NULL. */
const Code *unit_code(Unit *unit, const void *args, int64_t runs, Timings *timings);
/* The typed program for a run by the interpreter, which is told how long it took. NULL: no memory. */
const Program *unit_interpret_begin(Unit *unit);
void unit_interpret_end(Unit *unit, double ns);
/* A run of light code is done. */
void unit_light_end(Unit *unit, double ns);
Program *unit_typed(Unit *unit);           /* the typed program, to look at; NULL: no memory */
Program *unit_optimized(const Unit *unit); /* a new one, as code is made of; NULL: no memory */
/* The same program, computing this twice. NULL: error set. */
Unit *unit_recomputing(const Unit *unit, const PlanAgain *again, Error *error);
/* Do its runs write checkpoints, or go on from them? */
static inline bool unit_keeps(const Unit *unit) {
    return unit->options.checkpoint_file[0] != 0;
}
static inline bool unit_has_code(const Unit *unit) {
    return unit->code != NULL;
}
static inline bool unit_is_light(const Unit *unit) {
    return unit->is_light;
}

/* ---- tier.c ------------------------------------------------------------------------------------------- */

typedef enum Tier { TIER_EVAL, TIER_LIGHT, TIER_FULL } Tier;
enum { LIGHT_GAIN = 20, FULL_GAIN = 200 }; /* how much faster than the interpreter code is, about */

typedef struct Work {
    double ns;    /* of the interpreter */
    int64_t size; /* nodes of the program */
} Work;
Work tier_estimate(const Program *program, const Type *argument, const void *args); /* of one run */
/* What shall there be for so much work, where there is that already? */
Tier tier_choose(Tier has, Work work);

/* ---- cache.c: units in memory; disk.c: images in files ------------------------------------------------ */

/* As unit_new; *hit: it is one that was made before. */
Unit *unit_find(const Origin *origin, weld_conf_t conf, Error *error, Timings *timings, weld_error_t handle,
                bool *hit);
/* All that the code of a program depends on. math: it depends on SLEEF, too. */
void disk_key(Buf *key, weld_conf_t conf, const char *text, size_t length, const Type *want, bool math);
bool disk_find(const Buf *key, Buf *image); /* false: there is none, and image is empty */
void disk_store(const Buf *key, const Buf *image, int64_t limit);
extern const char build_id[]; /* a hash of the sources, made by the build */

/* ---- cluster.c: runs on the ranks of a cluster ------------------------------------------------------------ */

struct Engine; /* cluster.h */
/* The engine of weld.cluster=mpi, by the transport that the first call asks for; NULL: error set. */
const struct Engine *cluster_open(const Options *options, Error *error);
bool cluster_launched(void); /* is this process one of several that a launcher of MPI started */
typedef struct ClusterRun {
    const struct Engine *engine; /* NULL: it runs alone */
    Exchanger exchanger;
} ClusterRun;
/* Around a run: gives the worker its exchanger, if options ask for a cluster. False: error set. */
bool cluster_begin(ClusterRun *run, const Options *options, Worker *worker, Error *error);
int cluster_ranks(const ClusterRun *run); /* 0: it runs alone */
/* How the run ended, of which code says how it ended here. Sets the worker's error. */
ErrorCode cluster_end(ClusterRun *run, Worker *worker, ErrorCode code);

/* ---- checkpoint.c: states of iterates in files -------------------------------------------------------------- */

typedef struct Checkpoint Checkpoint;
/* Sets unit->checkpoint, of the program as it was typed. False: no memory. */
bool checkpoint_print(Unit *unit, weld_conf_t conf);
/* Around a run of a unit, of all ranks together: gives the worker its keeper, if the unit keeps states. Reads the file
 * where the run shall go on from one. Sets the worker's error. */
ErrorCode checkpoint_begin(Checkpoint **checkpoint, const Unit *unit, const ClusterRun *cluster,
                           Worker *worker);
void checkpoint_end(Checkpoint *checkpoint); /* takes NULL */

/* ---- run.c ------------------------------------------------------------------------------------------- */

typedef struct Execution {
    const void *args;  /* the struct of arguments */
    void *const *held; /* values and lazy values that they lie in */
    int64_t held_count;
    const volatile int32_t *cancel; /* becomes non-zero to stop it; NULL: weld_context_cancel stops it */
    const volatile int32_t *never;  /* or NULL; non-zero when the run begins: it is cancelled at once */
} Execution;
Value *unit_execute(Unit *unit, Context *context, const Execution *run, Error *error); /* NULL: error set */

/* ---- promise.c: what a run takes at most ---- */
typedef struct Promise {
    Unit *unit;   /* that runs: the one that was asked for, its saver, or a variant of one of them */
    int64_t room; /* for what its gradients keep */
    PlanPrice price;
} Promise;
/* For these arguments. False: error set: a budget that cannot be met, or no memory. context: or NULL, for one thread. ranks: 0, it runs
 * alone; else all of them do this together, in a run that the worker is of. */
bool promise_make(Unit *unit, const Context *context, Worker *worker, int ranks, const void *args,
                  Promise *promise, Error *error);

/* ---- ahead.c: programs compiled ahead of time --------------------------------------------------------- */

/* Appends the bytes of a compiled program; *signature gets its types, with a reference. False: error set. */
bool ahead_write(Buf *out, const char *name, const char *text, size_t length, weld_conf_t conf,
                 Signature **signature, Error *error);
/* The unit of such bytes. NULL: error set and reported to the handle. */
Unit *ahead_load(const void *data, size_t size, weld_conf_t conf, Error *error, weld_error_t handle);

/* ---- module.c --------------------------------------------------------------------------------------- */

/* A compiled program; the handle behind weld_module_t. want: the type that the program shall have, or NULL.
 */
weld_module_t module_compile(const char *name, const char *text, size_t length, const Type *want,
                             weld_conf_t conf, Error *error, Timings *timings);
Program *module_program(weld_module_t module); /* as read and typed, not optimized; NULL: no memory */
/* Of a program for a cluster all ranks do this together. */
bool module_price(weld_module_t module, weld_context_t context, const void *args, PlanPrice *price);
Program *module_optimized(weld_module_t module);   /* a new one, as code is made of; NULL: no memory */
const char *module_tier(weld_module_t module);     /* "eval", "jit" or "cached" */
const Type *module_argument_type(weld_module_t m); /* the struct of its parameters */
const Type *module_result_type(weld_module_t m);

/* Makes code now if it pays for so many runs with these arguments, and adds its times. */
bool module_prepare(weld_module_t module, const void *args, int64_t runs, Timings *timings);
/* Runs it. args: the struct of arguments. cancel: becomes non-zero to stop it, or NULL. Error with span. */
weld_value_t module_run(weld_module_t module, weld_context_t context, const void *args,
                        const volatile int32_t *cancel, Error *error);

#endif
