/* cancel.c: Ctrl-C sets a flag that interpreter, compiled code and loaders read.
 *
 * A signal handler can reach its program only through a global variable: this is the one.
 */
#include "command.h"

volatile int32_t cancel_flag;

static void on_interrupt(int signal) {
    (void)signal;
    cancel_flag = 1;
}

void cancel_watch(bool once) {
    /* Without SA_RESTART, so that a read from a pipe that never ends can be left. */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = once ? (int)SA_RESETHAND : 0};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}
