/* test_examples.c: the answers of the programs in examples/ against independent computations.
 *
 * Each program runs as its first comment says, through the weldc command on files, with the interpreter alone
 * and with compiled code alone. What it should print is computed here in plain C, from the generator's rows
 * rather than from the files, so that the generator, the readers and the printer are part of the test.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <unistd.h>

#include "../examples/lineitem.h"
#include "run_weldc.h"

enum { ROWS = 3000, SEED = 7 };

static char folder[] = "/tmp/weldc-examples-XXXXXX";

static void make_folder(void) {
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_expect(system(command) == 0);
}

/* Makes the table; csv: as one file instead of a file for each column. */
static void make_table(bool csv) {
    char command[4200];
    snprintf(command, sizeof command, "'%s/bin/weldc-lineitem' %d '%s' --seed %d%s", WELD_BINARY_DIR, ROWS,
             folder, SEED, csv ? " --csv" : "");
    cr_assert(system(command) == 0);
}

/* Runs an example with the interpreter and with compiled code, and compares. `arguments` may name the folder
 * as %s. */
static void check(const char *program, const char *expected, double tolerance, const char *arguments) {
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (int i = 0; i < 2; i++) {
        char line[8192];
        int at = snprintf(line, sizeof line, "run --json %s '%s/examples/%s'", engines[i], WELD_SOURCE_DIR,
                          program);
        for (const char *p = arguments; *p; p++) {
            if (*p == '%')
                at += snprintf(line + at, sizeof line - (size_t)at, "%s", folder);
            else
                line[at++] = *p;
        }
        line[at] = 0;
        Run run = run_weldc(line);
        cr_expect(run.status == 0 && json_same(run.out, expected, tolerance),
                  "%s %s\nprints   %.2000s\nexpected %.2000s", program, engines[i], run.out, expected);
        free(run.out);
    }
}

static void npy_doubles(const char *name, const double *data, int rows, int columns) {
    char path[4200], header[129];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    cr_assert(file);
    memset(header, ' ', sizeof header);
    char shape[40];
    if (columns)
        snprintf(shape, sizeof shape, "(%d, %d)", rows, columns);
    else
        snprintf(shape, sizeof shape, "(%d,)", rows);
    int length =
        snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }", shape);
    header[length] = ' ';
    header[117] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fwrite(header, 1, 118, file);
    fwrite(data, sizeof *data, (size_t)rows * (size_t)(columns ? columns : 1), file);
    cr_assert(fclose(file) == 0);
}

/* Noise in [0, 1) that needs no library. */
static double noise(uint64_t at) {
    return (double)(lineitem_mix(at) >> 11) * 0x1p-53;
}

TestSuite(examples, .init = make_folder, .fini = remove_folder, .timeout = 300);

static double q6_expected(void) {
    double revenue = 0;
    for (int row = 0; row < ROWS; row++) {
        LineItem item;
        lineitem_make(SEED, row, &item);
        if (item.shipdate / 10000 != 1994 || item.quantity >= 24) continue;
        int percent = (int)lround(item.discount * 100);
        if (percent < 5 || percent > 7) continue;
        revenue += item.extendedprice * item.discount;
    }
    return revenue;
}

Test(examples, q6) {
    char expected[64];
    snprintf(expected, sizeof expected, "%.17g", q6_expected());
    make_table(false);
    check("q6.weld", expected, 1e-12,
          " shipdate=@%/shipdate.npy discount=@%/discount.npy quantity=@%/quantity.npy"
          " extendedprice=@%/extendedprice.npy");
    make_table(true);
    check("q6.weld", expected, 1e-12,
          " @%/lineitem.csv:shipdate @%/lineitem.csv:discount @%/lineitem.csv:quantity "
          "@%/lineitem.csv:extendedprice");
}

