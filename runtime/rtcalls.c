/* rtcalls.c: what compiled code calls: one rt_<id> for each row of weldc/rtcalls.def.
 *
 * They are thin: the work is done by lang/'s functions on values, dictionaries and regions, which the
 * interpreter uses too, so that both engines agree. A failure is reported to the worker once, here or below,
 * and comes back as a code or NULL.
 */
#include "rt.h"

#include <string.h>

typedef void V;
typedef void *P;
typedef int32_t I;
typedef int64_t L;
#define RTCALL(id, result, arguments, doc) static result rt_##id arguments;
#include "../weldc/rtcalls.def"

static Span span_of(L packed) {
    return span_unpack(packed);
}

static I rt_fail(P worker, I code, L span, L a, L b) {
    return (I)worker_fail(worker, (ErrorCode)code, span_of(span), a, b);
}

static I rt_fail_assert(P worker, L span, P text, L length, L a, L b, L c) {
    return (I)worker_fail_assert(worker, span_of(span), text, length, (L[MOST_ASSERTED]){a, b, c});
}

static I rt_error(P worker) {
    ErrorCode code = ((Worker *)worker)->error.code;
    return code == E_None ? E_Internal : code;
}

static I rt_for(P worker, P body, P state, L count, P shape, P builder, L span) {
    union {
        P pointer;
        LoopBody call;
    } function = {.pointer = body};
    const LoopShape *s = shape;
    Loop loop = {function.call, state, count, s->size, builder, s->exact, s->least, span_of(span)};
    return (I)loop_run(worker, &loop);
}

static P rt_alloc(P worker, L bytes, L span) {
    return worker_alloc(worker, bytes, span_of(span));
}

static P rt_grow(P worker, P block, L length, L capacity, L room, L size, L span) {
    Worker *w = worker;
    L bytes;
    if (__builtin_mul_overflow(room, size, &bytes)) bytes = INT64_MAX;
    if (bytes == 0) bytes = 1;
    P grown = region_grow(w->region, capacity ? block : NULL, bytes);
    if (!grown) {
        worker_fail(w, E_OutOfMemory, span_of(span), bytes, budget_limit(region_budget(w->region)));
    } else if (!capacity && length) {
        memcpy(grown, block, (size_t)(length * size));
    }
    return grown;
}

static P rt_settle(P worker, P block, L bytes, L span) {
    Worker *w = worker;
    P settled = region_settle(w->region, block, bytes ? bytes : 1);
    if (!settled) worker_fail(w, E_OutOfMemory, span_of(span), bytes, budget_limit(region_budget(w->region)));
    return settled;
}

static V rt_drop(P worker, P state, L size) {
    Region *region = ((Worker *)worker)->region;
    Appender *builder = state;
    if (builder->capacity)
        region_grow(region, builder->data, 0);
    else
        region_release(region, builder->data, builder->length * size);
    *builder = (Appender){0};
}

static V rt_release(P worker, P data, L bytes) {
    region_release(((Worker *)worker)->region, data, bytes);
}

static V rt_mark(P worker, P mark) {
    *(RegionMark *)mark = region_mark(((Worker *)worker)->region);
}
static V rt_reset(P worker, P mark) {
    region_reset(((Worker *)worker)->region, *(RegionMark *)mark);
}

static V rt_sweep(P worker, P steps, P type, P value) {
    region_sweep_step(((Worker *)worker)->region, steps, type, value);
}

static L rt_clock(P worker) {
    return region_clock(((Worker *)worker)->region);
}

static V rt_renew(P worker, L clock, P mark, P type, P value, P roots, L count) {
    *(RegionMark *)mark = region_renew(((Worker *)worker)->region, clock, type, value, roots, count);
}

static P rt_dict_new(P worker, P entry, L span) {
    return dict_new(worker, entry, span_of(span));
}
static P rt_dict_find(P dict, P entry, P key) {
    return dict_find(dict, entry, key);
}

static P rt_dict_insert(P worker, P dict, P entry, P key, P fresh, L span) {
    const Type *type = entry;
    return dict_insert(worker, dict, type, key, key_hash(type->args[0], key), fresh, span_of(span));
}

