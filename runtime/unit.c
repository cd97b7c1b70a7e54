/* unit.c: what a program's text becomes, shared by every module of that text: the typed program, and code.
 *
 *     text -> read -> infer -> verify -> typed program -> the interpreter runs it                 tier eval
 *                                              |
 *                                              +-> optimize -> Jit.emit -> image -> Code          tier jit
 *                                                                            ^
 *                                                   disk.c, from an earlier process -> Code       tier cached
 *
 * With weld.engine jit code is made at once. With auto it is made when it pays: before a run, tier.c
 * estimates how long the interpreter would take, to which is added how long it took so far. Below TINY it
 * just runs; from there on it is worth to look for code on disk, and tier.c says which code is worth to be made.
 * Light code, which is made quickly, may be replaced by full code later, and stays for the runs that are in it.
 * Where the code generator is not installed, or fails by a fault of its own, the interpreter goes on and the log
 * says so.
 *
 * The optimizer consumes a typed program. That happens in place where no run is interpreting the program and
 * nobody was shown it; else the text is read once more. `lock` guards all that changes after unit_new.
 */
#include "lazy/lazy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TINY_NS = 100 * 1000 };

static const Span nowhere = {0, 0, 0};

double rt_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- reading ---- */

/* Moves a phase's error out of its program. Returns false, always. */
static bool phase_failed(Program *program, Error *error) {
    if (program->error.code)
        return error_set(error, program->error.code, program->error.span, "%s", program->error.text);
    return error_set(error, E_Internal, nowhere, "a phase failed without saying why");
}

static bool no_memory(Error *error) {
    return error_set(error, E_OutOfMemory, nowhere, "no memory to compile the program");
}

/* Reads and types a text, or merges a recipe's. NULL or a program whose error is set: failed; the caller frees the
 * program. */
static bool read_program(Program **program, const Origin *origin, const Unit *unit, Error *error,
                         Timings *timings) {
    double start = rt_clock_ms();
    *program = origin->recipe ? recipe_program(origin->recipe, unit->saving, error)
                              : program_open(origin->name, origin->text, origin->length);
    if (!*program) return error->code ? false : no_memory(error);
    (*program)->saving = unit->saving;
    bool ok = origin->recipe || program_read(*program);
    double parsed = rt_clock_ms();
    ok = ok && (origin->recipe || program_infer(*program, origin->want)) && program_verify(*program);
    if (ok && unit_keeps(unit)) program_number_iterates(*program);
    timings->parse_ms = parsed - start;
    timings->infer_ms = rt_clock_ms() - parsed;
    return ok || phase_failed(*program, error);
}

/* Where a unit's program came from. False: no memory. */
static bool origin_of(const Unit *unit, Origin *origin) {
    const Source *source = &unit->program->source[0];
    *origin = (Origin){.name = source->name,
                       .text = source->text,
                       .length = source->length,
                       .recipe = unit->recipe,
                       .saving = unit->saving};
    const Signature *signature = unit->signature;
    int count = signature->argument->count;
    TypeTable *types = &unit->signature->types;
    Type **parts = calloc((size_t)count + 1, sizeof *parts);
    if (!parts) return false;
    for (int i = 0; i < count; i++) parts[i] = signature->argument->args[i];
    parts[count] = signature->result;
    origin->want = type_make(types, TY_function, OP_none, count + 1, parts);
    free(parts);
    return true;
}

/* Reads the unit's program again, as it was before the optimizer. */
static Program *read_again(const Unit *unit) {
    Origin origin;
    Error error = {.code = E_None};
    Timings timings;
    Program *program = NULL;
    if (origin_of(unit, &origin) && read_program(&program, &origin, unit, &error, &timings)) return program;
    program_free(program);
    return NULL;
}

/* What a walk over the typed program finds out. */
typedef struct Survey {
    Unit *unit;
    Error *error;
} Survey;

/* Remembers where a C function lies. */
static void note_function(Survey *survey, const Node *node) {
    Unit *unit = survey->unit;
    for (int i = 0; i < unit->foreign_count; i++) {
        if (strcmp(unit->foreign[i].name, node->text) == 0) return;
    }
    void *address = foreign_symbol(node->text);
    if (!address) {
        error_set(survey->error, E_Library, node->span,
                  "there is no C function %s in the process or in a loaded library", node->text);
        return;
    }
    void *grown = realloc(unit->foreign, ((size_t)unit->foreign_count + 1) * sizeof *unit->foreign);
    if (!grown) {
        no_memory(survey->error);
        return;
    }
    unit->foreign = grown;
    unit->foreign[unit->foreign_count].name = node->text;
    unit->foreign[unit->foreign_count++].address = address;
}

