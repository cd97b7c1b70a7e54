/* bind.c: `weldc bind HEADER.h --lib LIB`: drafts an adapter from the prototypes of a header.
 *
 *     double stats_mean(const double *x, size_t n);
 *  =>
 *     EXPORT int weld_stats_mean(const vec_f64 *x, double *result) {
 *         *result = stats_mean(x->data, (size_t)x->length);
 *         return WELD_CALL_DONE;
 *     }
 *     {"mean", "double stats_mean(const double *x, size_t n)", NULL,
 *      "|x: vec[f64]| " TRAITS "cfill[weld_stats_mean, f64]({}, x)", ...},
 *
 * Rules: a function of scalars is called by value (cfun). A `const T *` is a vector that is read, a `T *` one that is
 * written; an integer named n, len, length, size or count is the length of the vectors. An int that is returned beside
 * vectors that are written is a status. What does not fit these rules is listed in a comment, for its author to write
 * by hand; so is what the header declares and the library lacks, as a header is often of a later version, or of a build
 * with more in it: an adapter that named such a function would not load. A draft is a start: what is pure, what is threadsafe, how long a result is, what arguments would crash the
 * library, only its author knows.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

typedef struct Bind {
    const Request *request;
    Fault fault;
    const char *name; /* of the library */
    void *opened;     /* it; NULL: it is neither where the loader looks nor in the folder at hand */
    bool installed;   /* it is where the loader looks */
    Buf shims, rows, others;
    char direct[128];       /* the first function that programs call without a shim, or "" */
    bool vectors[TY_COUNT]; /* kinds of elements whose vectors are used */
} Bind;

/* `stats_mean` of the library stats is stats.mean. */
static const char *short_name(const Bind *bind, const Prototype *p) {
    size_t length = strlen(bind->name);
    bool prefixed = strncmp(p->name, bind->name, length) == 0 && p->name[length] == '_';
    const char *rest = p->name + length + 1;
    return prefixed && (isalpha((unsigned char)*rest) || *rest == '_') ? rest : p->name;
}

static const char *spelled(TypeKind kind) {
    return type_classes[kind].spelling;
}

/* `double mean(const double *x, size_t n)` */
static void put_prototype(Buf *out, const Prototype *p) {
    buf_printf(out, "%s %s(", p->result.type, p->name);
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        buf_printf(out, "%s%s%s %s%s", i ? ", " : "", param->constant ? "const " : "", param->type,
                   param->pointer ? "*" : "", param->name);
    }
    buf_printf(out, "%s)", p->count ? "" : "void");
}

/* |x: vec[f64], a: f64| */
static void put_params(Buf *out, const Prototype *p, bool with_types) {
    bool first = true;
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->is_length || (param->pointer && !param->constant)) continue;
        buf_printf(out, "%s%s", first ? "" : ", ", param->safe);
        if (with_types) buf_printf(out, param->pointer ? ": vec[%s]" : ": %s", spelled(param->kind));
        first = false;
    }
}

static void begin_row(Bind *bind, const Prototype *p) {
    Buf *out = &bind->rows;
    buf_printf(out, "    {\"%s\", \"", short_name(bind, p));
    put_prototype(out, p);
    buf_printf(out, "\", NULL,\n     \"|");
    put_params(out, p, true);
    buf_printf(out, "| \" TRAITS \"");
}

static void end_row(Buf *out, const Prototype *p) {
    buf_printf(out, ")\", NULL,\n     \"");
    for (const char *c = p->doc; *c; c++) buf_printf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    buf_printf(out, "\"},\n");
}

static void bind_by_value(Bind *bind, const Prototype *p) {
    Buf *out = &bind->rows;
    if (!*bind->direct) memcpy(bind->direct, p->name, sizeof bind->direct);
    begin_row(bind, p);
    buf_printf(out, "cfun[%s, %s](", p->name, spelled(p->result.kind));
    put_params(out, p, false);
    end_row(out, p);
}

