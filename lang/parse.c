/* parse.c: from text to nodes whose names are still text.
 *
 * Recursive descent; infix operators by precedence climbing over the precedence column of scalar.def, with
 * && (2) and || (1) below it:
 *
 *     program  := { type NAME = T ; | macro NAME ( NAME, .. ) = expr ; } expr
 *     expr     := { let NAME [: T] = expr ; } ( lambda | binary )
 *     lambda   := || expr  |  '|' NAME [: T], .. '|' expr
 *     binary   := ascribed { OP binary }       a tighter OP on the right; all group to the left
 *     ascribed := prefix [: T]
 *     prefix   := (- | ! | ~) prefix  |  [@(key: value, ..)] postfix
 *     postfix  := atom { .$N | ( expr, .. ) }
 *
 * Everything written `name(..)` goes through one rule that takes name, node and arity from the tables. A list
 * may end in a comma. Lets are a loop, so that ten thousand of them need no stack.
 *
 * Leaves to resolve.c: names are text; For has three kids; Zip, Iter, macros and functions stand as written.
 * Limits: program->depth says how deep the recursion may go; a text that needs more sets it to 0 and fails.
 * Precedence climbing: Richards and Whitby-Strevens, "BCPL", 1980.
 */
#include "lang.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_CHAIN = 20000, /* of operators or fields: each is a level of the tree */
    DEEPEST_TYPE = 200,
    LARGEST_TYPE = 10000, /* constructors, aliases spelled out */
    MOST_PARAMS = 1000    /* of a macro */
};

typedef struct Parser {
    Program *program;
    Lexer lexer;
    Token token;       /* the one to be read next */
    uint32_t last_end; /* where the one before it ended */
    void **stack;      /* items of the lists that are open; malloc */
    size_t top, room;
    int depth, type_depth;
    Macro **macros;
} Parser;

static Node *parse_expr(Parser *p);
static Node *parse_binary(Parser *p, int least);

/* ---- tokens, errors, lists ---- */

static uint64_t spell(const char *s) {
    return (unsigned char)s[0] | (s[0] ? (uint64_t)(unsigned char)s[1] << 8 : 0);
}

static bool at(const Parser *p, const char *punct) {
    return p->token.kind == TK_punct && p->token.bits == spell(punct);
}

static const Name *word_at(const Parser *p) {
    return p->token.kind == TK_ident ? name_of(p->token.text) : NULL;
}

static bool at_word(const Parser *p, const char *word) {
    return p->token.kind == TK_ident && strcmp(p->token.text, word) == 0;
}

static void advance(Parser *p) {
    p->last_end = p->token.span.end;
    p->token = lex_next(&p->lexer);
}

static bool take(Parser *p, const char *punct) {
    bool found = at(p, punct);
    if (found) advance(p);
    return found;
}

static Span since(const Parser *p, uint32_t begin) {
    return (Span){p->lexer.source, begin, p->last_end > begin ? p->last_end : begin};
}

/* "expected WHAT, found 'x'". Always false. */
static bool expected(Parser *p, const char *what, ...) __attribute__((format(printf, 2, 3)));
static bool expected(Parser *p, const char *what, ...) {
    char wanted[200], found[64];
    va_list args;
    va_start(args, what);
    vsnprintf(wanted, sizeof wanted, what, args);
    va_end(args);
    const Token *token = &p->token;
    const char *text = p->program->source[p->lexer.source].text + token->span.begin;
    int length = (int)(token->span.end - token->span.begin);
    if (token->kind == TK_end) {
        snprintf(found, sizeof found, "the end of the text");
    } else if (token->kind == TK_string) {
        snprintf(found, sizeof found, "a string");
    } else {
        const char *kind = token->kind == TK_ident && name_of(token->text)->word ? "the keyword " : "";
        snprintf(found, sizeof found, "%s'%.*s%s'", kind, length > 32 ? 32 : length, text,
                 length > 32 ? "..." : "");
    }
    return error_set(&p->program->error, E_Syntax, token->span, "expected %s, found %s", wanted, found);
}

