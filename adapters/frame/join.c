/* join.c: joins. The right frame becomes a dictionary from its keys to its rows; a loop over the left one looks them up.
 *
 *     right   key 7 8 9, price 1.5 2.5 3.5        {7: {0, 1.5}, 8: {1, 2.5}, 9: {2, 3.5}}: row number, what is carried
 *     left    key 9 5 7                           pairs {0, true, 2, 3.5} {2, true, 0, 1.5}
 *
 *     inner:  pairs {left row, there is a partner, right row, what the dictionary carries of it}
 *     left:   the same with {left row, false, 0, zeros} for rows without a partner
 *     semi, anti:  a filter by whether the key is there
 *
 * Who joins does not know which columns will be wanted, so the values of the dictionary carry as many as the optimizer can
 * take apart: of those that nobody wants nothing is left, and one that is wanted costs no second wait for memory, as finding
 * it by the row number does. That is for texts and for what goes beyond. Pairs likewise carry columns of the left side, which
 * the loop walks anyway.
 *
 * Where keys have several rows, their values in the dictionary are sums that mean nothing, and all rows are grouped besides.
 */
#include "frame.h"

#include <stdio.h>

static const char function[] = "frame.join";

enum { MOST_CARRIED = 8, MOST_KEPT = 5 }; /* fields: with those of a pair, what pass_columns takes apart */

/* The first fields of the dictionary's values, and of pairs, which go on with what is carried and kept. */
enum { VALUE_ROW, VALUE_FIELDS };
enum { PAIR_LEFT, PAIR_FOUND, PAIR_ROW, PAIR_FIELDS };

