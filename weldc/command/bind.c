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
 * written; what their lengths are, roles.c finds. An int that is returned beside what is written is a status. What does
 * not fit these rules is listed in a comment with the parameter that does not, for its author to write
 * by hand; so is what the header declares and the library lacks, as a header is often of a later version, or of a build
 * with more in it: an adapter that named such a function would not load. A draft is a start: what is pure, what is
 * threadsafe, how long a result is, what arguments would crash the library, only its author knows.
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
    Buf folder;       /* else, where it is */
    Buf shims, rows, others;
    char direct[128];       /* the first function that programs call without a shim, or "" */
    bool vectors[TY_COUNT]; /* kinds of elements whose vectors are used */
    bool copies;            /* memcpy is used */
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

/* What a call in the language says: not what a vector tells, and not what is only written. */
static bool is_said(const Param *param) {
    switch (param->role) {
    case ROLE_VALUE:
    case ROLE_READ:
    case ROLE_IN_PLACE: return true;
    case ROLE_LENGTH: return param->owner < 0;
    default: return false;
    }
}

static bool is_given(const Param *param) {
    return param->role == ROLE_READ || param->role == ROLE_IN_PLACE;
}

static bool is_written(const Param *param) {
    return param->role == ROLE_WRITTEN || param->role == ROLE_IN_PLACE || param->role == ROLE_NUMBER;
}

/* A vector that is written, and whose length no parameter tells: the caller says it. */
static bool is_unmeasured(const Param *param) {
    return param->role == ROLE_WRITTEN && param->lengths[0] < 0 && !param->fixed;
}

/* |x: vec[f64], a: f64| */
static void put_params(Buf *out, const Prototype *p, bool with_types) {
    bool first = true;
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        bool unmeasured = is_unmeasured(param), integer = unmeasured || param->role == ROLE_LENGTH;
        if (!is_said(param) && !(unmeasured && with_types)) continue;
        buf_printf(out, "%s%s%s", first ? "" : ", ", param->safe, unmeasured ? "_length" : "");
        if (with_types)
            buf_printf(out, param->pointer && !unmeasured ? ": vec[%s]" : ": %s",
                       integer ? "i64" : spelled(param->kind));
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
        const Param *param = &p->params[i];
        if (!is_written(param)) continue;
        buf_printf(out, param->role == ROLE_NUMBER ? "%s%s" : "%svec[%s]", first ? "" : ", ",
                   spelled(param->kind));
        first = false;
    }
    if (p->values > p->writes) buf_printf(out, "%s%s", first ? "" : ", ", spelled(p->result.kind));
    buf_printf(out, "%s", many ? "}" : "");
}

/* A length in the language, or in C: len(x), or x->length. */
static void put_length(Buf *out, const Prototype *p, int at, bool in_c) {
    const Param *length = &p->params[at];
    if (length->owner >= 0)
        buf_printf(out, in_c ? "%s->length" : "len(%s)", p->params[length->owner].safe);
    else
        buf_printf(out, "%s%s", in_c ? "*" : "", length->safe);
}

/* The sizes of the vectors that are written, behind cfill. */
static void put_sizes(Buf *out, const Prototype *p) {
    int vectors = 0, at = 0;
    for (int i = 0; i < p->count; i++)
        vectors += is_written(&p->params[i]) && p->params[i].role != ROLE_NUMBER;
    if (vectors != 1) buf_printf(out, "{");
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (!is_written(param) || param->role == ROLE_NUMBER) continue;
        if (at++) buf_printf(out, ", ");
        if (is_unmeasured(param)) buf_printf(out, "%s_length", param->safe);
        if (param->fixed) buf_printf(out, "%ldL", param->fixed);
        for (int k = 0; k < 2 && param->lengths[k] >= 0; k++) {
            if (k) buf_printf(out, " * ");
            put_length(out, p, param->lengths[k], false);
        }
    }
    if (vectors != 1) buf_printf(out, "}");
}

static bool has_said(const Prototype *p) {
    bool said = false;
    for (int i = 0; i < p->count; i++) said |= is_said(&p->params[i]);
    return said;
}

static void put_shim_params(Bind *bind, const Prototype *p) {
    Buf *out = &bind->shims;
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->pointer && param->role != ROLE_NUMBER) bind->vectors[param->kind] = true;
        if (!is_said(param)) continue;
        if (param->pointer)
            buf_printf(out, "const vec_%s *%s, ", spelled(param->kind), param->safe);
        else
            buf_printf(out, "const %s *%s, ", param->role == ROLE_LENGTH ? "int64_t" : param->type,
                       param->safe);
    }
    if (p->values != 1) {
        buf_printf(out, "%s_result *result", p->name);
        return;
    }
    if (!p->writes) buf_printf(out, "%s *result", p->result.type);
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (is_written(param) && param->role == ROLE_NUMBER) buf_printf(out, "%s *result", param->type);
        if (is_written(param) && param->role != ROLE_NUMBER)
            buf_printf(out, "vec_%s *result", spelled(param->kind));
    }
}

