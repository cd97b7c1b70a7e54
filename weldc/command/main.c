/* main.c: the command line of weldc: commands and options are rows of commands.def.
 *
 * `weldc COMMAND words...`. A word is an option when it starts with `-` or `--` and a letter: `-2l`, `-.5`
 * and `-(1)` are arguments, `-` is standard input, and all words after `--` are arguments. Options and
 * arguments may come in any order. Without -e the first word is the program's file.
 *
 * Exit status: 0 done; 1 the program or its data is at fault; 2 the command line is.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

typedef struct CommandClass {
    const char *name, *words, *doc;
    CommandMain run;
} CommandClass;
static const CommandClass command_classes[COMMAND_COUNT] = {
#define COMMAND(id, words, doc) {#id, words, doc, command_##id},
#include "commands.def"
};

typedef struct OptionClass {
    const char *spelling;
    char letter;
    const char *argument, *doc;
    unsigned commands;
    bool (*take)(Request *request, const char *value); /* false: the command line is at fault, said */
} OptionClass;

enum {
    RUN = 1 << COMMAND_run,
    CHECK = 1 << COMMAND_check,
    EXPLAIN = 1 << COMMAND_explain,
    BUILD = 1 << COMMAND_build,
    DRAFT = 1 << COMMAND_bind,
    REPL = 1 << COMMAND_repl,
    ALL = (1 << COMMAND_COUNT) - 1
};

/* ---- the clock ------------------------------------------------------------------------------------------
 */

static double clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double started_ms;

/* Runs before main, when the process has done nothing but load: what it has computed so far is how long ago
 * it started. */
__attribute__((constructor)) static void note_start(void) {
    started_ms = clock_ms(CLOCK_MONOTONIC) - clock_ms(CLOCK_PROCESS_CPUTIME_ID);
}

double now_ms(void) {
    return clock_ms(CLOCK_MONOTONIC) - started_ms;
}

/* ---- libraries ------------------------------------------------------------------------------------------
 */

/* OpenBLAS chooses its code by the processor's model, and on one that is newer than itself takes what suits the oldest. What
 * counts is what the processor can do. Before anything that links it is loaded; what the user has set stays. */
static void tell_openblas(void) {
#if defined(__x86_64__)
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    bool half = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (wide || half) setenv("OPENBLAS_CORETYPE", wide ? "SkylakeX" : "Haswell", 0);
#endif
}

/* ---- output ---------------------------------------------------------------------------------------------
 */

int write_out(Buf *out) {
    bool ok = !out->failed;
    errno = out->failed ? ENOMEM : 0;
    ok = ok && fwrite(out->text ? out->text : "", 1, out->length, stdout) == out->length;
    ok = fflush(stdout) == 0 && ok;
    buf_release(out);
    if (ok) return EXIT_DONE;
    if (errno != EPIPE) fprintf(stderr, "weldc: cannot write the output: %s\n", strerror(errno));
    return EXIT_FAULT;
}

int usage_error(const Request *request, const char *format, ...) {
    va_list args;
    const char *name = request ? command_classes[request->command].name : NULL;
    fprintf(stderr, "weldc%s%s: ", name ? " " : "", name ? name : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\ntry: weldc%s%s --help\n", name ? " " : "", name ? name : "");
    return EXIT_USAGE;
}

bool request_text(const Request *request, Text *out, Fault *fault) {
    if (request->code) return text_of_code("<command line>", request->code, out, fault);
    return text_of_file(request->file, out, fault);
}

/* ---- options: what a row of commands.def does ------------------------------------------------------------
 */

static bool set_number(Request *request, const char *key, const char *option, const char *value) {
    weld_conf_set(request->conf, key, value);
    Options options;
    Error error = {0};
    if (conf_options(request->conf, &options, &error)) return true;
    usage_error(request, "--%s %s: %s", option, value, error.text);
    return false;
}

static bool option_code(Request *request, const char *value) {
    request->code = value;
    return true;
}
static bool option_json(Request *request, const char *value) {
    (void)value;
    return request->json = true;
}
static bool option_stats(Request *request, const char *value) {
    (void)value;
    return request->stats = true;
}
static bool option_times(Request *request, const char *value) {
    (void)value;
    if (request->command == COMMAND_run) weld_conf_set(request->conf, "weld.timings", "true");
    return request->times = true;
}
static bool option_help(Request *request, const char *value) {
    (void)value;
    return request->help = true;
}
static bool option_repeat(Request *request, const char *value) {
    char *end;
    errno = 0;
    request->repeat = strtoll(value, &end, 10);
    if (isdigit((unsigned char)*value) && !*end && !errno && request->repeat >= 1) return true;
    usage_error(request, "--repeat takes a number from 1 on, not `%s`", value);
    return false;
}
static bool option_stage(Request *request, const char *value) {
    request->stage = value;
    return true;
}
static bool option_after(Request *request, const char *value) {
    request->after = value;
    return true;
}
static bool option_save(Request *request, const char *value) {
    request->save = value;
    return true;
}
static bool option_output(Request *request, const char *value) {
    request->output = value;
    return true;
}

static bool option_lib(Request *request, const char *value) {
    request->library = value;
    return true;
}

static bool option_input(Request *request, const char *value) {
    request->input = value;
    return true;
}
static bool option_loglevel(Request *request, const char *value) {
    static const char *const names[] = {"none", "error", "warn", "info", "debug", "trace"};
    for (uint64_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i])) continue;
        weld_set_log_level(i);
        return true;
    }
    usage_error(request, "--loglevel takes none, error, warn, info, debug or trace, not `%s`", value);
    return false;
}
static bool option_dumpcode(Request *request, const char *value) {
    (void)value;
    weld_conf_set(request->conf, "weld.compile.dumpCode", "true");
    return true;
}
static bool option_logdir(Request *request, const char *value) {
    weld_conf_set(request->conf, "weld.compile.dumpCodeDir", value);
    return true;
}
static bool option_threads(Request *request, const char *value) {
    return set_number(request, "weld.threads", "threads", value);
}
static bool option_limit(Request *request, const char *value) {
    return set_number(request, "weld.memory.limit", "memory-limit", value);
}
static bool option_jit(Request *request, const char *value) {
    (void)value;
    weld_conf_set(request->conf, "weld.engine", "jit");
    return true;
}
static bool option_eval(Request *request, const char *value) {
    (void)value;
    weld_conf_set(request->conf, "weld.engine", "eval");
    return true;
}

