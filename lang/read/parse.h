/* parse.h: what the files of the parser share: parse.c (expressions, programs), parse_word.c (forms that start with
 * a word), parse_type.c (types, annotations) and parse_token.c (tokens, lists, errors).
 *
 * What gives a pointer gives NULL, and what gives a bool gives false, when the text is wrong: the program's error is
 * set then, and the caller only hands on that it failed.
 */
#ifndef PARSE_H
#define PARSE_H

#include "../lang.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One source being read. */
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

/* ---- parse_token.c ---- */

bool parse_at(const Parser *p, const char *punct);              /* is it next? */
bool parse_at_word(const Parser *p, const char *word);          /* the same */
const Name *parse_word_at(const Parser *p);                     /* the word that is next, or NULL: no error */
void parse_advance(Parser *p);                                  /* to the next token */
bool parse_take(Parser *p, const char *punct);                  /* goes past it if it is next; no error */
bool parse_want(Parser *p, const char *punct, const char *why); /* goes past it, which must be next */
Span parse_since(const Parser *p, uint32_t begin);              /* from there to the token read last */
/* "expected WHAT, found 'x'". Always false. */
bool parse_expected(Parser *p, const char *what, ...) __attribute__((format(printf, 2, 3)));
bool parse_fail(Parser *p, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Of lists, parameters and prefixes: one level deeper. */
bool parse_deeper(Parser *p);
/* One more link of `a + b + c` or `a.$0.$1`, which deepen the tree on its left. */
bool parse_chain(Parser *p, int *links);
bool parse_push(Parser *p, void *item);
/* Moves the topmost `count` items into memory of the program. */
void *parse_pop(Parser *p, int count);
/* Expressions up to `close`, onto the stack. Their number, or -1. */
int parse_list(Parser *p, const char *open, const char *close, const char *of, bool commas);
/* A node whose kids are the topmost items of the stack. */
Node *parse_node(Parser *p, NodeKind kind, uint32_t begin, int count);
/* A name that is no keyword; what: for the error. */
const char *parse_name(Parser *p, const char *what);

/* ---- parse_type.c ---- */

bool parse_notes(Parser *p, Annotation **notes);
/* *size grows by the number of type constructors. */
Type *parse_type(Parser *p, int *size);
Type *parse_type_name(Parser *p, int *size);
/* The operator of a builder's type. */
bool parse_type_op(Parser *p, const char *of, Op *op);
/* `: T`, if it is there. False: error; *type is untouched without one. */
bool parse_optional_type(Parser *p, Type **type);

/* ---- parse_word.c ---- */

Node *parse_word(Parser *p);

/* ---- parse.c ---- */

Node *parse_expr(Parser *p);
/* Operators that bind no less than `least`. */
Node *parse_binary(Parser *p, int least);

#endif
