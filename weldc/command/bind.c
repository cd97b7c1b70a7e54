/* bind.c: `weldc bind HEADER.h --lib LIB`: drafts an adapter from the prototypes of a header.
 *
 *     double mean(const double *x, size_t n);
 *  =>
 *     EXPORT int weld_stats_mean(const vec_f64 *x, double *result) {
 *         *result = mean(x->data, (size_t)x->length);
 *         return 0;
 *     }
 *     {"mean", "double mean(const double *x, size_t n)", NULL, "|x: vec[f64]| cfill[weld_stats_mean, f64]({}, x)", ...},
 *
 * The C preprocessor ($CC -E) reads the header; of what it gives only the declarations of the header's own lines count.
 * Rules: a function of scalars is called by value (cfun). A `const T *` is a vector that is read, a `T *` one that is
 * written; an integer named n, len, length, size or count is the length of the vectors. What does not fit these rules
 * is listed in a comment, for its author to write by hand. A draft is a start: what is pure, what is threadsafe, how
 * long a result is, what arguments would crash the library, only its author knows.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* ---- C types ---- */

typedef struct Spelling {
    const char *c;
    TypeKind kind;
} Spelling;

/* As in the ABI of 64-bit Unix. Words in any order are sorted into one of these. */
static const Spelling spellings[] = {
    {"bool", TY_bool},
    {"_Bool", TY_bool},
    {"char", TY_i8},
    {"signed char", TY_i8},
    {"unsigned char", TY_u8},
    {"short", TY_i16},
    {"unsigned short", TY_u16},
    {"int", TY_i32},
    {"unsigned", TY_u32},
    {"unsigned int", TY_u32},
    {"long", TY_i64},
    {"unsigned long", TY_u64},
    {"long long", TY_i64},
    {"unsigned long long", TY_u64},
    {"float", TY_f32},
    {"double", TY_f64},
    {"int8_t", TY_i8},
    {"uint8_t", TY_u8},
    {"int16_t", TY_i16},
    {"uint16_t", TY_u16},
    {"int32_t", TY_i32},
    {"uint32_t", TY_u32},
    {"int64_t", TY_i64},
    {"uint64_t", TY_u64},
    {"size_t", TY_u64},
    {"ssize_t", TY_i64},
    {"ptrdiff_t", TY_i64},
    {"void", TY_unknown},
};

typedef struct Param {
    char type[64], name[64]; /* type: without const and pointers */
    TypeKind kind;           /* of what it is, or points to */
    bool pointer, constant, is_length;
} Param;

enum { PARAMS = 16 };

typedef struct Prototype {
    char name[128];
    Param result, params[PARAMS];
    int count, reads, writes; /* pointers that are read, and written */
    const char *why;          /* it cannot be drafted, or NULL */
} Prototype;

static bool find_kind(const char *type, TypeKind *kind) {
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        if (strcmp(spellings[i].c, type) != 0) continue;
        *kind = spellings[i].kind;
        return true;
    }
    return false;
}

/* ---- reading a declaration ---- */

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* The next word or character of a text; "" at the end. */
static const char *next_token(const char **at, char token[128]) {
    while (isspace((unsigned char)**at)) ++*at;
    size_t length = 0;
    if (is_word(**at)) {
        while (is_word((*at)[length]) && length < 127) length++;
    } else if (**at) {
        length = 1;
    }
    memcpy(token, *at, length);
    token[length] = 0;
    *at += length;
    return token;
}

static bool is_ignored(const char *word) {
    static const char *const words[] = {"extern",       "restrict", "__restrict",
                                        "__restrict__", "register", "volatile"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) return true;
    }
    return false;
}

static bool add_word(char *text, size_t room, const char *word) {
    size_t length = strlen(text);
    return snprintf(text + length, room - length, "%s%s", length ? " " : "", word) < (int)(room - length);
}