static bool option_checkpoint(Request *request, const char *value) {
    weld_conf_set(request->conf, "weld.checkpoint.file", value);
    return true;
}
static bool option_resume(Request *request, const char *value) {
    (void)value;
    weld_conf_set(request->conf, "weld.checkpoint.resume", "true");
    return request->resume = true;
}
/* N steps, or Ns: seconds. */
static bool option_every(Request *request, const char *value) {
    char number[24];
    size_t length = strspn(value, "0123456789");
    bool seconds = value[length] == 's';
    if (length == 0 || length >= sizeof number || value[length + seconds] || value[0] == '0') {
        usage_error(request, "--every takes a number of steps, or of seconds as in 30s, not `%s`", value);
        return false;
    }
    memcpy(number, value, length);
    number[length] = 0;
    weld_conf_set(request->conf, seconds ? "weld.checkpoint.steps" : "weld.checkpoint.seconds", "0");
    return set_number(request, seconds ? "weld.checkpoint.seconds" : "weld.checkpoint.steps", "every",
                      number);
}

/* KEY=VALUE. A bad value is a fault of the setting; what is no pair, one of the command line. */
static bool option_set(Request *request, const char *value) {
    const char *equals = strchr(value, '=');
    char *key = equals && equals > value ? strndup(value, (size_t)(equals - value)) : NULL;
    if (!key) {
        usage_error(request, "--set takes KEY=VALUE, not `%s`", value);
        return false;
    }
    setting_look(key);
    weld_conf_set(request->conf, key, equals + 1);
    free(key);
    Options options;
    Error error = {0};
    if (!conf_options(request->conf, &options, &error)) {
        fault_at(&request->fault, "<command line>", value, strlen(value), (size_t)(equals + 1 - value),
                 strlen(value), error.code, "%s", error.text);
    }
    return true;
}

static bool option_load(Request *request, const char *value) {
    const char **libraries =
        realloc(request->libraries, sizeof *libraries * (size_t)(request->library_count + 1));
    if (!libraries) {
        usage_error(request, "no memory");
        return false;
    }
    request->libraries = libraries;
    libraries[request->library_count++] = value;
    return true;
}

static const OptionClass option_classes[] = {
#define OPTION(id, spelling, letter, argument, commands, doc) \
    {spelling, letter, argument, doc, commands, option_##id},
#include "commands.def"
};
enum { OPTION_COUNT = sizeof option_classes / sizeof *option_classes };

/* ---- help ------------------------------------------------------------------------------------------------
 */

static void print_help(FILE *out) {
    fputs("weldc: runs programs in Weld's IR, compiled as a whole.\n\n", out);
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const CommandClass *command = &command_classes[i];
        fprintf(out, "  weldc %-8s %-38s %s\n", command->name, command->words, command->doc);
    }
    fputs("\n  weldc COMMAND --help   the options of a command\n"
          "  weldc --version        the version\n\n"
          "ARG is a constant of the language (5, -2l, [1.5, 2.0], \"text\") or a file: @x.npy, @t.csv, "
          "@t.csv:column.\n"
          "Exit status: 0 done, 1 the program or its data is at fault, 2 the command line is.\n",
          out);
}

static void print_command_help(CommandId id) {
    const CommandClass *command = &command_classes[id];
    printf("weldc %s%s%s: %s\n\n", command->name, *command->words ? " " : "", command->words, command->doc);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const OptionClass *option = &option_classes[i];
        if (!(option->commands & 1u << id)) continue;
        char spelling[64];
        snprintf(spelling, sizeof spelling, "--%s%s%s", option->spelling, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        if (option->letter) {
            printf("  -%c, %-24s %s\n", option->letter, spelling, option->doc);
        } else {
            printf("      %-24s %s\n", spelling, option->doc);
        }
    }
}

