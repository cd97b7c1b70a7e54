"""returns.py --peer NAME FOLDER STEPS: what examples/returns.c does with the two CSV files of the folder, with Polars, DuckDB or pandas for
the tables and JAX for the training. Prints the milliseconds after the imports, the loss of the last step, and the part of the orders kept
apart that is told right. flagship.c runs it as a process. The losses are those of the same training from other initial
weights, save that ours come from nn.
"""

import sys
import time

QUERY = """SELECT ln(o.price * o.quantity), o.discount, o.quantity, 2024 - c.since,
    CAST(isodow(o.day) >= 6 AS DOUBLE), CAST(o.returned AS DOUBLE), o."order"
    FROM '{0}/orders.csv' o JOIN '{0}/customers.csv' c USING (customer)
    WHERE year(o.day) = 2024 AND o.quantity > 0 AND o.price IS NOT NULL"""


def polars_table(folder):
    import polars as p

    known = p.scan_csv(folder + "/customers.csv")
    rows = (p.scan_csv(folder + "/orders.csv", try_parse_dates=True)
            .filter((p.col("day").dt.year() == 2024) & (p.col("quantity") > 0) & p.col("price").is_not_null())
            .join(known, on="customer")
            .select((p.col("price") * p.col("quantity")).log(), "discount", p.col("quantity").cast(float),
                    (2024 - p.col("since")).cast(float), (p.col("day").dt.weekday() >= 6).cast(float).alias("weekend"),
                    p.col("returned").cast(float), p.col("order").cast(float)).collect())
    return rows.to_numpy()


def pandas_table(folder):
    import numpy as np
    import pandas as p

    rows = p.read_csv(folder + "/orders.csv", parse_dates=["day"])
    rows = rows[(rows.day.dt.year == 2024) & (rows.quantity > 0) & rows.price.notna()]
    rows = rows.merge(p.read_csv(folder + "/customers.csv"), on="customer")
    return np.column_stack([np.log(rows.price * rows.quantity), rows.discount, rows.quantity, 2024 - rows.since,
                            rows.day.dt.day_of_week >= 5, rows.returned, rows.order]).astype(np.float64)


def duckdb_table(folder):
    import duckdb
    import numpy as np

    columns = duckdb.connect().execute(QUERY.format(folder)).fetchnumpy()
    return np.column_stack([np.asarray(column, np.float64) for column in columns.values()])


def train(table, steps):
    import jax
    import jax.numpy as jnp
    import numpy as np

    jax.config.update("jax_enable_x64", True)
    apart = table[:, 6] % 5 == 0
    x, y = table[~apart, :5], table[~apart, 5]
    mean, scale = x.mean(0), x.std(0)
    random = np.random.default_rng(5)
    tree = [random.uniform(-0.5, 0.5, (16, 5)), np.zeros(16), random.uniform(-0.5, 0.5, 16), 0.0]
    scores = lambda tree, x: jnp.tanh(x @ tree[0].T + tree[1]) @ tree[2] + tree[3]

    def loss(tree, x, y):
        s = scores(tree, x)
        return jnp.mean(jnp.logaddexp(0.0, s) - y * s)

    @jax.jit
    def some(state, x, y, t):
        def step(state, t):
            tree, m, v = state
            value, g = jax.value_and_grad(loss)(tree, x, y)
            m = [0.9 * a + 0.1 * b for a, b in zip(m, g)]
            v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g)]
            c, d = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
            tree = [p - 0.02 * (a / c) / (jnp.sqrt(b / d) + 1e-8) for p, a, b in zip(tree, m, v)]
            return (tree, m, v), value

        return jax.lax.scan(step, state, t)

    x, losses = jnp.asarray((x - mean) / scale), []
    state = ([jnp.asarray(p) for p in tree], [jnp.zeros_like(p) for p in tree], [jnp.zeros_like(p) for p in tree])
    for at in range(0, steps, 20):
        state, values = some(state, x, y, jnp.arange(at, min(at + 20, steps), dtype=jnp.float64))
        losses += list(np.asarray(values))
    right = np.mean((np.asarray(scores(state[0], (table[apart, :5] - mean) / scale)) > 0) == (table[apart, 5] > 0.5))
    return losses[-1], right


TABLES = {"polars": polars_table, "duckdb": duckdb_table, "pandas": pandas_table}


def peer(name, folder, steps):
    import jax  # noqa: F401

    __import__(name)
    start = time.time()
    loss, right = train(TABLES[name](folder), steps)
    print("%.1f %.6f %.4f" % ((time.time() - start) * 1e3, loss, right))


peer(sys.argv[2], sys.argv[3], int(sys.argv[4]))
