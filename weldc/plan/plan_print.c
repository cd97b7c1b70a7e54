/* plan_print.c: a plan as text.
 *
 *     arguments: v: vec[i64], n: i64
 *     fragment 0: line 3 of q.weld, a loop over 1 iterator, in parallel
 *         runs   len(v) times, about 4 operations each
 *         from   ndarray.add, cblas.ddot
 *         reads  v
 *         makes  a: vec[i64], at most len(v), until 2
 *     code 1: m from a, n
 *     fragment 2: ..
 *     result: a
 *
 * Consecutive pieces of code are printed together. What has no name in the program is #2, for what fragment 2
 * makes, or #2.$1 where it makes several. `from` are the functions of libraries that were fused into it, if there are several.
 */
#include "../weldc.h"

#include <stdio.h>
#include <string.h>

typedef struct Printer {
    Buf *out;
    Program *program;
    struct {
        uint32_t source;
        size_t at, line;
    } found; /* the last line that was looked for: the next one is near */
    int indent;
    bool *spread; /* by number of fragment: it runs over blocks, or makes some; NULL: not for ranks */
} Printer;

static void put(Printer *p, const char *text) {
    buf_put(p->out, text, strlen(text));
}

static void begin_line(Printer *p, int deeper) {
    for (int i = 0; i < p->indent + deeper; i++) put(p, "    ");
}

size_t program_line(const Program *program, Span span) {
    const Source *source = &program->source[span.source < (uint32_t)program->sources ? span.source : 0];
    size_t line = 1;
    for (size_t at = 0; at < span.begin && at < source->length; at++) line += source->text[at] == '\n';
    return line;
}

static size_t line_of(Printer *p, Span span) {
    uint32_t number = span.source < (uint32_t)p->program->sources ? span.source : 0;
    const Source *source = &p->program->source[number];
    bool same = p->found.source == number;
    size_t at = same ? p->found.at : 0, line = same ? p->found.line : 0;
    size_t to = span.begin < source->length ? span.begin : source->length;
    for (; at < to; at++) line += source->text[at] == '\n';
    for (; at > to; at--) line -= source->text[at - 1] == '\n';
    p->found.source = number;
    p->found.at = at;
    p->found.line = line;
    return line + 1;
}

void plan_print_name(Buf *out, const Buffer *buffer) {
    const Fragment *maker = buffer->maker;
    if (buffer->name) {
        buf_put(out, buffer->name, strlen(buffer->name));
        return;
    }
    buf_printf(out, "#%d", maker ? maker->number : 0);
    for (int i = 0; maker && maker->noutputs > 1 && i < maker->noutputs; i++) {
        if (maker->outputs[i] == buffer) buf_printf(out, ".$%d", i);
    }
}

static void put_name(Printer *p, const Buffer *buffer) {
    plan_print_name(p->out, buffer);
}

static void put_names(Printer *p, Buffer *const *buffers, int count) {
    for (int i = 0; i < count; i++) {
        if (i) put(p, ", ");
        put_name(p, buffers[i]);
    }
}

static void print_length(Buf *out, const Buffer *length, const Fragment *trips) {
    if (!length) {
        buf_printf(out, "runs of %d", trips ? trips->number : 0);
        return;
    }
    buf_printf(out, "len(");
    plan_print_name(out, length);
    buf_printf(out, ")");
}

static void put_length(Printer *p, const Buffer *length, const Fragment *trips) {
    print_length(p->out, length, trips);
}

void plan_print_size(Buf *out, Size size) {
    if (size.known == SIZE_UNKNOWN) {
        buf_printf(out, "unknown");
        return;
    }
    if (size.known == SIZE_AT_MOST) buf_printf(out, "at most ");
    bool factor = size.factor != 0;
    if (!factor || size.constant) buf_printf(out, "%lld%s", (long long)size.constant, factor ? " + " : "");
    if (!factor) return;
    if (size.factor != 1) buf_printf(out, "%lld * ", (long long)size.factor);
    print_length(out, size.length, size.trips);
}

static void put_typed(Printer *p, const Buffer *buffer) {
    put_name(p, buffer);
    put(p, ": ");
    type_print(p->out, buffer->type);
}

static void put_made(Printer *p, const Buffer *buffer) {
    put_typed(p, buffer);
    if (buffer->size.known != SIZE_EXACT || buffer->size.factor || buffer->size.constant != 1 ||
        buffer->type->kind == TY_vec) {
        put(p, ", size ");
        plan_print_size(p->out, buffer->size);
    }
    if (buffer->place) {
        put(p, ", in the place of ");
        put_name(p, buffer->maker->walks[buffer->place - 1]);
    }
    if (buffer->begins) {
        put(p, ", in the place of ");
        put_name(p, buffer->start);
    }
    if (buffer->last == LIVES_ON)
        put(p, ", in the result");
    else if (buffer->last < 0 || (buffer->maker && buffer->last == buffer->maker->number))
        put(p, ", not needed");
    else
        buf_printf(p->out, ", until %d", buffer->last);
    put(p, "\n");
}