/* Puts the words of "unsigned int" into the order of the table: `long unsigned int` is unsigned long. */
static void normalize(char *type) {
    char copy[64], token[128], out[64] = "";
    int longs = 0;
    bool is_unsigned = false, is_signed = false, others = false, is_int = false;
    strcpy(copy, type);
    for (const char *at = copy; *next_token(&at, token);) {
        if (strcmp(token, "long") == 0)
            longs++;
        else if (strcmp(token, "unsigned") == 0)
            is_unsigned = true;
        else if (strcmp(token, "signed") == 0)
            is_signed = true;
        else if (strcmp(token, "int") == 0)
            is_int = true;
        else
            others = add_word(out, sizeof out, token) || others;
    }
    if (others && !is_unsigned && !is_signed && !longs) return;
    *type = 0;
    if (is_unsigned) add_word(type, 64, "unsigned");
    if (is_signed && strcmp(out, "char") == 0) add_word(type, 64, "signed");
    for (int i = 0; i < longs; i++) add_word(type, 64, "long");
    if (*out) add_word(type, 64, out);
    if (!longs && !*out && (is_int || !is_unsigned)) add_word(type, 64, "int");
}

/* Reads `const double *x` or `double x[]` out of [at, end). False: it is something else. */
static bool read_param(const char *at, const char *end, Param *param) {
    char text[512], token[128], words[4][64];
    int count = 0, stars = 0;
    size_t length = (size_t)(end - at);
    if (length >= sizeof text) return false;
    memcpy(text, at, length);
    text[length] = 0;
    *param = (Param){0};
    for (const char *rest = text; *next_token(&rest, token);) {
        if (is_ignored(token)) continue;
        if (strcmp(token, "const") == 0) {
            param->constant |= stars == 0;
        } else if (*token == '*') {
            stars++;
        } else if (*token == '[') {
            stars++;
            while (*next_token(&rest, token) && *token != ']') continue;
        } else if (is_word(*token) && count < 4 && strlen(token) < 64) {
            strcpy(words[count++], token);
        } else {
            return false;
        }
    }
    /* The last word is the name, unless it is a part of the type. */
    TypeKind kind;
    bool named = count > 1 && !find_kind(words[count - 1], &kind);
    for (int i = 0; i < count - named; i++) add_word(param->type, sizeof param->type, words[i]);
    if (named) strcpy(param->name, words[count - 1]);
    normalize(param->type);
    param->pointer = stars == 1;
    return count > 0 && stars <= 1 && find_kind(param->type, &param->kind);
}

static bool names_length(const Param *param) {
    static const char *const names[] = {"n", "len", "length", "size", "count"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(param->name, names[i]) == 0)
            return !param->pointer && param->kind != TY_f32 && param->kind != TY_f64;
    }
    return false;
}

static void classify(Prototype *p) {
    int lengths = 0;
    for (int i = 0; i < p->count; i++) {
        Param *param = &p->params[i];
        if (param->pointer && param->kind == TY_unknown) p->why = "it takes a void pointer";
        if (!*param->name) snprintf(param->name, sizeof param->name, "a%d", i);
        p->reads += param->pointer && param->constant;
        p->writes += param->pointer && !param->constant;
    }
    for (int i = 0; i < p->count && p->reads + p->writes; i++) {
        p->params[i].is_length = names_length(&p->params[i]);
        lengths += p->params[i].is_length;
    }
    if (p->result.pointer) p->why = "it returns a pointer";
    if (p->reads + p->writes && lengths != 1)
        p->why = "the length of its vectors is not one integer named n, len, length, size or count";
    if (p->writes && !p->reads) p->why = "it writes vectors whose length no argument tells";
    if (p->result.kind == TY_unknown && !p->writes) p->why = "it returns nothing";
}