bool unit_is_current(const Unit *unit) {
    for (int i = 0; i < unit->foreign_count; i++) {
        if (foreign_symbol(unit->foreign[i].name) != unit->foreign[i].address) return false;
    }
    return true;
}

static bool survey_node(Walk *walk, Node **slot) {
    Survey *survey = walk->data;
    const Node *node = *slot;
    if (node->kind == N_String || node->kind == N_Vec) survey->unit->constants = true;
    bool operates = node->kind == N_Unary || node->kind == N_Binary;
    survey->unit->math |= operates && op_classes[node->op].class == 'f';
    if (!node_is_foreign(node)) return true;
    if (!survey->unit->options.foreign) {
        error_set(survey->error, E_Library, node->span,
                  "calls of C functions are switched off (weld.foreign)");
    } else if (!node_is_callback(node)) {
        note_function(survey, node);
    }
    return true;
}

static bool survey_program(Unit *unit, Error *error) {
    Survey survey = {unit, error};
    Walk walk = {.program = unit->program, .enter = survey_node, .data = &survey};
    node_walk(&walk, &unit->program->root);
    return error->code == E_None;
}

/* ---- code ---- */

static void *code_symbol(void *data, const char *name) {
    const Unit *unit = data;
    if (strncmp(name, "rt_", 3) == 0) {
        void *call = rtcall_symbol(name);
        if (call) return call;
    }
    return unit->options.foreign ? foreign_symbol(name) : NULL;
}

static CodeOptions code_options(Unit *unit) {
    const Options *options = &unit->options;
    return (CodeOptions){.level = (int)options->llvm_level,
                         .threads = (int)options->compile_threads,
                         .processor = options->processor,
                         .timed = options->timings,
                         .symbol = code_symbol,
                         .data = unit};
}

static bool dump_stages(Unit *unit, Program *program, const Dump *dump, Error *error) {
    static const struct {
        const char *format;
        CodeStage stage;
    } stages[] = {{"llvm", CODE_LLVM}, {"llvmopt", CODE_LLVM}, {"assembly", CODE_ASM}};
    CodeOptions options = code_options(unit);
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof stages / sizeof *stages; i++) {
        if (!dump_wants(dump, stages[i].format)) continue;
        Buf text = {0};
        ok = unit->jit->text(program, &options, stages[i].stage, &text, error) &&
             dump_text(dump, stages[i].format, &text, error);
        buf_release(&text);
    }
    return ok;
}

static bool on_disk(const Unit *unit) {
    return unit->disk_key.length && strcmp(unit->options.cache, "disk") == 0;
}

static void light_key(const Unit *unit, Buf *key) {
    static const char suffix[] = "\0light";
    buf_put(key, unit->disk_key.text, unit->disk_key.length);
    buf_put(key, suffix, sizeof suffix);
}

/* The key of light code is longer. */
static bool find_on_disk(const Unit *unit, Tier tier, Buf *image) {
    if (tier == TIER_FULL) return disk_find(&unit->disk_key, image);
    Buf key = {0};
    light_key(unit, &key);
    bool found = !key.failed && disk_find(&key, image);
    buf_release(&key);
    return found;
}

static void store_on_disk(const Unit *unit, Tier tier, const Buf *image) {
    Buf key = {0};
    if (!on_disk(unit)) return;
    if (tier == TIER_LIGHT) light_key(unit, &key);
    if (!key.failed) disk_store(tier == TIER_LIGHT ? &key : &unit->disk_key, image, unit->options.cache_size);
    buf_release(&key);
}

/* The lock is held, or nobody else has the unit yet. */
static void set_code(Unit *unit, Code *code, Tier tier) {
    if (!code) return;
    if (atomic_load(&unit->is_light)) unit->light = atomic_load(&unit->code);
    if (tier == TIER_LIGHT) atomic_store(&unit->is_light, true);
    atomic_store(&unit->code, code);
    if (tier == TIER_FULL) atomic_store(&unit->is_light, false);
}

/* Loads code that an earlier process made. False: there is none. */
static bool load_from_disk(Unit *unit, Tier tier) {
    Buf image = {0};
    if (!on_disk(unit) || !find_on_disk(unit, tier, &image)) return false;
    CodeOptions options = code_options(unit);
    Error error = {.code = E_None};
    if (!object_known_machine()) unit->jit = jit_load(&error);
    Code *code = code_load(image.text, image.length, &options, unit->jit, &error);
    if (!code) rt_log(WELD_LOG_WARN, "code from the cache: %s", error.text);
    buf_release(&image);
    unit->from_disk = code != NULL;
    set_code(unit, code, tier);
    return code != NULL;
}

