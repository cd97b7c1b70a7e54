/* emit.c: code of expressions, a line of lets per node:
 *
 *     price * 2 > 10 && ok      let n0 = x0 * 2.0; let n1 = n0 > 10.0; let n2 = n1 && x2; let v2 = ..
 *
 * Each node has a value and, unless it is always there, the bool that says so. What is computed from a missing value is
 * some value that nobody sees, so nothing may fail: a divisor of zero is replaced. Arms of `if` and right sides of && that
 * are always there are evaluated only if they are needed.
 */
#include "frame.h"

#include <math.h>
#include <stdio.h>

#define PROMISE "@(pure: true, threadsafe: true)"

static void name_value(Row *row, char *name) {
    snprintf(name, 40, "n%lld", (long long)row->names++);
}

/* let NAME = ...; */
#define BIND(row, name, ...)                          \
    do {                                              \
        char bound[40];                               \
        name_value(row, bound);                       \
        buf_printf(&(row)->body, "let %s = ", bound); \
        buf_printf(&(row)->body, __VA_ARGS__);        \
        buf_printf(&(row)->body, "; ");               \
        memcpy(name, bound, sizeof bound);            \
    } while (0)

/* Both must be there. */
static void join_valid(Row *row, Value *value, const Value *a, const Value *b) {
    if (*a->valid && *b->valid && strcmp(a->valid, b->valid) != 0)
        BIND(row, value->valid, "%s && %s", a->valid, b->valid);
    else
        memcpy(value->valid, *a->valid ? a->valid : b->valid, sizeof value->valid);
}

/* ---- constants ---- */

static void put_number(Buf *out, Kind kind, const Node *node) {
    static const char *const suffixes[] = {"c", "si", "", "l", "uc", "us", "u", "ul"};
    char text[40];
    if (kind_is_float(kind)) {
        bool single = kind == WELD_FRAME_F32;
        double real = node->real;
        if (isinf(real)) {
            buf_printf(out, single ? "(%s1.0f / 0.0f)" : "(%s1.0 / 0.0)", real < 0 ? "-" : "");
            return;
        }
        text[real_write(fabs(real), single, text)] = 0;
        bool pointed = strpbrk(text, ".e") != NULL;
        buf_printf(out, "(%s%s%s%s)", signbit(real) ? "-" : "", text, pointed ? "" : ".0", single ? "f" : "");
    } else if (kind == WELD_FRAME_DATE) {
        buf_printf(out, "(%lld)", (long long)node->integer);
    } else if (node->beyond || kind == WELD_FRAME_U64) {
        buf_printf(out, "%lluul", (unsigned long long)node->integer);
    } else {
        buf_printf(out, "(%lld%s)", (long long)node->integer, suffixes[kind - WELD_FRAME_I8]);
    }
}

static void put_text(Buf *out, const char *text, int64_t length) {
    buf_printf(out, "\"");
    for (int64_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 32 || c > 126 || c == '"' || c == '\\')
            buf_printf(out, "\\x%02x", c);
        else
            buf_printf(out, "%c", c);
    }
    buf_printf(out, "\"");
}

static Value emit_constant(Row *row, const Node *node, Kind kind) {
    Value value = {.kind = kind};
    Buf text = {0};
    if (node->kind == X_text)
        put_text(&text, node->text, node->text_length);
    else if (node->kind == X_bool)
        buf_printf(&text, node->integer ? "true" : "false");
    else if (node->kind == X_null)
        buf_printf(&text, "%s", kind_zero(kind));
    else
        put_number(&text, kind, node);
    if (text.failed) row->body.failed = true;
    name_value(row, value.text);
    buf_printf(&row->body, "let %s = ", value.text);
    buf_put(&row->body, buf_text(&text), text.length);
    buf_printf(&row->body, "; ");
    if (node->kind == X_null) BIND(row, value.valid, "false");
    buf_free(&text);
    return value;
}

/* ---- casts ---- */

/* A function whose value is {is there, value}. */
static Value emit_optional(Row *row, Kind kind, const Value *from, const char *code) {
    Value value = {.kind = kind}, found = {0};
    char both[40];
    BIND(row, both, "%s", code);
    BIND(row, value.text, "%s.$1", both);
    BIND(row, found.valid, "%s.$0", both);
    join_valid(row, &value, from, &found);
    return value;
}

