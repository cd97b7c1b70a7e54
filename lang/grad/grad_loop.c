/* grad_loop.c: the adjoint of a loop is a loop.
 *
 *     r = result(for(zip(x, w), appender, |b, i, e| merge(b, e.$0 * lookup(c, i))))        by x and c
 *
 *     for(zip(x, w, r'), {appender, sums of c'}, |b, i, e|
 *       let p = e.$0; let q = lookup(c, i);                     the body anew
 *       {merge(b.$0, e.$2 * q), merge(b.$1, {i, e.$2 * p})})    and backwards
 *
 * An iteration's element of a vector that the loop walks once from end to end gets its adjoint as an element of an
 * appender, to which what is known of that vector's adjoint already is added on the way. Everything else that the body
 * uses from outside is added up: scalars in mergers, once for all an iteration uses; vectors in vecmergers that the loop
 * takes in and hands on (grad_leaf.c), or, beside its index, collected (grad_piece.c). Of a builder with one merge an iteration the adjoint
 * is walked along; so are the values that were merged, where to compute them anew costs more.
 */
#include "grad.h"

/* An iterator of the primal loop over data that has adjoints. */
typedef struct Walked {
    Info *data;
    int first, count; /* of the element's leaves */
    bool own;         /* the adjoint is made element by element */
    Symbol *place;    /* else: where in the data an element is, inside */
} Walked;

/* A leaf whose adjoint is made element by element. */
typedef struct Made {
    Info *data;
    int number;
    int sum;       /* the iterator over what is known of it already, or -1 */
    Symbol *fill;  /* what every element of that is, or NULL */
    Symbol *every; /* what every element is in the end, if that is from outside, or NULL */
    Symbol *each;  /* the name of an element in the loop */
} Made;

typedef struct Job {
    Node *node, *lambda;
    Info *info, *before, *element;
    Block *block;
    Node **iters;
    int count, room, primal; /* iterators; of the primal loop */
    Walked *walked;          /* by iterator */
    Made *made;
    int makes;
    int *places; /* by iterator: which yields the places of its elements, or -1 */
    int **own;   /* by cell and leaf: the iterator over its adjoint, or -1; NULL: none */
    Symbol *params[3];
    Symbol **starts, **often; /* by cell, as in Loop */
    Symbol ***owned;          /* of cells: what was there before */
    int *known;               /* by cell: the iterator over the values that were merged, or -1 */
    Info **merged;            /* by cell: their name in the body */
} Job;

static int add_iter(Grad *g, Job *job, Node *iter) {
    if (job->count == job->room) {
        int room = 2 * job->room + 8;
        Node **iters = grad_alloc(g, (size_t)room, sizeof *iters);
        for (int i = 0; i < job->count; i++) iters[i] = job->iters[i];
        job->iters = iters;
        job->room = room;
    }
    job->iters[job->count] = iter;
    return job->count++;
}

/* ---- what the loop walks ---- */

typedef struct Find {
    const Symbol *symbol;
    bool found;
} Find;

static bool find_enter(Walk *walk, Node **slot) {
    Find *find = walk->data;
    if ((*slot)->kind == N_Ident && (*slot)->symbol == find->symbol) find->found = true;
    return !find->found;
}

static bool uses(Grad *g, Node *body, const Symbol *symbol) {
    Find find = {symbol, false};
    Walk walk = {g->program, find_enter, NULL, &find};
    node_walk(&walk, &body);
    return find.found;
}

static bool is_full(const Node *iter) {
    return iter->iter == IT_scalar && iter->count == 1;
}

/* Can the adjoint of this data be made element by element? */
static bool is_made(Grad *g, const Job *job, const Node *iter, const Info *data) {
    if (!is_full(iter) || data->block != g->block) return false;
    for (int i = 0; i < job->primal; i++) {
        const Node *other = job->node->kids[i];
        if (other->count > 1 && iter_classes[other->iter].has_data && other->kids[0]->symbol == data->symbol)
            return false;
    }
    return !uses(g, job->lambda->kids[0], data->symbol);
}

