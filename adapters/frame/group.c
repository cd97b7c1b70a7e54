/* group.c: group_by: aggregates of groups of rows.
 *
 *     |..| let r = for(zip(rows), {dictmerger[K, {sums..}, +], dictmerger[K, {..}, min], dictmerger[K, {..}, max]}, ..)
 *     groups = sort(tovec(sums), by key);   a column = map(groups, |g| sum / count)
 *
 * Every aggregate has slots in one of the three dictionaries, which one loop fills; equal slots are one. The first and the
 * last value are at the least and greatest row number. var goes through the rows a second time, with the means; n_unique and
 * min and max of texts have dictionaries of their own. Without keys there are mergers in the place of dictionaries.
 */
#include "frame.h"

#include <stdio.h>

static const char function[] = "frame.group_by";

enum { PLUS, LEAST, GREATEST, TABLES };

typedef struct Slots {
    char **types, **values; /* the parser's */
    int64_t count, room;
} Slots;

typedef struct Group Group;
typedef struct Aggregate Aggregate;

typedef struct Rule {
    const char *name;
    bool (*check)(Kind kind);
    void (*slots)(Group *group, Row *row, Aggregate *aggregate);
    bool (*side)(Group *group, Aggregate *aggregate); /* what it needs besides; may be NULL */
    Kind (*result)(Kind kind);
    void (*emit)(Group *group, Fragment *fragment, const Aggregate *aggregate, Buf *value, Buf *valid);
} Rule;

struct Aggregate {
    const Rule *rule;
    char *name;
    Column input;
    bool bare; /* count() */
    int64_t tally, sum, numbers,
        best; /* slots: values that are there, their sum, those that are no NaN, min, max, place */
    weld_lazy_t side;
};

struct Group {
    Parser parser;
    Keys keys;
    bool keyless;
    Aggregate *aggregates;
    int64_t count;
    Slots slots[TABLES];
    weld_lazy_t tables, groups; /* {sums, least, greatest}; vec[{K, sums}] */
};

/* ---- kinds ---- */

static bool any_kind(Kind kind) {
    (void)kind;
    return true;
}
static bool can_add(Kind kind) {
    return kind_is_number(kind) || kind == WELD_FRAME_BOOL;
}
static Kind same_kind(Kind kind) {
    return kind;
}
static Kind number_kind(Kind kind) {
    (void)kind;
    return WELD_FRAME_I64;
}
static Kind real_kind(Kind kind) {
    (void)kind;
    return WELD_FRAME_F64;
}
static Kind sum_kind(Kind kind) {
    if (kind_is_float(kind)) return WELD_FRAME_F64;
    return kind_is_unsigned(kind) ? WELD_FRAME_U64 : WELD_FRAME_I64;
}

/* ---- slots ---- */

static int64_t slot_add(Group *group, int table, const char *type, const Buf *value) {
    Slots *slots = &group->slots[table];
    for (int64_t i = 0; i < slots->count; i++) {
        if (strcmp(slots->types[i], type) == 0 && strcmp(slots->values[i], buf_text(value)) == 0) return i;
    }
    int64_t bytes[2] = {(int64_t)strlen(type) + 1, value->length + 1};
    char *texts[2] = {parser_alloc(&group->parser, bytes[0]), parser_alloc(&group->parser, bytes[1])};
    if (!texts[0] || !texts[1] || value->failed || slots->count == slots->room) {
        group->parser.failed = true;
        return 0;
    }
    slots->types[slots->count] = memcpy(texts[0], type, (size_t)bytes[0]);
    slots->values[slots->count] = memcpy(texts[1], buf_text(value), (size_t)bytes[1]);
    return slots->count++;
}

/* `value` where the input is there, else `zero`. %x in value stands for the input's element. */
static int64_t slot_of(Group *group, Row *row, const Aggregate *aggregate, int table, const char *type,
                       const char *value, const char *zero) {
    Buf text = {0};
    bool valid = !aggregate->bare && aggregate->input.valid;
    if (valid) buf_printf(&text, "if(x%lld, ", (long long)row_element(row, aggregate->input.valid));
    for (const char *at = value; *at; at++) {
        if (*at == '%')
            buf_printf(&text, "x%lld", (long long)row_element(row, aggregate->input.data));
        else
            buf_put(&text, at, 1);
    }
    if (valid) buf_printf(&text, ", %s)", zero);
    int64_t slot = slot_add(group, table, type, &text);
    buf_free(&text);
    return slot;
}

