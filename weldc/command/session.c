/* session.c: what stays from input to input: values, functions, macros, type aliases.
 *
 * A value is computed once and then handed to later programs as a parameter. Functions, macros and aliases
 * stay as text that is put before later programs. After
 *
 *     let x = 2; let f = |a: i32| a * x; let x = 10;
 *
 * the input `f(x)` becomes, each name meaning what it meant where it was used,
 *
 *     |x__0: i32, x__2: i32| let x = x__0; let f = |a: i32| a * x; let x = x__2; f(x)
 *
 * and without a second x simply `|x: i32| f(x)`. Only names that the input needs are passed. An input that is
 * a function itself gets the session's values as parameters before its own. Positions of errors are mapped
 * back to the input.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"

typedef struct Entry {
    StatementKind kind; /* ST_let: a value, or a function if `held` is NULL */
    char *name, *text;
    Words words; /* of the text */
    Held *held;
} Entry;

struct Session {
    weld_conf_t conf;
    weld_context_t context;
    Entry *entries;
    int count;
};

/* ---- values
 * -------------------------------------------------------------------------------------------------- */

static void held_free(Held *held) {
    for (int i = 0; i < held->use_count; i++) held_drop(held->uses[i]);
    weld_value_free(held->value);
    if (held->inputs) inputs_release(held->inputs);
    free(held->inputs);
    free(held->uses);
    free(held);
}

void held_drop(Held *held) {
    if (held && --held->refs == 0) held_free(held);
}

/* A result, which may point into the values that its program took. */
static Held *held_result(weld_value_t value, const Composed *composed) {
    Held *held = calloc(1, sizeof *held);
    if (!held) return NULL;
    *held = (Held){.refs = 1, .type = value_type(value), .data = weld_value_data(value), .value = value};
    if (!held->type->pointers || !composed->count) return held;
    held->uses = calloc((size_t)composed->count, sizeof(Held *));
    if (!held->uses) {
        free(held);
        return NULL;
    }
    for (int i = 0; i < composed->count; i++) {
        held->uses[held->use_count++] = composed->params[i];
        composed->params[i]->refs++;
    }
    return held;
}

bool session_load(Session *session, const char *path, Held **out, Fault *fault) {
    (void)session;
    Held *held = calloc(1, sizeof *held);
    Inputs *inputs = calloc(1, sizeof *inputs);
    if (!held || !inputs || !inputs_init(inputs, fault)) {
        free(held);
        free(inputs);
        return fault_set(fault, E_OutOfMemory, "no memory for a value");
    }
    *held = (Held){.refs = 1, .inputs = inputs};
    Datum datum;
    if (!inputs_file(inputs, path, NULL, SHARE_whole, &datum, fault)) {
        held_drop(held);
        return false;
    }
    held->type = datum.type;
    held->data = datum.data;
    *out = held;
    return true;
}

/* ---- names
 * ------------------------------------------------------------------------------------------------------ */

Session *session_new(weld_conf_t conf) {
    Session *session = calloc(1, sizeof *session);
    if (!session) return NULL;
    session->conf = conf;
    session->context = weld_context_new(conf);
    if (session->context) return session;
    free(session);
    return NULL;
}

static void entry_release(Entry *entry) {
    held_drop(entry->held);
    words_release(&entry->words);
    free(entry->name);
    free(entry->text);
}

void session_free(Session *session) {
    if (!session) return;
    for (int i = 0; i < session->count; i++) entry_release(&session->entries[i]);
    free(session->entries);
    weld_context_free(session->context);
    free(session);
}

weld_conf_t session_conf(const Session *session) {
    return session->conf;
}
int64_t session_peak(const Session *session) {
    return context_peak(session->context);
}

