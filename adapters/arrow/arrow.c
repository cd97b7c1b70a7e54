/* arrow.c: the adapter's functions by name: what one does with values and what says which of them are not missing. */
#include "arrow.h"

static const weld_function_t functions[] = {
    {"decode", "", "|indices, values| map(indices, |i| lookup(values, i64(i)))", NULL, NULL,
     "the values of a dictionary that its indices mean"},
    {"fill", "", "|values, valid, other| map(zip(values, valid), |e| if(e.$1, e.$0, other))", NULL, NULL,
     "the values, another in place of each that is missing"},
    {"drop", "",
     "|values, valid| result(for(zip(values, valid), appender, |b, i, e| if(e.$1, merge(b, e.$0), b)))", NULL,
     NULL, "the values that are not missing"},
    {"count", "", "|valid: vec[bool]| result(for(valid, merger[i64, +], |b, i, e| if(e, merge(b, 1l), b)))",
     NULL, NULL, "how many are not missing"},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

WELD_API const weld_adapter_t *weld_adapter(void);

const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "arrow",
                                           "Arrow, by its C data and stream interfaces", functions};
    return &adapter;
}