static void slots_count(Group *group, Row *row, Aggregate *a) {
    a->tally = slot_of(group, row, a, PLUS, "i64", "1l", "0l");
}

static void slots_sum(Group *group, Row *row, Aggregate *a) {
    const char *type = kind_code(sum_kind(a->input.kind));
    char value[20];
    snprintf(value, sizeof value, "%s(%%)", type);
    a->sum = slot_of(group, row, a, PLUS, type, value, kind_zero(sum_kind(a->input.kind)));
}

static void slots_mean(Group *group, Row *row, Aggregate *a) {
    slots_count(group, row, a);
    a->sum = slot_of(group, row, a, PLUS, "f64", "f64(%)", "0.0");
}

static void slots_extreme(Group *group, Row *row, Aggregate *a, int table) {
    slots_count(group, row, a);
    Kind kind = a->input.kind;
    if (kind == WELD_FRAME_TEXT) return;
    if (kind_is_float(kind)) a->numbers = slot_of(group, row, a, PLUS, "i64", "if(% == %, 1l, 0l)", "0l");
    bool truth = kind == WELD_FRAME_BOOL;
    a->best = slot_of(group, row, a, table, truth ? "i8" : kind_code(kind), truth ? "i8(%)" : "%",
                      table == LEAST ? kind_greatest(kind) : kind_least(kind));
}

static void slots_min(Group *group, Row *row, Aggregate *a) {
    slots_extreme(group, row, a, LEAST);
}

static void slots_max(Group *group, Row *row, Aggregate *a) {
    slots_extreme(group, row, a, GREATEST);
}

static void slots_first(Group *group, Row *row, Aggregate *a) {
    slots_count(group, row, a);
    a->best = slot_of(group, row, a, LEAST, "i64", "i", kind_greatest(WELD_FRAME_I64));
}

static void slots_last(Group *group, Row *row, Aggregate *a) {
    slots_count(group, row, a);
    a->best = slot_of(group, row, a, GREATEST, "i64", "i", "-1l");
}

static void slots_none(Group *group, Row *row, Aggregate *a) {
    (void)group, (void)row, (void)a;
}

/* ---- the loop ---- */

static void put_key_type(Buf *out, const Group *group) {
    if (group->keyless)
        buf_printf(out, "i8");
    else
        keys_type(out, &group->keys);
}

static void put_key(Buf *out, Row *row, const Group *group) {
    if (group->keyless)
        buf_printf(out, "0c");
    else
        keys_put(out, row, &group->keys);
}

static void put_list(Buf *out, char **texts, int64_t count) {
    buf_printf(out, "{");
    for (int64_t i = 0; i < count; i++) {
        if (i) buf_printf(out, ",");
        buf_put(out, texts[i], (int64_t)strlen(texts[i]));
    }
    buf_printf(out, "}");
}

static const char *const ops[TABLES] = {"+", "min", "max"};

/* Without keys: a merger for each slot, since scalars are merged by vectors. */
static void put_mergers(const Group *group, Buf *builders, Buf *merges, Buf *results) {
    int64_t field = 0;
    buf_printf(merges, "{");
    for (int i = 0; i < TABLES; i++) {
        const Slots *slots = &group->slots[i];
        if (slots->count) buf_printf(results, i ? ", {" : "{");
        for (int64_t j = 0; j < slots->count; j++, field++) {
            const char *comma = field ? ", " : "";
            buf_printf(builders, "%smerger[%s,%s]", comma, slots->types[j], ops[i]);
            buf_printf(merges, "%smerge(b.$%lld, %s)", comma, (long long)field, slots->values[j]);
            buf_printf(results, "%sresult(r.$%lld)", j ? ", " : "", (long long)field);
        }
        if (slots->count) buf_printf(results, "}");
    }
    buf_printf(merges, "}");
}

