/* declaration.c: a C declaration without what only compilers want, and declarator by declarator.
 *
 *     extern int f(int) __attribute__((pure)), *g(void);     => extern int f(int)
 *                                                               extern int *g(void)
 */
#include <ctype.h>
#include <string.h>

#include "command.h"

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* How long what begins with a parenthesis, bracket or brace is; up to the text's end, if it does not close. */
static size_t group_length(const char *text) {
    int depth = 0;
    size_t length = 0;
    while (text[length]) {
        char c = text[length++];
        depth += (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
        if (depth == 0) break;
    }
    return length;
}

static bool is_annotation(const char *word, size_t length) {
    static const char *const words[] = {"__attribute__", "__attribute", "__asm__",       "__asm",
                                        "asm",           "__declspec",  "__extension__", "_Alignas",
                                        "_Noreturn",     "noreturn"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == length && memcmp(words[i], word, length) == 0) return true;
    }
    return false;
}

void declaration_clean(char *text) {
    for (char *at = text; *at;) {
        char *word = at;
        while (is_word(*at)) at++;
        if (at == word) {
            at++;
            continue;
        }
        if (!is_annotation(word, (size_t)(at - word))) continue;
        at += strspn(at, " \t\n");
        if (*at == '(') at += group_length(at);
        memset(word, ' ', (size_t)(at - word));
    }
}

/* What all declarators share ends there: `extern const int` of `extern const int *f(void)`, `int` of `int f(void)`. */
static const char *shared_end(const char *text) {
    const char *word = text, *at = text;
    while (*at && (is_word(*at) || isspace((unsigned char)*at))) {
        while (isspace((unsigned char)*at)) at++;
        if (!is_word(*at)) break;
        for (word = at; is_word(*at);) at++;
    }
    return *at == '*' || word == text ? at : word;
}

bool declaration_part(const char *text, int number, Buf *out) {
    text += strspn(text, " \t\n");
    const char *shared = shared_end(text), *from = shared;
    for (const char *at = shared;; at++) {
        if (*at == '(' || *at == '[' || *at == '{') {
            at += group_length(at) - 1;
            continue;
        }
        if (*at && *at != ',') continue;
        if (number-- == 0) {
            out->length = 0;
            buf_put(out, text, (size_t)(shared - text));
            buf_put(out, " ", 1);
            buf_put(out, from, (size_t)(at - from));
            return !out->failed;
        }
        if (!*at) return false;
        from = at + 1;
    }
}
