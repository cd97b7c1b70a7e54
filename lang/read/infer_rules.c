/* infer_rules.c: the rules of types for values: constants, names, operators, structs, vectors, dictionaries.
 *
 * A rule unifies what must be equal, whichever side is known. The rule of a + b, on |x| x + 1L:
 *
 *     b is i64, so a (the variable of x) becomes i64; the sum is i64; i64 has a +. Done.
 *
 * and were both sides unknown, it would unify them with the sum, and WAIT until it can tell whether there is
 * a + on them. Rules may be asked any number of times and must then say the same.
 * The operands that scalar.def allows decide; simd values work lane by lane; nothing is ever converted.
 */
#include "infer.h"

#include <string.h>

static Verdict both(Verdict a, Verdict b) {
    return a < b ? a : b;
}

/* ---- constants, names, ascription ---- */

Verdict infer_Literal(Infer *in, Node *node) {
    Type *type = infer_type(in, node);
    return type_is_scalar(type) ? DONE : infer_fail(in, node->span, "a literal without a type");
}

Verdict infer_String(Infer *in, Node *node) {
    return infer_give(in, node, type_vec(in->types, infer_scalar(in, TY_i8)));
}

Verdict infer_Ident(Infer *in, Node *node) {
    if (!node->symbol) return infer_fail(in, node->span, "a name without a binding");
    if (!node->symbol->type) node->symbol->type = type_unknown(in->types);
    return infer_give(in, node, type_find(node->symbol->type));
}

/* The body has the let's type already: the visit unifies a whole chain of lets with its last body. */
Verdict infer_Let(Infer *in, Node *node) {
    Symbol *symbol = node->symbol;
    if (!symbol->type) symbol->type = infer_type(in, node->kids[0]);
    if (!infer_expect(in, node->kids[0], symbol->type, "the declared type of %s", symbol->name)) return FAIL;
    return in->entering ? DONE : infer_give(in, node, infer_type(in, node->kids[1]));
}

Verdict infer_Ascribe(Infer *in, Node *node) {
    return infer_expect(in, node->kids[0], infer_type(in, node), "what is stated after it") ? DONE : FAIL;
}

/* ---- structs and vectors ---- */

Verdict infer_Field(Infer *in, Node *node) {
    Type *whole = infer_type(in, node->kids[0]);
    if (whole->kind == TY_unknown) return WAIT;
    if (whole->kind != TY_struct)
        return infer_fail(in, node->kids[0]->span, "this is %s, which has no fields",
                          infer_text(in, whole).text);
    if (node->index < 0 || node->index >= whole->count)
        return infer_fail(in, node->span, "there is no field $%d in %s", node->index,
                          infer_text(in, whole).text);
    return infer_give(in, node, whole->args[node->index]);
}

Verdict infer_Struct(Infer *in, Node *node) {
    Type *type = infer_type(in, node);
    if (type->kind == TY_struct && type->count == node->count) {
        for (int i = 0; i < node->count; i++) {
            if (!infer_expect(in, node->kids[i], type->args[i], "field $%d", i)) return FAIL;
        }
        return DONE;
    }
    Type *few[16];
    Type **parts = few;
    if (node->count > 16) parts = arena_alloc(&in->program->arena, sizeof *parts * (size_t)node->count);
    if (!parts) return infer_fail(in, node->span, "out of memory");
    for (int i = 0; i < node->count; i++) parts[i] = infer_type(in, node->kids[i]);
    Type *whole = type_make(in->types, TY_struct, OP_none, node->count, parts);
    if (whole->parts >= TYPE_PARTS) return infer_fail(in, node->span, "the type of this has too many parts");
    return infer_give(in, node, whole);
}

Verdict infer_Vec(Infer *in, Node *node) {
    Type **element = infer_shape(in, node, TY_vec, "a list of elements");
    if (!element) return FAIL;
    for (int i = 0; i < node->count; i++) {
        if (!infer_expect(in, node->kids[i], element[0], "an element of this vector")) return FAIL;
    }
    return DONE;
}

Verdict infer_Len(Infer *in, Node *node) {
    if (!infer_shape(in, node->kids[0], TY_vec, "what len measures")) return FAIL;
    return infer_give(in, node, infer_scalar(in, TY_i64));
}

