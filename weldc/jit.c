/* jit.c: from an optimized program to callable code: LLVM's modules, passes, emission and linking.
 *
 *     program -> cg.c -> LLVM module -> LLVMRunPasses -> object in memory -> ORC LLJIT -> address
 *
 * The module refers to everything outside by symbols, which are given to ORC as absolute: runtime calls, libm
 * functions, foreign functions, the table of types and the bytes of string constants. A Code owns what those
 * point to, so it lives without the program it came from. Nothing is shared between compilations; LLVM's own
 * registration of the target happens once.
 */
#include "cg.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct Code {
    Arena arena;
    TypeTable types;
    const Type **type_table;
    const Type *result;
    bool builders_come_in; /* in arguments: they may keep what a run allocates */
    Buf strings;
    LLVMOrcLLJITRef jit;
    ErrorCode (*run)(Worker *worker, const void *args, void *out);
};

/* ---- the target ---- */

static pthread_once_t initialized = PTHREAD_ONCE_INIT;

static void initialize(void) {
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

static bool target_open(Target *target, const CodeOptions *options, Error *error) {
    memset(target, 0, sizeof *target);
    pthread_once(&initialized, initialize);
    target->triple = LLVMGetDefaultTargetTriple();
    target->native = !options->processor || strcmp(options->processor, "native") == 0;
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
    cg->roots = arena_alloc(&program->arena, sizeof *cg->roots * symbols);
    if (!cg->values || !cg->stamps || !cg->roots)
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
    cg->fma = has_feature(target, "fma", "x86-64-v3") || cg->wide;
    cg->sleef = math_has_vectors() && strncmp(target->triple, "x86_64", 6) == 0;
    return true;
}

static void cg_release(Cg *cg) {
    if (!cg->context) return;
    LLVMDisposeBuilder(cg->builder);
    LLVMDisposeBuilder(cg->allocas);
    LLVMDisposeModule(cg->module);
    LLVMContextDispose(cg->context);
    buf_release(&cg->strings);
}

/* What pays at each level. Level 2 is the shortest list that vectorizes our loops and cleans up after it: it
 * keeps compiling a query to a few milliseconds. */
#define CLEAN "sroa,early-cse,simplifycfg,instcombine<no-verify-fixpoint>,"
#define LOOPS "loop-mssa(licm),simplifycfg,loop(loop-rotate,indvars),loop-vectorize,"
static const char *const pipelines[] = {
    "",
    "function(sroa,early-cse,simplifycfg)",
    "function(" CLEAN LOOPS "slp-vectorizer,early-cse,simplifycfg,instcombine<no-verify-fixpoint>)",
    "default<O3>",
};

static bool run_passes(LLVMModuleRef module, LLVMTargetMachineRef machine, int level, Error *error) {
    level = level < 0 ? 0 : level > 3 ? 3 : level;
    if (!*pipelines[level]) return true;
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failed = LLVMRunPasses(module, pipelines[level], machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!failed) return true;
    LLVMConsumeError(failed);
    return error_set(error, E_Internal, (Span){0}, "the optimizer of the code generator failed");
}

/* Fills and optimizes a module. On success cg and target are open. */
static bool build(Cg *cg, Target *target, Program *program, const CodeOptions *options, bool names,
                  Error *error) {
    memset(cg, 0, sizeof *cg);
    if (!target_open(target, options, error)) return false;
    bool ok = cg_open(cg, program, target, names, error) && cg_program(cg);
    if (ok && program->arena.exhausted)
        ok = error_set(error, E_OutOfMemory, (Span){0}, "the program is too large");
    char *message = NULL;
    if (ok && names && LLVMVerifyModule(cg->module, LLVMReturnStatusAction, &message)) {
        ok = error_set(error, E_Internal, (Span){0}, "invalid code: %s", message);
    }
    if (message) LLVMDisposeMessage(message);
    ok = ok && run_passes(cg->module, target->machine, options->level, error);
    if (ok) return true;
    if (error->code == E_None) error_set(error, E_Internal, (Span){0}, "code generation failed");
    cg_release(cg);
    target_release(target);
    return false;
}

/* ---- linking ---- */

static void *find_symbol(const Code *code, const CodeOptions *options, const char *name) {
    if (strcmp(name, "weld_types") == 0) return code->type_table;
    if (strcmp(name, "weld_strings") == 0)
        return code->strings.text ? code->strings.text : (char *)&code->strings;
    void *math = math_symbol(name);
    if (math) return math;
    size_t prefix = sizeof FOREIGN_PREFIX - 1;
    return options->symbol(options->data, strncmp(name, FOREIGN_PREFIX, prefix) == 0 ? name + prefix : name);
}

static bool is_foreign(LLVMValueRef value) {
    size_t length;
    const char *name = LLVMGetValueName2(value, &length);
    return LLVMIsDeclaration(value) && strncmp(name, "llvm.", 5) != 0;
}

typedef struct Symbols {
    LLVMOrcCSymbolMapPair *pairs;
    size_t count;
} Symbols;

static bool add_symbol(Symbols *symbols, const Code *code, const CodeOptions *options, const char *name,
                       Error *error) {
    void *address = find_symbol(code, options, name);
    if (!address) {
        size_t prefix =
            strncmp(name, FOREIGN_PREFIX, sizeof FOREIGN_PREFIX - 1) == 0 ? sizeof FOREIGN_PREFIX - 1 : 0;
        return error_set(error, E_Library, (Span){0}, "there is no C function %s; load its library first",
                         name + prefix);
    }
    LLVMOrcCSymbolMapPair *pair = &symbols->pairs[symbols->count++];
    pair->Name = LLVMOrcLLJITMangleAndIntern(code->jit, name);
    pair->Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)address;
    pair->Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
    return true;
}

