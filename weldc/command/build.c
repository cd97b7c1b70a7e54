/* build.c: `weldc build`: a program compiled ahead of time, as a shared library and a C header.
 *
 *     weldc build q6.weld -o out/q6    ->  out/libq6.so, out/q6.h:
 *
 *         typedef struct q6_arguments { q6_vec_i32 shipdate; ... } q6_arguments;
 *         typedef double q6_result;
 *         weld_value_t q6_run(weld_context_t context, const q6_arguments *arguments, weld_error_t error);
 *
 * The library holds the bytes of runtime/ahead.c and a few lines of C around them; it needs libweld, and no LLVM. It
 * is made by the C compiler of this machine ($CC, else cc).
 */
#include <ctype.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

extern char **environ;

typedef struct Build {
    const Request *request;
    Fault fault;
    Text text;
    Buf bytes; /* the program */
    Signature *signature;
    const char *name;      /* the last part of the output's path */
    const Type *types[64]; /* that have a name in the header; their numbers name them */
    int type_count;
    Buf header, source;
} Build;

/* ---- names ---- */

static bool is_identifier(const char *text) {
    static const char *const taken[] = {
        "auto",   "break",    "case",     "char",     "const", "continue", "default",  "do",      "double",
        "else",   "enum",     "extern",   "float",    "for",   "goto",     "if",       "inline",  "int",
        "long",   "register", "restrict", "return",   "short", "signed",   "sizeof",   "static",  "struct",
        "switch", "typedef",  "union",    "unsigned", "void",  "volatile", "while",    "bool",    "true",
        "false",  "class",    "new",      "delete",   "this",  "template", "operator", "private", "public"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcmp(text, taken[i]) == 0) return false;
    }
    if (!isalpha((unsigned char)*text) && *text != '_') return false;
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && *text != '_') return false;
    }
    return true;
}

static bool check_name(Build *build) {
    const char *output = build->request->output, *slash = strrchr(output, '/');
    build->name = slash ? slash + 1 : output;
    if (is_identifier(build->name)) return true;
    return fault_set(&build->fault, E_Argument,
                     "-o takes a name that is one in C, such as out/model; not %.100s", output);
}

/* ---- the header ---- */

static const char *const scalar_names[] = {
#define SCALAR(id, spelling, ctype, class, bits) [TY_##id] = #ctype,
#include "../../lang/types.def"
};

static int number_of(const Build *build, const Type *type) {
    for (int i = 0; i < build->type_count; i++) {
        if (build->types[i] == type) return i;
    }
    return -1;
}

/* The C name of a type that was declared. */
static void put_type(Build *build, Buf *out, const Type *type) {
    if (type->kind == TY_bool)
        buf_printf(out, "bool");
    else if (type_is_scalar(type))
        buf_printf(out, "%s", scalar_names[type->kind]);
    else if (type->kind == TY_dict)
        buf_printf(out, "void *");
    else if (type->kind == TY_vec && type_is_scalar(type->args[0]))
        buf_printf(out, "%s_vec_%s", build->name, type_classes[type->args[0]->kind].spelling);
    else
        buf_printf(out, "%s_type_%d", build->name, number_of(build, type));
}

static bool declare(Build *build, const Type *type);

static bool declare_fields(Build *build, const Type *type) {
    for (int i = 0; i < type->count; i++) {
        if (!declare(build, type->args[i])) return false;
    }
    return true;
}