/* ---- parsing ---------------------------------------------------------------------------------------------
 */

/* -x or --xyz, where an argument such as -2l, -exp(1.0) or - is none. */
static bool is_option(const char *word) {
    if (*word != '-') return false;
    const char *name = word[1] == '-' ? word + 2 : word + 1;
    if (!isalpha((unsigned char)*name)) return false;
    while (isalnum((unsigned char)*name) || *name == '-' || *name == '_') name++;
    return !*name || *name == '=';
}

static int unknown_option(const Request *request, const char *word, size_t length) {
    const char *names[OPTION_COUNT];
    size_t count = 0;
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (option_classes[i].commands & 1u << request->command) names[count++] = option_classes[i].spelling;
    }
    char *name = strndup(word + strspn(word, "-"), length - strspn(word, "-"));
    const char *near = name && strlen(name) > 1 ? nearest_name(name, names, count) : NULL;
    free(name);
    return usage_error(request, "unknown option %.*s%s%s", (int)length, word, near ? "; did you mean --" : "",
                       near ? near : "");
}

/* Takes the option at words[*at], and the word after it if that is its argument. Returns an exit status. */
static int parse_option(Request *request, char **words, int *at) {
    char *word = words[*at], *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const OptionClass *option = &option_classes[i];
        bool is_long =
            length == strlen(option->spelling) + 2 && strncmp(word + 2, option->spelling, length - 2) == 0;
        bool is_short = length == 2 && option->letter && word[1] == option->letter;
        if (!(option->commands & 1u << request->command) || (word[1] == '-' ? !is_long : !is_short)) continue;
        const char *value = equals ? equals + 1 : NULL;
        if (!option->argument && value) return usage_error(request, "%.*s takes no value", (int)length, word);
        if (option->argument && !value && !(value = words[++*at])) {
            return usage_error(request, "%s needs %s", word, option->argument);
        }
        return option->take(request, value) ? EXIT_DONE : EXIT_USAGE;
    }
    return unknown_option(request, word, length);
}

/* Sorts the words into options, the program, and its arguments. */
static int parse_words(Request *request, char **words) {
    bool options = true;
    request->words = words; /* compacted in place */
    for (int i = 0; words[i]; i++) {
        if (options && strcmp(words[i], "--") == 0) {
            options = false;
        } else if (options && is_option(words[i])) {
            int status = parse_option(request, words, &i);
            if (status || request->help) return status;
            if (!words[i]) break;
        } else {
            words[request->count++] = words[i];
        }
    }
    bool program = request->command == COMMAND_run || request->command == COMMAND_check ||
                   request->command == COMMAND_explain || request->command == COMMAND_build;
    if (program && !request->code) {
        if (!request->count)
            return usage_error(request, "a program is needed: -e CODE, a FILE, or - for standard input");
        request->file = request->words[0];
        request->words++;
        request->count--;
    }
    if (request->command != COMMAND_run && request->command != COMMAND_bind &&
        request->command != COMMAND_adapters && request->count) {
        return usage_error(request, "takes no argument such as `%s`", request->words[0]);
    }
    return EXIT_DONE;
}

static int unknown_command(const char *word) {
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++) names[i] = command_classes[i].name;
    const char *near = nearest_name(word, names, COMMAND_COUNT);
    FILE *file = near ? NULL : fopen(word, "re");
    if (file) {
        fclose(file);
        return usage_error(NULL, "unknown command %s; did you mean weldc run %s", word, word);
    }
    return usage_error(NULL, "unknown command %s%s%s", word, near ? "; did you mean " : "", near ? near : "");
}

static bool load_libraries(Request *request) {
    for (int i = 0; i < request->library_count; i++) {
        const char *path = request->libraries[i];
        Error error = {0};
        if (library_load(path, &error)) continue;
        return fault_at(&request->fault, "<command line>", path, strlen(path), 0, strlen(path), error.code,
                        "%s", error.text);
    }
    return true;
}

static int run_command(Request *request, char **words) {
    request->conf = weld_conf_new();
    if (!request->conf) return usage_error(request, "no memory");
    int status = parse_words(request, words);
    if (status == EXIT_DONE && request->help) {
        print_command_help(request->command);
    } else if (status == EXIT_DONE) {
        if (request->fault.error.code != E_None || !load_libraries(request)) {
            fault_print(&request->fault);
            status = EXIT_FAULT;
        } else {
            status = command_classes[request->command].run(request);
        }
    }
    fault_release(&request->fault);
    free(request->libraries);
    weld_conf_free(request->conf);
    return status;
}

int main(int count, char **words) {
    tell_openblas();
    if (count < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0 || strcmp(words[1], "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(words[1], "--version") == 0 || strcmp(words[1], "-V") == 0) {
        puts("weldc " WELD_VERSION);
        return EXIT_DONE;
    }
    for (CommandId id = 0; id < COMMAND_COUNT; id++) {
        if (strcmp(words[1], command_classes[id].name)) continue;
        Request request = {.command = id, .repeat = 1};
        return run_command(&request, words + 2);
    }
    return unknown_command(words[1]);
}
