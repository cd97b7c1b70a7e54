/* A frame, made and printed, with nothing but what the package says. */
#include <weld_frame.h>

#include <stdio.h>

int main(void) {
    weld_context_t context = weld_context_new(NULL);
    weld_frame_t all = weld_frame_parse_csv("k,x\n1,2\n1,3\n", 12, NULL, NULL);
    weld_frame_t sums = weld_frame_group_by(all, "k", "sum(x) as x", NULL);
    char *text = weld_frame_format_csv(context, sums, NULL);
    printf("%s", text ? text : "nothing\n");
    free(text);
    weld_frame_free(sums);
    weld_frame_free(all);
    weld_context_free(context);
    return 0;
}
