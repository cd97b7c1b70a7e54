/* emission.c: what lazy values were told to compute: texts, each read and typed once.
 *
 * A library emits the same few texts again and again, over values of the same few types. An Emission is a text, the
 * name of the function that emitted it, and the types of its parameters: looked up in a table, so that emitting costs
 * a hash of the text, and merging copies typed nodes (lang/splice.c) instead of reading text.
 *
 *     ("ndarray.add", "|a, b| map(zip(a, b), |e| e.$0 + e.$1)", vec[f64], vec[f64])  ->  typed function, vec[f64]
 *
 * Texts that hold constants are many and short-lived. So the typed functions lie packed in shelves, programs that hold
 * many functions and are freed when nobody uses any of them. One with derivatives lies there twice, with them taken and as
 * it was typed: a budget is known only when values are evaluated, and then gradients may keep less (recipe_program). The table belongs to the process, like the cache of
 * units and for the same reasons (cache.c); it is guarded by a lock that merging takes to read and emitting to write,
 * and holds at most MOST emissions that no lazy value uses.
 */
#include "lazy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, MOST = 1 << 12, SHELF_BYTES = 1 << 20 };

/* Under the lock. */
struct Shelf {
    Program *program; /* whose nodes the functions are; it has no root */
    int64_t emissions;
};

static struct Table {
    pthread_rwlock_t lock;
    Emission *bucket[BUCKETS];
    Emission *oldest, *newest; /* all, by when they were made */
    int64_t count;
    Shelf *open; /* takes the next function */
} table = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static const Span nowhere = {0, 0, 0};

void emissions_read_begin(void) {
    pthread_rwlock_rdlock(&table.lock);
}

void emissions_read_end(void) {
    pthread_rwlock_unlock(&table.lock);
}

const Program *emission_program(const Emission *emission) {
    return emission->shelf->program;
}

/* ---- the table; the lock is held to write ---- */

static void shelf_drop(Shelf *shelf) {
    if (--shelf->emissions > 0) return;
    program_free(shelf->program);
    free(shelf);
}

static void unlink_age(Emission *emission) {
    *(emission->older ? &emission->older->newer : &table.oldest) = emission->newer;
    *(emission->newer ? &emission->newer->older : &table.newest) = emission->older;
}

static void link_newest(Emission *emission) {
    emission->older = table.newest;
    emission->newer = NULL;
    *(table.newest ? &table.newest->newer : &table.oldest) = emission;
    table.newest = emission;
}

static void forget(Emission *emission) {
    Emission **link = &table.bucket[emission->hash % BUCKETS];
    while (*link != emission) link = &(*link)->next;
    *link = emission->next;
    unlink_age(emission);
    table.count--;
    shelf_drop(emission->shelf);
    free(emission->key.text);
    free(emission);
}

/* Forgets the oldest ones that only the table knows. One in use is passed over once and counts as new. */
static void tidy(void) {
    for (int64_t tries = 8; table.count > MOST && tries > 0; tries--) {
        Emission *oldest = table.oldest;
        if (atomic_load(&oldest->refs) == 1) {
            forget(oldest);
        } else {
            unlink_age(oldest);
            link_newest(oldest);
        }
    }
}

static Emission *look_up(const Buf *key, uint64_t hash) {
    for (Emission *e = table.bucket[hash % BUCKETS]; e; e = e->next) {
        if (e->hash == hash && e->key.length == key->length && !memcmp(e->key.text, key->text, key->length))
            return emission_hold(e);
    }
    return NULL;
}

/* The shelf that takes the next function; NULL: no memory. */
static Shelf *shelf_open(void) {
    Shelf *shelf = table.open;
    if (shelf && shelf->program->arena.next - shelf->program->arena.base < SHELF_BYTES) return shelf;
    Shelf *fresh = calloc(1, sizeof *fresh);
    Program *program = fresh ? program_new("", "", 0) : NULL;
    if (!program) {
        free(fresh);
        return NULL;
    }
    fresh->program = program;
    fresh->emissions = 1; /* while it is open */
    table.open = fresh;
    if (shelf) shelf_drop(shelf);
    return fresh;
}

/* The function that a callback's signature |a: A, b: B, r: R| stands for: A and B to R. */
static Type *callback_type(Program *program, const Node *lambda, int traits) {
    int count = lambda->nparams;
    Type **parts = arena_alloc(&program->arena, sizeof *parts * (size_t)(count + 1));
    for (int i = 0; parts && i < count; i++) parts[i] = lambda->params[i]->type;
    return parts ? type_make(&program->types, TY_function, (Op)traits, count, parts) : NULL;
}