/* The iterator that yields where in its data each element of this one is; -1: that is the index. */
static int add_places(Grad *g, Job *job, const Node *iter) {
    if (is_full(iter)) return -1;
    int data = iter_classes[iter->iter].has_data;
    Node *places =
        node_new(g->program, N_Iter, g->span, type_scalar(&g->program->types, TY_i64), iter->count);
    places->iter = iter->iter;
    Symbol *vector = now_of(iter->kids[0]->symbol);
    Symbol *numbers =
        emit(g, "numbers",
             apply_text(g, NULL,
                        "|v| result(for(rangeiter(0L, len(v), 1L), appender[i64], |b, i, x| merge(b, x)))", 1,
                        &vector));
    places->kids[0] = use(g, numbers);
    for (int i = data; i < iter->count; i++) places->kids[i] = use(g, now_of(iter->kids[i]->symbol));
    return add_iter(g, job, places);
}

static void walk_data(Grad *g, Job *job, int number, int first) {
    const Node *iter = job->node->kids[number];
    Walked *walked = &job->walked[number];
    *walked = (Walked){.first = first, .count = type_leaves(iter->type)};
    job->places[number] = -1;
    if (!iter_classes[iter->iter].has_data) return;
    Info *data = info_of(g, iter->kids[0]->symbol);
    bool any = false;
    for (int i = 0; data && i < walked->count; i++) any |= data->active[i];
    if (!any) return;
    walked->data = data;
    walked->own = is_made(g, job, iter, data);
    for (int i = 0; i < walked->count && walked->own; i++) {
        if (data->active[i] && leaf_resolve(g, data, i) &&
            (data->leaf[i].acc->owner != data || data->leaf[i].acc->number != i))
            walked->own = false; /* a part of what is in a builder */
    }
    if (!walked->own) {
        for (int i = 0; i < walked->count; i++) {
            if (data->active[i]) leaf_open(g, data, i);
        }
        job->places[number] = add_places(g, job, iter);
        return;
    }
    for (int i = 0; i < walked->count; i++) {
        bool known = !data->active[i];
        for (int k = 0; k < job->makes && !known; k++)
            known = job->made[k].data == data && job->made[k].number == i;
        if (known) continue;
        Symbol *value = leaf_value_but_points(g, data, i);
        Symbol *fill = value ? fill_of(g, value) : NULL;
        int sum = value && !fill ? add_iter(g, job, make_iter(g, use(g, value))) : -1;
        job->made[job->makes++] = (Made){data, i, sum, fill, NULL, NULL};
    }
}

static void walk_all(Grad *g, Job *job) {
    int leaves = 0;
    job->primal = job->node->count - 2;
    job->walked = grad_alloc(g, (size_t)job->primal, sizeof *job->walked);
    job->places = grad_alloc(g, (size_t)job->primal, sizeof *job->places);
    for (int i = 0; i < job->primal; i++) leaves += type_leaves(job->node->kids[i]->type);
    job->made = grad_alloc(g, (size_t)leaves, sizeof *job->made);
    for (int i = 0; i < job->primal; i++) add_iter(g, job, node_clone(g->program, job->node->kids[i]));
    leaves = 0;
    for (int i = 0; i < job->primal && !grad_failed(g); i++) {
        walk_data(g, job, i, leaves);
        leaves += job->walked[i].count;
    }
}

/* ---- the adjoints of what it merges ---- */

/* The builder from which the loop's is taken without a merge. */
static const Info *origin(const Grad *g, const Info *info, int *cell) {
    const Cell *wanted = info->cell[*cell];
    while (info->def &&
           (info->def->kind == N_Ident || info->def->kind == N_Struct || info->def->kind == N_Field)) {
        const Info *next = NULL;
        if (info->def->kind == N_Ident) next = info_of(g, info->def->symbol);
        for (int i = 0; i < info->def->count && !next; i++) {
            const Info *kid = info_of(g, info->def->kids[i]->symbol);
            for (int k = 0; kid && k < kid->cells; k++) {
                if (kid->cell[k] == wanted) next = kid;
            }
        }
        if (!next) break;
        info = next;
    }
    for (int k = 0; k < info->cells; k++) {
        if (info->cell[k] == wanted) *cell = k;
    }
    return info;
}

bool loop_fills(const Grad *g, const Info *info, int cell) {
    int first = cell, last = 0;
    const Info *from = origin(g, info_of(g, info->def->kids[info->def->count - 2]->symbol), &first);
    const Info *to = origin(g, info->cell[cell]->last, &last);
    return from->def && from->def->kind == N_NewBuilder &&
           (!from->def->count || from->def->type->kind == TY_appender) && to == info;
}

