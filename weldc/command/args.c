/* args.c: the arguments of a run: which parameter each is for, their types, their values.
 *
 *     weldc run -e '|x: vec[f64], y: i64| ...' @x.npy 5l      by position
 *     weldc run -e '|x: vec[f64], y: i64| ...' y=5l x=@x.npy  by name, in any order
 *
 * The program is compiled first; its parameters' types then say how constants and tables are read. Only where
 * the program leaves a parameter's type open, `|x| x + x`, it is the other way round: the arguments without a
 * wanted type are loaded, and the program is compiled with theirs.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* ---- words ----------------------------------------------------------------------------------------------
 */

/* The length of NAME in NAME=VALUE, or 0. */
static size_t name_length(const char *word) {
    size_t length = 0;
    if (!isalpha((unsigned char)*word) && *word != '_' && *word != '$') return 0;
    while (isalnum((unsigned char)word[length]) || word[length] == '_' || word[length] == '$') length++;
    return word[length] == '=' && word[length + 1] != '=' ? length : 0;
}

bool arguments_split(char **words, int count, Arguments *out, Fault *fault) {
    out->items = calloc((size_t)count + 1, sizeof *out->items);
    if (!out->items) return fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    out->count = count;
    for (int i = 0; i < count; i++) {
        Argument *item = &out->items[i];
        item->word = words[i];
        item->name = name_length(item->word);
        item->skip = item->name ? item->name + 1 : 0;
        if (item->name) {
            snprintf(item->label, sizeof item->label, "<argument %.*s>",
                     item->name > 40 ? 40 : (int)item->name, item->word);
        } else {
            snprintf(item->label, sizeof item->label, "<argument %d>", i + 1);
        }
    }
    return true;
}

void arguments_release(Arguments *arguments) {
    free(arguments->items);
    *arguments = (Arguments){0};
}

/* ---- matching words with parameters
 * ------------------------------------------------------------------------ */

/* What a program takes: of a module, or of a program that was read but not typed. */
typedef struct Parameters {
    weld_module_t module;
    const Node *root;
    int count;
} Parameters;

static Parameters parameters_of(weld_module_t module) {
    return (Parameters){module, NULL, (int)weld_module_parameter_count(module)};
}

static const char *parameter_name(const Parameters *p, int i) {
    return p->root ? p->root->params[i]->name : weld_module_parameter_name(p->module, i);
}

/* `(x: vec[i64], y: ?)`, or `no arguments` */
static void parameters_print(Buf *out, const Parameters *p) {
    buf_printf(out, "%s", p->count ? "(" : "no arguments");
    for (int i = 0; i < p->count; i++) {
        const Type *type = p->root ? p->root->params[i]->type : module_argument_type(p->module)->args[i];
        buf_printf(out, "%s%s: ", i ? ", " : "", parameter_name(p, i));
        if (type) {
            type_print(out, type);
        } else {
            buf_put(out, "?", 1);
        }
    }
    buf_printf(out, "%s", p->count ? ")" : "");
}

