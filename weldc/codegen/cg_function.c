/* cg_function.c: the program as a function, and functions in it.
 *
 * Inside a generated function the names of the functions around it are not reachable: what it uses of them travels through
 * memory, a closure, for which cg_free_names says which they are.
 */
#include "cg.h"

#include <stddef.h>
#include <string.h>

/* ---- names ---- */

static bool mark_bound(Walk *walk, Node **slot) {
    Cg *cg = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let) cg->stamps[node->symbol->id] = cg->stamp;
    for (int i = 0; i < node->nparams; i++) cg->stamps[node->params[i]->id] = cg->stamp;
    return true;
}

int cg_mark_bound(Cg *cg, const Node *node) {
    Walk walk = {cg->program, mark_bound, NULL, cg};
    Node *root = (Node *)node; /* the walk changes nothing */
    cg->stamp++;
    node_walk(&walk, &root);
    return cg->stamp;
}

typedef struct Gather {
    Cg *cg;
    NameList names;
    int capacity;
} Gather;

static bool gather_free(Walk *walk, Node **slot) {
    Gather *gather = walk->data;
    Cg *cg = gather->cg;
    const Node *node = *slot;
    if (node->kind != N_Ident || cg->stamps[node->symbol->id] == cg->stamp) return true;
    cg->stamps[node->symbol->id] = cg->stamp;
    NameList *names = &gather->names;
    if (names->count == gather->capacity) {
        gather->capacity = gather->capacity ? gather->capacity * 2 : 8;
        Symbol **symbols = arena_alloc(&cg->program->arena, sizeof *symbols * (size_t)gather->capacity);
        if (!symbols) return false;
        if (names->count) memcpy(symbols, names->symbol, sizeof *symbols * (size_t)names->count);
        names->symbol = symbols;
    }
    names->symbol[names->count++] = node->symbol;
    return true;
}

NameList cg_free_names(Cg *cg, const Node *lambda) {
    Gather gather = {cg, {NULL, 0}, 0};
    Walk walk = {cg->program, gather_free, NULL, &gather};
    Node *root = (Node *)lambda; /* the walk changes nothing */
    cg_mark_bound(cg, lambda);
    node_walk(&walk, &root);
    return gather.names;
}

static bool find_foreign(Walk *walk, Node **slot) {
    bool *foreign = walk->data;
    *foreign |= node_is_foreign(*slot) && !node_has_note(*slot, "threadsafe");
    return !*foreign;
}

bool cg_is_divisible(Cg *cg, const Node *lambda) {
    bool foreign = false;
    Walk walk = {cg->program, find_foreign, NULL, &foreign};
    Node *body = lambda->kids[0];
    node_walk(&walk, &body);
    NameList names = cg_free_names(cg, lambda);
    for (int i = 0; i < names.count; i++) {
        if (names.symbol[i]->type->builders) return false;
    }
    return !foreign;
}

/* ---- closures ---- */

/* Where the next name lies behind the first `at` bytes of a closure. */
static int64_t closure_place(const Symbol *symbol, int64_t *at) {
    int64_t align = symbol->type->align, place = (*at + align - 1) / align * align;
    *at = place + symbol->type->size;
    return place;
}

/* What a generated function uses of the one around it lies one after the other in a struct in memory: `first`
 * bytes for the caller, then the names' values. */
Closure cg_closure(Cg *cg, NameList names, int64_t first) {
    Closure closure = {.names = names, .first = first};
    int64_t size = first, at = first;
    for (int i = 0; i < names.count; i++) closure_place(names.symbol[i], &size);
    closure.state = cg_slot(cg, size, 64);
    for (int i = 0; i < names.count; i++) {
        const Symbol *symbol = names.symbol[i];
        int64_t place = closure_place(symbol, &at);
        if (!cg->values[symbol->id]) continue; /* an error was set where it was bound */
        cg_store(cg, symbol->type, cg->values[symbol->id], cg_at(cg, closure.state, place), NULL);
    }
    closure.size = size;
    closure.saved = arena_alloc(&cg->program->arena, sizeof *closure.saved * (size_t)(names.count + 1));
    return closure;
}

void cg_closure_enter(Cg *cg, Closure *closure, LLVMValueRef state) {
    int64_t at = closure->first;
    for (int i = 0; i < closure->names.count; i++) {
        const Symbol *symbol = closure->names.symbol[i];
        closure->saved[i] = cg->values[symbol->id];
        cg_bind(cg, symbol, cg_load_new(cg, symbol->type, cg_at(cg, state, closure_place(symbol, &at))));
    }
}

void cg_closure_leave(Cg *cg, Closure *closure) {
    for (int i = 0; i < closure->names.count; i++)
        cg->values[closure->names.symbol[i]->id] = closure->saved[i];
}

/* ---- functions ---- */