static void own_adjoints(Grad *g, Job *job) {
    Info *info = job->info;
    job->own = grad_alloc(g, (size_t)info->cells, sizeof *job->own);
    job->starts = grad_alloc(g, (size_t)info->cells, sizeof *job->starts);
    job->often = grad_alloc(g, (size_t)info->cells, sizeof *job->often);
    for (int c = 0; c < info->cells; c++) {
        Cell *cell = info->cell[c];
        if (!cell->live || !cell->sequence) continue;
        int each = merges_each(g, job->lambda->kids[0], c);
        /* now: later its names have other values */
        if (each < 0) job->often[c] = loop_merges(g, job->node, c);
        if (each < 0 && !job->often[c]) job->starts[c] = loop_starts(g, job->node, c);
        if (each != 1) continue;
        job->own[c] = grad_alloc(g, (size_t)cell->leaves.count, sizeof **job->own);
        for (int k = 0; k < cell->leaves.count; k++) {
            job->own[c][k] = -1;
            Symbol *adjoint = cell->g[k];
            if (!adjoint || fill_of(g, adjoint)) continue;
            if (!loop_fills(g, info, c)) {
                Symbol *arguments[3] = {adjoint, position_of(g, job->before->symbol, c),
                                        loop_length(g, job->node)};
                adjoint = emit(g, "adjoint", apply_text(g, NULL, "|v, i, n| slice(v, i, n)", 3, arguments));
            }
            if (!grad_failed(g)) job->own[c][k] = add_iter(g, job, make_iter(g, use(g, adjoint)));
        }
    }
}

/* Is the name's value a function that takes longer than to read its value, which its derivative needs? Vectors of exp and sqrt are
 * computed as fast as they are read. */
static bool is_read(const Info *info) {
    return info && info->def && info->def->kind == N_Unary &&
           (info->def->op == OP_tanh || info->def->op == OP_tan);
}

/* The name of what the body merges into the cell, once an iteration, or NULL. */
static Info *merged_into(Grad *g, Node *body, const Cell *cell) {
    for (; body->kind == N_Let; body = body->kids[1]) {
        const Node *merge = body->kids[0];
        const Info *builder = merge->kind == N_Merge ? info_of(g, merge->kids[0]->symbol) : NULL;
        if (builder && builder->cells == 1 && builder->cell[0] == cell)
            return info_of(g, merge->kids[1]->symbol);
    }
    return NULL;
}

/* The vectors whose elements are such values. A run under a budget does not keep them for that. */
static void known_values(Grad *g, Job *job) {
    Info *info = job->info;
    job->known = grad_alloc(g, (size_t)info->cells, sizeof *job->known);
    job->merged = grad_alloc(g, (size_t)info->cells, sizeof *job->merged);
    for (int c = 0; c < info->cells && !grad_failed(g); c++) {
        const Cell *cell = info->cell[c];
        job->known[c] = -1;
        if (g->program->saving || cell->type->kind != TY_appender || !cell->live || !cell->result) continue;
        if (merges_each(g, job->lambda->kids[0], c) != 1 || !loop_fills(g, info, c)) continue;
        Info *merged = merged_into(g, job->lambda->kids[0], cell);
        if (!is_read(merged)) continue;
        job->merged[c] = merged;
        job->known[c] = add_iter(g, job, make_iter(g, use(g, cell->result)));
    }
}

/* ---- the body ---- */

static Symbol *yielded(Grad *g, const Job *job, int number) {
    return job->count == 1 ? job->params[2] : emit(g, "e", field_of(g, job->params[2], number));
}

static void bind_element(Grad *g, Job *job) {
    Symbol *element = job->params[2];
    if (job->count > job->primal && job->primal == 1) element = yielded(g, job, 0);
    if (job->count > job->primal && job->primal > 1) {
        Node **parts = grad_alloc(g, (size_t)job->primal, sizeof *parts);
        for (int i = 0; i < job->primal; i++) parts[i] = field_of(g, job->params[2], i);
        element = emit(g, "e", struct_of(g, job->primal, parts));
    }
    bind_value(g, job->lambda->params[2], element);
    job->element = info_of(g, job->lambda->params[2]);
    for (int n = 0; n < job->primal; n++) {
        Walked *walked = &job->walked[n];
        if (!walked->data || walked->own) continue;
        walked->place = job->places[n] < 0 ? job->params[1] : yielded(g, job, job->places[n]);
        for (int i = 0; i < walked->count; i++) {
            bool vector = job->element->leaves.types[walked->first + i]->kind == TY_vec;
            if (!walked->data->active[i] || !vector) continue;
            leaf_open(g, walked->data, i);
            job->element->leaf[walked->first + i] =
                leaf_element(g, walked->data->leaf[i], walked->place, job->block);
        }
    }
}

