/* line.c: where a session's lines come from: a terminal, with editing and history, or a pipe.
 *
 * On a terminal libedit edits the line and asks read_char for every character. SIGINT is blocked but while
 * read_char waits, and becomes the character Ctrl-C, which is bound to a function that empties the line and
 * ends it. The terminal is in libedit's mode before the prompt appears, so that what is typed at once is not
 * lost. The history lies in $XDG_STATE_HOME/weldc/history, by default under ~/.local/state.
 */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "command.h"

struct Lines {
    EditLine *edit; /* NULL: a pipe */
    History *history;
    char *history_path;
    bool more, interrupted;
    char *line; /* of getline */
    size_t room;
};

/* ---- the history's file
 * -------------------------------------------------------------------------------------- */

/* Makes every folder of a path. */
static void make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

static char *history_file(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int length = state && *state == '/' ? asprintf(&path, "%s/weldc/history", state)
                 : home && *home == '/' ? asprintf(&path, "%s/.local/state/weldc/history", home)
                                        : -1;
    if (length < 0) return NULL;
    make_folders(path);
    return path;
}

static void history_start(Lines *lines) {
    HistEvent event;
    lines->history = history_init();
    if (!lines->history) return;
    history(lines->history, &event, H_SETSIZE, 5000);
    history(lines->history, &event, H_SETUNIQUE, 1);
    lines->history_path = history_file();
    if (lines->history_path) history(lines->history, &event, H_LOAD, lines->history_path);
    el_set(lines->edit, EL_HIST, history, lines->history);
}

/* ---- the terminal
 * ---------------------------------------------------------------------------------------------- */

static char *prompt(EditLine *edit) {
    static char first[] = ">>> ", next[] = "... ";
    Lines *lines;
    el_get(edit, EL_CLIENTDATA, &lines);
    return lines->more ? next : first;
}

static unsigned char on_interrupt(EditLine *edit, int key) {
    (void)key;
    Lines *lines;
    el_get(edit, EL_CLIENTDATA, &lines);
    lines->interrupted = true;
    return CC_NEWLINE;
}

/* One character of the terminal. SIGINT is blocked but while it waits: one that comes between the prompt and
 * the change of the terminal's mode is taken for the key. */
static int read_char(EditLine *edit, wchar_t *out) {
    (void)edit;
    mbstate_t state = {0};
    for (;;) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        sigset_t open;
        pthread_sigmask(SIG_SETMASK, NULL, &open);
        sigdelset(&open, SIGINT);
        int ready = cancel_flag ? 0 : ppoll(&input, 1, NULL, &open);
        if (cancel_flag) {
            cancel_flag = 0;
            *out = 'C' & 31;
            return 1;
        }
        if (ready < 0 && errno == EINTR) continue;
        char byte;
        ssize_t got = ready < 0 ? -1 : read(STDIN_FILENO, &byte, 1);
        if (got <= 0) return (int)got;
        size_t length = mbrtowc(out, &byte, 1, &state);
        if (length != (size_t)-2 && length != (size_t)-1) return 1;
        if (length == (size_t)-1) memset(&state, 0, sizeof state); /* no character: skip it */
    }
}

static bool edit_start(Lines *lines) {
    setlocale(LC_CTYPE, "");
    lines->edit = el_init("weldc", stdin, stdout, stderr);
    if (!lines->edit) return false;
    el_set(lines->edit, EL_CLIENTDATA, lines);
    el_set(lines->edit, EL_PROMPT, prompt);
    el_set(lines->edit, EL_EDITOR, "emacs");
    el_wset(lines->edit, EL_GETCFN, read_char);
    history_start(lines);
    /* The wide form keeps the names; the narrow one would leak copies of them. */
    el_wset(lines->edit, EL_ADDFN, L"weldc-interrupt", L"Drop the line", on_interrupt);
    el_set(lines->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(lines->edit, NULL);
    el_set(lines->edit, EL_SETTY, "-d", "intr=", NULL);
    el_set(lines->edit, EL_BIND, "^C", "weldc-interrupt", NULL);
    return true;
}

Lines *lines_open(bool interactive) {
    Lines *lines = calloc(1, sizeof *lines);
    if (lines && interactive && !edit_start(lines)) {
        free(lines);
        return NULL;
    }
    return lines;
}

void lines_close(Lines *lines) {
    if (!lines) return;
    HistEvent event;
    if (lines->history && lines->history_path) history(lines->history, &event, H_SAVE, lines->history_path);
    if (lines->edit) el_end(lines->edit);
    if (lines->history) history_end(lines->history);
    free(lines->history_path);
    free(lines->line);
    free(lines);
}

static LineKind next_edited(Lines *lines, Buf *out) {
    int length = 0;
    lines->interrupted = false;
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &before);
    cancel_flag = 0; /* that was for the run before */
    errno = 0;
    el_set(lines->edit, EL_PREP_TERM, 1);
    const char *line = el_gets(lines->edit, &length);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (lines->interrupted || (!line && errno == EINTR)) {
        fputs("^C\n", stdout);
        fflush(stdout);
        return LINE_INTERRUPTED;
    }
    if (!line || length <= 0) {
        fputs("\n", stdout);
        fflush(stdout);
        return LINE_END;
    }
    HistEvent event;
    if (lines->history && strspn(line, " \t\n") < strlen(line))
        history(lines->history, &event, H_ENTER, line);
    buf_put(out, line, (size_t)length);
    return LINE_TEXT;
}

LineKind lines_next(Lines *lines, bool more, Buf *out) {
    lines->more = more;
    if (lines->edit) return next_edited(lines, out);
    errno = 0;
    ssize_t length = getline(&lines->line, &lines->room, stdin);
    if (length < 0 && errno == EINTR) {
        clearerr(stdin);
        return LINE_INTERRUPTED;
    }
    if (length < 0) return LINE_END;
    buf_put(out, lines->line, (size_t)length);
    if (lines->line[length - 1] != '\n') buf_put(out, "\n", 1);
    return LINE_TEXT;
}
