/* jit.c: from an optimized program to an object file in memory: LLVM's modules, passes and emission.
 *
 *     program -> cg.c -> LLVM module -> LLVMRunPasses -> object -> an image (code.c)
 *
 * Two threads may share the work: each takes half of the functions (jit_halves.c) to an object of its own.
 *
 * The module refers to everything outside by symbols, so that the object may be kept and linked in another
 * process: runtime calls, libm functions, foreign functions, the table of types and the bytes of string
 * constants. object.c links it, without LLVM; for machines that it does not know LLVM's own linker (ORC
 * LLJIT) does. Nothing is shared between compilations; LLVM's own registration of the target happens once.
 */
#include "cg.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/Object.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <pthread.h>
#include <string.h>

/* ---- the target ---- */

static pthread_once_t initialized = PTHREAD_ONCE_INIT;

/* Where LLVM is ours alone, not shared with whoever else uses it in this process: no loop strength reduction, of which LLVM has
 * no other switch. It takes an eighth of the time to compile a query, and cg_offsets.c does what loops over elements need of it. */
static void initialize(void) {
#ifdef WELD_LLVM_OWN
    static const char *const settings[] = {"weldjit", "-disable-lsr"};
    LLVMParseCommandLineOptions(2, settings, "");
#endif
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}

typedef struct Target {
    LLVMTargetMachineRef machine;
    char *triple, *processor, *features;
    bool native;
} Target;

static void target_release(Target *target) {
    if (target->machine) LLVMDisposeTargetMachine(target->machine);
    if (target->triple) LLVMDisposeMessage(target->triple);
    if (target->native && target->processor) LLVMDisposeMessage(target->processor);
    if (target->native && target->features) LLVMDisposeMessage(target->features);
    memset(target, 0, sizeof *target);
}

static LLVMTargetMachineRef machine_new(const Target *target, int level) {
    LLVMTargetRef llvm;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(target->triple, &llvm, &message)) {
        LLVMDisposeMessage(message);
        return NULL;
    }
    LLVMCodeGenOptLevel optimize = level == 0 ? LLVMCodeGenLevelNone : LLVMCodeGenLevelDefault;
    return LLVMCreateTargetMachine(llvm, target->triple, target->processor, target->features, optimize,
                                   LLVMRelocPIC, LLVMCodeModelSmall);
}

/* LLVM ignores a name that it does not know, says so on standard error, and ends the process if the processor that is left
 * has no 64 bits. These it knows from version 16 on. */
static bool is_known(const char *processor) {
#if defined(__x86_64__)
    static const char *const names[] = {
        "x86-64",     "x86-64-v2",  "x86-64-v3",      "x86-64-v4",      "nocona",         "core2",
        "penryn",     "nehalem",    "westmere",       "sandybridge",    "ivybridge",      "haswell",
        "broadwell",  "skylake",    "skylake-avx512", "cascadelake",    "cooperlake",     "cannonlake",
        "rocketlake", "tigerlake",  "icelake-client", "icelake-server", "sapphirerapids", "alderlake",
        "bonnell",    "silvermont", "goldmont",       "goldmont-plus",  "tremont",        "k8",
        "k8-sse3",    "amdfam10",   "btver1",         "btver2",         "bdver1",         "bdver2",
        "bdver3",     "bdver4",     "znver1",         "znver2",         "znver3",         "znver4"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], processor) == 0) return true;
    }
    return false;
#else
    return *processor;
#endif
}

static bool target_open(Target *target, const CodeOptions *options, Error *error) {
    memset(target, 0, sizeof *target);
    pthread_once(&initialized, initialize);
    target->triple = LLVMGetDefaultTargetTriple();
    target->native = !options->processor || strcmp(options->processor, "native") == 0;
    if (!target->native && !is_known(options->processor)) {
        target_release(target);
        return error_set(error, E_Setting, (Span){0},
                         "weld.processor is native or a processor such as x86-64-v3, not %.64s",
                         options->processor);
    }
    target->processor = target->native ? LLVMGetHostCPUName() : (char *)options->processor;
    target->features = target->native ? LLVMGetHostCPUFeatures() : (char *)"";
    target->machine = machine_new(target, options->level);
    if (target->machine) return true;
    target_release(target);
    return error_set(error, E_Internal, (Span){0}, "no code can be generated for this machine");
}

