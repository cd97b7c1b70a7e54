/* ranks.c: what the ranks of a cluster agree on while they load their arguments.
 *
 * Loading is a run of the engine's, without a program: it begins on all ranks and ends on all, and if one of them cannot
 * load something, all fail, and that one says so. In between they tell each other numbers: what is in their files. Alone
 * a process is rank 0 of 1 and agrees with itself.
 */
#include <stdlib.h>
#include <string.h>

#include "../../runtime/cluster/cluster.h"
#include "command.h"

bool ranks_begin(Ranks *ranks, const struct Engine *engine, Fault *fault) {
    *ranks = (Ranks){.engine = engine, .rank = 0, .ranks = 1};
    if (!engine) return true;
    Error error = {0};
    ErrorCode code = engine->begin(&error);
    if (code != E_None) return fault_set(fault, code, "%s", error.code ? error.text : error_message(code));
    ranks->rank = engine->rank;
    ranks->ranks = engine->ranks;
    ranks->open = true;
    return true;
}

bool ranks_gather(Ranks *ranks, const int64_t *own, int count, int64_t *all, Fault *fault) {
    int64_t bytes = count * (int64_t)sizeof *own;
    size_t whole = (size_t)ranks->ranks * (size_t)bytes, lists = 2 * (size_t)ranks->ranks * sizeof(Transfer);
    if (ranks->left) return fault_set(fault, E_Cancelled, "%s", error_message(E_Cancelled));
    char *block = malloc(lists + whole); /* the transfers and what they carry */
    if (!block) return fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    Transfer *list = (Transfer *)block;
    char *parts = block + lists;
    int transfers = 0;
    memcpy(parts + ranks->rank * bytes, own, (size_t)bytes);
    for (int peer = 0; peer < ranks->ranks; peer++) {
        if (peer == ranks->rank) continue;
        list[transfers++] = (Transfer){peer, false, parts + peer * bytes, bytes};
        list[transfers++] = (Transfer){peer, true, parts + ranks->rank * bytes, bytes};
    }
    Error error = {0};
    ErrorCode code = transfers ? ranks->engine->transfer(list, transfers, &cancel_flag, &error) : E_None;
    if (code != E_None) {
        ranks->left = block;
        return fault_set(fault, code, "%s", error.code ? error.text : error_message(code));
    }
    memcpy(all, parts, whole);
    free(block);
    return true;
}

bool ranks_text(Ranks *ranks, Buf *text, Fault *fault) {
    int64_t own = (int64_t)text->length, *lengths = malloc((size_t)ranks->ranks * sizeof *lengths);
    bool ok = lengths || fault_set(fault, E_OutOfMemory, "no memory for the arguments");
    ok = ok && ranks_gather(ranks, &own, 1, lengths, fault);
    /* As numbers, since those can be gathered: the text of rank 0 alone counts. */
    size_t words = ok ? (size_t)lengths[0] / sizeof own + 1 : 0;
    int64_t *all = ok ? calloc(words * (size_t)(ranks->ranks + 1), sizeof *all) : NULL;
    ok = ok && (all || fault_set(fault, E_OutOfMemory, "no memory for the arguments"));
    int64_t *mine = ok ? all + words * (size_t)ranks->ranks : NULL;
    if (ok && ranks->rank == 0 && text->length) memcpy(mine, text->text, text->length);
    ok = ok && ranks_gather(ranks, mine, (int)words, all, fault);
    if (ok && ranks->rank != 0) {
        text->length = 0;
        buf_put(text, (const char *)all, (size_t)lengths[0]);
    }
    free(lengths);
    free(all);
    return ok;
}

bool ranks_end(Ranks *ranks, bool ok, Fault *fault) {
    if (!ranks->open) return ok;
    ranks->failed = true;
    ranks->speaks = ranks->rank == 0;
    ranks->open = false;
    Outcome outcome = {.code = ok ? E_None : (int32_t)fault->error.code};
    outcome.own = !ok && outcome.code != E_Cluster && !(outcome.code == E_Cancelled && !cancel_flag);
    outcome.span.begin = (uint32_t)ranks->rank; /* who has failed */
    snprintf(outcome.text, sizeof outcome.text, "%s", fault->error.text);
    Error error = {0};
    ErrorCode code = ranks->engine->end(&outcome, &error);
    if (code != E_None) return fault_set(fault, code, "%s", error.code ? error.text : error_message(code));
    free(ranks->left);
    ranks->left = NULL;
    ranks->failed = outcome.code != E_None;
    if (!ranks->failed) return ok;
    ranks->speaks = (int)outcome.span.begin == ranks->rank;
    return fault_set(fault, (ErrorCode)outcome.code, "%s", outcome.text);
}
