/* every_function.h: what every_function.c hands over, right and wrong, made once; and the rows whose calls need more than a
 * line. A part of that file. */
enum { MANY = ROOM }; /* room for every count that is not refused */

static const int64_t numbers[2] = {3, 4}, shape[MANY] = {2}, huge[MANY] = {INT64_MAX, INT64_MAX},
                     negative[MANY] = {-3};
static const struct {
    const int64_t *data;
    int64_t length;
} vector = {numbers, 2}, backwards = {numbers, -2}, nowhere = {NULL, 2};
static const int axes[MANY] = {0}, beyond[MANY] = {99, -99};
static int64_t room[16];
static const char *const types[64] = {"i64", NULL}, *const strange[64] = {"vec[", "appender[i64]"};
static const bool *valid_room;
static char path[64];

static weld_lazy_t many[MANY], vectors[MANY], first_null[MANY], wrong[MANY], column;
static weld_frame_t frames[MANY], holes[MANY];
static weld_nd_t arrays[MANY], gaps[MANY];
static weld_value_t own, data;
static weld_arrow_field_t fields[MANY], fields_empty[MANY], fields_wrong[MANY], fields_format[MANY],
    fields_valid[MANY];
static weld_frame_csv_t csv = {0}, csv_wrong = {.types = "x: nothing"}, csv_quote = {.separator = '"'};

/* ---- Arrow's structs, which calls take and give ---- */

static void drop(struct ArrowArray *one, struct ArrowSchema *schema) {
    if (one->release) one->release(one);
    if (schema->release) schema->release(schema);
}

/* The argument says what is handed over: 0 a right one, 1 NULL, 2 a struct that was released. */
static void import_one(Call *call) {
    struct ArrowArray one = {0};
    struct ArrowSchema schema = {0};
    if (I(0) == 0 && I(1) == 0 && !weld_arrow_export(fields, &one, &schema, NULL)) failures++;
    weld_arrow_t in = weld_arrow_import(I(0) == 1 ? NULL : &one, I(1) == 1 ? NULL : &schema, P(2));
    call->fails = !in;
    weld_arrow_free(in);
    drop(&one, &schema);
}

static void import_stream(Call *call) {
    struct ArrowArrayStream stream = {0};
    if (I(0) == 0 && !weld_arrow_export_stream(fields, 1, 0, &stream, NULL)) failures++;
    weld_arrow_t in = weld_arrow_import_stream(I(0) == 1 ? NULL : &stream, P(1));
    call->fails = !in;
    weld_arrow_free(in);
    if (stream.release) stream.release(&stream);
}

static void export_one(Call *call) {
    struct ArrowArray one = {0};
    struct ArrowSchema schema = {0};
    call->fails = !weld_arrow_export(P(0), I(1) ? NULL : &one, I(2) ? NULL : &schema, P(3));
    if (call->fails && (one.release || schema.release)) failures += printf("an output without success\n");
    drop(&one, &schema);
}

static void export_table(Call *call) {
    struct ArrowArray one = {0};
    struct ArrowSchema schema = {0};
    call->fails = !weld_arrow_export_table(P(0), I(1), I(2) ? NULL : &one, I(3) ? NULL : &schema, P(4));
    if (call->fails && (one.release || schema.release)) failures += printf("an output without success\n");
    drop(&one, &schema);
}

static void export_stream(Call *call) {
    struct ArrowArrayStream stream = {0};
    call->fails = !weld_arrow_export_stream(P(0), I(1), I(2), I(3) ? NULL : &stream, P(4));
    if (call->fails && stream.release) failures += printf("an output without success\n");
    if (stream.release) stream.release(&stream);
}

/* ---- gradients ---- */

static weld_lazy_t scalar, arguments[MANY];

static void differentiate(Call *call) {
    static weld_lazy_t slopes[MANY];
    memset(slopes, 0, sizeof slopes);
    call->fails = !weld_lazy_grad(P(0), P(1), I(2), P(3) ? slopes : NULL, P(4));
    if (call->fails && slopes[0]) failures += printf("an output without success\n");
    for (int i = 0; i < MANY; i++) weld_lazy_free(slopes[i]);
}

/* ---- opening ---- */

