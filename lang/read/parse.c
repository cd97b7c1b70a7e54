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
#include "parse.h"

enum { MOST_PARAMS = 1000 }; /* of a macro */

/* ---- expressions ---- */

static bool is_least(const Token *token) {
    const TypeClass *class = &type_classes[token->type];
    return token->kind == TK_literal && class->class == 's' &&
           token->bits == (uint64_t)1 << (class->bits - 1);
}

static Node *parse_literal(Parser *p, uint32_t begin, bool negative) {
    Token token = p->token;
    if (is_least(&token) && !negative) {
        parse_fail(p, token.span, "the literal %.*s is out of range for %s", (int)(token.span.end - begin),
                   p->program->source[p->lexer.source].text + begin, type_classes[token.type].spelling);
        return NULL;
    }
    parse_advance(p);
    return node_literal(p->program, parse_since(p, begin), type_scalar(&p->program->types, token.type),
                        token.bits);
}

static Node *parse_atom(Parser *p) {
    uint32_t begin = p->token.span.begin;
    Node *node = NULL;
    int count;
    if (p->token.kind == TK_literal) return parse_literal(p, begin, false);
    if (p->token.kind == TK_ident) return parse_word(p);
    if (p->token.kind == TK_string) {
        Token token = p->token;
        parse_advance(p);
        node = node_new(p->program, N_String, parse_since(p, begin),
                        type_vec(&p->program->types, type_scalar(&p->program->types, TY_i8)), 0);
        node->text = token.text;
        node->bits = token.length;
        return node;
    }
    if (parse_take(p, "(")) {
        node = parse_expr(p);
        return node && parse_want(p, ")", "to close the '('") ? node : NULL;
    }
    if (parse_take(p, "[")) {
        count = parse_list(p, "[", "]", "the vector", true);
        return count < 0 ? NULL : parse_node(p, N_Vec, begin, count);
    }
    if (parse_take(p, "{")) {
        count = parse_list(p, "{", "}", "the struct", true);
        return count < 0 ? NULL : parse_node(p, N_Struct, begin, count);
    }
    if (parse_at(p, "|") || parse_at(p, "||")) {
        parse_fail(p, p->token.span, "put the function in parentheses here");
    } else {
        parse_expected(p, "an expression");
    }
    return NULL;
}

/* `.$N` after a value. */
static Node *parse_field(Parser *p, Node *value, uint32_t begin) {
    const Name *name = parse_word_at(p);
    long index = 0;
    bool good = name && name->text[0] == '$' && name->text[1];
    for (const char *c = good ? name->text + 1 : ""; good && *c; c++) {
        good = *c >= '0' && *c <= '9' && index < 1000000;
        index = index * 10 + (*c - '0');
    }
    if (!good) {
        bool named = name && name->text[0] != '$' && value->kind == N_Ident && p->program->imports;
        if (named)
            parse_fail(
                p, p->token.span,
                "expected the field's number after '.', as in .$0, found '%.64s'; an adapter %.64s is not "
                "installed",
                name->text, value->text);
        else
            parse_expected(p, "the field's number after '.', as in .$0");
        return NULL;
    }
    parse_advance(p);
    Node *node = node_make(p->program, N_Field, parse_since(p, begin), NULL, 1, value);
    node->index = (int)index;
    return node;
}

