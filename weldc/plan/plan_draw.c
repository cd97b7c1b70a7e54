/* plan_draw.c: a plan as a picture, an SVG file.
 *
 *     fragment                     a      #0     #1
 *     arguments                    #
 *     0 a loop, line 3             o      #             a bar for each buffer, from what makes it (#) to the last that
 *     1 a sort, line 4             |      o      #      needs it; o: it is read there
 *     result                                     #
 *
 * Fragments stand from top to bottom in the order in which they run, those of inner plans indented in a frame. Buffers have
 * columns; one that takes another's place stands in its column, and a column that is free is used again: what stands side by
 * side lives side by side. Dashed bars own no memory: they are views of others.
 */
#include "../weldc.h"

#include <stdio.h>
#include <string.h>

enum {
    ROW = 24,
    LEFT = 430,
    COLUMN = 92,
    TOP = 64,
    INDENT = 14,
    LETTERS = 58,
    NAME_LETTERS = 13,
    HEAD_LETTERS = 130
};

/* A line of the picture. */
typedef struct Line {
    const Fragment *fragment; /* NULL: arguments or results of the plan */
    const Fragment *to;       /* the last of several pieces of code on one line */
    const Plan *plan;
    int depth;
    bool first; /* of a plan without a fragment: its arguments */
} Line;

typedef struct Bar {
    const Buffer *buffer;
    int from, to, column;
} Bar;

/* The lines of a plan; in the order in which they begin. */
typedef struct Frame {
    int first, last;
} Frame;

typedef struct Drawing {
    Program *program;
    Buf *out;
    Line *lines;
    Bar *bars;
    Frame *frames;
    int *line_of, *end_of; /* by number of fragment: its line; its last line, those of inner plans included */
    int nlines, nbars, nframes, columns;
} Drawing;

/* ---- what is drawn ---- */

static bool is_drawn(const Buffer *buffer) {
    return buffer->type->pointers || type_is_builder(buffer->type) || buffer->owns != OWNS_NOTHING;
}

/* At most as many as there are lines, bars and numbers: *lines, *bars, *numbers grow by them. */
static void count_plan(const Plan *plan, size_t *lines, size_t *bars, size_t *numbers) {
    *lines += (size_t)plan->nfragments + 2;
    *bars += (size_t)plan->narguments;
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        *bars += (size_t)fragment->noutputs;
        if ((size_t)fragment->number >= *numbers) *numbers = (size_t)fragment->number + 1;
        for (int k = 0; k < fragment->ninner; k++) count_plan(fragment->inner[k], lines, bars, numbers);
    }
}

static Line *add_line(Drawing *d, const Plan *plan, const Fragment *fragment, int depth) {
    Line *line = &d->lines[d->nlines++];
    *line = (Line){.fragment = fragment, .to = fragment, .plan = plan, .depth = depth};
    return line;
}

static void lay_lines(Drawing *d, const Plan *plan, int depth) {
    Frame *frame = &d->frames[d->nframes++];
    frame->first = d->nlines;
    if (plan->narguments) add_line(d, plan, NULL, depth)->first = true;
    Line *code = NULL; /* that the last line is of, if it is */
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        bool joins = code && fragment->kind == FRAGMENT_code;
        if (joins)
            code->to = fragment;
        else
            code = add_line(d, plan, fragment, depth);
        d->line_of[fragment->number] = d->nlines - 1;
        if (fragment->kind != FRAGMENT_code) code = NULL;
        for (int k = 0; k < fragment->ninner; k++) lay_lines(d, fragment->inner[k], depth + 1);
        d->end_of[fragment->number] = d->nlines - 1;
    }
    add_line(d, plan, NULL, depth);
    frame->last = d->nlines - 1;
}

/* Inserted where it belongs: bars stand in the order of their first lines. */
static void add_bar(Drawing *d, const Buffer *buffer, int from, int to) {
    if (!is_drawn(buffer)) return;
    Bar bar = {.buffer = buffer, .from = from, .to = to < from ? from : to, .column = -1};
    int at = d->nbars++;
    while (at > 0 && from < d->bars[at - 1].from) {
        d->bars[at] = d->bars[at - 1];
        at--;
    }
    d->bars[at] = bar;
}

/* The last line that the buffer is needed on; made: the line that makes it; last: that of its plan. */
static int end_of_life(const Drawing *d, const Buffer *buffer, int made, int last) {
    if (buffer->last == LIVES_ON) return last;
    return buffer->last < 0 ? made : d->end_of[buffer->last];
}

static void lay_bars(Drawing *d, const Plan *plan, int *frame) {
    Frame lines = d->frames[(*frame)++];
    for (int i = 0; i < plan->narguments; i++)
        add_bar(d, plan->arguments[i], lines.first,
                end_of_life(d, plan->arguments[i], lines.first, lines.last));
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        int made = d->end_of[fragment->number];
        for (int k = 0; k < fragment->noutputs; k++)
            add_bar(d, fragment->outputs[k], made, end_of_life(d, fragment->outputs[k], made, lines.last));
        for (int k = 0; k < fragment->ninner; k++) lay_bars(d, fragment->inner[k], frame);
    }
}