static Value cast_text(Row *row, const Value *from, Kind kind) {
    char code[160];
    if (kind == WELD_FRAME_DATE) {
        snprintf(code, sizeof code, "frame.date(%s)", from->text);
        return emit_optional(row, kind, from, code);
    }
    snprintf(code, sizeof code, "frame.%s(%s)", kind_is_float(kind) ? "real" : "integer", from->text);
    Value value = emit_optional(row, kind_is_float(kind) ? WELD_FRAME_F64 : WELD_FRAME_I64, from, code);
    if (kind == value.kind) return value;
    Value narrow = {.kind = kind}, fits = {0};
    BIND(row, narrow.text, "%s(%s)", kind_code(kind), value.text);
    if (kind == WELD_FRAME_F32) {
        memcpy(narrow.valid, value.valid, sizeof narrow.valid);
        return narrow;
    }
    if (kind == WELD_FRAME_U64)
        BIND(row, fits.valid, "%s >= 0l", value.text);
    else
        BIND(row, fits.valid, "i64(%s) == %s", narrow.text, value.text);
    join_valid(row, &narrow, &value, &fits);
    return narrow;
}

static void cast_to_text(Row *row, Value *value, const Value *from) {
    switch (from->kind) {
    case WELD_FRAME_BOOL: BIND(row, value->text, "if(%s, \"true\", \"false\")", from->text); break;
    case WELD_FRAME_DATE: BIND(row, value->text, "frame.text_date(%s)", from->text); break;
    case WELD_FRAME_F32:
    case WELD_FRAME_F64:
        BIND(row, value->text, "frame.text_%s(%s)", kind_code(from->kind), from->text);
        break;
    case WELD_FRAME_U64: BIND(row, value->text, "frame.text_u64(%s)", from->text); break;
    default: BIND(row, value->text, "frame.text_i64(i64(%s))", from->text);
    }
}

static Value cast(Row *row, const Value *from, Kind kind) {
    if (from->kind == kind) return *from;
    if (from->kind == WELD_FRAME_TEXT) return cast_text(row, from, kind);
    Value value = {.kind = kind};
    memcpy(value.valid, from->valid, sizeof value.valid);
    if (kind == WELD_FRAME_TEXT)
        cast_to_text(row, &value, from);
    else
        BIND(row, value.text, "%s(%s)", kind_code(kind), from->text);
    return value;
}

Value emit_as(Row *row, Node *node, Kind kind) {
    if (node->type == WELD_FRAME_TYPES) return emit_constant(row, &(Node){.kind = X_null}, kind);
    bool number = node->kind == X_int || node->kind == X_float;
    if (number && node->type != WELD_FRAME_DATE && kind_is_number(kind) && check_fits(node, kind))
        return emit_constant(row, node, kind);
    Value value = emit_node(row, node);
    return cast(row, &value, kind);
}

/* ---- operators ---- */

/* The expression as one that is evaluated where it stands, if it is always there; else its lets go before. */
static Value emit_block(Row *row, Node *node, Kind kind, Buf *block) {
    Buf outer = row->body;
    row->body = (Buf){0};
    Value value = emit_as(row, node, kind);
    Buf inner = row->body;
    row->body = outer;
    if (*value.valid)
        buf_put(&row->body, buf_text(&inner), inner.length);
    else
        buf_printf(block, "("), buf_put(block, buf_text(&inner), inner.length);
    buf_printf(block, *value.valid ? "%s" : "%s)", value.text);
    if (inner.failed || block->failed) row->body.failed = true;
    buf_free(&inner);
    return value;
}

static void bind_buf(Row *row, char *name, const Buf *code) {
    if (code->failed) row->body.failed = true;
    char bound[40];
    name_value(row, bound);
    buf_printf(&row->body, "let %s = ", bound);
    buf_put(&row->body, buf_text(code), code->length);
    buf_printf(&row->body, "; ");
    memcpy(name, bound, sizeof bound);
}

static void bind_sure(Row *row, char *name, const Value *value, const char * not) {
    if (*value->valid)
        BIND(row, name, "%s && %s%s", value->valid, not, value->text);
    else
        BIND(row, name, "%s%s", not, value->text);
}