/* Of the machine at hand as LLVM found it; of a named processor if it is the least level that has it. */
static bool has_feature(const Target *target, const char *feature, const char *level) {
    if (!target->native) return strcmp(target->processor, level) == 0;
    size_t length = strlen(feature);
    for (const char *at = target->features; (at = strstr(at, feature)); at += length) {
        if (at > target->features && at[-1] == '+' && (at[length] == ',' || !at[length])) return true;
    }
    return false;
}

/* ---- the module ---- */

static void cg_types(Cg *cg) {
    LLVMContextRef context = cg->context;
    cg->i1 = LLVMInt1TypeInContext(context);
    cg->i8 = LLVMInt8TypeInContext(context);
    cg->i16 = LLVMInt16TypeInContext(context);
    cg->i32 = LLVMInt32TypeInContext(context);
    cg->i64 = LLVMInt64TypeInContext(context);
    cg->f32 = LLVMFloatTypeInContext(context);
    cg->f64 = LLVMDoubleTypeInContext(context);
    cg->ptr = LLVMPointerTypeInContext(context, 0);
    cg->none = LLVMVoidTypeInContext(context);
}

static bool cg_open(Cg *cg, Program *program, const Target *target, bool names, Error *error) {
    memset(cg, 0, sizeof *cg);
    cg->program = program;
    cg->error = error;
    size_t symbols = (size_t)program->symbols + 1;
    cg->values = arena_alloc(&program->arena, sizeof *cg->values * symbols);
    cg->stamps = arena_alloc(&program->arena, sizeof *cg->stamps * symbols);
    cg->merges.roots = arena_alloc(&program->arena, sizeof *cg->merges.roots * symbols);
    if (!cg->values || !cg->stamps || !cg->merges.roots)
        return error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    cg->context = LLVMContextCreate();
    LLVMContextSetDiscardValueNames(cg->context, !names);
    cg->module = LLVMModuleCreateWithNameInContext("weld", cg->context);
    LLVMSetTarget(cg->module, target->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(target->machine);
    LLVMSetModuleDataLayout(cg->module, layout);
    LLVMDisposeTargetData(layout);
    cg->builder = LLVMCreateBuilderInContext(cg->context);
    cg->allocas = LLVMCreateBuilderInContext(cg->context);
    cg_types(cg);
    cg->type_table = LLVMAddGlobal(cg->module, cg->ptr, "weld_types");
    cg->string_base = LLVMAddGlobal(cg->module, cg->i8, "weld_strings");
    cg->wide = has_feature(target, "avx512f", "x86-64-v4");
    cg->masks = cg->wide && has_feature(target, "avx512bw", "x86-64-v4") &&
                has_feature(target, "avx512vl", "x86-64-v4");
    cg->word_masks = has_feature(target, "avx2", "x86-64-v3");
    cg->fma = has_feature(target, "fma", "x86-64-v3") || cg->wide;
    bool vl = cg->wide && has_feature(target, "avx512vl", "x86-64-v4");
    cg->compress = vl && target->native && has_feature(target, "avx512vbmi2", "") ? COMPRESS_BYTES
                   : vl                                                           ? COMPRESS_WORDS
                   : has_feature(target, "avx2", "x86-64-v3")                     ? COMPRESS_PERMUTE
                                                                                  : COMPRESS_NONE;
    cg->sleef = strncmp(target->triple, "x86_64", 6) == 0;
    return true;
}

static void cg_release(Cg *cg) {
    if (!cg->context) return;
    LLVMDisposeBuilder(cg->builder);
    LLVMDisposeBuilder(cg->allocas);
    LLVMDisposeModule(cg->module);
    LLVMContextDispose(cg->context);
    buf_release(&cg->strings);
    memset(cg, 0, sizeof *cg);
}

/* What pays at each level. Level 0 is for code that is soon made: what its passes remove, LLVM need not emit. Level 2 is the
 * shortest list that vectorizes our loops and cleans up after it: it keeps compiling a query to a few milliseconds. */
#define SOON "function(sroa,early-cse,simplifycfg)"
#define CLEAN "sroa,early-cse,simplifycfg,instcombine<no-verify-fixpoint>,"
#define LOOPS "loop-mssa(licm),simplifycfg,loop(loop-rotate,indvars),loop-vectorize,"
#define AGAIN "early-cse,simplifycfg,instcombine<no-verify-fixpoint>"
#define NEIGHBORS "function(" CLEAN LOOPS "slp-vectorizer," AGAIN ")"
#define ALONE "function(" CLEAN LOOPS AGAIN ")"
#define DROP "elim-avail-extern,"

/* neighbors: there are scalars side by side that a vector may hold, which takes a pass of its own to find. halved: bodies
 * of the other half go first. */
static const char *passes_of(int level, bool neighbors, bool halved) {
    if (level > 2) return "default<O3>";
    if (level < 2) return halved ? DROP SOON : SOON;
    if (neighbors) return halved ? DROP NEIGHBORS : NEIGHBORS;
    return halved ? DROP ALONE : ALONE;
}

/* How much there is to do, in instructions. */
static int module_size(LLVMModuleRef module) {
    int64_t tenths = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        tenths += jit_work(f, 1);
    return tenths / 10 < INT32_MAX ? (int)(tenths / 10) : INT32_MAX;
}

/* The level that a module's size leaves of the wanted one: at 2 an instruction takes some 50 us, at 1 some 20, at
 * 0 two: large programs take about a second. Level 3 is what somebody asked for by name. */
static int affordable(LLVMModuleRef module, int level) {
    enum { MOST_2 = 20000, MOST_1 = 40000 };
    if (level < 1 || level > 2) return level;
    int size = module_size(module);
    return size > MOST_1 ? 0 : size > MOST_2 ? 1 : level;
}

static bool run_passes(LLVMModuleRef module, LLVMTargetMachineRef machine, const char *passes, Error *error) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failed = LLVMRunPasses(module, passes, machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!failed) return true;
    LLVMConsumeError(failed);
    return error_set(error, E_Internal, (Span){0}, "the optimizer of the code generator failed");
}

