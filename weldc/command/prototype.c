/* prototype.c: the functions that a C header declares, as `weldc bind` needs them.
 *
 *     The mean of n numbers.                    the comment right above it, if there is one
 *     double mean(const double *x, size_t n);   its result, its name, its parameters
 *
 * The C preprocessor ($CC -E -C) reads the header; of what it gives only the declarations of the header's own lines count.
 * Each is taken apart by its words, of which some are typedefs for scalars, and enums are integers; what takes functions, structs, pointers to pointers or
 * variable arguments is left with the reason. A header that declares nothing itself, as <math.h>, stands for those that it includes.
 */
#include <ctype.h>
#include <errno.h>
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

/* `typedef unsigned long uLong;` */
typedef struct Alias {
    char name[64];
    TypeKind kind;
} Alias;

typedef struct Header {
    const char *path;
    PrototypeVisit visit;
    void *data;
    Buf declaration, comment;
    Buf aliases;         /* of Alias: all that is typedef for a scalar, in included headers, too */
    bool own, all;       /* the line at hand is the header's; those of others count, too */
    bool found;          /* a function */
    bool in_block, kept; /* within a comment; that stands above what follows, not behind something */
    int depth;           /* of braces */
} Header;

static bool find_kind(const char *type, TypeKind *kind) {
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        if (strcmp(spellings[i].c, type) != 0) continue;
        *kind = spellings[i].kind;
        return true;
    }
    return false;
}

static bool find_alias(const Header *header, const char *type, TypeKind *kind) {
    for (size_t at = 0; at + sizeof(Alias) <= header->aliases.length; at += sizeof(Alias)) {
        Alias alias;
        memcpy(&alias, header->aliases.text + at, sizeof alias);
        if (strcmp(alias.name, type) != 0) continue;
        *kind = alias.kind;
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
    size_t at = strlen(text), length = strlen(word);
    if (at + 1 + length >= room) return false;
    if (at) text[at++] = ' ';
    memcpy(text + at, word, length + 1);
    return true;
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
static bool read_param(const Header *header, const char *at, const char *end, Param *param) {
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
            if (stars == 1 && isdigit((unsigned char)rest[strspn(rest, " ")]))
                param->fixed = strtol(rest, NULL, 0);
            while (*next_token(&rest, token) && *token != ']') continue;
        } else if (is_word(*token) && count < 4 && strlen(token) < 64) {
            strcpy(words[count++], token);
        } else {
            return false;
        }
    }
    /* The last word is the name, unless it is a part of the type. */
    TypeKind kind;
    bool is_enum = count > 1 && strcmp(words[0], "enum") == 0;
    bool named = count > 1 + is_enum && !find_kind(words[count - 1], &kind);
    for (int i = 0; i < count - named; i++) add_word(param->type, sizeof param->type, words[i]);
    if (named) strcpy(param->name, words[count - 1]);
    normalize(param->type);
    param->pointer = stars == 1;
    if (is_enum) param->kind = TY_i32;
    return count > 0 && stars <= 1 &&
           (is_enum || find_kind(param->type, &param->kind) || find_alias(header, param->type, &param->kind));
}

typedef struct Taken {
    const char *name;
    bool is_word;
} Taken;

static void compare_word(void *data, const char *word) {
    Taken *taken = data;
    taken->is_word |= strcmp(taken->name, word) == 0;
}

/* A parameter may have a name that the language reserves, such as min, or that the draft itself uses, also as a type. */
static void choose_name(const Header *header, Param *param) {
    Taken taken = {param->name, strcmp(param->name, "result") == 0};
    TypeKind kind;
    each_word(compare_word, &taken);
    taken.is_word |= find_alias(header, param->name, &kind);
    snprintf(param->safe, sizeof param->safe, "%s%s", param->name, taken.is_word ? "_" : "");
}

static void name_params(const Header *header, Prototype *p) {
    for (int i = 0; i < p->count; i++) {
        Param *param = &p->params[i];
        if (!*param->name) snprintf(param->name, sizeof param->name, "a%d", i);
        choose_name(header, param);
    }
}

static bool is_static(const char *text, const char *end) {
    char token[128];
    while (text < end && *next_token(&text, token)) {
        if (strcmp(token, "static") == 0) return true;
    }
    return false;
}

