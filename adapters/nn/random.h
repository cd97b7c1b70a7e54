/* random.h: rows for random numbers. A number is a function of a key and of its place, so it is the same in any order, on
 * any number of threads, and there is no state to hand on: Threefry 2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, Parallel
 * Random Numbers: As Easy as 1, 2, 3, SC 2011). A key is {u32, u32}. split takes counters whose first word is below 2^31,
 * draws those above: no key that is split off depends on what is drawn. */
/* clang-format off */
#define ROUND(left, right) "let a = a + b; let b = ((b << " left "u) | (b >> " right "u)) ^ a; "
#define ROUNDS_1 ROUND("13", "19") ROUND("15", "17") ROUND("26", "6") ROUND("6", "26")
#define ROUNDS_2 ROUND("17", "15") ROUND("29", "3") ROUND("16", "16") ROUND("24", "8")
#define KEYED(k, l, i) "let a = a + " k "; let b = b + " l " + " i "u; "
FUSES("threefry", "|key: {u32, u32}, counter: {u32, u32}| let p = key.$0; let q = key.$1; let r = p ^ q ^ 0x1bd11bdau; "
    "let a = counter.$0 + p; let b = counter.$1 + q; "
    ROUNDS_1 KEYED("q", "r", "1") ROUNDS_2 KEYED("r", "p", "2") ROUNDS_1 KEYED("p", "q", "3")
    ROUNDS_2 KEYED("q", "r", "4") ROUNDS_1 KEYED("r", "p", "5") "{a, b}",
    "Threefry 2x32 with 20 rounds: 64 random bits as {u32, u32}")
FUSES("key", "|seed: i64| {u32(seed >> 32L), u32(seed)}", "the key {u32, u32} of a seed")
FUSES("split", "|key, i: i64| nn.threefry(key, {u32(i >> 32L) & 0x7fffffffu, u32(i)})",
    "the i-th of the keys that follow from a key, each a stream of its own")
FUSES("draw", "|key, i: i64| nn.threefry(key, {u32(i >> 32L) | 0x80000000u, u32(i)})",
    "64 random bits {u32, u32}, the i-th of a key")
#define DRAWN(T, n, text) "result(for(" RANGE(n) ", appender[" T "](" n "), |out, i, k| merge(out, " text ")))"
#define UNIT(i) "(let u = nn.draw(key, " i "); f64((i64(u.$0) << 21L) | (i64(u.$1) >> 11L)) * 1.1102230246251565e-16)"
#define NORMAL "sqrt(-2.0 * log(1.0 - " UNIT("2L * i") ")) * cos(6.283185307179586 * " UNIT("2L * i + 1L") ")"
FUSES("uniform", "|key, n| " DRAWN("f64", "n", UNIT("i")), "n numbers, an i64, from 0 to below 1, in f64")
FUSES("suniform", "|key, n| " DRAWN("f32", "n", "f32(nn.draw(key, i).$0 >> 8u) * 5.9604644775390625e-8f"),
    "n numbers from 0 to below 1, in f32")
FUSES("normal", "|key, n| " DRAWN("f64", "n", NORMAL), "n numbers of the normal distribution, in f64")
FUSES("snormal", "|key, n| " DRAWN("f32", "n", "f32(" NORMAL ")"), "n numbers of the normal distribution, in f32")
#define SCALED(of, factor) "|key, rows, columns| let factor = " factor "; " \
    "{map(nn." of "(key, rows * columns), |e| factor * e), rows, columns}"
#define WIDTH(T) T "(sqrt(2.0 / f64(columns)))"
FUSES("glorot", "|key, rows, columns| let limit = sqrt(6.0 / f64(rows + columns)); "
    "{map(nn.uniform(key, rows * columns), |e| limit * (2.0 * e - 1.0)), rows, columns}",
    "a matrix of weights for dense before tanh or sigmoid, in f64: uniform, of variance 2 / (rows + columns)")
FUSES("sglorot", "|key, rows, columns| let limit = f32(sqrt(6.0 / f64(rows + columns))); "
    "{map(nn.suniform(key, rows * columns), |e| limit * (2f * e - 1f)), rows, columns}", "glorot in f32")
FUSES("he", SCALED("normal", WIDTH("f64")),
    "a matrix of weights for dense before relu, in f64: normal, of variance 2 / columns")
FUSES("she", SCALED("snormal", WIDTH("f32")), "he in f32")
FUSES("dropout", "|key, x, rate| let least = u64(f64(rate) * 4294967296.0); let scale = " ONE " / (" ONE " - rate); "
    "{result(for(x.$0, appender(len(x.$0)), |out, i, e| "
    "merge(out, select(u64(nn.draw(key, i).$0) < least, " ZERO ", scale * e)))), x.$1, x.$2}",
    "each element of a matrix: 0 with the probability rate, else e / (1 - rate)")
FUSES("permutation", "|key, n| let drawn = " DRAWN("?", "n",
    "(let u = nn.draw(key, i); {(u64(u.$0) << 32ul) | u64(u.$1), i})") "; "
    "map(sort(drawn, |a, b| compare(a.$0, b.$0)), |e| e.$1)", "the numbers from 0 to below n in random order")
FUSES("batch", "|key, step, size, n| let batches = " CHECKED("assert(step >= 0L, \"batch: step is {}, but is from 0 on\", step) & "
    CHECK_TWO("size > 0L && size <= n", "batch: size is {}, but is from 1 to {}", "size", "n"), "n / max(size, 1L)") "; "
    "slice(nn.permutation(nn.split(key, step / max(batches, 1L)), n), step % max(batches, 1L) * size, size)",
    "the numbers of the rows of a step's mini-batch of this size, out of n, shuffled anew for each pass over them")
/* clang-format on */