/* Reads `double mean(const double *x, size_t n)`. False: it declares no function. */
static bool read_prototype(const char *text, Prototype *p) {
    const char *open = strchr(text, '('), *close = strrchr(text, ')'), *name = open;
    if (!open || !close || strncmp(text, "typedef", 7) == 0 || strstr(text, "static")) return false;
    while (name > text && isspace((unsigned char)name[-1])) name--;
    const char *name_end = name;
    while (name > text && is_word(name[-1])) name--;
    if (name == name_end || name == text || (size_t)(name_end - name) >= sizeof p->name) return false;
    *p = (Prototype){0};
    memcpy(p->name, name, (size_t)(name_end - name));
    if (!read_param(text, name, &p->result)) p->why = "its result has no type of the language";
    const char *at = open + 1;
    for (const char *end = at; !p->why && end <= close; end++) {
        if (*end == '(') p->why = "it takes a function";
        if (*end != ',' && end != close) continue;
        if (p->count == PARAMS) p->why = "it has too many parameters";
        if (p->why || !read_param(at, end, &p->params[p->count])) {
            bool empty = strspn(at, " \t\n") == (size_t)(end - at) && p->count == 0;
            if (!p->why && !empty) p->why = "a parameter has no type of the language";
            break;
        }
        at = end + 1;
        if (p->params[p->count].kind == TY_unknown && !p->params[p->count].pointer) break; /* (void) */
        p->count++;
    }
    if (!p->why) classify(p);
    return true;
}

/* ---- writing ---- */

typedef struct Bind {
    const Request *request;
    Fault fault;
    const char *name; /* of the library */
    Buf shims, rows, others;
    bool vectors[TY_COUNT]; /* kinds of elements whose vectors are used */
} Bind;

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
        buf_printf(out, "%s%s", first ? "" : ", ", param->name);
        if (with_types) buf_printf(out, param->pointer ? ": vec[%s]" : ": %s", spelled(param->kind));
        first = false;
    }
}

static void bind_by_value(Bind *bind, const Prototype *p) {
    Buf *out = &bind->rows;
    buf_printf(out, "    {\"%s\", \"", p->name);
    put_prototype(out, p);
    buf_printf(out, "\", NULL,\n     \"|");
    put_params(out, p, true);
    buf_printf(out, "| cfun[%s, %s](", p->name, spelled(p->result.kind));
    put_params(out, p, false);
    buf_printf(out, ")\", NULL, \"\"},\n");
}

/* The result's type: what is written, and what is returned, in order. */
static void put_result_type(Buf *out, const Prototype *p) {
    bool returns = p->result.kind != TY_unknown;
    bool many = p->writes + returns > 1, first = true;
    buf_printf(out, "%s", many ? "{" : "");
    for (int i = 0; i < p->count; i++) {
        if (!p->params[i].pointer || p->params[i].constant) continue;
        buf_printf(out, "%svec[%s]", first ? "" : ", ", spelled(p->params[i].kind));
        first = false;
    }
    if (returns) buf_printf(out, "%s%s", first ? "" : ", ", spelled(p->result.kind));
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
            buf_printf(out, "const vec_%s *%s, ", spelled(param->kind), param->name);
        else
            buf_printf(out, "const %s *%s, ", param->type, param->name);
    }
    bool returns = p->result.kind != TY_unknown;
    if (p->writes + returns == 1) {
        if (returns) buf_printf(out, "%s *result", p->result.type);
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
    if (p->result.kind != TY_unknown) buf_printf(out, "    %s returned;\n", p->result.type);
    buf_printf(out, "} %s_result;\n\n", p->name);
}

/* The length is handed over as the function's own type of integer. */
static void put_length_check(Buf *out, const Prototype *p, const Param *first) {
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->is_length && type_classes[param->kind].bits < 64)
            buf_printf(out, "    if ((%s)%s->length != %s->length) return 1;\n", param->type, first->name,
                       first->name);
    }
}