static void function_attributes(Cg *cg, LLVMValueRef function) {
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAttributeIndex whole = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;
    LLVMAddAttributeAtIndex(function, whole, LLVMCreateEnumAttribute(cg->context, nounwind, 0));
    if (!cg->wide) return;
    LLVMAddAttributeAtIndex(function, whole,
                            LLVMCreateStringAttribute(cg->context, "prefer-vector-width", 19, "512", 3));
}

void cg_fn_open(Cg *cg, Fn *fn, const char *name, LLVMTypeRef *params, int count) {
    fn->outer = cg->fn;
    fn->resume = fn->outer ? LLVMGetInsertBlock(cg->builder) : NULL;
    LLVMTypeRef type = LLVMFunctionType(cg->i32, params, (unsigned)count, false);
    fn->function = LLVMAddFunction(cg->module, name, type);
    if (fn->outer) LLVMSetUnnamedAddress(fn->function, LLVMGlobalUnnamedAddr); /* equal ones may become one */
    function_attributes(cg, fn->function);
    cg->fn = fn;
    fn->entry = cg_block(cg, "entry");
    fn->first = cg_block(cg, "");
    cg_goto(cg, fn->first);
}

void cg_fn_close(Cg *cg, Fn *fn) {
    LLVMPositionBuilderAtEnd(cg->allocas, fn->entry);
    LLVMBuildBr(cg->allocas, fn->first);
    cg->fn = fn->outer;
    if (fn->outer) cg_goto(cg, fn->resume);
}

/* ---- the program ---- */

/* The states of builders of these types may outlive their function: in the state of an iterate, or the result. */
static void keep_builders(Cg *cg, Type *type) {
    if (!type->builders || cg_keeps_builder(cg, type)) return;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) keep_builders(cg, type->args[i]);
        return;
    }
    if (cg->nkept_builders == KEPT_BUILDERS)
        cg->all_builders = true;
    else
        cg->kept_builders[cg->nkept_builders++] = type;
}

bool cg_keeps_builder(const Cg *cg, const Type *type) {
    bool kept = cg->all_builders;
    for (int i = 0; i < cg->nkept_builders && !kept; i++) kept = cg->kept_builders[i] == type;
    return kept;
}

static bool find_iterates(Walk *walk, Node **slot) {
    Cg *cg = walk->data;
    if ((*slot)->kind != N_Iterate) return true;
    cg->iterates = true;
    keep_builders(cg, (*slot)->type);
    return true;
}

/* The function of the whole program runs once, and has no loop of its own but for iterate: its loops are functions,
 * too. It is half of many programs, and the time to improve it would never come back. */
static void leave_as_it_is(Cg *cg, LLVMValueRef function) {
    static const char *const names[] = {"noinline", "optnone"};
    for (int i = 0; i < 2; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(names[i], strlen(names[i]));
        LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(cg->context, kind, 0));
    }
}

/* The list of kept functions that LLVM knows as llvm.compiler.used. */
static void keep_functions(Cg *cg) {
    if (!cg->nkept) return;
    LLVMTypeRef type = LLVMArrayType2(cg->ptr, (uint64_t)cg->nkept);
    LLVMValueRef list = LLVMAddGlobal(cg->module, type, "llvm.compiler.used");
    LLVMSetInitializer(list, LLVMConstArray2(cg->ptr, cg->kept, (uint64_t)cg->nkept));
    LLVMSetLinkage(list, LLVMAppendingLinkage);
    LLVMSetSection(list, "llvm.metadata");
}

bool cg_program(Cg *cg) {
    Node *root = cg->program->root;
    Walk walk = {cg->program, find_iterates, NULL, cg};
    keep_builders(cg, root->kids[0]->type);
    node_walk(&walk, &root);
    if (!cg_release_open(cg) || !cg_probes_open(cg)) return false;
    LLVMTypeRef params[3] = {cg->ptr, cg->ptr, cg->ptr};
    Fn fn = {.outlines = true};
    cg_fn_open(cg, &fn, "weld_run", params, 3);
    if (!cg->iterates) leave_as_it_is(cg, fn.function);
    fn.worker = LLVMGetParam(fn.function, 0);
    const Type *arguments = program_argument_type(cg->program);
    for (int i = 0; i < root->nparams; i++) {
        LLVMValueRef at = cg_at(cg, LLVMGetParam(fn.function, 1), arguments->offsets[i]);
        cg_bind(cg, root->params[i], cg_load_new(cg, arguments->args[i], at));
    }
    cg_store(cg, root->kids[0]->type, cg_expr(cg, root->kids[0]), LLVMGetParam(fn.function, 2), NULL);
    LLVMBuildRet(cg->builder, cg_i32(cg, 0));
    cg_fn_close(cg, &fn);
    keep_functions(cg);
    return cg->error->code == E_None && !cg->program->arena.exhausted;
}