static void open_body(Grad *g, Job *job) {
    Type **types = grad_alloc(g, (size_t)job->count, sizeof *types),
         *i64 = type_scalar(&g->program->types, TY_i64);
    Info *info = job->info, *builder = info_of(g, job->lambda->params[0]);
    for (int i = 0; i < job->count; i++) types[i] = job->iters[i]->type;
    job->block = block_open(g, B_LOOP);
    block_set_loop(g, job->block, job->node);
    job->block->fixed = job->makes;
    job->params[0] = job->block->param = symbol_new(g->program, "b", NULL);
    job->params[1] = symbol_new(g->program, "i", i64);
    job->params[2] =
        symbol_new(g->program, "e", job->count == 1 ? types[0] : struct_type(g, job->count, types));
    bind_value(g, job->lambda->params[1], job->params[1]);
    bind_value(g, job->lambda->params[0], NULL);
    builder->part = grad_alloc(g, (size_t)info->cells, sizeof *builder->part);
    builder->loop = grad_alloc(g, 1, sizeof *builder->loop);
    *builder->loop = (Loop){job->node, job->params[1], job->before, job->starts, job->often};
    bind_element(g, job);
    job->owned = grad_alloc(g, (size_t)info->cells, sizeof *job->owned);
    for (int c = 0; c < info->cells; c++) {
        Cell *cell = info->cell[c];
        job->owned[c] = cell->own;
        cell->own = NULL;
        if (!job->own[c]) continue;
        cell->own = grad_alloc(g, (size_t)cell->leaves.count, sizeof *cell->own);
        for (int k = 0; k < cell->leaves.count; k++) {
            Symbol *fill = cell->g[k] ? fill_of(g, cell->g[k]) : NULL;
            cell->own[k] = job->own[c][k] >= 0 ? yielded(g, job, job->own[c][k]) : fill;
        }
    }
    for (int c = 0; c < info->cells; c++) {
        if (job->known[c] < 0) continue;
        bind_value(g, job->merged[c]->symbol, yielded(g, job, job->known[c]));
        job->merged[c]->given = true;
    }
}

/* ---- what the body adds to outside ---- */

static Symbol *element_adjoint(Grad *g, Job *job, Made *made) {
    Symbol *sum = made->sum >= 0 ? yielded(g, job, made->sum) : made->fill;
    Info holder = *job->element;
    Leaf whole = {.value = sum};
    Type *type = made->data->leaves.types[made->number]->args[0];
    bool active = true;
    int number = 0;
    for (int n = 0; n < job->primal; n++) {
        Walked *walked = &job->walked[n];
        if (walked->data != made->data) continue;
        number = walked->first + made->number;
        holder = (Info){.symbol = job->element->symbol,
                        .block = g->block,
                        .leaves = {1, &type},
                        .active = &active,
                        .leaf = &whole};
        leaf_add(g, &holder, 0, leaf_value(g, job->element, number));
    }
    if (whole.value && whole.value->id < job->params[0]->id) made->every = whole.value;
    return whole.value ? whole.value : leaf_zeros(g, now_of(job->element->symbol), number);
}

