/* print.c: programs as text that reads back to the same program.
 *
 * Parentheses only where the grammar of parse.c needs them: an expression is printed for a place that takes
 * operators of at least some precedence, and is put in parentheses if its own is lower. Every symbol gets a
 * name that no other has (x, x_1, ...), so a printed program may be cut and pasted. Constants of the passes
 * have no literal of their own where the language has none: -5 is a `-` and a 5, NaN is `0.0 / 0.0`, infinity
 * `1.0 / 0.0`; reading them back gives operators, which print the same.
 *
 * A binder's type is printed if `typed`, if the program was not inferred yet and it was written, and for the
 * program's own parameters. Floats have the fewest digits that read back to the same value. In indented text
 * every let is a line, and a list with long items is broken before them.
 */
#include "lang.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Precedences beside those of scalar.def. */
enum { EXPR = 0, OR = 1, AND = 2, DIVISION = 10, ASCRIBED = 11, PREFIX = 12, POSTFIX = 13 };
enum { LONG = 16, WIDEST = 40 /* levels */, SHALLOW = 300, DEEPEST = 21000 };

/* A name in use. */
typedef struct Used {
    const char *text;
    bool owned;
    int next; /* the number to try for the next symbol of this name */
} Used;

typedef struct Printer {
    Buf *out;
    const Node *root;
    bool typed, inferred;
    int indent, level;
    const char **names; /* by symbol id; NULL: not named yet */
    size_t known;
    Used *used; /* a hash table */
    size_t capacity, count;
} Printer;

static void print(Printer *p, const Node *node, int least);

static void put(Printer *p, const char *text) {
    buf_put(p->out, text, strlen(text));
}

/* ---- scalars ---- */

/* The shortest digits that read back, with a point or an exponent. */
static void float_digits(char text[48], double value, bool narrow) {
    char raw[40];
    bool tiny = fabs(value) < (narrow ? 1.2e-38 : 2.3e-308);
    int digits = tiny ? 1 : narrow ? 6 : 15;
    for (;; digits++) {
        snprintf(raw, sizeof raw, "%.*g", digits, value);
        if (narrow ? strtof(raw, NULL) == (float)value : strtod(raw, NULL) == value) break;
        if (digits >= 17) break;
    }
    char *to = text;
    bool real = false;
    for (const char *from = raw; *from; from++) {
        if (*from == 'e') {
            real = true;
            *to++ = *from++;
            if (*from == '-') *to++ = '-';
            while (from[1] && (*from == '-' || *from == '+' || *from == '0')) from++;
            *to++ = *from;
        } else if ((*from >= '0' && *from <= '9') || *from == '-') {
            *to++ = *from;
        } else if (!real) { /* the locale's decimal point */
            real = true;
            *to++ = '.';
        }
    }
    if (!real) *to++ = '.', *to++ = '0';
    *to = 0;
}

/* Prints a literal; returns the precedence of what was printed, or only that if out is NULL. */
static int literal_write(Buf *out, const Type *type, const void *bytes) {
    const TypeClass *class = &type_classes[type->kind];
    const char *suffix = literal_suffix(type->kind);
    if (class->class == 'f') {
        double value;
        float narrow = 0;
        if (type->kind == TY_f32) memcpy(&narrow, bytes, sizeof narrow);
        if (type->kind == TY_f32)
            value = narrow;
        else
            memcpy(&value, bytes, sizeof value);
        if (!isfinite(value)) {
            const char *up = isnan(value) ? "0.0" : value < 0 ? "-1.0" : "1.0";
            if (out) buf_printf(out, "%s%s / 0.0%s", up, suffix, suffix);
            return DIVISION;
        }
        char text[48];
        if (out) {
            float_digits(text, value, type->kind == TY_f32);
            buf_printf(out, "%s%s", text, suffix);
        }
        return PREFIX;
    }
    uint64_t bits = 0;
    memcpy(&bits, bytes, class->bits / 8);
    int shift = 64 - class->bits;
    if (!out) return PREFIX;
    if (class->class == 'b') {
        buf_printf(out, "%s", bits ? "true" : "false");
    } else if (class->class == 's') {
        buf_printf(out, "%lld%s", (long long)(int64_t)(bits << shift) >> shift, suffix);
    } else {
        buf_printf(out, "%llu%s", (unsigned long long)bits, suffix);
    }
    return PREFIX;
}

