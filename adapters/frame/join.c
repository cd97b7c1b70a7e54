/* join.c: joins. The right frame becomes a dictionary from its keys to its row numbers; a loop over the left one looks
 * them up. Rows of keys that have several are grouped, if there are such.
 *
 *     inner:  pairs {left row, right row}, then every column is gathered
 *     left:   the same with {left row, -1} for rows without a partner
 *     semi, anti:  a filter by whether the key is there
 */
#include "frame.h"

#include <stdio.h>

static const char function[] = "frame.join";

typedef struct Join {
    Parser parsers[2]; /* of left and right */
    Keys keys[2];      /* of equal types */
    bool *shared;      /* of each column of the right: it is a key of the same name */
    int64_t count, room;
    weld_lazy_t table;
} Join;

/* Casts both sides to one type and takes them over as one more key. */
static bool add_key(Join *join, Node *left, Node *right) {
    Parser *parser = &join->parsers[0];
    if (!check_value(parser, left)) return false;
    if (!check_value(&join->parsers[1], right)) return parser->failed = true, false;
    Kind kind = check_common(parser, left, left, right);
    if (parser->failed) return false;
    int64_t j = join->count;
    if (!expression_column(parser, left, kind, &join->keys[0].columns[j])) return false;
    join->keys[0].count = j + 1;
    if (!expression_column(&join->parsers[1], right, kind, &join->keys[1].columns[j])) return false;
    join->keys[1].count = join->count = j + 1;
    if (left->kind == X_column && right->kind == X_column &&
        strcmp(left->column->name, right->column->name) == 0)
        join->shared[right->column - join->parsers[1].frame->columns] = true;
    return true;
}

/* The end of the operand that begins at `at`: == or , or the end of the text, outside of parentheses and quotes. */
static const char *operand_end(const char *at) {
    int depth = 0;
    for (; *at; at++) {
        if (*at == '(') depth++;
        if (*at == ')') depth--;
        if (*at == '"' || *at == '\'' || *at == '`') {
            char quote = *at++;
            while (*at && *at != quote) at += *at == '\\' && at[1] && quote != '`' ? 2 : 1;
            if (!*at) break;
        }
        if (depth <= 0 && (*at == ',' || (*at == '=' && at[1] == '='))) break;
    }
    return at;
}

/* One operand, in the frame of a parser. */
static Node *read_side(Parser *parser, const char *begin, const char *end) {
    char *text = parser_alloc(parser, end - begin + 1);
    if (!text) return NULL;
    memcpy(text, begin, (size_t)(end - begin));
    parser->text = parser->at = text;
    parser->nodes = 0;
    Node *node = parse_expression(parser);
    return node && parse_end(parser) ? node : NULL;
}

/* left == right, or one name for both. */
static bool read_keys(Join *join, const char *on) {
    Parser *left = &join->parsers[0], *right = &join->parsers[1];
    if (parse_blank(on)) return parser_fail(left, NULL, "there are no keys"), false;
    int64_t room = 1;
    for (const char *at = on; *at; at++) room += *at == ',';
    for (int i = 0; i < 2; i++) join->keys[i].columns = parser_alloc(left, room * (int64_t)sizeof(Column));
    join->shared = parser_alloc(left, right->frame->count);
    if (left->failed) return false;
    for (const char *at = on;; at++) {
        const char *end = operand_end(at), *from = at, *to = end;
        if (*end == '=') {
            from = end + 2;
            to = operand_end(from);
        }
        Node *nodes[2] = {read_side(left, at, end), NULL};
        nodes[1] = nodes[0] ? read_side(right, from, to) : NULL;
        if (!nodes[0] || !nodes[1] || !add_key(join, nodes[0], nodes[1])) return false;
        at = to;
        if (*at != ',')
            return *at ? parser_fail(left, NULL, "more than one == stand between two commas"), false : true;
    }
}

/* "x0", or "{x0,x1}" of several; types instead of elements where row is NULL. */
static void put_key(Buf *out, Row *row, const Keys *keys) {
    for (int64_t i = 0; i < keys->count; i++) {
        const Column *column = &keys->columns[i];
        buf_printf(out, i ? "," : keys->count > 1 ? "{" : "");
        if (row)
            buf_printf(out, "x%lld", (long long)row_element(row, column->data));
        else
            buf_printf(out, "%s", kind_code(column->kind));
    }
    if (keys->count > 1) buf_printf(out, "}");
}

