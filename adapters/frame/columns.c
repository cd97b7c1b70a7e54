/* columns.c: frames with other columns: select, with, drop, rename. */
#include "frame.h"

static weld_frame_t finish(Parser *parser, weld_frame_t made) {
    if (parser->failed) {
        weld_frame_free(made);
        made = NULL;
    }
    parser_close(parser);
    return made;
}

static bool put_item(Parser *parser, weld_frame_t made, Item *item) {
    Column column;
    if (!check_value(parser, item->node) || !expression_column(parser, item->node, item->node->type, &column))
        return false;
    if (!frame_share(made, parser->function, &column, item->name, parser->error)) parser->failed = true;
    column_drop(&column);
    return !parser->failed;
}

/* Is the name among the items before number i. */
static bool is_twice(const Item *items, int64_t i) {
    for (int64_t j = 0; j < i; j++) {
        if (strcmp(items[j].name, items[i].name) == 0) return true;
    }
    return false;
}

static weld_frame_t put_items(weld_frame_t frame, const char *function, const char *text, bool all,
                              weld_error_t error) {
    if (!frame_check(frame, function, error)) return NULL;
    Parser parser = parser_open(frame, function, text, error);
    int64_t count = 0;
    Item *items = parser.failed ? NULL : parse_items(&parser, false, &count);
    weld_frame_t made = items ? frame_new(count + (all ? frame->count : 0), frame, error) : NULL;
    if (!made) parser.failed = true;
    for (int64_t i = 0; all && !parser.failed && i < frame->count; i++) {
        if (!frame_share(made, function, &frame->columns[i], frame->columns[i].name, error))
            parser.failed = true;
    }
    for (int64_t i = 0; !parser.failed && i < count; i++) {
        if (is_twice(items, i)) {
            frame_fail(error, function, "two columns would be `%.200s`", items[i].name);
            parser.failed = true;
        } else {
            put_item(&parser, made, &items[i]);
        }
    }
    return finish(&parser, made);
}

weld_frame_t weld_frame_select(weld_frame_t frame, const char *expressions, weld_error_t error) {
    return put_items(frame, "frame.select", expressions, false, error);
}

weld_frame_t weld_frame_with(weld_frame_t frame, const char *expressions, weld_error_t error) {
    return put_items(frame, "frame.with", expressions, true, error);
}

/* The item that names the column, NULL: none does. All items must name columns. */
static const Item *item_of(const Item *items, int64_t count, const Column *column) {
    for (int64_t i = 0; i < count; i++) {
        if (items[i].node->column == column) return &items[i];
    }
    return NULL;
}

static weld_frame_t put_others(weld_frame_t frame, const char *function, const char *names, bool rename,
                               weld_error_t error) {
    if (!frame_check(frame, function, error)) return NULL;
    Parser parser = parser_open(frame, function, names, error);
    int64_t count = 0;
    Item *items = parser.failed ? NULL : parse_items(&parser, false, &count);
    weld_frame_t made = items ? frame_new(frame->count, frame, error) : NULL;
    if (!made) parser.failed = true;
    for (int64_t i = 0; !parser.failed && i < count; i++) {
        if (items[i].node->kind != X_column || items[i].named != rename)
            parser_fail(&parser, items[i].node,
                        rename ? "`name as other` is expected" : "a name is expected");
    }
    for (int64_t i = 0; !parser.failed && i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        const Item *item = item_of(items, count, column);
        if (item && !rename) continue;
        const char *name = item ? item->name : column->name;
        if (weld_frame_find(made, name) >= 0) {
            frame_fail(error, function, "two columns would be `%.200s`", name);
            parser.failed = true;
        } else if (!frame_share(made, function, column, name, error)) {
            parser.failed = true;
        }
    }
    if (!parser.failed && !made->count) {
        frame_fail(error, function, "no column would be left");
        parser.failed = true;
    }
    return finish(&parser, made);
}

weld_frame_t weld_frame_drop(weld_frame_t frame, const char *names, weld_error_t error) {
    return put_others(frame, "frame.drop", names, false, error);
}

weld_frame_t weld_frame_rename(weld_frame_t frame, const char *names, weld_error_t error) {
    return put_others(frame, "frame.rename", names, true, error);
}