static bool words_mention(const Words *words, const char *text, const char *name) {
    size_t length = strlen(name);
    for (int i = 0; i < words->count; i++) {
        const Word *word = &words->items[i];
        if (word->kind == TK_ident && word->end - word->begin == length &&
            strncmp(text + word->begin, name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Is the entry hidden by a later one, and seen by no function that lies between? */
static bool entry_dead(const Session *session, int at) {
    const Entry *entry = &session->entries[at];
    for (int i = at + 1; i < session->count; i++) {
        const Entry *later = &session->entries[i];
        bool seen = later->text && words_mention(&later->words, later->text, entry->name);
        if (seen && entry->kind == ST_let) return false;
        if (later->kind == entry->kind && strcmp(later->name, entry->name) == 0) return true;
    }
    return false;
}

static void entries_sweep(Session *session) {
    for (int i = session->count - 2; i >= 0; i--) {
        if (!entry_dead(session, i)) continue;
        entry_release(&session->entries[i]);
        session->count--;
        memmove(&session->entries[i], &session->entries[i + 1], sizeof(Entry) * (size_t)(session->count - i));
    }
}

static bool entry_add(Session *session, Entry entry, Fault *fault) {
    Entry *entries = realloc(session->entries, sizeof *entries * (size_t)(session->count + 1));
    if (entries) session->entries = entries;
    if (!entries || !entry.name) {
        entry_release(&entry);
        return fault_set(fault, E_OutOfMemory, "no memory for a name");
    }
    entries[session->count++] = entry;
    entries_sweep(session);
    return true;
}

bool session_bind(Session *session, const char *name, Held *held, Fault *fault) {
    return entry_add(session, (Entry){.kind = ST_let, .name = strdup(name), .held = held}, fault);
}

bool session_define(Session *session, StatementKind kind, const char *name, const char *text, size_t length,
                    Fault *fault) {
    Entry entry = {.kind = kind, .name = strdup(name), .text = strndup(text, length)};
    if (entry.text && words_of(entry.text, length, &entry.words)) return entry_add(session, entry, fault);
    entry_release(&entry);
    return fault_set(fault, E_OutOfMemory, "no memory for a definition");
}

bool session_has(const Session *session, const char *name, bool function) {
    for (int i = session->count - 1; i >= 0; i--) {
        const Entry *entry = &session->entries[i];
        if (entry->kind == ST_let && strcmp(entry->name, name) == 0) return !entry->held == function;
    }
    return false;
}

void session_names(const Session *session, Buf *out) {
    for (int i = 0; i < session->count; i++) {
        const Entry *entry = &session->entries[i];
        if (entry->held) {
            buf_printf(out, "%s: ", entry->name);
            type_print(out, entry->held->type);
            buf_put(out, "\n", 1);
        } else {
            buf_printf(out, "%s;\n", entry->text);
        }
    }
}

bool session_set(Session *session, const char *key, const char *value, Fault *fault) {
    const char *before = weld_conf_get(session->conf, key);
    char *old = before ? strdup(before) : NULL;
    Options options;
    Error error = {0};
    weld_conf_set(session->conf, key, value);
    weld_context_t context =
        conf_options(session->conf, &options, &error) ? weld_context_new(session->conf) : NULL;
    if (context) {
        weld_context_free(session->context); /* values keep theirs alive */
        session->context = context;
    } else {
        weld_conf_set(session->conf, key, old);
        fault_set(fault, error.code ? error.code : E_Setting, "%s",
                  error.code ? error.text : "it cannot be used");
    }
    free(old);
    return context != NULL;
}

/* ---- composing
 * ---------------------------------------------------------------------------------------------------- */

typedef struct Composer {
    const Session *session;
    const char *input;
    const Words *words;
    const Statement *part;
    bool *needed; /* of each entry */
    Buf out;
    Composed *composed;
    int open, close; /* of an input that is a function: its bars; -1: none */
} Composer;

/* Does the input's own parameter list bind this name? */
static bool own_parameter(const Composer *c, const char *name, size_t length) {
    for (int i = c->open + 1; c->open >= 0 && i < c->close; i++) {
        const Word *word = &c->words->items[i];
        if (word->kind != TK_ident || (!word_is(c->words, i - 1, ",") && i != c->open + 1)) continue;
        if (word->end - word->begin == length && strncmp(c->input + word->begin, name, length) == 0)
            return true;
    }
    return false;
}

/* Marks what the words [first, last) of a text need of the entries before `limit`. */
static void mark(Composer *c, const char *text, const Words *words, int first, int last, int limit,
                 bool input) {
    for (int i = first; i < last; i++) {
        const Word *word = &words->items[i];
        size_t length = word->end - word->begin;
        if (word->kind != TK_ident || word_is(words, i - 1, ".")) continue;
        for (int e = limit - 1; e >= 0; e--) {
            const Entry *entry = &c->session->entries[e];
            if (entry->kind == ST_type || strlen(entry->name) != length) continue;
            if (strncmp(entry->name, text + word->begin, length)) continue;
            if (input && entry->kind == ST_let && own_parameter(c, entry->name, length)) break;
            if (!c->needed[e]) {
                c->needed[e] = true;
                int scope = entry->kind == ST_macro ? c->session->count : e;
                if (entry->text) mark(c, entry->text, &entry->words, 0, entry->words.count, scope, false);
            }
            if (entry->kind == ST_let) break;
        }
    }
}

/* The bars around the parameters of an input that is a function. */
static void find_bars(Composer *c) {
    c->open = c->close = -1;
    if (!c->part->function || c->part->kind != ST_expression) return;
    int at = c->part->first, depth = 0;
    while (word_is(c->words, at, "(")) at++;
    c->open = c->close = at;
    if (word_is(c->words, at, "||")) return;
    for (int i = at + 1; i < c->part->last; i++) {
        if (word_is(c->words, i, "[") || word_is(c->words, i, "{") || word_is(c->words, i, "(")) depth++;
        if (word_is(c->words, i, "]") || word_is(c->words, i, "}") || word_is(c->words, i, ")")) depth--;
        if (depth == 0 && word_is(c->words, i, "|")) {
            c->close = i;
            return;
        }
    }
    c->open = c->close = -1; /* the parser will complain */
}

/* Are there two needed values or functions of this name? */
static bool is_twofold(const Composer *c, const char *name) {
    int count = 0;
    for (int i = 0; i < c->session->count; i++) {
        const Entry *entry = &c->session->entries[i];
        count += c->needed[i] && entry->kind == ST_let && strcmp(entry->name, name) == 0;
    }
    return count > 1;
}

static bool is_value(const Composer *c, int i) {
    return c->needed[i] && c->session->entries[i].kind == ST_let && c->session->entries[i].held;
}

/* `x: vec[i64], y__3: f64` */
static void put_parameters(Composer *c) {
    Composed *composed = c->composed;
    for (int i = 0; i < c->session->count; i++) {
        const Entry *entry = &c->session->entries[i];
        if (!is_value(c, i)) continue;
        buf_printf(&c->out, "%s%s", composed->count ? ", " : "", entry->name);
        if (is_twofold(c, entry->name)) buf_printf(&c->out, "__%d", i);
        buf_printf(&c->out, ": ");
        type_print(&c->out, entry->held->type);
        composed->params[composed->count++] = entry->held;
        entry->held->refs++;
    }
}

/* The functions, and the values whose name means two things. */
static void put_lets(Composer *c) {
    for (int i = 0; i < c->session->count; i++) {
        const Entry *entry = &c->session->entries[i];
        if (is_value(c, i) && is_twofold(c, entry->name)) {
            buf_printf(&c->out, "let %s = %s__%d;\n", entry->name, entry->name, i);
        } else if (c->needed[i] && entry->kind == ST_let && !entry->held) {
            buf_printf(&c->out, "%s;\n", entry->text);
        }
    }
}

static void put_piece(Composer *c, size_t from, size_t to) {
    c->composed->pieces[c->composed->piece_count++] = (struct Piece){c->out.length, from, to - from};
    buf_put(&c->out, c->input + from, to - from);
}

/* Is this the entry that the input, a macro or alias, is going to replace? */
static bool is_replaced(const Composer *c, const Entry *entry) {
    if (entry->kind != c->part->kind || c->part->last < c->part->first + 2) return false;
    const Word *name = &c->words->items[c->part->first + 1];
    return strlen(entry->name) == name->end - name->begin &&
           strncmp(entry->name, c->input + name->begin, name->end - name->begin) == 0;
}

/* Aliases, then macros, as the grammar wants it; the input among them if it is one. */
static void put_definitions(Composer *c, size_t from, size_t to) {
    static const StatementKind order[] = {ST_type, ST_macro};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        for (int i = 0; i < c->session->count; i++) {
            const Entry *entry = &c->session->entries[i];
            if (entry->kind == order[k] && !is_replaced(c, entry)) buf_printf(&c->out, "%s;\n", entry->text);
        }
        if (c->part->kind != order[k]) continue;
        put_piece(c, from, to);
        buf_printf(&c->out, ";\n");
    }
}

/* An input that is a function: the session's values go before its parameters, functions before its body. */
static void put_function(Composer *c, size_t from, size_t to) {
    const Word *words = c->words->items;
    if (c->open == c->close) { /* || */
        put_piece(c, from, words[c->open].begin);
        buf_put(&c->out, "|", 1);
        put_parameters(c);
        buf_put(&c->out, "|", 1);
    } else {
        put_piece(c, from, words[c->open].end);
        put_parameters(c);
        if (c->composed->count && c->close > c->open + 1) buf_put(&c->out, ", ", 2);
        put_piece(c, words[c->open].end, words[c->close].end);
    }
    put_lets(c);
    put_piece(c, words[c->close].end, to);
}

static void compose(Composer *c, const char *binding) {
    const Statement *part = c->part;
    bool empty = part->last <= part->first;
    size_t from = empty ? 0 : c->words->items[part->first].begin;
    size_t to = empty || c->words->broken ? c->composed->input_length : c->words->items[part->last - 1].end;
    put_definitions(c, from, to);
    if (part->kind == ST_macro || part->kind == ST_type) {
        buf_put(&c->out, "0", 1);
    } else if (c->open >= 0) {
        put_function(c, from, to);
    } else {
        bool any = false;
        for (int i = 0; i < c->session->count; i++) any |= is_value(c, i);
        if (any) {
            buf_put(&c->out, "|", 1);
            put_parameters(c);
            buf_put(&c->out, "|\n", 2);
        }
        put_lets(c);
        put_piece(c, from, to);
    }
    if (binding) buf_printf(&c->out, "; %s", binding);
}

bool session_compose(const Session *session, const char *input, size_t length, const Words *words,
                     const Statement *part, const char *binding, Composed *out, Fault *fault) {
    Composer c = {.session = session, .input = input, .words = words, .part = part, .composed = out};
    size_t room = (size_t)session->count + 1;
    *out = (Composed){.input = input, .input_length = length, .params = calloc(room, sizeof(Held *))};
    c.needed = calloc(room, sizeof *c.needed);
    if (c.needed && out->params) {
        find_bars(&c);
        mark(&c, input, words, part->first, part->last, session->count, true);
        compose(&c, binding);
    }
    free(c.needed);
    buf_put(&c.out, "", 0);
    out->text = (Text){"<session>", c.out.text, c.out.length};
    if (c.needed && out->params && !c.out.failed && c.out.text) return true;
    composed_release(out);
    return fault_set(fault, E_OutOfMemory, "no memory for the program");
}

void composed_release(Composed *composed) {
    for (int i = 0; i < composed->count; i++) held_drop(composed->params[i]);
    free(composed->params);
    text_release(&composed->text);
    *composed = (Composed){0};
}

bool composed_fault(const Composed *composed, const Error *error, Fault *fault) {
    Error moved = *error;
    for (int i = 0; error->span.source == 0 && i < composed->piece_count; i++) {
        const struct Piece *piece = &composed->pieces[i];
        if (error->span.begin < piece->at || error->span.begin > piece->at + piece->length) continue;
        if (error->span.begin == piece->at + piece->length && i + 1 < composed->piece_count) continue;
        size_t begin = error->span.begin - piece->at + piece->from,
               width = error->span.end - error->span.begin;
        size_t most = composed->input_length - begin;
        moved.span.begin = (uint32_t)begin;
        moved.span.end = (uint32_t)(begin + (width < most ? width : most));
        Text text = {"<input>", (char *)composed->input, composed->input_length};
        return fault_of_program(fault, &moved, &text);
    }
    return fault_of_program(fault, error, &composed->text);
}

/* ---- programs
 * ------------------------------------------------------------------------------------------------------- */

bool composed_type(const Composed *composed, Buf *out, Fault *fault) {
    const Text *text = &composed->text;
    Program *program = program_open(text->name, text->bytes, text->length);
    if (!program) return fault_set(fault, E_OutOfMemory, "no memory for the program");
    bool ok = program_read(program) && program_infer(program, NULL) && program_verify(program);
    if (!ok) {
        composed_fault(composed, &program->error, fault);
    } else if (program->root->nparams > composed->count) {
        const Type *type = program->root->type;
        for (int i = composed->count; i + 1 < type->count; i++) {
            buf_put(out, i > composed->count ? "," : "|", 1);
            type_print(out, type->args[i]);
        }
        buf_put(out, "| ", 2);
        type_print(out, type->args[type->count - 1]);
    } else {
        type_print(out, program_result_type(program));
    }
    program_free(program);
    return ok;
}

bool session_run(Session *session, const Composed *composed, Held **held, Times *times, Fault *fault) {
    const Text *text = &composed->text;
    Error error = {0};
    *held = NULL;
    weld_module_t module =
        module_compile(text->name, text->bytes, text->length, NULL, session->conf, &error, &times->compile);
    if (!module) return composed_fault(composed, &error, fault);
    const Type *type = module_argument_type(module);
    bool ok = type->count > composed->count;
    char *args = ok ? NULL : calloc(1, type->size > 0 ? (size_t)type->size : 1);
    if (args) {
        for (int i = 0; i < composed->count; i++) {
            memcpy(args + type->offsets[i], composed->params[i]->data, (size_t)type->args[i]->size);
        }
        double start = now_ms();
        weld_value_t value = module_run(module, session->context, args, &cancel_flag, &error);
        times->run_ms = now_ms() - start;
        snprintf(times->tier, sizeof times->tier, "%s", module_tier(module));
        *held = value ? held_result(value, composed) : NULL;
        ok = *held != NULL;
        if (!value) composed_fault(composed, &error, fault);
        if (value && !ok) weld_value_free(value);
    }
    if (!ok) fault_set(fault, E_OutOfMemory, "no memory for the run");
    free(args);
    weld_module_free(module);
    return ok;
}