static void put_plan(Printer *p, const Plan *plan);

/* ---- library functions ---- */

enum { MOST_NAMES = 20 };
typedef struct Origins {
    const char *names[MOST_NAMES];
    int count;
    bool more;
} Origins;

/* The name of what the source is the text of; NULL: no function's. */
static const char *function_name(const Program *program, uint32_t source) {
    if (source == 0 || source >= (uint32_t)program->sources) return NULL;
    const char *name = program->source[source].name;
    bool own = strcmp(name, "prelude.weld") == 0 || strcmp(name, "type") == 0;
    return own ? NULL : name;
}

static bool note_origin(Walk *walk, Node **slot) {
    Origins *origins = walk->data;
    const char *name = function_name(walk->program, (*slot)->span.source);
    if (!name) return true;
    for (int i = 0; i < origins->count; i++) {
        if (strcmp(origins->names[i], name) == 0) return true;
    }
    origins->more |= origins->count == MOST_NAMES;
    if (!origins->more) origins->names[origins->count++] = name;
    return true;
}

/* None where it is all of one function, which its place names. */
static Origins origins_of(Program *program, const Fragment *fragment) {
    Origins origins = {.count = 0};
    Walk walk = {.program = program, .enter = note_origin, .data = &origins};
    Node *node = fragment->node;
    node_walk(&walk, &node);
    if (origins.count == 1 && function_name(program, node->span.source)) origins.count = 0;
    return origins;
}

static void print_origins(Buf *out, const Origins *origins) {
    for (int i = 0; i < origins->count; i++) buf_printf(out, "%s%s", i ? ", " : "", origins->names[i]);
    if (origins->more) buf_printf(out, " and others");
}

void plan_print_origins(Buf *out, Program *program, const Fragment *fragment) {
    Origins origins = origins_of(program, fragment);
    print_origins(out, &origins);
}

static void put_origins(Printer *p, const Fragment *fragment) {
    Origins origins = origins_of(p->program, fragment);
    if (!origins.count) return;
    begin_line(p, 1);
    put(p, "from   ");
    print_origins(p->out, &origins);
    put(p, "\n");
}

/* ---- ranks ---- */

static const ExchangeClass *exchange_of(const Fragment *fragment) {
    return fragment->node->kind == N_Exchange ? &exchange_classes[fragment->node->bits] : NULL;
}

/* What is read of it differs from rank to rank. */
static bool is_spread(const Printer *p, const Buffer *buffer) {
    const Distribution *given = &p->program->distribution;
    if (buffer->maker) return p->spread[buffer->maker->number];
    char name[96];
    snprintf(name, sizeof name, "%s", buffer->name ? buffer->name : "");
    name[strcspn(name, ".")] = 0;
    return buffer->type->pointers &&
           (name_is_listed(given->blocks, name) || name_is_listed(given->parts, name));
}

/* A state of an iterate may lie in either way. */
static bool is_state(const Buffer *buffer) {
    return !buffer->maker && buffer->plan->holder;
}

/* What a wait gives lies as what was launched. */
static bool gives_blocks(const Fragment *fragment, const ExchangeClass *exchange) {
    for (int i = 0; fragment->node->bits == EXCHANGE_wait && i < fragment->ninputs; i++) {
        const Fragment *maker = fragment->inputs[i]->maker;
        if (maker && maker->node->kind == N_Exchange &&
            exchange_launched((ExchangeKind)maker->node->bits) != EXCHANGE_COUNT)
            exchange = exchange_of(maker);
    }
    return exchange->blocks;
}

static void put_where(Printer *p, const Fragment *fragment) {
    if (!p->spread) return;
    bool spread = false, open = false;
    for (int i = 0; i < fragment->ninputs; i++) {
        spread |= is_spread(p, fragment->inputs[i]);
        open |= is_state(fragment->inputs[i]);
    }
    const ExchangeClass *exchange = exchange_of(fragment);
    p->spread[fragment->number] = exchange ? gives_blocks(fragment, exchange) : spread;
    if (exchange) buf_printf(p->out, ", %s", exchange->spelling);
    if (exchange || (open && !spread) || !fragment_classes[fragment->kind].counts) return;
    put(p, spread ? ", each rank its share" : ", replicated");
}