static weld_value_t compute(const char *code) {
    weld_lazy_t lazy = weld_lazy_new(NULL, code, NULL, 0, error);
    weld_value_t value = NULL;
    if (!weld_lazy_evaluate(context, &lazy, 1, &value, error))
        printf("%s: %s\n", code, weld_error_message(error)), exit(2);
    weld_lazy_free(lazy);
    return value;
}

static void add_all(char letter, bool handle, const void *const *pointers, int count) {
    Kind *kind = add_kind(letter, handle);
    for (int i = 0; i < count; i++) add_pointer(kind, pointers[i]);
}

#define POINTERS(letter, handle, ...)                           \
    add_all(letter, handle, (const void *const[]){__VA_ARGS__}, \
            (int)(sizeof((const void *const[]){__VA_ARGS__}) / sizeof(void *)))

static void open_handles(void) {
    right[CONF] = weld_conf_new();
    weld_conf_set(right[CONF], "weld.engine", "eval");
    right[CONTEXT] = context = weld_context_new(right[CONF]);
    right[ERROR] = error = weld_error_new();
    right[VALUE] = compute("{1l, [2l]}");
    right[MODULE] = weld_module_compile("|x: i64| x + 1l", right[CONF], error);
    right[LAZY] = weld_lazy_new(NULL, "7l", NULL, 0, error);
    right[FUTURE] = weld_lazy_evaluate_async(context, (weld_lazy_t *)&right[LAZY], 1, error);
    weld_future_wait(right[FUTURE], NULL, error);
    add_handles(right);
    own = weld_value_new(numbers);
    POINTERS('o', false, own, NULL, right[CONF], right[CONTEXT], right[MODULE], right[LAZY], right[ERROR]);
    column = weld_lazy_data("vec[i64]", &vector, NULL, NULL, error);
    POINTERS('d', true, column, NULL, right[LAZY], right[CONTEXT], right[VALUE], error);
    POINTERS('b', false, NULL, column, right[LAZY], context, right[VALUE]);
    run = weld_runst_init(1, 1 << 20);
    POINTERS('R', false, run, NULL, right[CONF], context, right[VALUE], right[MODULE], right[LAZY], error);
}

static void open_gradients(void) {
    static const double half = 0.5;
    weld_lazy_t x = weld_lazy_data("f64", &half, NULL, NULL, error);
    scalar = weld_lazy_new("square", "|x: f64| x * x", &x, 1, error);
    for (int i = 0; i < MANY; i++) arguments[i] = x;
    POINTERS('%', true, scalar, NULL, right[LAZY], context, right[VALUE], column);
    POINTERS('&', false, arguments, NULL, first_null, wrong, many, vectors);
}

static void open_adapters(void) {
    frame = weld_frame_add_data(NULL, "x", WELD_FRAME_I64, numbers, NULL, 2, NULL, NULL, error);
    array = weld_nd_from(WELD_ND_I64, numbers, 1, shape, NULL, NULL, NULL, error);
    data = compute("[[1l, 2l], [3l]]");
    fields[0] = (weld_arrow_field_t){.name = "x", .values = data};
    fields_wrong[0] = (weld_arrow_field_t){.name = "x", .values = context};
    fields_format[0] = (weld_arrow_field_t){.name = "x", .format = "+w:x", .values = data};
    fields_valid[0] = (weld_arrow_field_t){.name = "x", .values = data, .validity = data, .dictionary = own};
    struct ArrowArray one = {0};
    struct ArrowSchema schema = {0};
    if (!weld_arrow_export_table(fields, 1, &one, &schema, error) ||
        !(table = weld_arrow_import(&one, &schema, error)))
        printf("%s\n", weld_error_message(error)), exit(2);
    list = weld_arrow_column(table, 0);
    for (int i = 0; i < MANY; i++) {
        many[i] = right[LAZY], vectors[i] = column, first_null[i] = i ? right[LAZY] : NULL,
        wrong[i] = context;
        frames[i] = frame, holes[i] = i ? frame : NULL, arrays[i] = array, gaps[i] = i ? array : NULL;
        fields[i] = fields[0], fields_wrong[i] = fields_wrong[0];
    }
    POINTERS('L', false, many, NULL, first_null, wrong, vectors);
    POINTERS('F', false, frame, NULL, context, right[LAZY]);
    POINTERS('K', false, frames, NULL, holes);
    POINTERS('A', false, table, NULL);
    POINTERS('a', false, list, NULL, table);
    POINTERS('g', false, list, NULL, weld_arrow_column(list, 0));
    POINTERS('x', false, fields, NULL, fields_empty, fields_wrong, fields_format, fields_valid);
    POINTERS('B', false, array, NULL);
    POINTERS('k', false, arrays, NULL, gaps);
}

