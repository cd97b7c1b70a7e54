/* checkpoint.c: a run that was killed goes on from its checkpoint to the result of an undisturbed one.
 */
#include "command.h"

#include <sys/time.h>

TestSuite(checkpoint, .fini = test_folder_remove, .timeout = 600);

/* A training of two models, one after the other: parameters, what the optimizer keeps, losses, the step. */
#define NETWORK WELD_SOURCE_DIR "/examples/mlp.weld", "samples=300l", "steps=120l", "rate=0.01"
/* A dictionary, a vector of vectors and a bool in the state; the second iterate begins with what the first ends with. */
static const char various[] =
    "let a = iterate({result(merge(dictmerger[i64,f64,+], {1L, 0.5})), [[1.0]], true, 0L}, |s| "
    "{{result(for(tovec(s.$0), dictmerger[i64,f64,+], |b, i, e| merge(merge(b, {e.$0 + s.$3, e.$1 * 1.1}), "
    "{e.$0, 0.1}))), "
    "[lookup(s.$1, 0L), [f64(s.$3)]], !s.$2, s.$3 + 1L}, s.$3 < 9L});"
    "let b = iterate({a.$1, 0L}, |s| {{map(s.$0, |v| map(v, |e| e * 1.5)), s.$1 + 1L}, s.$1 < 9L});"
    "{tovec(a.$0), b.$0, a.$2}";

static char *undisturbed(const char *const *words) {
    Outcome got = weldc_run(words, NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    free(got.err);
    return got.out;
}

/* Runs until it is done or, after so many microseconds, killed. */
static int run_and_kill(const char *const *words, useconds_t after) {
    const char *folder = test_folder();
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        char *argv[64] = {(char *)weldc_path()};
        for (int i = 0; words[i]; i++) argv[i + 1] = (char *)words[i];
        int null = open("/dev/null", O_RDWR);
        if (chdir(folder)) _exit(125);
        dup2(null, 1), dup2(null, 2);
        execv(argv[0], argv);
        _exit(126);
    }
    usleep(after);
    kill(pid, SIGKILL);
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

Test(checkpoint, writing_changes_nothing) {
    for (int eval = 0; eval < 2; eval++) {
        const char *engine = eval ? "--eval" : "--no-eval", *file = eval ? "e.ckpt" : "j.ckpt";
        char *want = undisturbed(WORDS("run", engine, "-e", various));
        const char *const *words =
            WORDS("run", engine, "-e", various, "--checkpoint", file, "--every", "3", "--resume");
        for (int times = 0; times < 2; times++) expect(words, NULL, 0, want, "");
        free(want);
    }
}

/* The file of a run that stopped at its limit of steps by a failure is gone on from. */
Test(checkpoint, goes_on_amid_an_iterate) {
    static const char code[] = "|stop: i64| iterate({[1.0], 0L}, |s| let ok = assert(s.$1 != stop); "
                               "{{map(s.$0, |e| e * 1.01 + f64(s.$1)), s.$1 + 1L}, s.$1 < 30L && ok})";
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (int i = 0; i < 2; i++) {
        char *want = undisturbed(WORDS("run", engines[i], "-e", code, "-1l"));
        expect(WORDS("run", engines[i], "-e", code, "20l", "--checkpoint", "a.ckpt", "--every", "7"), NULL, 1,
               "", "AssertionFailed");
        /* It does not come to step 11 again, where it would fail. */
        expect(WORDS("run", engines[i], "-e", code, "11l", "--checkpoint", "a.ckpt", "--resume"), NULL, 0,
               want, "");
        free(want);
    }
}

Test(checkpoint, killed_at_random) {
    char *want = undisturbed(WORDS("run", "--no-eval", NETWORK));
    const char *const *words =
        WORDS("run", "--no-eval", NETWORK, "--checkpoint", "k.ckpt", "--every", "1", "--resume");
    unsigned seed = (unsigned)getpid();
    for (int kills = 0; kills < 20; kills++) {
        int status = run_and_kill(words, (useconds_t)(20000 + rand_r(&seed) % 400000));
        cr_expect(status == 1000 + SIGKILL || status == 0, "kill %d: exit status %d", kills, status);
        if (status == 0) remove(test_file("k.ckpt")); /* it was done: once more from the start */
    }
    expect(words, NULL, 0, want, "");
    free(want);
}

/* What writers of the file left that were killed goes when it is written next; what others are writing, here or elsewhere, stays. */
Test(checkpoint, what_dead_writers_left_is_removed) {
    char host[64] = "", *names[6];
    gethostname(host, sizeof host - 1);
    pid_t dead = fork();
    if (dead == 0) _exit(0);
    waitpid(dead, NULL, 0);
    static const char *const formats[] = {"s.ckpt.new-%s-%ld-17",     "s.ckpt.new-%s-%ld-18",
                                          "s.ckpt.new-else%s-%ld-19", "s.ckpt.new-old%s-%ld-20",
                                          "other.ckpt.new-%s-%ld-21", "s.npy.new-%s-%ld-22"};
    static const bool goes[] = {true, false, false, true, false, true};
    for (int i = 0; i < 6; i++) {
        cr_assert(asprintf(&names[i], formats[i], host, (long)(i == 1 ? getpid() : dead)) > 0);
        test_write(names[i], "part", 4);
    }
    cr_assert_eq(utimes(test_file(names[3]), (struct timeval[2]){{1000000000, 0}, {1000000000, 0}}), 0);
    expect(WORDS("run", "-e", "iterate(1l, |s| {s * 2l, s < 100l})", "--checkpoint", "s.ckpt"), NULL, 0,
           "256l\n", "");
    expect(WORDS("run", "-e", "[1.0, 2.0]", "--save", "s.npy"), NULL, 0, "", "");
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(access(test_file(names[i]), F_OK) != 0, goes[i], "%s", names[i]);
        free(names[i]);
    }
}