/* Says why it is not drafted, with the text from `at` to `end`, its blanks as they print best. The first reason counts. */
static void lacks(Prototype *p, const char *format, const char *at, const char *end) {
    char text[96];
    size_t length = 0;
    bool blank = false;
    if (*p->why) return;
    while (at < end && isspace((unsigned char)*at)) at++;
    if (end - at > 7 && strncmp(at, "extern", 6) == 0 && isspace((unsigned char)at[6])) at += 7;
    for (; at < end && length + 6 < sizeof text; at++) {
        if (isspace((unsigned char)*at)) {
            blank = length > 0;
            continue;
        }
        if (blank) text[length++] = ' ';
        blank = false;
        text[length++] = *at;
    }
    text[length] = 0;
    if (at < end) strcat(text, "..");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(p->why, sizeof p->why, format, text);
#pragma GCC diagnostic pop
}

/* Reads what is between the parentheses, as far as the language has types for it. */
static void read_params(const Header *header, const char *at, const char *close, Prototype *p) {
    int depth = 0;
    bool calls = false;
    for (const char *end = at; end <= close && !*p->why; end++) {
        depth += (*end == '(') - (*end == ')' && end != close);
        calls |= *end == '(';
        if (end != close && (*end != ',' || depth > 0)) continue;
        if (strspn(at, " \t\n") >= (size_t)(end - at) && p->count == 0) break; /* () */
        if (calls)
            lacks(p, "its parameter `%s` is a function", at, end);
        else if (p->count == PARAMS)
            lacks(p, "it has too many parameters: from `%s` on", at, end);
        else if (memchr(at, '.', (size_t)(end - at)))
            lacks(p, "it takes any number of arguments, `%s`", at, end);
        else if (!read_param(header, at, end, &p->params[p->count]))
            lacks(p, "its parameter `%s` has no type of the language", at, end);
        if (*p->why) break;
        const Param *param = &p->params[p->count];
        if (param->kind == TY_unknown && !param->pointer) break; /* (void) */
        if (param->kind == TY_unknown) lacks(p, "its parameter `%s` points to what has no type", at, end);
        p->count++;
        calls = false;
        at = end + 1;
    }
}

/* Reads `double mean(const double *x, size_t n)`. False: it declares no function. */
static bool read_prototype(const Header *header, const char *text, Prototype *p) {
    const char *open = strchr(text, '('), *close = strrchr(text, ')'), *name = open;
    if (!open || !close || is_static(text, open)) return false;
    while (name > text && isspace((unsigned char)name[-1])) name--;
    const char *name_end = name;
    while (name > text && is_word(name[-1])) name--;
    if (name == name_end || name == text || (size_t)(name_end - name) >= sizeof p->name) return false;
    *p = (Prototype){0};
    memcpy(p->name, name, (size_t)(name_end - name));
    if (!read_param(header, text, name, &p->result))
        lacks(p, "its result `%s` has no type of the language", text, name);
    read_params(header, open + 1, close, p);
    if (*p->why) return true;
    name_params(header, p);
    roles_find(p);
    return true;
}

/* ---- the header ---- */

/* The first sentence of a comment, as one line. */
static void first_sentence(const char *comment, char *doc, size_t room) {
    size_t length = 0;
    bool blank = false;
    *doc = 0;
    while (*comment && strchr(" \t\n*/!<", *comment)) comment++;
    if (*comment == '@' || *comment == '\\') comment += strcspn(comment, " \t\n"); /* of Doxygen: @brief */
    for (const char *at = comment; *at && length + 2 < room; at++) {
        bool ends = *at == '.' && (!at[1] || isspace((unsigned char)at[1]));
        bool star = *at == '*' && blank;
        if (ends) return;
        if (isspace((unsigned char)*at) || star) {
            if (*at == '\n' && at[1 + strspn(at + 1, " \t*/")] == '\n') return; /* a paragraph's end */
            blank = true;
            continue;
        }
        if (blank && length) doc[length++] = ' ';
        blank = false;
        doc[length++] = *at;
        doc[length] = 0;
    }
    if (length + 2 >= room) doc[0] = 0; /* no sentence, but a story */
}

static void take_typedef(Header *header, const char *text) {
    Param param;
    Alias alias = {0};
    if (!read_param(header, text, text + strlen(text), &param) || param.pointer || !*param.name) return;
    if (param.kind == TY_unknown) return;
    strcpy(alias.name, param.name);
    alias.kind = param.kind;
    buf_put(&header->aliases, (const char *)&alias, sizeof alias);
}