void literal_print(Buf *out, const Type *type, const void *value) {
    bool open = literal_write(NULL, type, value) == DIVISION;
    if (open) buf_put(out, "(", 1);
    literal_write(out, type, value);
    if (open) buf_put(out, ")", 1);
}

static void print_string(Buf *out, const char *bytes, uint64_t length) {
    static const char special[] = "\n\t\\\"", letters[] = "nt\\\"";
    buf_put(out, "\"", 1);
    for (uint64_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        const char *found = c ? strchr(special, c) : NULL;
        if (found)
            buf_printf(out, "\\%c", letters[found - special]);
        else if (c < ' ' || c >= 127)
            buf_printf(out, "\\x%02x", c);
        else
            buf_put(out, bytes + i, 1);
    }
    buf_put(out, "\"", 1);
}

/* ---- names ---- */

static Used *used_find(const Printer *p, const char *text) {
    uint32_t hash = 2166136261u;
    for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    size_t at = (hash ^ hash >> 15) & (p->capacity - 1);
    while (p->used[at].text && strcmp(p->used[at].text, text) != 0) at = (at + 1) & (p->capacity - 1);
    return &p->used[at];
}

/* Makes room for one more name. */
static bool used_grow(Printer *p) {
    if (p->count * 2 < p->capacity) return true;
    Printer larger = *p;
    larger.capacity = p->capacity ? p->capacity * 2 : 512;
    larger.used = calloc(larger.capacity, sizeof *larger.used);
    if (!larger.used) return !(p->out->failed = true);
    for (size_t i = 0; i < p->capacity; i++) {
        if (p->used[i].text) *used_find(&larger, p->used[i].text) = p->used[i];
    }
    free(p->used);
    *p = larger;
    return true;
}

static Used *used_add(Printer *p, const char *text, bool owned) {
    if (!used_grow(p)) return NULL;
    Used *used = used_find(p, text);
    if (used->text) return used;
    *used = (Used){text, owned, 1};
    p->count++;
    return used;
}

static void reserve(void *data, const char *word) {
    used_add(data, word, false);
}

/* The names of the standard macros, from the text that defines them. */
static void reserve_macros(Printer *p) {
    static const char key[] = "macro ";
    const char *text = prelude_weld, *end = text + prelude_weld_length;
    for (; (size_t)(end - text) > sizeof key; text++) {
        if (memcmp(text, key, sizeof key - 1) != 0 || (text > prelude_weld && text[-1] != '\n')) continue;
        const char *name = text + sizeof key - 1;
        size_t length = (size_t)(strchr(name, '(') ? strchr(name, '(') - name : 0);
        char *copy = calloc(1, length + 1);
        if (copy) memcpy(copy, name, length);
        Used *used = copy ? used_add(p, copy, true) : NULL;
        if (!used || used->text != copy) free(copy);
    }
}

/* The symbol's name in this text. */
static const char *name_for(Printer *p, const Symbol *symbol) {
    size_t id = (size_t)symbol->id;
    if (id >= p->known) {
        size_t known = (id + 16) * 2;
        const char **names = realloc(p->names, known * sizeof *names);
        if (!names) {
            p->out->failed = true;
            return "";
        }
        memset(names + p->known, 0, (known - p->known) * sizeof *names);
        p->names = names;
        p->known = known;
    }
    if (p->names[id]) return p->names[id];
    const char *own = symbol->name && *symbol->name ? symbol->name : "t";
    if (!used_grow(p)) return "";
    Used *used = used_find(p, own);
    if (!used->text) return p->names[id] = used_add(p, own, false)->text;
    size_t room = strlen(own) + 16;
    char *text = malloc(room);
    if (!text) {
        p->out->failed = true;
        return "";
    }
    do snprintf(text, room, "%s_%d", own, used->next++);
    while (used_find(p, text)->text);
    return p->names[id] = used_add(p, text, true)->text;
}

/* ---- layout ---- */

/* As how many nodes a literal reads back: a minus is one of its own, except that of the least integer; NaN and the
 * infinities are quotients. */
