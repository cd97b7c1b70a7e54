/* frame.c: frames: columns with names. A frame is put together by one function and never changes afterwards; frames share
 * lazy values, not columns. */
#include "frame.h"

static const uint64_t MAGIC = 0x6672616d65667261;

weld_frame_t frame_new(int64_t room, weld_frame_t from, weld_error_t error) {
    weld_frame_t frame = calloc(1, sizeof *frame);
    Column *columns = calloc((size_t)(room ? room : 1), sizeof *columns);
    if (!frame || !columns) {
        free(frame);
        free(columns);
        return frame_no_memory(error);
    }
    *frame = (struct weld_frame){.magic = MAGIC, .room = room ? room : 1, .columns = columns};
    frame->bound = from ? binding_hold(from->bound) : NULL;
    weld_error_set(error, WELD_SUCCESS, NULL); /* what follows may need no other call that says so */
    return frame;
}

bool frame_check(weld_frame_t frame, const char *function, weld_error_t error) {
    if (frame && frame->magic == MAGIC) return true;
    frame_fail(error, function, "the frame is %s", frame ? "not one" : "NULL");
    return false;
}

void column_drop(Column *column) {
    free(column->name);
    weld_lazy_free(column->data);
    weld_lazy_free(column->valid);
    *column = (Column){0};
}

void weld_frame_free(weld_frame_t frame) {
    if (!frame || frame->magic != MAGIC) return;
    for (int64_t i = 0; i < frame->count; i++) column_drop(&frame->columns[i]);
    free(frame->columns);
    binding_drop(frame->bound);
    frame->magic = 0;
    free(frame);
}

static char *copy_name(const char *name) {
    size_t bytes = strlen(name) + 1;
    char *copy = malloc(bytes);
    return copy ? memcpy(copy, name, bytes) : NULL;
}

static bool grow(weld_frame_t frame) {
    if (frame->count < frame->room) return true;
    Column *columns = realloc(frame->columns, (size_t)(2 * frame->room) * sizeof *columns);
    if (!columns) return false;
    frame->columns = columns;
    frame->room *= 2;
    return true;
}

/* The column, in the place of the one that has the name, or behind all. Takes over what it holds. */
static bool put(weld_frame_t frame, const char *function, const char *name, Column column,
                weld_error_t error) {
    Column *old = frame_column(frame, name, (int64_t)strlen(name));
    if (!old && frame->count == WELD_FRAME_COLUMNS) {
        column_drop(&column);
        frame_fail(error, function, "a frame has at most %d columns", WELD_FRAME_COLUMNS);
        return false;
    }
    column.name = copy_name(name);
    if (!column.name || (!old && !grow(frame))) {
        column_drop(&column);
        frame_no_memory(error);
        return false;
    }
    if (old)
        column_drop(old);
    else
        old = &frame->columns[frame->count++];
    *old = column;
    return true;
}

bool frame_put(weld_frame_t frame, const char *function, const char *name, Kind kind, weld_lazy_t data,
               weld_lazy_t valid, weld_error_t error) {
    Column column = {.kind = kind, .data = data, .valid = valid, .rows = -1};
    if (data) return put(frame, function, name, column, error);
    column_drop(&column);
    return false;
}

bool frame_share(weld_frame_t frame, const char *function, const Column *column, const char *name,
                 weld_error_t error) {
    Column copy = *column;
    copy.name = NULL;
    copy.data = weld_lazy_hold(column->data);
    copy.valid = column->valid ? weld_lazy_hold(column->valid) : NULL;
    return put(frame, function, name, copy, error);
}

Column *frame_column(weld_frame_t frame, const char *name, int64_t length) {
    for (int64_t i = 0; i < frame->count; i++) {
        const char *own = frame->columns[i].name;
        if ((int64_t)strlen(own) == length && memcmp(own, name, (size_t)length) == 0)
            return &frame->columns[i];
    }
    return NULL;
}