/* Loops that are equal, as large programs that were written by programs have them, become one function; then a
 * level may be affordable that was not. */
static bool optimize(Cg *cg, Target *target, int wanted, Error *error) {
    LLVMModuleRef module = cg->module;
    int level = affordable(module, wanted);
    jit_keep_all(module);
    if (level < wanted) {
        if (!run_passes(module, target->machine, "mergefunc", error)) return false;
        level = affordable(module, wanted);
    }
    if (level == 0 && wanted > 0) { /* the machine was made for a higher one */
        LLVMDisposeTargetMachine(target->machine);
        target->machine = machine_new(target, 0);
        if (!target->machine) return error_set(error, E_Internal, (Span){0}, "no code can be generated");
    }
    return run_passes(module, target->machine, passes_of(level, cg->neighbors, false), error);
}

/* What comes behind LLVM's passes. */
static void finish(Cg *cg) {
    cg_select_words(cg);
    cg_unmask_loads(cg);
}

/* Fills a module. On success cg and target are open. */
static bool fill(Cg *cg, Target *target, Program *program, const CodeOptions *options, bool names,
                 Error *error) {
    memset(cg, 0, sizeof *cg);
    if (!target_open(target, options, error)) return false;
    bool ok = cg_open(cg, program, target, names, error);
    cg->timed = options->timed;
    ok = ok && cg_program(cg);
    if (ok && program->arena.exhausted)
        ok = error_set(error, E_OutOfMemory, (Span){0}, "the program is too large");
    char *message = NULL;
    if (ok && names && LLVMVerifyModule(cg->module, LLVMReturnStatusAction, &message)) {
        ok = error_set(error, E_Internal, (Span){0}, "invalid code: %s", message);
    }
    if (message) LLVMDisposeMessage(message);
    if (ok) return true;
    if (error->code == E_None) error_set(error, E_Internal, (Span){0}, "code generation failed");
    cg_release(cg);
    target_release(target);
    return false;
}

/* ---- objects ---- */

/* A module, and the object that is made of it. */
typedef struct Making {
    Cg cg;
    Target target;
    int level;
    bool halved;
    LLVMMemoryBufferRef object;
    Error error;
    bool ok;
} Making;

static void *make(void *data) {
    Making *m = data;
    char *message = NULL;
    const char *passes = passes_of(m->level, m->cg.neighbors, true);
    m->ok = m->halved ? run_passes(m->cg.module, m->target.machine, passes, &m->error)
                      : optimize(&m->cg, &m->target, m->level, &m->error);
    if (m->ok) finish(&m->cg);
    if (m->ok && LLVMTargetMachineEmitToMemoryBuffer(m->target.machine, m->cg.module, LLVMObjectFile,
                                                     &message, &m->object)) {
        LLVMDisposeMessage(message);
        m->ok = error_set(&m->error, E_Internal, (Span){0}, "no machine code could be emitted");
    }
    return NULL;
}

static void making_release(Making *m) {
    if (m->object) LLVMDisposeMemoryBuffer(m->object);
    cg_release(&m->cg);
    target_release(&m->target);
}

/* The second half is the same module once more, as a module cannot be taken apart, nor used by two threads: to fill it takes a
 * small part of the time. The other thread makes the first half meanwhile. */
