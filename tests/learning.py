"""learning.py WELDC RETURNS SOURCE: the training programs of examples/ beside the same models in JAX: from the same initial values,
data, batches and dropped elements the loss of every step is the same, and so is the model at the end.

What is random is computed here once more, by Threefry as adapters/nn/random.h describes it. Both sides compute in double
precision; they add up in other orders, which is all that may differ. Without jax the test is skipped (status 77).
"""
import csv
import datetime
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    print("skipped: jax is not installed; ./run test and ./run bench --peers install it")
    sys.exit(77)
jax.config.update("jax_enable_x64", True)

WELDC, RETURNS, SOURCE = sys.argv[1:4]
failures = 0

# ---- random numbers ----


def rotate(x, by):
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


def threefry(key, a, b):
    p, q = np.uint32(key[0]), np.uint32(key[1])
    r = p ^ q ^ np.uint32(0x1BD11BDA)
    keys = [p, q, r]
    a, b = np.asarray(a, np.uint32) + p, np.asarray(b, np.uint32) + q
    for n in range(5):
        for by in ((13, 15, 26, 6), (17, 29, 16, 24))[n % 2]:
            a = a + b
            b = rotate(b, by) ^ a
        a = a + keys[(n + 1) % 3]
        b = b + keys[(n + 2) % 3] + np.uint32(n + 1)
    return a, b


def make_key(seed):
    return np.uint32(seed >> 32 & 0xFFFFFFFF), np.uint32(seed & 0xFFFFFFFF)


def split(key, i):
    a, b = threefry(key, [(i >> 32) & 0x7FFFFFFF], [i & 0xFFFFFFFF])
    return a[0], b[0]


def draw(key, n):
    i = np.arange(n, dtype=np.int64)
    return threefry(key, (i >> 32).astype(np.uint32) | np.uint32(0x80000000), i.astype(np.uint32))


def uniform(key, n):
    a, b = draw(key, n)
    return (a.astype(np.int64) << 21 | b.astype(np.int64) >> 11) * 2.0**-53


def normal(key, n):
    u = uniform(key, 2 * n)
    return np.sqrt(-2 * np.log(1 - u[0::2])) * np.cos(2 * np.pi * u[1::2])


def glorot(key, rows, columns):
    return (np.sqrt(6 / (rows + columns)) * (2 * uniform(key, rows * columns) - 1)).reshape(rows, columns)


def he(key, rows, columns):
    return (normal(key, rows * columns) * np.sqrt(2 / columns)).reshape(rows, columns)


def batch(key, step, size, n):
    batches = n // size
    a, b = draw(split(key, step // batches), n)
    order = np.argsort(a.astype(np.uint64) << np.uint64(32) | b.astype(np.uint64), kind="stable")
    return order[step % batches * size:][:size]


# ---- models ----


def dense(x, w, b):
    return x @ w.T + b


def cross_entropy(scores, labels):
    return jnp.mean(jax.nn.logsumexp(scores, axis=1) - jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0])


def adam(tree, slopes, state, t, rate):
    """state: a pair of trees"""
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], slopes)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], slopes)
    c, d = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
    tree = jax.tree.map(lambda p, m, v: p - rate * (m / c) / (jnp.sqrt(v / d) + 1e-8), tree, m, v)
    return tree, (m, v)


