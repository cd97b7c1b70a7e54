/* tables.c: `weldc ops | passes | settings | adapters [NAME]`: the tables of the sources, as their users see them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* Pads a first column, but never glues it to the next. */
static void row(Buf *out, int width, const char *first, const char *doc) {
    buf_printf(out, "  %-*s %s\n", width, first, doc);
}

static void print_operators(Buf *out) {
    static const struct {
        char class;
        const char *name;
    } classes[] = {{'i', "integers"},       {'n', "numbers"}, {'f', "floats"},
                   {'l', "integers, bool"}, {'b', "bool"},    {'a', "comparable"}};
    buf_printf(out, "\noperators\n");
    for (int i = OP_none + 1; i < OP_COUNT; i++) {
        const OpClass *op = &op_classes[i];
        char usage[40];
        if (op->form == 'u') {
            snprintf(usage, sizeof usage, op->precedence < 0 ? "%sa" : "%s(a)", op->spelling);
        } else {
            snprintf(usage, sizeof usage, op->precedence > 0 ? "a %s b" : "%s(a, b)", op->spelling);
        }
        const char *name = op->form == 'c' ? "comparable" : "";
        for (size_t c = 0; op->form != 'c' && c < sizeof classes / sizeof *classes; c++) {
            if (classes[c].class == op->class) name = classes[c].name;
        }
        buf_printf(out, "  %-14s %-15s %s\n", usage, name, op->doc);
    }
}

static const struct {
    const char *spelling;
    int arguments;
    bool op;
    const char *doc;
} type_rows[] = {
#define COMPOSITE(id, spelling, arguments, doc) {spelling, arguments, false, doc},
#include "../../lang/types.def"
#define BUILDER(id, spelling, arguments, has_op, doc) {spelling, arguments, has_op, doc},
#include "../../lang/types.def"
};

static void print_types(Buf *out) {
    buf_printf(out, "types\n  ");
    for (int i = TY_bool; i <= TY_f64; i++) {
        buf_printf(out, "%s%s", type_classes[i].spelling, i == TY_f64 ? "\n" : " ");
    }
    for (size_t i = 0; i < sizeof type_rows / sizeof *type_rows; i++) {
        char usage[40];
        if (type_rows[i].arguments < 0) {
            snprintf(usage, sizeof usage, "%s", *type_rows[i].spelling == '{' ? "{A, B}" : "|A, B| C");
        } else {
            snprintf(usage, sizeof usage, "%s[%s%s]", type_rows[i].spelling,
                     type_rows[i].arguments == 2 ? "K, V" : "T", type_rows[i].op ? ", op" : "");
        }
        row(out, 22, usage, type_rows[i].doc);
    }
}

int command_ops(Request *request) {
    (void)request;
    Buf out = {0};
    print_types(&out);
    buf_printf(&out, "\nconstructs\n");
    for (int i = N_None + 1; i < N_COUNT; i++) row(&out, 38, node_classes[i].usage, node_classes[i].doc);
    buf_printf(&out, "\niterators\n");
    for (int i = 0; i < IT_COUNT; i++) {
        static const struct {
            char bounds;
            const char *words;
        } bounds[] = {{'o', "[, start, end, stride]"},
                      {'r', "start, end, stride"},
                      {'s', ", start, end, stride, shape, strides"}};
        char usage[80] = "";
        for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
            if (bounds[b].bounds != iter_classes[i].bounds) continue;
            snprintf(usage, sizeof usage, "%s(%s%s)", iter_classes[i].spelling,
                     iter_classes[i].has_data ? "vec" : "", bounds[b].words);
        }
        row(&out, 50, usage, iter_classes[i].doc);
    }
    print_operators(&out);
    return write_out(&out);
}

int command_passes(Request *request) {
    (void)request;
    static const struct {
        const char *spelling;
        PassId pass;
    } aliases[] = {
#define ALIAS(spelling, id) {spelling, PASS_##id},
#include "../passes.def"
        {NULL, PASS_None}};
    Buf out = {0};
    buf_printf(&out, "  %-24s %-6s %s\n", "pass", "level", "what it does");
    for (int i = PASS_None + 1; i < PASS_COUNT; i++) {
        buf_printf(&out, "  %-24s %-6d %s\n", pass_classes[i].spelling, pass_classes[i].level,
                   pass_classes[i].doc);
    }
    buf_printf(&out, "\n  other names that weld.optimization.passes takes\n");
    for (int i = 0; aliases[i].spelling; i++) {
        buf_printf(&out, "  %-24s %s\n", aliases[i].spelling,
                   aliases[i].pass == PASS_None ? "nothing to do" : pass_classes[aliases[i].pass].spelling);
    }
    return write_out(&out);
}

int command_settings(Request *request) {
    (void)request;
    Buf out = {0};
    for (int i = 0; i < setting_count; i++) {
        const Setting *setting = &settings[i];
        buf_printf(&out, "  %-47s %s\n", setting->key, setting->doc);
        buf_printf(&out, "  %-47s   %s%s%s; default: %s\n", "", setting->kind,
                   *setting->accepts ? " of " : "", setting->accepts,
                   setting->fallback ? setting->fallback : "none");
    }
    return write_out(&out);
}

void setting_look(const char *key) {
    const char **names = strncmp(key, "weld.", 5) == 0 ? calloc((size_t)setting_count, sizeof *names) : NULL;
    bool known = !names;
    for (int i = 0; names && i < setting_count; i++) {
        names[i] = settings[i].key;
        known |= strcmp(key, names[i]) == 0;
    }
    const char *near = known ? NULL : nearest_name(key, names, (size_t)setting_count);
    if (!known)
        fprintf(stderr, "weldc: there is no setting %s%s%s; it changes nothing\n", key,
                near ? "; did you mean " : "", near ? near : "");
    free(names);
}

typedef struct AdapterTables {
    const char *wanted; /* NULL: all */
    Buf out;
} AdapterTables;

static void adapter_print(void *data, const weld_adapter_t *adapter, const char *name, const char *why) {
    AdapterTables *tables = data;
    Buf *out = &tables->out;
    if (tables->wanted && strcmp(tables->wanted, name) != 0) return;
    if (!adapter) {
        buf_printf(out, "%s: cannot be loaded: %s\n", name, why);
        return;
    }
    buf_printf(out, "%s: %s\n", name, adapter->doc ? adapter->doc : "");
    for (const weld_function_t *f = adapter->functions; f->name; f++) {
        char call[96];
        snprintf(call, sizeof call, "%s.%s", name, f->name);
        buf_printf(out, "  %-32s %-6s %s\n", call, f->code ? "fuses" : "calls", f->doc ? f->doc : "");
    }
}

int command_adapters(Request *request) {
    AdapterTables tables = {request->count ? request->words[0] : NULL, {0}};
    if (request->count > 1) return usage_error(request, "takes one name");
    adapters_each(adapter_print, &tables);
    if (!tables.out.length && tables.wanted) {
        fault_set(&request->fault, E_Library, "an adapter %.100s is not installed", tables.wanted);
        fault_print(&request->fault);
        return EXIT_FAULT;
    }
    if (!tables.out.length)
        buf_printf(&tables.out,
                   "no adapters are installed; they are libweld-NAME.so, beside libweld.so or in a "
                   "folder of WELD_ADAPTERS\n");
    return write_out(&tables.out);
}