Test(examples, q1) {
    double sums[2][3][6] = {0};
    for (int row = 0; row < ROWS; row++) {
        LineItem item;
        lineitem_make(SEED, row, &item);
        if (item.shipdate > 19980902) continue;
        double *sum = sums[item.linestatus == 'O'][item.returnflag == 'A'   ? 0
                                                   : item.returnflag == 'N' ? 1
                                                                            : 2];
        double discounted = item.extendedprice * (1 - item.discount);
        sum[0] += item.quantity;
        sum[1] += item.extendedprice;
        sum[2] += discounted;
        sum[3] += discounted * (1 + item.tax);
        sum[4] += item.discount;
        sum[5] += 1;
    }
    char *expected = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&expected, &length);
    const char *comma = "[";
    for (int flag = 0; flag < 3; flag++) {
        for (int status = 0; status < 2; status++) {
            const double *sum = sums[status][flag];
            if (sum[5] == 0) continue;
            fprintf(out, "%s[%d, %d", comma, "ANR"[flag], "FO"[status]);
            for (int i = 0; i < 4; i++) fprintf(out, ", %.17g", sum[i]);
            fprintf(out, ", %.17g, %.17g, %.17g, %.0f]", sum[0] / sum[5], sum[1] / sum[5], sum[4] / sum[5],
                    sum[5]);
            comma = ", ";
        }
    }
    fprintf(out, "]");
    fclose(out);
    make_table(false);
    check("q1.weld", expected, 1e-11,
          " shipdate=@%/shipdate.npy returnflag=@%/returnflag.npy linestatus=@%/linestatus.npy"
          " quantity=@%/quantity.npy extendedprice=@%/extendedprice.npy discount=@%/discount.npy "
          "tax=@%/tax.npy");
    free(expected);
}

/* By the cumulative distribution's complement; the first is the textbook's case. */
Test(examples, black_scholes) {
    enum { OPTIONS = 50 };
    double price[OPTIONS], strike[OPTIONS], years[OPTIONS], rate = 0.05, volatility = 0.2;
    char *expected = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&expected, &length);
    for (int put = 0; put < 2; put++) {
        for (int i = 0; i < OPTIONS; i++) {
            price[i] = i ? 50 + 100 * noise((uint64_t)i) : 100;
            strike[i] = i ? 50 + 100 * noise((uint64_t)i + 1000) : 100;
            years[i] = i ? 0.1 + 2 * noise((uint64_t)i + 2000) : 1;
            double d1 = (log(price[i] / strike[i]) + (rate + volatility * volatility / 2) * years[i]) /
                        (volatility * sqrt(years[i]));
            double d2 = d1 - volatility * sqrt(years[i]), cash = strike[i] * exp(-rate * years[i]);
            double call = price[i] * 0.5 * erfc(-d1 / sqrt(2)) - cash * 0.5 * erfc(-d2 / sqrt(2));
            double value = cash * 0.5 * erfc(d2 / sqrt(2)) - price[i] * 0.5 * erfc(d1 / sqrt(2));
            fprintf(out, "%s%.17g", i ? ", " : put ? "], [" : "[[", put ? value : call);
            if (!i && !put) cr_assert(fabs(call - 10.450583572185565) < 1e-12);
            if (!i && put) cr_assert(fabs(value - 5.573526022256971) < 1e-12);
        }
    }
    fprintf(out, "]]");
    fclose(out);
    npy_doubles("price.npy", price, OPTIONS, 0);
    npy_doubles("strike.npy", strike, OPTIONS, 0);
    npy_doubles("years.npy", years, OPTIONS, 0);
    check("black_scholes.weld", expected, 1e-11, " @%/price.npy @%/strike.npy @%/years.npy 0.05 0.2");
    free(expected);
}

/* The mean of log(1 + exp(-m)), where m is the score with the label's sign, and its gradient. */
static double logistic_step(const double *x, const double *y, int rows, int columns, double *weights,
                            double rate) {
    double gradient[8] = {0}, loss = 0;
    for (int row = 0; row < rows; row++) {
        double score = 0;
        for (int j = 0; j < columns; j++) score += x[row * columns + j] * weights[j];
        double sign = y[row] > 0.5 ? 1 : -1;
        loss += log1p(exp(-sign * score)) / rows;
        for (int j = 0; j < columns; j++)
            gradient[j] -= sign * x[row * columns + j] / (1 + exp(sign * score)) / rows;
    }
    for (int j = 0; j < columns; j++) weights[j] -= rate * gradient[j];
    return loss;
}