/* Declares a type, after those that it is made of. */
static bool declare(Build *build, const Type *type) {
    enum { MOST = sizeof build->types / sizeof *build->types };
    if (type_is_scalar(type) || type->kind == TY_dict || number_of(build, type) >= 0) return true;
    if (type->builders || type->kind == TY_simd)
        return fault_set(&build->fault, E_Type, "a builder or simd value cannot be passed to C");
    if (!declare_fields(build, type)) return false;
    if (build->type_count == MOST)
        return fault_set(&build->fault, E_Type, "the program has too many types for a header");
    build->types[build->type_count++] = type;
    Buf *out = &build->header, text = {0};
    type_print(&text, type);
    buf_printf(out, "typedef struct { /* %s */\n", text.text ? text.text : "");
    buf_release(&text);
    if (type->kind == TY_vec) {
        buf_printf(out, "    ");
        put_type(build, out, type->args[0]);
        buf_printf(out, " *data;\n    int64_t length;\n");
    }
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) {
        buf_printf(out, "    ");
        put_type(build, out, type->args[i]);
        buf_printf(out, " _%d;\n", i);
    }
    if (type->kind == TY_struct && type->count == 0) buf_printf(out, "    char nothing;\n");
    buf_printf(out, "} ");
    put_type(build, out, type);
    buf_printf(out, ";\n");
    return true;
}

static bool write_header(Build *build) {
    const Signature *signature = build->signature;
    const char *name = build->name;
    Buf *out = &build->header;
    buf_printf(
        out,
        "/* %s.h: a program of weldc, compiled ahead of time. Link with -l%s -lweld. */\n#ifndef "
        "WELD_BUILT_%s_H\n"
        "#define WELD_BUILT_%s_H\n\n#include <weld.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
        name, name, name, name);
    if (!declare_fields(build, signature->argument) || !declare(build, signature->result)) return false;
    buf_printf(out, "\ntypedef struct %s_arguments {\n", name);
    for (int i = 0; i < signature->argument->count; i++) {
        buf_printf(out, "    ");
        put_type(build, out, signature->argument->args[i]);
        if (is_identifier(signature->names[i]))
            buf_printf(out, " %s;\n", signature->names[i]);
        else
            buf_printf(out, " argument_%d;\n", i);
    }
    if (!signature->argument->count) buf_printf(out, "    char nothing; /* it has no parameters */\n");
    buf_printf(out, "} %s_arguments;\ntypedef ", name);
    put_type(build, out, signature->result);
    buf_printf(out,
               " %s_result;\n\n/* Runs it, as weld_module_run does: the data of the value are a %s_result. "
               "The first call loads the "
               "code. Any thread\n * may call it, with a context of its own. */\nweld_value_t "
               "%s_run(weld_context_t context, const "
               "%s_arguments *arguments, weld_error_t error);\n\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
               name, name, name, name);
    return true;
}

/* ---- the library ---- */

static void write_source(Build *build) {
    const char *name = build->name;
    Buf *out = &build->source;
    buf_printf(
        out,
        "#include <stdatomic.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
        "void *weld_module_load(const void *, int64_t, void *, void *);\nvoid weld_module_free(void *);\n"
        "void *weld_module_run(void *, void *, void *, void *);\nvoid *weld_value_new(const void *);\n"
        "void weld_value_free(void *);\nvoid weld_error_set(void *, uint64_t, const char *);\n\nstatic const "
        "unsigned char program[] = {");
    for (size_t i = 0; i < build->bytes.length; i++)
        buf_printf(out, "%s%u,", i % 24 ? "" : "\n", (unsigned char)build->bytes.text[i]);
    buf_printf(
        out,
        "\n};\nstatic _Atomic(void *) module;\n\n"
        "static void *load(void *error) {\n    void *made = atomic_load(&module), *none = NULL;\n    if "
        "(made) return made;\n"
        "    made = weld_module_load(program, sizeof program, NULL, error);\n"
        "    if (!made || atomic_compare_exchange_strong(&module, &none, made)) return made;\n"
        "    weld_module_free(made);\n    return none;\n}\n\n"
        "__attribute__((destructor)) static void release(void) {\n    "
        "weld_module_free(atomic_exchange(&module, NULL));\n}\n\n"
        "__attribute__((visibility(\"default\"))) void *%s_run(void *context, const void *arguments, void "
        "*error) {\n"
        "    void *code = load(error), *value, *result;\n    if (!code) return NULL;\n"
        "    value = weld_value_new(arguments);\n"
        "    if (!value) {\n        weld_error_set(error, %d, \"no memory for the arguments\");\n"
        "        return NULL;\n    }\n    result = weld_module_run(code, context, value, error);\n"
        "    weld_value_free(value);\n    return result;\n}\n",
        name, WELD_OUT_OF_MEMORY);
}