/* Moves a typed program's function to a shelf; plain: the program before its derivatives were taken, or NULL. */
static bool shelve(Emission *emission, const Program *typed, const Program *plain, int callback) {
    Shelf *shelf = shelf_open();
    Splice splice, before;
    if (!shelf || !splice_open(&splice, shelf->program, typed, true)) return false;
    Program *program = shelf->program;
    Buf text = {0};
    emission->function = splice_function(&splice, typed->root);
    emission->result = emission->function->count ? emission->function->kids[0]->type : NULL;
    emission->depth = typed->depth;
    if (plain && !splice_open(&before, program, plain, true)) return false;
    if (plain) emission->plain = splice_function(&before, plain->root);
    if (callback >= 0 && emission->result)
        emission->result = callback_type(program, emission->function, callback);
    if (emission->result) type_print(&text, emission->result);
    if (callback > 0) /* it is a part of the keys of what calls it */
        buf_printf(&text, "%s%s", callback & CALLBACK_PURE ? " pure" : "",
                   callback & CALLBACK_THREADSAFE ? " threadsafe" : "");
    if (text.text && !text.failed)
        emission->result_text = arena_copy(&program->arena, text.text, text.length);
    buf_release(&text);
    if (program->arena.exhausted || !emission->result_text) return false;
    emission->shelf = shelf;
    shelf->emissions++;
    return true;
}

static Emission *add(Buf *key, uint64_t hash, const Program *typed, const Program *plain, int callback,
                     Error *error) {
    Emission *emission = calloc(1, sizeof *emission);
    if (!emission || !shelve(emission, typed, plain, callback)) {
        free(emission);
        error_set(error, E_OutOfMemory, nowhere, "no memory for a lazy value");
        return NULL;
    }
    atomic_init(&emission->refs, 2); /* the table's, and the caller's */
    emission->key = *key;
    emission->name = key->text;
    emission->text = key->text + strlen(key->text) + 1;
    *key = (Buf){0};
    emission->hash = hash;
    emission->next = table.bucket[hash % BUCKETS];
    table.bucket[hash % BUCKETS] = emission;
    link_newest(emission);
    table.count++;
    tidy();
    return emission;
}

/* ---- reading ---- */

/* The parameters' types are known; the result's is found. */
static Type *wanted(Program *program, const Type *const *types, int64_t count) {
    Type **parts = arena_alloc(&program->arena, sizeof *parts * ((size_t)count + 1));
    if (!parts) return NULL;
    for (int64_t i = 0; i < count; i++) parts[i] = type_import(&program->types, types[i]);
    parts[count] = type_unknown(&program->types);
    return type_make(&program->types, TY_function, OP_none, (int)count + 1, parts);
}

/* Parameters that are C functions are read as their addresses. False: no memory. */
static bool prepare_callbacks(Program *program, const Type **types, int64_t count) {
    static const Annotation pure = {"pure", "true", NULL}, threadsafe = {"threadsafe", "true", NULL};
    static const Annotation both = {"pure", "true", (Annotation *)(uintptr_t)&threadsafe};
    static const Annotation *const notes[] = {NULL, &pure, &threadsafe, &both};
    const Type **callbacks = arena_alloc(&program->arena, sizeof *callbacks * (size_t)(count + 1));
    const Annotation **each = arena_alloc(&program->arena, sizeof *each * (size_t)(count + 1));
    for (int64_t i = 0; callbacks && each && i < count; i++) {
        if (types[i]->kind != TY_function) continue;
        callbacks[i] = types[i];
        each[i] = notes[types[i]->op]; /* see emission_of_callback */
        types[i] = type_scalar(&program->types, TY_i64);
    }
    program->callbacks = callbacks;
    program->callback_notes = each;
    return callbacks && each;
}

static void derive_typed(void *data) {
    program_derive(data); /* or its error is set */
}

/* Takes the derivatives of a typed program; *plain becomes a copy from before. False: error set. */
static bool derive(Program *program, Program **plain) {
    Splice splice;
    *plain = program_new("", "", 0);
    bool ok = *plain && splice_open(&splice, *plain, program, true);
    if (ok) (*plain)->root = splice_function(&splice, program->root);
    ok = ok && !(*plain)->arena.exhausted && run_deep((size_t)program->depth, derive_typed, program);
    return ok || error_set(&program->error, E_OutOfMemory, nowhere, "no memory for a derivative");
}