/* Reads the text of a library's function, unless it was read before. */
static bool import_function(Parser *p, Name *name, const char *text, Span span) {
    if (name->importing) return parse_fail(p, span, "%.64s calls itself", name->text);
    if (!parse_deeper(p)) return false;
    name->importing = true;
    Node *root = NULL;
    uint32_t source = program_add_source(p->program, name->text, text, strlen(text));
    bool ok = parse_source(p->program, source, NULL, &root);
    p->depth--;
    name->importing = false;
    if (ok && root->kind != N_Lambda) return parse_fail(p, span, "%.64s is not a function", name->text);
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
    if (known || text) parse_advance(p);
    if (known || (text && import_function(p, name, text, parse_since(p, begin))))
        node = parse_node(p, N_Ident, begin, 0);
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
    for (int links = 0; node && parse_chain(p, &links);) {
        if (parse_take(p, ".")) {
            bool named = node->kind == N_Ident && parse_word_at(p) && parse_word_at(p)->text[0] != '$';
            Node *function = named ? parse_library_name(p, node, begin) : NULL;
            if (p->program->error.code != E_None) return NULL;
            node = function ? function : parse_field(p, node, begin);
        } else if (parse_take(p, "(")) {
            if (!parse_push(p, node)) return NULL;
            int count = parse_list(p, "(", ")", node->kind == N_Ident ? node->text : "the call", true);
            node = count < 0 ? NULL : parse_node(p, N_Apply, begin, count + 1);
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
        if (op_classes[i].precedence >= 0 || !parse_take(p, op_classes[i].spelling)) continue;
        if (i == OP_neg && is_least(&p->token)) return parse_literal(p, begin, true);
        if (!parse_deeper(p)) return NULL;
        Node *kid = parse_prefix(p);
        p->depth--;
        if (!kid) return NULL;
        Node *node = node_make(p->program, N_Unary, parse_since(p, begin), NULL, 1, kid);
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
    return type ? node_make(p->program, N_Ascribe, parse_since(p, begin), type, 1, node) : node;
}

/* The infix operator that is read next: its node kind, operator and precedence; 0: none. */
static int infix_at(const Parser *p, NodeKind *kind, Op *op) {
    *op = OP_none;
    if (p->token.kind != TK_punct) return 0;
    if (parse_at(p, "||")) return *kind = N_Or, 1;
    if (parse_at(p, "&&")) return *kind = N_And, 2;
    for (int i = 0; i < OP_COUNT; i++) {
        if (op_classes[i].precedence <= 0 || !parse_at(p, op_classes[i].spelling)) continue;
        *kind = op_classes[i].form == 'c' ? N_Compare : N_Binary;
        *op = (Op)i;
        return op_classes[i].precedence;
    }
    return 0;
}

Node *parse_binary(Parser *p, int least) {
    uint32_t begin = p->token.span.begin;
    if (!parse_deeper(p)) return NULL;
    Node *left = parse_ascribed(p);
    for (int links = 0; left;) {
        NodeKind kind;
        Op op;
        int precedence = infix_at(p, &kind, &op);
        if (precedence == 0 || precedence < least) break;
        if (!parse_chain(p, &links)) return NULL;
        parse_advance(p);
        Node *right = parse_binary(p, precedence + 1);
        if (!right) return NULL;
        left = node_make(p->program, kind, parse_since(p, begin), NULL, 2, left, right);
        left->op = op;
    }
    p->depth--;
    return left;
}

static Node *parse_lambda(Parser *p) {
    uint32_t begin = p->token.span.begin;
    int count = 0;
    if (!parse_take(p, "||")) {
        parse_advance(p);
        while (!parse_at(p, "|")) {
            const char *name = parse_name(p, "the name of a parameter");
            Type *type = NULL;
            if (!name || !parse_optional_type(p, &type)) return NULL;
            Symbol *param = symbol_new(p->program, name, type ? type : type_unknown(&p->program->types));
            if (!parse_push(p, param)) return NULL;
            count++;
            if (!parse_take(p, ",")) break;
        }
        if (!parse_want(p, "|", "to close the parameters")) return NULL;
    }
    Symbol **params = parse_pop(p, count);
    if (!params || !parse_deeper(p)) return NULL;
    Node *body = parse_expr(p);
    p->depth--;
    if (!body) return NULL;
    Node *node = node_make(p->program, N_Lambda, parse_since(p, begin), NULL, 1, body);
    node->params = params;
    node->nparams = count;
    return node;
}

/* let NAME [: T] = value ; The node's type is what was written, or NULL; its body is yet to come. */
static Node *parse_let(Parser *p) {
    uint32_t begin = p->token.span.begin;
    parse_advance(p);
    const char *name = parse_name(p, "the name to bind");
    Type *type = NULL;
    if (!name || !parse_optional_type(p, &type)) return NULL;
    if (!parse_want(p, "=", "and the value of the let") || !parse_deeper(p)) return NULL;
    Node *value = parse_expr(p);
    p->depth--;
    if (!value) return NULL;
    Node *node = node_make(p->program, N_Let, parse_since(p, begin), type, 2, value, NULL);
    node->text = name;
    return parse_want(p, ";", "after the value of the let") ? node : NULL;
}

Node *parse_expr(Parser *p) {
    Node *root = NULL, **hole = &root;
    while (parse_at_word(p, "let")) {
        *hole = parse_let(p);
        if (!*hole) return NULL;
        hole = &(*hole)->kids[1];
    }
    *hole = parse_at(p, "|") || parse_at(p, "||") ? parse_lambda(p) : parse_binary(p, 1);
    return *hole ? root : NULL;
}

/* ---- programs ---- */

/* type NAME = T ; Later aliases hide earlier ones. */
static bool parse_alias(Parser *p) {
    int size = 0;
    parse_advance(p);
    const char *name = parse_name(p, "the name of the type");
    if (!name || !parse_want(p, "=", "and the type")) return false;
    Type *type = parse_type(p, &size);
    if (!type || !parse_want(p, ";", "after the type")) return false;
    name_of(name)->alias = type;
    name_of(name)->size = size;
    return true;
}

static int parse_macro_params(Parser *p, const char *of) {
    int count = 0;
    size_t first = p->top;
    while (!parse_at(p, ")")) {
        Span span = p->token.span;
        const char *param = parse_name(p, "the name of a parameter");
        if (!param) return -1;
        for (size_t i = first; i < p->top; i++) {
            if (p->stack[i] != param) continue;
            parse_fail(p, span, "the macro %s has two parameters %s", of, param);
            return -1;
        }
        if (++count > MOST_PARAMS) {
            parse_fail(p, span, "the macro %s has too many parameters", of);
            return -1;
        }
        if (!parse_push(p, (void *)(uintptr_t)param)) return -1;
        if (!parse_take(p, ",")) break;
    }
    return parse_want(p, ")", "to close the parameters of the macro") ? count : -1;
}

/* macro NAME ( NAME, .. ) = expr ; */
static bool parse_macro(Parser *p, bool standard) {
    parse_advance(p);
    Span span = p->token.span;
    const char *name = parse_name(p, "the name of the macro");
    if (!name) return false;
    if (name_of(name)->macro)
        return parse_fail(p, span, "there is a %smacro %.64s already",
                          name_of(name)->macro->standard ? "standard " : "", name);
    if (!parse_want(p, "(", "and the parameters of the macro")) return false;
    int count = parse_macro_params(p, name);
    if (count < 0) return false;
    Macro *macro = arena_alloc(&p->program->arena, sizeof *macro);
    macro->name = name;
    macro->nparams = count;
    macro->params = parse_pop(p, count);
    macro->standard = standard;
    if (!macro->params || !parse_want(p, "=", "and the body of the macro")) return false;
    macro->body = parse_expr(p);
    if (!macro->body || !parse_want(p, ";", "after the macro")) return false;
    macro->next = *p->macros;
    *p->macros = name_of(name)->macro = macro;
    return true;
}

static bool parse_program(Parser *p, Node **root) {
    for (;;) {
        bool alias = parse_at_word(p, "type");
        if (!p->macros && (alias || parse_at_word(p, "macro")))
            return parse_fail(p, p->token.span, "a function of a library has no %s of its own",
                              alias ? "types" : "macros");
        if (alias) {
            if (!parse_alias(p)) return false;
        } else if (parse_at_word(p, "macro")) {
            if (!parse_macro(p, root == NULL)) return false;
        } else {
            break;
        }
    }
    if (root) {
        if (p->token.kind == TK_end) return parse_fail(p, p->token.span, "the program is empty");
        Node *found = parse_expr(p);
        if (!found) return false;
        if (p->token.kind == TK_end) *root = found;
    }
    return p->token.kind == TK_end || parse_expected(p, "an operator or the end of the program");
}

bool parse_source(Program *program, uint32_t source, Macro **macros, Node **root) {
    Parser p = {.program = program, .lexer = {program, source, 0}, .macros = macros};
    parse_advance(&p);
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
    parse_advance(&p);
    Type *type = parse_type(&p, &parts);
    if (type && p.token.kind != TK_end) {
        parse_expected(&p, "the end of the type");
        type = NULL;
    }
    free(p.stack);
    return program->error.code == E_None ? type : NULL;
}
