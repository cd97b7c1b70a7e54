/* check.c: types of expressions.
 *
 * Numbers that meet are promoted as NumPy does, but a number that is written out takes the type of what it meets: with a
 * column of f32, `x * 2.5` is an f32. A text that is written out and meets a date is a date. null has any type.
 */
#include "frame.h"

static const Call calls[] = {
#define CALL(name, kinds, result, code, doc) {name, kinds, code, WELD_FRAME_##result, doc},
#include "functions.def"
#undef CALL
};

const Call *call_row(int64_t number) {
    return number >= 0 && number < (int64_t)(sizeof calls / sizeof *calls) ? &calls[number] : NULL;
}

const Call *call_find(const char *name, int64_t length) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if ((int64_t)strlen(calls[i].name) == length && memcmp(calls[i].name, name, (size_t)length) == 0)
            return &calls[i];
    }
    return NULL;
}

static const char *type_name(const Node *node) {
    return node->type == WELD_FRAME_TYPES ? "null" : weld_frame_type_name(node->type);
}

bool check_fits(const Node *node, Kind kind) {
    static const int64_t least[] = {INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN, 0, 0, 0, 0};
    static const int64_t greatest[] = {INT8_MAX,  INT16_MAX,  INT32_MAX,  INT64_MAX,
                                       UINT8_MAX, UINT16_MAX, UINT32_MAX, INT64_MAX};
    if (kind_is_float(kind)) return true;
    if (node->kind == X_float) return false;
    if (node->beyond) return kind == WELD_FRAME_U64;
    int i = (int)kind - WELD_FRAME_I8;
    return node->integer >= least[i] && node->integer <= greatest[i];
}

static bool is_written(const Node *node) {
    return node->kind == X_int || node->kind == X_float;
}

/* A written text becomes a date. */
static bool become_date(Parser *parser, Node *node) {
    int32_t days;
    if (!date_read(node->text, node->text_length, &days)) {
        parser_fail(parser, node, "this is no date (YYYY-MM-DD)");
        return false;
    }
    node->kind = X_int;
    node->type = WELD_FRAME_DATE;
    node->integer = days;
    return true;
}

Kind check_common(Parser *parser, const Node *at, Node *a, Node *b) {
    if (a->type == b->type) return a->type;
    if (a->type == WELD_FRAME_TYPES) return b->type;
    if (b->type == WELD_FRAME_TYPES) return a->type;
    if (kind_is_number(a->type) && kind_is_number(b->type)) {
        if (is_written(a) && !is_written(b) && check_fits(a, b->type)) return b->type;
        if (is_written(b) && !is_written(a) && check_fits(b, a->type)) return a->type;
        return kind_promote(a->type, b->type);
    }
    if (a->type == WELD_FRAME_DATE && b->kind == X_text)
        return become_date(parser, b) ? WELD_FRAME_DATE : WELD_FRAME_TYPES;
    if (b->type == WELD_FRAME_DATE && a->kind == X_text)
        return become_date(parser, a) ? WELD_FRAME_DATE : WELD_FRAME_TYPES;
    parser_fail(parser, at, "%s and %s do not go together", type_name(a), type_name(b));
    return WELD_FRAME_TYPES;
}

static bool is_null(const Node *node) {
    return node->type == WELD_FRAME_TYPES;
}

static bool set(Node *node, Kind kind) {
    node->type = kind;
    return true;
}

/* ---- operators ---- */

static bool check_unary(Parser *parser, Node *node) {
    Node *kid = node->kids[0];
    bool minus = node->op[0] == '-';
    if (is_null(kid)) return true;
    if (minus ? kind_is_number(kid->type) : kid->type == WELD_FRAME_BOOL) return set(node, kid->type);
    parser_fail(parser, node, "%s is for %s, not %s,", node->op, minus ? "numbers" : "bool", type_name(kid));
    return false;
}

/* date + days, date - days, date - date. */
static bool check_date_sum(Parser *parser, Node *node) {
    Node *a = node->kids[0], *b = node->kids[1];
    bool minus = node->op[0] == '-';
    if (minus && a->type == WELD_FRAME_DATE && b->kind == X_text && !become_date(parser, b)) return false;
    if (a->type == WELD_FRAME_DATE && (kind_is_integer(b->type) || is_null(b)))
        return set(node, WELD_FRAME_DATE);
    if (minus && a->type == WELD_FRAME_DATE && b->type == WELD_FRAME_DATE) return set(node, WELD_FRAME_I32);
    if (!minus && kind_is_integer(a->type) && b->type == WELD_FRAME_DATE) return set(node, WELD_FRAME_DATE);
    parser_fail(parser, node, "%s and %s do not go together", type_name(a), type_name(b));
    return false;
}