/* Says what the program takes, where its parameters are. */
static bool takes_fault(Fault *fault, const Text *text, const Parameters *p, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool takes_fault(Fault *fault, const Text *text, const Parameters *p, const char *format, ...) {
    char what[200];
    Buf list = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    parameters_print(&list, p);
    Span span = (p->root ? p->root : module_program(p->module)->root)->span;
    size_t begin = span.source == 0 ? span.begin : 0;
    fault_at(fault, text->name, text->bytes, text->length, begin, begin + 1, E_Argument,
             "%s; the program takes %s", what, list.text ? list.text : "");
    buf_release(&list);
    return false;
}

/* The words of E_Argument at an argument. */
static bool argument_fault(Fault *fault, const Argument *item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool argument_fault(Fault *fault, const Argument *item, const char *format, ...) {
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    size_t length = strlen(item->word);
    return fault_at(fault, item->label, item->word, length, item->name ? 0 : item->skip, length, E_Argument,
                    "%s", what);
}

static bool match_name(Argument *item, const Parameters *p) {
    for (int i = 0; i < p->count; i++) {
        const char *name = parameter_name(p, i);
        if (strlen(name) != item->name || strncmp(name, item->word, item->name)) continue;
        item->parameter = i;
        return true;
    }
    return false;
}

static bool match_names(Arguments *arguments, const Text *text, const Parameters *p, Fault *fault) {
    bool *given = calloc((size_t)p->count + 1, sizeof *given), ok = true;
    if (!given) return fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    for (int i = 0; ok && i < arguments->count; i++) {
        Argument *item = &arguments->items[i];
        if (!match_name(item, p)) {
            Buf list = {0};
            parameters_print(&list, p);
            ok = argument_fault(fault, item, "there is no parameter %.*s; the program takes %s",
                                (int)item->name, item->word, list.text ? list.text : "");
            buf_release(&list);
        } else if (given[item->parameter]) {
            ok = argument_fault(fault, item, "the parameter %s is given twice",
                                parameter_name(p, item->parameter));
        } else {
            given[item->parameter] = true;
        }
    }
    for (int i = 0; ok && i < p->count; i++) {
        if (!given[i]) ok = takes_fault(fault, text, p, "the argument %s is missing", parameter_name(p, i));
    }
    free(given);
    return ok;
}

/* Sets every argument's parameter. */
static bool arguments_match(Arguments *arguments, const Text *text, const Parameters *p, Fault *fault) {
    int named = 0;
    for (int i = 0; i < arguments->count; i++) named += arguments->items[i].name > 0;
    if (named && named < arguments->count) {
        for (int i = 0; i < arguments->count; i++) {
            const Argument *item = &arguments->items[i];
            if (!item->name)
                return argument_fault(fault, item, "give all arguments by position, or all as NAME=VALUE");
        }
    }
    if (named) return match_names(arguments, text, p, fault);
    if (arguments->count != p->count) {
        return takes_fault(fault, text, p, "%d argument%s given", arguments->count,
                           arguments->count == 1 ? " is" : "s are");
    }
    for (int i = 0; i < arguments->count; i++) arguments->items[i].parameter = i;
    return true;
}

/* ---- loading
 * ----------------------------------------------------------------------------------------------- */

static bool argument_read(Argument *item, Inputs *inputs, const Type *want, Fault *fault) {
    const char *value = item->word + item->skip;
    if (*value != '@') {
        return inputs_constant(inputs, item->label, item->word, item->skip, want, &item->datum, fault);
    }
    if (inputs_file(inputs, value + 1, want, &item->datum, fault)) return true;
    size_t length = strlen(item->word);
    return fault_place(fault, item->label, item->word, length, item->skip, length);
}

static bool argument_load(Arguments *arguments, Argument *item, Inputs *inputs, const Type *want,
                          Fault *fault) {
    if (item->loaded) return true;
    double start = now_ms();
    item->loaded = argument_read(item, inputs, want, fault);
    arguments->load_ms += now_ms() - start;
    return item->loaded;
}

static bool argument_check(const Argument *item, const char *name, const Type *type, Fault *fault) {
    if (same_type(item->datum.type, type)) return true;
    Buf have = {0}, want = {0};
    type_print(&have, item->datum.type);
    type_print(&want, type);
    argument_fault(fault, item, "the parameter %.60s is %.150s, but the argument is %.150s", name,
                   want.text ? want.text : "", have.text ? have.text : "");
    buf_release(&have);
    buf_release(&want);
    return false;
}

void *arguments_load(Arguments *arguments, Inputs *inputs, const Text *text, weld_module_t module,
                     Fault *fault) {
    Parameters parameters = parameters_of(module);
    const Type *type = module_argument_type(module);
    if (!arguments_match(arguments, text, &parameters, fault)) return NULL;
    char *args = inputs_alloc(inputs, type->size > 0 ? (size_t)type->size : 1, fault);
    for (int i = 0; args && i < arguments->count; i++) {
        Argument *item = &arguments->items[i];
        const Type *want = type->args[item->parameter];
        if (!argument_load(arguments, item, inputs, want, fault)) return NULL;
        if (!argument_check(item, parameter_name(&parameters, item->parameter), want, fault)) return NULL;
        memcpy(args + type->offsets[item->parameter], item->datum.data, (size_t)want->size);
    }
    return args;
}

/* ---- parameters without a type
 * ------------------------------------------------------------------------------ */

static bool is_open(const Type *type) {
    return !type || type_find((Type *)type)->open;
}

static bool any_open(const Node *root) {
    for (int i = 0; i < root->nparams; i++) {
        if (is_open(root->params[i]->type)) return true;
    }
    return false;
}

/* Loads the arguments of parameters whose type is open. Returns the type of a program that takes them. */
static Type *types_from_arguments(Arguments *arguments, Inputs *inputs, const Text *text, const Node *root,
                                  Fault *fault) {
    Parameters parameters = {NULL, root, root->nparams};
    if (!arguments_match(arguments, text, &parameters, fault)) return NULL;
    Type **types = calloc((size_t)root->nparams + 1, sizeof *types), *whole = NULL;
    bool ok = types || fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    for (int i = 0; ok && i < arguments->count; i++) {
        Argument *item = &arguments->items[i];
        Type *declared = root->params[item->parameter]->type;
        if (is_open(declared)) {
            ok = argument_load(arguments, item, inputs, NULL, fault);
            types[item->parameter] = item->datum.type;
        } else {
            types[item->parameter] = type_import(&inputs->types, type_find(declared));
        }
    }
    if (ok) {
        types[root->nparams] = type_unknown(&inputs->types);
        whole = type_make(&inputs->types, TY_function, OP_none, root->nparams + 1, types);
    }
    free(types);
    return whole;
}

weld_module_t arguments_compile(Arguments *arguments, Inputs *inputs, const Text *text, weld_conf_t conf,
                                Timings *timings, Fault *fault) {
    Error error = {0};
    weld_module_t module = module_compile(text->name, text->bytes, text->length, NULL, conf, &error, timings);
    if (module) return module;
    Program *program = error.code == E_Type ? text_program(text) : NULL;
    if (program && arguments->count && program_read(program) && any_open(program->root)) {
        Type *want = types_from_arguments(arguments, inputs, text, program->root, fault);
        if (want) {
            error = (Error){0};
            module = module_compile(text->name, text->bytes, text->length, want, conf, &error, timings);
        }
    }
    program_free(program);
    if (!module && fault->error.code == E_None) fault_of_program(fault, &error, text);
    return module;
}