/* The result's type: what is written, and what is returned, in order. */
static void put_result_type(Buf *out, const Prototype *p) {
    bool many = p->values > 1, first = true;
    buf_printf(out, "%s", many ? "{" : "");
    for (int i = 0; i < p->count; i++) {
        if (!p->params[i].pointer || p->params[i].constant) continue;
        buf_printf(out, "%svec[%s]", first ? "" : ", ", spelled(p->params[i].kind));
        first = false;
    }
    if (p->values > p->writes) buf_printf(out, "%s%s", first ? "" : ", ", spelled(p->result.kind));
    buf_printf(out, "%s", many ? "}" : "");
}

static const Param *first_read(const Prototype *p) {
    for (int i = 0; i < p->count; i++) {
        if (p->params[i].pointer && p->params[i].constant) return &p->params[i];
    }
    return NULL;
}

static void put_shim_params(Bind *bind, const Prototype *p) {
    Buf *out = &bind->shims;
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->pointer) bind->vectors[param->kind] = true;
        if (param->is_length || (param->pointer && !param->constant)) continue;
        if (param->pointer)
            buf_printf(out, "const vec_%s *%s, ", spelled(param->kind), param->safe);
        else
            buf_printf(out, "const %s *%s, ", param->type, param->safe);
    }
    if (p->values == 1) {
        if (!p->writes) buf_printf(out, "%s *result", p->result.type);
        for (int i = 0; i < p->count; i++) {
            if (p->params[i].pointer && !p->params[i].constant)
                buf_printf(out, "vec_%s *result", spelled(p->params[i].kind));
        }
    } else {
        buf_printf(out, "%s_result *result", p->name);
    }
}

/* A function with several results gets a struct for them. */
static void put_result_struct(Buf *out, const Prototype *p) {
    buf_printf(out, "typedef struct {\n");
    for (int i = 0; i < p->count; i++) {
        if (p->params[i].pointer && !p->params[i].constant)
            buf_printf(out, "    vec_%s %s;\n", spelled(p->params[i].kind), p->params[i].name);
    }
    if (p->values > p->writes) buf_printf(out, "    %s returned;\n", p->result.type);
    buf_printf(out, "} %s_result;\n\n", p->name);
}

/* The length is handed over as the function's own type of integer. */
static void put_length_check(Buf *out, const Prototype *p, const Param *first) {
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->is_length && type_classes[param->kind].bits < 64)
            buf_printf(out, "    if ((%s)%s->length != %s->length) return WELD_CALL_SIZES;\n", param->type,
                       first->safe, first->safe);
    }
}

static void put_call(Buf *out, const Prototype *p) {
    const char *length = first_read(p)->safe;
    bool many = p->values > 1;
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        buf_printf(out, "%s", i ? ", " : "");
        if (param->is_length)
            buf_printf(out, "(%s)%s->length", param->type, length);
        else if (param->pointer && !param->constant)
            buf_printf(out, many ? "result->%s.data" : "result->data", param->name);
        else
            buf_printf(out, param->pointer ? "%s->data" : "*%s", param->safe);
    }
}

static void bind_by_shim(Bind *bind, const Prototype *p) {
    Buf *out = &bind->shims, *row = &bind->rows;
    const Param *first = first_read(p);
    const char *name = short_name(bind, p);
    bool many = p->values > 1;
    if (many) put_result_struct(out, p);
    buf_printf(out, "EXPORT int weld_%s_%s(", bind->name, name);
    put_shim_params(bind, p);
    buf_printf(out, ") {\n");
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->pointer && param->constant && param != first)
            buf_printf(out, "    if (%s->length != %s->length) return WELD_CALL_SIZES;\n", param->safe,
                       first->safe);
    }
    put_length_check(out, p, first);
    buf_printf(out, "    %s%s(",
               p->status                ? "return "
               : p->values == p->writes ? ""
               : many                   ? "result->returned = "
                                        : "*result = ",
               p->name);
    put_call(out, p);
    buf_printf(out, p->status ? ") == 0 ? WELD_CALL_DONE : WELD_CALL_DOMAIN;\n}\n\n"
                              : ");\n    return WELD_CALL_DONE;\n}\n\n");
    begin_row(bind, p);
    buf_printf(row, "cfill[weld_%s_%s, ", bind->name, name);
    put_result_type(row, p);
    buf_printf(row, "](");
    if (p->writes == 1) buf_printf(row, "len(%s)", first->safe);
    if (p->writes != 1) {
        buf_printf(row, "{");
        for (int i = 0; i < p->writes; i++) buf_printf(row, "%slen(%s)", i ? ", " : "", first->safe);
        buf_printf(row, "}");
    }
    buf_printf(row, ", ");
    put_params(row, p, false);
    end_row(row, p);
}