/* A function with several results gets a struct for them. */
static void put_result_struct(Buf *out, const Prototype *p) {
    buf_printf(out, "typedef struct {\n");
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (!is_written(param)) continue;
        if (param->role == ROLE_NUMBER)
            buf_printf(out, "    %s %s;\n", param->type, param->name);
        else
            buf_printf(out, "    vec_%s %s;\n", spelled(param->kind), param->name);
    }
    if (p->values > p->writes) buf_printf(out, "    %s returned;\n", p->result.type);
    buf_printf(out, "} %s_result;\n\n", p->name);
}

/* Every vector that is given has its length, and each length is one of the function's own type of integer. */
static void put_checks(Buf *out, const Prototype *p) {
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        int at = param->lengths[0], other = param->lengths[1];
        if (!is_given(param) || (at >= 0 && other < 0 && p->params[at].owner == i)) continue;
        buf_printf(out, "    if (%s->length != ", param->safe);
        if (param->fixed) buf_printf(out, "%ld", param->fixed);
        if (other >= 0) buf_printf(out, "(__int128)");
        if (at >= 0) put_length(out, p, at, true);
        if (other >= 0) buf_printf(out, " * ");
        if (other >= 0) put_length(out, p, other, true);
        buf_printf(out, ") return WELD_CALL_SIZES;\n");
    }
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->role != ROLE_LENGTH) continue;
        bool said = param->owner < 0, narrow = type_classes[param->kind].bits < 64;
        if (!said && !narrow) continue;
        buf_printf(out, "    if (");
        if (said) buf_printf(out, "*%s < 0%s", param->safe, narrow ? " || " : "");
        if (narrow) {
            buf_printf(out, "(%s)", param->type);
            put_length(out, p, i, true);
            buf_printf(out, " != ");
            put_length(out, p, i, true);
        }
        buf_printf(out, ") return WELD_CALL_SIZES;\n");
    }
}

/* Where what is written goes: result->data, or result->y.data of several; a number's address. */
static void put_place(Buf *out, const Prototype *p, const Param *param) {
    bool many = p->values > 1, number = param->role == ROLE_NUMBER;
    if (strcmp(param->type, "char") == 0 && !number) buf_printf(out, "(char *)"); /* not signed char */
    if (number && !many)
        buf_printf(out, "result");
    else
        buf_printf(out, "%sresult%s%s%s", number ? "&" : "", many ? "->" : "", many ? param->name : "",
                   number ? ""
                   : many ? ".data"
                          : "->data");
}

static void put_guesses(Buf *out, const Prototype *p) {
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->guessed)
            buf_printf(out, "    /* A guess, as in y = A x: %s has %s elements. */\n", param->name,
                       p->params[param->lengths[0]].name);
    }
}

/* What is changed starts as what is given; a number, which a function may read as well, as 0. */
static void put_copies(Buf *out, const Prototype *p) {
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->role == ROLE_NUMBER)
            buf_printf(out, p->values > 1 ? "    result->%s = 0;\n" : "    *result = 0;\n", param->name);
        if (param->role != ROLE_IN_PLACE) continue;
        buf_printf(out, "    if (%s->length) memcpy(", param->safe);
        put_place(out, p, param);
        buf_printf(out, ", %s->data, (size_t)%s->length * sizeof *%s->data);\n", param->safe, param->safe,
                   param->safe);
    }
}

static void put_call(Buf *out, const Prototype *p) {
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        buf_printf(out, "%s", i ? ", " : "");
        if (param->role == ROLE_LENGTH) {
            buf_printf(out, "(%s)", param->type);
            put_length(out, p, i, true);
        } else if (param->role == ROLE_STRIDE) {
            buf_printf(out, "1");
        } else if (is_written(param)) {
            put_place(out, p, param);
        } else {
            bool text = param->pointer && strcmp(param->type, "char") == 0;
            buf_printf(out, param->pointer ? "%s%s->data" : "%s*%s", text ? "(const char *)" : "",
                       param->safe);
        }
    }
}

static void bind_by_shim(Bind *bind, const Prototype *p) {
    Buf *out = &bind->shims, *row = &bind->rows;
    const char *name = short_name(bind, p);
    bool many = p->values > 1;
    if (many) put_result_struct(out, p);
    buf_printf(out, "EXPORT int weld_%s_%s(", bind->name, name);
    put_shim_params(bind, p);
    buf_printf(out, ") {\n");
    put_guesses(out, p);
    put_checks(out, p);
    put_copies(out, p);
    for (int i = 0; i < p->count; i++) bind->copies |= p->params[i].role == ROLE_IN_PLACE;
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
    put_sizes(row, p);
    if (has_said(p)) buf_printf(row, ", ");
    put_params(row, p, false);
    end_row(row, p);
}