/* result(for(zip(right rows), builder, |b, i, e| merge(b, {key, value}))), without the rows whose key is missing. */
static void put_rows(Fragment *fragment, const Keys *keys, const char *builder, const char *value) {
    Row *row = row_open(fragment);
    if (!row) return;
    Buf key = {0}, valid = {0}, result = {0};
    put_key(&key, row, keys);
    keys_all_valid(&valid, row, keys);
    if (valid.length)
        buf_printf(&result, "if(%s, merge(b, {%s, %s}), b)", buf_text(&valid), buf_text(&key), value);
    else
        buf_printf(&result, "merge(b, {%s, %s})", buf_text(&key), value);
    if (key.failed || valid.failed || result.failed) fragment->failed = true;
    buf_printf(&fragment->body, "result(");
    row_close(row, builder, buf_text(&result));
    buf_printf(&fragment->body, ")");
    fragment_drop(fragment, &key);
    fragment_drop(fragment, &valid);
    fragment_drop(fragment, &result);
}

/* The right rows by their keys. pairs: {dict[K, {i64, i64}], groups, groups}: the sum of the row numbers of a key, which is the
 * row if there is one, and how many there are; no groups at all; all rows of each key, dict[K, vec[i64]], or none if every key
 * has one row, which is usual: then nothing is grouped, and a partner is found without its group. Else dict[K, i64], which only
 * tells which keys there are. */
static bool make_table(Join *join, bool pairs, weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    Buf type = {0}, ones = {0}, groups = {0};
    put_key(&type, NULL, &join->keys[1]);
    buf_printf(&ones, pairs ? "dictmerger[%s,{i64,i64},+]" : "dictmerger[%s,i64,min]", buf_text(&type));
    buf_printf(&groups, "groupmerger[%s,i64]", buf_text(&type));
    if (type.failed || ones.failed || groups.failed) fragment.failed = true;
    if (pairs) {
        buf_printf(&fragment.body, "let ones = ");
        put_rows(&fragment, &join->keys[1], buf_text(&ones), "{i, 1l}");
        buf_printf(&fragment.body,
                   "; let most = result(for(tovec(ones), merger[i64,max], |b, i, e| merge(b, e.$1.$1))); "
                   "let none = result(%s); {ones, none, if(most <= 1l, none, ",
                   buf_text(&groups));
        put_rows(&fragment, &join->keys[1], buf_text(&groups), "i");
        buf_printf(&fragment.body, ")}");
    } else {
        put_rows(&fragment, &join->keys[1], buf_text(&ones), "i");
    }
    fragment_drop(&fragment, &type);
    fragment_drop(&fragment, &ones);
    fragment_drop(&fragment, &groups);
    join->table = fragment_close(&fragment);
    return join->table != NULL;
}

/* A loop over the left rows. met: what is merged if the key may have a partner, with %K for the key; unmet: if it is missing. */
static weld_lazy_t look_up(Join *join, const char *builder, const char *met, const char *unmet,
                           weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    Row *row = row_open(&fragment);
    Buf key = {0}, valid = {0}, result = {0};
    if (row) {
        const Keys *keys = &join->keys[0];
        put_key(&key, row, keys);
        keys_all_valid(&valid, row, keys);
        buf_printf(&row->body, "let k = %s; let d = p%lld; ", buf_text(&key),
                   (long long)fragment_add(&fragment, join->table));
        if (valid.length)
            buf_printf(&result, "if(%s, %s, %s)", buf_text(&valid), met, unmet);
        else
            buf_printf(&result, "%s", met);
        if (key.failed || valid.failed || result.failed) fragment.failed = true;
        buf_printf(&fragment.body, "result(");
        row_close(row, builder, buf_text(&result));
        buf_printf(&fragment.body, ")");
    }
    fragment_drop(&fragment, &key);
    fragment_drop(&fragment, &valid);
    fragment_drop(&fragment, &result);
    return fragment_close(&fragment);
}