/* *plain: the program before its derivatives were taken, for the caller to free; NULL: it has none. */
static bool read_and_type(Program *program, const Type *const *given, int64_t count, Program **plain) {
    const Type **types = given ? arena_alloc(&program->arena, sizeof *types * (size_t)(count + 1)) : NULL;
    if (types && count) memcpy(types, given, sizeof *types * (size_t)count);
    if (given && (!types || !prepare_callbacks(program, types, count))) return false;
    if (!program_read(program)) return false;
    if (types && program->root->nparams != count) {
        return error_set(&program->error, E_Type, program->root->span,
                         "the function has %d parameter%s, but %lld value%s given", program->root->nparams,
                         program->root->nparams == 1 ? "" : "s", (long long)count,
                         count == 1 ? " is" : "s are");
    }
    Type *want = types ? wanted(program, types, count) : NULL;
    program->postpone = true;
    if ((types && !want) || !program_infer(program, want)) return false;
    if (program->derived && (!derive(program, plain) || program->error.code != E_None)) return false;
    if (!program_verify(program)) return false;
    program->callbacks = NULL; /* the arrays end with this program, not with its copies */
    const Type *result = program_result_type(program);
    return !result->builders || error_set(&program->error, E_Type, program->root->span,
                                          "a lazy value cannot be a builder; take its result");
}

static void key_print(Buf *key, const char *name, const char *text, const char *const *type_texts,
                      int64_t count) {
    buf_put(key, name, strlen(name) + 1);
    buf_put(key, text, strlen(text) + 1);
    for (int64_t i = 0; i < count; i++) buf_put(key, type_texts[i], strlen(type_texts[i]) + 1);
}

/* A callback is called by value. */
static bool are_scalars(Program *program) {
    const Node *root = program->root;
    for (int i = 0; i < root->nparams; i++) {
        if (!type_is_scalar(root->params[i]->type))
            return error_set(&program->error, E_Type, root->span, "a callback takes and returns scalars");
    }
    return true;
}

/* callback: -1, or the traits of the callback whose signature the text is. */
static Emission *find(const char *name, const char *text, const Type *const *types,
                      const char *const *type_texts, int64_t count, int callback, Error *error,
                      weld_error_t handle) {
    Buf key = {0};
    key_print(&key, name, text, type_texts, count);
    uint64_t hash = key.failed ? 0 : hash_bytes(key.text, (int64_t)key.length);
    emissions_read_begin();
    Emission *found = key.failed ? NULL : look_up(&key, hash);
    emissions_read_end();
    Program *program = NULL, *plain = NULL;
    if (!found && !key.failed) program = program_open(name, text, strlen(text));
    if (!found && !program) error_set(error, E_OutOfMemory, nowhere, "no memory for a lazy value");
    if (program && read_and_type(program, types, count, &plain) && (callback < 0 || are_scalars(program))) {
        pthread_rwlock_wrlock(&table.lock);
        found = look_up(&key, hash); /* of a thread that was faster */
        if (!found) found = add(&key, hash, program, plain, callback, error);
        pthread_rwlock_unlock(&table.lock);
    } else if (program) {
        error_set(error, program->error.code, program->error.span, "%s", program->error.text);
    }
    report(handle, error, program);
    program_free(program);
    program_free(plain);
    buf_release(&key);
    return found;
}

Emission *emission_find(const char *name, const char *text, const Type *const *types,
                        const char *const *type_texts, int64_t count, Error *error, weld_error_t handle) {
    return find(name, text, types, type_texts, count, -1, error, handle);
}

Emission *emission_of_callback(const char *signature, int traits, Error *error, weld_error_t handle) {
    static const char *const names[] = {"callback", "callback, pure", "callback, threadsafe",
                                        "callback, pure and threadsafe"};
    return find(names[traits & 3], signature, NULL, NULL, 0, traits & 3, error, handle);
}

Emission *emission_hold(Emission *emission) {
    atomic_fetch_add_explicit(&emission->refs, 1, memory_order_relaxed);
    return emission;
}

/* The table keeps a reference: what nobody uses goes when it is among the oldest. */
void emission_drop(Emission *emission) {
    if (emission) atomic_fetch_sub_explicit(&emission->refs, 1, memory_order_acq_rel);
}

/* When the library goes, so does what nobody uses. */
__attribute__((destructor)) static void emissions_release(void) {
    pthread_rwlock_wrlock(&table.lock);
    for (Emission *e = table.oldest, *newer; e; e = newer) {
        newer = e->newer;
        if (atomic_load(&e->refs) == 1) forget(e);
    }
    Shelf *open = table.open;
    table.open = NULL;
    if (open) shelf_drop(open);
    pthread_rwlock_unlock(&table.lock);
}