/* false && missing is false, true || missing is true. */
static Value emit_logic(Row *row, Node *node) {
    Value value = {.kind = WELD_FRAME_BOOL};
    const char *op = node->op;
    bool and = op[0] == '&';
    Value a = emit_as(row, node->kids[0], WELD_FRAME_BOOL);
    Buf block = {0}, code = {0};
    Value b = emit_block(row, node->kids[1], WELD_FRAME_BOOL, &block);
    if (!*a.valid && !*b.valid) {
        buf_printf(&code, "%s %s ", a.text, op);
        buf_put(&code, buf_text(&block), block.length);
        bind_buf(row, value.text, &code);
        buf_free(&block);
        buf_free(&code);
        return value;
    }
    if (!*b.valid) bind_buf(row, b.text, &block);
    buf_free(&block);
    char sure_a[40], sure_b[40]; /* it is there and decides */
    bind_sure(row, sure_a, &a, and? "!" : "");
    bind_sure(row, sure_b, &b, and? "!" : "");
    BIND(row, value.text, "%s(%s || %s)", and? "!" : "", sure_a, sure_b);
    Value both = {0};
    join_valid(row, &both, &a, &b);
    BIND(row, value.valid, "%s || %s || %s", both.valid, sure_a, sure_b);
    return value;
}

/* Text that is true if the node is surely `truth`: it is there, and it is that. A missing operand of && or || does not matter
 * then, so this is simpler than value and validity. */
static void put_sure(Row *row, Node *node, bool truth, Buf *out) {
    bool logic = node->kind == X_binary && (node->op[0] == '&' || node->op[0] == '|');
    if (logic) {
        buf_printf(out, "(");
        put_sure(row, node->kids[0], truth, out);
        buf_printf(out, (node->op[0] == '&') == truth ? " && " : " || ");
        put_sure(row, node->kids[1], truth, out);
        buf_printf(out, ")");
    } else if (node->kind == X_unary && node->op[0] == '!') {
        put_sure(row, node->kids[0], !truth, out);
    } else {
        Buf outer = row->body;
        row->body = (Buf){0};
        Value value = emit_as(row, node, WELD_FRAME_BOOL);
        Buf inner = row->body;
        row->body = outer;
        buf_printf(out, "(");
        buf_put(out, buf_text(&inner), inner.length);
        if (*value.valid) buf_printf(out, "%s && ", value.valid);
        buf_printf(out, "%s%s)", truth ? "" : "!", value.text);
        if (inner.failed) row->body.failed = true;
        buf_free(&inner);
    }
}

weld_lazy_t expression_met(Parser *parser, Node *node) {
    Fragment fragment = fragment_open(parser->function, parser->error);
    Row *row = row_open(&fragment);
    Buf result = {0};
    if (row) {
        buf_printf(&result, "merge(b, ");
        put_sure(row, node, true, &result);
        buf_printf(&result, ")");
        if (!row->count) row_element(row, parser->frame->columns[0].data);
        if (result.failed) fragment.failed = true;
        buf_printf(&fragment.body, "result(");
        row_close(row, "appender[bool]", buf_text(&result));
        buf_printf(&fragment.body, ")");
    }
    buf_free(&result);
    return fragment_close(&fragment);
}

static Value emit_compare(Row *row, Node *node, Node *left, Node *right, const char *op) {
    Value value = {.kind = WELD_FRAME_BOOL};
    Kind kind = check_common(NULL, node, left, right);
    if (kind == WELD_FRAME_TYPES) kind = WELD_FRAME_BOOL; /* null == null */
    Value a = emit_as(row, left, kind), b = emit_as(row, right, kind);
    if (kind == WELD_FRAME_TEXT && (op[0] == '<' || op[0] == '>'))
        BIND(row, value.text, "frame.order(%s, %s) %s 0", a.text, b.text, op);
    else
        BIND(row, value.text, "%s %s %s", a.text, op, b.text);
    join_valid(row, &value, &a, &b);
    return value;
}