Verdict infer_Lookup(Infer *in, Node *node) {
    Type *container = infer_type(in, node->kids[0]);
    if (container->kind == TY_unknown) return WAIT;
    if (container->kind == TY_vec) {
        if (!infer_expect(in, node->kids[1], infer_scalar(in, TY_i64), "an index")) return FAIL;
        return infer_give(in, node, container->args[0]);
    }
    if (container->kind != TY_dict)
        return infer_fail(in, node->kids[0]->span, "this is %s, but lookup works on a vec or a dict",
                          infer_text(in, container).text);
    if (!infer_expect(in, node->kids[1], container->args[0], "a key of this dictionary")) return FAIL;
    return infer_give(in, node, container->args[1]);
}

Verdict infer_OptLookup(Infer *in, Node *node) {
    Type **dict = infer_shape(in, node->kids[0], TY_dict, "what optlookup searches");
    if (!dict || !infer_expect(in, node->kids[1], dict[0], "a key of this dictionary")) return FAIL;
    Type *type = infer_type(in, node);
    if (type->kind != TY_struct || type->count != 2)
        return infer_give(in, node, infer_pair(in, infer_scalar(in, TY_bool), dict[1]));
    bool fits =
        infer_unify(in, type->args[0], infer_scalar(in, TY_bool)) && infer_unify(in, type->args[1], dict[1]);
    return fits ? DONE : infer_give(in, node, infer_pair(in, infer_scalar(in, TY_bool), dict[1]));
}

Verdict infer_KeyExists(Infer *in, Node *node) {
    Type **dict = infer_shape(in, node->kids[0], TY_dict, "what keyexists searches");
    if (!dict || !infer_expect(in, node->kids[1], dict[0], "a key of this dictionary")) return FAIL;
    return infer_give(in, node, infer_scalar(in, TY_bool));
}

Verdict infer_Slice(Infer *in, Node *node) {
    if (!infer_shape(in, node->kids[0], TY_vec, "what slice cuts")) return FAIL;
    if (!infer_expect(in, node->kids[1], infer_scalar(in, TY_i64), "the start of a slice")) return FAIL;
    if (!infer_expect(in, node->kids[2], infer_scalar(in, TY_i64), "the size of a slice")) return FAIL;
    return infer_give(in, node, infer_type(in, node->kids[0]));
}

Verdict infer_ToVec(Infer *in, Node *node) {
    Type **dict = infer_shape(in, node->kids[0], TY_dict, "what tovec lists");
    return dict ? infer_give(in, node, type_vec(in->types, infer_pair(in, dict[0], dict[1]))) : FAIL;
}

/* ---- operators ---- */

/* Do the operands of scalar.def's class exist at this type? */
static bool class_allows(char allowed, char class) {
    switch (allowed) {
    case 'i': return class == 's' || class == 'u';
    case 'n': return class == 's' || class == 'u' || class == 'f';
    case 'f': return class == 'f';
    case 'l': return class == 's' || class == 'u' || class == 'b';
    case 'b': return class == 'b';
    default: return true;
    }
}

static const char *class_name(char allowed) {
    switch (allowed) {
    case 'i': return "integers";
    case 'n': return "numbers";
    case 'f': return "f32 or f64";
    case 'l': return "integers or bool";
    case 'b': return "bool";
    default: return "scalars";
    }
}

static Verdict operand_class(Infer *in, Op op, Node *operand) {
    const OpClass *class = &op_classes[op];
    Type *type = infer_type(in, operand);
    if (type->kind == TY_simd) type = type_find(type->args[0]);
    if (type->kind == TY_unknown) return WAIT;
    char have = type_classes[type->kind].class;
    if (type_is_scalar(type) && class_allows(class->class, have)) return DONE;
    bool convert = class->class == 'f' && (have == 's' || have == 'u');
    return infer_fail(in, operand->span, "this is %s, but %s works on %s%s",
                      infer_text(in, operand->type).text, class->spelling, class_name(class->class),
                      convert ? "; convert with f64(..)" : "");
}

Verdict infer_Unary(Infer *in, Node *node) {
    Node *operand = node->kids[0];
    return both(infer_give(in, node, infer_type(in, operand)), operand_class(in, node->op, operand));
}