static weld_frame_t filter_join(Join *join, weld_frame_how how, weld_error_t error) {
    bool semi = how == WELD_FRAME_SEMI;
    weld_lazy_t keep =
        look_up(join, "appender[bool]", semi ? "merge(b, keyexists(d, k))" : "merge(b, !keyexists(d, k))",
                semi ? "merge(b, false)" : "merge(b, true)", error);
    weld_frame_t made = keep ? frame_keep(join->parsers[0].frame, function, keep, error) : NULL;
    weld_lazy_free(keep);
    return made;
}

/* A name for a column of the right frame. */
static bool right_name(weld_frame_t made, const char *name, char *out, size_t room, weld_error_t error) {
    snprintf(out, room, "%s", name);
    if (weld_frame_find(made, name) < 0) return true;
    if ((size_t)snprintf(out, room, "%s_right", name) < room && weld_frame_find(made, out) < 0) return true;
    frame_fail(error, function, "two columns would be `%.200s`", out);
    return false;
}

static bool gather_sides(Join *join, weld_frame_t made, weld_lazy_t pairs, bool all, weld_error_t error) {
    weld_frame_t left = join->parsers[0].frame, right = join->parsers[1].frame;
    for (int64_t i = 0; i < left->count; i++) {
        const Column *column = &left->columns[i];
        if (!frame_gather(made, function, column, column->name, pairs, "p.$0", NULL, error)) return false;
    }
    for (int64_t i = 0; i < right->count; i++) {
        const Column *column = &right->columns[i];
        char name[1024];
        if (join->shared[i]) continue;
        if (strlen(column->name) + 8 > sizeof name)
            return frame_fail(error, function, "`%.200s` is too long a name", column->name) != NULL;
        if (!right_name(made, column->name, name, sizeof name, error)) return false;
        if (!frame_gather(made, function, column, name, pairs, "p.$1", all ? "p.$1 >= 0l" : NULL, error))
            return false;
    }
    return true;
}

/* One partner is found by the key alone, several in their group; what follows is for none. */
#define FIND_PARTNERS                                                                 \
    "let f = optlookup(d.$0, k); if(f.$1.$1 == 1l, merge(b, {i, f.$1.$0}), if(f.$0, " \
    "for(lookup(if(f.$1.$1 > 1l, d.$2, d.$1), k), b, |b, j, r| merge(b, {i, r})), "

static weld_frame_t pair_join(Join *join, bool all, weld_error_t error) {
    weld_lazy_t pairs =
        look_up(join, "appender[{i64,i64}]", all ? FIND_PARTNERS "merge(b, {i, -1l})))" : FIND_PARTNERS "b))",
                all ? "merge(b, {i, -1l})" : "b", error);
    weld_frame_t made = pairs ? frame_new(join->parsers[0].frame->count + join->parsers[1].frame->count,
                                          join->parsers[0].frame, error)
                              : NULL;
    if (made && !gather_sides(join, made, pairs, all, error)) {
        weld_frame_free(made);
        made = NULL;
    }
    weld_lazy_free(pairs);
    return made;
}

weld_frame_t weld_frame_join(weld_frame_t left, weld_frame_t right, weld_frame_how how, const char *on,
                             weld_error_t error) {
    if (!frame_check(left, function, error) || !frame_check(right, function, error)) return NULL;
    if ((int)how < WELD_FRAME_INNER || how > WELD_FRAME_ANTI)
        return frame_fail(error, function, "%d is no kind of join", (int)how);
    Join join = {.parsers = {parser_open(left, function, on ? on : "", error),
                             parser_open(right, function, on ? on : "", error)}};
    bool pairs = how == WELD_FRAME_INNER || how == WELD_FRAME_LEFT;
    weld_frame_t made = NULL;
    if (read_keys(&join, on) && make_table(&join, pairs, error))
        made = pairs ? pair_join(&join, how == WELD_FRAME_LEFT, error) : filter_join(&join, how, error);
    weld_lazy_free(join.table);
    keys_close(&join.keys[0]);
    keys_close(&join.keys[1]);
    parser_close(&join.parsers[0]);
    parser_close(&join.parsers[1]);
    return made;
}
