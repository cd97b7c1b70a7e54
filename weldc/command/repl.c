/* repl.c: `weldc repl`: reads inputs, evaluates them in a session, prints results with their types.
 *
 *     >>> let x = [1, 2, 3]
 *     x: vec[i32] = [1, 2, 3]
 *     >>> result(for(x, merger[i32,+], |b, i, e|
 *     ...     merge(b, e)))
 *     6: i32
 *     >>> :type map(x, |e| f64(e))
 *     vec[f64]
 *
 * An input is one line, or more while it asks for more (scan.c); an empty line ends it. An error never ends
 * the session, nor does Ctrl-C: at the prompt it drops the input, during a run it stops the run. In a pipe
 * there are no prompts; results go to standard output, errors to standard error.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* What a terminal shows of a long value, and what is shown of a value that was bound. */
enum { ELEMENTS = 1000, CHARACTERS = 4000, BOUND_ELEMENTS = 50, BOUND_CHARACTERS = 100 };

/* ---- printing
 * -------------------------------------------------------------------------------------------------- */

/* A value, of a long one its beginning; 0: all of it. */
static void put_value(Buf *out, const Held *held, int64_t elements, size_t characters) {
    const Type *type = held->type;
    const void *data = held->data;
    Vec head;
    if (type->builders) { /* there is no literal of an unfinished builder */
        buf_put(out, "...", 3);
        return;
    }
    int64_t length = type->kind == TY_vec ? ((const Vec *)data)->length : 0;
    if (elements && length > elements) {
        head = (Vec){((const Vec *)data)->data, elements};
        data = &head;
    }
    size_t start = out->length;
    value_print(out, type, data);
    if (characters && out->length - start > characters) {
        out->length = start + characters;
        while (out->length > start && ((unsigned char)out->text[out->length] & 0xc0) == 0x80) out->length--;
    } else if (data != &head) {
        return;
    } else {
        out->length--; /* the bracket */
    }
    out->text[out->length] = 0;
    buf_printf(out, " ...");
    if (length) buf_printf(out, " (%lld elements)", (long long)length);
}

void repl_report(Repl *repl, Fault *fault) {
    fflush(stdout);
    fault_print(fault);
    if (fault->error.code != E_None) repl->failed = true;
    fault_release(fault);
}

void repl_say(Repl *repl, const char *text) {
    fflush(stdout);
    fprintf(stderr, "%s\n", text);
    fflush(stderr);
    repl->failed = true;
}

/* ---- statements
 * --------------------------------------------------------------------------------------------------- */

/* `VALUE: TYPE`, and the times if asked for. */
static void print_run(Repl *repl, const Held *held, const Times *times, bool timed) {
    Buf out = {0};
    put_value(&out, held, repl->interactive ? ELEMENTS : 0, repl->interactive ? CHARACTERS : 0);
    buf_put(&out, ": ", 2);
    type_print(&out, held->type);
    if (timed) {
        buf_printf(&out,
                   "\nparse %.3f ms, infer %.3f ms, optimize %.3f ms, codegen %.3f ms, run %.3f ms (%s), "
                   "peak %lld bytes",
                   times->compile.parse_ms, times->compile.infer_ms, times->compile.optimize_ms,
                   times->compile.codegen_ms, times->run_ms, times->tier,
                   (long long)session_peak(repl->session));
    }
    buf_put(&out, "\n", 1);
    write_out(&out);
}

void repl_evaluate(Repl *repl, const char *input, size_t length, const Words *words, const Statement *part,
                   bool timed) {
    Fault fault = {0};
    Composed composed;
    Times times = {0};
    Held *held = NULL;
    if (session_compose(repl->session, input, length, words, part, NULL, &composed, &fault)) {
        Buf type = {0};
        progress_phase(repl->progress, "running");
        bool ok = session_run(repl->session, &composed, &held, &times, &fault);
        progress_phase(repl->progress, NULL);
        if (ok && held) {
            print_run(repl, held, &times, timed);
        } else if (ok && composed_type(&composed, &type, &fault)) {
            buf_put(&type, "\n", 1);
            write_out(&type);
        }
        buf_release(&type);
        composed_release(&composed);
    }
    held_drop(held);
    repl_report(repl, &fault);
}

/* NAME of `let NAME`, `macro NAME`, `type NAME`; the caller frees it. NULL: there is none. */
static char *statement_name(const char *input, const Words *words, const Statement *part) {
    if (part->last - part->first < 2 || words->items[part->first + 1].kind != TK_ident) return NULL;
    const Word *word = &words->items[part->first + 1];
    return strndup(input + word->begin, word->end - word->begin);
}

/* A name for another function: `let g = f`. */
static bool names_function(Repl *repl, const char *input, const Words *words, const Statement *part) {
    if (part->last != part->value + 1 || words->items[part->value].kind != TK_ident) return false;
    const Word *word = &words->items[part->value];
    char *name = strndup(input + word->begin, word->end - word->begin);
    bool function = name && session_has(repl->session, name, true);
    free(name);
    return function;
}

/* Computes a let's value and binds it. */
static void run_let(Repl *repl, const char *input, size_t length, const Words *words, const Statement *part,
                    const char *name) {
    Fault fault = {0};
    Composed composed;
    Times times = {0};
    Held *held = NULL;
    if (session_compose(repl->session, input, length, words, part, name, &composed, &fault)) {
        progress_phase(repl->progress, "running");
        bool ok = session_run(repl->session, &composed, &held, &times, &fault);
        progress_phase(repl->progress, NULL);
        composed_release(&composed);
        if (ok && held) {
            Buf out = {0};
            buf_printf(&out, "%s: ", name);
            type_print(&out, held->type);
            buf_printf(&out, " = ");
            put_value(&out, held, BOUND_ELEMENTS, BOUND_CHARACTERS);
            buf_put(&out, "\n", 1);
            if (session_bind(repl->session, name, held, &fault)) write_out(&out);
            buf_release(&out);
        }
    }
    repl_report(repl, &fault);
}