typedef struct Join {
    Parser parsers[2]; /* of left and right */
    Keys keys[2];      /* of equal types */
    bool *shared;      /* of each column of the right: it is a key of the same name */
    const Column *carried
        [MOST_CARRIED]; /* of the right: its elements, and if they may be missing, then which are there */
    int carried_count, carried_fields;
    const Column *kept[MOST_KEPT]; /* of the left, in pairs behind what is carried, likewise */
    int kept_count, kept_fields;
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

static void choose_carried(Join *join) {
    const weld_frame_t right = join->parsers[1].frame;
    for (int64_t i = 0; i < right->count; i++) {
        const Column *column = &right->columns[i];
        int fields = 1 + (column->valid != NULL);
        if (join->shared[i] || column->kind == WELD_FRAME_TEXT) continue;
        if (join->carried_fields + fields > MOST_CARRIED) break;
        join->carried[join->carried_count++] = column;
        join->carried_fields += fields;
    }
}

static void choose_kept(Join *join) {
    const weld_frame_t left = join->parsers[0].frame;
    for (int64_t i = 0; i < left->count; i++) {
        const Column *column = &left->columns[i];
        int fields = 1 + (column->valid != NULL);
        if (column->kind == WELD_FRAME_TEXT) continue;
        if (join->kept_fields + fields > MOST_KEPT) break;
        join->kept[join->kept_count++] = column;
        join->kept_fields += fields;
    }
}

/* The first field that is the column's, of those of the columns; -1: it is none of them. */
static int field_of(const Column *const *columns, int count, const Column *column) {
    for (int i = 0, field = 0; i < count; i++) {
        if (columns[i] == column) return field;
        field += 1 + (columns[i]->valid != NULL);
    }
    return -1;
}

/* Bools, which do not add, are carried as i8. ", i64, i8" */
static void put_carried_types(Buf *out, const Join *join) {
    for (int i = 0; i < join->carried_count; i++) {
        const Column *column = join->carried[i];
        buf_printf(out, ",%s", column->kind == WELD_FRAME_BOOL ? "i8" : kind_code(column->kind));
        if (column->valid) buf_printf(out, ",i8");
    }
}

/* ", x1, i8(x2)" of the loop's row, or of row r of the columns where row is NULL. */
static void put_carried(Buf *out, const Join *join, Fragment *fragment, Row *row) {
    for (int i = 0; i < join->carried_count; i++) {
        const Column *column = join->carried[i];
        weld_lazy_t vectors[2] = {column->data, column->valid};
        for (int k = 0; k < 2 && vectors[k]; k++) {
            buf_printf(out, k || column->kind == WELD_FRAME_BOOL ? ", i8(" : ", (");
            if (row)
                buf_printf(out, "x%lld)", (long long)row_element(row, vectors[k]));
            else
                buf_printf(out, "lookup(p%lld, r))", (long long)fragment_add(fragment, vectors[k]));
        }
    }
}

/* ", f.$1.$1, f.$1.$2" of a value of the dictionary that was found, or zeros where it was not. */
static void put_found(Buf *out, const Join *join) {
    for (int i = 0; i < join->carried_fields; i++) buf_printf(out, ", f.$1.$%d", VALUE_FIELDS + i);
}

static void put_kept_types(Buf *out, const Join *join) {
    for (int i = 0; i < join->kept_count; i++) {
        buf_printf(out, ",%s", kind_code(join->kept[i]->kind));
        if (join->kept[i]->valid) buf_printf(out, ",bool");
    }
}

/* ", x1, x2" of the left row. */
static void put_kept(Buf *out, const Join *join, Row *row) {
    for (int i = 0; i < join->kept_count; i++) {
        const Column *column = join->kept[i];
        buf_printf(out, ", x%lld", (long long)row_element(row, column->data));
        if (column->valid) buf_printf(out, ", x%lld", (long long)row_element(row, column->valid));
    }
}

typedef enum What { COUNT, ROW_NUMBERS, CARRIED } What;

/* result(for(zip(right rows), builder, |b, i, e| merge(b, {key, value}))), without the rows whose key is missing; COUNT: how
 * many these are. */
static void put_rows(const Join *join, Fragment *fragment, const char *builder, What what) {
    Row *row = row_open(fragment);
    const Keys *keys = &join->keys[1];
    if (!row) return;
    Buf key = {0}, valid = {0}, merge = {0}, result = {0};
    keys_all_valid(&valid, row, keys);
    if (what == COUNT) {
        buf_printf(&merge, "merge(b, 1l)");
    } else {
        put_key(&key, row, keys);
        buf_printf(&merge, "merge(b, {%s, %s", buf_text(&key), what == CARRIED ? "{i" : "i");
        if (what == CARRIED) put_carried(&merge, join, fragment, row);
        buf_printf(&merge, what == CARRIED ? "}})" : "})");
    }
    buf_printf(&result, valid.length ? "if(%s, %s, b)" : "%s%s", buf_text(&valid), buf_text(&merge));
    if (key.failed || valid.failed || merge.failed || result.failed) fragment->failed = true;
    buf_printf(&fragment->body, "result(");
    row_close(row, builder, buf_text(&result));
    buf_printf(&fragment->body, ")");
    fragment_drop(fragment, &key);
    fragment_drop(fragment, &valid);
    fragment_drop(fragment, &merge);
    fragment_drop(fragment, &result);
}

/* How many right rows have a key. */
static void put_count(const Join *join, Fragment *fragment) {
    const Keys *keys = &join->keys[1];
    for (int64_t i = 0; i < keys->count; i++) {
        if (keys->columns[i].valid) return put_rows(join, fragment, "merger[i64,+]", COUNT);
    }
    buf_printf(&fragment->body, "len(p%lld)", (long long)fragment_add(fragment, keys->columns[0].data));
}

/* The right rows by their keys. pairs: {dict[K, {row, what is carried}], no groups, groups, is every key alone}. The groups,
 * dict[K, vec[i64]], have all rows of each key; if every key is alone, which is usual, there are none. Else dict[K, i64],
 * which only tells which keys there are. */
static bool make_table(Join *join, bool pairs, weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    Buf type = {0}, builder = {0}, groups = {0};
    put_key(&type, NULL, &join->keys[1]);
    if (pairs) {
        buf_printf(&builder, "dictmerger[%s,{i64", buf_text(&type));
        put_carried_types(&builder, join);
        buf_printf(&builder, "},+]");
        buf_printf(&groups, "groupmerger[%s,i64]", buf_text(&type));
        if (builder.failed || groups.failed) fragment.failed = true;
        buf_printf(&fragment.body, "let rows = ");
        put_rows(join, &fragment, buf_text(&builder), CARRIED);
        buf_printf(&fragment.body, "; let alone = len(tovec(rows)) == ");
        put_count(join, &fragment);
        buf_printf(&fragment.body, "; let none = result(%s); {rows, none, if(alone, none, ",
                   buf_text(&groups));
        put_rows(join, &fragment, buf_text(&groups), ROW_NUMBERS);
        buf_printf(&fragment.body, "), alone}");
    } else {
        buf_printf(&builder, "dictmerger[%s,i64,min]", buf_text(&type));
        if (builder.failed) fragment.failed = true;
        put_rows(join, &fragment, buf_text(&builder), ROW_NUMBERS);
    }
    if (type.failed) fragment.failed = true;
    fragment_drop(&fragment, &type);
    fragment_drop(&fragment, &builder);
    fragment_drop(&fragment, &groups);
    join->table = fragment_close(&fragment);
    return join->table != NULL;
}

/* What a loop over the left rows merges: met if the key k may have a partner in the table d, unmet if it is missing. */
typedef void Merge(Buf *met, Buf *unmet, const Join *join, Fragment *fragment, Row *row, weld_frame_how how);

static weld_lazy_t look_up(Join *join, const char *builder, Merge *merge, weld_frame_how how,
                           weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    Row *row = row_open(&fragment);
    Buf key = {0}, valid = {0}, met = {0}, unmet = {0}, result = {0};
    if (row) {
        const Keys *keys = &join->keys[0];
        put_key(&key, row, keys);
        keys_all_valid(&valid, row, keys);
        buf_printf(&row->body, "let k = %s; let d = p%lld; ", buf_text(&key),
                   (long long)fragment_add(&fragment, join->table));
        merge(&met, &unmet, join, &fragment, row, how);
        if (valid.length)
            buf_printf(&result, "if(%s, %s, %s)", buf_text(&valid), buf_text(&met), buf_text(&unmet));
        else
            buf_printf(&result, "%s", buf_text(&met));
        if (key.failed || valid.failed || met.failed || unmet.failed || result.failed) fragment.failed = true;
        buf_printf(&fragment.body, "result(");
        row_close(row, builder, buf_text(&result));
        buf_printf(&fragment.body, ")");
    }
    fragment_drop(&fragment, &key);
    fragment_drop(&fragment, &valid);
    fragment_drop(&fragment, &met);
    fragment_drop(&fragment, &unmet);
    fragment_drop(&fragment, &result);
    return fragment_close(&fragment);
}

static void merge_whether(Buf *met, Buf *unmet, const Join *join, Fragment *fragment, Row *row,
                          weld_frame_how how) {
    bool semi = how == WELD_FRAME_SEMI;
    (void)join, (void)fragment, (void)row;
    buf_printf(met, semi ? "merge(b, keyexists(d, k))" : "merge(b, !keyexists(d, k))");
    buf_printf(unmet, semi ? "merge(b, false)" : "merge(b, true)");
}

/* One partner is found by the key alone, several in their group. That is looked up in `none` where there are no groups, so
 * that the loop has one dictionary only whose memory it could ask for ahead of time. */
static void merge_pairs(Buf *met, Buf *unmet, const Join *join, Fragment *fragment, Row *row,
                        weld_frame_how how) {
    bool all = how == WELD_FRAME_LEFT;
    if (all) {
        buf_printf(unmet, "merge(b, {i, false, 0l");
        for (int i = 0; i < join->carried_count; i++) {
            const Column *column = join->carried[i];
            buf_printf(unmet, ", %s", column->kind == WELD_FRAME_BOOL ? "0c" : kind_zero(column->kind));
            if (column->valid) buf_printf(unmet, ", 0c");
        }
        put_kept(unmet, join, row);
        buf_printf(unmet, "})");
    } else {
        buf_printf(unmet, "b");
    }
    buf_printf(met, "let f = optlookup(d.$0, k); if(d.$3, ");
    buf_printf(met, all ? "merge(b, {i, f.$0, f.$1.$0" : "if(f.$0, merge(b, {i, true, f.$1.$0");
    put_found(met, join);
    put_kept(met, join, row);
    buf_printf(met, all ? "})" : "}), b)");
    buf_printf(met, ", if(f.$0, for(lookup(if(d.$3, d.$1, d.$2), k), b, |b, j, r| merge(b, {i, true, r");
    put_carried(met, join, fragment, NULL);
    put_kept(met, join, row);
    buf_printf(met, "})), %s))", buf_text(unmet));
}

static weld_frame_t filter_join(Join *join, weld_frame_how how, weld_error_t error) {
    weld_lazy_t keep = look_up(join, "appender[bool]", merge_whether, how, error);
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

/* map(pairs, |p| p.$4), a column of the left that is in the pairs. */
static bool take_kept(weld_frame_t made, const Column *column, int field, weld_lazy_t pairs,
                      weld_error_t error) {
    weld_lazy_t vectors[2] = {NULL, NULL};
    for (int k = 0; k < 1 + (column->valid != NULL); k++) {
        char code[100];
        snprintf(code, sizeof code, "|s| map(s, |p| p.$%d)", field + k);
        vectors[k] = weld_lazy_new(function, code, &pairs, 1, error);
        if (vectors[k]) continue;
        weld_lazy_free(vectors[0]);
        return false;
    }
    return frame_put(made, function, column->name, column->kind, vectors[0], vectors[1], error);
}

/* map(pairs, |p| p.$4), a column that is carried. */
static bool take_carried(weld_frame_t made, const Column *column, const char *name, int field,
                         weld_lazy_t pairs, bool all, weld_error_t error) {
    char code[100];
    snprintf(code, sizeof code,
             column->kind == WELD_FRAME_BOOL ? "|s| map(s, |p| bool(p.$%d))" : "|s| map(s, |p| p.$%d)",
             PAIR_FIELDS + field);
    weld_lazy_t data = weld_lazy_new(function, code, &pairs, 1, error), valid = NULL;
    if (data && (column->valid || all)) {
        snprintf(code, sizeof code, column->valid ? "|s| map(s, |p| bool(p.$%d))" : "|s| map(s, |p| p.$%d)",
                 column->valid ? PAIR_FIELDS + field + 1 : PAIR_FOUND);
        valid = weld_lazy_new(function, code, &pairs, 1, error);
        if (!valid) {
            weld_lazy_free(data);
            data = NULL;
        }
    }
    return frame_put(made, function, name, column->kind, data, valid, error);
}

static bool gather_sides(Join *join, weld_frame_t made, weld_lazy_t pairs, bool all, weld_error_t error) {
    weld_frame_t left = join->parsers[0].frame, right = join->parsers[1].frame;
    for (int64_t i = 0; i < left->count; i++) {
        const Column *column = &left->columns[i];
        int field = field_of(join->kept, join->kept_count, column);
        if (field >= 0 ? !take_kept(made, column, PAIR_FIELDS + join->carried_fields + field, pairs, error)
                       : !frame_gather(made, function, column, column->name, pairs, "p.$0", NULL, error))
            return false;
    }
    for (int64_t i = 0; i < right->count; i++) {
        const Column *column = &right->columns[i];
        int field = field_of(join->carried, join->carried_count, column);
        char name[1024];
        if (join->shared[i]) continue;
        if (strlen(column->name) + 8 > sizeof name)
            return frame_fail(error, function, "`%.200s` is too long a name", column->name) != NULL;
        if (!right_name(made, column->name, name, sizeof name, error)) return false;
        if (field >= 0
                ? !take_carried(made, column, name, field, pairs, all, error)
                : !frame_gather(made, function, column, name, pairs, "p.$2", all ? "p.$1" : NULL, error))
            return false;
    }
    return true;
}

static weld_frame_t pair_join(Join *join, weld_frame_how how, weld_error_t error) {
    Buf builder = {0};
    buf_printf(&builder, "appender[{i64,bool,i64");
    put_carried_types(&builder, join);
    put_kept_types(&builder, join);
    buf_printf(&builder, "}]");
    weld_lazy_t pairs =
        builder.failed ? frame_no_memory(error) : look_up(join, buf_text(&builder), merge_pairs, how, error);
    weld_frame_t made = pairs ? frame_new(join->parsers[0].frame->count + join->parsers[1].frame->count,
                                          join->parsers[0].frame, error)
                              : NULL;
    if (made && !gather_sides(join, made, pairs, how == WELD_FRAME_LEFT, error)) {
        weld_frame_free(made);
        made = NULL;
    }
    weld_lazy_free(pairs);
    buf_free(&builder);
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
    bool ready = read_keys(&join, on);
    if (ready && pairs) {
        choose_carried(&join);
        choose_kept(&join);
    }
    if (ready && make_table(&join, pairs, error))
        made = pairs ? pair_join(&join, how, error) : filter_join(&join, how, error);
    weld_lazy_free(join.table);
    keys_close(&join.keys[0]);
    keys_close(&join.keys[1]);
    parser_close(&join.parsers[0]);
    parser_close(&join.parsers[1]);
    return made;
}