static P rt_dict_add(P worker, P dict, P entry, P key, L hash, L span) {
    bool fresh;
    return dict_insert(worker, dict, entry, key, (uint64_t)hash, &fresh, span_of(span));
}

static P rt_dict_deal_add(P worker, P dict, P entry, P key, L hash, P dealt, P drain, L record, L span) {
    union {
        P pointer;
        PartitionDrain call;
    } function = {.pointer = drain};
    void *value = NULL;
    if (partition_is_due(worker, dict))
        value = partition_begin(worker, dict, dealt, function.call, record, key, (uint64_t)hash);
    return value ? value : rt_dict_add(worker, dict, entry, key, hash, span);
}

static P rt_dict_deal(P worker, P dict, L partition, L span) {
    return partition_room(worker, dict, partition, span_of(span));
}

static I rt_dict_gather(P worker, P dict, P entry, I form, L span) {
    return gather(worker, dict, entry, (DictForm)form, span_of(span)) ? E_None : rt_error(worker);
}

static I rt_dict_merge(P worker, P dict, P entry, P pair, I op, L span) {
    return dict_merge(worker, dict, entry, pair, (Op)op, span_of(span)) ? E_None : rt_error(worker);
}

static P rt_dict_direct(P worker, P dict, P entry, L count) {
    enum { WORTHWHILE = 4096, TRIED = 8 }; /* TRIED: with weld.grain */
    if (count >= (((Worker *)worker)->grain ? TRIED : WORTHWHILE)) dict_make_direct(worker, dict, entry);
    return ((Dict *)dict)->direct;
}

static I rt_dict_finish(P worker, P dict, P entry, L span) {
    return dict_finish(worker, dict, entry, span_of(span)) ? E_None : rt_error(worker);
}

static I rt_group_merge(P worker, P dict, P entry, P key, P value, L span) {
    return group_merge(worker, dict, entry, key, value, span_of(span)) ? E_None : rt_error(worker);
}

static I rt_group_finish(P worker, P dict, P entry, L span) {
    return group_finish(worker, dict, entry, span_of(span)) ? E_None : rt_error(worker);
}

static ErrorCode sort_compare(void *closure, Worker *worker, const void *a, const void *b, int32_t *order) {
    struct Ordered {
        P function, closure;
    } *ordered = closure;
    union {
        P pointer;
        ErrorCode (*call)(P closure, P worker, const void *a, const void *b, int32_t *order);
    } function = {.pointer = ordered->function};
    return function.call(ordered->closure, worker, a, b, order);
}

static I rt_sort(P worker, P data, L length, L size, P compare, P closure, P out, I divisible, L span) {
    struct {
        P function, closure;
    } ordered = {compare, closure};
    L bytes;
    if (__builtin_mul_overflow(length, size, &bytes)) bytes = INT64_MAX;
    Worker *w = worker;
    P copy = worker_alloc(worker, bytes, span_of(span));
    P scratch = copy ? region_grow(w->region, NULL, bytes ? bytes : 1) : NULL;
    if (!scratch) {
        if (copy)
            worker_fail(worker, E_OutOfMemory, span_of(span), bytes, budget_limit(region_budget(w->region)));
        return rt_error(worker);
    }
    if (bytes) memcpy(copy, data, (size_t)bytes);
    ErrorCode status =
        (divisible ? sort_run : sort_stable)(worker, copy, scratch, length, size, sort_compare, &ordered);
    region_grow(w->region, scratch, 0);
    if (status == E_None) *(Vec *)out = (Vec){copy, length};
    return (I)status;
}

static SortKey key_of(L packed) {
    return (SortKey){(TypeKind)(packed & 255), (packed >> 8 & 1) != 0, packed >> 16};
}

static I rt_sort_key(P worker, P data, L length, L size, L key, P out, L span) {
    SortKey order = key_of(key);
    L bytes;
    if (__builtin_mul_overflow(length, size, &bytes)) bytes = INT64_MAX;
    P copy = worker_alloc(worker, bytes, span_of(span));
    if (!copy) return rt_error(worker);
    ErrorCode status = sort_run_by_key(worker, data, copy, length, size, &order, span_of(span));
    if (status == E_None) *(Vec *)out = (Vec){copy, length};
    return (I)status;
}