static void bind_function(void *data, const Prototype *p) {
    Bind *bind = data;
    const char *why = p->why;
    if (!why && bind->opened && !dlsym(bind->opened, p->name)) why = "the library has no such function";
    if (why)
        buf_printf(&bind->others, " *   %s: %s\n", p->name, why);
    else if (p->reads + p->writes)
        bind_by_shim(bind, p);
    else
        bind_by_value(bind, p);
}

/* As -lNAME finds it once the program runs: in the folder at hand, or where the loader looks. */
static void open_library(Bind *bind) {
    static const char *const formats[] = {"./lib%s.so", "lib%s.so"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats && !bind->opened; i++) {
        Buf path = {0};
        buf_printf(&path, formats[i], bind->name);
        if (path.text && !path.failed) bind->opened = dlopen(path.text, RTLD_LAZY | RTLD_LOCAL);
        bind->installed = bind->opened && i > 0;
        buf_release(&path);
    }
}

/* How C includes the header: what is behind the last folder `include` of its path, or its name alone. folder: which one the
 * compiler must be told, of so many characters; none if it looks there anyway. */
static const char *include_name(const char *header, int *folder) {
    static const char *const known[] = {"/usr/include/", "/usr/local/include/"}, word[] = "/include/";
    const char *slash = strrchr(header, '/'), *name = slash ? slash + 1 : header;
    for (const char *at = header; (at = strstr(at, word)); at++) name = at + sizeof word - 1;
    *folder = (int)(name - header);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if ((size_t)*folder == strlen(known[i]) && strncmp(header, known[i], strlen(known[i])) == 0)
            *folder = -1;
    }
    return name;
}

/* The command that builds the draft, with the folders of what is not installed. */
static void put_build(Buf *out, const Bind *bind, const char *header) {
    const char *name = bind->name;
    int folder;
    include_name(header, &folder);
    buf_printf(out, " *     cc -shared -fPIC -O2 ");
    if (folder == 0) buf_printf(out, "-I. ");
    if (folder > 0) buf_printf(out, "-I%.*s ", folder > 1 ? folder - 1 : 1, header);
    buf_printf(out, "-o libweld-%s.so %s_adapter.c $(pkg-config --cflags weld) ", name, name);
    buf_printf(out, bind->installed ? "-l%s\n" : "-L. -l%s '-Wl,-rpath,$ORIGIN'\n", name);
    if (!bind->opened)
        buf_printf(out, " *\n * with the folder of lib%s.so instead of the dot behind -L.\n", name);
}

/* ---- the draft ---- */

/* What C calls the elements of a vector. */
static const char *element(TypeKind kind) {
    static const struct {
        TypeKind kind;
        const char *c;
    } rows[] = {{TY_bool, "bool"},    {TY_i8, "int8_t"},   {TY_u8, "uint8_t"},   {TY_i16, "int16_t"},
                {TY_u16, "uint16_t"}, {TY_i32, "int32_t"}, {TY_u32, "uint32_t"}, {TY_i64, "int64_t"},
                {TY_u64, "uint64_t"}, {TY_f32, "float"},   {TY_f64, "double"}};
    size_t i = 0;
    while (rows[i].kind != kind) i++;
    return rows[i].c;
}