Test(checkpoint, other_files_are_refused) {
    static const char code[] = "iterate(1l, |s| {s * 2l, s < 100l})",
                      other[] = "iterate(1l, |s| {s * 3l, s < 100l})";
    expect(WORDS("run", "-e", code, "--checkpoint", "r.ckpt"), NULL, 0, "256l\n", "");
    expect(WORDS("run", "-e", other, "--checkpoint", "r.ckpt", "--resume"), NULL, 1, "",
           "is of another program");
    expect(WORDS("run", "-e", code, "--checkpoint", "r.ckpt", "--resume", "--eval"), NULL, 1, "",
           "was written under other settings");
    FILE *file = fopen(test_file("r.ckpt"), "rb");
    char bytes[4096];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t length = 1; length < size; length += 1 + length / 4) {
        test_write("cut.ckpt", bytes, length);
        expect(WORDS("run", "-e", code, "--checkpoint", "cut.ckpt", "--resume"), NULL, 1, "", "is cut off");
    }
    for (size_t at = 8; at < size; at += 13) {
        bytes[at] ^= 4;
        test_write("bad.ckpt", bytes, size);
        expect(WORDS("run", "-e", code, "--checkpoint", "bad.ckpt", "--resume"), NULL, 1, "", "error[File]");
        bytes[at] ^= 4;
    }
    test_write("text.ckpt", "hello", 5);
    expect(WORDS("run", "-e", code, "--checkpoint", "text.ckpt", "--resume"), NULL, 1, "",
           "is no checkpoint");
    expect(WORDS("run", "-e", code, "--checkpoint", "no/such.ckpt"), NULL, 1, "",
           "cannot write the checkpoint");
    expect(WORDS("run", "-e", code, "--resume"), NULL, 2, "", "--resume needs --checkpoint FILE");
    expect(WORDS("run", "-e", code, "--checkpoint", "x", "--every", "3x"), NULL, 2, "", "--every takes");
}