/* Both operands of one type, which an operator's error names after its spelling. */
static bool same_operands(Infer *in, Node *node, int precedence, const char *spelling) {
    Type *left = infer_type(in, node->kids[0]);
    return infer_expect(in, node->kids[1], left,
                        precedence ? "the left side of %s" : "the first operand of %s", spelling);
}

Verdict infer_Binary(Infer *in, Node *node) {
    const OpClass *class = &op_classes[node->op];
    Verdict allowed = operand_class(in, node->op, node->kids[0]);
    if (allowed == FAIL || !same_operands(in, node, class->precedence, class->spelling)) return FAIL;
    if (allowed == WAIT) allowed = operand_class(in, node->op, node->kids[0]);
    if (allowed == FAIL) return FAIL;
    return both(infer_give(in, node, infer_type(in, node->kids[0])), allowed);
}

Verdict infer_Compare(Infer *in, Node *node) {
    const OpClass *class = &op_classes[node->op];
    if (!same_operands(in, node, class->precedence, class->spelling)) return FAIL;
    Type *type = infer_type(in, node->kids[0]);
    if (type->kind == TY_unknown) return WAIT;
    if (type->kind == TY_simd) {
        Type *lane = infer_scalar(in, TY_bool);
        return infer_give(in, node, type_make(in->types, TY_simd, OP_none, 1, &lane));
    }
    if (infer_give(in, node, infer_scalar(in, TY_bool)) == FAIL) return FAIL;
    type = type_resolve(in->types, type);
    if (type->open) return WAIT;
    if (type_is_comparable(type)) return DONE;
    return infer_fail(in, node->span, "values of type %s cannot be compared with %s",
                      infer_text(in, type).text, class->spelling);
}

/* On simd values, `&&` and `||` work lane by lane (infer.c then makes them `&` and `|`). */
static Verdict logic(Infer *in, Node *node) {
    Type *left = infer_type(in, node->kids[0]), *right = infer_type(in, node->kids[1]);
    Type *type = infer_scalar(in, TY_bool);
    if (left->kind == TY_simd || right->kind == TY_simd)
        type = type_make(in->types, TY_simd, OP_none, 1, &type);
    for (int i = 0; i < 2; i++) {
        if (!infer_expect(in, node->kids[i], type, "an operand of %s", node_classes[node->kind].spelling))
            return FAIL;
    }
    return infer_give(in, node, type);
}

Verdict infer_And(Infer *in, Node *node) {
    return logic(in, node);
}
Verdict infer_Or(Infer *in, Node *node) {
    return logic(in, node);
}

Verdict infer_Cast(Infer *in, Node *node) {
    Type *from = infer_type(in, node->kids[0]), *to = infer_type(in, node);
    if (!type_is_scalar(to)) return infer_fail(in, node->span, "a cast gives a scalar");
    if (from->kind == TY_unknown) return WAIT;
    if (type_is_scalar(from)) return DONE;
    return infer_fail(in, node->kids[0]->span, "this is %s, but %s(..) converts scalars",
                      infer_text(in, from).text, type_classes[to->kind].spelling);
}

Verdict infer_Broadcast(Infer *in, Node *node) {
    Type *lane = infer_type(in, node->kids[0]);
    if (lane->kind == TY_unknown || type_is_scalar(lane))
        return infer_give(in, node, type_make(in->types, TY_simd, OP_none, 1, &lane));
    return infer_fail(in, node->kids[0]->span, "this is %s, but broadcast widens scalars",
                      infer_text(in, lane).text);
}

/* ---- choices ---- */

static bool arms(Infer *in, Node *node) {
    Type *type = infer_type(in, node->kids[1]);
    if (!infer_expect(in, node->kids[2], type, "the other arm of %s", node_classes[node->kind].spelling))
        return false;
    return infer_give(in, node, type) != FAIL;
}

Verdict infer_If(Infer *in, Node *node) {
    if (!infer_expect(in, node->kids[0], infer_scalar(in, TY_bool), "the condition of if")) return FAIL;
    return arms(in, node) ? DONE : FAIL;
}