/* One declarator with what comes before all. */
static void take_part(Header *header, const char *text) {
    static const char word[] = "typedef ";
    Prototype p;
    if (strncmp(text, word, sizeof word - 1) == 0) {
        take_typedef(header, text + sizeof word - 1);
    } else if (header->own && read_prototype(header, text, &p)) {
        if (header->all && strncmp(p.name, "__", 2) == 0) return; /* the compiler's own */
        first_sentence(header->comment.length ? header->comment.text : "", p.doc, sizeof p.doc);
        header->found = true;
        header->visit(header->data, &p);
    }
}

static void end_declaration(Header *header) {
    Buf part = {0};
    buf_put(&header->comment, "", 0);
    buf_put(&header->declaration, "", 0);
    if (header->declaration.length && !header->declaration.failed) {
        declaration_clean(header->declaration.text);
        for (int i = 0; declaration_part(header->declaration.text, i, &part); i++)
            take_part(header, part.text);
    }
    buf_release(&part);
    header->declaration.length = header->comment.length = 0;
}

/* A definition in braces has ended: of a function's body, or a struct, nothing is kept of it; `typedef enum {..} mode` is one
 * of an int. */
static void end_braces(Header *header) {
    static const char word[] = "typedef enum";
    buf_put(&header->declaration, "", 0);
    bool number = header->declaration.length && !header->declaration.failed &&
                  strncmp(header->declaration.text, word, sizeof word - 1) == 0;
    header->declaration.length = 0;
    if (number) buf_put(&header->declaration, "typedef int ", 12);
}

/* Takes one character of code at the outermost level of braces, or changes the level. */
static void take_character(Header *header, const char *c) {
    header->depth += (*c == '{') - (*c == '}');
    if (*c == ';' && header->depth == 0)
        end_declaration(header);
    else if (*c == '}' && header->depth == 0)
        end_braces(header);
    else if (header->declaration.length || !isspace((unsigned char)*c))
        buf_put(&header->declaration, c, 1);
}

static void take_line(Header *header, const char *line) {
    bool first = true; /* nothing but blanks so far */
    if (line[strspn(line, " \t\n")] == 0 && !header->in_block) header->comment.length = 0;
    for (const char *c = line; *c; c++) {
        if (header->in_block) {
            if (header->kept) buf_put(&header->comment, c, 1);
            if (c[0] == '*' && c[1] == '/') {
                header->in_block = false;
                if (header->kept) header->comment.length--;
                c++;
            }
        } else if (c[0] == '/' && (c[1] == '*' || c[1] == '/')) {
            header->kept = first && !header->declaration.length;
            if (c[1] == '/') {
                if (header->kept) buf_put(&header->comment, c + 2, strlen(c + 2));
                return;
            }
            if (header->kept) header->comment.length = 0;
            header->in_block = true;
            c++;
        } else {
            first = first && isspace((unsigned char)*c);
            take_character(header, c);
        }
    }
}

static void read_lines(Header *header, FILE *file) {
    char line[8192];
    while (fgets(line, sizeof line, file)) {
        char *name = line[0] == '#' ? strchr(line, '"') : NULL, *end = name ? strrchr(line, '"') : NULL;
        if (line[0] != '#') {
            take_line(header, line);
        } else if (name) {
            bool same = (size_t)(end - name - 1) == strlen(header->path) &&
                        strncmp(name + 1, header->path, strlen(header->path)) == 0;
            header->own = header->all || same;
        }
    }
}

static bool read_header(Header *header, Fault *fault) {
    const char *compiler = getenv("CC");
    char command[4096];
    snprintf(command, sizeof command, "%s -E -C '%s'", compiler && *compiler ? compiler : "cc", header->path);
    FILE *pipe = popen(command, "re");
    if (!pipe) return fault_set(fault, E_File, "cannot start the C preprocessor");
    read_lines(header, pipe);
    header->declaration.length = header->comment.length = 0;
    return pclose(pipe) == 0 ||
           fault_set(fault, E_File, "the C preprocessor does not accept %.200s", header->path);
}

bool prototypes_read(const char *path, PrototypeVisit visit, void *data, Fault *fault) {
    if (access(path, R_OK) != 0)
        return fault_set(fault, E_File, "cannot read %.200s: %s", path, strerror(errno));
    if (strchr(path, '\''))
        return fault_set(fault, E_File, "cannot read %.200s: there is a ' in its name", path);
    Header header = {.path = path, .visit = visit, .data = data};
    bool ok = read_header(&header, fault);
    header.all = true;
    if (ok && !header.found) ok = read_header(&header, fault);
    buf_release(&header.declaration);
    buf_release(&header.comment);
    buf_release(&header.aliases);
    return ok;
}