/* Does a parameter of this function lack a type? Then only its uses tell whether it is right. */
static bool lacks_types(const Words *words, const Statement *part) {
    int bars = 0, names = 0, colons = 0;
    for (int i = part->value; i < part->last && bars < 2; i++) {
        bars += word_is(words, i, "|");
        names +=
            word_is(words, i, ",") || (bars == 1 && word_is(words, i, "|") && !word_is(words, i + 1, "|"));
        colons += word_is(words, i, ":");
    }
    return names > colons;
}

/* Keeps a function, macro or type, if it is one. */
static void run_definition(Repl *repl, const char *input, size_t length, const Words *words,
                           const Statement *part, const char *name) {
    Fault fault = {0};
    Composed composed;
    Statement value = *part;
    Buf out = {0};
    size_t from = words->items[part->first].begin, to = words->items[part->last - 1].end;
    if (part->kind == ST_let) {
        value.kind = ST_expression;
        value.first = part->value;
        buf_printf(&out, "%s: ", name);
    }
    bool ok = false, vague = lacks_types(words, part) || names_function(repl, input, words, part);
    if (session_compose(repl->session, input, length, words, &value, NULL, &composed, &fault)) {
        ok = composed_type(&composed, &out, &fault);
        composed_release(&composed);
    }
    if (fault.error.code == E_Type && part->kind == ST_let && vague) {
        fault_release(&fault);
        buf_printf(&out, "a function");
        ok = true;
    }
    buf_put(&out, "\n", 1);
    if (ok && session_define(repl->session, part->kind, name, input + from, to - from, &fault) &&
        part->kind == ST_let) {
        write_out(&out);
    }
    buf_release(&out);
    repl_report(repl, &fault);
}

static void run_statement(Repl *repl, const char *input, size_t length, const Words *words,
                          const Statement *part) {
    char *name = part->kind == ST_expression || words->broken ? NULL : statement_name(input, words, part);
    if (!name) { /* an expression, or what the parser will complain about */
        repl_evaluate(repl, input, length, words, part, false);
    } else if (part->kind != ST_let || part->function || names_function(repl, input, words, part)) {
        run_definition(repl, input, length, words, part, name);
    } else {
        run_let(repl, input, length, words, part, name);
    }
    free(name);
}

void repl_input(Repl *repl, const char *input, size_t length) {
    Words words;
    if (!words_of(input, length, &words)) {
        repl_say(repl, "no memory for the input");
        return;
    }
    Statement part = {.last = words.count};
    int at = 0;
    if (words.broken) {
        repl_evaluate(repl, input, length, &words, &part, false);
    } else {
        while (!cancel_flag && statement_next(&words, &at, &part))
            run_statement(repl, input, length, &words, &part);
    }
    words_release(&words);
}

/* ---- the loop
 * ---------------------------------------------------------------------------------------------------- */

/* Does an input so far ask for another line? Of a command, its expression. */
static bool needs_more(const char *text) {
    text += strspn(text, " \t\r\n");
    if (*text == ':') text += strcspn(text, " \t\r\n");
    Words words;
    bool more = words_of(text, strlen(text), &words) && words_need_more(&words);
    words_release(&words);
    return more;
}

static bool is_blank(const char *line) {
    return line[strspn(line, " \t\r\n")] == 0;
}

static void handle(Repl *repl, const Buf *input) {
    cancel_flag = 0;
    if (!repl_directive(repl, input->text)) repl_input(repl, input->text, input->length);
}

/* Reads until the end of input, or :quit. */
static void loop(Repl *repl) {
    Buf input = {0};
    while (!repl->quit) {
        size_t before = input.length;
        LineKind kind = lines_next(repl->lines, before > 0, &input);
        if (input.failed) {
            repl_say(repl, "no memory for the input");
            break;
        }
        if (kind == LINE_INTERRUPTED) {
            buf_release(&input);
            input = (Buf){0};
            continue;
        }
        const char *line = input.text ? input.text + before : "";
        if (kind == LINE_TEXT && !is_blank(line) && needs_more(input.text)) continue;
        if (input.text && !is_blank(input.text)) handle(repl, &input);
        buf_release(&input);
        input = (Buf){0};
        if (kind == LINE_END) break;
    }
    buf_release(&input);
}

int command_repl(Request *request) {
    Repl repl = {.interactive = !request->input && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    repl.session = session_new(request->conf);
    repl.lines = lines_open(repl.interactive);
    cancel_watch(false);
    int status = EXIT_DONE;
    if (!repl.session || !repl.lines) {
        fprintf(stderr, "weldc repl: no memory for a session\n");
        status = EXIT_FAULT;
    } else if (request->input) {
        repl_load(&repl, request->input);
        status = repl.failed ? EXIT_FAULT : EXIT_DONE;
    } else {
        repl.progress = progress_start();
        if (repl.interactive)
            printf("weldc %s; :help lists the commands, Ctrl-D ends the session\n", WELD_VERSION);
        loop(&repl);
    }
    progress_stop(repl.progress);
    lines_close(repl.lines);
    session_free(repl.session);
    return status;
}