Verdict infer_Select(Infer *in, Node *node) {
    Type *condition = infer_type(in, node->kids[0]), *lane = infer_scalar(in, TY_bool);
    if (!arms(in, node)) return FAIL;
    Type *arm = infer_type(in, node->kids[1]);
    if (condition->kind == TY_unknown && !in->last) return WAIT;
    if (condition->kind != TY_simd)
        return infer_expect(in, node->kids[0], lane, "the condition of select") ? DONE : FAIL;
    Type *mask = type_make(in->types, TY_simd, OP_none, 1, &lane);
    if (!infer_expect(in, node->kids[0], mask, "the condition of select")) return FAIL;
    if (arm->kind == TY_unknown) return WAIT;
    if (arm->kind == TY_simd) return DONE;
    return infer_fail(in, node->kids[1]->span,
                      "this is %s, but a condition of type simd[bool] chooses between simd values",
                      infer_text(in, arm).text);
}

/* How many {} there are. */
static int message_numbers(const Node *text) {
    int count = 0;
    for (uint64_t i = 0; i + 1 < text->bits; i++) count += text->text[i] == '{' && text->text[i + 1] == '}';
    return count;
}

/* The message is no operand: it moves into the node. */
static bool take_message(Infer *in, Node *node) {
    const Node *message = node->kids[1];
    if (message->kind != N_String) {
        infer_fail(in, message->span, "the message of assert is a text in quotes");
        return false;
    }
    int wanted = message_numbers(message), given = node->count - 2;
    if (wanted != given) {
        infer_fail(in, message->span, "this message has %d {}, but %d number%s given", wanted, given,
                   given == 1 ? " is" : "s are");
        return false;
    }
    node->text = message->text;
    node->bits = message->bits;
    node->count--;
    for (int i = 1; i < node->count; i++) node->kids[i] = node->kids[i + 1];
    return true;
}

Verdict infer_Assert(Infer *in, Node *node) {
    if (!infer_expect(in, node->kids[0], infer_scalar(in, TY_bool), "what assert checks")) return FAIL;
    if (node->count > 1 && !node->text && !take_message(in, node)) return FAIL;
    for (int i = 1; i < node->count; i++) {
        if (!infer_expect(in, node->kids[i], infer_scalar(in, TY_i64), "a number in assert's message"))
            return FAIL;
    }
    return infer_give(in, node, infer_scalar(in, TY_bool));
}

/* ---- what is kept and what is computed again ---- */

Verdict infer_Checkpoint(Infer *in, Node *node) {
    return infer_give(in, node, infer_type(in, node->kids[0]));
}

Verdict infer_After(Infer *in, Node *node) {
    return infer_give(in, node, infer_type(in, node->kids[0]));
}

Verdict infer_Room(Infer *in, Node *node) {
    return infer_give(in, node, infer_scalar(in, TY_i64));
}

/* ---- bytes, foreign functions, sugar ---- */

/* Builders and lanes cannot leave a program's loops. WAIT until the type is closed. */
static Verdict plain_data(Infer *in, Type *type, Span span, const char *what) {
    type = type_resolve(in->types, type);
    if (type->open) return WAIT;
    if (!type->builders && type->kind != TY_simd) return DONE;
    return infer_fail(in, span, "this is %s, but %s works on plain data", infer_text(in, type).text, what);
}

Verdict infer_Serialize(Infer *in, Node *node) {
    if (infer_give(in, node, type_vec(in->types, infer_scalar(in, TY_u8))) == FAIL) return FAIL;
    return plain_data(in, infer_type(in, node->kids[0]), node->kids[0]->span, "serialize");
}

Verdict infer_Deserialize(Infer *in, Node *node) {
    Type **bytes = infer_shape(in, node->kids[0], TY_vec, "what deserialize reads");
    if (!bytes) return FAIL;
    Type *byte = type_find(bytes[0]);
    if (byte->kind == TY_unknown && !in->last) return WAIT;
    if (byte->kind != TY_i8 && !infer_unify(in, byte, infer_scalar(in, TY_u8)))
        return infer_fail(in, node->kids[0]->span, "this is %s, but deserialize reads vec[u8]",
                          infer_text(in, node->kids[0]->type).text);
    return plain_data(in, infer_type(in, node), node->span, "deserialize");
}