/* The bytes of what a rank puts into an exchange. */
static void put_operand(Printer *p, const Buffer *buffer) {
    const Type *type = buffer->type;
    int64_t size = type->kind == TY_vec ? type->args[0]->size : type->size;
    if (type->kind == TY_dict) size = type->args[0]->size + type->args[1]->size;
    if (type->kind == TY_appender) size = type->args[0]->size;
    if (type->kind != TY_vec && type->kind != TY_dict && type->kind != TY_appender) {
        buf_printf(p->out, "%lld bytes", (long long)size);
        return;
    }
    buf_printf(p->out, "%lld bytes * len(", (long long)size);
    put_name(p, buffer);
    put(p, ")");
}

static void put_operands(Printer *p, const Fragment *fragment) {
    int count = 0,
        columns = fragment->node->kids[0]->type->count; /* what the second operand reads comes behind them */
    for (int i = 0; i < fragment->ninputs && count < columns; i++) {
        const Type *type = fragment->inputs[i]->type;
        if (!type->pointers && !type->builders) continue; /* a number that the exchange goes by */
        put(p, count++ == 0 ? "(" : " + ");
        put_operand(p, fragment->inputs[i]);
    }
    put(p, count ? ")" : "0");
}

/* Of the first loop whose rows may move, or 0: the operand of a spread ends with rows * bytes + .. */
static int64_t row_bytes(const Node *asked) {
    const Node *bytes = asked->kind == N_Struct && asked->count == 3 ? asked->kids[2] : NULL;
    while (bytes && bytes->kind == N_Binary && bytes->op == OP_add) bytes = bytes->kids[0];
    bool product = bytes && bytes->kind == N_Binary && bytes->kids[1]->kind == N_Literal;
    return product ? (int64_t)bytes->kids[1]->bits : 0;
}

/* The bytes of what a rank asks for: an entry for each key, of which it asks for at most so many. */
static void put_asked(Printer *p, const Fragment *fragment) {
    const Type *dict = fragment->node->kids[0]->type;
    const char *between = "";
    buf_printf(p->out, "%lld bytes * (", (long long)(dict->args[0]->size + dict->args[1]->size));
    for (int i = 1; i < fragment->ninputs; i++) {
        const Buffer *input = fragment->inputs[i];
        const Node *maker = input->maker ? input->maker->node : NULL;
        bool shares = maker && maker->kind == N_Exchange && maker->bits == EXCHANGE_share;
        if (shares && input != input->maker->outputs[0]) continue;
        put(p, between);
        between = " + ";
        if (shares)
            buf_printf(p->out, "the iterations of %d", input->maker->number);
        else
            put_length(p, input, NULL);
    }
    put(p, *between ? ")" : "few)");
    int64_t row = row_bytes(fragment->node->kids[1]);
    if (row) buf_printf(p->out, ", of rows that move %lld bytes each", (long long)row);
}

static void put_sent(Printer *p, const Fragment *fragment) {
    const ExchangeClass *exchange = exchange_of(fragment);
    if (!exchange) return;
    begin_line(p, 1);
    put(p, "sends  ");
    if (!*exchange->sends) put(p, "nothing");
    for (const char *at = exchange->sends; *at; at++) {
        if (*at == '%' && fragment->ninputs)
            put_operand(p, fragment->inputs[0]);
        else if (*at == '&')
            put_asked(p, fragment);
        else if (*at == '#')
            put_operands(p, fragment);
        else if (*at == '%')
            buf_printf(p->out, "%lld bytes", (long long)fragment->node->kids[0]->type->size);
        else
            buf_put(p->out, at, 1);
    }
    put(p, "\n");
}

static void put_runs(Printer *p, const Fragment *fragment) {
    begin_line(p, 1);
    put(p, "runs   ");
    if (fragment->trips.trips == fragment) {
        put(p, fragment->kind == FRAGMENT_loop ? "as often as its iterator says" : "any number of times");
    } else {
        plan_print_size(p->out, fragment->trips);
        put(p, " times");
    }
    if (fragment->kind == FRAGMENT_loop) buf_printf(p->out, ", about %.0f operations each", fragment->cost);
    put(p, "\n");
}