/* A dictionary for each table that has slots. */
static void put_dictionaries(const Group *group, Row *row, Buf *builders, Buf *merges, Buf *results) {
    int field = 0;
    buf_printf(merges, "let k = ");
    put_key(merges, row, group);
    buf_printf(merges, "; {");
    for (int i = 0; i < TABLES; i++) {
        const Slots *slots = &group->slots[i];
        if (!slots->count) continue;
        const char *comma = field ? ", " : "";
        buf_printf(builders, "%sdictmerger[", comma);
        put_key_type(builders, group);
        buf_printf(builders, ",");
        put_list(builders, slots->types, slots->count);
        buf_printf(builders, ",%s]", ops[i]);
        buf_printf(merges, "%smerge(b.$%d, {k, ", comma, field);
        put_list(merges, slots->values, slots->count);
        buf_printf(merges, "})");
        buf_printf(results, "%sresult(r.$%d)", comma, field++);
    }
    buf_printf(merges, "}");
}

/* The number of a table in `tables`. */
static int table_of(const Group *group, int table) {
    return table == GREATEST && !group->slots[LEAST].count ? 1 : table;
}

static bool make_tables(Group *group) {
    Fragment fragment = fragment_open(function, group->parser.error);
    Row *row = row_open(&fragment);
    Buf builders = {0}, merges = {0}, results = {0};
    if (row) {
        for (int64_t i = 0; i < group->count; i++) {
            Aggregate *a = &group->aggregates[i];
            a->rule->slots(group, row, a);
        }
        Buf one = {0};
        buf_printf(&one, "1l");
        if (!group->slots[PLUS].count) slot_add(group, PLUS, "i64", &one);
        fragment_drop(&fragment, &one);
        buf_printf(&builders, "{");
        if (group->keyless)
            put_mergers(group, &builders, &merges, &results);
        else
            put_dictionaries(group, row, &builders, &merges, &results);
        buf_printf(&builders, "}");
        if (!row->count) row_element(row, group->parser.frame->columns[0].data);
        buf_printf(&fragment.body, "let r = ");
        row_close(row, buf_text(&builders), buf_text(&merges));
        buf_printf(&fragment.body, "; {%s}", buf_text(&results));
    }
    if (builders.failed || merges.failed || results.failed || group->parser.failed) fragment.failed = true;
    fragment_drop(&fragment, &builders);
    fragment_drop(&fragment, &merges);
    fragment_drop(&fragment, &results);
    group->tables = fragment_close(&fragment);
    return group->tables != NULL;
}

static bool make_groups(Group *group) {
    Fragment fragment = fragment_open(function, group->parser.error);
    long long tables = fragment_add(&fragment, group->tables);
    if (group->keyless) {
        buf_printf(&fragment.body, "[{0c, p%lld.$0}]", tables);
    } else {
        buf_printf(&fragment.body, "sort(tovec(p%lld.$0), |a, b| ", tables);
        keys_compare(&fragment.body, "a.$0", "b.$0", &group->keys, false);
        buf_printf(&fragment.body, ")");
    }
    group->groups = fragment_close(&fragment);
    return group->groups != NULL;
}

/* ---- what one loop cannot tell ---- */

/* A loop over keys and the input, into a builder whose key type stands for the first %s. */
static void put_side(Group *group, Fragment *fragment, const Aggregate *a, const char *before_key,
                     const char *behind_key, const char *lets, const char *merge) {
    Row *row = row_open(fragment);
    if (!row) return;
    Buf builder = {0}, key = {0}, result = {0}, type = {0};
    put_key_type(&type, group);
    buf_printf(&builder, "%s%s%s", before_key, buf_text(&type), behind_key);
    put_key(&key, row, group);
    long long x = row_element(row, a->input.data);
    buf_printf(&result, "let k = %s; let x = x%lld; %s", buf_text(&key), x, lets);
    if (a->input.valid)
        buf_printf(&result, "if(x%lld, merge(b, %s), b)", (long long)row_element(row, a->input.valid), merge);
    else
        buf_printf(&result, "merge(b, %s)", merge);
    if (builder.failed || key.failed || result.failed || type.failed) fragment->failed = true;
    row_close(row, buf_text(&builder), buf_text(&result));
    fragment_drop(fragment, &builder);
    fragment_drop(fragment, &key);
    fragment_drop(fragment, &result);
    fragment_drop(fragment, &type);
}