static Verdict plain_arguments(Infer *in, Node *node, int from) {
    const char *what = node_classes[node->kind].spelling;
    Verdict verdict = plain_data(in, infer_type(in, node), node->span, what);
    for (int i = from; i < node->count && verdict != FAIL; i++) {
        Node *kid = node->kids[i];
        verdict = both(verdict, plain_data(in, infer_type(in, kid), kid->span, what));
    }
    return verdict;
}

Verdict infer_Cudf(Infer *in, Node *node) {
    return plain_arguments(in, node, 0);
}

static Verdict must_be_scalar(Infer *in, const Node *node, const char *what) {
    const Type *type = type_find(node->type);
    if (type_is_scalar(type)) return DONE;
    return infer_fail(in, node->span, "%s is %s, but cfun passes scalars by value", what,
                      infer_text(in, node->type).text);
}

Verdict infer_Cfun(Infer *in, Node *node) {
    Verdict verdict = plain_arguments(in, node, 0);
    if (verdict == DONE) verdict = must_be_scalar(in, node, "its result");
    for (int i = 0; i < node->count && verdict == DONE; i++)
        verdict = must_be_scalar(in, node->kids[i], "this argument");
    return verdict;
}

/* The size is an i64 for one vector, a struct of one for each otherwise. */
Verdict infer_Cfill(Infer *in, Node *node) {
    Verdict verdict = plain_arguments(in, node, 1);
    if (verdict != DONE) return verdict;
    int count = fill_count(type_resolve(in->types, node->type));
    if (count < 0)
        return infer_fail(in, node->span,
                          "the result is %s, but cfill fills vectors whose elements hold no pointers",
                          infer_text(in, node->type).text);
    Type *want = infer_scalar(in, TY_i64);
    if (count != 1) {
        Type **parts = arena_alloc(&in->program->arena, sizeof *parts * (size_t)(count + 1));
        if (!parts) return infer_fail(in, node->span, "out of memory");
        for (int i = 0; i < count; i++) parts[i] = infer_scalar(in, TY_i64);
        want = type_make(in->types, TY_struct, OP_none, count, parts);
    }
    return infer_expect(in, node->kids[0], want, "the size of what cfill fills") ? DONE : FAIL;
}

/* ---- what ranks exchange ---- */

/* A vector, and a second operand of the type that is given, or of any vector's. */
static Verdict with_vector(Infer *in, Node *node, const char *what, Type *second) {
    bool fits = infer_shape(in, node->kids[0], TY_vec, what) != NULL;
    if (fits && node->count == 2)
        fits = second ? infer_expect(in, node->kids[1], second, "what %s goes by", what)
                      : infer_shape(in, node->kids[1], TY_vec, "what it is cut like") != NULL;
    return fits ? infer_give(in, node, infer_type(in, node->kids[0])) : FAIL;
}

static Verdict same_dict(Infer *in, Node *node) {
    if (!infer_shape(in, node->kids[0], TY_dict, "what ranks merge")) return FAIL;
    return infer_give(in, node, infer_type(in, node->kids[0]));
}

/* {dict, bool, bool} of a dictionary and {keys, rows, bytes} that are looked up. */
static Verdict spread(Infer *in, Node *node) {
    Type *number = infer_scalar(in, TY_i64), *truth = infer_scalar(in, TY_bool);
    Type *asked[] = {number, number, number}, *given[] = {NULL, truth, truth};
    if (!infer_shape(in, node->kids[0], TY_dict, "what ranks merge")) return FAIL;
    if (!infer_expect(in, node->kids[1], type_make(in->types, TY_struct, OP_none, 3, asked),
                      "how many keys are looked up"))
        return FAIL;
    given[0] = infer_type(in, node->kids[0]);
    return infer_give(in, node, type_make(in->types, TY_struct, OP_none, 3, given));
}

static bool is_columns(const Type *type) {
    bool fits = type->kind == TY_struct && type->count > 0;
    for (int i = 0; fits && i < type->count; i++)
        fits = type->args[i]->kind == TY_vec && !type->args[i]->args[0]->pointers;
    return fits;
}