static bool make_halves(Making *halves, Program *program, const CodeOptions *options) {
    pthread_t thread;
    Making *first = &halves[0], *second = &halves[1];
    second->level = first->level;
    first->halved = second->halved = true;
    jit_keep_half(first->cg.module, 0);
    bool helped = jit_thread(&thread, make, first);
    if (!helped) make(first);
    bool filled = fill(&second->cg, &second->target, program, options, false, &second->error);
    if (filled) {
        jit_keep_half(second->cg.module, 1);
        make(second);
    }
    if (helped) pthread_join(thread, NULL);
    if (!first->ok || !second->ok) return false;
    return (first->cg.ntypes == second->cg.ntypes && first->cg.strings.length == second->cg.strings.length) ||
           error_set(&second->error, E_Internal, (Span){0}, "two halves of a program differ");
}

/* A deep program's thread has more stack than the other one would. */
static bool can_halve(const Cg *cg, const CodeOptions *options) {
    enum { SHALLOW = 500 };
    return options->threads > 1 && options->level > 0 && options->level < 3 &&
           jit_pays_to_halve(cg->module) && affordable(cg->module, options->level) == options->level &&
           node_depth(cg->program->root) <= SHALLOW;
}

static bool emit(Program *program, const CodeOptions *options, Buf *image, Error *error) {
    Making halves[OBJECT_FILES] = {0};
    ObjectFile files[OBJECT_FILES];
    int count = 1;
    Making *first = &halves[0];
    if (!fill(&first->cg, &first->target, program, options, false, error)) return false;
    first->level = options->level;
    bool ok;
    if (can_halve(&first->cg, options)) {
        count = 2;
        ok = make_halves(halves, program, options);
    } else {
        make(first);
        ok = first->ok;
    }
    for (int i = 0; ok && i < count; i++)
        files[i] = (ObjectFile){LLVMGetBufferStart(halves[i].object), LLVMGetBufferSize(halves[i].object)};
    for (int i = 0; i < count; i++) {
        if (halves[i].error.code != E_None && error->code == E_None) *error = halves[i].error;
    }
    ok = ok &&
         (image_write(image, program, first->cg.types, first->cg.ntypes, &first->cg.strings, files, count) ||
          error_set(error, E_OutOfMemory, (Span){0}, "out of memory"));
    for (int i = 0; i < count; i++) making_release(&halves[i]);
    return ok;
}

/* ---- LLVM's linker, for machines that object.c does not know ---- */

static LLVMOrcLLJITRef linker_new(void) {
    LLVMOrcLLJITRef jit = NULL;
    pthread_once(&initialized, initialize);
    LLVMErrorRef failed = LLVMOrcCreateLLJIT(&jit, NULL);
    if (!failed) return jit;
    LLVMConsumeError(failed);
    return NULL;
}

typedef struct Linking {
    LLVMOrcLLJITRef jit;
    const CodeOptions *options;
    Error *error;
    Buf defined; /* names, separated by commas */
} Linking;

/* Gives the linker the address of a symbol. */
static bool define_symbol(Linking *linking, const char *name) {
    LLVMOrcLLJITRef jit = linking->jit;
    void *address = linking->options->symbol(linking->options->data, name);
    /* Not a symbol of ours, but of another object; or missing, which shows when the linker needs it. */
    if (!address || (linking->defined.length && name_is_listed(linking->defined.text, name))) return true;
    buf_printf(&linking->defined, "%s,", name);
    LLVMOrcCSymbolMapPair pair = {.Name = LLVMOrcLLJITMangleAndIntern(jit, name)};
    pair.Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)address;
    pair.Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
    LLVMErrorRef failed =
        LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(jit), LLVMOrcAbsoluteSymbols(&pair, 1));
    if (!failed) return true;
    LLVMConsumeError(failed);
    return error_set(linking->error, E_Internal, (Span){0}, "the linker refused a symbol");
}

/* Defines what the object leaves open. */
static bool define_symbols(Linking *linking, LLVMMemoryBufferRef object) {
    char *message = NULL;
    LLVMBinaryRef binary = LLVMCreateBinary(object, NULL, &message);
    if (message) LLVMDisposeMessage(message);
    if (!binary) return error_set(linking->error, E_Internal, (Span){0}, "the machine code is damaged");
    LLVMSymbolIteratorRef symbol = LLVMObjectFileCopySymbolIterator(binary);
    LLVMSectionIteratorRef section;
    bool ok = true;
    for (; ok && !LLVMObjectFileIsSymbolIteratorAtEnd(binary, symbol); LLVMMoveToNextSymbol(symbol)) {
        const char *name = LLVMGetSymbolName(symbol);
        section = LLVMObjectFileCopySectionIterator(binary);
        LLVMMoveToContainingSection(section, symbol);
        bool open = LLVMObjectFileIsSectionIteratorAtEnd(binary, section);
        LLVMDisposeSectionIterator(section);
        if (open && *name) ok = define_symbol(linking, name);
    }
    LLVMDisposeSymbolIterator(symbol);
    LLVMDisposeBinary(binary);
    return ok;
}