/* As code is made of it. False: its error is set. */
static bool optimize(const Unit *unit, Program *program) {
    PassOptions passes = options_passes(&unit->options);
    return program_optimize(program, &passes) &&
           program_recompute(program, unit->again, unit->nagain, &passes);
}

static bool optimize_and_emit(Unit *unit, Program *program, Tier tier, const Dump *dump, Buf *image,
                              Error *error, Timings *timings) {
    double start = rt_clock_ms();
    if (!optimize(unit, program)) return phase_failed(program, error);
    if (!dump_program(dump, "weldopt", program, error)) return false;
    double optimized = rt_clock_ms();
    CodeOptions code = code_options(unit);
    if (tier == TIER_LIGHT) code.level = 0;
    unit->jit = jit_load(error);
    bool ok = unit->jit && (unit->jit->emit(program, &code, image, error) ||
                            error_set(error, E_Internal, nowhere, "code generation failed"));
    timings->optimize_ms = optimized - start;
    ok = ok && dump_stages(unit, program, dump, error);
    timings->codegen_ms = rt_clock_ms() - optimized;
    return ok;
}

/* Makes code of the typed program. The lock is held. */
static bool generate(Unit *unit, Tier tier, const Dump *dump, Error *error, Timings *timings) {
    static const Dump no_dump;
    bool consume = !unit->interpreting && !unit->shown && !unit->consumed;
    Program *program = consume ? unit->program : read_again(unit);
    if (!program) return no_memory(error);
    unit->consumed |= consume;
    Buf image = {0};
    bool ok = optimize_and_emit(unit, program, tier, dump ? dump : &no_dump, &image, error, timings);
    double start = rt_clock_ms();
    CodeOptions options = code_options(unit);
    Code *code = ok ? code_load(image.text, image.length, &options, unit->jit, error) : NULL;
    if (code) store_on_disk(unit, tier, &image);
    if (code) unit->from_disk = false;
    timings->codegen_ms += rt_clock_ms() - start;
    buf_release(&image);
    if (!consume) program_free(program);
    set_code(unit, code, tier);
    return code != NULL;
}

/* Code that was made ahead of time. */
static bool load_image(Unit *unit, const char *image, size_t size, Error *error) {
    CodeOptions options = code_options(unit);
    if (!object_known_machine()) unit->jit = jit_load(error);
    Code *code = code_load(image, size, &options, unit->jit, error);
    atomic_store(&unit->code, code);
    unit->from_disk = code != NULL;
    return code ||
           error_set(error, E_Library, nowhere, "the program that was built ahead of time cannot be loaded");
}

static bool code_at_once(Unit *unit, const Origin *origin, const Dump *dump, Error *error, Timings *timings) {
    bool automatic = strcmp(unit->options.engine, "auto") == 0;
    if (origin->image) return load_image(unit, origin->image, origin->image_size, error);
    bool waits = automatic && !dump->formats && !unit->options.timings; /* until code pays */
    if (strcmp(unit->options.engine, "eval") == 0 || waits) return true;
    double start = rt_clock_ms();
    if (!dump->formats && load_from_disk(unit, TIER_FULL)) {
        timings->codegen_ms = rt_clock_ms() - start;
        return true;
    }
    if (generate(unit, TIER_FULL, dump, error, timings)) return true;
    if (!automatic || (unit->jit && error->code != E_Internal)) return false;
    rt_log(WELD_LOG_WARN, "interpreting: %s", error->text);
    *error = (Error){.code = E_None};
    return unit->hopeless = true;
}

/* Light code differs in nothing but speed from that of the default level; who sets another level means it. */
static bool may_be_light(const Unit *unit) {
    return unit->options.llvm_level == 2;
}

/* Makes code, or better code, if it pays. The lock is held. */
static void choose(Unit *unit, const void *args, int64_t runs, Timings *timings) {
    bool light = atomic_load(&unit->is_light);
    if (unit->hopeless || (atomic_load(&unit->code) && !light)) return;
    double start = rt_clock_ms();
    Work work = tier_estimate(unit->program, unit->signature->argument, args);
    work.ns = unit->spent_ns + work.ns * (double)runs;
    Tier has = light ? TIER_LIGHT : TIER_EVAL, tier = tier_choose(has, work);
    if (tier == TIER_LIGHT && !may_be_light(unit)) tier = TIER_FULL;
    if (work.ns >= TINY_NS && !unit->probed) {
        unit->probed = true;
        bool found =
            load_from_disk(unit, TIER_FULL) || (tier != TIER_FULL && load_from_disk(unit, TIER_LIGHT));
        timings->codegen_ms = rt_clock_ms() - start;
        if (found) return;
    }
    Error error = {.code = E_None};
    if (tier <= has || generate(unit, tier, NULL, &error, timings)) return;
    rt_log(WELD_LOG_WARN, "%s: %s", light ? "staying with quickly made code" : "interpreting", error.text);
    unit->hopeless = true;
}