static I rt_top(P worker, P data, L length, L size, P compare, P closure, L start, L count, P out,
                I divisible, L span) {
    struct {
        P function, closure;
    } ordered = {compare, closure};
    ErrorCode code;
    if (sort_top(worker, data, length, size, sort_compare, &ordered, start, count, out, span_of(span), &code))
        return (I)code;
    Vec sorted;
    I status = rt_sort(worker, data, length, size, compare, closure, &sorted, divisible, span);
    if (status != E_None) return status;
    if (start > length) start = length;
    if (count > length - start) count = length - start;
    *(Vec *)out = (Vec){(char *)sorted.data + start * size, count};
    return E_None;
}

static I rt_top_key(P worker, P data, L length, L size, L key, L start, L count, P out, L span) {
    SortKey order = key_of(key);
    return (I)sort_top_by_key(worker, data, length, size, &order, start, count, out, span_of(span));
}

static I rt_top_numbered(P worker, P data, L length, L key, L start, L count, P out, L span) {
    SortKey order = key_of(key);
    return (I)sort_top_numbered(worker, data, length, &order, (key & NAN_LAST) != 0, start, count, out,
                                span_of(span));
}

static I rt_compare(P type, P a, P b) {
    return value_compare(type, a, b);
}

static I rt_serialize(P worker, P type, P value, P out, L span) {
    L size = value_serialized_size(type, value);
    P bytes = worker_alloc(worker, size, span_of(span));
    if (!bytes) return rt_error(worker);
    value_serialize(type, value, bytes);
    *(Vec *)out = (Vec){bytes, size};
    return E_None;
}

static I rt_deserialize(P worker, P type, P bytes, P out, L span) {
    return (I)value_deserialize(worker, span_of(span), type, bytes, out);
}

static I rt_exchange(P worker, L what, P type, P a, P b, P out, L span) {
    ExchangeCall call = {.kind = (ExchangeKind)(what >> 8),
                         .op = (Op)(what & 0xff),
                         .type = type,
                         .operands = {a, b},
                         .out = out,
                         .span = span_of(span)};
    return (I)exchange(worker, &call);
}

static KeptState kept_state(L number, P type, P layout, L span) {
    const char *letters = layout;
    return (KeptState){number, type, *letters ? letters : NULL, span_of(span)};
}

static I rt_restore(P worker, L number, P type, P layout, P state, P kind, L span) {
    KeptState kept = kept_state(number, type, layout, span);
    return (I)checkpoint_restore(worker, &kept, state, kind);
}

static I rt_keep(P worker, L number, P type, P layout, P state, I again, L span) {
    KeptState kept = kept_state(number, type, layout, span);
    return (I)checkpoint_step(worker, &kept, state, again != 0);
}

static I rt_fill_prepare(P worker, P type, P sizes, P out, L span) {
    I code = (I)fill_prepare(worker, type, sizes, out, span_of(span));
    if (code == E_None) divide_enter(worker);
    return code;
}

static I rt_fill_finish(P worker, P type, P made, P out, I status, L span) {
    divide_enter(NULL);
    return (I)fill_finish(worker, type, made, out, status, span_of(span));
}

static V rt_passed(P worker, I number, I kind, L span) {
    Stopwatch *watch = ((Worker *)worker)->watch;
    if (watch) stopwatch_pass(watch, number, (FragmentKind)kind, span_of(span));
}

static I rt_nd_check(P worker, P bounds, L span) {
    const NdBounds *nd = bounds;
    return (I)nd_check(worker, span_of(span), nd);
}

static L rt_nd_offset(P bounds, L index) {
    return nd_offset(bounds, index);
}

static L rt_nd_segment(P bounds, L index, P place) {
    return nd_segment(bounds, index, place);
}

static L rt_nd_stride(P bounds) {
    return nd_stride(bounds);
}

void *rtcall_symbol(const char *name) {
    static const struct {
        const char *name;
        void *address;
    } rows[] = {
#define RTCALL(id, result, arguments, doc) {"rt_" #id, (void *)rt_##id},
#include "../weldc/rtcalls.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(name, rows[i].name) == 0) return rows[i].address;
    }
    return NULL;
}