/* Sums of squares of what is left of the mean. */
static bool side_var(Group *group, Aggregate *a) {
    Fragment fragment = fragment_open(function, group->parser.error);
    long long tables = fragment_add(&fragment, group->tables);
    char lets[300];
    snprintf(lets, sizeof lets,
             group->keyless ? "let m = p%lld.$0; let t = f64(x) - m.$%lld / f64(m.$%lld); "
                            : "let m = lookup(p%lld.$0, k); let t = f64(x) - m.$%lld / f64(m.$%lld); ",
             tables, (long long)a->sum, (long long)a->tally);
    buf_printf(&fragment.body, "result(");
    put_side(group, &fragment, a, "dictmerger[", ",f64,+]", lets, "{k, t * t}");
    buf_printf(&fragment.body, ")");
    a->side = fragment_close(&fragment);
    return a->side != NULL;
}

static bool side_unique(Group *group, Aggregate *a) {
    Fragment fragment = fragment_open(function, group->parser.error);
    char behind[60];
    snprintf(behind, sizeof behind, ",%s},i64,+]", kind_code(a->input.kind));
    buf_printf(&fragment.body, "let d = result(");
    put_side(group, &fragment, a, "dictmerger[{", behind, "", "{{k, x}, 1l}");
    Buf type = {0};
    put_key_type(&type, group);
    buf_printf(&fragment.body,
               "); result(for(tovec(d), dictmerger[%s,i64,+], |b, i, e| merge(b, {e.$0.$0, 1l})))",
               buf_text(&type));
    fragment_drop(&fragment, &type);
    a->side = fragment_close(&fragment);
    return a->side != NULL;
}

static bool side_extreme(Group *group, Aggregate *a) {
    if (a->input.kind != WELD_FRAME_TEXT) return true;
    Fragment fragment = fragment_open(function, group->parser.error);
    buf_printf(&fragment.body, "result(");
    put_side(group, &fragment, a, "groupmerger[", ",vec[i8]]", "", "{k, x}");
    buf_printf(&fragment.body, ")");
    a->side = fragment_close(&fragment);
    return a->side != NULL;
}

/* ---- columns of the result ---- */

static void put_best(Group *group, Fragment *fragment, const Aggregate *a, int table, Buf *out) {
    buf_printf(out, group->keyless ? "p%lld.$%d.$%lld" : "lookup(p%lld.$%d, g.$0).$%lld",
               (long long)fragment_add(fragment, group->tables), table_of(group, table), (long long)a->best);
}

static void emit_count(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    (void)group, (void)fragment, (void)valid;
    buf_printf(value, "g.$1.$%lld", (long long)a->tally);
}

static void emit_sum(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    (void)group, (void)fragment, (void)valid;
    buf_printf(value, "g.$1.$%lld", (long long)a->sum);
}

static void emit_mean(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    (void)group, (void)fragment;
    buf_printf(value, "if(g.$1.$%1$lld == 0l, 0.0, g.$1.$%2$lld / f64(g.$1.$%1$lld))", (long long)a->tally,
               (long long)a->sum);
    buf_printf(valid, "g.$1.$%lld > 0l", (long long)a->tally);
}

static void emit_var(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    (void)group;
    bool root = strcmp(a->rule->name, "std") == 0;
    buf_printf(value, "let n = g.$1.$%lld; if(n < 2l, 0.0, %s(optlookup(p%lld, g.$0).$1 / f64(n - 1l)))",
               (long long)a->tally, root ? "sqrt" : "", (long long)fragment_add(fragment, a->side));
    buf_printf(valid, "g.$1.$%lld > 1l", (long long)a->tally);
}

static void emit_extreme(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid,
                         int table) {
    Kind kind = a->input.kind;
    buf_printf(valid, "g.$1.$%lld > 0l", (long long)a->tally);
    if (kind == WELD_FRAME_TEXT) {
        buf_printf(value,
                   "let s = optlookup(p%lld, g.$0).$1; let n = len(s); if(n == 0l, \"\", iterate({1l, "
                   "lookup(s, 0l)}, |t| "
                   "if(t.$0 < n, (let c = lookup(s, t.$0); {{t.$0 + 1l, if(frame.order(c, t.$1) %c 0, c, "
                   "t.$1)}, true}), "
                   "{t, false})).$1)",
                   (long long)fragment_add(fragment, a->side), table == LEAST ? '<' : '>');
        return;
    }
    Buf best = {0};
    put_best(group, fragment, a, table, &best);
    if (kind == WELD_FRAME_BOOL)
        buf_printf(value, "bool(%s)", buf_text(&best));
    else if (kind_is_float(kind)) /* NaN only if there is nothing else */
        buf_printf(value, "if(g.$1.$%1$lld == 0l, %2$s / %2$s, %3$s)", (long long)a->numbers, kind_zero(kind),
                   buf_text(&best));
    else
        buf_printf(value, "%s", buf_text(&best));
    fragment_drop(fragment, &best);
}