static Value emit_concat(Row *row, const Value *values, int count) {
    Value value = {.kind = WELD_FRAME_TEXT};
    Buf code = {0};
    buf_printf(&code, "result(");
    for (int i = count - 1; i >= 0; i--) buf_printf(&code, "for(%s, ", values[i].text);
    buf_printf(&code, "appender[i8](");
    for (int i = 0; i < count; i++) buf_printf(&code, "%slen(%s)", i ? " + " : "", values[i].text);
    buf_printf(&code, ")");
    for (int i = 0; i < count; i++) buf_printf(&code, ", |t, j, c| merge(t, c))");
    buf_printf(&code, ")");
    if (code.failed) row->body.failed = true;
    bind_buf(row, value.text, &code);
    buf_free(&code);
    for (int i = 0; i < count; i++) {
        Value all = {0};
        join_valid(row, &all, &value, &values[i]);
        memcpy(value.valid, all.valid, sizeof value.valid);
    }
    return value;
}

static Value emit_date_sum(Row *row, Node *node) {
    Value value = {.kind = node->type};
    Value sides[2];
    for (int i = 0; i < 2; i++) {
        Node *kid = node->kids[i];
        bool date = kid->type == WELD_FRAME_DATE;
        sides[i] = emit_as(row, kid, date ? WELD_FRAME_DATE : WELD_FRAME_I32);
    }
    BIND(row, value.text, "%s %s %s", sides[0].text, node->op, sides[1].text);
    join_valid(row, &value, &sides[0], &sides[1]);
    return value;
}

/* a % 0 and div(a, 0) of integers are missing. */
static Value emit_division(Row *row, Kind kind, const Value *a, const Value *b, char op) {
    Value value = {.kind = kind}, both = {0}, some = {0};
    BIND(row, some.valid, "%s != %s", b->text, kind_zero(kind));
    BIND(row, value.text, "%s %c if(%s, %s, %s(1))", a->text, op, some.valid, b->text, kind_code(kind));
    join_valid(row, &both, a, b);
    join_valid(row, &value, &both, &some);
    return value;
}

static Value emit_arithmetic(Row *row, Node *node) {
    Node *left = node->kids[0], *right = node->kids[1];
    Kind kind = node->type;
    if (left->type == WELD_FRAME_DATE || right->type == WELD_FRAME_DATE) return emit_date_sum(row, node);
    if (kind == WELD_FRAME_TYPES) kind = WELD_FRAME_F64; /* null + null */
    Value a = emit_as(row, left, kind), b = emit_as(row, right, kind);
    if (kind == WELD_FRAME_TEXT) return emit_concat(row, (Value[]){a, b}, 2);
    if (node->op[0] == '%' && kind_is_integer(kind)) return emit_division(row, kind, &a, &b, '%');
    Value value = {.kind = kind};
    BIND(row, value.text, "%s %s %s", a.text, node->op, b.text);
    join_valid(row, &value, &a, &b);
    return value;
}

static Value emit_binary(Row *row, Node *node) {
    if (node->op[0] == '&' || node->op[0] == '|') return emit_logic(row, node);
    if (strchr("+-*/%", node->op[0])) return emit_arithmetic(row, node);
    return emit_compare(row, node, node->kids[0], node->kids[1], node->op);
}

static Value emit_unary(Row *row, Node *node) {
    Kind kind = node->op[0] == '!' ? WELD_FRAME_BOOL : node->type;
    if (kind == WELD_FRAME_TYPES) kind = WELD_FRAME_F64;
    Value a = emit_as(row, node->kids[0], kind), value = a;
    BIND(row, value.text, "%s%s", node->op, a.text);
    return value;
}

/* ---- calls ---- */

static Value emit_if(Row *row, Node *node) {
    Kind kind = node->type == WELD_FRAME_TYPES ? WELD_FRAME_BOOL : node->type;
    Value value = {.kind = kind};
    char met[40];
    Buf sure = {0};
    put_sure(row, node->kids[0], true, &sure);
    bind_buf(row, met, &sure);
    if (sure.failed) row->body.failed = true;
    buf_free(&sure);
    Buf arms[2] = {{0}, {0}}, code = {0};
    Value a = emit_block(row, node->kids[1], kind, &arms[0]),
          b = emit_block(row, node->kids[2], kind, &arms[1]);
    buf_printf(&code, "if(%s, ", met);
    buf_put(&code, buf_text(&arms[0]), arms[0].length);
    buf_printf(&code, ", ");
    buf_put(&code, buf_text(&arms[1]), arms[1].length);
    buf_printf(&code, ")");
    if (code.failed) row->body.failed = true;
    bind_buf(row, value.text, &code);
    if (*a.valid || *b.valid)
        BIND(row, value.valid, "if(%s, %s, %s)", met, *a.valid ? a.valid : "true",
             *b.valid ? b.valid : "true");
    buf_free(&arms[0]);
    buf_free(&arms[1]);
    buf_free(&code);
    return value;
}

