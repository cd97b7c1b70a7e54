/* grad_foreign.c: derivatives through calls of C functions, which only who knows the function can say.
 *
 *     cfun[gsl_sf_lambert_W0, f64](x)      its row: vjp = "|x, r, g| g * exp(-r) / (1.0 + r)"      =>   x' = .. of x, r, r'
 *
 * A rule is a function of the language, of the arguments of the call (of cfill without the size), its result and the
 * result's adjoint. It gives the adjoints of those arguments that hold floats, in the types of the arguments: one alone, or a
 * struct of several, where {} stands for one that is not known. It may call functions of libraries, whose own
 * rules give second derivatives. Functions of the C library are rows of grad.def; others have a row in an adapter, found
 * by the C function's name (Imports.vjp), so that it does not matter by which way a call came into the program.
 *
 * Forward mode derives the rule itself, by its last parameter, see grad_tangent.c.
 *
 * The rule's lets go into the block one by one, and adjoints that nobody takes with those that only they used (grad_tidy.c).
 */
#include "grad.h"

#include <string.h>

static const char *row_of(const char *symbol, Type **scalar, Grad *g) {
    static const struct Row {
        const char *name, *text;
    } rows[] = {
#define FUNCTION(name, text) {#name, text}, {#name "f", text},
#include "grad.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, symbol) != 0) continue;
        *scalar = type_scalar(&g->program->types, i % 2 ? TY_f32 : TY_f64);
        return rows[i].text;
    }
    return NULL;
}

/* The rule's text, and what T stands for in it, if anything. */
static const char *rule_of(Grad *g, const Node *call, Type **scalar) {
    const Imports *imports = g->program->imports;
    *scalar = NULL;
    if (node_is_callback(call)) return NULL;
    const char *text = row_of(call->text, scalar, g);
    if (text || !imports || !imports->vjp) return text;
    text = imports->vjp(imports->data, call->text);
    if (!text || *text == '|') return text;
    Buf why = {0};
    text = imports->find(imports->data, text, &why);
    buf_release(&why);
    return text;
}

bool foreign_has_rule(Grad *g, const Node *call) {
    Type *scalar;
    return rule_of(g, call, &scalar) != NULL;
}

static bool is_active(const Info *info) {
    bool active = false;
    for (int i = 0; info && i < info->leaves.count; i++) active |= info->active[i];
    return active;
}

static bool is_unknown(const Type *type) {
    return type->kind == TY_struct && type->count == 0;
}

/* Is this an adjoint of the argument? */
static bool fits(Grad *g, const Node *call, const Node *argument, const Node *adjoint) {
    if (is_unknown(adjoint->type))
        return grad_fail(g, call->span,
                         "the derivative of %.100s by one of its arguments is not known, and this depends on "
                         "what is differentiated by",
                         call->text);
    if (adjoint->type == argument->type) return true;
    Buf is = {0}, want = {0};
    type_print(&is, adjoint->type);
    type_print(&want, argument->type);
    grad_fail(g, call->span, "the derivative of %.100s gives %.100s for an argument that is %.100s",
              call->text, is.text ? is.text : "?", want.text ? want.text : "?");
    buf_release(&is);
    buf_release(&want);
    return false;
}

/* The rule applied to the arguments, the result and this adjoint; NULL: error set. */
static Node *apply_rule(Grad *g, Info *info, Symbol *adjoint) {
    Node *call = info->def;
    int first = call->kind == N_Cfill, count = call->count - first;
    Type *scalar;
    const char *text = rule_of(g, call, &scalar);
    Symbol **arguments = grad_alloc(g, (size_t)count + 2, sizeof *arguments);
    for (int i = 0; i < count; i++) arguments[i] = now_of(call->kids[first + i]->symbol);
    arguments[count] = now_of(info->symbol);
    arguments[count + 1] = adjoint;
    if (!text || grad_failed(g)) return NULL;
    g->foreign = call->text;
    Node *made = apply_text(g, scalar, text, count + 2, arguments);
    g->foreign = NULL;
    return grad_failed(g) ? NULL : made;
}

/* Calls visit for each argument that holds floats, with what the rule gave for it. */
typedef void Visit(Grad *g, void *data, const Node *call, Node *argument, Node *adjoint);