static int literal_nodes(const Node *node) {
    const Type *type = node->type;
    if (type_is_float(type)) {
        double value;
        float narrow;
        memcpy(&narrow, &node->bits, sizeof narrow);
        memcpy(&value, &node->bits, sizeof value);
        if (type->kind == TY_f32) value = (double)narrow;
        if (isnan(value)) return 3;
        return (isinf(value) ? 3 : 1) + (signbit(value) != 0);
    }
    if (!type_is_signed(type)) return 1;
    uint64_t sign = UINT64_C(1) << (type->size * 8 - 1);
    return (node->bits & sign) && (node->bits & (sign - 1)) ? 2 : 1;
}

/* What is left of `budget` after the nodes below; lets and loops are long in themselves. */
static int weigh(const Node *node, int budget) {
    if (node->kind == N_Literal) return budget - literal_nodes(node);
    if (node->kind == N_Let || node->kind == N_For) budget -= LONG;
    budget--;
    for (int i = 0; i < node->count && budget > 0; i++) budget = weigh(node->kids[i], budget);
    return budget;
}

static bool is_long(const Printer *p, const Node *node) {
    return p->indent > 0 && weigh(node, LONG) <= 0;
}

static void newline(Printer *p) {
    put(p, "\n");
    int level = p->level < WIDEST ? p->level : WIDEST; /* so that deep programs print in linear time */
    for (int i = 0; i < level * p->indent; i++) buf_put(p->out, " ", 1);
}

static void print_list(Printer *p, Node *const *items, int count, const char *open, const char *close) {
    /* A sole item stays on the line, at the level, of what it is an operand of; lets need lines of their own.
     */
    bool inside = count > 1 || (count == 1 && items[0]->kind == N_Let), broken = false;
    put(p, open);
    p->level += inside;
    for (int i = 0; i < count; i++) {
        bool own = inside && is_long(p, items[i]);
        if (i) put(p, own || broken ? "," : ", ");
        if (own || broken) newline(p);
        broken = own;
        print(p, items[i], EXPR);
    }
    p->level -= inside;
    put(p, close);
}

static bool is_unknown(const Type *type) {
    return type_find((Type *)(uintptr_t)type)->kind == TY_unknown;
}

/* A builder of which nothing is known is its name alone. */
static void print_type(Printer *p, const Type *type) {
    const TypeClass *class = &type_classes[type->kind];
    bool bare = class->class == 'm' && !class->has_op;
    for (int i = 0; i < type->count; i++) bare = bare && is_unknown(type->args[i]);
    if (bare)
        put(p, class->spelling);
    else
        type_print(p->out, type);
}

/* `: T` after a binder's name, if it is to be there. */
static void print_binder(Printer *p, const Symbol *symbol, bool always) {
    put(p, name_for(p, symbol));
    const Type *type = type_find(symbol->type);
    if (type->kind == TY_unknown || !(always || p->typed || !p->inferred)) return;
    put(p, ": ");
    print_type(p, type);
}

static void print_notes(Printer *p, const Annotation *note) {
    if (!note) return;
    put(p, "@(");
    for (; note; note = note->next) {
        buf_printf(p->out, "%s:", note->key);
        put(p, note->value);
        if (note->next) put(p, ", ");
    }
    put(p, ")");
}

/* ---- nodes ---- */

static bool is_empty_vec(const Node *node) {
    return node->kind == N_Vec && node->count == 0 && node->type && type_find(node->type)->kind != TY_unknown;
}

static int precedence_of(const Node *node) {
    switch (node->kind) {
    case N_Let:
    case N_Lambda: return EXPR;
    case N_Or: return OR;
    case N_And: return AND;
    case N_Ascribe: return ASCRIBED;
    case N_Literal: return literal_write(NULL, node->type, &node->bits);
    case N_Unary: return op_classes[node->op].precedence < 0 ? PREFIX : POSTFIX;
    case N_Binary:
    case N_Compare: return op_classes[node->op].precedence > 0 ? op_classes[node->op].precedence : POSTFIX;
    default: return is_empty_vec(node) ? ASCRIBED : POSTFIX;
    }
}