static Node *close_body(Grad *g, Job *job, Type **types) {
    Block *block = job->block;
    for (int n = 0; n < job->primal; n++) {
        Walked *walked = &job->walked[n];
        for (int i = 0; walked->data && !walked->own && i < walked->count; i++) {
            int number = walked->first + i;
            if (!walked->data->active[i] || job->element->leaves.types[number]->kind == TY_vec) continue;
            Symbol *adjoint = leaf_value(g, job->element, number);
            if (!adjoint) continue;
            leaf_open(g, walked->data, i);
            acc_add(g, walked->data->leaf[i], walked->place, adjoint);
        }
    }
    for (int i = 0; i < job->makes; i++) job->made[i].each = element_adjoint(g, job, &job->made[i]);
    int count = job->makes + block->count;
    Node **results = grad_alloc(g, (size_t)count, sizeof *results);
    for (int i = 0; i < job->makes; i++) {
        Symbol *each = job->made[i].each;
        types[i] = builder_of(g, TY_appender, OP_none, each->type, NULL);
        results[i] = make_merge(g, use(g, param_field(g, block, i, types[i], "b")), use(g, each));
    }
    for (int i = job->makes; i < count; i++) {
        Import *import = block->imports[i - job->makes];
        TypeKind kind = import->stream ? TY_appender : TY_merger;
        types[i] = import->acc ? import->type
                               : builder_of(g, kind, import->stream ? OP_none : OP_add, import->type, NULL);
        if (import->acc) {
            results[i] = use(g, import->now);
            continue;
        }
        Symbol *merger = param_field(g, block, i, types[i], "sum");
        results[i] =
            import->here.value ? make_merge(g, use(g, merger), use(g, import->here.value)) : use(g, merger);
    }
    Type *type = count == 1 ? types[0] : struct_type(g, count, types);
    block->param->type = type;
    for (struct Uses *field = block->fields; field; field = field->next) {
        Node *node = field->field;
        node->kids[0]->type = type;
        if (count == 1) *node = *node->kids[0];
    }
    return block_close(g, count == 1 ? results[0] : struct_of(g, count, results));
}

static void take_results(Grad *g, Job *job, const Node *made, Symbol *loop, Type **types) {
    Block *block = job->block;
    int count = job->makes + block->count;
    for (int i = 0; i < count; i++) {
        Symbol *built = count == 1 ? loop : emit(g, "built", field_of(g, loop, i));
        Import *import = i < job->makes ? NULL : block->imports[i - job->makes];
        if (import && import->acc) {
            acc_set(g, g->block, import->acc, built);
            continue;
        }
        Type *type = types[i]->args[0];
        if (!import || import->stream) type = type_vec(&g->program->types, type);
        Symbol *value = emit(g, "adjoint", make_result(g, built, type));
        if (!import || import->stream)
            note_loop(g, value, made, import ? import->here.value : job->made[i].each);
        if (import && import->stream)
            stream_close(g, import, value);
        else if (import)
            leaf_add(g, import->owner, import->number, value);
        else
            job->made[i].data->leaf[job->made[i].number].value = value;
        if (!import && job->made[i].every) note_fill(g, value, job->made[i].every);
    }
}

void reverse_for(Grad *g, Info *info) {
    Node *node = info->def, *lambda = node->kids[node->count - 1], *body = lambda->kids[0];
    Job job = {.node = node, .lambda = lambda, .info = info};
    int keep = g->keep;
    job.before = info_of(g, node->kids[node->count - 2]->symbol);
    if (!can_redo(g, body)) return;
    reverse_ones(g, info);
    bool live = false;
    for (int c = 0; c < info->cells; c++) live |= info->cell[c]->live;
    if (!live || grad_failed(g)) return;
    walk_all(g, &job);
    if (!grad_failed(g)) own_adjoints(g, &job);
    if (!grad_failed(g)) known_values(g, &job);
    if (grad_failed(g)) return;
    g->keep = info_of(g, lambda->params[0])->depth;
    open_body(g, &job);
    forward(g, body);
    grad_reverse(g, body);
    g->span = node->span;
    g->keep = keep;
    if (grad_failed(g)) return;
    int most = job.makes + job.block->count + 1;
    for (int n = 0; n < job.primal; n++) most += job.walked[n].count;
    Type **types = grad_alloc(g, (size_t)most, sizeof *types);
    Node *made = close_body(g, &job, types);
    int count = job.makes + job.block->count;
    for (int c = 0; c < info->cells; c++) info->cell[c]->own = job.owned[c];
    if (count > 0 && !grad_failed(g)) {
        Node **builders = grad_alloc(g, (size_t)count, sizeof *builders);
        for (int i = 0; i < count; i++) {
            Import *import = i < job.makes ? NULL : job.block->imports[i - job.makes];
            builders[i] = import && import->acc ? use(g, acc_now(g, g->block, import->acc))
                                                : make_new(g, types[i], NULL);
        }
        Node *function = make_lambda(g, 3, job.params, made);
        Node *back = make_for(g, job.count, job.iters,
                              count == 1 ? builders[0] : struct_of(g, count, builders), function);
        take_results(g, &job, back, emit(g, "back", back), types);
    }
    forget(g, body);
    for (int i = 0; i < 3; i++) unbind_value(g, lambda->params[i]);
}