bool unit_image(Unit *unit, Buf *image, Error *error) {
    static const Dump no_dump;
    Timings timings;
    Program *program = read_again(unit);
    if (!program) return no_memory(error);
    bool ok = optimize_and_emit(unit, program, TIER_FULL, &no_dump, image, error, &timings);
    program_free(program);
    return ok && !image->failed;
}

const Code *unit_code(Unit *unit, const void *args, int64_t runs, Timings *timings) {
    Timings ignored;
    const Code *code = atomic_load_explicit(&unit->code, memory_order_acquire);
    bool final = code && !atomic_load_explicit(&unit->is_light, memory_order_acquire);
    if (final || strcmp(unit->options.engine, "auto") != 0) return code;
    pthread_mutex_lock(&unit->lock);
    choose(unit, args, runs, timings ? timings : &ignored);
    code = atomic_load(&unit->code);
    pthread_mutex_unlock(&unit->lock);
    return code;
}

/* What ranks interpret makes the exchanges that the compiled code of others makes; what is computed twice, the interpreter does, too. */
static bool interprets_rewritten(const Unit *unit) {
    return strcmp(unit->options.cluster, "off") != 0 || unit->nagain;
}

const Program *unit_interpret_begin(Unit *unit) {
    pthread_mutex_lock(&unit->lock);
    if (interprets_rewritten(unit)) {
        unit->interpreting++;
        if (!unit->rewritten) unit->rewritten = unit_optimized(unit);
        const Program *program = unit->rewritten;
        pthread_mutex_unlock(&unit->lock);
        return program;
    }
    if (unit->consumed && !unit->typed) unit->typed = read_again(unit);
    const Program *program = unit->consumed ? unit->typed : unit->program;
    unit->interpreting++;
    pthread_mutex_unlock(&unit->lock);
    return program;
}

void unit_interpret_end(Unit *unit, double ns) {
    pthread_mutex_lock(&unit->lock);
    unit->interpreting--;
    unit->spent_ns += ns;
    pthread_mutex_unlock(&unit->lock);
}

void unit_light_end(Unit *unit, double ns) {
    pthread_mutex_lock(&unit->lock);
    unit->spent_ns += ns * LIGHT_GAIN;
    pthread_mutex_unlock(&unit->lock);
}

Program *unit_typed(Unit *unit) {
    pthread_mutex_lock(&unit->lock);
    if (unit->consumed && !unit->typed) unit->typed = read_again(unit);
    unit->shown = true;
    Program *typed = unit->consumed ? unit->typed : unit->program;
    pthread_mutex_unlock(&unit->lock);
    return typed;
}

Program *unit_optimized(const Unit *unit) {
    Program *program = read_again(unit);
    if (program && optimize(unit, program)) return program;
    program_free(program);
    return NULL;
}

/* ---- units ---- */

/* The options' texts are the configuration's, which may go before the unit. */
static bool keep_options(Unit *unit, weld_conf_t conf, Error *error) {
    if (!conf_options(conf, &unit->options, error)) return false;
    if (unit->options.passes && !passes_check(unit->options.passes, error)) return false;
    unit->texts = options_own(&unit->options);
    if (!unit->texts) return no_memory(error);
    return true;
}

/* Is this text an adapter's, or of a derivative? Of a merged program all texts count. */
static bool is_import(const Unit *unit, int source) {
    const char *name = unit->program->source[source].name;
    bool own = source == 0 || strcmp(name, "prelude.weld") == 0 || strcmp(name, "type") == 0;
    return unit->recipe || !own;
}

/* The key holds the texts of the adapters' functions and of derivatives, too: another version of an adapter may have
 * others. */
static void key_program(Buf *key, const Unit *unit, const Origin *origin, weld_conf_t conf) {
    disk_key(key, conf, origin->text, origin->length, origin->want, unit->math);
    if (unit->saving) buf_put(key, "\0saving", 8);
    if (unit->nagain) buf_put(key, (const char *)unit->again, (size_t)unit->nagain * sizeof *unit->again);
    if (unit_keeps(unit)) buf_put(key, "\0keeps", 7);
    for (int i = 0; i < unit->program->sources; i++) {
        const Source *source = &unit->program->source[i];
        if (!is_import(unit, i)) continue;
        buf_put(key, "", 1);
        buf_put(key, source->name, strlen(source->name) + 1);
        buf_put(key, source->text, source->length);
    }
}