static void bind_function(void *data, const Prototype *p) {
    Bind *bind = data;
    const char *why = *p->why ? p->why : NULL;
    if (!why && bind->opened && !dlsym(bind->opened, p->name)) why = "the library has no such function";
    if (why)
        buf_printf(&bind->others, " *   %s: %s\n", p->name, why);
    else if (p->reads + p->writes)
        bind_by_shim(bind, p);
    else
        bind_by_value(bind, p);
}

/* Folders as they are from anywhere. */
static void put_folder(Bind *bind, int length, const char *path) {
    char given[4096], *whole;
    snprintf(given, sizeof given, "%.*s", length, path);
    whole = realpath(given, NULL);
    bind->folder.length = 0;
    if (whole) buf_printf(&bind->folder, "%s", whole);
    free(whole);
}

static bool open_path(Bind *bind, const char *format, const char *folder, const char *end) {
    Buf path = {0};
    buf_printf(&path, format, folder, bind->name, end);
    if (path.text && !path.failed) bind->opened = dlopen(path.text, RTLD_LAZY | RTLD_LOCAL);
    buf_release(&path);
    return bind->opened;
}

/* As -lNAME finds it once the program runs: in the folder at hand, beside the header, in the folder lib beside the header's folder
 * include, or where the loader looks, which may know a version only (libm.so is a text for linkers). */
static void open_library(Bind *bind, const char *header) {
    const char *slash = strrchr(header, '/'), *include = NULL;
    for (const char *at = header; (at = strstr(at, "/include/")); at++) include = at;
    bool system = strncmp(header, "/usr/include/", 13) == 0;
    if (open_path(bind, "%s/lib%s.so%s", ".", "")) {
        buf_printf(&bind->folder, ".");
        return;
    }
    if (slash && !system) {
        put_folder(bind, (int)(slash - header), header);
        if (bind->folder.length && !bind->folder.failed &&
            open_path(bind, "%s/lib%s.so%s", bind->folder.text, ""))
            return;
        bind->folder.length = 0;
    }
    if (include && !system) {
        put_folder(bind, (int)(include - header), header);
        buf_printf(&bind->folder, "/lib");
        if (!bind->folder.failed && open_path(bind, "%s/lib%s.so%s", bind->folder.text, "")) return;
        bind->folder.length = 0;
    }
    for (int version = -1; version < 32 && !bind->opened; version++) {
        char end[16] = "";
        if (version >= 0) snprintf(end, sizeof end, ".%d", version);
        bind->installed = open_path(bind, "%slib%s.so%s", "", end);
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
    if (bind->installed)
        buf_printf(out, "-l%s\n", name);
    else if (bind->folder.length == 0 || strcmp(bind->folder.text, ".") == 0)
        buf_printf(out, "-L. -l%s '-Wl,-rpath,$ORIGIN'\n", name);
    else
        buf_printf(out, "-L'%s' -l%s '-Wl,-rpath,%s'\n", bind->folder.text, name, bind->folder.text);
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
    buf_printf(
        out,
        " *\n * Name its folder in WELD_ADAPTERS; `weldc adapters %s` then lists its functions. "
        "Before you use it:\n *\n"
        " * - TRAITS stands before every call. Empty, it says nothing: a call is made as often as it "
        "is written, in one\n"
        " *   thread. \"@(pure: true)\" says that the same arguments give the same result, and that "
        "nothing else happens;\n"
        " *   \"@(pure: true, threadsafe: true)\" also that several threads may call at once. Say it "
        "if all functions\n"
        " *   are so, or take TRAITS out of the rows of those that are not.\n"
        " * - How long vectors are is taken from the names and places of the parameters: `len(x)` and the "
        "like behind cfill, and\n"
        " *   the checks below. Where that is wrong, say another number; the caller says what no parameter "
        "tells (y_length). How\n"
        " *   far elements are apart (stride, incx) is 1.\n"
        " * - A vector that is written beside others that are read is taken as only written, else as "
        "changed in place: what it is\n"
        " *   before is a parameter, which is copied. A pointer in a function without a length is one "
        "number, which is written.\n"
        " * - Check in the functions below what the library would crash on, and return "
        "WELD_CALL_DOMAIN then. An int that\n"
        " *   is returned beside what is written is taken as a status, 0 for success.\n"
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
               " */\n#include <%s>\n%s#include <weld.h>\n\n#define EXPORT "
               "__attribute__((visibility(\"default\")))\n#define TRAITS \"\"\n\n",
               include, bind->copies ? "#include <string.h>\n" : "");
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
    open_library(&bind, request->words[0]);
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
    buf_release(&bind.folder);
    if (bind.opened) dlclose(bind.opened);
    return status;
}
