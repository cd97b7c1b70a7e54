/* parse.c: expressions over columns, as trees.
 *
 *     items      := expression [as NAME] [asc | desc] { , items }
 *     expression := and { || and }              and := compare { && compare }
 *     compare    := sum { == != < <= > >= sum } sum := product { + - product }   product := prefix { * / % prefix }
 *     prefix     := ( - | ! ) prefix | NUMBER | "text" | true | false | null | NAME | `any name` | NAME ( arguments )
 *                 | $NAME | ( expression )
 *
 * A function per production. Nodes live in blocks of the parser and die with it.
 */
#include "frame.h"

#include <errno.h>
#include <stdio.h>

enum { DEEPEST = 100, NODES = 1000 }; /* of one expression: trees are walked by recursion */

struct Block {
    Block *next;
    int64_t used, room;
    char bytes[];
};

Parser parser_open(weld_frame_t frame, const char *function, const char *text, weld_error_t error) {
    Parser parser = {.frame = frame, .function = function, .text = text, .at = text, .error = error};
    if (!text) {
        frame_fail(error, function, "the text is NULL");
        parser.failed = true;
        parser.text = parser.at = "";
    }
    return parser;
}

void parser_close(Parser *parser) {
    while (parser->blocks) {
        Block *next = parser->blocks->next;
        free(parser->blocks);
        parser->blocks = next;
    }
}

void *parser_alloc(Parser *parser, int64_t bytes) {
    bytes = (bytes + 15) & ~(int64_t)15;
    Block *block = parser->blocks;
    if (!block || block->used + bytes > block->room) {
        int64_t room = bytes > 8192 ? bytes : 8192;
        block = malloc(sizeof *block + (size_t)room);
        if (!block) {
            if (!parser->failed) frame_no_memory(parser->error);
            parser->failed = true;
            return NULL;
        }
        *block = (Block){parser->blocks, 0, room};
        parser->blocks = block;
    }
    void *memory = memset(block->bytes + block->used, 0, (size_t)bytes);
    block->used += bytes;
    return memory;
}

void *parser_fail(Parser *parser, const Node *node, const char *format, ...) {
    if (parser->failed) return NULL;
    parser->failed = true;
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *begin = node ? node->begin : parser->at;
    int length = node ? (int)(node->length < 200 ? node->length : 200) : (int)strnlen(begin, 40);
    if (length == 0) return frame_fail(parser->error, parser->function, "%s at the end of the text", text);
    return frame_fail(parser->error, parser->function, "%s in `%.*s`", text, length, begin);
}

/* ---- words ---- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 128;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static void skip_blanks(Parser *parser) {
    while (*parser->at && strchr(" \t\r\n", *parser->at)) parser->at++;
}

bool parse_blank(const char *text) {
    return !text || text[strspn(text, " \t\r\n")] == 0;
}

static bool take(Parser *parser, const char *sign) {
    skip_blanks(parser);
    size_t length = strlen(sign);
    if (parser->failed || strncmp(parser->at, sign, length) != 0) return false;
    parser->at += length;
    return true;
}

static int64_t word_length(const char *at) {
    int64_t length = 0;
    if (is_letter(*at)) {
        while (is_letter(at[length]) || is_digit(at[length])) length++;
    }
    return length;
}

bool parse_is_word(const char *text) {
    return *text && text[word_length(text)] == 0;
}

bool parse_word(Parser *parser, const char *word) {
    skip_blanks(parser);
    int64_t length = word_length(parser->at);
    if (parser->failed || length != (int64_t)strlen(word) || memcmp(parser->at, word, (size_t)length) != 0)
        return false;
    parser->at += length;
    return true;
}

bool parse_end(Parser *parser) {
    skip_blanks(parser);
    if (!parser->failed && *parser->at) parser_fail(parser, NULL, "this does not belong here:");
    return !parser->failed;
}

static char *copy_text(Parser *parser, const char *text, int64_t length) {
    char *copy = parser_alloc(parser, length + 1);
    if (copy) memcpy(copy, text, (size_t)length);
    return copy;
}

/* A name, in backquotes or not; NULL: there is none. */
static char *parse_name(Parser *parser, int64_t *length) {
    skip_blanks(parser);
    const char *at = parser->at;
    if (*at == '`') {
        const char *end = strchr(at + 1, '`');
        if (!end) return parser_fail(parser, NULL, "a name has no second `");
        *length = end - at - 1;
        parser->at = end + 1;
        return copy_text(parser, at + 1, *length);
    }
    *length = word_length(at);
    if (*length == 0) return parser_fail(parser, NULL, "a name is missing");
    parser->at += *length;
    return copy_text(parser, at, *length);
}

/* ---- atoms ---- */