static bool write_file(Build *build, const char *path, const Buf *text) {
    FILE *file = text->failed ? NULL : fopen(path, "wbe");
    bool ok = file && fwrite(text->text, 1, text->length, file) == text->length;
    if (file && fclose(file)) ok = false;
    return ok || fault_set(&build->fault, E_File, "cannot write %.300s: %s", path,
                           strerror(errno ? errno : ENOMEM));
}

/* The folder of libweld: beside that of this program. */
static void library_folder(char *folder, size_t room) {
    ssize_t length = readlink("/proc/self/exe", folder, room - 1);
    folder[length > 0 ? length : 0] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    slash = strrchr(folder, '/');
    if (slash && (size_t)(slash - folder) + 5 < room) strcpy(slash, "/lib");
}

static bool run_compiler(Build *build, const char *source, const char *library) {
    const char *compiler = getenv("CC");
    char folder[4096], search[4200], path[4200];
    if (!compiler || !*compiler) compiler = "cc";
    library_folder(folder, sizeof folder);
    snprintf(search, sizeof search, "-L%s", folder);
    snprintf(path, sizeof path, "-Wl,-rpath,%s", folder);
    const char *words[] = {compiler, "-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-o", library, source,
                           search,   "-lweld",  path,    NULL};
    pid_t child;
    int status = -1;
    errno = posix_spawnp(&child, compiler, NULL, NULL, (char *const *)(uintptr_t)words, environ);
    if (errno)
        return fault_set(&build->fault, E_File, "cannot start the C compiler %.100s: %s", compiler,
                         strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return status == 0 || fault_set(&build->fault, E_File, "the C compiler %.100s failed", compiler);
}

static bool write_library(Build *build) {
    const char *output = build->request->output;
    char header[4096], library[4096], source[] = "/tmp/weldc-build-XXXXXX.c";
    int folder = (int)(build->name - output);
    int length = snprintf(header, sizeof header, "%s.h", output);
    int other = snprintf(library, sizeof library, "%.*slib%s.so", folder, output, build->name);
    if (length >= (int)sizeof header || other >= (int)sizeof library)
        return fault_set(&build->fault, E_File, "the path of the output is too long");
    if (!write_header(build) || !write_file(build, header, &build->header)) return false;
    int file = mkstemps(source, 2);
    if (file < 0)
        return fault_set(&build->fault, E_File, "cannot make a temporary file: %s", strerror(errno));
    close(file);
    write_source(build);
    bool ok = write_file(build, source, &build->source) && run_compiler(build, source, library);
    unlink(source);
    return ok;
}

static bool compile(Build *build) {
    Error error = {.code = E_None};
    if (ahead_write(&build->bytes, build->text.name, build->text.bytes, build->text.length,
                    build->request->conf, &build->signature, &error))
        return true;
    return fault_of_program(&build->fault, &error, &build->text);
}

int command_build(Request *request) {
    if (!request->output) return usage_error(request, "-o NAME is needed: what to write");
    Build build = {.request = request};
    bool ok = check_name(&build) && request_text(request, &build.text, &build.fault) && compile(&build) &&
              write_library(&build);
    fault_print(&build.fault);
    signature_drop(build.signature);
    buf_release(&build.bytes);
    buf_release(&build.header);
    buf_release(&build.source);
    text_release(&build.text);
    fault_release(&build.fault);
    return ok ? EXIT_DONE : EXIT_FAULT;
}