static void put_call(Buf *out, const Prototype *p) {
    const char *length = first_read(p)->name;
    bool many = p->writes + (p->result.kind != TY_unknown) > 1;
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        buf_printf(out, "%s", i ? ", " : "");
        if (param->is_length)
            buf_printf(out, "(%s)%s->length", param->type, length);
        else if (param->pointer && !param->constant)
            buf_printf(out, many ? "result->%s.data" : "result->data", param->name);
        else
            buf_printf(out, param->pointer ? "%s->data" : "*%s", param->name);
    }
}

static void bind_by_shim(Bind *bind, const Prototype *p) {
    Buf *out = &bind->shims, *row = &bind->rows;
    const Param *first = first_read(p);
    bool returns = p->result.kind != TY_unknown, many = p->writes + returns > 1;
    if (many) put_result_struct(out, p);
    buf_printf(out, "EXPORT int weld_%s_%s(", bind->name, p->name);
    put_shim_params(bind, p);
    buf_printf(out, ") {\n");
    for (int i = 0; i < p->count; i++) {
        const Param *param = &p->params[i];
        if (param->pointer && param->constant && param != first)
            buf_printf(out, "    if (%s->length != %s->length) return 1;\n", param->name, first->name);
    }
    put_length_check(out, p, first);
    buf_printf(out, "    %s%s(", returns ? (many ? "result->returned = " : "*result = ") : "", p->name);
    put_call(out, p);
    buf_printf(out, ");\n    return 0;\n}\n\n");
    buf_printf(row, "    {\"%s\", \"", p->name);
    put_prototype(row, p);
    buf_printf(row, "\", NULL,\n     \"|");
    put_params(row, p, true);
    buf_printf(row, "| cfill[weld_%s_%s, ", bind->name, p->name);
    put_result_type(row, p);
    buf_printf(row, "](");
    if (p->writes == 1) buf_printf(row, "len(%s)", first->name);
    if (p->writes != 1) {
        buf_printf(row, "{");
        for (int i = 0; i < p->writes; i++) buf_printf(row, "%slen(%s)", i ? ", " : "", first->name);
        buf_printf(row, "}");
    }
    buf_printf(row, ", ");
    put_params(row, p, false);
    buf_printf(row, ")\", NULL, \"\"},\n");
}

static void bind_declaration(Bind *bind, const char *text) {
    Prototype p;
    if (!read_prototype(text, &p)) return;
    if (p.why)
        buf_printf(&bind->others, " *   %s: %s\n", p.name, p.why);
    else if (p.reads + p.writes)
        bind_by_shim(bind, &p);
    else
        bind_by_value(bind, &p);
}

/* ---- the header ---- */

/* Declarations at the outermost level, of the header's own lines. */
static void read_declarations(Bind *bind, FILE *file, const char *header) {
    char line[8192];
    Buf declaration = {0};
    bool own = false;
    int depth = 0;
    while (fgets(line, sizeof line, file)) {
        char *name = line[0] == '#' ? strchr(line, '"') : NULL, *end = name ? strrchr(line, '"') : NULL;
        if (line[0] == '#') {
            if (name)
                own = (size_t)(end - name - 1) == strlen(header) &&
                      strncmp(name + 1, header, strlen(header)) == 0;
            continue;
        }
        for (const char *c = line; own && *c; c++) {
            depth += (*c == '{') - (*c == '}');
            if (*c == ';' && depth == 0) {
                buf_put(&declaration, "", 0);
                if (declaration.length && !declaration.failed) bind_declaration(bind, declaration.text);
                declaration.length = 0;
            } else if (*c == '}' && depth == 0) {
                declaration.length = 0; /* of a function's body, or a struct without a name behind it */
            } else if (declaration.length || !isspace((unsigned char)*c)) {
                buf_put(&declaration, c, 1);
            }
        }
    }
    buf_release(&declaration);
}

