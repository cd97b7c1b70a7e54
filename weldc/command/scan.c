/* scan.c: what an input of the session consists of, seen from its words alone.
 *
 * An input is a sequence of statements; a `;` ends one unless an inner let still waits for it:
 *
 *     let x = 5; x + 1                          a let, an expression
 *     let f = |a| let b = a; b * b; f(3)        a let (its own `;` is the second), an expression
 *
 * So a statement that starts with let, macro or type is owed one `;`, each let outside of brackets owes one
 * more, and the statement ends when none is owed. An input goes on while a bracket or string is open, after
 * an operator, or when a let lacks its `;` or its body. The last let of an input needs neither: it binds a
 * name for later ones.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"

bool word_is(const Words *words, int at, const char *text) {
    return at >= 0 && at < words->count && words->items[at].kind != TK_string &&
           strcmp(words->items[at].text, text) == 0;
}

/* Does the text from this quote on never close it? */
static bool string_open(const char *text, size_t length, size_t begin) {
    if (begin >= length || text[begin] != '"') return false;
    for (size_t i = begin + 1; i < length; i++) {
        if (text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            return false;
        }
    }
    return true;
}

bool words_of(const char *text, size_t length, Words *out) {
    int room = 0;
    *out = (Words){0};
    Program *program = program_open("", text, length);
    Lexer lexer = {.program = program};
    while (program) {
        Token token = lex_next(&lexer);
        if (token.kind == TK_error) {
            out->broken = true;
            out->open = string_open(text, length, token.span.begin);
        }
        if (token.kind == TK_error || token.kind == TK_end) break;
        if (out->count == room) {
            room = room ? room * 2 : 32;
            Word *items = realloc(out->items, sizeof *items * (size_t)room);
            if (!items) {
                program_free(program);
                return false;
            }
            out->items = items;
        }
        Word *word = &out->items[out->count++];
        *word = (Word){.kind = token.kind, .begin = token.span.begin, .end = token.span.end};
        size_t size =
            word->end - word->begin < sizeof word->text ? word->end - word->begin : sizeof word->text - 1;
        memcpy(word->text, text + word->begin, size);
    }
    program_free(program);
    return program != NULL;
}

void words_release(Words *words) {
    free(words->items);
    *words = (Words){0};
}

/* +1 for what opens a bracket, -1 for what closes one. */
static int bracket(const Words *words, int at) {
    if (words->items[at].kind != TK_punct) return 0;
    char c = words->items[at].text[0];
    return c == '(' || c == '[' || c == '{' ? 1 : c == ')' || c == ']' || c == '}' ? -1 : 0;
}

/* Finds the end of the statement at `first`. Returns how many `;` it is still owed. */
static int statement_end(const Words *words, int first, bool ends, int *last, int *lets) {
    int depth = 0, owed = ends, at = first;
    *lets = 0;
    for (; at < words->count; at++) {
        depth += bracket(words, at);
        if (depth > 0) continue;
        if (word_is(words, at, "let") && at > first) owed++, ++*lets;
        if (!word_is(words, at, ";")) continue;
        owed--;
        if (ends && owed == 0) break;
    }
    *last = at;
    return owed;
}

static StatementKind statement_kind(const Words *words, int at) {
    return word_is(words, at, "let")     ? ST_let
           : word_is(words, at, "macro") ? ST_macro
           : word_is(words, at, "type")  ? ST_type
                                         : ST_expression;
}

/* The words [first, last) without the parentheses around them are a literal function. */
static bool is_function(const Words *words, int first, int last) {
    while (word_is(words, first, "(") && last - first > 2) {
        int depth = 1, at = first + 1;
        for (; at < last && depth > 0; at++) depth += bracket(words, at);
        if (at != last || depth) return false;
        first++, last--;
    }
    return first < last && (word_is(words, first, "|") || word_is(words, first, "||"));
}

bool statement_next(const Words *words, int *at, Statement *out) {
    if (*at >= words->count) return false;
    int first = *at, last, lets;
    *out = (Statement){.kind = statement_kind(words, first), .first = first, .value = first};
    int owed = statement_end(words, first, out->kind != ST_expression, &last, &lets);
    *at = last + 1;
    /* `5;` means 5. */
    if (out->kind == ST_expression && owed < 0 && last - 1 > first && word_is(words, last - 1, ";")) last--;
    out->last = last;
    if (out->kind == ST_let) {
        int depth = 0;
        for (int i = first; i < last; i++) {
            depth += bracket(words, i);
            if (depth == 0 && word_is(words, i, "=")) {
                out->value = i + 1;
                break;
            }
        }
    }
    out->function = is_function(words, out->value, last);
    return true;
}

/* Is the last statement without its end? */
static bool statement_open(const Words *words) {
    Statement last = {0};
    int at = 0;
    while (statement_next(words, &at, &last)) continue;
    bool ends = last.kind != ST_expression, semicolon = word_is(words, words->count - 1, ";");
    int end, lets, owed = statement_end(words, last.first, ends, &end, &lets);
    if (ends) return owed >= 2 || (owed == 1 && semicolon);
    return owed > 0 || (owed == 0 && semicolon && lets > 0);
}

bool words_need_more(const Words *words) {
    static const char *const operators[] = {
        "|", "||", "&&", "&", "^", "==", "!=", "<", ">", "<=", ">=", "<<",  ">>",    "+",
        "-", "*",  "/",  "%", "!", "~",  ",",  "=", ".", ":",  "@",  "let", "macro", "type"};
    if (words->open) return true;
    if (!words->count) return false;
    int depth = 0;
    for (int i = 0; i < words->count; i++) {
        depth += bracket(words, i);
        if (depth < 0) return false;
    }
    if (depth > 0) return true;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (word_is(words, words->count - 1, operators[i])) return true;
    }
    return statement_open(words);
}