static bool keep_choices(Unit *unit, const Origin *origin) {
    size_t bytes = (size_t)origin->nagain * sizeof *unit->again;
    if (!bytes) return true;
    unit->again = malloc(bytes);
    if (!unit->again) return false;
    memcpy(unit->again, origin->again, bytes);
    unit->nagain = origin->nagain;
    return true;
}

static bool compile(Unit *unit, const Origin *origin, weld_conf_t conf, Error *error, Timings *timings) {
    Options options;
    Dump dump;
    if (!keep_options(unit, conf, error)) return false;
    if (!conf_options(conf, &options, error) || !dump_begin(&dump, &options, error)) return false;
    if (origin->recipe) unit->recipe = recipe_hold(origin->recipe);
    unit->saving = origin->saving;
    if (!keep_choices(unit, origin)) return no_memory(error);
    if (!read_program(&unit->program, origin, unit, error, timings)) return false;
    if (!survey_program(unit, error)) return false;
    if (unit_keeps(unit) && !checkpoint_print(unit, conf)) return no_memory(error);
    unit->signature = signature_new(unit->program, program_argument_type(unit->program),
                                    program_result_type(unit->program));
    if (!unit->signature) return no_memory(error);
    if (!dump_program(&dump, "weld", unit->program, error)) return false;
    unit->dumps = dump.formats != NULL;
    bool cached = strcmp(unit->options.cache, "disk") == 0 && strcmp(unit->options.engine, "eval") != 0;
    if (cached && !unit->dumps) key_program(&unit->disk_key, unit, origin, conf);
    if (unit->disk_key.failed) unit->disk_key.length = 0;
    bool derived = unit->program->derived;
    if (!code_at_once(unit, origin, &dump, error, timings)) return false;
    if (unit->options.memory_budget <= 0 || origin->image) return true;
    unit->conf = conf_copy(conf);
    if (!unit->conf) return no_memory(error);
    if (!derived || unit->saving || unit->nagain) return true;
    Origin saving = *origin;
    Timings more = {0};
    saving.saving = true;
    unit->saver = unit_new(&saving, conf, error, &more, NULL);
    timings->optimize_ms += more.optimize_ms;
    timings->codegen_ms += more.codegen_ms;
    return unit->saver != NULL;
}

Unit *unit_new(const Origin *origin, weld_conf_t conf, Error *error, Timings *timings, weld_error_t handle) {
    Unit *unit = calloc(1, sizeof *unit);
    if (!unit || pthread_mutex_init(&unit->lock, NULL)) {
        free(unit);
        no_memory(error);
        report(handle, error, NULL);
        return NULL;
    }
    atomic_init(&unit->refs, 1);
    bool ok = compile(unit, origin, conf, error, timings);
    report(handle, error, unit->program);
    if (ok) return unit;
    unit_drop(unit);
    return NULL;
}

Unit *unit_recomputing(const Unit *unit, const PlanAgain *again, Error *error) {
    Origin origin;
    Timings timings = {0};
    if (!origin_of(unit, &origin)) {
        no_memory(error);
        return NULL;
    }
    origin.again = again->choices;
    origin.nagain = again->count;
    return unit_new(&origin, unit->conf, error, &timings, NULL);
}

Unit *unit_hold(Unit *unit) {
    atomic_fetch_add_explicit(&unit->refs, 1, memory_order_relaxed);
    return unit;
}

void unit_drop(Unit *unit) {
    if (!unit || atomic_fetch_sub_explicit(&unit->refs, 1, memory_order_acq_rel) != 1) return;
    code_free(atomic_load(&unit->code));
    code_free(unit->light);
    unit_drop(unit->saver);
    for (Unit *variant = unit->variants, *other; variant; variant = other) {
        other = variant->other;
        unit_drop(variant);
    }
    weld_conf_free(unit->conf);
    free(unit->again);
    program_free(unit->planned);
    program_free(unit->program);
    program_free(unit->typed);
    program_free(unit->rewritten);
    recipe_drop(unit->recipe);
    free(unit->foreign);
    signature_drop(unit->signature);
    free(unit->texts);
    buf_release(&unit->key);
    buf_release(&unit->disk_key);
    pthread_mutex_destroy(&unit->lock);
    free(unit);
}