static void put_fragment(Printer *p, const Fragment *fragment) {
    const Span span = fragment->node->span;
    uint32_t source = span.source < (uint32_t)p->program->sources ? span.source : 0;
    begin_line(p, 0);
    buf_printf(p->out, "fragment %d: line %zu of %s, %s", fragment->number, line_of(p, span),
               p->program->source[source].name, fragment_classes[fragment->kind].spelling);
    int iters = fragment->node->count - 2;
    if (fragment->kind == FRAGMENT_loop)
        buf_printf(p->out, " over %d iterator%s", iters, iters == 1 ? "" : "s");
    put_where(p, fragment);
    if (fragment->parallel) put(p, ", in parallel");
    if (fragment->why) buf_printf(p->out, ", on one thread: %s", fragment->why);
    put(p, "\n");
    if (fragment->kind == FRAGMENT_loop || fragment->kind == FRAGMENT_iterate) put_runs(p, fragment);
    if (fragment_classes[fragment->kind].counts) put_origins(p, fragment);
    if (fragment->ninputs) {
        begin_line(p, 1);
        put(p, "reads  ");
        put_names(p, fragment->inputs, fragment->ninputs);
        put(p, "\n");
    }
    put_sent(p, fragment);
    for (int i = 0; i < fragment->noutputs; i++) {
        begin_line(p, 1);
        put(p, "makes  ");
        put_made(p, fragment->outputs[i]);
    }
    for (int i = 0; i < fragment->ninner; i++) {
        begin_line(p, 1);
        put(p, fragment->kind == FRAGMENT_iterate ? "each time:\n" : i ? "or:\n" : "either:\n");
        p->indent += 2;
        put_plan(p, fragment->inner[i]);
        p->indent -= 2;
    }
}

static bool is_code(const Fragment *fragment) {
    return fragment->kind == FRAGMENT_code;
}

/* Pieces of code from number i on, on a line; returns the number behind the last. */
static int put_code(Printer *p, const Plan *plan, int i) {
    int end = i + 1;
    while (end < plan->nfragments && is_code(plan->fragments[end])) end++;
    begin_line(p, 0);
    buf_printf(p->out, "code %d", plan->fragments[i]->number);
    if (end > i + 1) buf_printf(p->out, "-%d", plan->fragments[end - 1]->number);
    put(p, ": ");
    for (; i < end; i++) {
        const Fragment *code = plan->fragments[i];
        put_where(p, code);
        put_names(p, code->outputs, code->noutputs);
        if (code->ninputs) put(p, " from ");
        put_names(p, code->inputs, code->ninputs);
        put(p, i + 1 < end ? "; " : "\n");
    }
    return end;
}

static void put_plan(Printer *p, const Plan *plan) {
    if (plan->narguments) {
        begin_line(p, 0);
        put(p, plan->holder ? "state: " : "arguments: ");
        for (int i = 0; i < plan->narguments; i++) {
            if (i) put(p, ", ");
            put_typed(p, plan->arguments[i]);
        }
        put(p, "\n");
    }
    for (int i = 0; i < plan->nfragments;) {
        if (is_code(plan->fragments[i])) {
            i = put_code(p, plan, i);
        } else {
            put_fragment(p, plan->fragments[i++]);
        }
    }
    begin_line(p, 0);
    put(p, plan->holder ? "gives: " : "result: ");
    put_names(p, plan->results, plan->nresults);
    if (!plan->nresults) put(p, "a constant");
    put(p, "\n");
}

static void print_bytes(Buf *out, const PlanBytes *bytes) {
    bool first = true;
    for (int i = 0; i < bytes->count; i++) {
        if (!bytes->term[i].factor) continue;
        buf_printf(out, "%s%lld * ", first ? "" : " + ", (long long)bytes->term[i].factor);
        print_length(out, bytes->term[i].length, bytes->term[i].trips);
        first = false;
    }
    if (bytes->others)
        buf_printf(out, "%s%lld * other lengths", first ? "" : " + ", (long long)bytes->others);
    first = first && !bytes->others;
    if (bytes->constant || first) buf_printf(out, "%s%lld", first ? "" : " + ", (long long)bytes->constant);
    buf_printf(out, " bytes");
}

void plan_print_memory(Buf *out, const PlanMemory *memory) {
    if (memory->fragment < 0) return;
    buf_printf(out, "memory: ");
    print_bytes(out, &memory->most);
    buf_printf(out, " at fragment %d; without reuse ", memory->fragment);
    print_bytes(out, &memory->unshared);
    buf_printf(out, "\n");
}

/* One more than the largest number of a fragment. */
static int numbers_of(const Plan *plan) {
    int most = 0;
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        if (fragment->number >= most) most = fragment->number + 1;
        for (int k = 0; k < fragment->ninner; k++) {
            int inner = numbers_of(fragment->inner[k]);
            if (inner > most) most = inner;
        }
    }
    return most;
}

void plan_print(Buf *out, Program *program, const Plan *plan) {
    Printer p = {.out = out, .program = program};
    if (program->distribution.together)
        p.spread = arena_alloc(&program->arena, sizeof *p.spread * (size_t)(numbers_of(plan) + 1));
    if (program->training) buf_printf(out, "%s", program->training);
    put_plan(&p, plan);
    PlanMemory memory = plan_memory(program, plan);
    plan_print_memory(out, &memory);
}