static bool fail(Parser *p, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fail(Parser *p, Span span, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(&p->program->error, E_Syntax, span, "%s", text);
}

static bool want(Parser *p, const char *punct, const char *why) {
    return take(p, punct) || expected(p, "'%s'%s%s", punct, *why ? " " : "", why);
}

/* Of lists, parameters and prefixes: one level deeper. */
static bool deeper(Parser *p) {
    if (p->depth >= p->program->depth) {
        p->program->depth = 0;
        return fail(p, p->token.span, "the program is nested too deeply");
    }
    if (p->program->arena.exhausted)
        return error_set(&p->program->error, E_OutOfMemory, p->token.span,
                         "no memory for a program this large");
    p->depth++;
    return true;
}

/* One more link of `a + b + c` or `a.$0.$1`, which deepen the tree on its left. */
static bool chain(Parser *p, int *links) {
    return ++*links < LONGEST_CHAIN || fail(p, p->token.span, "the program is nested too deeply");
}

static bool push(Parser *p, void *item) {
    if (p->top == p->room) {
        size_t room = p->room ? p->room * 2 : 64;
        void **stack = realloc(p->stack, room * sizeof *stack);
        if (!stack) return error_set(&p->program->error, E_OutOfMemory, p->token.span, "no memory to parse");
        p->stack = stack;
        p->room = room;
    }
    p->stack[p->top++] = item;
    return true;
}

/* Moves the topmost `count` items into memory of the program. */
static void *pop(Parser *p, int count) {
    size_t bytes = sizeof(void *) * (size_t)count;
    void *items = arena_alloc(&p->program->arena, bytes ? bytes : 1);
    p->top -= (size_t)count;
    if (items && bytes) memcpy(items, p->stack + p->top, bytes);
    if (!items) error_set(&p->program->error, E_OutOfMemory, p->token.span, "no memory for a list this long");
    return items;
}

/* Expressions up to `close`, onto the stack. Their number, or -1. */
static int parse_list(Parser *p, const char *open, const char *close, const char *of, bool commas) {
    int count = 0;
    while (!at(p, close)) {
        Node *item = parse_expr(p);
        if (!item || !push(p, item)) return -1;
        count++;
        if (!take(p, ",") && commas) break;
    }
    if (take(p, close)) return count;
    expected(p, "'%s' to close the '%s'%s%s", close, open, *of ? " of " : "", of);
    return -1;
}

/* A node whose kids are the topmost items of the stack. */
static Node *node_of(Parser *p, NodeKind kind, uint32_t begin, int count) {
    Node **kids = pop(p, count);
    if (!kids) return NULL;
    Node *node = node_new(p->program, kind, since(p, begin), NULL, 0);
    node->count = count;
    node->kids = kids;
    return node;
}

static const char *parse_name(Parser *p, const char *what) {
    const Name *name = word_at(p);
    if (!name || name->word) {
        expected(p, "%s", what);
        return NULL;
    }
    advance(p);
    return name->text;
}

/* ---- annotations ---- */

/* The text of a token as written, for a key or a value. */
static const char *parse_note_part(Parser *p, bool value) {
    uint32_t begin = p->token.span.begin;
    bool minus = value && take(p, "-");
    bool good = p->token.kind == TK_literal || (!minus && p->token.kind == TK_string);
    if (p->token.kind != TK_ident && !(value && good)) {
        expected(p, value ? "the value of the annotation" : "the name of an annotation");
        return NULL;
    }
    advance(p);
    Span span = since(p, begin);
    const char *text = p->program->source[span.source].text + begin;
    if (memchr(text, 0, span.end - begin)) {
        error_set(&p->program->error, E_Syntax, span, "an annotation cannot hold a NUL byte");
        return NULL;
    }
    return arena_copy(&p->program->arena, text, span.end - begin);
}

/* `@(key: value, ..)`, any number of times. */
static bool parse_notes(Parser *p, Annotation **notes) {
    while (take(p, "@")) {
        if (!want(p, "(", "after '@'")) return false;
        while (!at(p, ")")) {
            Annotation *note = arena_alloc(&p->program->arena, sizeof *note);
            note->key = parse_note_part(p, false);
            if (!note->key || !want(p, ":", "after the name of an annotation")) return false;
            note->value = parse_note_part(p, true);
            if (!note->value) return false;
            *notes = note;
            notes = &note->next;
            if (!take(p, ",")) break;
        }
        if (!want(p, ")", "to close the '(' of the annotations")) return false;
    }
    return true;
}

/* ---- types ---- */

static Type *parse_type(Parser *p, int *size);

/* The operator of a builder's type. */
static bool parse_type_op(Parser *p, const char *of, Op *op) {
    for (int i = 0; i < OP_COUNT; i++) {
        if (!(op_classes[i].traits & REDUCE)) continue;
        if (!at(p, op_classes[i].spelling) && !at_word(p, op_classes[i].spelling)) continue;
        advance(p);
        *op = (Op)i;
        return true;
    }
    return expected(p, "the operator of %s: +, *, min or max", of);
}

/* `T, .. ]` or `T, .. }` and, where the kind of type has one, an operator. count -1: any number. */
static Type *parse_type_args(Parser *p, TypeKind kind, int count, const char *close, int *size) {
    const TypeClass *class = &type_classes[kind];
    int found = 0;
    Op op = OP_none;
    while (!at(p, close) && (count < 0 || found < count)) {
        Type *arg = parse_type(p, size);
        if (!arg || !push(p, arg)) return NULL;
        found++;
        if (!take(p, ",")) break;
    }
    if (found < count) {
        fail(p, p->token.span, "%s takes %d type%s%s, not %d", class->spelling, count, count == 1 ? "" : "s",
             class->has_op ? " and an operator" : "", found);
        return NULL;
    }
    if (class->has_op) {
        if (!parse_type_op(p, class->spelling, &op)) return NULL;
        take(p, ",");
    }
    if (!take(p, close)) {
        expected(p, "'%s' to close the type", close);
        return NULL;
    }
    Type **args = pop(p, found);
    return args ? type_make(&p->program->types, kind, op, found, args) : NULL;
}

static Type *parse_type_name(Parser *p, int *size) {
    const Name *name = word_at(p);
    Span span = p->token.span;
    if (!name) {
        expected(p, "a type");
        return NULL;
    }
    advance(p);
    if (name->word == WD_scalar) return type_scalar(&p->program->types, (TypeKind)name->row);
    if (name->word == WD_composite || name->word == WD_builder) {
        const TypeClass *class = &type_classes[name->row];
        if (class->class == 'm' && !class->has_op && !at(p, "[")) {
            Type *args[2] = {type_unknown(&p->program->types), type_unknown(&p->program->types)};
            return type_make(&p->program->types, (TypeKind)name->row, OP_none, class->arguments, args);
        }
        if (!take(p, "[")) {
            expected(p, "'[' and the types of %s", class->spelling);
            return NULL;
        }
        return parse_type_args(p, (TypeKind)name->row, class->arguments, "]", size);
    }
    if (name->alias) {
        *size += name->size - 1;
        return name->alias;
    }
    const char *names[TY_COUNT];
    size_t count = 0;
    for (int kind = TY_bool; kind < TY_COUNT; kind++) names[count++] = type_classes[kind].spelling;
    const char *near = nearest_name(name->text, names, count);
    fail(p, span, "there is no type %.64s%s%s%s", name->text, near ? "; did you mean " : "", near ? near : "",
         near ? "?" : "");
    return NULL;
}

/* *size grows by the number of type constructors. */
static Type *parse_type(Parser *p, int *size) {
    Annotation *dropped = NULL;
    Span span = p->token.span;
    if (!parse_notes(p, &dropped)) return NULL;
    if (p->type_depth >= DEEPEST_TYPE) {
        fail(p, span, "the type is nested too deeply");
        return NULL;
    }
    p->type_depth++;
    ++*size;
    Type *type = take(p, "?")   ? type_unknown(&p->program->types)
                 : take(p, "{") ? parse_type_args(p, TY_struct, -1, "}", size)
                                : parse_type_name(p, size);
    p->type_depth--;
    if (type && *size > LARGEST_TYPE) {
        fail(p, span, "the type is too large");
        return NULL;
    }
    if (type && type->kind == TY_simd && !type_is_scalar(type->args[0]) && type->args[0]->kind) {
        fail(p, span, "simd takes a scalar type");
        return NULL;
    }
    return type;
}

/* `: T`, if it is there. False: error; *type is untouched without one. */
static bool parse_optional_type(Parser *p, Type **type) {
    int size = 0;
    if (!take(p, ":")) return true;
    Type *found = parse_type(p, &size);
    if (found) *type = found;
    return found != NULL;
}

/* ---- forms that start with a word ---- */

/* A call of a row of the tables: its arguments as a node's kids, their number checked. most -1: any. */
static Node *parse_call(Parser *p, NodeKind kind, const char *name, uint32_t begin, int least, int most) {
    if (!take(p, "(")) {
        expected(p, "'(' after %s", name);
        return NULL;
    }
    int count = parse_list(p, "(", ")", name, true);
    if (count < 0) return NULL;
    Node *node = node_of(p, kind, begin, count);
    if (!node || (count >= least && (most < 0 || count <= most))) return node;
    const char *usage = node_classes[kind].usage;
    bool own = strncmp(usage, name, strlen(name)) == 0 && !strstr(usage, "), ");
    fail(p, node->span, "%s takes %s%d argument%s, not %d%s%s", name, most < 0 ? "at least " : "", least,
         least == 1 ? "" : "s", count, own ? ": " : "", own ? usage : "");
    return NULL;
}

/* iter(vec, start, end, stride) and its kin. */
static Node *parse_iter(Parser *p, const Name *name, uint32_t begin) {
    const IterClass *class = &iter_classes[name->row];
    int bounds = class->bounds == 's' ? 5 : 3, all = class->has_data + bounds;
    Node *node = parse_call(p, N_Iter, name->text, begin, class->bounds == 'o' ? class->has_data : all, all);
    if (!node) return NULL;
    node->iter = (IterKind)name->row;
    if (node->count == all || (class->bounds == 'o' && node->count == class->has_data)) return node;
    fail(p, node->span, "%s takes the data alone, or with its start, end and stride", name->text);
    return NULL;
}

/* appender[T](size), merger[T, +](init), ... */
static Node *parse_builder(Parser *p, const Name *name, uint32_t begin) {
    int size = 1, count = 0;
    Type *type = parse_type_name(p, &size);
    if (!type) return NULL;
    if (take(p, "(")) {
        count = parse_list(p, "(", ")", name->text, true);
        if (count < 0) return NULL;
    }
    Node *node = node_of(p, N_NewBuilder, begin, count);
    if (!node) return NULL;
    node->type = type;
    bool most = type->kind != TY_groupmerger;
    if (count > most || (count == 0 && type->kind == TY_vecmerger)) {
        fail(p, node->span, "%s takes %s, not %d arguments", name->text,
             type->kind == TY_vecmerger ? "the vector that it starts from"
             : most                     ? "at most 1 argument"
                                        : "none",
             count);
        return NULL;
    }
    if (type->kind == TY_dictmerger) node->count = 0; /* the argument of a dictmerger has no meaning */
    return node;
}

/* deserialize[T](bytes) */
static Node *parse_deserialize(Parser *p, uint32_t begin) {
    int size = 0;
    if (!want(p, "[", "and the type after deserialize")) return NULL;
    Type *type = parse_type(p, &size);
    if (!type || !want(p, "]", "to close the type of deserialize")) return NULL;
    Node *node = parse_call(p, N_Deserialize, "deserialize", begin, 1, 1);
    if (node) node->type = type;
    return node;
}

/* cudf[name, T](a, b), and cfun and cfill alike; upstream needs no commas between the arguments. */
static Node *parse_foreign(Parser *p, const Name *word, uint32_t begin) {
    const NodeClass *class = &node_classes[word->row];
    int size = 0;
    if (!want(p, "[", "and the name of the C function")) return NULL;
    const Name *name = word_at(p);
    if (!name) {
        expected(p, "the name of a C function");
        return NULL;
    }
    advance(p);
    if (!want(p, ",", "between the name of the C function and its type")) return NULL;
    Type *type = parse_type(p, &size);
    if (!type || !want(p, "]", "to close the name and type of the C function")) return NULL;
    Span span = p->token.span;
    if (!want(p, "(", "and the arguments of the C function")) return NULL;
    int count = parse_list(p, "(", ")", class->spelling, word->row != N_Cudf);
    if (count < 0) return NULL;
    Node *node = node_of(p, (NodeKind)word->row, begin, count);
    if (!node) return NULL;
    node->text = name->text;
    node->type = type;
    if (count >= class->least) return node;
    fail(p, span, "%s takes the size of what is filled first: %s", class->spelling, class->usage);
    return NULL;
}

/* exchange[reduce,+](a) */
static Node *parse_exchange(Parser *p, uint32_t begin) {
    if (!want(p, "[", "and what is exchanged")) return NULL;
    const Name *name = word_at(p);
    int kind = 0;
    while (kind < EXCHANGE_COUNT && !(name && strcmp(name->text, exchange_classes[kind].spelling) == 0))
        kind++;
    if (kind == EXCHANGE_COUNT) {
        expected(p, "the name of an exchange");
        return NULL;
    }
    const ExchangeClass *class = &exchange_classes[kind];
    Op op = OP_none;
    advance(p);
    if (class->combines && (!want(p, ",", "and an operator") || !parse_type_op(p, class->spelling, &op)))
        return NULL;
    if (!want(p, "]", "to close the kind of the exchange")) return NULL;
    Node *node = parse_call(p, N_Exchange, "exchange", begin, class->operands, class->operands);
    if (node) node->op = op;
    if (node) node->bits = (uint64_t)kind;
    return node;
}

static Node *parse_node_word(Parser *p, const Name *name, uint32_t begin) {
    const NodeClass *class = &node_classes[name->row];
    if (name->row == N_Deserialize) return parse_deserialize(p, begin);
    if (class->traits & FOREIGN) return parse_foreign(p, name, begin);
    if (name->row == N_Exchange) return parse_exchange(p, begin);
    if (name->row == N_For) return parse_call(p, N_For, name->text, begin, 3, 3);
    if (class->traits & CALL)
        return parse_call(p, (NodeKind)name->row, name->text, begin, class->least, class->most);
    fail(p, (Span){p->lexer.source, begin, p->last_end}, "put the %s in parentheses here", name->text);
    return NULL;
}

static Node *parse_word(Parser *p) {
    const Name *name = word_at(p);
    uint32_t begin = p->token.span.begin;
    Node *node = NULL;
    if (name->word == WD_builder) return parse_builder(p, name, begin);
    if (name->word == WD_composite ||
        (name->word == WD_keyword && (name->text[0] != 't' || name->text[1] == 'y') &&
         name->text[0] != 'f')) {
        expected(p, "an expression");
        return NULL;
    }
    advance(p);
    switch (name->word) {
    case WD_keyword: /* true, false */
        return node_literal(p->program, since(p, begin), type_scalar(&p->program->types, TY_bool),
                            name->text[0] == 't');
    case WD_scalar:
        node = parse_call(p, N_Cast, name->text, begin, 1, 1);
        if (node) node->type = type_scalar(&p->program->types, (TypeKind)name->row);
        return node;
    case WD_op: {
        bool unary = op_classes[name->row].form == 'u';
        node = parse_call(p, unary ? N_Unary : N_Binary, name->text, begin, unary ? 1 : 2, unary ? 1 : 2);
        if (node) node->op = (Op)name->row;
        return node;
    }
    case WD_iter: return parse_iter(p, name, begin);
    case WD_node: return parse_node_word(p, name, begin);
    default: break;
    }
    node = node_new(p->program, N_Ident, since(p, begin), NULL, 0);
    node->text = name->text;
    return node;
}

/* ---- expressions ---- */

static bool is_least(const Token *token) {
    const TypeClass *class = &type_classes[token->type];
    return token->kind == TK_literal && class->class == 's' &&
           token->bits == (uint64_t)1 << (class->bits - 1);
}

static Node *parse_literal(Parser *p, uint32_t begin, bool negative) {
    Token token = p->token;
    if (is_least(&token) && !negative) {
        fail(p, token.span, "the literal %.*s is out of range for %s", (int)(token.span.end - begin),
             p->program->source[p->lexer.source].text + begin, type_classes[token.type].spelling);
        return NULL;
    }
    advance(p);
    return node_literal(p->program, since(p, begin), type_scalar(&p->program->types, token.type), token.bits);
}

static Node *parse_atom(Parser *p) {
    uint32_t begin = p->token.span.begin;
    Node *node = NULL;
    int count;
    if (p->token.kind == TK_literal) return parse_literal(p, begin, false);
    if (p->token.kind == TK_ident) return parse_word(p);
    if (p->token.kind == TK_string) {
        Token token = p->token;
        advance(p);
        node = node_new(p->program, N_String, since(p, begin),
                        type_vec(&p->program->types, type_scalar(&p->program->types, TY_i8)), 0);
        node->text = token.text;
        node->bits = token.length;
        return node;
    }
    if (take(p, "(")) {
        node = parse_expr(p);
        return node && want(p, ")", "to close the '('") ? node : NULL;
    }
    if (take(p, "[")) {
        count = parse_list(p, "[", "]", "the vector", true);
        return count < 0 ? NULL : node_of(p, N_Vec, begin, count);
    }
    if (take(p, "{")) {
        count = parse_list(p, "{", "}", "the struct", true);
        return count < 0 ? NULL : node_of(p, N_Struct, begin, count);
    }
    if (at(p, "|") || at(p, "||")) {
        fail(p, p->token.span, "put the function in parentheses here");
    } else {
        expected(p, "an expression");
    }
    return NULL;
}

/* `.$N` after a value. */
static Node *parse_field(Parser *p, Node *value, uint32_t begin) {
    const Name *name = word_at(p);
    long index = 0;
    bool good = name && name->text[0] == '$' && name->text[1];
    for (const char *c = good ? name->text + 1 : ""; good && *c; c++) {
        good = *c >= '0' && *c <= '9' && index < 1000000;
        index = index * 10 + (*c - '0');
    }
    if (!good) {
        bool named = name && name->text[0] != '$' && value->kind == N_Ident && p->program->imports;
        if (named)
            fail(p, p->token.span,
                 "expected the field's number after '.', as in .$0, found '%.64s'; an adapter %.64s is not "
                 "installed",
                 name->text, value->text);
        else
            expected(p, "the field's number after '.', as in .$0");
        return NULL;
    }
    advance(p);
    Node *node = node_make(p->program, N_Field, since(p, begin), NULL, 1, value);
    node->index = (int)index;
    return node;
}

/* Reads the text of a library's function, unless it was read before. */
static bool import_function(Parser *p, Name *name, const char *text, Span span) {
    if (name->importing) return fail(p, span, "%.64s calls itself", name->text);
    if (!deeper(p)) return false;
    name->importing = true;
    Node *root = NULL;
    uint32_t source = program_add_source(p->program, name->text, text, strlen(text));
    bool ok = parse_source(p->program, source, NULL, &root);
    p->depth--;
    name->importing = false;
    if (ok && root->kind != N_Lambda) return fail(p, span, "%.64s is not a function", name->text);
    name->function = root;
    return ok;
}

/* `library.name`, after the dot. NULL without an error: there is no such library. */
static Node *parse_library_name(Parser *p, const Node *library, uint32_t begin) {
    const Imports *imports = p->program->imports;
    Buf full = {0}, why = {0};
    buf_printf(&full, "%s.%s", library->text, p->token.text);
    Name *name = full.failed || !imports ? NULL : name_intern(p->program, full.text, full.length);
    const char *text = name && !name->function ? imports->find(imports->data, name->text, &why) : NULL;
    Node *node = NULL;
    if (why.length) error_set(&p->program->error, E_Library, p->token.span, "%.390s", why.text);
    if (full.failed || why.failed || (imports && !name))
        error_set(&p->program->error, E_OutOfMemory, p->token.span, "no memory to look for %.64s",
                  p->token.text);
    bool known = name && name->function;
    if (known || text) advance(p);
    if (known || (text && import_function(p, name, text, since(p, begin))))
        node = node_of(p, N_Ident, begin, 0);
    if (node) node->text = name->text;
    buf_release(&full);
    buf_release(&why);
    return node;
}

static Node *parse_postfix(Parser *p, Annotation *notes) {
    uint32_t begin = p->token.span.begin;
    Node *node = parse_atom(p);
    if (!node) return NULL;
    bool noted = node->kind == N_If || node->kind == N_For || node->kind == N_Deserialize ||
                 node_is_foreign(node) || node->kind == N_NewBuilder;
    if (notes && noted) {
        Annotation *last = notes;
        while (last->next) last = last->next;
        last->next = node->notes;
        node->notes = notes;
    }
    for (int links = 0; node && chain(p, &links);) {
        if (take(p, ".")) {
            bool named = node->kind == N_Ident && word_at(p) && word_at(p)->text[0] != '$';
            Node *function = named ? parse_library_name(p, node, begin) : NULL;
            if (p->program->error.code != E_None) return NULL;
            node = function ? function : parse_field(p, node, begin);
        } else if (take(p, "(")) {
            if (!push(p, node)) return NULL;
            int count = parse_list(p, "(", ")", node->kind == N_Ident ? node->text : "the call", true);
            node = count < 0 ? NULL : node_of(p, N_Apply, begin, count + 1);
        } else {
            return node;
        }
    }
    return NULL;
}

static Node *parse_prefix(Parser *p) {
    uint32_t begin = p->token.span.begin;
    Annotation *notes = NULL;
    if (!parse_notes(p, &notes)) return NULL;
    for (int i = 0; i < OP_COUNT && p->token.kind == TK_punct; i++) {
        if (op_classes[i].precedence >= 0 || !take(p, op_classes[i].spelling)) continue;
        if (i == OP_neg && is_least(&p->token)) return parse_literal(p, begin, true);
        if (!deeper(p)) return NULL;
        Node *kid = parse_prefix(p);
        p->depth--;
        if (!kid) return NULL;
        Node *node = node_make(p->program, N_Unary, since(p, begin), NULL, 1, kid);
        node->op = (Op)i;
        return node;
    }
    return parse_postfix(p, notes);
}

static Node *parse_ascribed(Parser *p) {
    uint32_t begin = p->token.span.begin;
    Node *node = parse_prefix(p);
    Type *type = NULL;
    if (!node || !parse_optional_type(p, &type)) return NULL;
    return type ? node_make(p->program, N_Ascribe, since(p, begin), type, 1, node) : node;
}

/* The infix operator that is read next: its node kind, operator and precedence; 0: none. */
static int infix_at(const Parser *p, NodeKind *kind, Op *op) {
    *op = OP_none;
    if (p->token.kind != TK_punct) return 0;
    if (at(p, "||")) return *kind = N_Or, 1;
    if (at(p, "&&")) return *kind = N_And, 2;
    for (int i = 0; i < OP_COUNT; i++) {
        if (op_classes[i].precedence <= 0 || !at(p, op_classes[i].spelling)) continue;
        *kind = op_classes[i].form == 'c' ? N_Compare : N_Binary;
        *op = (Op)i;
        return op_classes[i].precedence;
    }
    return 0;
}

static Node *parse_binary(Parser *p, int least) {
    uint32_t begin = p->token.span.begin;
    if (!deeper(p)) return NULL;
    Node *left = parse_ascribed(p);
    for (int links = 0; left;) {
        NodeKind kind;
        Op op;
        int precedence = infix_at(p, &kind, &op);
        if (precedence == 0 || precedence < least) break;
        if (!chain(p, &links)) return NULL;
        advance(p);
        Node *right = parse_binary(p, precedence + 1);
        if (!right) return NULL;
        left = node_make(p->program, kind, since(p, begin), NULL, 2, left, right);
        left->op = op;
    }
    p->depth--;
    return left;
}

static Node *parse_lambda(Parser *p) {
    uint32_t begin = p->token.span.begin;
    int count = 0;
    if (!take(p, "||")) {
        advance(p);
        while (!at(p, "|")) {
            const char *name = parse_name(p, "the name of a parameter");
            Type *type = NULL;
            if (!name || !parse_optional_type(p, &type)) return NULL;
            Symbol *param = symbol_new(p->program, name, type ? type : type_unknown(&p->program->types));
            if (!push(p, param)) return NULL;
            count++;
            if (!take(p, ",")) break;
        }
        if (!want(p, "|", "to close the parameters")) return NULL;
    }
    Symbol **params = pop(p, count);
    if (!params || !deeper(p)) return NULL;
    Node *body = parse_expr(p);
    p->depth--;
    if (!body) return NULL;
    Node *node = node_make(p->program, N_Lambda, since(p, begin), NULL, 1, body);
    node->params = params;
    node->nparams = count;
    return node;
}

/* let NAME [: T] = value ; The node's type is what was written, or NULL; its body is yet to come. */
static Node *parse_let(Parser *p) {
    uint32_t begin = p->token.span.begin;
    advance(p);
    const char *name = parse_name(p, "the name to bind");
    Type *type = NULL;
    if (!name || !parse_optional_type(p, &type)) return NULL;
    if (!want(p, "=", "and the value of the let") || !deeper(p)) return NULL;
    Node *value = parse_expr(p);
    p->depth--;
    if (!value) return NULL;
    Node *node = node_make(p->program, N_Let, since(p, begin), type, 2, value, NULL);
    node->text = name;
    return want(p, ";", "after the value of the let") ? node : NULL;
}

static Node *parse_expr(Parser *p) {
    Node *root = NULL, **hole = &root;
    while (at_word(p, "let")) {
        *hole = parse_let(p);
        if (!*hole) return NULL;
        hole = &(*hole)->kids[1];
    }
    *hole = at(p, "|") || at(p, "||") ? parse_lambda(p) : parse_binary(p, 1);
    return *hole ? root : NULL;
}

/* ---- programs ---- */

/* type NAME = T ; Later aliases hide earlier ones. */
static bool parse_alias(Parser *p) {
    int size = 0;
    advance(p);
    const char *name = parse_name(p, "the name of the type");
    if (!name || !want(p, "=", "and the type")) return false;
    Type *type = parse_type(p, &size);
    if (!type || !want(p, ";", "after the type")) return false;
    name_of(name)->alias = type;
    name_of(name)->size = size;
    return true;
}

static int parse_macro_params(Parser *p, const char *of) {
    int count = 0;
    size_t first = p->top;
    while (!at(p, ")")) {
        Span span = p->token.span;
        const char *param = parse_name(p, "the name of a parameter");
        if (!param) return -1;
        for (size_t i = first; i < p->top; i++) {
            if (p->stack[i] != param) continue;
            fail(p, span, "the macro %s has two parameters %s", of, param);
            return -1;
        }
        if (++count > MOST_PARAMS) {
            fail(p, span, "the macro %s has too many parameters", of);
            return -1;
        }
        if (!push(p, (void *)(uintptr_t)param)) return -1;
        if (!take(p, ",")) break;
    }
    return want(p, ")", "to close the parameters of the macro") ? count : -1;
}

/* macro NAME ( NAME, .. ) = expr ; */
static bool parse_macro(Parser *p, bool standard) {
    advance(p);
    Span span = p->token.span;
    const char *name = parse_name(p, "the name of the macro");
    if (!name) return false;
    if (name_of(name)->macro)
        return fail(p, span, "there is a %smacro %.64s already",
                    name_of(name)->macro->standard ? "standard " : "", name);
    if (!want(p, "(", "and the parameters of the macro")) return false;
    int count = parse_macro_params(p, name);
    if (count < 0) return false;
    Macro *macro = arena_alloc(&p->program->arena, sizeof *macro);
    macro->name = name;
    macro->nparams = count;
    macro->params = pop(p, count);
    macro->standard = standard;
    if (!macro->params || !want(p, "=", "and the body of the macro")) return false;
    macro->body = parse_expr(p);
    if (!macro->body || !want(p, ";", "after the macro")) return false;
    macro->next = *p->macros;
    *p->macros = name_of(name)->macro = macro;
    return true;
}

static bool parse_program(Parser *p, Node **root) {
    for (;;) {
        bool alias = at_word(p, "type");
        if (!p->macros && (alias || at_word(p, "macro")))
            return fail(p, p->token.span, "a function of a library has no %s of its own",
                        alias ? "types" : "macros");
        if (alias) {
            if (!parse_alias(p)) return false;
        } else if (at_word(p, "macro")) {
            if (!parse_macro(p, root == NULL)) return false;
        } else {
            break;
        }
    }
    if (root) {
        if (p->token.kind == TK_end) return fail(p, p->token.span, "the program is empty");
        Node *found = parse_expr(p);
        if (!found) return false;
        if (p->token.kind == TK_end) *root = found;
    }
    return p->token.kind == TK_end || expected(p, "an operator or the end of the program");
}

bool parse_source(Program *program, uint32_t source, Macro **macros, Node **root) {
    Parser p = {.program = program, .lexer = {program, source, 0}, .macros = macros};
    advance(&p);
    bool ok = parse_program(&p, root);
    free(p.stack);
    return ok && program->error.code == E_None;
}

Type *type_parse(Program *program, const char *text) {
    size_t length = strlen(text);
    const char *copy = arena_copy(&program->arena, text, length);
    if (!copy) return NULL;
    Parser p = {.program = program, .lexer = {program, program_add_source(program, "type", copy, length), 0}};
    int parts = 0;
    advance(&p);
    Type *type = parse_type(&p, &parts);
    if (type && p.token.kind != TK_end) {
        expected(&p, "the end of the type");
        type = NULL;
    }
    free(p.stack);
    return program->error.code == E_None ? type : NULL;
}
