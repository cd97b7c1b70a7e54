/* parse_type.c: types and annotations, by the rows of types.def. */
#include "parse.h"

enum { DEEPEST_TYPE = 200, LARGEST_TYPE = 10000 /* constructors, aliases spelled out */ };

/* ---- annotations ---- */

/* The text of a token as written, for a key or a value. */
static const char *parse_note_part(Parser *p, bool value) {
    uint32_t begin = p->token.span.begin;
    bool minus = value && parse_take(p, "-");
    bool good = p->token.kind == TK_literal || (!minus && p->token.kind == TK_string);
    if (p->token.kind != TK_ident && !(value && good)) {
        parse_expected(p, value ? "the value of the annotation" : "the name of an annotation");
        return NULL;
    }
    parse_advance(p);
    Span span = parse_since(p, begin);
    const char *text = p->program->source[span.source].text + begin;
    if (memchr(text, 0, span.end - begin)) {
        error_set(&p->program->error, E_Syntax, span, "an annotation cannot hold a NUL byte");
        return NULL;
    }
    return arena_copy(&p->program->arena, text, span.end - begin);
}

/* `@(key: value, ..)`, any number of times. */
bool parse_notes(Parser *p, Annotation **notes) {
    while (parse_take(p, "@")) {
        if (!parse_want(p, "(", "after '@'")) return false;
        while (!parse_at(p, ")")) {
            Annotation *note = arena_alloc(&p->program->arena, sizeof *note);
            note->key = parse_note_part(p, false);
            if (!note->key || !parse_want(p, ":", "after the name of an annotation")) return false;
            note->value = parse_note_part(p, true);
            if (!note->value) return false;
            *notes = note;
            notes = &note->next;
            if (!parse_take(p, ",")) break;
        }
        if (!parse_want(p, ")", "to close the '(' of the annotations")) return false;
    }
    return true;
}

/* ---- types ---- */

bool parse_type_op(Parser *p, const char *of, Op *op) {
    for (int i = 0; i < OP_COUNT; i++) {
        if (!(op_classes[i].traits & REDUCE)) continue;
        if (!parse_at(p, op_classes[i].spelling) && !parse_at_word(p, op_classes[i].spelling)) continue;
        parse_advance(p);
        *op = (Op)i;
        return true;
    }
    return parse_expected(p, "the operator of %s: +, *, min or max", of);
}

/* `T, .. ]` or `T, .. }` and, where the kind of type has one, an operator. count -1: any number. */
static Type *parse_type_args(Parser *p, TypeKind kind, int count, const char *close, int *size) {
    const TypeClass *class = &type_classes[kind];
    int found = 0;
    Op op = OP_none;
    while (!parse_at(p, close) && (count < 0 || found < count)) {
        Type *arg = parse_type(p, size);
        if (!arg || !parse_push(p, arg)) return NULL;
        found++;
        if (!parse_take(p, ",")) break;
    }
    if (found < count) {
        parse_fail(p, p->token.span, "%s takes %d type%s%s, not %d", class->spelling, count,
                   count == 1 ? "" : "s", class->has_op ? " and an operator" : "", found);
        return NULL;
    }
    if (class->has_op) {
        if (!parse_type_op(p, class->spelling, &op)) return NULL;
        parse_take(p, ",");
    }
    if (!parse_take(p, close)) {
        parse_expected(p, "'%s' to close the type", close);
        return NULL;
    }
    Type **args = parse_pop(p, found);
    return args ? type_make(&p->program->types, kind, op, found, args) : NULL;
}

Type *parse_type_name(Parser *p, int *size) {
    const Name *name = parse_word_at(p);
    Span span = p->token.span;
    if (!name) {
        parse_expected(p, "a type");
        return NULL;
    }
    parse_advance(p);
    if (name->word == WD_scalar) return type_scalar(&p->program->types, (TypeKind)name->row);
    if (name->word == WD_composite || name->word == WD_builder) {
        const TypeClass *class = &type_classes[name->row];
        if (class->class == 'm' && !class->has_op && !parse_at(p, "[")) {
            Type *args[2] = {type_unknown(&p->program->types), type_unknown(&p->program->types)};
            return type_make(&p->program->types, (TypeKind)name->row, OP_none, class->arguments, args);
        }
        if (!parse_take(p, "[")) {
            parse_expected(p, "'[' and the types of %s", class->spelling);
            return NULL;
        }
        return parse_type_args(p, (TypeKind)name->row, class->arguments, "]", size);
    }
    if (name->alias) {
        *size += name->size - 1;
        return name->alias;
    }
    const char *names[TY_COUNT];
    size_t count = 0;
    for (int kind = TY_bool; kind < TY_COUNT; kind++) names[count++] = type_classes[kind].spelling;
    const char *near = nearest_name(name->text, names, count);
    parse_fail(p, span, "there is no type %.64s%s%s%s", name->text, near ? "; did you mean " : "",
               near ? near : "", near ? "?" : "");
    return NULL;
}

Type *parse_type(Parser *p, int *size) {
    Annotation *dropped = NULL;
    Span span = p->token.span;
    if (!parse_notes(p, &dropped)) return NULL;
    if (p->type_depth >= DEEPEST_TYPE) {
        parse_fail(p, span, "the type is nested too deeply");
        return NULL;
    }
    p->type_depth++;
    ++*size;
    Type *type = parse_take(p, "?")   ? type_unknown(&p->program->types)
                 : parse_take(p, "{") ? parse_type_args(p, TY_struct, -1, "}", size)
                                      : parse_type_name(p, size);
    p->type_depth--;
    if (type && *size > LARGEST_TYPE) {
        parse_fail(p, span, "the type is too large");
        return NULL;
    }
    if (type && type->kind == TY_simd && !type_is_scalar(type->args[0]) && type->args[0]->kind) {
        parse_fail(p, span, "simd takes a scalar type");
        return NULL;
    }
    return type;
}

bool parse_optional_type(Parser *p, Type **type) {
    int size = 0;
    if (!parse_take(p, ":")) return true;
    Type *found = parse_type(p, &size);
    if (found) *type = found;
    return found != NULL;
}