static Value emit_fill_null(Row *row, Node *node) {
    Kind kind = node->type == WELD_FRAME_TYPES ? WELD_FRAME_BOOL : node->type;
    Value a = emit_as(row, node->kids[0], kind), value = {.kind = kind};
    if (!*a.valid) return a;
    Value b = emit_as(row, node->kids[1], kind);
    BIND(row, value.text, "if(%s, %s, %s)", a.valid, a.text, b.text);
    if (*b.valid) BIND(row, value.valid, "%s || %s", a.valid, b.valid);
    return value;
}

static Value emit_is_null(Row *row, Node *node) {
    Kind kind = node->kids[0]->type == WELD_FRAME_TYPES ? WELD_FRAME_BOOL : node->kids[0]->type;
    Value a = emit_as(row, node->kids[0], kind), value = {.kind = WELD_FRAME_BOOL};
    BIND(row, value.text, "%s%s", *a.valid ? "!" : "false", a.valid);
    return value;
}

static Value emit_abs(Row *row, Node *node) {
    Kind kind = node->type == WELD_FRAME_TYPES ? WELD_FRAME_F64 : node->type;
    Value a = emit_as(row, node->kids[0], kind), value = a;
    if (kind_is_unsigned(kind)) return a;
    if (kind_is_float(kind)) /* of -0.0 as well */
        BIND(row, value.text, "if(%1$s <= %2$s, %2$s - %1$s, %1$s)", a.text, kind_zero(kind));
    else
        BIND(row, value.text, "if(%1$s < %2$s, -%1$s, %1$s)", a.text, kind_zero(kind));
    return value;
}

static Value emit_two(Row *row, Node *node) {
    Kind kind = node->type == WELD_FRAME_TYPES ? WELD_FRAME_I64 : node->type;
    Value a = emit_as(row, node->kids[0], kind), b = emit_as(row, node->kids[1], kind);
    if (*node->text == 'd') return emit_division(row, kind, &a, &b, '/');
    Value value = {.kind = kind};
    BIND(row, value.text, "%s(%s, %s)", node->text, a.text, b.text);
    join_valid(row, &value, &a, &b);
    return value;
}

/* As x == a || x == b || .. */
static Value emit_in(Row *row, Node *node) {
    Value value = {.kind = WELD_FRAME_BOOL};
    Buf any = {0}, sure = {0}, all = {0};
    for (int i = 1; i < node->count; i++) {
        Value same = emit_compare(row, node, node->kids[0], node->kids[i], "==");
        buf_printf(&any, "%s%s%s%s", i > 1 ? " || " : "", same.valid, *same.valid ? " && " : "", same.text);
        buf_printf(&all, "%s%s", i > 1 ? " && " : "", *same.valid ? same.valid : "true");
        if (*same.valid) buf_printf(&sure, ".");
    }
    bind_buf(row, value.text, &any);
    if (sure.length) BIND(row, value.valid, "%s || (%s)", value.text, buf_text(&all));
    if (any.failed || all.failed) row->body.failed = true;
    buf_free(&any);
    buf_free(&sure);
    buf_free(&all);
    return value;
}

static Kind letter_kind(char letter) {
    const char *letters = "tdbin";
    static const Kind kinds[] = {WELD_FRAME_TEXT, WELD_FRAME_DATE, WELD_FRAME_BOOL, WELD_FRAME_I64,
                                 WELD_FRAME_F64};
    return kinds[strchr(letters, letter) - letters];
}

static void put_call(Buf *out, const char *code, const Value *values) {
    for (; *code; code++) {
        if (*code == '$' && code[1] >= '0' && code[1] <= '7')
            buf_printf(out, "%s", values[*++code - '0'].text);
        else
            buf_put(out, code, 1);
    }
}

