/* directive.c: what a session does besides evaluating: lines that start with a colon.
 *
 * Each is a row of the table near the end; the beginning of a name will do, of several the first row's. The
 * words that Weld's own REPL had, `load FILE`, `getconf KEY` and `setconf KEY VALUE`, are taken without a
 * colon.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const char *skip_blanks(const char *text) {
    return text + strspn(text, " \t\r\n");
}

/* A copy of a text without the blanks around it. */
static char *trimmed(const char *text) {
    text = skip_blanks(text);
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1])) length--;
    return strndup(text, length);
}

/* An input that is shown rather than run: its type, or a stage of it. */
static void show(Repl *repl, const char *text, bool type, Stage stage) {
    Words words = {0};
    Fault fault = {0}, inner = {0};
    Composed composed;
    Buf out = {0};
    size_t length = strlen(text);
    if (!words_of(text, length, &words)) {
        repl_say(repl, "no memory for the input");
        return;
    }
    int at = 0;
    Statement part = {.last = words.count};
    if (!words.broken && statement_next(&words, &at, &part)) {
        /* Lets that are followed by an expression are part of it: `:type let a = 1; a`. */
        part = (Statement){.last = words.count, .function = part.function && part.kind == ST_expression};
        if (part.last && word_is(&words, part.last - 1, ";")) part.last--;
    }
    if (session_compose(repl->session, text, length, &words, &part, NULL, &composed, &fault)) {
        if (type) {
            composed_type(&composed, &out, &fault);
            buf_put(&out, "\n", 1);
        } else if (!stage_print(&composed.text, stage, NULL, false, session_conf(repl->session), &out,
                                &inner)) {
            composed_fault(&composed, &inner.error, &fault);
        }
        composed_release(&composed);
    }
    if (fault.error.code == E_None) write_out(&out);
    buf_release(&out);
    words_release(&words);
    fault_release(&inner);
    repl_report(repl, &fault);
}

static void command_type(Repl *repl, const char *rest) {
    show(repl, rest, true, STAGE_typed);
}
static void command_ir(Repl *repl, const char *rest) {
    show(repl, rest, false, STAGE_typed);
}
static void command_opt(Repl *repl, const char *rest) {
    show(repl, rest, false, STAGE_optimized);
}
static void command_plan(Repl *repl, const char *rest) {
    show(repl, rest, false, STAGE_plan);
}
static void command_llvm(Repl *repl, const char *rest) {
    show(repl, rest, false, STAGE_llvm);
}
static void command_asm(Repl *repl, const char *rest) {
    show(repl, rest, false, STAGE_asm);
}

static void command_time(Repl *repl, const char *rest) {
    Words words;
    size_t length = strlen(rest);
    if (!words_of(rest, length, &words)) return;
    int at = 0;
    Statement part = {.last = words.count};
    if (!words.broken) statement_next(&words, &at, &part);
    if (at < words.count) part = (Statement){.last = words.count}; /* lets and their expression */
    repl_evaluate(repl, rest, length, &words, &part, true);
    words_release(&words);
}

void repl_load(Repl *repl, const char *path) {
    Fault fault = {0};
    Text text;
    if (text_of_file(path, &text, &fault)) {
        repl_input(repl, text.bytes, text.length);
        text_release(&text);
    }
    repl_report(repl, &fault);
}

static void load_data(Repl *repl, const char *word, const char *path, const char *name) {
    Fault fault = {0};
    Held *held = NULL;
    progress_phase(repl->progress, "loading");
    bool ok = session_load(repl->session, path, &held, &fault);
    progress_phase(repl->progress, NULL);
    if (ok) {
        Buf out = {0};
        buf_printf(&out, "%s: ", name);
        type_print(&out, held->type);
        if (held->type->kind == TY_vec)
            buf_printf(&out, ", %lld elements", (long long)((Vec *)held->data)->length);
        buf_put(&out, "\n", 1);
        if (session_bind(repl->session, name, held, &fault)) write_out(&out);
        buf_release(&out);
    }
    fault_place(&fault, "<input>", word, strlen(word), 0, strlen(word));
    repl_report(repl, &fault);
}

static bool is_name(const char *text) {
    if (!isalpha((unsigned char)*text) && *text != '_' && *text != '$') return false;
    while (isalnum((unsigned char)*text) || *text == '_' || *text == '$') text++;
    return !*text;
}

/* `FILE as NAME`: data; `FILE`: a program's text, or a shared library. */
static void command_load(Repl *repl, const char *rest) {
    char *path = trimmed(rest), *as = NULL;
    if (!path) return;
    for (char *p = path; (p = strstr(p, " as ")); p++) as = p;
    const char *name = as ? skip_blanks(as + 4) : NULL;
    if (name) {
        char *end = as;
        while (end > path && isspace((unsigned char)end[-1])) end--;
        *end = 0;
    }
    const char *file = *path == '@' ? path + 1 : path;
    if (!*file) {
        repl_say(repl, "usage: :load FILE as NAME, :load PROGRAM, :load LIBRARY.so");
    } else if (name && !is_name(name)) {
        repl_say(repl, "what follows `as` is not a name");
    } else if (name) {
        load_data(repl, path, file, name);
    } else if (strstr(file, ".so")) {
        Error error = {0};
        Fault fault = {0};
        if (!library_load(file, &error)) {
            fault_at(&fault, "<input>", file, strlen(file), 0, strlen(file), error.code, "%s", error.text);
        }
        repl_report(repl, &fault);
    } else {
        repl_load(repl, file);
    }
    free(path);
}