static void emit_min(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    emit_extreme(group, fragment, a, value, valid, LEAST);
}

static void emit_max(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    emit_extreme(group, fragment, a, value, valid, GREATEST);
}

static void emit_place(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid,
                       int table) {
    Buf best = {0};
    put_best(group, fragment, a, table, &best);
    buf_printf(value, "if(g.$1.$%lld > 0l, lookup(p%lld, %s), %s)", (long long)a->tally,
               (long long)fragment_add(fragment, a->input.data), buf_text(&best), kind_zero(a->input.kind));
    buf_printf(valid, "g.$1.$%lld > 0l", (long long)a->tally);
    fragment_drop(fragment, &best);
}

static void emit_first(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    emit_place(group, fragment, a, value, valid, LEAST);
}

static void emit_last(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    emit_place(group, fragment, a, value, valid, GREATEST);
}

static void emit_unique(Group *group, Fragment *fragment, const Aggregate *a, Buf *value, Buf *valid) {
    (void)group, (void)valid;
    buf_printf(value, "optlookup(p%lld, g.$0).$1", (long long)fragment_add(fragment, a->side));
}

static const Rule rules[] = {
    {"count", any_kind, slots_count, NULL, number_kind, emit_count},
    {"sum", can_add, slots_sum, NULL, sum_kind, emit_sum},
    {"mean", can_add, slots_mean, NULL, real_kind, emit_mean},
    {"var", can_add, slots_mean, side_var, real_kind, emit_var},
    {"std", can_add, slots_mean, side_var, real_kind, emit_var},
    {"min", any_kind, slots_min, side_extreme, same_kind, emit_min},
    {"max", any_kind, slots_max, side_extreme, same_kind, emit_max},
    {"first", any_kind, slots_first, NULL, same_kind, emit_first},
    {"last", any_kind, slots_last, NULL, same_kind, emit_last},
    {"n_unique", any_kind, slots_none, side_unique, number_kind, emit_unique},
};

/* map(groups, |g| ..) of the value, or of whether it is there; NULL, and *none: it always is. */
static weld_lazy_t result_lazy(Group *group, const Aggregate *a, bool valid, bool *none) {
    Fragment fragment = fragment_open(function, group->parser.error);
    long long groups = fragment_add(&fragment, group->groups);
    Buf texts[2] = {{0}, {0}};
    a->rule->emit(group, &fragment, a, &texts[0], &texts[1]);
    *none = valid && !texts[1].length && !texts[1].failed;
    buf_printf(&fragment.body, "map(p%lld, |g| ", groups);
    buf_put(&fragment.body, buf_text(&texts[valid]), texts[valid].length);
    buf_printf(&fragment.body, ")");
    if (texts[0].failed || texts[1].failed) fragment.failed = true;
    buf_free(&texts[0]);
    buf_free(&texts[1]);
    if (!*none) return fragment_close(&fragment);
    buf_free(&fragment.body);
    free(fragment.arguments);
    return NULL;
}

static bool put_keys(Group *group, weld_frame_t made) {
    weld_error_t error = group->parser.error;
    for (int64_t j = 0; j < group->keys.count; j++) {
        const Column *column = &group->keys.columns[j];
        char path[80], code[120];
        keys_value(path, "g.$0", &group->keys, j, false, false);
        snprintf(code, sizeof code, "|v| map(v, |g| %s)", path);
        weld_lazy_t data = lazy_put(function, error, group->groups, code), valid = NULL;
        if (data && column->valid) {
            keys_value(path, "g.$0", &group->keys, j, true, false);
            snprintf(code, sizeof code, "|v| map(v, |g| !%s)", path);
            valid = lazy_put(function, error, group->groups, code);
            if (!valid) {
                weld_lazy_free(data);
                return false;
            }
        }
        if (!frame_put(made, function, group->keys.names[j], column->kind, data, valid, error)) return false;
    }
    return true;
}