static Value emit_listed(Row *row, Node *node) {
    Value values[8], value = {.kind = node->call->result}, all;
    const char *kinds = node->call->kinds;
    int64_t last = (int64_t)strlen(kinds) - 1 - (strchr(kinds, '+') != NULL);
    for (int i = 0; i < node->count; i++)
        values[i] = emit_as(row, node->kids[i], letter_kind(kinds[i < last ? i : last]));
    if (!node->call->code) return emit_concat(row, values, node->count);
    bool optional = *node->call->code == '?';
    Buf code = {0};
    put_call(&code, node->call->code + optional, values);
    for (int i = 0; i < node->count; i++) {
        all = (Value){0};
        join_valid(row, &all, &value, &values[i]);
        memcpy(value.valid, all.valid, sizeof value.valid);
    }
    if (optional)
        value = emit_optional(row, value.kind, &value, buf_text(&code));
    else
        bind_buf(row, value.text, &code);
    if (code.failed) row->body.failed = true;
    buf_free(&code);
    return value;
}

static Value emit_cast(Row *row, Node *node) {
    Node *kid = node->kids[0];
    if (kid->type == WELD_FRAME_TYPES) return emit_as(row, kid, node->type);
    Value value = emit_node(row, kid);
    return cast(row, &value, node->type);
}

typedef struct Special {
    const char *name;
    Value (*emit)(Row *row, Node *node);
} Special;

static const Special specials[] = {
    {"if", emit_if},   {"fill_null", emit_fill_null}, {"min", emit_two}, {"max", emit_two}, {"div", emit_two},
    {"abs", emit_abs}, {"is_null", emit_is_null},     {"in", emit_in},
};

static Value emit_call(Row *row, Node *node) {
    if (node->call) return emit_listed(row, node);
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (strcmp(node->text, specials[i].name) == 0) return specials[i].emit(row, node);
    }
    return emit_cast(row, node);
}

/* An argument of the fragment, the same in all rows. */
static Value emit_bound(Row *row, const Node *node) {
    Value value = {.kind = node->type};
    snprintf(value.text, sizeof value.text, "p%lld", (long long)fragment_add(row->fragment, node->bound));
    return value;
}

static Value emit_column(Row *row, const Column *column) {
    Value value = {.kind = column->kind};
    snprintf(value.text, sizeof value.text, "x%lld", (long long)row_element(row, column->data));
    if (column->valid)
        snprintf(value.valid, sizeof value.valid, "x%lld", (long long)row_element(row, column->valid));
    return value;
}

Value emit_node(Row *row, Node *node) {
    switch (node->kind) {
    case X_column: return emit_column(row, node->column);
    case X_bound: return emit_bound(row, node);
    case X_unary: return emit_unary(row, node);
    case X_binary: return emit_binary(row, node);
    case X_call: return emit_call(row, node);
    default: return emit_constant(row, node, node->type);
    }
}

/* ---- columns ---- */

/* The values, or which of them are there; those are two fragments, since often only one is needed. NULL and *none: all are
 * there. */
static weld_lazy_t expression_lazy(Parser *parser, Node *node, Kind as, bool valid, bool *none) {
    Fragment fragment = fragment_open(parser->function, parser->error);
    Row *row = row_open(&fragment);
    Value value = {0};
    if (row) {
        value = emit_as(row, node, as);
        if (!row->count) row_element(row, parser->frame->columns[0].data); /* as often as there are rows */
        char builder[60], result[60];
        snprintf(builder, sizeof builder, "appender[%s]", valid ? "bool" : kind_code(as));
        snprintf(result, sizeof result, "merge(b, %s)", valid ? value.valid : value.text);
        buf_printf(&fragment.body, "result(");
        row_close(row, builder, result);
        buf_printf(&fragment.body, ")");
    }
    *none = valid && row && !*value.valid && !fragment.failed && !fragment.body.failed;
    if (!*none) return fragment_close(&fragment);
    buf_free(&fragment.body);
    free(fragment.arguments);
    return NULL;
}

bool expression_column(Parser *parser, Node *node, Kind as, Column *column) {
    *column = (Column){.kind = as, .rows = -1};
    if (node->kind == X_column && node->column->kind == as) {
        *column = *node->column;
        column->name = NULL;
        column->data = weld_lazy_hold(node->column->data);
        column->valid = node->column->valid ? weld_lazy_hold(node->column->valid) : NULL;
        return true;
    }
    bool none;
    column->data = expression_lazy(parser, node, as, false, &none);
    column->valid = column->data ? expression_lazy(parser, node, as, true, &none) : NULL;
    if (column->data && (column->valid || none)) return true;
    parser->failed = true;
    column_drop(column);
    return false;
}
