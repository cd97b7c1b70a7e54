/* line.c: where a session's lines come from: a terminal, with editing and history, or a pipe.
 *
 * On a terminal libedit edits the line. While it does, Ctrl-C is a key and not a signal: it is bound to a
 * function that empties the line and ends it. During a run the terminal is as it was, and Ctrl-C is a signal
 * again (cancel.c). The history lies in $XDG_STATE_HOME/weldc/history, by default under ~/.local/state.
 */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static bool edit_start(Lines *lines) {
    setlocale(LC_CTYPE, "");
    lines->edit = el_init("weldc", stdin, stdout, stderr);
    if (!lines->edit) return false;
    el_set(lines->edit, EL_CLIENTDATA, lines);
    el_set(lines->edit, EL_PROMPT, prompt);
    el_set(lines->edit, EL_EDITOR, "emacs");
    history_start(lines);
    el_set(lines->edit, EL_ADDFN, "weldc-interrupt", "Drop the line", on_interrupt);
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
    errno = 0;
    const char *line = el_gets(lines->edit, &length);
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