static void write_draft(Bind *bind, const char *header, Buf *out) {
    const char *name = bind->name, *slash = strrchr(header, '/');
    buf_printf(
        out,
        "/* %s.c: an adapter of weldc, drafted from %s by `weldc bind`. Build it with\n *\n"
        " *     cc -shared -fPIC -O2 -o libweld-%s.so %s.c $(pkg-config --cflags --libs weld) -l%s\n *\n"
        " * and name its folder in WELD_ADAPTERS. Before you use it: where a function gives the same result "
        "for the same\n"
        " * arguments and does nothing else, write @(pure: true) before its cfun or cfill; where it may run "
        "in several\n"
        " * threads at once, @(pure: true, threadsafe: true). Check in the functions below what the library "
        "would crash on, and\n"
        " * return 1 then. Where the meaning of a function can be said in the language, say it instead of "
        "NULL: it then fuses.\n",
        name, slash ? slash + 1 : header, name, name, name);
    if (bind->others.length) buf_printf(out, " *\n * Not drafted:\n%s", bind->others.text);
    buf_printf(out,
               " */\n#include \"%s\"\n#include <weld.h>\n\n#define EXPORT "
               "__attribute__((visibility(\"default\")))\n\n",
               slash ? slash + 1 : header);
    for (int kind = 0; kind < TY_COUNT; kind++) {
        if (!bind->vectors[kind]) continue;
        const char *c = NULL;
        for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
            if (spellings[i].kind == (TypeKind)kind) c = spellings[i].c;
        }
        buf_printf(out, "typedef struct {\n    %s *data;\n    int64_t length;\n} vec_%s;\n",
                   kind == TY_u64   ? "uint64_t"
                   : kind == TY_i64 ? "int64_t"
                                    : c,
                   spelled((TypeKind)kind));
    }
    buf_printf(out,
               "\n%sstatic const weld_function_t functions[] = {\n%s    {NULL, NULL, NULL, NULL, NULL, "
               "NULL},\n};\n\n",
               bind->shims.length ? bind->shims.text : "", bind->rows.length ? bind->rows.text : "");
    buf_printf(out,
               "EXPORT const weld_adapter_t *weld_adapter(void) {\n"
               "    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, \"%s\", \"\", functions};\n"
               "    return &adapter;\n}\n",
               name);
}

static bool is_library_name(const char *name) {
    for (const char *at = name; *at; at++) {
        if (!is_word(*at) || (at == name && isdigit((unsigned char)*at))) return false;
    }
    return *name;
}

static bool preprocess(Bind *bind, const char *header) {
    const char *compiler = getenv("CC");
    char command[4096];
    if (access(header, R_OK) != 0 || strchr(header, '\''))
        return fault_set(&bind->fault, E_File, "cannot read %.200s", header);
    snprintf(command, sizeof command, "%s -E '%s'", compiler && *compiler ? compiler : "cc", header);
    FILE *pipe = popen(command, "re");
    if (!pipe) return fault_set(&bind->fault, E_File, "cannot start the C preprocessor");
    read_declarations(bind, pipe, header);
    return pclose(pipe) == 0 ||
           fault_set(&bind->fault, E_File, "the C preprocessor does not accept %.200s", header);
}

int command_bind(Request *request) {
    if (!request->library) return usage_error(request, "--lib LIB is needed: the name of the library");
    if (request->count != 1) return usage_error(request, "one header is needed");
    if (!is_library_name(request->library))
        return usage_error(request, "--lib takes the name of a library, as in -lNAME, that is one in C");
    Bind bind = {.request = request, .name = request->library};
    Buf out = {0};
    int status = EXIT_FAULT;
    if (preprocess(&bind, request->words[0])) {
        if (!bind.rows.length)
            fault_set(&bind.fault, E_File, "%.200s declares no function that can be bound",
                      request->words[0]);
        else
            write_draft(&bind, request->words[0], &out);
    }
    if (bind.fault.error.code == E_None) status = write_out(&out);
    fault_print(&bind.fault);
    fault_release(&bind.fault);
    buf_release(&bind.shims);
    buf_release(&bind.rows);
    buf_release(&bind.others);
    return status;
}
