/* arrow.c: the adapter's functions by name: what one does with values and what says which of them are not missing.
 *
 * The rest of the adapter, in this order:
 *
 *     weld_arrow.h     the interface
 *     arrow.h          all declarations; formats.def, layouts.def: Arrow's types, a row each
 *     base.c           errors, memory that several share
 *     format.c         format strings
 *     column.c         what was imported, as a tree; check.c: arrays against their schema
 *     read.c           the elements of a column, as the language has them
 *     import.c         taking in, lazy values
 *     type.c           types of the language, read from their text
 *     sheet.c nested.c results as columns
 *     export.c         columns as arrays, schemas and streams
 */
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