Test(examples, logistic) {
    enum { POINTS = 200, COLUMNS = 3, STEPS = 12 };
    double x[POINTS * COLUMNS], y[POINTS], weights[COLUMNS] = {0}, losses[STEPS];
    for (int row = 0; row < POINTS; row++) {
        for (int j = 0; j < COLUMNS; j++)
            x[row * COLUMNS + j] = j ? 4 * noise((uint64_t)(row * COLUMNS + j)) - 2 : 1;
        y[row] = x[row * COLUMNS + 1] - 2 * x[row * COLUMNS + 2] + noise((uint64_t)row + 5000) > 0.7;
    }
    for (int step = 0; step < STEPS; step++)
        losses[step] = logistic_step(x, y, POINTS, COLUMNS, weights, 0.5);
    cr_assert(losses[STEPS - 1] < 0.7 * losses[0]);
    char *expected = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&expected, &length);
    for (int j = 0; j < COLUMNS; j++) fprintf(out, "%s%.17g", j ? ", " : "[[", weights[j]);
    for (int step = 0; step < STEPS; step++) fprintf(out, "%s%.17g", step ? ", " : "], [", losses[step]);
    fprintf(out, "]]");
    fclose(out);
    npy_doubles("x.npy", x, POINTS, COLUMNS);
    npy_doubles("y.npy", y, POINTS, 0);
    check("logistic.weld", expected, 1e-11, " x=@%/x.npy y=@%/y.npy steps=12l rate=0.5");
    free(expected);
}

Test(examples, kmeans) {
    enum { POINTS = 120, DIM = 2, K = 4, ROUNDS = 6 };
    double points[POINTS][DIM], centers[K][DIM], spread = 0;
    int counts[K];
    for (int i = 0; i < POINTS; i++) {
        points[i][0] = i % K * 10 + 3 * noise((uint64_t)i);
        points[i][1] = i % K % 2 * 10 + 3 * noise((uint64_t)i + 1000);
    }
    memcpy(centers, points, sizeof centers);
    for (int round = 0; round < ROUNDS; round++) {
        double sums[K][DIM] = {0};
        memset(counts, 0, sizeof counts);
        spread = 0;
        for (int i = 0; i < POINTS; i++) {
            int best = 0;
            double least = INFINITY;
            for (int c = 0; c < K; c++) {
                double d = pow(points[i][0] - centers[c][0], 2) + pow(points[i][1] - centers[c][1], 2);
                if (d < least) least = d, best = c;
            }
            counts[best]++;
            spread += least;
            for (int j = 0; j < DIM; j++) sums[best][j] += points[i][j];
        }
        for (int c = 0; c < K; c++)
            for (int j = 0; j < DIM && counts[c]; j++) centers[c][j] = sums[c][j] / counts[c];
    }
    char *expected = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&expected, &length);
    for (int i = 0; i < K * DIM; i++) fprintf(out, "%s%.17g", i ? ", " : "[[", centers[i / DIM][i % DIM]);
    for (int c = 0; c < K; c++) fprintf(out, "%s%d", c ? ", " : "], [", counts[c]);
    fprintf(out, "], %.17g]", spread);
    fclose(out);
    npy_doubles("points.npy", points[0], POINTS, DIM);
    check("kmeans.weld", expected, 1e-11, " points=@%/points.npy k=4l rounds=6l");
    free(expected);
}

/* A center that loses all its points keeps its place: the second of two equal first points never wins. */
Test(examples, kmeans_empty_cluster) {
    const double points[] = {1, 1, 1, 1, 1, 1, 4, 5};
    npy_doubles("points.npy", points, 4, 2);
    check("kmeans.weld", "[[1.75, 2, 1, 1], [4, 0], 25]", 0, " points=@%/points.npy k=2l rounds=1l");
}

typedef struct Word {
    char text[24];
    int count;
} Word;

static int by_count(const void *a, const void *b) {
    const Word *x = a, *y = b;
    return x->count != y->count ? y->count - x->count : strcmp(x->text, y->text);
}

Test(examples, wordcount) {
    static const char text[] =
        "It was the best of times, it was the worst of times; it was the age of wisdom... "
        "\xe2\x80\x94 IT was the epoch of belief/incredulity, a tale";
    Word words[40] = {0};
    int count = 0;
    for (const char *p = text; *p;) {
        size_t length = 0;
        char word[24] = {0};
        while (isalpha((unsigned char)p[length]) && (unsigned char)p[length] < 128) {
            word[length] = (char)tolower((unsigned char)p[length]);
            length++;
        }
        p += length ? length : 1;
        if (!length) continue;
        int at = 0;
        while (at < count && strcmp(words[at].text, word)) at++;
        if (at == count) strcpy(words[count++].text, word);
        words[at].count++;
    }
    qsort(words, (size_t)count, sizeof *words, by_count);
    char *expected = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&expected, &length);
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; words[i].text[j]; j++)
            fprintf(out, "%s%d", j ? ", " : i ? ", [[" : "[[[", words[i].text[j]);
        fprintf(out, "], %d]", words[i].count);
    }
    fprintf(out, "]");
    fclose(out);
    char arguments[400];
    snprintf(arguments, sizeof arguments, " '\"%s\"'", text);
    check("wordcount.weld", expected, 0, arguments);
    free(expected);
    check("wordcount.weld", "[]", 0, " '\"\"'");
}