/* How many letters have to be changed, put in, left out or exchanged with the next; at most `most` + 1. */
static int distance(const char *a, int64_t m, const char *b, int64_t n, int most) {
    enum { LONGEST = 63 };
    int rows[3][LONGEST + 2];
    if (m > LONGEST || n > LONGEST || m - n > most || n - m > most) return most + 1;
    for (int j = 0; j <= n; j++) rows[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool crossed = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (crossed && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[m % 3][n];
}

Column *frame_need(weld_frame_t frame, const char *function, const char *name, int64_t length,
                   weld_error_t error) {
    Column *column = frame_column(frame, name, length);
    if (column) return column;
    int most = length > 4 ? 2 : 1;
    const char *like = NULL;
    for (int64_t i = 0; i < frame->count; i++) {
        const char *own = frame->columns[i].name;
        int far = distance(name, length, own, (int64_t)strlen(own), most);
        if (far > most) continue;
        most = far - 1;
        like = own;
    }
    int shown = length < 200 ? (int)length : 200;
    if (like)
        return frame_fail(error, function, "there is no column `%.*s`; did you mean `%.200s`?", shown, name,
                          like);
    return frame_fail(error, function, "there is no column `%.*s`", shown, name);
}

/* ---- making ---- */

weld_frame_t frame_copy(weld_frame_t frame, const char *function, weld_error_t error) {
    if (frame && !frame_check(frame, function, error)) return NULL;
    weld_frame_t made = frame_new(frame ? frame->count + 1 : 1, frame, error);
    for (int64_t i = 0; made && frame && i < frame->count; i++) {
        if (frame_share(made, function, &frame->columns[i], frame->columns[i].name, error)) continue;
        weld_frame_free(made);
        made = NULL;
    }
    return made;
}

static bool check_name(const char *name, Kind kind, const char *function, weld_error_t error) {
    if (!name || !*name) {
        frame_fail(error, function, "a column needs a name");
    } else if (!weld_frame_type_name(kind)) {
        frame_fail(error, function, "`%.200s` has no type", name);
    } else {
        return true;
    }
    return false;
}

static bool has_type(weld_lazy_t lazy, Kind kind) {
    const char *type = weld_lazy_type(lazy);
    const char *element = kind_code(kind);
    size_t length = strlen(element);
    return type && strlen(type) == length + 5 && memcmp(type, "vec[", 4) == 0 &&
           memcmp(type + 4, element, length) == 0;
}

weld_frame_t weld_frame_add(weld_frame_t frame, const char *name, weld_frame_type type, weld_lazy_t data,
                            weld_lazy_t valid, weld_error_t error) {
    static const char function[] = "frame.add";
    if (!check_name(name, type, function, error)) return NULL;
    if (!has_type(data, type)) {
        const char *own = weld_lazy_type(data);
        return frame_fail(error, function, "`%.200s` is to be vec[%s], but its data are %.200s", name,
                          kind_code(type), own ? own : "no lazy value");
    }
    if (valid && !has_type(valid, WELD_FRAME_BOOL))
        return frame_fail(error, function, "valid of `%.200s` is no vec[bool]", name);
    weld_frame_t made = frame_copy(frame, function, error);
    if (!made) return NULL;
    if (frame_put(made, function, name, type, weld_lazy_hold(data), valid ? weld_lazy_hold(valid) : NULL,
                  error))
        return made;
    weld_frame_free(made);
    return NULL;
}

typedef struct Vector {
    const void *data;
    int64_t length;
} Vector;

/* Who gave the arrays; nobody is told of a failure. */
typedef struct Owner {
    void (*release)(void *user);
    void *user;
    bool armed;
} Owner;

static void owner_release(void *data) {
    Owner *owner = data;
    if (owner->armed) owner->release(owner->user);
    free(owner);
}

/* Data and valid are one lazy value, so that they are released together. */
static bool add_arrays(weld_frame_t made, const char *name, Kind kind, const void *data, const bool *valid,
                       int64_t rows, void (*release)(void *), void *user, weld_error_t error) {
    static const char function[] = "frame.add_data";
    Vector both[2] = {{data, rows}, {valid, rows}};
    char type[64] = "{vec[";
    strcat(strcat(type, kind_code(kind)), "],vec[bool]}");
    if (!valid) {
        strcpy(type, "vec[");
        strcat(strcat(type, kind_code(kind)), "]");
    }
    Owner *owner = release ? malloc(sizeof *owner) : NULL;
    if (release && !owner) return frame_no_memory(error);
    if (owner) *owner = (Owner){release, user, false};
    weld_lazy_t lazy = weld_lazy_data(type, both, owner ? owner_release : NULL, owner, error);
    if (!lazy) {
        free(owner);
        return false;
    }
    weld_lazy_hold(lazy); /* the owner lives as long as this function */
    Column column = {.kind = kind, .elements = data, .valid_elements = valid, .rows = rows};
    if (!column.elements) column.elements = "";
    column.data = valid ? lazy_put(function, error, lazy, "|s| s.$0") : weld_lazy_hold(lazy);
    column.valid = valid && column.data ? lazy_put(function, error, lazy, "|s| s.$1") : NULL;
    weld_lazy_free(lazy);
    bool ok = column.data && (column.valid || !valid);
    if (ok)
        ok = put(made, function, name, column, error);
    else
        column_drop(&column);
    if (owner) owner->armed = ok;
    weld_lazy_free(lazy);
    return ok;
}

weld_frame_t weld_frame_add_data(weld_frame_t frame, const char *name, weld_frame_type type, const void *data,
                                 const bool *valid, int64_t rows, void (*release)(void *user), void *user,
                                 weld_error_t error) {
    static const char function[] = "frame.add_data";
    if (!check_name(name, type, function, error)) return NULL;
    if (rows < 0 || (rows && !data))
        return frame_fail(error, function, "`%.200s` has no %s", name, rows < 0 ? "length" : "data");
    for (int64_t i = 0; frame && frame_check(frame, function, error) && i < frame->count; i++) {
        const Column *other = &frame->columns[i];
        if (other->rows < 0 || other->rows == rows || strcmp(other->name, name) == 0) continue;
        return frame_fail(error, function, "`%.200s` has %lld rows, but `%.200s` %lld", name, (long long)rows,
                          other->name, (long long)other->rows);
    }
    weld_frame_t made = frame_copy(frame, function, error);
    if (made && add_arrays(made, name, type, data, valid, rows, release, user, error)) return made;
    weld_frame_free(made);
    return NULL;
}

/* ---- asking ---- */

int64_t weld_frame_column_count(weld_frame_t frame) {
    return frame_check(frame, "frame", NULL) ? frame->count : -1;
}

static const Column *column_at(weld_frame_t frame, int64_t column) {
    bool is = frame_check(frame, "frame", NULL) && column >= 0 && column < frame->count;
    return is ? &frame->columns[column] : NULL;
}

const char *weld_frame_name(weld_frame_t frame, int64_t column) {
    const Column *found = column_at(frame, column);
    return found ? found->name : NULL;
}

weld_frame_type weld_frame_column_type(weld_frame_t frame, int64_t column) {
    const Column *found = column_at(frame, column);
    return found ? found->kind : WELD_FRAME_TYPES;
}

int64_t weld_frame_find(weld_frame_t frame, const char *name) {
    if (!name || !frame_check(frame, "frame", NULL)) return -1;
    const Column *column = frame_column(frame, name, (int64_t)strlen(name));
    return column ? column - frame->columns : -1;
}

static Column *ask(weld_frame_t frame, const char *function, const char *name, weld_error_t error) {
    if (!frame_check(frame, function, error)) return NULL;
    if (!name) return frame_fail(error, function, "the name is NULL");
    Column *column = frame_need(frame, function, name, (int64_t)strlen(name), error);
    if (column) weld_error_set(error, WELD_SUCCESS, NULL);
    return column;
}

weld_lazy_t weld_frame_column(weld_frame_t frame, const char *name, weld_error_t error) {
    const Column *column = ask(frame, "frame.column", name, error);
    return column ? weld_lazy_hold(column->data) : NULL;
}

weld_lazy_t weld_frame_valid(weld_frame_t frame, const char *name, weld_error_t error) {
    const Column *column = ask(frame, "frame.valid", name, error);
    return column && column->valid ? weld_lazy_hold(column->valid) : NULL;
}

const void *weld_frame_data(weld_frame_t frame, const char *name, int64_t *rows, const bool **valid,
                            weld_error_t error) {
    const Column *column = ask(frame, "frame.data", name, error);
    if (!column) return NULL;
    if (!column->elements || (column->valid && !column->valid_elements && column->rows))
        return frame_fail(error, "frame.data", "`%.200s` is not computed; collect the frame before", name);
    if (rows) *rows = column->rows;
    if (valid) *valid = column->valid_elements;
    return column->elements;
}
