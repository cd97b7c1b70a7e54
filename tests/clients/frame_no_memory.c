/* Every single allocation of making and computing frames (adapters/frame) fails, once or with all that follow: each time
 * there is an error that says so, arrays are released once, no block is lost, and what was made can be computed later. */
#define _GNU_SOURCE
#include "refuse.h"
#include "weld_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32, CHAIN = 600 };

static weld_context_t context;
static weld_error_t error;
static weld_frame_t frames[MOST];
static int count;

static weld_frame_t add(weld_frame_t frame) {
    CHECK(frame || weld_error_code(error) == WELD_OUT_OF_MEMORY);
    frames[count++] = frame;
    return frame;
}

static void count_release(void *user) {
    ++*(int *)user;
}

static void make(int part, int *released) {
    static const double data[] = {3, 1, 2};
    static const bool valid[] = {true, false, true};
    static const char csv[] = "k,x,t,d\n1,2.5,\"a \"\"b\"\"\",2024-01-01\n2,,c,\n1,3,,2024-02-01\n";
    weld_frame_t own =
        add(weld_frame_add_data(NULL, "x", WELD_FRAME_F64, data, valid, 3, count_release, released, error));
    weld_frame_t all = add(weld_frame_parse_csv(csv, sizeof csv - 1, NULL, error)), pair[] = {all, all}, made;
    if (!own || !all) return;
    switch (part) {
    case 0:
        add(weld_frame_filter(own, "x > 1 && !is_null(x)", error));
        add(weld_frame_select(all, "x * k as y, upper(t), d + 1 as e, if(k > 1, t, 'none')", error));
        add(weld_frame_with(all, "text(k) + t as s, in(k, 1, 2), fill_null(x, 0) as x", error));
        add(weld_frame_rename(all, "k as key", error));
        break;
    case 1:
        add(weld_frame_drop(all, "t", error));
        if ((made =
                 add(weld_frame_bind_data(all, "t", WELD_FRAME_TEXT, &(weld_frame_text_t){"c", 1}, error))))
            add(weld_frame_filter(made, "t == $t", error));
        add(weld_frame_sort(all, "t desc, x", error));
        add(weld_frame_top(all, "x", 2, error));
        add(weld_frame_tail(all, 2, error));
        add(weld_frame_distinct(all, "k", error));
        add(weld_frame_concat(pair, 2, error));
        break;
    case 2:
        add(weld_frame_group_by(all, "t", "count(), mean(x), var(x), min(t), last(d), n_unique(k)", error));
        add(weld_frame_group_by(all, "", "sum(x), max(x), first(t)", error));
        if ((made = add(weld_frame_describe(own, error)))) add(weld_frame_select(made, "count, std", error));
        break;
    default:
        add(weld_frame_join(all, all, WELD_FRAME_INNER, "k", error));
        add(weld_frame_join(all, all, WELD_FRAME_LEFT, "t, k == k", error));
        add(weld_frame_join(all, all, WELD_FRAME_ANTI, "k + 1 == k", error));
    }
}

static void use(weld_frame_t frame, bool must) {
    weld_frame_t made = weld_frame_collect(context, frame, error);
    CHECK(made || (!must && weld_error_code(error) == WELD_OUT_OF_MEMORY));
    char *text = weld_frame_print(context, frame, 2, error);
    CHECK(text || (!must && weld_error_code(error) == WELD_OUT_OF_MEMORY));
    free(text);
    text = weld_frame_format_csv(context, frame, error);
    CHECK(text || (!must && weld_error_code(error) == WELD_OUT_OF_MEMORY));
    free(text);
    weld_frame_free(made);
}

/* With allocation number n failing; true: that many did not happen. */
static int try(void *data, long n) {
    int part = *(int *)data, released = 0, made;
    count = 0;
    left = n;
    make(part, &released);
    made = frames[0] != NULL;
    for (int i = 0; i < count; i++) {
        if (frames[i]) use(frames[i], false);
    }
    int done = left > 0;
    left = -1;
    CHECK(released == 0);
    for (int i = 0; i < count; i++) {
        if (frames[i] && (n % 16 == 0 || done)) use(frames[i], true);
    }
    for (int i = 0; i < count; i++) weld_frame_free(frames[i]);
    CHECK(released == made);
    CHECK(weld_context_memory_usage(context) == 0);
    return done;
}

int main(void) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval"); /* LLVM ends the process when there is no memory */
    weld_conf_set(conf, "weld.threads", "1");
    context = weld_context_new(conf);
    error = weld_error_new();
    weld_adapter_find("frame", error);
    for (int part = 0; part < 4; part++) {
        for (once = 0; once < 2; once++) {
            int done = 0;
            try(&part, CHAIN * 1000L); /* the caches know it */
            /* all that follow fail: what comes late is the same as what comes early, so in larger steps */
            for (long n = 0; !done && !bad; n += once || n < CHAIN ? 1 : 7) {
                done = refuse(try, &part, n);
                if (done) printf("part %d: %ld allocations\n", part, n);
            }
        }
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    return bad != 0;
}