static bool put_results(Group *group, weld_frame_t made) {
    weld_error_t error = group->parser.error;
    for (int64_t i = 0; i < group->count; i++) {
        const Aggregate *a = &group->aggregates[i];
        if (weld_frame_find(made, a->name) >= 0)
            return frame_fail(error, function, "two columns would be `%.200s`", a->name) != NULL;
        bool none;
        weld_lazy_t data = result_lazy(group, a, false, &none);
        weld_lazy_t valid = data ? result_lazy(group, a, true, &none) : NULL;
        if (data && !valid && !none) {
            weld_lazy_free(data);
            data = NULL;
        }
        if (!frame_put(made, function, a->name, a->rule->result(a->input.kind), data, valid, error))
            return false;
    }
    return true;
}

/* ---- reading what is asked for ---- */

static bool read_aggregate(Group *group, const Item *item, Aggregate *a) {
    Node *node = item->node;
    Parser *parser = &group->parser;
    for (size_t i = 0; node->kind == X_call && i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(node->text, rules[i].name) == 0) a->rule = &rules[i];
    }
    a->name = item->name;
    if (!a->rule)
        return parser_fail(parser, node,
                           "count, sum, mean, var, std, min, max, first, last or n_unique is expected");
    a->bare = a->rule == rules && node->count == 0;
    if (a->bare) return true;
    if (node->count != 1) return parser_fail(parser, node, "%s takes one expression", node->text);
    Node *kid = node->kids[0];
    if (!check_value(parser, kid)) return false;
    if (!a->rule->check(kid->type))
        return parser_fail(parser, kid, "%s is for numbers, not %s,", node->text,
                           weld_frame_type_name(kid->type));
    return expression_column(parser, kid, kid->type, &a->input);
}

static bool read_aggregates(Group *group, const char *text) {
    Parser *parser = &group->parser;
    bool none = parse_blank(text);
    if (none && group->keyless) return parser_fail(parser, NULL, "there are neither keys nor aggregates");
    parser->text = parser->at = none ? "" : text;
    int64_t count = 0;
    Item *items = none ? NULL : parse_items(parser, false, &count);
    group->aggregates = parser_alloc(parser, (count + 1) * (int64_t)sizeof *group->aggregates);
    for (int64_t i = 0; !parser->failed && i < count; i++) {
        group->count = i + 1;
        read_aggregate(group, &items[i], &group->aggregates[i]);
    }
    for (int i = 0; !parser->failed && i < TABLES; i++) {
        Slots *slots = &group->slots[i];
        slots->room = 3 * count + 1;
        slots->types = parser_alloc(parser, slots->room * (int64_t)sizeof *slots->types);
        slots->values = parser_alloc(parser, slots->room * (int64_t)sizeof *slots->values);
    }
    return !parser->failed;
}

static bool compute(Group *group) {
    if (!make_tables(group) || !make_groups(group)) return false;
    for (int64_t i = 0; i < group->count; i++) {
        Aggregate *a = &group->aggregates[i];
        if (a->rule->side && !a->rule->side(group, a)) return false;
    }
    return true;
}

static bool has_twice(Group *group) {
    for (int64_t j = 0; j < group->keys.count; j++) {
        for (int64_t i = 0; i < j; i++) {
            if (strcmp(group->keys.names[i], group->keys.names[j]) != 0) continue;
            frame_fail(group->parser.error, function, "two columns would be `%.200s`", group->keys.names[j]);
            return true;
        }
    }
    return false;
}

weld_frame_t weld_frame_group_by(weld_frame_t frame, const char *keys, const char *aggregates,
                                 weld_error_t error) {
    if (!frame_check(frame, function, error)) return NULL;
    Group group = {.keyless = parse_blank(keys)};
    group.parser = parser_open(frame, function, group.keyless ? "" : keys, error);
    bool ok = (group.keyless || keys_open(&group.parser, false, &group.keys)) && !has_twice(&group) &&
              read_aggregates(&group, aggregates) && compute(&group);
    weld_frame_t made = ok ? frame_new(group.keys.count + group.count, group.parser.frame, error) : NULL;
    if (made && (!put_keys(&group, made) || !put_results(&group, made))) {
        weld_frame_free(made);
        made = NULL;
    }
    for (int64_t i = 0; i < group.count; i++) {
        column_drop(&group.aggregates[i].input);
        weld_lazy_free(group.aggregates[i].side);
    }
    weld_lazy_free(group.tables);
    weld_lazy_free(group.groups);
    keys_close(&group.keys);
    parser_close(&group.parser);
    return made;
}
