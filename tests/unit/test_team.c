/* test_team.c: the threads of a run: all of the work is done, once, and where they may run stays as it was. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <sched.h>

enum { THINGS = 1000, MEMBERS = 4 };

typedef struct Share {
    int next, done[THINGS];
    cpu_set_t allowed;
    int elsewhere; /* members that may run on other processors than the caller may */
    int processor; /* on which helper 1 began; -1: it has not */
    bool pair;     /* the caller waits for helper 1, a second at most */
} Share;

static void share(void *data, int member) {
    Share *w = data;
    cpu_set_t mine;
    if (member > 0 && sched_getaffinity(0, sizeof mine, &mine) == 0 && !CPU_EQUAL(&mine, &w->allowed))
        __atomic_fetch_add(&w->elsewhere, 1, __ATOMIC_RELAXED);
    if (member == 1) __atomic_store_n(&w->processor, sched_getcpu(), __ATOMIC_RELEASE);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while (w->pair && member == 0 && now.tv_sec - begin.tv_sec < 2 &&
           __atomic_load_n(&w->processor, __ATOMIC_ACQUIRE) < 0);
    int i;
    while ((i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED)) < THINGS)
        __atomic_fetch_add(&w->done[i], 1, __ATOMIC_RELAXED);
}

static Share run(Team *team, bool pair) {
    Share w = {.processor = -1, .pair = pair};
    cr_assert_eq(sched_getaffinity(0, sizeof w.allowed, &w.allowed), 0);
    team_run(team, share, &w);
    return w;
}

Test(team, does_everything_once) {
    Team *team = team_new(MEMBERS, 0);
    cr_assert(team);
    for (int round = 0; round < 200; round++) {
        Share w = run(team, false);
        for (int i = 0; i < THINGS; i++) cr_assert_eq(w.done[i], 1, "round %d, thing %d", round, i);
        cr_assert_eq(w.elsewhere, 0, "round %d", round);
    }
    team_free(team);
}

Test(team, a_helper_leaves_the_callers_processor) {
    cpu_set_t allowed, one;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    if (CPU_COUNT(&allowed) < 2) cr_skip_test("one processor");
    Team *team = team_new(2, 0);
    cr_assert(team);
    run(team, true); /* the helper was made, and may run everywhere */
    int here = sched_getcpu(), apart = 0, rounds = 40;
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    for (int round = 0; round < rounds; round++) {
        Share w = run(team, true);
        cr_assert_geq(w.processor, 0, "no helper within a second");
        apart += w.processor != here;
    }
    cr_assert_eq(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    cr_assert_gt(apart, rounds / 2, "%d of %d", apart, rounds);
    team_free(team);
}