static bool check_arithmetic(Parser *parser, Node *node) {
    Node *a = node->kids[0], *b = node->kids[1];
    bool sum = node->op[0] == '+' || node->op[0] == '-';
    if (sum && (a->type == WELD_FRAME_DATE || b->type == WELD_FRAME_DATE))
        return check_date_sum(parser, node);
    if (node->op[0] == '+' && a->type == WELD_FRAME_TEXT && b->type == WELD_FRAME_TEXT)
        return set(node, WELD_FRAME_TEXT);
    Kind kind = check_common(parser, node, a, b);
    if (parser->failed) return false;
    if (kind != WELD_FRAME_TYPES && !kind_is_number(kind)) {
        parser_fail(parser, node, "%s is for numbers, not %s,", node->op, weld_frame_type_name(kind));
        return false;
    }
    if (node->op[0] == '/' && kind != WELD_FRAME_TYPES && kind != WELD_FRAME_F32) kind = WELD_FRAME_F64;
    return set(node, kind);
}

static bool check_logic(Parser *parser, Node *node) {
    for (int i = 0; i < 2; i++) {
        const Node *kid = node->kids[i];
        if (kid->type == WELD_FRAME_BOOL || is_null(kid)) continue;
        parser_fail(parser, node, "%s is for bool, not %s,", node->op, type_name(kid));
        return false;
    }
    return set(node, WELD_FRAME_BOOL);
}

static bool check_binary(Parser *parser, Node *node) {
    if (node->op[0] == '&' || node->op[0] == '|') return check_logic(parser, node);
    if (strchr("+-*/%", node->op[0])) return check_arithmetic(parser, node);
    check_common(parser, node, node->kids[0], node->kids[1]);
    return set(node, WELD_FRAME_BOOL) && !parser->failed;
}

/* ---- calls ---- */

static bool wants(Parser *parser, const Node *node, bool ok, const char *what) {
    if (!ok) parser_fail(parser, node, "%s takes %s", node->text, what);
    return ok;
}

static bool check_if(Parser *parser, Node *node) {
    Node *condition = node->kids[0];
    bool ok = node->count == 3 && (condition->type == WELD_FRAME_BOOL || is_null(condition));
    if (!wants(parser, node, ok, "a bool and two values")) return false;
    Kind kind = check_common(parser, node, node->kids[1], node->kids[2]);
    return set(node, kind) && !parser->failed;
}

static bool check_pair(Parser *parser, Node *node) {
    if (!wants(parser, node, node->count == 2, "two values")) return false;
    Kind kind = check_common(parser, node, node->kids[0], node->kids[1]);
    return set(node, kind) && !parser->failed;
}

static bool check_least(Parser *parser, Node *node) {
    if (!check_pair(parser, node)) return false;
    return wants(parser, node, is_null(node) || kind_is_number(node->type), "two numbers");
}

static bool check_div(Parser *parser, Node *node) {
    if (!check_pair(parser, node)) return false;
    return wants(parser, node, is_null(node) || kind_is_integer(node->type), "two integers");
}

static bool check_abs(Parser *parser, Node *node) {
    bool ok = node->count == 1 && (is_null(node->kids[0]) || kind_is_number(node->kids[0]->type));
    return wants(parser, node, ok, "a number") && set(node, node->kids[0]->type);
}

static bool check_is_null(Parser *parser, Node *node) {
    return wants(parser, node, node->count == 1, "a value") && set(node, WELD_FRAME_BOOL);
}

/* in(x, a, b, ..): all of one type, found by and by. */
static bool check_in(Parser *parser, Node *node) {
    if (!wants(parser, node, node->count >= 2, "a value and what it may be")) return false;
    for (int i = 1; i < node->count; i++) {
        check_common(parser, node, node->kids[0], node->kids[i]);
        if (parser->failed) return false;
    }
    return set(node, WELD_FRAME_BOOL);
}

