/* command.h: the `weldc` program: the command line and the session around the runtime.
 *
 * Sections are headed by the file that implements them. This folder alone in weldc/ sees the runtime's rt.h:
 * the program links everything, the library weldc/ does not.
 *
 * Errors: what fails leaves one Fault; who started the work prints it. Nothing here exits the process but
 * main.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <signal.h>
#include <stdio.h>

#include "../../runtime/rt.h"

/* ---- fault.c: what goes wrong, and texts ------------------------------------------------------------- */

/* The first failure of a command. Its message is rendered where its text is at hand: the program, an
 * argument, a file. Zeroed: none. */
typedef struct Fault {
    Error error;
    Buf message; /* rendered: NAME:LINE:COL: error[...]..., or empty: the caller gives it a place */
} Fault;

/* A text with the name that messages give it. */
typedef struct Text {
    const char *name;
    char *bytes; /* NUL-terminated, owned */
    size_t length;
} Text;

/* Sets a failure without a place. Returns false, always; the first one sticks. */
bool fault_set(Fault *fault, ErrorCode code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Sets and renders a failure at bytes [begin, end) of a text. Returns false. */
bool fault_at(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end,
              ErrorCode code, const char *format, ...) __attribute__((format(printf, 8, 9)));
/* The same for a part of a text before which there are so many lines. */
bool fault_at_line(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end,
                   size_t line, ErrorCode code, const char *message);
/* Renders a failure that has no place yet under bytes [begin, end) of a text. Returns false. */
bool fault_place(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end);
/* Renders an error of the program that was read from this text. Returns false. */
bool fault_of_program(Fault *fault, const Error *error, const Text *text);
void fault_print(const Fault *fault); /* on standard error */
void fault_release(Fault *fault);     /* and zeroes it */

bool text_of_file(const char *path, Text *out, Fault *fault); /* "-": standard input */
bool text_of_code(const char *name, const char *code, Text *out, Fault *fault);
void text_release(Text *text);

/* ---- main.c: the command line -------------------------------------------------------------------------- */

typedef enum CommandId {
#define COMMAND(id, words, doc) COMMAND_##id,
#include "commands.def"
    COMMAND_COUNT
} CommandId;

/* What the command line asks for. Texts are the process's arguments. */
typedef struct Request {
    CommandId command;
    const char *code, *file; /* the program; NULL: not given */
    char **words;            /* the arguments of the program */
    int count;
    bool json, stats, times, help, resume;
    int64_t repeat;
    const char *stage, *after, *input, *output, *save, *library;
    const char **libraries; /* to load, in order */
    int library_count;
    weld_conf_t conf; /* what options have set */
    Fault fault;      /* of a setting */
} Request;

typedef int (*CommandMain)(Request *request); /* returns the exit status */
#define COMMAND(id, words, doc) int command_##id(Request *request);
#include "commands.def"

enum ExitStatus { EXIT_DONE, EXIT_FAULT, EXIT_USAGE };
/* `weldc: text` and where help is, on standard error. Returns EXIT_USAGE. */
int usage_error(const Request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool request_text(const Request *request, Text *out, Fault *fault); /* the program's text */
double now_ms(void);                                                /* since the process started */
int write_out(Buf *out); /* to standard output; returns the exit status. Releases the text */

/* ---- declaration.c: a C declaration, taken apart ---------------------------------------------------------- */

void declaration_clean(char *text); /* blanks attributes and the like */
/* Declarator `number` with what comes before all of them, as a declaration of its own. False: there are no more, or no memory. */
bool declaration_part(const char *text, int number, Buf *out);

/* ---- tables.c ---- */

void setting_look(const char *key); /* says on standard error that there is no such setting of ours, if so */

/* ---- prototype.c: the functions that a C header declares ------------------------------------------------ */

/* What a parameter is for. */
typedef enum Role {
    ROLE_VALUE,    /* a number that is handed over */
    ROLE_LENGTH,   /* how many elements vectors have */
    ROLE_STRIDE,   /* how far apart these are: 1 */
    ROLE_READ,     /* a vector that is read */
    ROLE_WRITTEN,  /* one that is written */
    ROLE_IN_PLACE, /* one that is changed */
    ROLE_NUMBER,   /* one number that is written */
} Role;

typedef struct Param {
    char type[64];           /* without const and pointers */
    char name[64], safe[72]; /* as it is written; and so that it is a name in the language and in a draft */
    TypeKind kind;           /* of what it is, or points to */
    bool pointer, constant;
    Role role;
    bool guessed; /* its length is taken from what such functions mostly do */
    long fixed;   /* of `double x[3]`: 3; 0: it is not so declared */
    int lengths
        [2]; /* of a vector: the lengths that it has, or whose product it has; -1: none. Both -1: no parameter tells */
    int owner; /* of a length: the vector that has it, or -1: none alone, so that the caller tells it */
} Param;

enum { PARAMS = 24 };

typedef struct Prototype {
    char name[128], doc[160]; /* doc: the first sentence above it, or "" */
    Param result, params[PARAMS];
    int count, reads, writes; /* vectors that are given, and what is written */
    bool status;              /* the result is 0 for success: an int beside what is written */
    int values;               /* what is written, and a result that is no status */
    char why[256];            /* it cannot be drafted, or "" */
} Prototype;
typedef void (*PrototypeVisit)(void *data, const Prototype *p);

bool prototypes_read(const char *path, PrototypeVisit visit, void *data, Fault *fault);

/* ---- roles.c: what a function's parameters are for --------------------------------------------------------- */

void roles_find(Prototype *p); /* sets all from `role` on, or why it cannot be drafted */

/* ---- cancel.c: Ctrl-C --------------------------------------------------------------------------------- */

extern volatile int32_t cancel_flag; /* non-zero: the user wants the run to stop */
void cancel_watch(bool once);        /* SIGINT sets it; once: a second SIGINT ends the process */

/* ---- progress.c: a sign of life on a terminal ---------------------------------------------------------- */

typedef struct Progress Progress;
Progress *progress_start(void); /* NULL unless standard error is a terminal; all functions take NULL */
void progress_phase(Progress *progress,
                    const char *phase); /* a literal; NULL: nothing runs, clear the line */
void progress_stop(Progress *progress);

/* ---- ranks.c: what ranks agree on while they load arguments ---------------------------------------------- */

/* Those that load arguments together; alone: rank 0 of 1, without an engine. */
typedef struct Ranks {
    const struct Engine *engine;
    int rank, ranks;
    bool open;   /* between begin and end */
    bool failed; /* one of them, so all */
    bool speaks; /* then: this one tells what is wrong */
    void *left;  /* of a gather that failed: others may still write into it until the end */
} Ranks;

/* All ranks do these in the same order. False: fault set. */
bool ranks_begin(Ranks *ranks, const struct Engine *engine, Fault *fault);
/* Everybody's numbers: all[peer * count ..]. As many on every rank. */
bool ranks_gather(Ranks *ranks, const int64_t *own, int count, int64_t *all, Fault *fault);
/* The text becomes that of rank 0. */
bool ranks_text(Ranks *ranks, Buf *text, Fault *fault);
/* ok: this one is. False: not all are, and a fault is set on all. */
bool ranks_end(Ranks *ranks, bool ok, Fault *fault);

/* ---- inputs.c: the memory of arguments ------------------------------------------------------------------
 */

/* Holds what arguments are made of: outside of the context, whose limit and peak are about the run. Must not
 * move. */
typedef struct Inputs {
    Budget budget;
    Region *region;
    Arena arena;
    TypeTable types;
    Ranks ranks; /* that load arguments together */
} Inputs;

/* What of a file a rank loads. */
typedef enum Share {
    SHARE_whole,
    SHARE_block, /* its block of what all have: a vector's cut evenly, a matrix's and a table's by rows */
    SHARE_part,  /* all of a file of its own, which is its block */
    SHARE_root   /* rank 0 loads all of it, the others what is empty */
} Share;

/* A value in an Inputs' memory, of a type in its table. */
typedef struct Datum {
    Type *type;
    void *data;
} Datum;

bool inputs_init(Inputs *inputs, Fault *fault);
void inputs_release(Inputs *inputs);
void *inputs_alloc(Inputs *inputs, size_t bytes, Fault *fault); /* not zeroed; NULL: fault set */
/* Reads the constant expression at text[skip..]; want: the type that it should have, or NULL; where it has
 * another, that is in *out, and no data. A failure is rendered at the text under the name. */
bool inputs_constant(Inputs *inputs, const char *name, const char *text, size_t skip, const Type *want,
                     Datum *out, Fault *fault);
/* Loads the file of an argument `PATH`, `PATH.csv:COLUMN`: a .npy or .csv file, a value that was saved, or, where
 * bytes are wanted, any other file; want as above. */
bool inputs_file(Inputs *inputs, const char *path, const Type *want, Share share, Datum *out, Fault *fault);
/* A value of no elements, all zero. */
bool inputs_empty(Inputs *inputs, const Type *type, Datum *out, Fault *fault);
bool same_type(const Type *a, const Type *b); /* of any two tables */

/* ---- npy.c, csv.c: files ----------------------------------------------------------------------------------
 */

/* 1-D: vec[T]; 2-D: {vec[T], i64, i64}, rows and columns, row-major; 0-D: T. */
bool npy_load(Inputs *inputs, const char *path, Share share, Datum *out, Fault *fault);
/* A struct of columns, or with a column's name that column. want, where it fits in shape, says how each
 * column is read. */
bool csv_load(Inputs *inputs, const char *path, const char *column, const Type *want, Share share, Datum *out,
              Fault *fault);

/* ---- npy_save.c ---- */

/* Writes a vector, a matrix {vec, rows, columns} or a scalar; of ranks each its block, all together. The file is replaced as
 * a whole. False: fault set, and the file is as it was. */
bool npy_save(Ranks *ranks, const char *path, const Type *type, const void *value, Fault *fault);

/* ---- parts.c: large files ---------------------------------------------------------------------------------- */

bool parts_pay(size_t bytes); /* is a file of this size read by several threads */
/* As pread, of all bytes unless the file ends before. -1: errno is set; EINTR: cancelled. */
ssize_t parts_read(int file, int64_t at, void *into, size_t bytes);

/* ---- args.c: arguments of a run
 * ------------------------------------------------------------------------------ */

typedef struct Argument {
    char label[64];    /* how messages call its text */
    const char *word;  /* as given */
    size_t name, skip; /* the length of NAME, or 0; where the value starts */
    int parameter;     /* which it is for */
    bool loaded;
    Share share;
    Datum datum;
} Argument;

typedef struct Arguments {
    Argument *items;
    int count;
    double load_ms; /* spent so far */
} Arguments;

bool arguments_split(char **words, int count, Arguments *out, Fault *fault);
void arguments_release(Arguments *arguments);
/* Compiles the program; where it leaves the types of parameters open, the arguments decide. NULL: fault set.
 */
weld_module_t arguments_compile(Arguments *arguments, Inputs *inputs, const Text *text, weld_conf_t conf,
                                Timings *timings, Fault *fault);
/* Loads all arguments into the struct that the module takes. NULL: fault set. */
void *arguments_load(Arguments *arguments, Inputs *inputs, const Text *text, weld_module_t module,
                     Fault *fault);

/* ---- explain.c: the stages of a program
 * ----------------------------------------------------------------------- */

typedef enum Stage {
    STAGE_parsed,
    STAGE_typed,
    STAGE_optimized,
    STAGE_plan,
    STAGE_picture,
    STAGE_llvm,
    STAGE_asm,
    STAGE_COUNT
} Stage;
extern const char *const stage_names[STAGE_COUNT];
/* Prints the program as it is at a stage, or after the pass of that name. times: print on standard error how
 * long each phase took. */
bool stage_print(const Text *text, Stage stage, const char *after, bool times, weld_conf_t conf, Buf *out,
                 Fault *fault);

/* ---- line.c: lines of a session's input
 * ----------------------------------------------------------------------- */

typedef struct Lines Lines;
Lines *lines_open(
    bool interactive); /* interactive: on a terminal, with editing and history; NULL: no memory */
void lines_close(Lines *lines);
typedef enum LineKind { LINE_TEXT, LINE_INTERRUPTED, LINE_END } LineKind;
LineKind lines_next(Lines *lines, bool more,
                    Buf *out); /* appends the line with its \n; more: it continues an input */

/* ---- scan.c: what an input consists of
 * --------------------------------------------------------------------------- */

/* A word of an input. */
typedef struct Word {
    TokenKind kind;
    size_t begin, end;
    char text[24]; /* of an identifier or punctuation, cut */
} Word;
typedef struct Words {
    Word *items;
    int count;
    bool broken; /* what follows the last one is no word */
    bool open;   /* it is a string that does not end */
} Words;
bool words_of(const char *text, size_t length, Words *out); /* false: no memory */
void words_release(Words *words);
bool words_need_more(const Words *words); /* does an input so far ask for another line? */
bool word_is(const Words *words, int at, const char *text);

/* A part of an input that is handled by itself. Words [first, last), without the `;` behind it. */
typedef enum StatementKind { ST_expression, ST_let, ST_macro, ST_type } StatementKind;
typedef struct Statement {
    StatementKind kind;
    int first, last;
    int value;     /* of a let: the first word of its value */
    bool function; /* of a let or an expression: the value is a function */
} Statement;
/* The statement that starts at word *at, which moves behind it. False: there are no words left. */
bool statement_next(const Words *words, int *at, Statement *out);

/* ---- session.c: what stays from input to input
 * ----------------------------------------------------------------------- */

typedef struct Session Session;
Session *session_new(weld_conf_t conf); /* conf stays the caller's; NULL: no memory */
void session_free(Session *session);

/* A value that is held on to, and what it may point into. Counted. */
typedef struct Held Held;
struct Held {
    int refs;
    const Type *type;
    void *data;
    weld_value_t value; /* NULL: it lies in the inputs */
    Inputs *inputs;
    Held **uses;
    int use_count;
};
void held_drop(Held *held); /* takes NULL */

/* How long the phases of a run took. */
typedef struct Times {
    Timings compile;
    double run_ms;
    char tier[8];
} Times;

/* A program made of an input and of the session's names that it uses. */
typedef struct Composed {
    Text text;
    struct Piece {
        size_t at, from, length; /* bytes [from, from + length) of the input lie at `at` */
    } pieces[3];
    int piece_count;
    const char *input; /* the whole input, for messages */
    size_t input_length;
    Held **params; /* the session's values that it takes, first */
    int count;
} Composed;
/* Statement `part` of an input as a program; binding: the program's value is what this name was let to. */
bool session_compose(const Session *session, const char *input, size_t length, const Words *words,
                     const Statement *part, const char *binding, Composed *out, Fault *fault);
void composed_release(Composed *composed);
bool composed_fault(const Composed *composed, const Error *error,
                    Fault *fault); /* renders it; returns false */
/* Prints the type of a program, without the session's values that it takes. */
bool composed_type(const Composed *composed, Buf *out, Fault *fault);

/* Runs it. *held stays NULL if the program takes more than the session's values. False: fault set. */
bool session_run(Session *session, const Composed *composed, Held **held, Times *times, Fault *fault);
bool session_load(Session *session, const char *path, Held **out, Fault *fault);
bool session_bind(Session *session, const char *name, Held *held,
                  Fault *fault); /* takes over the reference */
/* Keeps the text of a let of a function, of a macro or of a type alias. */
bool session_define(Session *session, StatementKind kind, const char *name, const char *text, size_t length,
                    Fault *fault);
bool session_has(const Session *session, const char *name,
                 bool function); /* a function, or a value, of this name */
void session_names(const Session *session, Buf *out);
int64_t session_peak(const Session *session);
bool session_set(Session *session, const char *key, const char *value, Fault *fault);
weld_conf_t session_conf(const Session *session);

/* ---- repl.c, directive.c: the interactive session
 * --------------------------------------------------------------------- */

typedef struct Repl {
    Session *session;
    Lines *lines;
    Progress *progress;
    bool interactive, quit, failed;
} Repl;
void repl_report(Repl *repl, Fault *fault);  /* prints the fault, if there is one, and releases it */
void repl_say(Repl *repl, const char *text); /* what is wrong, but not with a program */
/* Everything in an input, one statement after the other; what fails does not stop the rest. */
void repl_input(Repl *repl, const char *input, size_t length);
void repl_evaluate(Repl *repl, const char *input, size_t length, const Words *words, const Statement *part,
                   bool timed);
void repl_load(Repl *repl, const char *path);       /* the text of a file, as if it had been typed */
bool repl_directive(Repl *repl, const char *input); /* false: the input is none */

#endif
