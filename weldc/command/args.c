/* args.c: the arguments of a run: which parameter each is for, their types, their values.
 *
 *     weldc run -e '|x: vec[f64], y: i64| ...' @x.npy 5l      by position
 *     weldc run -e '|x: vec[f64], y: i64| ...' y=5l x=@x.npy  by name, in any order
 *
 * The program is compiled first; its parameters' types then say how constants and tables are read. Only where
 * the program leaves a parameter's type open, `|x| x + x`, it is the other way round: the arguments without a
 * wanted type are loaded, and the program is compiled with theirs.
 *
 * Of ranks each loads its block of a .npy or .csv file if the program takes no more than that of the parameter, which
 * shows when the program is compiled for blocks of all such files; if it gathers some, it is compiled again. `@part-{rank}.npy` is a file
 * for each rank.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static const char own_file[] = "{rank}"; /* in a path: each rank's own */

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

/* The argument's path, where {rank} is this rank's number. NULL: no memory. Owned. */
static char *argument_path(const Argument *item, const Ranks *ranks) {
    const char *path = item->word + item->skip + 1, *mark = strstr(path, own_file);
    Buf out = {0};
    buf_put(&out, path, mark ? (size_t)(mark - path) : strlen(path));
    if (mark) buf_printf(&out, "%d%s", ranks->rank, mark + strlen(own_file));
    buf_put(&out, "", 1);
    if (!out.failed) return out.text;
    buf_release(&out);
    return NULL;
}

/* Rank 0 has it. Where its type is not given, that is told. */
static bool root_read(Argument *item, Inputs *inputs, const char *path, const Type *want, Fault *fault) {
    bool first = inputs->ranks.rank == 0;
    Program *program = NULL;
    Buf text = {0};
    bool ok = !first || inputs_file(inputs, path, want, SHARE_whole, &item->datum, fault);
    if (ok && !want) {
        if (first) type_print(&text, item->datum.type);
        ok = ranks_text(&inputs->ranks, &text, fault);
        buf_put(&text, "", 1);
        program = first || !ok || text.failed ? NULL : program_new("type", "", 0);
        want = program ? type_parse(program, text.text) : NULL;
        ok =
            ok && (first || want || fault_set(fault, E_OutOfMemory, "no memory for the type of an argument"));
    }
    if (ok && !first) ok = inputs_empty(inputs, want, &item->datum, fault);
    program_free(program);
    buf_release(&text);
    return ok;
}

