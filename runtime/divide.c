/* divide.c: C functions that divide their work among the threads of the run that calls them.
 *
 *     run: cfill[weld_nn_product, ..]  --call-->  the function  --divide(4, piece)-->  piece(0) on the run's thread,
 *                                                                                      piece(1), .. on its helpers'
 *
 * A library that has threads of its own does not know how many a run may use, and which of them are busy: OpenBLAS's wait in
 * circles for the next call, on the processors that the loops between two calls need. So the run's own do the work.
 * A function is called on the thread that runs the program, which has its worker at hand while it is called; on a thread that
 * has none, as in a loop that is divided already, the pieces run one after the other.
 */
#include "rt.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

static _Thread_local Worker *caller;

void divide_enter(Worker *worker) {
    caller = worker;
}

typedef struct Division {
    weld_piece_t piece;
    void *state;
    int64_t pieces;
    _Atomic int64_t next;
} Division;

static void take_pieces(void *data, int member) {
    Division *division = data;
    (void)member;
    for (int64_t i; (i = atomic_fetch_add(&division->next, 1)) < division->pieces;)
        division->piece(division->state, i);
}

static int64_t divide(int64_t pieces, weld_piece_t piece, void *state) {
    Worker *worker = caller;
    Team *team = worker ? worker->team : NULL;
    Division division = {piece, state, pieces, 0};
    caller = NULL; /* a piece that divides itself runs alone */
    team_run(pieces > 1 ? team : NULL, take_pieces, &division);
    caller = worker;
    return team_threads(team);
}

void divide_offer(void *library) {
    void (*use)(weld_divide_t) = NULL;
    void *symbol = dlsym(library, "weld_use_threads");
    memcpy(&use, &symbol, sizeof use);
    if (use) use(divide);
}