/* Vectors of rows, the keys first. */
static Verdict routed(Infer *in, Node *node) {
    Type *type = type_resolve(in->types, infer_type(in, node->kids[0]));
    Verdict verdict = infer_give(in, node, type);
    if (type->open) return verdict == FAIL ? FAIL : WAIT;
    if (is_columns(type)) return verdict;
    return infer_fail(in, node->kids[0]->span,
                      "what moves to keys is a struct of vectors without pointers, not %s",
                      infer_text(in, type).text);
}

/* {vec, .., bool} of vectors of rows, the indices first, and {entries, most}. */
static Verdict settled(Infer *in, Node *node) {
    Type *number = infer_scalar(in, TY_i64), *type = type_resolve(in->types, infer_type(in, node->kids[0]));
    if (!infer_expect(in, node->kids[1], infer_pair(in, number, number), "where rows settle")) return FAIL;
    if (type->open) return WAIT;
    Type **parts = arena_alloc(&in->program->arena, sizeof *parts * (size_t)(type->count + 1));
    if (!parts) return infer_fail(in, node->span, "out of memory");
    bool fits = is_columns(type) && type->args[0]->args[0]->kind == TY_i64;
    if (!fits)
        return infer_fail(in, node->kids[0]->span,
                          "what settles is a struct of vectors without pointers, of i64 the first, not %s",
                          infer_text(in, type).text);
    for (int i = 0; i < type->count; i++) parts[i] = type->args[i];
    parts[type->count] = infer_scalar(in, TY_bool);
    return infer_give(in, node, type_make(in->types, TY_struct, OP_none, type->count + 1, parts));
}

static Verdict fetched(Infer *in, Node *node) {
    Type **dict = infer_shape(in, node->kids[0], TY_dict, "what keys are fetched of");
    if (!dict || !infer_expect(in, node->kids[1], type_vec(in->types, dict[0]), "keys of a dictionary"))
        return FAIL;
    return infer_give(in, node, infer_type(in, node->kids[0]));
}

static Verdict picked(Infer *in, Node *node) {
    Type **vec = infer_shape(in, node->kids[0], TY_vec, "what an element is picked of");
    if (!vec || !infer_expect(in, node->kids[1], infer_scalar(in, TY_i64), "the index of an element"))
        return FAIL;
    return infer_give(in, node, vec[0]);
}

/* Scalars, structs of them, and vectors of either have a sum. */
/* A value without pointers, a vector of such, or for a reduce a struct of both. */
static bool is_combinable(const Node *node, const Type *type) {
    if (type->kind == TY_vec) type = type->args[0];
    if (!type->pointers) return type->kind != TY_simd;
    bool ok = type->kind == TY_struct && node->kids[0]->type->kind == TY_struct &&
              (node->bits == EXCHANGE_reduce || node->bits == EXCHANGE_launch_reduce);
    for (int i = 0; ok && i < type->count; i++) {
        const Type *part = type->args[i]->kind == TY_vec ? type->args[i]->args[0] : type->args[i];
        ok = !part->pointers;
    }
    return ok;
}

/* given: its own type, or NULL: that of what is combined. */
static Verdict combined(Infer *in, Node *node, Type *given) {
    Type *type = type_resolve(in->types, infer_type(in, node->kids[0]));
    Verdict verdict = infer_give(in, node, given ? given : type);
    if (type->open) return verdict == FAIL ? FAIL : WAIT;
    if (is_combinable(node, type)) return verdict;
    return infer_fail(in, node->kids[0]->span, "ranks cannot combine %s", infer_text(in, type).text);
}

/* {vec, i64} of a vector and five numbers. */
static Verdict windowed(Infer *in, Node *node) {
    Type *number = infer_scalar(in, TY_i64), *five[] = {number, number, number, number, number};
    Type *bounds = type_make(in->types, TY_struct, OP_none, 5, five);
    if (!infer_shape(in, node->kids[0], TY_vec, "what a window is of")) return FAIL;
    if (!infer_expect(in, node->kids[1], bounds, "the bounds of a window")) return FAIL;
    return infer_give(in, node, infer_pair(in, infer_type(in, node->kids[0]), number));
}

