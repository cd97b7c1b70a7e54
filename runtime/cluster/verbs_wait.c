/* verbs_wait.c: how a rank waits for its device.
 *
 * Between two looks at the completion queue it polls, and where that takes longer than waits have lately, sleeps until something
 * completes. To be woken takes longer than what a device does with a short message, and a rank that polls during a long one takes the
 * processor from those that share it, a device's driver too. So a rank polls longer if the sleep was short, else less (as KVM does
 * where a processor halts: Documentation/virt/kvm/halt-polling). The other ranks are looked after if nothing came for a whole sleep, and
 * now and then: in MPI that takes longer than to be woken.
 */
#include "verbs.h"

#if WELD_VERBS

#include <sched.h>
#include <stdio.h>

ErrorCode verbs_pause(int *spins, bool aborts, const volatile int32_t *cancel, Error *error) {
    enum { SOMETIMES = 1024 };
    const char *fault = (*spins - LOOK_NOW) % SOMETIMES == 0 ? device_fault(&verbs.device) : NULL;
    if (fault) {
        char why[160];
        snprintf(why, sizeof why, "was lost: %s: %s", verbs.device.name, fault);
        return verbs.launch->lose(verbs.launch->rank, why, error);
    }
    return aborts ? verbs.launch->idle(spins, cancel, error) : verbs.launch->settling(spins, error);
}

/* A wait that ended after so long: would polling have been enough? */
static void learn(int64_t waited) {
    if (waited > POLL_MOST_US)
        verbs.patience /= 2;
    else
        verbs.patience = verbs.patience ? 2 * verbs.patience : POLL_US;
    if (verbs.patience > POLL_MOST_US) verbs.patience = POLL_MOST_US;
}

ErrorCode verbs_rest(Wait *wait, bool moved, bool aborts, const volatile int32_t *cancel, Error *error) {
    int64_t now = clock_us();
    int spins = LOOK_NOW;
    if (!wait->looked) wait->looked = now;
    bool looks = now - wait->looked > LOOK_US;
    if (moved || !wait->since) {
        wait->since = moved ? 0 : now;
    } else if (now - wait->since < verbs.patience) {
        sched_yield();
    } else {
        Sleep sleep = device_sleep(&verbs.device, SLEEP_MS);
        if (sleep == SLEEP_WOKEN) learn(clock_us() - wait->since);
        if (sleep == SLEEP_PASSED) verbs.patience = 0, looks = true;
    }
    if (!looks) return E_None;
    wait->looked = now;
    return verbs_pause(&spins, aborts, cancel, error);
}

#endif