/* All that the module leaves open, and what the code generator may call by itself. */
static bool define_symbols(Code *code, Cg *cg, const CodeOptions *options, Error *error) {
    static const char *const implicit[] = {"memcpy", "memset",     "memmove",     "fmod",
                                           "fmodf",  "weld_types", "weld_strings"};
    enum { IMPLICIT = sizeof implicit / sizeof *implicit };
    Symbols symbols = {NULL, 0};
    size_t most = IMPLICIT;
    for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f; f = LLVMGetNextFunction(f)) most++;
    symbols.pairs = calloc(most, sizeof *symbols.pairs);
    if (!symbols.pairs) return error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    bool ok = true;
    for (int i = 0; ok && i < IMPLICIT; i++) ok = add_symbol(&symbols, code, options, implicit[i], error);
    for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); ok && f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        bool given = false;
        for (int i = 0; i < IMPLICIT; i++) given |= strcmp(name, implicit[i]) == 0;
        if (is_foreign(f) && !given) ok = add_symbol(&symbols, code, options, name, error);
    }
    if (ok) {
        LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(code->jit);
        LLVMErrorRef failed =
            LLVMOrcJITDylibDefine(library, LLVMOrcAbsoluteSymbols(symbols.pairs, symbols.count));
        if (failed) LLVMConsumeError(failed);
        ok = !failed || error_set(error, E_Internal, (Span){0}, "the linker refused a symbol");
    } else {
        for (size_t i = 0; i < symbols.count; i++) LLVMOrcReleaseSymbolStringPoolEntry(symbols.pairs[i].Name);
    }
    free(symbols.pairs);
    return ok;
}

static bool link_object(Code *code, LLVMMemoryBufferRef object, Error *error) {
    LLVMOrcExecutorAddress address = 0;
    LLVMErrorRef failed =
        LLVMOrcLLJITAddObjectFile(code->jit, LLVMOrcLLJITGetMainJITDylib(code->jit), object);
    if (!failed) failed = LLVMOrcLLJITLookup(code->jit, &address, "weld_run");
    if (failed) {
        LLVMConsumeError(failed);
        return error_set(error, E_Internal, (Span){0}, "the linker failed");
    }
    code->run = (ErrorCode(*)(Worker *, const void *, void *))(uintptr_t)address;
    return true;
}

static LLVMOrcLLJITRef linker_new(const Target *target) {
    LLVMTargetMachineRef machine = machine_new(target, 2);
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
        builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
    LLVMOrcLLJITRef jit = NULL;
    LLVMErrorRef failed = LLVMOrcCreateLLJIT(&jit, builder);
    if (!failed) return jit;
    LLVMConsumeError(failed);
    return NULL;
}

