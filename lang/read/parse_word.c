/* parse_word.c: forms that start with a word: builders, iterators, calls of functions, and every node whose row in ops.def
 * has a name. */
#include "parse.h"

#include <stdio.h>

/* A call of a row of the tables: its arguments as a node's kids, their number checked. most -1: any. */
static Node *parse_call(Parser *p, NodeKind kind, const char *name, uint32_t begin, int least, int most) {
    if (!parse_take(p, "(")) {
        parse_expected(p, "'(' after %s", name);
        return NULL;
    }
    int count = parse_list(p, "(", ")", name, true);
    if (count < 0) return NULL;
    Node *node = parse_node(p, kind, begin, count);
    if (!node || (count >= least && (most < 0 || count <= most))) return node;
    const char *usage = node_classes[kind].usage;
    bool own = strncmp(usage, name, strlen(name)) == 0 && !strstr(usage, "), ");
    char range[24] = "";
    if (most > least) snprintf(range, sizeof range, " to %d", most);
    parse_fail(p, node->span, "%s takes %s%d%s argument%s, not %d%s%s", name, most < 0 ? "at least " : "",
               least, range, least == 1 && most <= 1 ? "" : "s", count, own ? ": " : "", own ? usage : "");
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
    parse_fail(p, node->span, "%s takes the data alone, or with its start, end and stride", name->text);
    return NULL;
}

/* appender[T](size), merger[T, +](init), ... */
static Node *parse_builder(Parser *p, const Name *name, uint32_t begin) {
    int size = 1, count = 0;
    Type *type = parse_type_name(p, &size);
    if (!type) return NULL;
    if (parse_take(p, "(")) {
        count = parse_list(p, "(", ")", name->text, true);
        if (count < 0) return NULL;
    }
    Node *node = parse_node(p, N_NewBuilder, begin, count);
    if (!node) return NULL;
    node->type = type;
    bool most = type->kind != TY_groupmerger;
    if (count > most || (count == 0 && type->kind == TY_vecmerger)) {
        parse_fail(p, node->span, "%s takes %s, not %d arguments", name->text,
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
    if (!parse_want(p, "[", "and the type after deserialize")) return NULL;
    Type *type = parse_type(p, &size);
    if (!type || !parse_want(p, "]", "to close the type of deserialize")) return NULL;
    Node *node = parse_call(p, N_Deserialize, "deserialize", begin, 1, 1);
    if (node) node->type = type;
    return node;
}

/* cudf[name, T](a, b), and cfun and cfill alike; upstream needs no commas between the arguments. */
static Node *parse_foreign(Parser *p, const Name *word, uint32_t begin) {
    const NodeClass *class = &node_classes[word->row];
    int size = 0;
    if (!parse_want(p, "[", "and the name of the C function")) return NULL;
    const Name *name = parse_word_at(p);
    if (!name) {
        parse_expected(p, "the name of a C function");
        return NULL;
    }
    parse_advance(p);
    if (!parse_want(p, ",", "between the name of the C function and its type")) return NULL;
    Type *type = parse_type(p, &size);
    if (!type || !parse_want(p, "]", "to close the name and type of the C function")) return NULL;
    Span span = p->token.span;
    if (!parse_want(p, "(", "and the arguments of the C function")) return NULL;
    int count = parse_list(p, "(", ")", class->spelling, word->row != N_Cudf);
    if (count < 0) return NULL;
    Node *node = parse_node(p, (NodeKind)word->row, begin, count);
    if (!node) return NULL;
    node->text = name->text;
    node->type = type;
    if (count >= class->least) return node;
    parse_fail(p, span, "%s takes the size of what is filled first: %s", class->spelling, class->usage);
    return NULL;
}

/* exchange[reduce,+](a) */
static Node *parse_exchange(Parser *p, uint32_t begin) {
    if (!parse_want(p, "[", "and what is exchanged")) return NULL;
    const Name *name = parse_word_at(p);
    int kind = 0;
    while (kind < EXCHANGE_COUNT && !(name && strcmp(name->text, exchange_classes[kind].spelling) == 0))
        kind++;
    if (kind == EXCHANGE_COUNT) {
        parse_expected(p, "the name of an exchange");
        return NULL;
    }
    const ExchangeClass *class = &exchange_classes[kind];
    Op op = OP_none;
    parse_advance(p);
    if (class->combines &&
        (!parse_want(p, ",", "and an operator") || !parse_type_op(p, class->spelling, &op)))
        return NULL;
    if (!parse_want(p, "]", "to close the kind of the exchange")) return NULL;
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
    parse_fail(p, (Span){p->lexer.source, begin, p->last_end}, "put the %s in parentheses here", name->text);
    return NULL;
}

Node *parse_word(Parser *p) {
    const Name *name = parse_word_at(p);
    uint32_t begin = p->token.span.begin;
    Node *node = NULL;
    if (name->word == WD_builder) return parse_builder(p, name, begin);
    if (name->word == WD_composite ||
        (name->word == WD_keyword && (name->text[0] != 't' || name->text[1] == 'y') &&
         name->text[0] != 'f')) {
        parse_expected(p, "an expression");
        return NULL;
    }
    parse_advance(p);
    switch (name->word) {
    case WD_keyword: /* true, false */
        return node_literal(p->program, parse_since(p, begin), type_scalar(&p->program->types, TY_bool),
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
    node = node_new(p->program, N_Ident, parse_since(p, begin), NULL, 0);
    node->text = name->text;
    return node;
}