static Bar *bar_of(Drawing *d, const Buffer *buffer) {
    for (int i = 0; i < d->nbars; i++)
        if (d->bars[i].buffer == buffer) return &d->bars[i];
    return NULL;
}

/* The buffer whose place it takes, or NULL. */
static const Buffer *taken_place(const Buffer *buffer) {
    if (buffer->place) return buffer->maker->walks[buffer->place - 1];
    return buffer->begins ? buffer->start : NULL;
}

/* The first column that is free from the bar's first line on; until: by column, the last line that is taken. */
static void lay_columns(Drawing *d, int *until) {
    for (int i = 0; i < d->nbars; i++) {
        Bar *bar = &d->bars[i];
        const Buffer *taken = taken_place(bar->buffer);
        const Bar *before = taken ? bar_of(d, taken) : NULL;
        int column = before ? before->column : 0;
        while (!before && column < d->columns && until[column] >= bar->from) column++;
        if (column == d->columns) d->columns++;
        bar->column = column;
        if (until[column] < bar->to || before) until[column] = bar->to;
    }
}

/* ---- drawing ---- */

static int x_of(int column) {
    return LEFT + COLUMN * column + 10;
}

static int y_of(int line) {
    return TOP + ROW * line + ROW / 2;
}

/* As text of XML; at most so many letters, then three dots. */
static void put_text(Buf *out, const char *text, size_t length, size_t most) {
    bool cut = length > most;
    for (size_t i = 0; i < length && i < (cut ? most - 2 : most); i++) {
        const char *entity = text[i] == '<'   ? "&lt;"
                             : text[i] == '>' ? "&gt;"
                             : text[i] == '&' ? "&amp;"
                                              : NULL;
        if (entity)
            buf_printf(out, "%s", entity);
        else
            buf_put(out, text + i, 1);
    }
    if (cut) buf_printf(out, "…");
}

/* The first `shown` letters of a text, or fewer if that is too many; all of it is shown where the pointer rests. */
static void draw_text(Drawing *d, int x, int y, const Buf *text, size_t shown, size_t most,
                      const char *more) {
    d->out->failed |= text->failed;
    if (!text->text) return;
    buf_printf(d->out, "<text x=\"%d\" y=\"%d\"%s><title>", x, y, more);
    put_text(d->out, text->text, text->length, text->length);
    buf_printf(d->out, "</title>");
    put_text(d->out, text->text, shown, most);
    buf_printf(d->out, "</text>\n");
}

static void say_fragment(Drawing *d, const Line *line, Buf *text) {
    const Fragment *fragment = line->fragment;
    if (!fragment) {
        const char *inner = line->first ? "state" : "gives", *outer = line->first ? "arguments" : "result";
        buf_printf(text, "%s", line->plan->holder ? inner : outer);
        return;
    }
    buf_printf(text, "%d", fragment->number);
    if (line->to != fragment) buf_printf(text, "-%d", line->to->number);
    buf_printf(text, "  %s", fragment_classes[fragment->kind].spelling);
    if (fragment->kind == FRAGMENT_code) return;
    if (fragment->node->kind == N_Exchange)
        buf_printf(text, ", %s", exchange_classes[fragment->node->bits].spelling);
    Span span = fragment->node->span;
    uint32_t source = span.source < (uint32_t)d->program->sources ? span.source : 0;
    buf_printf(text, ", line %zu of %s", program_line(d->program, span), d->program->source[source].name);
    size_t before = text->length;
    buf_printf(text, ": ");
    size_t from = text->length;
    if (fragment_classes[fragment->kind].counts) plan_print_origins(text, d->program, fragment);
    if (text->length == from) text->length = before;
    if (fragment->kind == FRAGMENT_loop || fragment->kind == FRAGMENT_iterate) {
        buf_printf(text, ", ");
        if (fragment->trips.trips == fragment)
            buf_printf(text, "some times");
        else
            plan_print_size(text, fragment->trips), buf_printf(text, " times");
    }
    if (fragment->parallel) buf_printf(text, ", in parallel");
}

static void draw_lines(Drawing *d) {
    for (int i = 0; i < d->nlines; i++) {
        const Line *line = &d->lines[i];
        Buf text = {0};
        say_fragment(d, line, &text);
        bool counts = line->fragment && fragment_classes[line->fragment->kind].counts;
        draw_text(d, 10 + INDENT * line->depth, y_of(i) + 4, &text, text.length,
                  LETTERS - 2 * (size_t)line->depth, counts ? " font-weight=\"bold\"" : " fill=\"#666\"");
        buf_release(&text);
    }
}

/* Around each inner plan. */
static void draw_frames(Drawing *d, int width) {
    for (int i = 1; i < d->nframes; i++) {
        Frame frame = d->frames[i];
        int left = 2 + INDENT * d->lines[frame.first].depth;
        buf_printf(d->out,
                   "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"#1f5faa\" "
                   "fill-opacity=\"0.05\" "
                   "stroke=\"#1f5faa\" stroke-opacity=\"0.3\"/>\n",
                   left, y_of(frame.first) - ROW / 2 + 1, width - 4 - left,
                   (frame.last - frame.first + 1) * ROW - 2);
    }
}