static Node *node_new(Parser *parser, NodeKind kind, const char *begin) {
    if (parser->nodes++ == NODES) return parser_fail(parser, NULL, "the expression is too large");
    Node *node = parser_alloc(parser, sizeof *node);
    if (!node) return NULL;
    node->kind = kind;
    node->type = WELD_FRAME_TYPES;
    node->begin = begin;
    return node;
}

/* Ends at what was read last. */
static Node *node_end(Parser *parser, Node *node) {
    if (node) node->length = parser->at - node->begin;
    return parser->failed ? NULL : node;
}

static Node *parse_number(Parser *parser) {
    const char *at = parser->at;
    Node *node = node_new(parser, X_int, at);
    int64_t digits = 0;
    while (is_digit(at[digits])) digits++;
    int64_t length = digits;
    if (at[length] == '.') {
        length++;
        while (is_digit(at[length])) length++;
    }
    if (at[length] == 'e' || at[length] == 'E') {
        int64_t sign = at[length + 1] == '+' || at[length + 1] == '-';
        if (is_digit(at[length + 1 + sign])) {
            length += 1 + sign;
            while (is_digit(at[length])) length++;
        }
    }
    parser->at += length;
    if (!node) return NULL;
    if (is_letter(*parser->at)) return parser_fail(parser, NULL, "a number ends before");
    if (length == digits) {
        errno = 0;
        unsigned long long number = strtoull(at, NULL, 10);
        if (errno) return parser_fail(parser, node_end(parser, node), "the number is too large");
        node->integer = (int64_t)number;
        node->beyond = number > INT64_MAX;
        node->real = (double)number;
    } else {
        node->kind = X_float;
        if (!real_read(at, length, &node->real)) return parser_fail(parser, node, "this is no number");
    }
    return node_end(parser, node);
}

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind a backslash; advances. */
static bool unescape(const char **at, char *out) {
    static const char from[] = "nrt\\\"'", to[] = "\n\r\t\\\"'";
    const char *found = **at ? strchr(from, **at) : NULL;
    if (found) {
        *out = to[found - from];
        (*at)++;
        return true;
    }
    if (**at != 'x' || hex_digit((*at)[1]) < 0 || hex_digit((*at)[2]) < 0) return false;
    *out = (char)(16 * hex_digit((*at)[1]) + hex_digit((*at)[2]));
    *at += 3;
    return true;
}

/* In double or single quotes. */
static Node *parse_text(Parser *parser) {
    const char *begin = parser->at, *at = begin + 1;
    Node *node = node_new(parser, X_text, begin);
    char *out = parser_alloc(parser, (int64_t)strlen(at) + 1);
    if (!node || !out) return NULL;
    node->text = out;
    while (*at && *at != *begin) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        at++;
        if (!unescape(&at, out++))
            return parser_fail(parser, NULL, "a \\ is followed by n, r, t, \\, a quote or xNN");
    }
    if (!*at) return parser_fail(parser, NULL, "a text has no end");
    parser->at = at + 1;
    node->text_length = out - node->text;
    return node_end(parser, node);
}

/* Behind "(": arguments of a call. */
static Node *parse_arguments(Parser *parser, Node *node) {
    enum { MOST = sizeof node->kids / sizeof *node->kids };
    while (!take(parser, ")")) {
        if (node->count && !take(parser, ",")) return parser_fail(parser, NULL, "a , or ) is missing");
        if (node->count == MOST) return parser_fail(parser, NULL, "more than %d arguments", MOST);
        Node *kid = parse_expression(parser);
        if (!kid) return NULL;
        node->kids[node->count++] = kid;
    }
    return node_end(parser, node);
}

static Node *parse_column(Parser *parser, Node *node, const char *name, int64_t length) {
    const Column *column = frame_need(parser->frame, parser->function, name, length, parser->error);
    if (!column) parser->failed = true;
    node->column = column;
    return node_end(parser, node);
}

static Node *parse_named(Parser *parser) {
    const char *begin = parser->at;
    Node *node = node_new(parser, X_column, begin);
    int64_t length;
    char *name = parse_name(parser, &length);
    if (!node || !name) return NULL;
    bool plain = *begin != '`';
    if (plain && take(parser, "(")) {
        node->kind = X_call;
        node->text = name;
        node->text_length = length;
        return parse_arguments(parser, node);
    }
    bool is = plain && strcmp(name, "true") == 0;
    if (is || (plain && strcmp(name, "false") == 0)) {
        node->kind = X_bool;
        node->integer = is;
        return node_end(parser, node);
    }
    if (plain && strcmp(name, "null") == 0) {
        node->kind = X_null;
        return node_end(parser, node);
    }
    return parse_column(parser, node, name, length);
}