static void write_head(const Bind *bind, const char *header, Buf *out) {
    const char *name = bind->name;
    int folder;
    const char *include = include_name(header, &folder);
    buf_printf(out,
               "/* %s_adapter.c: an adapter of weldc for %s, drafted by `weldc bind`. Build it with\n *\n",
               name, include);
    put_build(out, bind, header);
    buf_printf(out,
               " *\n * Name its folder in WELD_ADAPTERS; `weldc adapters %s` then lists its functions. "
               "Before you use it:\n *\n"
               " * - TRAITS stands before every call. Empty, it says nothing: a call is made as often as it "
               "is written, in one\n"
               " *   thread. \"@(pure: true)\" says that the same arguments give the same result, and that "
               "nothing else happens;\n"
               " *   \"@(pure: true, threadsafe: true)\" also that several threads may call at once. Say it "
               "if all functions\n"
               " *   are so, or take TRAITS out of the rows of those that are not.\n"
               " * - A vector that is written is made as long as the first that is read: `len(x)` behind "
               "cfill. Where that is\n"
               " *   wrong, say another number. It is taken as one that is only written: of a function that "
               "changes it in place, make\n"
               " *   what it is before one more parameter, copied to the result before the call.\n"
               " * - Check in the functions below what the library would crash on, and return "
               "WELD_CALL_DOMAIN then. An int that\n"
               " *   is returned beside vectors that are written is taken as a status, 0 for success.\n"
               " * - Where the meaning of a function can be said in the language, say it instead of NULL: it "
               "then fuses.\n"
               " * - The NULL before the last text is for the derivative of a call, \"|arguments.., result, "
               "adjoint| adjoints\",\n"
               " *   if somebody is to differentiate it; see weld.h.\n",
               name);
    if (!bind->opened)
        buf_printf(out,
                   " *\n * lib%s.so could not be opened, so whether it has all of these functions was not "
                   "checked.\n",
                   name);
    if (bind->others.length) buf_printf(out, " *\n * Not drafted:\n%s", bind->others.text);
    buf_printf(out,
               " */\n#include <%s>\n#include <weld.h>\n\n#define EXPORT "
               "__attribute__((visibility(\"default\")))\n#define TRAITS \"\"\n\n",
               include);
}

static void write_draft(Bind *bind, const char *header, Buf *out) {
    int folder;
    write_head(bind, header, out);
    for (int kind = 0; kind < TY_COUNT; kind++) {
        if (!bind->vectors[kind]) continue;
        buf_printf(out, "typedef struct {\n    %s *data;\n    int64_t length;\n} vec_%s;\n\n",
                   element((TypeKind)kind), spelled((TypeKind)kind));
    }
    if (*bind->direct) /* no shim may name the library, which a linker that links only what is needed then drops */
        buf_printf(out,
                   "/* So that the linker keeps the library, whose functions are called by name. */\n"
                   "__attribute__((used)) static void (*const linked)(void) = (void (*)(void))%s;\n\n",
                   bind->direct);
    buf_printf(out,
               "%sstatic const weld_function_t functions[] = {\n%s    {NULL, NULL, NULL, NULL, NULL, "
               "NULL},\n};\n\n",
               bind->shims.length ? bind->shims.text : "", bind->rows.length ? bind->rows.text : "");
    buf_printf(
        out,
        "EXPORT const weld_adapter_t *weld_adapter(void) {\n"
        "    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, \"%s\", \"%s\", functions};\n"
        "    return &adapter;\n}\n",
        bind->name, include_name(header, &folder));
}

static bool is_library_name(const char *name) {
    for (const char *at = name; *at; at++) {
        if ((!isalnum((unsigned char)*at) && *at != '_') || (at == name && isdigit((unsigned char)*at)))
            return false;
    }
    return *name;
}

int command_bind(Request *request) {
    if (!request->library) return usage_error(request, "--lib LIB is needed: the name of the library");
    if (request->count != 1) return usage_error(request, "one header is needed");
    if (!is_library_name(request->library))
        return usage_error(request, "--lib takes the name of a library, as in -lNAME, that is one in C");
    Bind bind = {.request = request, .name = request->library};
    open_library(&bind);
    Buf out = {0};
    int status = EXIT_FAULT;
    if (prototypes_read(request->words[0], bind_function, &bind, &bind.fault)) {
        if (!bind.rows.length && !bind.others.length)
            fault_set(&bind.fault, E_File, "%.200s declares no function", request->words[0]);
        else
            write_draft(&bind, request->words[0], &out);
    }
    if (bind.fault.error.code == E_None) status = write_out(&out);
    fault_print(&bind.fault);
    fault_release(&bind.fault);
    buf_release(&bind.shims);
    buf_release(&bind.rows);
    buf_release(&bind.others);
    if (bind.opened) dlclose(bind.opened);
    return status;
}