static const char *color_of(const Buffer *buffer) {
    if (!buffer->maker) return buffer->plan->holder ? "#b8860b" : "#777777";
    if (buffer->last == LIVES_ON && !buffer->plan->holder) return "#2e8b57";
    return "#1f5faa";
}

static void draw_mark(Drawing *d, const Bar *bar, int line, bool made) {
    const char *color = color_of(bar->buffer);
    int x = x_of(bar->column), y = y_of(line);
    if (made)
        buf_printf(d->out, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", x - 5, y - 5,
                   color);
    else
        buf_printf(
            d->out,
            "<circle cx=\"%d\" cy=\"%d\" r=\"4\" fill=\"white\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", x, y,
            color);
}

static void draw_bars(Drawing *d) {
    for (int i = 0; i < d->nbars; i++) {
        const Bar *bar = &d->bars[i];
        const Buffer *buffer = bar->buffer;
        bool own = !buffer->maker || buffer->owns != OWNS_NOTHING;
        buf_printf(d->out,
                   "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"%s\"/>\n",
                   x_of(bar->column), y_of(bar->from), x_of(bar->column), y_of(bar->to), color_of(buffer),
                   own ? "4" : "1.5\" stroke-dasharray=\"3 3");
    }
    for (int i = 0; i < d->nlines; i++) {
        const Fragment *fragment = d->lines[i].fragment;
        for (int k = 0; fragment && k < fragment->ninputs; k++) {
            const Bar *bar = bar_of(d, fragment->inputs[k]);
            if (bar) draw_mark(d, bar, i, false);
        }
        for (int k = 0; !fragment && !d->lines[i].first && k < d->lines[i].plan->nresults; k++) {
            const Bar *bar = bar_of(d, d->lines[i].plan->results[k]);
            if (bar) draw_mark(d, bar, i, false);
        }
    }
    for (int i = 0; i < d->nbars; i++) {
        const Bar *bar = &d->bars[i];
        Buf text = {0};
        draw_mark(d, bar, bar->from, true);
        plan_print_name(&text, bar->buffer);
        size_t name = text.length;
        buf_printf(&text, ": ");
        type_print(&text, bar->buffer->type);
        buf_printf(&text, ", size ");
        plan_print_size(&text, bar->buffer->size);
        if (taken_place(bar->buffer)) {
            buf_printf(&text, ", in the place of ");
            plan_print_name(&text, taken_place(bar->buffer));
        }
        draw_text(d, x_of(bar->column) + 9, y_of(bar->from) + 4, &text, name, NAME_LETTERS, "");
        buf_release(&text);
    }
}

static void draw_head(Drawing *d, const PlanMemory *memory, int width, int height) {
    buf_printf(
        d->out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        width, height);
    Buf text = {0};
    plan_print_memory(&text, memory);
    if (text.length) text.length--; /* the end of the line */
    draw_text(d, 10, 20, &text, text.length, HEAD_LETTERS, " font-size=\"13\"");
    buf_release(&text);
    buf_printf(d->out, "<text x=\"10\" y=\"42\" fill=\"#666\">fragments, in the order in which they run; a "
                       "bar is a buffer, from what "
                       "makes it to the last that needs it; a circle: read there; dashed: a view</text>\n");
}

bool plan_draw(Buf *out, Program *program, const Plan *plan) {
    size_t lines = 0, bars = 0, numbers = 0;
    count_plan(plan, &lines, &bars, &numbers);
    Arena *arena = &program->arena;
    Drawing d = {.program = program, .out = out};
    d.lines = arena_alloc(arena, sizeof *d.lines * lines);
    d.bars = arena_alloc(arena, sizeof *d.bars * (bars + 1));
    d.frames = arena_alloc(arena, sizeof *d.frames * lines);
    d.line_of = arena_alloc(arena, sizeof *d.line_of * (numbers + 1));
    d.end_of = arena_alloc(arena, sizeof *d.end_of * (numbers + 1));
    int *until = arena_alloc(arena, sizeof *until * (bars + 1));
    if (!d.lines || !d.bars || !d.frames || !d.line_of || !d.end_of || !until) {
        error_set(&program->error, E_OutOfMemory, (Span){0, 0, 0}, "no memory for the picture");
        return false;
    }
    for (size_t i = 0; i <= bars; i++) until[i] = -1;
    lay_lines(&d, plan, 0);
    lay_bars(&d, plan, &(int){0});
    lay_columns(&d, until);
    PlanMemory memory = plan_memory(program, plan);
    int width = x_of(d.columns) + 60, height = y_of(d.nlines) + 8;
    draw_head(&d, &memory, width < 900 ? 900 : width, height);
    draw_frames(&d, width);
    draw_lines(&d);
    draw_bars(&d);
    buf_printf(out, "</svg>\n");
    return true;
}