Test(examples, pipeline) {
    enum { STEPS = 8, COLUMNS = 5 };
    static double x[ROWS * COLUMNS], y[ROWS];
    int rows = 0;
    for (int row = 0; row < ROWS; row++) {
        LineItem item;
        lineitem_make(SEED, row, &item);
        if (item.shipdate < 19940101 || item.shipdate > 19961231) continue;
        double *features = x + rows * COLUMNS;
        features[0] = item.quantity;
        features[1] = item.extendedprice / item.quantity;
        features[2] = item.discount;
        features[3] = item.tax;
        features[4] = 1;
        y[rows++] = item.extendedprice * (1 - item.discount) * (1 + item.tax) > 40000;
    }
    for (int j = 0; j < COLUMNS - 1; j++) {
        double mean = 0, variance = 0;
        for (int row = 0; row < rows; row++) mean += x[row * COLUMNS + j] / rows;
        for (int row = 0; row < rows; row++) variance += pow(x[row * COLUMNS + j] - mean, 2) / rows;
        for (int row = 0; row < rows; row++)
            x[row * COLUMNS + j] = (x[row * COLUMNS + j] - mean) / sqrt(variance);
    }
    double weights[COLUMNS] = {0}, losses[STEPS];
    for (int step = 0; step < STEPS; step++) losses[step] = logistic_step(x, y, rows, COLUMNS, weights, 4.0);
    cr_assert(losses[STEPS - 1] < 0.5 * losses[0]);
    int right = 0;
    for (int row = 0; row < rows; row++) {
        double score = 0;
        for (int j = 0; j < COLUMNS; j++) score += x[row * COLUMNS + j] * weights[j];
        right += (score > 0) == (y[row] > 0.5);
    }
    char *expected = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&expected, &length);
    fprintf(out, "[%d", rows);
    for (int j = 0; j < COLUMNS; j++) fprintf(out, "%s%.17g", j ? ", " : ", [", weights[j]);
    for (int step = 0; step < STEPS; step++) fprintf(out, "%s%.17g", step ? ", " : "], [", losses[step]);
    fprintf(out, "], %.17g]", (double)right / rows);
    fclose(out);
    make_table(false);
    check("pipeline.weld", expected, 1e-9,
          " shipdate=@%/shipdate.npy quantity=@%/quantity.npy extendedprice=@%/extendedprice.npy"
          " discount=@%/discount.npy tax=@%/tax.npy steps=8l rate=4.0");
    free(expected);
}

static bool has_adapter(const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/lib/libweld-%s.so", WELD_BINARY_DIR, name);
    return access(path, F_OK) == 0;
}

/* The transform by its definition. Where the adapters are installed. */
Test(examples, spectrum) {
    enum { N = 12, KEPT = N / 2 + 1 };
    if (!has_adapter("fftw") || !has_adapter("cblas") || !has_adapter("gsl")) return;
    double signal[N], sum = 0;
    char arguments[2000] = " '[", expected[64];
    for (int i = 0; i < N; i++) {
        signal[i] = i % 5 - 1.5;
        sprintf(arguments + strlen(arguments), "%s%.1f", i ? ", " : "", signal[i]);
    }
    strcat(arguments, "]'");
    for (int k = 0; k < KEPT; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < N; i++) {
            re += signal[i] * cos(2 * M_PI * i * k / N) / N;
            im -= signal[i] * sin(2 * M_PI * i * k / N) / N;
        }
        sum += 10 * log1p(fmax((k + 1) * (re * re + im * im - 0.125), 0));
    }
    for (int noise = 0; noise < 2; noise++) {
        for (int k = 0; k < KEPT; k++)
            sprintf(arguments + strlen(arguments), "%s%g%s", k ? ", " : " '[", noise ? 0.125 : k + 1.0,
                    noise ? "" : ".0");
        strcat(arguments, "]'");
    }
    snprintf(expected, sizeof expected, "%.17g", sum);
    check("spectrum.weld", expected, 1e-12, arguments);
    Run run = run_weldc("explain --stage plan '" WELD_SOURCE_DIR "/examples/spectrum.weld'");
    const char *loop = run.out ? strstr(run.out, "a loop over") : NULL;
    cr_expect(loop && !strstr(loop + 1, "a loop over"), "more than one loop:\n%s", run.out);
    free(run.out);
}