/* Everything becomes text; numbers become one another; text becomes what it spells. */
static bool check_cast(Parser *parser, Node *node, Kind kind) {
    if (!wants(parser, node, node->count == 1, "a value")) return false;
    Kind from = node->kids[0]->type;
    bool ok = from == kind || from == WELD_FRAME_TYPES || kind == WELD_FRAME_TEXT || from == WELD_FRAME_TEXT;
    ok |= kind != WELD_FRAME_DATE && from != WELD_FRAME_DATE;
    ok |= (kind == WELD_FRAME_DATE && kind_is_integer(from)) ||
          (from == WELD_FRAME_DATE && kind_is_integer(kind));
    ok &= !(kind == WELD_FRAME_BOOL && from == WELD_FRAME_TEXT);
    if (!ok)
        parser_fail(parser, node, "%s does not become %s", type_name(node->kids[0]),
                    weld_frame_type_name(kind));
    return ok && set(node, kind);
}

static bool takes(char letter, const Node *kid) {
    if (is_null(kid)) return true;
    switch (letter) {
    case 't': return kid->type == WELD_FRAME_TEXT;
    case 'd': return kid->type == WELD_FRAME_DATE;
    case 'b': return kid->type == WELD_FRAME_BOOL;
    case 'i': return kind_is_integer(kid->type);
    default: return kind_is_number(kid->type);
    }
}

static bool check_listed(Parser *parser, Node *node) {
    static const char *const words[] = {"t text", "d date", "b bool", "i integer", "n number"};
    const char *kinds = node->call->kinds;
    bool more = strchr(kinds, '+') != NULL;
    int least = (int)strlen(kinds) - more;
    if (node->count < least || (node->count > least && !more)) {
        parser_fail(parser, node, "%s takes %s%d argument%s", node->text, more ? "at least " : "", least,
                    least == 1 ? "" : "s");
        return false;
    }
    for (int i = 0; i < node->count; i++) {
        char letter = kinds[i < least ? i : least - 1];
        if (letter == 'd' && node->kids[i]->kind == X_text && !become_date(parser, node->kids[i]))
            return false;
        if (takes(letter, node->kids[i])) continue;
        const char *word = "";
        for (size_t j = 0; j < sizeof words / sizeof *words; j++)
            word = *words[j] == letter ? words[j] + 2 : word;
        parser_fail(parser, node, "argument %d of %s is a %s, not %s,", i + 1, node->text, word,
                    type_name(node->kids[i]));
        return false;
    }
    return set(node, node->call->result);
}

typedef struct Special {
    const char *name;
    bool (*check)(Parser *parser, Node *node);
} Special;

static const Special specials[] = {
    {"if", check_if},   {"fill_null", check_pair}, {"min", check_least},       {"max", check_least},
    {"div", check_div}, {"abs", check_abs},        {"is_null", check_is_null}, {"in", check_in},
};

static bool check_call(Parser *parser, Node *node) {
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (strcmp(node->text, specials[i].name) == 0) return specials[i].check(parser, node);
    }
    Kind kind = kind_named(node->text, node->text_length);
    if (kind != WELD_FRAME_TYPES) return check_cast(parser, node, kind);
    node->call = call_find(node->text, node->text_length);
    if (node->call) return check_listed(parser, node);
    static const char *const aggregates[] = {"count", "sum",   "mean", "var",
                                             "std",   "first", "last", "n_unique"};
    for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++) {
        if (strcmp(node->text, aggregates[i]) == 0)
            return parser_fail(parser, node, "%s is an aggregate, for frame.group_by,", node->text);
    }
    return parser_fail(parser, node, "there is no function %.100s", node->text);
}

bool check_node(Parser *parser, Node *node) {
    for (int i = 0; i < node->count; i++) {
        if (!check_node(parser, node->kids[i])) return false;
    }
    switch (node->kind) {
    case X_int: return set(node, node->beyond ? WELD_FRAME_U64 : WELD_FRAME_I64);
    case X_float: return set(node, WELD_FRAME_F64);
    case X_text: return set(node, WELD_FRAME_TEXT);
    case X_bool: return set(node, WELD_FRAME_BOOL);
    case X_null:
    case X_bound: return true; /* it has its type */
    case X_column: return set(node, node->column->kind);
    case X_unary: return check_unary(parser, node);
    case X_binary: return check_binary(parser, node);
    case X_call: return check_call(parser, node);
    }
    return false;
}

bool check_value(Parser *parser, Node *node) {
    if (!check_node(parser, node)) return false;
    if (!is_null(node)) return true;
    parser_fail(parser, node, "the type of null is not known");
    return false;
}