static void open_all(void) {
    open_handles();
    open_gradients();
    open_adapters();
    POINTERS('p', false, &vector, NULL, &backwards, &nowhere);
    POINTERS('6', false, room, NULL);
    POINTERS('7', false, numbers, NULL);
    POINTERS('5', false, NULL);
    kinds[kind_count - 1].values[0].i = sizeof numbers;
    for (int64_t bytes = -1; bytes < 2; bytes++)
        kinds[kind_count - 1].values[kinds[kind_count - 1].count++].i = bytes;
    POINTERS('q', false, "a function", NULL);
    POINTERS('Q', false, types, NULL, strange);
    POINTERS('r', false, values, NULL);
    POINTERS('t', false, NULL, "\1\0");
    POINTERS('u', false, &valid_room, NULL);
    POINTERS('S', false, shape, NULL, huge, negative);
    POINTERS('y', false, axes, NULL, beyond);
    POINTERS('z', false, "not code", NULL);
    POINTERS('h', false, &csv, NULL, &csv_wrong, &csv_quote);
    snprintf(path, sizeof path, "/tmp/every_function.%ld", (long)getpid());
    POINTERS('H', false, path, NULL, "", "/no/such/folder", "/");
    for (const char *letters = "1w2", *l = letters; *l; l++) {
        Kind *kind = add_kind(*l, false);
        for (int i = 0; i < 3; i++) kind->values[kind->count++].i = i;
    }
    for (const char *letters = "34", *l = letters; *l; l++) {
        Kind *kind = add_kind(*l, false);
        for (int i = 0; i < 2; i++) kind->values[kind->count++].i = i;
    }
    for (const char *letters = "DE", *l = letters; *l; l++) {
        const double all[] = {*l == 'D' ? 1 : 5, 0,     -1,    0.0 / 0.0, 1e300 * 1e300,
                              -1e300 * 1e300,    1e300, 1e-300};
        Kind *kind = add_kind(*l, false);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) kind->values[kind->count++].d = all[i];
    }
    Kind *lengths = add_kind('j', false); /* how long memory is, no function can check: only what cannot be */
    const int64_t short_ones[] = {2, 0, -1, INT64_MIN};
    for (int i = 0; i < 4; i++) lengths->values[lengths->count++].i = short_ones[i];
    add_numbers('n', 1);
    add_numbers('i', 0);
    add_texts('T', "weld.threads");
    add_texts('P', "|x: i64| x + 1l");
    add_texts('Y', "i64");
    add_texts('N', "x");
    add_texts('M', "libm.so.6");
    add_texts('C', "frame.length");
    add_texts('Z', "frame");
    add_texts('X', "x");
    add_texts('U', "x as y");
    add_texts('V', "x > 1");
    add_texts('O', "sum(x) as y");
    POINTERS('I', false, "x\n1\n", NULL, "\"\"\"\n");
}

static void close_all(void) {
    remove(path);
    weld_arrow_free(table);
    weld_frame_free(frame);
    weld_nd_free(array);
    weld_value_free(data);
    weld_lazy_free(scalar);
    weld_lazy_free(arguments[0]);
    weld_lazy_free(column);
    weld_value_free(own);
    weld_runst_release(run);
    weld_future_free(right[FUTURE]);
    weld_lazy_free(right[LAZY]);
    weld_value_free(right[VALUE]);
    weld_module_free(right[MODULE]);
    if (weld_context_memory_usage(context) != 0) puts("the context holds memory"), failures++;
    weld_context_free(context);
    weld_conf_free(right[CONF]);
    weld_error_free(error);
}