static void print_lambda(Printer *p, const Node *node) {
    put(p, "|");
    for (int i = 0; i < node->nparams; i++) {
        if (i) put(p, ", ");
        print_binder(p, node->params[i], node == p->root);
    }
    put(p, "|");
    if (is_long(p, node->kids[0])) {
        p->level++;
        newline(p);
        print(p, node->kids[0], EXPR);
        p->level--;
    } else {
        put(p, " ");
        print(p, node->kids[0], EXPR);
    }
}

/* grad(f, 0, 2)(arguments), or jvp, whose last argument is the direction */
static void print_derivative(Printer *p, const Node *node) {
    put(p, node_classes[node->kind].spelling);
    put(p, "(");
    print(p, node->kids[0], EXPR);
    for (int i = 0; i < 64; i++) {
        if (node->bits >> i & 1) buf_printf(p->out, ", %d", i);
    }
    put(p, ")");
    print_list(p, node->kids + 1, node->count - 1, "(", ")");
}

/* assert(condition, "message", numbers) */
static void print_told(Printer *p, const Node *node) {
    put(p, "assert(");
    print(p, node->kids[0], EXPR);
    put(p, ", ");
    print_string(p->out, node->text, node->bits);
    for (int i = 1; i < node->count; i++) {
        put(p, ", ");
        print(p, node->kids[i], EXPR);
    }
    put(p, ")");
}

/* Lets in a loop, then what they stand before. */
static void print_lets(Printer *p, const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        put(p, "let ");
        print_binder(p, node->symbol, false);
        put(p, " = ");
        p->level++;
        print(p, node->kids[0], OR);
        p->level--;
        put(p, ";");
        if (p->indent)
            newline(p);
        else
            put(p, " ");
    }
    print(p, node, EXPR);
}

/* Between two parts of a for: on a line of its own what is long, and what follows it. */
static void print_gap(Printer *p, bool own) {
    put(p, own ? "," : ", ");
    if (own) newline(p);
}

static void print_for(Printer *p, const Node *node) {
    int iters = node->count - 2;
    bool tall = iters == 1 && is_long(p, node->kids[0]);
    bool built = is_long(p, node->kids[iters]), body = is_long(p, node->kids[iters + 1]);
    put(p, "for(");
    p->level++;
    if (tall) newline(p);
    if (iters == 1)
        print(p, node->kids[0], EXPR);
    else
        print_list(p, node->kids, iters, "zip(", ")");
    print_gap(p, tall || built);
    print(p, node->kids[iters], EXPR);
    print_gap(p, tall || built || body);
    print(p, node->kids[iters + 1], EXPR);
    p->level--;
    put(p, ")");
}

/* Infix operators group to the left. */
static void print_infix(Printer *p, const Node *node, const char *spelling, int precedence) {
    print(p, node->kids[0], precedence);
    buf_printf(p->out, " %s ", spelling);
    print(p, node->kids[1], precedence + 1);
}

static void print_op(Printer *p, const Node *node) {
    const OpClass *class = &op_classes[node->op];
    put(p, class->precedence > 0 ? "" : class->spelling);
    if (class->precedence > 0)
        print_infix(p, node, class->spelling, class->precedence);
    else if (class->precedence < 0)
        print(p, node->kids[0], PREFIX);
    else
        print_list(p, node->kids, node->count, "(", ")");
}

/* What stands before the list of kids of a node that is written like a call. */
static void print_head(Printer *p, const Node *node) {
    switch (node->kind) {
    case N_Cast: put(p, type_classes[type_find(node->type)->kind].spelling); break;
    case N_Iter: put(p, iter_classes[node->iter].spelling); break;
    case N_Deserialize:
        put(p, "deserialize[");
        print_type(p, node->type);
        put(p, "]");
        break;
    case N_Cudf:
    case N_Cfun:
    case N_Cfill:
        buf_printf(p->out, "%s[%s,", node_classes[node->kind].spelling, node->text);
        print_type(p, node->type);
        put(p, "]");
        break;
    case N_Exchange:
        buf_printf(p->out, "exchange[%s", exchange_classes[node->bits].spelling);
        if (exchange_classes[node->bits].combines) buf_printf(p->out, ",%s", op_classes[node->op].spelling);
        put(p, "]");
        break;
    case N_NewBuilder: print_type(p, node->type); break;
    default: put(p, node_classes[node->kind].spelling); break;
    }
}