static bool import_types(Code *code, const Cg *cg) {
    types_init(&code->types, &code->arena);
    code->type_table = arena_alloc(&code->arena, sizeof *code->type_table * (size_t)(cg->ntypes + 1));
    if (!code->type_table) return false;
    for (int i = 0; i < cg->ntypes; i++) code->type_table[i] = type_import(&code->types, cg->types[i]);
    const Node *root = cg->program->root;
    for (int i = 0; i < root->nparams; i++) code->builders_come_in |= root->params[i]->type->builders;
    code->result = type_import(&code->types, program_result_type(cg->program));
    return true;
}

static void jit_release(Code *code) {
    if (!code) return;
    if (code->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(code->jit));
    buf_release(&code->strings);
    arena_release(&code->arena);
    free(code);
}

static bool emit(Code *code, Cg *cg, const Target *target, const CodeOptions *options, Error *error) {
    code->strings = cg->strings;
    memset(&cg->strings, 0, sizeof cg->strings);
    if (code->strings.failed || !arena_init(&code->arena) || !import_types(code, cg)) {
        return error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    }
    char *message = NULL;
    LLVMMemoryBufferRef object = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(target->machine, cg->module, LLVMObjectFile, &message, &object)) {
        LLVMDisposeMessage(message);
        return error_set(error, E_Internal, (Span){0}, "no machine code could be emitted");
    }
    code->jit = linker_new(target);
    if (!code->jit || !define_symbols(code, cg, options, error)) {
        LLVMDisposeMemoryBuffer(object);
        return error_set(error, E_Internal, (Span){0}, "the linker could not be started");
    }
    return link_object(code, object, error);
}

static Code *compile(Program *program, const CodeOptions *options, Error *error) {
    Cg cg;
    Target target;
    if (!build(&cg, &target, program, options, false, error)) return NULL;
    Code *code = calloc(1, sizeof *code);
    bool ok = code ? emit(code, &cg, &target, options, error)
                   : error_set(error, E_OutOfMemory, (Span){0}, "out of memory");
    cg_release(&cg);
    target_release(&target);
    if (ok) return code;
    jit_release(code);
    return NULL;
}

/* ---- running, and looking ---- */

static ErrorCode jit_run(const Code *code, Worker *worker, const void *args, void *out) {
    RegionMark mark = region_mark(worker->region);
    ErrorCode status = code->run(worker, args, out);
    if (status != E_None)
        region_reset(worker->region, mark);
    else if (code->builders_come_in)
        region_sweep(worker->region, mark, code->result, out);
    else
        region_finish(worker->region, mark, code->result, out);
    return status;
}

static bool jit_owns(const Code *code, const void *pointer) {
    const char *at = pointer, *text = code->strings.text;
    return text && at >= text && at <= text + code->strings.length;
}

static bool text(Program *program, const CodeOptions *options, CodeStage stage, Buf *out, Error *error) {
    Cg cg;
    Target target;
    if (!build(&cg, &target, program, options, true, error)) return false;
    char *message = NULL;
    LLVMMemoryBufferRef buffer = NULL;
    bool ok = true;
    if (stage == CODE_LLVM) {
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
    Code *code;      /* what is wanted, when out is NULL */
    CodeStage stage; /* else its text */
    Buf *out;
    bool ok;
} Compilation;

static void compile_deep(void *data) {
    Compilation *c = data;
    if (c->out)
        c->ok = text(c->program, c->options, c->stage, c->out, c->error);
    else
        c->code = compile(c->program, c->options, c->error);
}

static void compile_anywhere(Compilation *c) {
    if (run_deep((size_t)node_depth(c->program->root), compile_deep, c)) return;
    error_set(c->error, E_OutOfMemory, (Span){0}, "no memory for the stack that this program needs");
}

static Code *jit_compile(Program *program, const CodeOptions *options, Error *error) {
    Compilation c = {.program = program, .options = options, .error = error};
    compile_anywhere(&c);
    return c.code;
}

static bool jit_text(Program *program, const CodeOptions *options, CodeStage stage, Buf *out, Error *error) {
    Compilation c = {.program = program, .options = options, .error = error, .stage = stage, .out = out};
    compile_anywhere(&c);
    return c.ok;
}

__attribute__((visibility("default")))
const Jit weld_jit = {jit_compile, jit_run, jit_release, jit_text, jit_owns};