static void each_adjoint(Grad *g, const Node *call, Node *made, Visit *visit, void *data) {
    int first = call->kind == N_Cfill, floats = 0, at = 0;
    for (int i = first; i < call->count; i++) floats += type_has_floats(call->kids[i]->type);
    bool several = floats > 1;
    if (several && (made->type->kind != TY_struct || made->type->count != floats)) {
        grad_fail(
            g, call->span,
            "the derivative of %.100s gives not a struct of %d, one for each argument that holds floats",
            call->text, floats);
        return;
    }
    Symbol *whole = several && made->kind != N_Struct ? emit(g, "adjoints", made) : NULL;
    for (int i = first; i < call->count && !grad_failed(g); i++) {
        if (!type_has_floats(call->kids[i]->type)) continue;
        Node *own = !several ? made : whole ? field_of(g, whole, at) : made->kids[at];
        at++;
        visit(g, data, call, call->kids[i], own);
    }
}

/* ---- reverse mode ---- */

/* The adjoint of an argument goes to its leaves. */
static void give(Grad *g, void *data, const Node *call, Node *argument, Node *adjoint) {
    Info *info = info_of(g, argument->symbol);
    (void)data;
    if (!is_active(info) || !fits(g, call, argument, adjoint)) return;
    Symbol *whole = emit(g, "adjoint", adjoint);
    for (int i = 0; i < info->leaves.count; i++) {
        if (info->active[i]) leaf_add(g, info, i, leaf_of(g, whole, i));
    }
}

void reverse_foreign(Grad *g, Info *info, Symbol **adjoints) {
    Node *call = info->def;
    Symbol *adjoint =
        emit(g, "adjoint", from_leaves(g, call->type, now_of(info->symbol), adjoints, call->span));
    Node *made = apply_rule(g, info, adjoint);
    if (made) each_adjoint(g, call, block_take(g, made), give, NULL);
}

/* ---- forward mode ---- */

/* The adjoints, as a function of the result's: its result, derived in reverse. */
typedef struct Transposed {
    Node **kids; /* those that have tangents */
    Symbol ***along;
    int count, leaf;
    Symbol **tangents; /* of all arguments' leaves */
} Transposed;

static void keep(Grad *g, void *data, const Node *call, Node *argument, Node *adjoint) {
    Transposed *t = data;
    int leaves = type_leaves(argument->type);
    bool any = false;
    for (int i = 0; i < leaves; i++) any |= t->tangents[t->leaf + i] != NULL;
    if (any && fits(g, call, argument, adjoint)) {
        t->along[t->count] = t->tangents + t->leaf;
        t->kids[t->count++] = adjoint;
    }
    t->leaf += leaves;
}

/* |adjoint| {adjoints of the arguments that have tangents} */
static Node *transposed_function(Grad *g, Info *info, Symbol *param, Transposed *t) {
    block_open(g, B_ARM);
    Node *made = apply_rule(g, info, param);
    if (made) each_adjoint(g, info->def, block_take(g, made), keep, t);
    if (grad_failed(g)) return NULL;
    return make_lambda(g, 1, &param, block_close(g, struct_of(g, t->count, t->kids)));
}

Symbol **foreign_tangents(Grad *g, Info *info, Symbol **along) {
    Node *call = info->def;
    int most = call->count;
    Transposed t = {.tangents = along,
                    .kids = grad_alloc(g, (size_t)most, sizeof *t.kids),
                    .along = grad_alloc(g, (size_t)most, sizeof *t.along)};
    Symbol *param = symbol_new(g->program, "adjoint", call->type),
           **none = grad_alloc(g, (size_t)info->leaves.count, sizeof *none);
    Node *lambda = transposed_function(g, info, param, &t);
    if (!lambda) return NULL;
    Symbol *zeros = emit(g, "zeros", from_leaves(g, call->type, now_of(info->symbol), none, call->span));
    Symbol **seeds = grad_alloc(g, (size_t)type_leaves(lambda->kids[0]->type), sizeof *seeds);
    int at = 0;
    for (int i = 0; i < t.count; i++) {
        for (int k = 0; k < type_leaves(t.kids[i]->type); k++) seeds[at++] = t.along[i][k];
    }
    return transpose(g, lambda, zeros, seeds);
}