/* At the $ of a value that is bound in the frame. */
static Node *parse_bound(Parser *parser) {
    Node *node = node_new(parser, X_bound, parser->at++);
    if (!node) return NULL;
    const char *name = parser->at;
    int64_t length = word_length(name);
    parser->at += length;
    node->length = parser->at - node->begin;
    node->bound = binding_find(parser->frame->bound, name, length, &node->type);
    return node->bound ? node : parser_fail(parser, node, "no value is bound under this name,");
}

static Node *parse_atom(Parser *parser) {
    skip_blanks(parser);
    char c = *parser->at;
    if (is_digit(c) || (c == '.' && is_digit(parser->at[1]))) return parse_number(parser);
    if (c == '"' || c == '\'') return parse_text(parser);
    if (is_letter(c) || c == '`') return parse_named(parser);
    if (c == '$') return parse_bound(parser);
    if (!take(parser, "(")) return parser_fail(parser, NULL, "an expression is missing");
    Node *node = parse_expression(parser);
    if (node && !take(parser, ")")) return parser_fail(parser, NULL, "a ) is missing");
    return node;
}

/* ---- operators ---- */

static Node *negate(Node *node) {
    node->integer = (int64_t)(0 - (uint64_t)node->integer);
    node->real = -node->real;
    return node;
}

static Node *parse_prefix(Parser *parser) {
    skip_blanks(parser);
    const char *begin = parser->at;
    bool minus = *begin == '-', not = *begin == '!' && begin[1] != '=';
    if (!minus && !not) return parse_atom(parser);
    if (parser->depth >= DEEPEST) return parser_fail(parser, NULL, "the expression is nested too deeply");
    parser->at++;
    parser->depth++;
    Node *kid = parse_prefix(parser);
    parser->depth--;
    if (!kid) return NULL;
    /* -9223372036854775808 is a number */
    if (minus &&
        (kid->kind == X_float || (kid->kind == X_int && (!kid->beyond || kid->integer == INT64_MIN)))) {
        kid->beyond = false;
        kid->begin = begin;
        return node_end(parser, negate(kid));
    }
    Node *node = node_new(parser, X_unary, begin);
    if (!node) return NULL;
    node->op[0] = *begin;
    node->kids[node->count++] = kid;
    return node_end(parser, node);
}

static const char *const levels[][7] = {
    {"||", NULL},     {"&&", NULL},          {"==", "!=", "<=", ">=", "<", ">", NULL},
    {"+", "-", NULL}, {"*", "/", "%", NULL},
};
enum { LEVELS = sizeof levels / sizeof *levels };

static const char *take_operator(Parser *parser, int level) {
    for (int i = 0; levels[level][i]; i++) {
        if (take(parser, levels[level][i])) return levels[level][i];
    }
    return NULL;
}

static Node *parse_binary(Parser *parser, int level) {
    if (level == LEVELS) return parse_prefix(parser);
    skip_blanks(parser);
    const char *begin = parser->at, *op;
    Node *left = parse_binary(parser, level + 1);
    while (left && (op = take_operator(parser, level))) {
        Node *right = parse_binary(parser, level + 1);
        Node *node = node_new(parser, X_binary, begin);
        if (!right || !node) return NULL;
        strcpy(node->op, op);
        node->kids[0] = left;
        node->kids[1] = right;
        node->count = 2;
        left = node_end(parser, node);
    }
    return left;
}

Node *parse_expression(Parser *parser) {
    if (parser->failed) return NULL;
    if (parser->depth >= DEEPEST) return parser_fail(parser, NULL, "the expression is nested too deeply");
    parser->depth++;
    Node *node = parse_binary(parser, 0);
    parser->depth--;
    return node;
}

/* ---- items ---- */

static bool parse_item(Parser *parser, bool order, Item *item) {
    parser->nodes = 0;
    item->node = parse_expression(parser);
    if (!item->node) return false;
    int64_t length;
    if (parse_word(parser, "as")) {
        item->name = parse_name(parser, &length);
        item->named = true;
    } else if (item->node->kind == X_column) {
        item->name = copy_text(parser, item->node->column->name, (int64_t)strlen(item->node->column->name));
    } else {
        item->name = copy_text(parser, item->node->begin, item->node->length);
    }
    if (item->name && !*item->name) parser_fail(parser, NULL, "a name is empty");
    if (order) {
        item->descending = parse_word(parser, "desc");
        if (!item->descending) parse_word(parser, "asc");
    }
    return !parser->failed;
}

Item *parse_items(Parser *parser, bool order, int64_t *count) {
    int64_t room = 1;
    for (const char *at = parser->text; *at; at++) room += *at == ',';
    Item *items = parser_alloc(parser, room * (int64_t)sizeof *items);
    *count = 0;
    if (!items) return NULL;
    do {
        if (!parse_item(parser, order, &items[*count])) return NULL;
        ++*count;
    } while (take(parser, ","));
    return parse_end(parser) ? items : NULL;
}