static bool argument_read(Argument *item, Inputs *inputs, const Type *want, Fault *fault) {
    if (item->word[item->skip] != '@')
        return inputs_constant(inputs, item->label, item->word, item->skip, want, &item->datum, fault);
    char *path = argument_path(item, &inputs->ranks);
    bool ok = path || fault_set(fault, E_OutOfMemory, "no memory for a path");
    if (ok && item->share == SHARE_root)
        ok = root_read(item, inputs, path, want, fault);
    else if (ok)
        ok = inputs_file(inputs, path, want, item->share, &item->datum, fault);
    free(path);
    if (ok) return true;
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

/* ---- ranks ---- */

/* Is it a file that a rank can read a part of? */
static bool may_be_cut(const Argument *item) {
    const char *path = item->word + item->skip;
    size_t length = strlen(path);
    struct stat status;
    bool table = strstr(path, ".csv:") || (length > 4 && strcmp(path + length - 4, ".csv") == 0);
    bool array = length > 4 && strcmp(path + length - 4, ".npy") == 0;
    if (*path != '@' || (!table && !array)) return false;
    return stat(path + 1, &status) != 0 ||
           S_ISREG(status.st_mode); /* what is wrong is found when it is read */
}

/* What each rank loads, so far as that is known before the program is compiled: what may be cut is. */
static bool choose_shares(Arguments *arguments, Ranks *ranks, const char *root, const Parameters *p,
                          Fault *fault) {
    size_t count = (size_t)arguments->count;
    int64_t *all = calloc((count + 1) * (size_t)(ranks->ranks + 1), sizeof *all);
    if (!all) return fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    int64_t *own = all + count * (size_t)ranks->ranks;
    for (size_t i = 0; i < count; i++) own[i] = may_be_cut(&arguments->items[i]);
    bool ok = ranks_gather(ranks, own, arguments->count, all, fault);
    for (size_t i = 0; ok && i < count; i++) {
        Argument *item = &arguments->items[i];
        bool cut = true,
             parts = *(item->word + item->skip) == '@' && strstr(item->word + item->skip, own_file);
        for (int peer = 0; peer < ranks->ranks; peer++) cut &= all[(size_t)peer * count + i] != 0;
        bool first =
            item->word[item->skip] == '@' && name_is_listed(root, parameter_name(p, item->parameter));
        item->share = first ? SHARE_root : parts ? SHARE_part : cut ? SHARE_block : SHARE_whole;
        if (parts && !own[i] && !first)
            ok = argument_fault(fault, item, "a file for each rank must be a .npy or .csv file");
    }
    free(all);
    return ok;
}

/* Says in the configuration which parameters are in blocks. */
static bool tell_shares(const Arguments *arguments, const Parameters *p, weld_conf_t conf, Fault *fault) {
    Buf lists[2] = {{0}, {0}}; /* of blocks that are cut evenly, and of others */
    for (int i = 0; i < arguments->count; i++) {
        const Argument *item = &arguments->items[i];
        const char *path = item->word + item->skip;
        const Type *type = p->root ? p->root->params[item->parameter]->type
                                   : module_argument_type(p->module)->args[item->parameter];
        if (item->share != SHARE_block && item->share != SHARE_part) continue;
        /* A matrix is cut by rows, a table where lines end. */
        bool even = item->share == SHARE_block && !strstr(path, ".csv") && type && type->kind == TY_vec;
        Buf *list = &lists[!even];
        buf_printf(list, "%s%s", list->length ? "," : "", parameter_name(p, item->parameter));
    }
    bool ok = !lists[0].failed && !lists[1].failed;
    if (ok) weld_conf_set(conf, "weld.cluster.blocks", lists[0].text ? lists[0].text : "");
    if (ok) weld_conf_set(conf, "weld.cluster.parts", lists[1].text ? lists[1].text : "");
    buf_release(&lists[0]);
    buf_release(&lists[1]);
    return ok || fault_set(fault, E_OutOfMemory, "no memory for the arguments");
}

/* What the program does not take in blocks each rank loads as a whole. */
static bool settle_shares(Arguments *arguments, weld_module_t module, bool *settled, Fault *fault) {
    *settled = true;
    bool any = false;
    for (int i = 0; i < arguments->count; i++) any |= arguments->items[i].share == SHARE_block;
    Program *optimized = any ? module_optimized(module) : NULL;
    if (any && !optimized) return fault_set(fault, E_OutOfMemory, "no memory for the program");
    for (int i = 0; i < arguments->count; i++) {
        Argument *item = &arguments->items[i];
        if (item->share != SHARE_block || distribution_cuts(optimized, item->parameter)) continue;
        *settled = false;
        item->share = SHARE_whole;
        item->loaded = false; /* its block was, for its type */
    }
    program_free(optimized);
    return true;
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
                                  weld_conf_t conf, Fault *fault) {
    Parameters parameters = {NULL, root, root->nparams};
    const char *first = weld_conf_get(conf, "weld.cluster.root");
    if (!arguments_match(arguments, text, &parameters, fault) ||
        !choose_shares(arguments, &inputs->ranks, first, &parameters, fault))
        return NULL;
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

/* ---- compiling ---- */

/* A program whose parameters have types, of arguments or its own. */
static weld_module_t compile(const Text *text, const Type *want, weld_conf_t conf, Timings *timings,
                             Error *error) {
    *error = (Error){0};
    return module_compile(text->name, text->bytes, text->length, want, conf, error, timings);
}

/* For ranks: which load blocks shows when it is compiled for blocks of all that may be cut. */
static weld_module_t compile_shared(Arguments *arguments, Inputs *inputs, const Text *text, const Type *want,
                                    weld_conf_t conf, Timings *timings, Error *error, Fault *fault) {
    weld_module_t module = compile(text, want, conf, timings, error);
    if (!module || inputs->ranks.ranks == 1) return module;
    Parameters parameters = parameters_of(module);
    const char *root = weld_conf_get(conf, "weld.cluster.root");
    bool ok = arguments_match(arguments, text, &parameters, fault) &&
              (want || choose_shares(arguments, &inputs->ranks, root, &parameters, fault));
    for (bool settled = false; ok && !settled;) {
        ok = tell_shares(arguments, &parameters, conf, fault);
        weld_module_free(module);
        module = ok ? compile(text, want, conf, timings, error) : NULL;
        if (!module) return NULL;
        parameters = parameters_of(module);
        ok = settle_shares(arguments, module, &settled, fault);
    }
    if (ok) return module;
    weld_module_free(module);
    return NULL;
}

weld_module_t arguments_compile(Arguments *arguments, Inputs *inputs, const Text *text, weld_conf_t conf,
                                Timings *timings, Fault *fault) {
    Error error = {0};
    weld_module_t module = compile_shared(arguments, inputs, text, NULL, conf, timings, &error, fault);
    if (module || fault->error.code != E_None) return module;
    Program *program = error.code == E_Type ? program_open(text->name, text->bytes, text->length) : NULL;
    if (program && arguments->count && program_read(program) && any_open(program->root)) {
        Type *want = types_from_arguments(arguments, inputs, text, program->root, conf, fault);
        if (want) module = compile_shared(arguments, inputs, text, want, conf, timings, &error, fault);
    }
    program_free(program);
    if (!module && fault->error.code == E_None) fault_of_program(fault, &error, text);
    return module;
}