static void jit_unlink(void *linked) {
    if (linked) LLVMConsumeError(LLVMOrcDisposeLLJIT(linked));
}

static bool add_object(Linking *linking, const ObjectFile *file) {
    LLVMOrcLLJITRef jit = linking->jit;
    LLVMMemoryBufferRef object = LLVMCreateMemoryBufferWithMemoryRangeCopy(file->bytes, file->size, "weld");
    if (!define_symbols(linking, object)) {
        LLVMDisposeMemoryBuffer(object);
        return false;
    }
    LLVMErrorRef failed = LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), object);
    if (failed) LLVMConsumeError(failed);
    return !failed;
}

static void *jit_link(const ObjectFile *files, int count, const CodeOptions *options, const void **entry,
                      Error *error) {
    LLVMOrcExecutorAddress address = 0;
    LLVMOrcLLJITRef jit = linker_new();
    Linking linking = {jit, options, error, {0}};
    bool ok = jit != NULL;
    for (int i = 0; ok && i < count; i++) ok = add_object(&linking, &files[i]);
    buf_release(&linking.defined);
    LLVMErrorRef failed = ok ? LLVMOrcLLJITLookup(jit, &address, "weld_run") : NULL;
    if (failed) LLVMConsumeError(failed);
    ok = ok && !failed;
    *entry = (const void *)(uintptr_t)address;
    if (ok) return jit;
    error_set(error, E_Internal, (Span){0}, "the linker failed");
    jit_unlink(jit);
    return NULL;
}

/* ---- looking ---- */

static bool text(Program *program, const CodeOptions *options, CodeStage stage, Buf *out, Error *error) {
    Cg cg;
    Target target;
    if (!fill(&cg, &target, program, options, true, error)) return false;
    char *message = NULL;
    LLVMMemoryBufferRef buffer = NULL;
    bool ok = optimize(&cg, &target, options->level, error);
    if (ok) finish(&cg);
    if (!ok) {
        /* nothing to print */
    } else if (stage == CODE_LLVM) {
        message = LLVMPrintModuleToString(cg.module);
        buf_put(out, message, strlen(message));
    } else if (LLVMTargetMachineEmitToMemoryBuffer(target.machine, cg.module, LLVMAssemblyFile, &message,
                                                   &buffer)) {
        ok = error_set(error, E_Internal, (Span){0}, "no machine code could be emitted");
    } else {
        buf_put(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
        LLVMDisposeMemoryBuffer(buffer);
    }
    if (message) LLVMDisposeMessage(message);
    cg_release(&cg);
    target_release(&target);
    return ok;
}

/* Our own functions and LLVM's recurse with the depth of the program. */
typedef struct Compilation {
    Program *program;
    const CodeOptions *options;
    Error *error;
    Buf *image; /* what is wanted, or NULL: */
    CodeStage stage;
    Buf *out;
    bool ok;
} Compilation;

static void compile_deep(void *data) {
    Compilation *c = data;
    if (c->image)
        c->ok = emit(c->program, c->options, c->image, c->error);
    else
        c->ok = text(c->program, c->options, c->stage, c->out, c->error);
}

static void compile_anywhere(Compilation *c) {
    if (run_deep((size_t)node_depth(c->program->root), compile_deep, c)) return;
    error_set(c->error, E_OutOfMemory, (Span){0}, "no memory for the stack that this program needs");
}

static bool jit_emit(Program *program, const CodeOptions *options, Buf *image, Error *error) {
    Compilation c = {.program = program, .options = options, .error = error, .image = image};
    compile_anywhere(&c);
    return c.ok;
}

static bool jit_text(Program *program, const CodeOptions *options, CodeStage stage, Buf *out, Error *error) {
    Compilation c = {.program = program, .options = options, .error = error, .stage = stage, .out = out};
    compile_anywhere(&c);
    return c.ok;
}

__attribute__((visibility("default"))) const Jit weld_jit = {jit_emit, jit_text, jit_link, jit_unlink};