def zeros(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def mlp(digits, steps, rate):
    images, labels = digits
    count = len(images) - len(images) // 5
    size, key = min(128, count), make_key(1)
    tree = {"w1": he(split(key, 0), 256, 784), "b1": np.zeros(256), "w2": glorot(split(key, 1), 10, 256), "b2": np.zeros(10)}

    def loss(tree, x, y, kept):
        inner = jax.nn.relu(dense(x, tree["w1"], tree["b1"]))
        return cross_entropy(dense(jnp.where(kept, inner / 0.8, 0), tree["w2"], tree["b2"]), y)

    slope = jax.jit(jax.value_and_grad(loss))
    state, losses = (zeros(tree), zeros(tree)), []
    for t in range(steps):
        at = batch(split(key, 2), t, size, count)
        kept = draw(split(split(key, 3), t), size * 256)[0].astype(np.uint64) >= np.uint64(0.2 * 2**32)
        value, g = slope(tree, images[at], labels[at], kept.reshape(size, 256))
        tree, state = adam(tree, g, state, t, rate * (1 + np.cos(np.pi * t / steps)) / 2)
        losses.append(float(value))
    scores = dense(jax.nn.relu(dense(images[count:], tree["w1"], tree["b1"])), tree["w2"], tree["b2"])
    model = [[tree["w1"], tree["b1"]], [tree["w2"], tree["b2"]]]
    return [model, losses, float(np.mean(np.asarray(jnp.argmax(scores, 1)) == labels[count:]))]


def convolve(x, w, b, size, channels, pad):
    kernel = w.reshape(-1, 5, 5, channels)
    y = jax.lax.conv_general_dilated(x.reshape(-1, size, size, channels), kernel, (1, 1), [(pad, pad)] * 2,
                                     dimension_numbers=("NHWC", "OHWI", "NHWC"))
    return jax.nn.relu(y + b)


def pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def lenet(digits, steps, rate):
    images, labels = digits
    count = len(images) - len(images) // 5
    size, key = min(32, count), make_key(2)
    tree = []
    for i, (rows, columns) in enumerate(((6, 25), (16, 150), (120, 400), (84, 120), (10, 84))):
        tree += [(he if i < 4 else glorot)(split(key, i), rows, columns), np.zeros(rows)]

    def scores(tree, x):
        lines = pool(convolve(x, tree[0], tree[1], 28, 1, 2))
        forms = pool(convolve(lines, tree[2], tree[3], 14, 6, 0))
        first = jax.nn.relu(dense(forms.reshape(len(x), 400), tree[4], tree[5]))
        return dense(jax.nn.relu(dense(first, tree[6], tree[7])), tree[8], tree[9])

    slope = jax.jit(jax.value_and_grad(lambda tree, x, y: cross_entropy(scores(tree, x), y)))
    speed, losses = zeros(tree), []
    for t in range(steps):
        at = batch(split(key, 5), t, size, count)
        value, g = slope(tree, images[at], labels[at])
        speed = jax.tree.map(lambda v, g: 0.9 * v + g, speed, g)
        tree = jax.tree.map(lambda p, v: p - rate * v, tree, speed)
        losses.append(float(value))
    right = float(np.mean(np.asarray(jnp.argmax(scores(tree, images[count:]), 1)) == labels[count:]))
    return [np.concatenate([np.ravel(part) for part in tree]), losses, right]


def characters(text, steps, rate):
    kinds, width, hidden, size, length, key = 95, 16, 48, 16, 24, make_key(3)
    ids = np.array([c - 32 if 32 <= c < 127 else 0 for c in text])
    gates = 4 * hidden
    tree = {"e": 0.3 * normal(split(key, 0), kinds * width).reshape(kinds, width), "w": glorot(split(key, 1), gates, width),
            "b": np.zeros(gates), "u": glorot(split(key, 2), gates, hidden), "o": glorot(split(key, 3), kinds, hidden),
            "c": np.zeros(kinds)}

    def loss(tree, at, next):
        h = s = jnp.zeros((size, hidden))
        total = 0.0
        for t in range(length):
            a = tree["e"][at[:, t]] @ tree["w"].T + tree["b"] + h @ tree["u"].T
            i, f, g, o = jnp.split(a, 4, axis=1)
            s = jax.nn.sigmoid(f) * s + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(s)
            total = total + cross_entropy(dense(h, tree["o"], tree["c"]), next[:, t])
        return total / length

    slope = jax.jit(jax.value_and_grad(loss))
    state, losses = (zeros(tree), zeros(tree)), []
    for t in range(steps):
        starts = (uniform(split(split(key, 4), t), size) * float(len(ids) - length)).astype(np.int64)
        places = starts[:, None] + np.arange(length)
        value, g = slope(tree, ids[places], ids[places + 1])
        norm = np.sqrt(sum(float(jnp.sum(part * part)) for part in jax.tree.leaves(g)))
        g = jax.tree.map(lambda part: part * (1 / norm if norm > 1 else 1), g)
        tree, state = adam(tree, g, state, t, rate)
        losses.append(float(value))
    return [losses]


def factors(users, items, ratings, rank, steps, rate, penalty):
    key, mean = make_key(4), ratings.mean()
    u = 0.1 * normal(split(key, 0), (users.max() + 1) * rank).reshape(-1, rank)
    v = 0.1 * normal(split(key, 1), (items.max() + 1) * rank).reshape(-1, rank)

    def error(tree):
        guess = jnp.sum(tree[0][users] * tree[1][items], axis=1)
        return jnp.mean((guess - (ratings - mean)) ** 2)

    slope = jax.jit(jax.grad(lambda tree: error(tree) + penalty * (jnp.sum(tree[0] ** 2) + jnp.sum(tree[1] ** 2))))
    tree, speed, losses = [u, v], [0 * u, 0 * v], []
    for _ in range(steps):
        losses.append(float(jnp.sqrt(error(tree))))
        speed = [0.9 * s + g for s, g in zip(speed, slope(tree))]
        tree = [p - rate * s for p, s in zip(tree, speed)]
    return [tree, losses, mean]


def logistic(x, y, steps, rate):
    def loss(w):
        scores = x @ w
        return jnp.mean(jnp.logaddexp(0.0, scores) - y * scores)

    slope = jax.jit(jax.value_and_grad(loss))
    w, losses = jnp.zeros(x.shape[1]), []
    for _ in range(steps):
        value, g = slope(w)
        losses.append(float(value))
        w = w - rate * g
    return [w, losses]


def returns_table(folder):
    """What returns.c makes of the two files: features to learn from and their labels, and those kept apart."""
    with open(os.path.join(folder, "customers.csv")) as file:
        since = {row["customer"]: int(row["since"]) for row in csv.DictReader(file)}
    parts = {False: ([], []), True: ([], [])}
    with open(os.path.join(folder, "orders.csv")) as file:
        for row in csv.DictReader(file):
            day, quantity = datetime.date.fromisoformat(row["day"]), int(row["quantity"])
            if day.year != 2024 or quantity <= 0 or not row["price"] or row["customer"] not in since:
                continue
            x, y = parts[int(row["order"]) % 5 == 0]
            x.append([np.log(float(row["price"]) * quantity), float(row["discount"]), quantity,
                      2024 - since[row["customer"]], float(day.isoweekday() >= 6)])
            y.append(float(row["returned"] == "true"))
    (x, y), (apart, labels) = [[np.array(part) for part in pair] for pair in (parts[False], parts[True])]
    mean, variance = x.mean(0), ((x - x.mean(0)) ** 2).mean(0)
    scale = np.sqrt(variance + 1e-12)
    return (x - mean) / scale, y, (apart - mean) / scale, labels, mean, variance


def returns(folder, steps):
    x, y, apart, labels, mean, variance = returns_table(folder)
    key = make_key(5)
    tree = [glorot(split(key, 0), 16, 5), np.zeros(16), glorot(split(key, 1), 1, 16)[0], 0.0]

    def scores(tree, x):
        return jnp.tanh(dense(x, tree[0], tree[1])) @ tree[2] + tree[3]

    def loss(tree, x, y):
        s = scores(tree, x)
        return jnp.mean(jnp.logaddexp(0.0, s) - y * s)

    slope = jax.jit(jax.value_and_grad(loss))
    state, losses = (zeros(tree), zeros(tree)), []
    for t in range(steps):
        value, g = slope(tree, x, y)
        tree, state = adam(tree, g, state, t, 0.02)
        losses.append(float(value))
    right = np.mean((np.asarray(scores(tree, apart)) > 0) == (labels > 0.5))
    judged = [right, float(loss(tree, apart, labels)), np.mean(labels < 0.5)]
    return [losses, judged, [tree, mean, variance]]


def run_returns(folder, steps):
    """The same by returns.c."""
    words = subprocess.run([RETURNS, folder, str(steps)], capture_output=True, text=True, check=True).stdout.split()
    losses = np.loadtxt(os.path.join(folder, "losses.csv"), skiprows=1)
    model = weldc("-e", "|m: {{vec[f64], vec[f64], vec[f64], vec[f64]}, vec[f64], vec[f64]}| m", "@" + os.path.join(folder, "model"))
    return [list(losses), [float(word) for word in words], model]


# ---- comparing ----


def flat(tree):
    if isinstance(tree, (list, tuple)):
        return np.concatenate([flat(part) for part in tree]) if tree else np.zeros(0)
    return np.ravel(np.asarray(tree, np.float64))


def weldc(*words):
    done = subprocess.run([WELDC, "run", "--json", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("weldc %s\n%s" % (" ".join(words), done.stderr))
    return json.loads(done.stdout) if done.stdout.strip() else None


def check(name, expected, got, tolerance=1e-9):
    global failures
    a, b = flat(expected), flat(got)
    apart = np.max(np.abs(a - b) / np.maximum(1, np.abs(a))) if len(a) == len(b) else np.inf
    good = apart <= tolerance and np.all(np.isfinite(a))
    failures += not good
    print("%-14s %5d numbers, at most %.1e apart%s" % (name, len(a), apart, "" if good else ": FAILED"))


def main():
    example = lambda name: os.path.join(SOURCE, "examples", name)
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        weldc(example("digits.weld"), "samples=300l", "seed=1l", "--save", at("digits"))
        rows, labels = weldc("-e", "|d: {{vec[f64], i64, i64}, vec[i64]}| {d.$0.$0, d.$1}", "@" + at("digits"))
        digits = np.array(rows).reshape(-1, 784), np.array(labels)
        check("digits_mlp", mlp(digits, 15, 0.002),
              weldc(example("digits_mlp.weld"), "@" + at("digits"), "15l", "0.002"))
        check("lenet", lenet(digits, 8, 0.02), weldc(example("lenet.weld"), "@" + at("digits"), "8l", "0.02"))
        text = open(os.path.join(SOURCE, "README.md"), "rb").read()
        got = weldc(example("characters.weld"), "text=@" + os.path.join(SOURCE, "README.md"), "steps=6l", "rate=0.01", "written=1l")
        check("characters", characters(text, 6, 0.01), [got[0]])
        random = np.random.default_rng(1)
        users, items = random.integers(0, 30, 400), random.integers(0, 20, 400)
        ratings = np.round(3 + random.standard_normal(400), 2)
        for name, column in (("users", users), ("items", items), ("ratings", ratings)):
            np.save(at(name + ".npy"), column)
        words = ["@%s/%s.npy" % (folder, name) for name in ("users", "items", "ratings")]
        check("factors", factors(users, items, ratings, 4, 20, 5.0, 1e-4),
              weldc(example("factors.weld"), *words, "4l", "20l", "5.0", "0.0001"))
        x = random.standard_normal((300, 5))
        y = (x @ np.arange(5) + random.standard_normal(300) > 0).astype(np.float64)
        np.save(at("x.npy"), x), np.save(at("y.npy"), y)
        check("logistic", logistic(x, y, 20, 0.5),
              weldc(example("logistic.weld"), "@" + at("x.npy"), "@" + at("y.npy"), "20l", "0.5"))
        subprocess.run([RETURNS, "--make", "3000", at("data")], check=True)
        check("returns", returns(at("data"), 45), run_returns(at("data"), 45))
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