/* {vec, places} of a vector and places, numbers or pairs of them. */
static Verdict found(Infer *in, Node *node) {
    Type *number = infer_scalar(in, TY_i64), *pair = infer_pair(in, number, number);
    Type **places = infer_shape(in, node->kids[1], TY_vec, "the places of elements");
    if (!infer_shape(in, node->kids[0], TY_vec, "what elements are found in") || !places) return FAIL;
    Type *place = type_resolve(in->types, places[0]);
    Verdict verdict =
        infer_give(in, node, infer_pair(in, infer_type(in, node->kids[0]), infer_type(in, node->kids[1])));
    if (place->open) return verdict == FAIL ? FAIL : WAIT;
    if (place == number || place == pair) return verdict;
    return infer_fail(in, node->kids[1]->span, "places of elements are i64 or {i64,i64}, not %s",
                      infer_text(in, place).text);
}

/* What a parameter server does with parameters or sums goes by a vector of numbers, by three, or by one. */
static Verdict served(Infer *in, Node *node, Type *given, Type *by) {
    if (!infer_expect(in, node->kids[1], by, "what a parameter server goes by")) return FAIL;
    return infer_give(in, node, given);
}

Verdict infer_Exchange(Infer *in, Node *node) {
    Type *number = infer_scalar(in, TY_i64), *cuts = type_vec(in->types, number);
    switch ((ExchangeKind)node->bits) {
    case EXCHANGE_start:
    case EXCHANGE_share:
        if (!infer_expect(in, node->kids[0], number, "a length")) return FAIL;
        return infer_give(in, node, node->bits == EXCHANGE_start ? number : infer_pair(in, number, number));
    case EXCHANGE_place:
        if (!infer_shape(in, node->kids[0], TY_vec, "what is placed") ||
            !infer_expect(in, node->kids[1], infer_pair(in, number, number), "where it is placed"))
            return FAIL;
        return combined(in, node, NULL);
    case EXCHANGE_seed:
    case EXCHANGE_portion:
    case EXCHANGE_reduce: return combined(in, node, NULL);
    case EXCHANGE_merge:
    case EXCHANGE_shuffle: return same_dict(in, node);
    case EXCHANGE_broadcast: return infer_give(in, node, infer_type(in, node->kids[0]));
    case EXCHANGE_window: return windowed(in, node);
    case EXCHANGE_find: return found(in, node);
    case EXCHANGE_pick: return picked(in, node);
    case EXCHANGE_spread: return spread(in, node);
    case EXCHANGE_fetch: return fetched(in, node);
    case EXCHANGE_route: return routed(in, node);
    case EXCHANGE_settle: return settled(in, node);
    case EXCHANGE_deal: return with_vector(in, node, "a deal", cuts);
    case EXCHANGE_host: return served(in, node, infer_type(in, node->kids[0]), cuts);
    case EXCHANGE_pull: {
        Type *ranges = type_vec(in->types, type_vec(in->types, infer_pair(in, number, number)));
        return served(in, node, infer_type(in, node->kids[0]), infer_pair(in, number, ranges));
    }
    case EXCHANGE_resume:
    case EXCHANGE_take: return served(in, node, infer_type(in, node->kids[0]), number);
    case EXCHANGE_keep: {
        Type *by[] = {number, number, infer_scalar(in, TY_bool), cuts};
        return served(in, node, infer_type(in, node->kids[0]),
                      type_make(in->types, TY_struct, OP_none, 4, by));
    }
    case EXCHANGE_push: return served(in, node, number, number);
    case EXCHANGE_serve: {
        Type *clocks[] = {number, number, infer_scalar(in, TY_bool)};
        return served(in, node, number, type_make(in->types, TY_struct, OP_none, 3, clocks));
    }
    case EXCHANGE_launch_reduce:
    case EXCHANGE_launch_portion: return combined(in, node, number);
    case EXCHANGE_launch_gather:
        if (!infer_shape(in, node->kids[0], TY_vec, "an exchange")) return FAIL;
        return infer_give(in, node, number);
    case EXCHANGE_wait:
        if (!infer_expect(in, node->kids[1], number, "the number of a launch")) return FAIL;
        return infer_give(in, node, infer_type(in, node->kids[0]));
    default: return with_vector(in, node, "an exchange", NULL);
    }
}

Verdict infer_Zip(Infer *in, Node *node) {
    return infer_fail(in, node->span, "zip can only be the data of a for, or of a macro that loops");
}
