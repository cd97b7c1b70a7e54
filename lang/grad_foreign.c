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

/* The adjoint of an argument goes to its leaves. */
static void give(Grad *g, const Node *call, Node *argument, Node *adjoint) {
    Info *info = info_of(g, argument->symbol);
    if (!is_active(info) || grad_failed(g)) return;
    if (is_unknown(adjoint->type)) {
        grad_fail(g, call->span,
                  "the derivative of %.100s by one of its arguments is not known, and this depends on "
                  "what is differentiated by",
                  call->text);
        return;
    }
    if (adjoint->type != argument->type) {
        Buf is = {0}, want = {0};
        type_print(&is, adjoint->type);
        type_print(&want, argument->type);
        grad_fail(g, call->span, "the derivative of %.100s gives %.100s for an argument that is %.100s",
                  call->text, is.text ? is.text : "?", want.text ? want.text : "?");
        buf_release(&is);
        buf_release(&want);
        return;
    }
    Symbol *whole = emit(g, "adjoint", adjoint);
    for (int i = 0; i < info->leaves.count; i++) {
        if (info->active[i]) leaf_add(g, info, i, leaf_of(g, whole, i));
    }
}

static Node *apply_rule(Grad *g, Info *info, Symbol **adjoints, int first) {
    Node *call = info->def;
    int count = call->count - first;
    Type *scalar;
    const char *text = rule_of(g, call, &scalar);
    Symbol **arguments = grad_alloc(g, (size_t)count + 2, sizeof *arguments), *result = now_of(info->symbol);
    for (int i = 0; i < count; i++) arguments[i] = now_of(call->kids[first + i]->symbol);
    arguments[count] = result;
    arguments[count + 1] = emit(g, "adjoint", from_leaves(g, call->type, result, adjoints, call->span));
    if (!text || grad_failed(g)) return NULL;
    g->foreign = call->text;
    Node *made = apply_text(g, scalar, text, count + 2, arguments);
    g->foreign = NULL;
    return grad_failed(g) ? NULL : block_take(g, made);
}

void reverse_foreign(Grad *g, Info *info, Symbol **adjoints) {
    Node *call = info->def;
    int first = call->kind == N_Cfill, floats = 0, at = 0;
    Node *made = apply_rule(g, info, adjoints, first);
    if (!made) return;
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
    for (int i = first; i < call->count; i++) {
        if (!type_has_floats(call->kids[i]->type)) continue;
        Node *own = !several ? made : whole ? field_of(g, whole, at) : made->kids[at];
        at++;
        give(g, call, call->kids[i], own);
    }
}