static void command_set(Repl *repl, const char *rest) {
    char *key = trimmed(rest);
    if (!key) return;
    char *blank = key + strcspn(key, " \t=");
    const char *value = skip_blanks(*blank ? blank + 1 : blank);
    *blank = 0;
    Fault fault = {0};
    setting_look(key);
    if (!*key) {
        repl_say(repl, "usage: :set KEY VALUE; `weldc settings` lists the keys");
    } else if (!session_set(repl->session, key, value, &fault)) {
        fault_place(&fault, "<input>", value, strlen(value), 0, strlen(value));
    }
    repl_report(repl, &fault);
    free(key);
}

static void command_get(Repl *repl, const char *rest) {
    char *key = trimmed(rest);
    const char *value = key && *key ? conf_get(session_conf(repl->session), key) : NULL;
    if (value) {
        printf("%s\n", value);
        fflush(stdout);
    } else {
        repl_say(repl, key && *key ? "not set" : "usage: :get KEY");
    }
    free(key);
}

static void command_names(Repl *repl, const char *rest) {
    (void)rest;
    Buf out = {0};
    session_names(repl->session, &out);
    write_out(&out);
}

static void command_quit(Repl *repl, const char *rest) {
    (void)rest;
    repl->quit = true;
}

static void command_help(Repl *repl, const char *rest);

static const struct {
    const char *name, *words, *doc;
    void (*run)(Repl *repl, const char *rest);
} rows[] = {
    {"type", "EXPR", "the type of an expression", command_type},
    {"ir", "EXPR", "its program with types", command_ir},
    {"opt", "EXPR", "its program after the optimizer", command_opt},
    {"plan", "EXPR", "the graph of fragments that is left", command_plan},
    {"llvm", "EXPR", "its LLVM IR", command_llvm},
    {"asm", "EXPR", "its machine code", command_asm},
    {"time", "EXPR", "evaluate it and tell how long that took", command_time},
    {"load", "FILE as NAME",
     "bind the data of a .npy or .csv file; without `as`: evaluate a text, load a .so", command_load},
    {"names", "", "what is bound", command_names},
    {"set", "KEY VALUE", "change a setting; `weldc settings` lists them", command_set},
    {"get", "KEY", "show a setting", command_get},
    {"help", "", "this list", command_help},
    {"quit", "", "end the session; so does Ctrl-D", command_quit},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void command_help(Repl *repl, const char *rest) {
    (void)repl;
    (void)rest;
    printf("  EXPR                 evaluate; a line that is not complete continues on the next, an empty "
           "line ends it\n"
           "  let NAME = EXPR      bind a value or a function; macro and type definitions stay as well\n"
           "  LIB.FUNCTION(..)     call a function of a library, gsl.mean([1.0]); `weldc adapters` lists "
           "them\n");
    for (int i = 0; i < ROWS; i++) printf("  :%-5s %-13s %s\n", rows[i].name, rows[i].words, rows[i].doc);
    fflush(stdout);
}

/* The row of this name, or the first one that begins so; -1: none. */
static int find_row(const char *name, size_t length) {
    int found = -1;
    for (int i = ROWS - 1; i >= 0; i--) {
        if (length == 0 || strncmp(rows[i].name, name, length)) continue;
        if (!rows[i].name[length]) return i;
        found = i;
    }
    return found;
}

static void unknown_directive(Repl *repl, const char *name, size_t length) {
    const char *names[ROWS];
    char message[120], *copy = strndup(name, length);
    for (int i = 0; i < ROWS; i++) names[i] = rows[i].name;
    const char *near = copy && length > 1 ? nearest_name(copy, names, ROWS) : NULL;
    snprintf(message, sizeof message, "there is no command :%.*s%s%s; try :help",
             length > 40 ? 40 : (int)length, name, near ? "; did you mean :" : "", near ? near : "");
    repl_say(repl, message);
    free(copy);
}

/* `load FILE` and the like: the word and something that is no part of an expression. */
static bool is_old_command(const char *line, const char *word) {
    size_t length = strlen(word);
    if (strncmp(line, word, length) || !isblank((unsigned char)line[length])) return false;
    const char *next = skip_blanks(line + length);
    return isalnum((unsigned char)*next) || (*next && strchr("_/~.@", *next));
}

bool repl_directive(Repl *repl, const char *input) {
    static const struct {
        const char *word;
        void (*run)(Repl *repl, const char *rest);
    } old[] = {{"load", command_load}, {"getconf", command_get}, {"setconf", command_set}};
    const char *line = skip_blanks(input);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        if (!is_old_command(line, old[i].word)) continue;
        old[i].run(repl, skip_blanks(line + strlen(old[i].word)));
        return true;
    }
    size_t length = strcspn(line, " \t\r\n");
    bool ends =
        (length == 4 && strncmp(line, "quit", 4) == 0) || (length == 4 && strncmp(line, "exit", 4) == 0);
    if (ends && !*skip_blanks(line + length)) return repl->quit = true;
    if (*line != ':') return false;
    int row = find_row(line + 1, length - 1);
    if (row < 0) {
        unknown_directive(repl, line + 1, length - 1);
    } else {
        rows[row].run(repl, skip_blanks(line + length));
    }
    return true;
}
