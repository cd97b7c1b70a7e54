/* fragment.c: the texts that operations emit, and how a loop reads an array.
 *
 *     a of shape {n, m}, row by row      b = broadcast of shape {m}
 *     |p0, p1, p2| map(zip(p0, nditer(p1, p2.$0, p2.$0 + p2.$1, 1l, [p2.$2, p2.$3], [p2.$4, p2.$5])), |e| ..)
 *
 * Sizes, strides and scalars are arguments, never text: the same operation on arrays of other sizes is the same program.
 * What is in order is read as the vector itself, so that its loop fuses; axes that can be walked as one are one, so that
 * texts are few.
 */
#include "nd.h"

#include <stdarg.h>
#include <stdio.h>

void text_put(Text *text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int room = TEXT - text->length, length = vsnprintf(text->text + text->length, (size_t)room, format, list);
    va_end(list);
    text->full |= length < 0 || length >= room;
    if (!text->full) text->length += length;
}

int fragment_lazy(Fragment *f, weld_lazy_t lazy) {
    f->failed |= !lazy || f->count == ARGUMENTS;
    if (f->failed) return 0;
    f->arguments[f->count] = weld_lazy_hold(lazy);
    return f->count++;
}

int fragment_data(Fragment *f, const char *type, const void *data) {
    weld_lazy_t lazy = f->failed ? NULL : weld_lazy_data(type, data, NULL, NULL, f->error);
    int number = fragment_lazy(f, lazy);
    weld_lazy_free(lazy);
    return number;
}

int fragment_numbers(Fragment *f, const int64_t *numbers, int count) {
    char type[8 * 4 * WELD_ND_AXES] = "i64";
    int length = 0;
    for (int i = 0; i < count && count > 1; i++) length += sprintf(type + length, "%ci64", i ? ',' : '{');
    if (count > 1) sprintf(type + length, "}");
    return fragment_data(f, type, numbers);
}

weld_lazy_t fragment_close(Fragment *f) {
    Text text = {.length = 0};
    text_put(&text, "|");
    for (int i = 0; i < f->count; i++) text_put(&text, "%sp%d", i ? ", " : "", i);
    text_put(&text, "| ");
    text_put(&text, "%s", f->body.text);
    weld_lazy_t lazy = NULL;
    if (text.full || f->body.full)
        nd_fail(f->error, WELD_ARGUMENT_ERROR, "the operation %s has too many operands or axes", f->function);
    else if (f->failed && weld_error_code(f->error) == WELD_SUCCESS)
        nd_fail(f->error, WELD_ARGUMENT_ERROR, "the operation %s has too many operands or axes", f->function);
    else if (!f->failed)
        lazy =
            weld_lazy_new(f->function, f->count ? text.text : f->body.text, f->arguments, f->count, f->error);
    for (int i = 0; i < f->count; i++) weld_lazy_free(f->arguments[i]);
    f->count = 0;
    return lazy;
}

int axes_collapse(int rank, const int64_t *shape, const int64_t *strides, int64_t *to_shape,
                  int64_t *to_strides) {
    int count = 0;
    for (int i = 0; i < rank; i++) {
        if (shape[i] == 1) continue;
        bool joins = count && to_strides[count - 1] == strides[i] * shape[i];
        if (!joins) {
            to_shape[count] = shape[i];
            to_strides[count++] = strides[i];
            continue;
        }
        to_shape[count - 1] *= shape[i];
        to_strides[count - 1] = strides[i];
    }
    return count;
}

/* [p.$first, p.$(first + 1), ..] */
static int put_list(char *text, int room, int parameter, int first, int count) {
    int length = snprintf(text, (size_t)room, "[");
    for (int i = 0; i < count; i++)
        length += snprintf(text + length, (size_t)(room - length), "%sp%d.$%d", i ? ", " : "", parameter,
                           first + i);
    return length + snprintf(text + length, (size_t)(room - length), "]");
}

/* Its first element and how many, then lengths and strides. */
static void put_nditer(Fragment *f, Operand *operand, int data, int64_t start, int count,
                       const int64_t *shape, const int64_t *strides) {
    int64_t numbers[2 + 2 * WELD_ND_AXES] = {start, 1};
    for (int i = 0; i < count; i++) {
        numbers[1] *= shape[i];
        numbers[2 + i] = shape[i];
        numbers[2 + count + i] = strides[i];
    }
    int g = fragment_numbers(f, numbers, 2 + 2 * count), room = (int)sizeof operand->iterator;
    char *text = operand->iterator;
    int length = snprintf(text, (size_t)room, "nditer(p%d, p%d.$0, p%d.$0 + p%d.$1, 1l, ", data, g, g, g);
    length += put_list(text + length, room - length, g, 2, count);
    length += snprintf(text + length, (size_t)(room - length), ", ");
    length += put_list(text + length, room - length, g, 2 + count, count);
    snprintf(text + length, (size_t)(room - length), ")");
}

static void put_slice(Fragment *f, Operand *operand, int data, int64_t start, int64_t size) {
    int64_t numbers[] = {start, start + size};
    int g = fragment_numbers(f, numbers, 2);
    snprintf(operand->iterator, sizeof operand->iterator, "iter(p%d, p%d.$0, p%d.$1, 1l)", data, g, g);
}

void operand_open(Fragment *f, const Nd *nd, int rank, const int64_t *shape, Operand *operand) {
    int64_t strides[WELD_ND_AXES], lengths[WELD_ND_AXES], steps[WELD_ND_AXES];
    int data = fragment_lazy(f, nd->data), before = rank - nd->rank;
    *operand = (Operand){.dtype = nd->dtype};
    if (nd->scalar) {
        snprintf(operand->value, sizeof operand->value, "p%d", data);
        return;
    }
    for (int i = 0; i < rank; i++) {
        bool repeated = i < before || (nd->shape[i - before] == 1 && shape[i] != 1);
        strides[i] = repeated ? 0 : nd->strides[i - before];
    }
    int count = axes_collapse(rank, shape, strides, lengths, steps);
    if (count == 0 || (count == 1 && steps[0] == 0)) { /* one element of it */
        int at = fragment_numbers(f, &nd->start, 1);
        text_put(&f->body, "let c%d = lookup(p%d, p%d); ", at, data, at);
        snprintf(operand->value, sizeof operand->value, "c%d", at);
        return;
    }
    operand->iterates = true;
    bool straight = count == 1 && steps[0] == 1;
    if (straight && nd->start == 0 && nd->length == lengths[0])
        snprintf(operand->iterator, sizeof operand->iterator, "p%d", data);
    else if (straight)
        put_slice(f, operand, data, nd->start, lengths[0]);
    else
        put_nditer(f, operand, data, nd->start, count, lengths, steps);
}

void operands_put(Fragment *f, Operand *operands, int count, int64_t size) {
    int iterators = 0, at = 0;
    for (int i = 0; i < count; i++) iterators += operands[i].iterates;
    if (iterators == 0) {
        text_put(&f->body, "rangeiter(0l, p%d, 1l)", fragment_numbers(f, &size, 1));
        return;
    }
    if (iterators > 1) text_put(&f->body, "zip(");
    for (int i = 0; i < count; i++) {
        if (!operands[i].iterates) continue;
        text_put(&f->body, "%s%s", at ? ", " : "", operands[i].iterator);
        snprintf(operands[i].value, sizeof operands[i].value, iterators > 1 ? "e.$%d" : "e", at);
        at++;
    }
    if (iterators > 1) text_put(&f->body, ")");
}