static void print_node(Printer *p, const Node *node) {
    switch (node->kind) {
    case N_Literal: literal_write(p->out, node->type, &node->bits); break;
    case N_String: print_string(p->out, node->text, node->bits); break;
    case N_Ident: put(p, node->symbol ? name_for(p, node->symbol) : node->text); break;
    case N_Let: print_lets(p, node); break;
    case N_Lambda: print_lambda(p, node); break;
    case N_Apply:
        print(p, node->kids[0], POSTFIX);
        print_list(p, node->kids + 1, node->count - 1, "(", ")");
        break;
    case N_Grad:
    case N_Jvp: print_derivative(p, node); break;
    case N_Ascribe:
        print(p, node->kids[0], PREFIX);
        put(p, ": ");
        print_type(p, node->type);
        break;
    case N_Field:
        print(p, node->kids[0], POSTFIX);
        buf_printf(p->out, ".$%d", node->index);
        break;
    case N_Struct: print_list(p, node->kids, node->count, "{", "}"); break;
    case N_Vec:
        print_list(p, node->kids, node->count, "[", "]");
        if (!is_empty_vec(node)) break;
        put(p, ": ");
        print_type(p, node->type);
        break;
    case N_Unary:
    case N_Binary:
    case N_Compare: print_op(p, node); break;
    case N_And: print_infix(p, node, "&&", AND); break;
    case N_Or: print_infix(p, node, "||", OR); break;
    case N_For: print_for(p, node); break;
    case N_Iter:
        if (node->iter == IT_scalar && node->count == 1)
            print(p, node->kids[0], EXPR);
        else
            print_head(p, node), print_list(p, node->kids, node->count, "(", ")");
        break;
    case N_NewBuilder:
        print_head(p, node);
        if (node->count) print_list(p, node->kids, node->count, "(", ")");
        break;
    case N_Assert:
        if (node->text) {
            print_told(p, node);
            break;
        }
        /* fallthrough */
    default:
        print_head(p, node);
        print_list(p, node->kids, node->count, "(", ")");
        break;
    }
}

static void print(Printer *p, const Node *node, int least) {
    if (!node) {
        put(p, "<nothing>");
        return;
    }
    bool open = precedence_of(node) < least, lets = open && node->kind == N_Let && p->indent;
    if (open) put(p, "(");
    p->level += lets;
    if (lets) newline(p);
    print_notes(p, node->notes);
    print_node(p, node);
    p->level -= lets;
    if (open) put(p, ")");
}

/* ---- entry ---- */

/* Has the tree a path of more than `levels` nodes? Recurses no deeper than that. */
static bool is_deep(const Node *node, int levels) {
    if (levels == 0) return true;
    for (; node->kind == N_Let && node->kids[1]; node = node->kids[1]) {
        if (is_deep(node->kids[0], levels - 1)) return true;
    }
    for (int i = 0; i < node->count; i++) {
        if (node->kids[i] && is_deep(node->kids[i], levels - 1)) return true;
    }
    return false;
}

static void print_root(void *data) {
    Printer *p = data;
    print(p, p->root, EXPR);
}

static void print_all(Buf *out, const Node *node, bool typed, int indent) {
    Printer p = {.out = out, .root = node, .typed = typed, .indent = indent};
    each_word(reserve, &p);
    reserve_macros(&p);
    p.inferred = node->type && !type_find(node->type)->open;
    if (p.capacity && !run_deep(is_deep(node, SHALLOW) ? DEEPEST : 1, print_root, &p)) out->failed = true;
    for (size_t i = 0; i < p.capacity; i++) {
        if (p.used[i].owned) free((void *)(uintptr_t)p.used[i].text);
    }
    free(p.used);
    free(p.names);
}

void node_print(Buf *out, const Node *node, bool typed, int indent) {
    print_all(out, node, typed, indent);
}

void program_print(Buf *out, const Program *program, bool typed) {
    print_all(out, program->bare ? program->root->kids[0] : program->root, typed, 2);
    buf_put(out, "\n", 1);
}
