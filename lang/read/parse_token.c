/* parse_token.c: the token that comes next, what was expected instead, and the lists that are open. */
#include "parse.h"

enum { LONGEST_CHAIN = 20000 }; /* of operators or fields: each is a level of the tree */

static uint64_t spell(const char *s) {
    return (unsigned char)s[0] | (s[0] ? (uint64_t)(unsigned char)s[1] << 8 : 0);
}

bool parse_at(const Parser *p, const char *punct) {
    return p->token.kind == TK_punct && p->token.bits == spell(punct);
}

const Name *parse_word_at(const Parser *p) {
    return p->token.kind == TK_ident ? name_of(p->token.text) : NULL;
}

bool parse_at_word(const Parser *p, const char *word) {
    return p->token.kind == TK_ident && strcmp(p->token.text, word) == 0;
}

void parse_advance(Parser *p) {
    p->last_end = p->token.span.end;
    p->token = lex_next(&p->lexer);
}

bool parse_take(Parser *p, const char *punct) {
    bool found = parse_at(p, punct);
    if (found) parse_advance(p);
    return found;
}

Span parse_since(const Parser *p, uint32_t begin) {
    return (Span){p->lexer.source, begin, p->last_end > begin ? p->last_end : begin};
}

bool parse_expected(Parser *p, const char *what, ...) {
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

bool parse_fail(Parser *p, Span span, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(&p->program->error, E_Syntax, span, "%s", text);
}

bool parse_want(Parser *p, const char *punct, const char *why) {
    return parse_take(p, punct) || parse_expected(p, "'%s'%s%s", punct, *why ? " " : "", why);
}

bool parse_deeper(Parser *p) {
    if (p->depth >= p->program->depth) {
        p->program->depth = 0;
        return parse_fail(p, p->token.span, "the program is nested too deeply");
    }
    if (p->program->arena.exhausted)
        return error_set(&p->program->error, E_OutOfMemory, p->token.span,
                         "no memory for a program this large");
    p->depth++;
    return true;
}

bool parse_chain(Parser *p, int *links) {
    return ++*links < LONGEST_CHAIN || parse_fail(p, p->token.span, "the program is nested too deeply");
}

bool parse_push(Parser *p, void *item) {
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

void *parse_pop(Parser *p, int count) {
    size_t bytes = sizeof(void *) * (size_t)count;
    void *items = arena_alloc(&p->program->arena, bytes ? bytes : 1);
    p->top -= (size_t)count;
    if (items && bytes) memcpy(items, p->stack + p->top, bytes);
    if (!items) error_set(&p->program->error, E_OutOfMemory, p->token.span, "no memory for a list this long");
    return items;
}

int parse_list(Parser *p, const char *open, const char *close, const char *of, bool commas) {
    int count = 0;
    while (!parse_at(p, close)) {
        Node *item = parse_expr(p);
        if (!item || !parse_push(p, item)) return -1;
        count++;
        if (!parse_take(p, ",") && commas) break;
    }
    if (parse_take(p, close)) return count;
    parse_expected(p, "'%s' to close the '%s'%s%s", close, open, *of ? " of " : "", of);
    return -1;
}

Node *parse_node(Parser *p, NodeKind kind, uint32_t begin, int count) {
    Node **kids = parse_pop(p, count);
    if (!kids) return NULL;
    Node *node = node_new(p->program, kind, parse_since(p, begin), NULL, 0);
    node->count = count;
    node->kids = kids;
    return node;
}

const char *parse_name(Parser *p, const char *what) {
    const Name *name = parse_word_at(p);
    if (!name || name->word) {
        parse_expected(p, "%s", what);
        return NULL;
    }
    parse_advance(p);
    return name->text;
}
