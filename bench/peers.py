"""peers.py: the workloads in the Python peers, one process for as long as the benchmark runs.

bench/peers.c writes a line and reads a line:

    engines WORKLOAD              which peers have it
    prepare WORKLOAD ENGINE       loads the columns, into the engine's own form where it has one; unmeasured
    run ENGINE DIGEST             runs once: milliseconds, and if DIGEST is 1 what the answer comes to
    versions

`@peer(workload, engine)` marks a function that takes the columns and gives a function of nothing: what is measured.
An answer is a list; a number is itself, a vector is a tuple of its columns. With --first ENGINE it measures Q6 in a
new process instead: the time to the first answer, libraries imported before.
"""

import argparse
import os
import sys
import time

import numpy as np

ROUNDS, CENTERS, STEPS = 10, 8, 20
PEERS = {}
ANY_ORDER = {"group_10", "group_1000", "group_1000000", "frame_distinct"}


def peer(workload, engine):
    def mark(function):
        PEERS.setdefault(workload, {})[engine] = function
        return function

    return mark


class Columns:
    """columns.name: an array that lies in the file."""

    def __init__(self, folder, threads):
        self.folder, self.threads = folder, threads

    def __getattr__(self, name):
        return np.load(os.path.join(self.folder, name + ".npy"), mmap_mode="r").view(np.ndarray)

    def dict(self, *names):
        return {name: getattr(self, name) for name in names}


def digest(answer, any_order):
    """See digest.c."""
    words = []
    for item in answer:
        if not isinstance(item, tuple):
            words += [1 * item, 1 * item]
            continue
        columns = [np.asarray(column) for column in item]
        rows = len(columns[0])
        words += [rows, rows]
        key = columns[0].astype(np.float64).astype(np.uint64) if any_order else np.arange(rows, dtype=np.uint64)
        weight = 1.0 + (key % np.uint64(1021)).astype(np.float64)
        for column in columns:
            column = column.astype(np.float64)
            words += [column.sum(), (column * weight).sum()]
    return "%d %s" % (len(words) // 2, " ".join("%.17g" % float(word) for word in words))


def duck(c, **tables):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = %d" % c.threads)
    for name, columns in tables.items():
        data = {key: np.ascontiguousarray(value) for key, value in columns.items()}  # named in the next line
        connection.execute("CREATE TABLE %s AS SELECT * FROM data" % name)
        del data
    return connection


def frame(columns):
    import polars

    return polars.DataFrame({key: np.ascontiguousarray(value) for key, value in columns.items()})


def jitted(c, **options):
    import numba

    return numba.njit(parallel=c.threads > 1, **options)


def jaxes(*arrays):
    import jax

    jax.config.update("jax_enable_x64", True)
    return [jax.device_put(np.ascontiguousarray(array)) for array in arrays]


# ---- TPC-H Q6

Q6 = ("shipdate", "discount", "quantity", "extendedprice")
Q6_SQL = """SELECT sum(extendedprice * discount) FROM t WHERE shipdate >= 19940101 AND shipdate < 19950101
            AND discount >= 0.05::DOUBLE AND discount <= 0.07::DOUBLE AND quantity < 24"""


@peer("q6", "numpy")
def q6_numpy(c):
    s, d, q, p = (getattr(c, name) for name in Q6)

    def run():
        keep = (s >= 19940101) & (s < 19950101) & (d >= 0.05) & (d <= 0.07) & (q < 24)
        return [np.dot(p[keep], d[keep])]

    return run


@peer("q6", "numexpr")
def q6_numexpr(c):
    import numexpr

    v = c.dict(*Q6)
    text = """sum(where((shipdate >= 19940101) & (shipdate < 19950101) & (discount >= 0.05) & (discount <= 0.07)
              & (quantity < 24), extendedprice * discount, 0.0))""".replace("\n", " ")
    return lambda: [float(numexpr.evaluate(text, v))]


@peer("q6", "numba")
def q6_numba(c):
    import numba

    columns = [getattr(c, name) for name in Q6]

    @jitted(c, fastmath=True)
    def q6(s, d, q, p):
        total = 0.0
        for i in numba.prange(len(s)):
            if s[i] >= 19940101 and s[i] < 19950101 and d[i] >= 0.05 and d[i] <= 0.07 and q[i] < 24.0:
                total += p[i] * d[i]
        return total

    return lambda: [q6(*columns)]


@peer("q6", "duckdb")
def q6_duckdb(c):
    connection = duck(c, t=c.dict(*Q6))
    return lambda: [connection.execute(Q6_SQL).fetchone()[0] or 0.0]


@peer("q6", "polars")
def q6_polars(c):
    import polars
    from polars import col

    t = frame(c.dict(*Q6)).lazy()
    query = t.filter(
        (col.shipdate >= 19940101)
        & (col.shipdate < 19950101)
        & (col.discount >= 0.05)
        & (col.discount <= 0.07)
        & (col.quantity < 24)
    ).select((col.extendedprice * col.discount).sum())
    return lambda: [query.collect().item()]


@peer("q6", "jax")
def q6_jax(c):
    import jax
    import jax.numpy as jnp

    columns = jaxes(*(getattr(c, name) for name in Q6))

    @jax.jit
    def q6(s, d, q, p):
        keep = (s >= 19940101) & (s < 19950101) & (d >= 0.05) & (d <= 0.07) & (q < 24)
        return jnp.sum(jnp.where(keep, p * d, 0.0))

    return lambda: [float(q6(*columns))]


# ---- TPC-H Q1

Q1 = ("shipdate", "returnflag", "linestatus", "quantity", "extendedprice", "discount", "tax")


@peer("q1", "numpy")
def q1_numpy(c):
    s, flag, status, quantity, price, discount, tax = (getattr(c, name) for name in Q1)

    def run():
        keep = s <= 19980902
        key = (flag.astype(np.int64) * 256 + status)[keep]
        q, p, d = quantity[keep], price[keep], discount[keep]
        discounted = p * (1 - d)
        charge = discounted * (1 + tax[keep])
        count = np.bincount(key)
        groups = np.flatnonzero(count)
        n = count[groups]
        sums = [np.bincount(key, x)[groups] for x in (q, p, discounted, charge, d)]
        return [(groups // 256, groups % 256, *sums[:4], sums[0] / n, sums[1] / n, sums[4] / n, n)]

    return run


@peer("q1", "numba")
def q1_numba(c):
    columns = [getattr(c, name) for name in Q1]
    import numba

    # One table of sums for each thread.
    @jitted(c, fastmath=True)
    def q1(s, flag, status, quantity, price, discount, tax, threads):
        sums = np.zeros((threads, 256, 6))
        rows = len(s)
        for t in numba.prange(threads):
            own = np.zeros((256, 6))
            for i in range(rows * t // threads, rows * (t + 1) // threads):
                if s[i] <= 19980902:
                    at = own[(flag[i] & 31) * 8 + (status[i] & 7)]
                    discounted = price[i] * (1 - discount[i])
                    at[0] += quantity[i]
                    at[1] += price[i]
                    at[2] += discounted
                    at[3] += discounted * (1 + tax[i])
                    at[4] += discount[i]
                    at[5] += 1
            sums[t] = own
        return sums.sum(axis=0)

    def run():
        sums = q1(*columns, c.threads)
        rows = [(f, s, *sums[(f & 31) * 8 + (s & 7)]) for f in b"ANR" for s in b"FO"]
        f, s, q, p, d, e, x, n = np.array([row for row in rows if row[7]]).T
        return [(f, s, q, p, d, e, q / n, p / n, x / n, n)]

    return run


Q1_SQL = """SELECT returnflag, linestatus, sum(quantity), sum(extendedprice), sum(extendedprice * (1 - discount)),
            sum(extendedprice * (1 - discount) * (1 + tax)), avg(quantity), avg(extendedprice), avg(discount), count(*)
            FROM t WHERE shipdate <= 19980902 GROUP BY 1, 2 ORDER BY 1, 2"""


@peer("q1", "duckdb")
def q1_duckdb(c):
    connection = duck(c, t=c.dict(*Q1))
    return lambda: [tuple(connection.execute(Q1_SQL).fetchnumpy().values())]


@peer("q1", "polars")
def q1_polars(c):
    from polars import col, len as count

    discounted = col.extendedprice * (1 - col.discount)
    query = (
        frame(c.dict(*Q1))
        .lazy()
        .filter(col.shipdate <= 19980902)
        .group_by("returnflag", "linestatus")
        .agg(
            col.quantity.sum().alias("q"),
            col.extendedprice.sum().alias("p"),
            discounted.sum().alias("d"),
            (discounted * (1 + col.tax)).sum().alias("c"),
            col.quantity.mean().alias("mq"),
            col.extendedprice.mean().alias("mp"),
            col.discount.mean().alias("md"),
            count().alias("n"),
        )
        .sort("returnflag", "linestatus")
    )
    return lambda: [tuple(column.to_numpy() for column in query.collect().get_columns())]


# ---- Black-Scholes

RATE, VOLATILITY = 0.02, 0.3


def black_scholes(spot, strike, years, log, sqrt, exp, erf):
    spread = VOLATILITY * sqrt(years)
    d1 = (log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * exp(-RATE * years)
    call = spot * (0.5 * (1 + erf(d1 * 0.7071067811865476))) - discounted * (0.5 * (1 + erf(d2 * 0.7071067811865476)))
    return call, call + discounted - spot


@peer("black_scholes", "numpy")
def black_scholes_numpy(c):
    from scipy.special import erf

    columns = c.spot, c.strike, c.years
    return lambda: [(x,) for x in black_scholes(*columns, np.log, np.sqrt, np.exp, erf)]


@peer("black_scholes", "numba")
def black_scholes_numba(c):
    import math

    import numba

    columns = c.spot, c.strike, c.years

    @jitted(c)
    def price(spot, strike, years):
        calls, puts = np.empty_like(spot), np.empty_like(spot)
        for i in numba.prange(len(spot)):
            spread = VOLATILITY * math.sqrt(years[i])
            d1 = (math.log(spot[i] / strike[i]) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years[i]) / spread
            d2 = d1 - spread
            discounted = strike[i] * math.exp(-RATE * years[i])
            call = spot[i] * (0.5 * (1 + math.erf(d1 * 0.7071067811865476)))
            call -= discounted * (0.5 * (1 + math.erf(d2 * 0.7071067811865476)))
            calls[i] = call
            puts[i] = call + discounted - spot[i]
        return calls, puts

    return lambda: [(x,) for x in price(*columns)]


@peer("black_scholes", "jax")
def black_scholes_jax(c):
    import jax
    import jax.numpy as jnp

    columns = jaxes(c.spot, c.strike, c.years)
    price = jax.jit(lambda *v: black_scholes(*v, jnp.log, jnp.sqrt, jnp.exp, jax.scipy.special.erf))
    return lambda: [(x,) for x in jax.block_until_ready(price(*columns))]


# ---- haversine

DEGREE, HERE_UP, HERE_ACROSS = 0.017453292519943295, 0.70984286, -1.29353


def haversine(latitude, longitude, sin, cos, asin, sqrt):
    there = latitude * DEGREE
    up = sin((there - HERE_UP) * 0.5)
    across = sin((longitude * DEGREE - HERE_ACROSS) * 0.5)
    a = up * up + cos(HERE_UP) * cos(there) * (across * across)
    return 2.0 * 3959.0 * asin(sqrt(a))


HAVERSINE = """7918.0 * {asin}(sqrt(sin((latitude * 0.017453292519943295 - 0.70984286) * 0.5) ** 2
    + cos(0.70984286) * cos(latitude * 0.017453292519943295)
    * sin((longitude * 0.017453292519943295 + 1.29353) * 0.5) ** 2))"""


@peer("haversine", "numpy")
def haversine_numpy(c):
    columns = c.latitude, c.longitude
    return lambda: [(haversine(*columns, np.sin, np.cos, np.arcsin, np.sqrt),)]


@peer("haversine", "numexpr")
def haversine_numexpr(c):
    import numexpr

    v, text = c.dict("latitude", "longitude"), HAVERSINE.format(asin="arcsin").replace("\n", " ")
    return lambda: [(numexpr.evaluate(text, v),)]


@peer("haversine", "numba")
def haversine_numba(c):
    import math

    import numba

    columns = c.latitude, c.longitude

    @jitted(c)
    def miles(latitude, longitude):
        out = np.empty_like(latitude)
        for i in numba.prange(len(latitude)):
            there = latitude[i] * DEGREE
            up = math.sin((there - HERE_UP) * 0.5)
            across = math.sin((longitude[i] * DEGREE - HERE_ACROSS) * 0.5)
            a = up * up + math.cos(HERE_UP) * math.cos(there) * (across * across)
            out[i] = 2.0 * 3959.0 * math.asin(math.sqrt(a))
        return out

    return lambda: [(miles(*columns),)]


@peer("haversine", "duckdb")
def haversine_duckdb(c):
    connection = duck(c, t=c.dict("latitude", "longitude"))
    text = HAVERSINE.format(asin="asin").replace("0.", "0.").replace("\n", " ")
    import re

    text = re.sub(r"(\d+\.\d+)", r"\1::DOUBLE", text)
    return lambda: [tuple(connection.execute("SELECT " + text + " AS miles FROM t").fetchnumpy().values())]


@peer("haversine", "polars")
def haversine_polars(c):
    from polars import col, lit

    import math

    t = frame(c.dict("latitude", "longitude")).lazy()
    there = col.latitude * DEGREE
    up, across = ((there - HERE_UP) * 0.5).sin(), ((col.longitude * DEGREE - HERE_ACROSS) * 0.5).sin()
    query = t.select((up * up + math.cos(HERE_UP) * there.cos() * (across * across)).sqrt().arcsin() * (2 * 3959.0))
    return lambda: [(query.collect().to_series().to_numpy(),)]


@peer("haversine", "jax")
def haversine_jax(c):
    import jax
    import jax.numpy as jnp

    columns = jaxes(c.latitude, c.longitude)
    miles = jax.jit(lambda *v: haversine(*v, jnp.sin, jnp.cos, jnp.arcsin, jnp.sqrt))
    return lambda: [(jax.block_until_ready(miles(*columns)),)]


# ---- group by, join


def groups(workload, column):
    @peer(workload, "numpy")
    def group_numpy(c):
        key, value = getattr(c, column), c.uniform

        def run():
            if key.min() >= 0 and key.max() < 65536:
                count = np.bincount(key)
                found = np.flatnonzero(count)
                return [(found, np.bincount(key, value)[found], count[found])]
            found, place = np.unique(key, return_inverse=True)
            return [(found, np.bincount(place, value), np.bincount(place))]

        return run

    @peer(workload, "duckdb")
    def group_duckdb(c):
        connection = duck(c, t={"key": getattr(c, column), "value": c.uniform})
        text = "SELECT key, sum(value), count(*) FROM t GROUP BY key"
        return lambda: [tuple(connection.execute(text).fetchnumpy().values())]

    @peer(workload, "polars")
    def group_polars(c):
        from polars import col, len as count

        t = frame({"key": getattr(c, column), "value": c.uniform}).lazy()
        query = t.group_by("key").agg(col.value.sum(), count().alias("n"))
        return lambda: [tuple(column.to_numpy() for column in query.collect().get_columns())]


groups("group_10", "key10")
groups("group_1000", "key1000")
groups("group_1000000", "key1000000")


@peer("join", "numpy")
def join_numpy(c):
    small_key, small_value, key, value = c.small_key, c.small_value, c.probe_key, c.uniform

    def run():
        order = np.argsort(small_key)
        keys, values = small_key[order], small_value[order]
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        match = keys[at] == key
        return [np.dot(value[match], values[at[match]]), np.count_nonzero(match)]

    return run


@peer("join", "duckdb")
def join_duckdb(c):
    connection = duck(c, small={"key": c.small_key, "value": c.small_value}, big={"key": c.probe_key, "value": c.uniform})
    text = "SELECT sum(big.value * small.value), count(*) FROM big JOIN small USING (key)"
    return lambda: list(connection.execute(text).fetchone())


@peer("join", "polars")
def join_polars(c):
    from polars import col, len as count

    small = frame({"key": c.small_key, "small": c.small_value}).lazy()
    big = frame({"key": c.probe_key, "value": c.uniform}).lazy()
    query = big.join(small, on="key").select((col.value * col.small).sum(), count().alias("n"))
    return lambda: list(query.collect().row(0))


# ---- filters, sorts, the greatest


def filters(workload, bound):
    @peer(workload, "numpy")
    def filter_numpy(c):
        x = c.uniform
        return lambda: [(x[x < bound],)]

    @peer(workload, "numba")
    def filter_numba(c):
        import numba

        x = c.uniform

        @numba.njit
        def keep(x):
            out, count = np.empty_like(x), 0
            for e in x:
                out[count] = e
                count += e < bound
            return out[:count]

        return lambda: [(keep(x),)]

    @peer(workload, "duckdb")
    def filter_duckdb(c):
        connection = duck(c, t={"x": c.uniform})
        text = "SELECT x FROM t WHERE x < %r::DOUBLE" % bound
        return lambda: [(connection.execute(text).fetchnumpy()["x"],)]

    @peer(workload, "polars")
    def filter_polars(c):
        from polars import col

        query = frame({"x": c.uniform}).lazy().filter(col.x < bound)
        return lambda: [(query.collect().to_series().to_numpy(),)]


filters("filter_1", 0.01)
filters("filter_10", 0.1)
filters("filter_50", 0.5)
filters("filter_90", 0.9)


def sorts(workload, column):
    @peer(workload, "numpy")
    def sort_numpy(c):
        x = getattr(c, column)
        return lambda: [(np.sort(x),)]

    @peer(workload, "duckdb")
    def sort_duckdb(c):
        connection = duck(c, t={"x": getattr(c, column)})
        return lambda: [(connection.execute("SELECT x FROM t ORDER BY x").fetchnumpy()["x"],)]

    @peer(workload, "polars")
    def sort_polars(c):
        x = frame({"x": getattr(c, column)}).to_series()
        return lambda: [(x.sort().to_numpy(),)]


sorts("sort_f64", "uniform")
sorts("sort_i64", "integers")


@peer("top_100", "numpy")
def top_numpy(c):
    x = c.uniform
    return lambda: [(np.sort(np.partition(x, len(x) - 100)[-100:])[::-1],)]


@peer("top_100", "duckdb")
def top_duckdb(c):
    connection = duck(c, t={"x": c.uniform})
    return lambda: [(connection.execute("SELECT x FROM t ORDER BY x DESC LIMIT 100").fetchnumpy()["x"],)]


@peer("top_100", "polars")
def top_polars(c):
    x = frame({"x": c.uniform}).to_series()
    return lambda: [(x.top_k(100).sort(descending=True).to_numpy(),)]


@peer("top_100", "jax")
def top_jax(c):
    import jax

    (x,) = jaxes(c.uniform)
    top = jax.jit(lambda x: jax.lax.top_k(x, 100)[0])
    return lambda: [(jax.block_until_ready(top(x)),)]


# ---- texts


def type_names():
    """The same as in data.c."""
    first = "STANDARD SMALL MEDIUM LARGE ECONOMY PROMO".split()
    second = "ANODIZED BURNISHED PLATED POLISHED BRUSHED".split()
    third = "TIN NICKEL BRASS STEEL COPPER".split()
    return [" ".join((a, b, c)) for a in first for b in second for c in third]


@peer("strings", "numpy")
def strings_numpy(c):
    texts, price = np.array(type_names(), dtype="S")[c.part_type], c.extendedprice

    def run():
        keep = np.strings.startswith(texts, b"PROMO")
        return [price[keep].sum(), np.count_nonzero(keep)]

    return run


@peer("strings", "duckdb")
def strings_duckdb(c):
    names = {"number": np.arange(150), "name": np.array(type_names(), dtype=object)}
    connection = duck(c, names=names, codes={"number": c.part_type.astype(np.int64), "price": c.extendedprice})
    connection.execute("CREATE TABLE t AS SELECT name, price FROM codes JOIN names USING (number)")
    text = "SELECT sum(price), count(*) FROM t WHERE starts_with(name, 'PROMO')"
    return lambda: list(connection.execute(text).fetchone())


@peer("strings", "polars")
def strings_polars(c):
    import polars
    from polars import col, len as count

    names = polars.Series("name", type_names()).gather(polars.Series(c.part_type.astype(np.uint32)))
    t = polars.DataFrame({"name": names, "price": np.ascontiguousarray(c.extendedprice)}).lazy()
    query = t.filter(col.name.str.starts_with("PROMO")).select(col.price.sum(), count().alias("n"))
    return lambda: list(query.collect().row(0))


# ---- k-means


@peer("kmeans", "numpy")
def kmeans_numpy(c):
    points = c.points

    def run():
        centers = points[:CENTERS].copy()
        for _ in range(ROUNDS):
            distance = np.stack([((points - center) ** 2).sum(axis=1) for center in centers])
            nearest = distance.argmin(axis=0)
            spread = distance.min(axis=0).sum()
            counts = np.bincount(nearest, minlength=CENTERS)
            sums = np.stack([np.bincount(nearest, column, CENTERS) for column in points.T], axis=1)
            centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
        return [(centers.ravel(),), (counts,), spread]

    return run


@peer("kmeans", "numba")
def kmeans_numba(c):
    import numba

    points = c.points

    @jitted(c, fastmath=True)
    def assign(points, centers, threads):
        k, dim = centers.shape
        rows = len(points)
        sums, counts, spread = np.zeros((threads, k, dim)), np.zeros((threads, k), np.int64), np.zeros(threads)
        for t in numba.prange(threads):
            own, count, apart = np.zeros((k, dim)), np.zeros(k, np.int64), 0.0
            for i in range(rows * t // threads, rows * (t + 1) // threads):
                nearest, least = 0, np.inf
                for center in range(k):
                    distance = 0.0
                    for j in range(dim):
                        distance += (points[i, j] - centers[center, j]) ** 2
                    if distance < least:
                        nearest, least = center, distance
                for j in range(dim):
                    own[nearest, j] += points[i, j]
                count[nearest] += 1
                apart += least
            sums[t], counts[t], spread[t] = own, count, apart
        return sums.sum(axis=0), counts.sum(axis=0), spread.sum()

    def run():
        centers = points[:CENTERS].copy()
        for _ in range(ROUNDS):
            sums, counts, spread = assign(points, centers, c.threads)
            centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
        return [(centers.ravel(),), (counts,), spread]

    return run


@peer("kmeans", "jax")
def kmeans_jax(c):
    import jax
    import jax.numpy as jnp

    (points,) = jaxes(c.points)

    @jax.jit
    def fit(points):
        def step(_, state):
            centers = state[0]
            distance = jnp.stack([((points - centers[k]) ** 2).sum(axis=1) for k in range(CENTERS)])
            nearest = jax.nn.one_hot(distance.argmin(axis=0), CENTERS, axis=0, dtype=points.dtype)
            counts = nearest.sum(axis=1)
            moved = (nearest @ points) / jnp.maximum(counts, 1)[:, None]
            return jnp.where(counts[:, None] > 0, moved, centers), counts, distance.min(axis=0).sum()

        start = points[:CENTERS], jnp.zeros(CENTERS), jnp.zeros((), points.dtype)
        return jax.lax.fori_loop(0, ROUNDS, step, start)

    def run():
        centers, counts, spread = jax.block_until_ready(fit(points))
        return [(np.asarray(centers).ravel(),), (counts,), float(spread)]

    return run


# ---- PageRank


@peer("pagerank", "scipy")
def pagerank_scipy(c):
    import scipy.sparse

    start, source = c.in_start, c.in_source

    def run():
        nodes = len(start) - 1
        degree = np.bincount(source, minlength=nodes)
        weight = np.divide(1.0, degree, out=np.zeros(nodes), where=degree > 0)
        graph = scipy.sparse.csr_array((np.ones(len(source)), source, start), shape=(nodes, nodes))
        rank = np.full(nodes, 1 / nodes)
        for _ in range(ROUNDS):
            rank = 0.15 / nodes + 0.85 * (graph @ (rank * weight))
        return [(rank,)]

    return run


@peer("pagerank", "numba")
def pagerank_numba(c):
    import numba

    start, source = c.in_start, c.in_source

    @jitted(c)
    def pagerank(start, source, rounds):
        nodes = len(start) - 1
        degree = np.zeros(nodes, np.int64)
        for s in source:
            degree[s] += 1
        rank, share = np.full(nodes, 1.0 / nodes), np.zeros(nodes)
        for _ in range(rounds):
            for i in numba.prange(nodes):
                share[i] = rank[i] / degree[i] if degree[i] > 0 else 0.0
            for i in numba.prange(nodes):
                inflow = 0.0
                for edge in range(start[i], start[i + 1]):
                    inflow += share[source[edge]]
                rank[i] = 0.15 / nodes + 0.85 * inflow
        return rank

    return lambda: [(pagerank(start, source, ROUNDS),)]


@peer("pagerank", "jax")
def pagerank_jax(c):
    import jax
    import jax.numpy as jnp

    start, source = jaxes(c.in_start, c.in_source)
    nodes, edges = len(c.in_start) - 1, len(c.in_source)

    @jax.jit
    def pagerank(start, source):
        target = jnp.repeat(jnp.arange(nodes), jnp.diff(start), total_repeat_length=edges)
        degree = jnp.zeros(nodes).at[source].add(1.0)
        weight = jnp.where(degree > 0, 1 / jnp.maximum(degree, 1), 0.0)

        def step(_, rank):
            inflow = jax.ops.segment_sum((rank * weight)[source], target, nodes, indices_are_sorted=True)
            return 0.15 / nodes + 0.85 * inflow

        return jax.lax.fori_loop(0, ROUNDS, step, jnp.full(nodes, 1.0 / nodes))

    return lambda: [(jax.block_until_ready(pagerank(start, source)),)]


# ---- logistic regression


def logistic(x, y, exp, xp):
    w, pace = xp.zeros(x.shape[1], np.float32), np.float32(0.5 / len(y))
    for _ in range(STEPS):
        error = 1 / (1 + exp(-(x @ w))) - y
        w = w - pace * (x.T @ error)
    return w


@peer("logistic", "numpy")
def logistic_numpy(c):
    x, y = c.features, c.labels
    return lambda: [(logistic(x, y, np.exp, np),)]


@peer("logistic", "numba")
def logistic_numba(c):
    import math

    import numba

    x, y = c.features, c.labels

    @jitted(c, fastmath=True)
    def step(x, y, w, threads):
        rows, columns = x.shape
        parts = np.zeros((threads, columns), np.float32)
        for t in numba.prange(threads):
            gradient = np.zeros(columns, np.float32)
            for i in range(rows * t // threads, rows * (t + 1) // threads):
                score = np.float32(0)
                for j in range(columns):
                    score += x[i, j] * w[j]
                error = np.float32(1) / (np.float32(1) + math.exp(-score)) - y[i]
                for j in range(columns):
                    gradient[j] += error * x[i, j]
            parts[t] = gradient
        return parts.sum(axis=0)

    def run():
        w, pace = np.zeros(x.shape[1], np.float32), np.float32(0.5 / len(y))
        for _ in range(STEPS):
            w = w - pace * step(x, y, w, c.threads)
        return [(w,)]

    return run


@peer("logistic", "jax")
def logistic_jax(c):
    import jax
    import jax.numpy as jnp

    x, y = jaxes(c.features, c.labels)
    fit = jax.jit(lambda x, y: logistic(x, y, jnp.exp, jnp))
    return lambda: [(jax.block_until_ready(fit(x, y)),)]


@peer("logistic_grad", "numpy")
def logistic_grad_numpy(c):
    return logistic_numpy(c)


@peer("logistic_grad", "jax")
def logistic_grad_jax(c):
    import jax
    import jax.numpy as jnp

    x, y = jaxes(c.features, c.labels)

    def loss(w, x, y):
        scores = x @ w
        return jnp.mean(jnp.logaddexp(np.float32(0), scores) - y * scores)

    @jax.jit
    def fit(x, y):
        slope = jax.grad(loss)
        return jax.lax.fori_loop(0, STEPS, lambda _, w: w - np.float32(0.5) * slope(w, x, y),
                                 jnp.zeros(x.shape[1], jnp.float32))

    return lambda: [(jax.block_until_ready(fit(x, y)),)]


# ---- a network

NETWORK = ("pixels", "shown", "net_w1", "net_w2")


@peer("mlp", "numpy")
def mlp_numpy(c):
    x, y, first, second = (np.asarray(getattr(c, name)) for name in NETWORK)

    def run():
        w1, b1, w2, b2, losses = first, np.zeros(256, np.float32), second, np.zeros(10, np.float32), []
        rate = np.float32(0.1)
        for at in range(0, len(y) - 255, 256):
            images, labels = x[at:at + 256], y[at:at + 256]
            inner = np.maximum(images @ w1.T + b1, 0)
            scores = inner @ w2.T + b2
            scores -= scores.max(axis=1, keepdims=True)
            shares = np.exp(scores)
            total = shares.sum(axis=1, keepdims=True)
            rows = np.arange(256)
            losses.append((np.log(total[:, 0]) - scores[rows, labels]).mean())
            shares /= total
            shares[rows, labels] -= 1
            shares /= 256
            back = (shares @ w2) * (inner > 0)
            w2, b2 = w2 - rate * (shares.T @ inner), b2 - rate * shares.sum(axis=0)
            w1, b1 = w1 - rate * (back.T @ images), b1 - rate * back.sum(axis=0)
        return [(np.array(losses),), (w1.ravel(),), (w2.ravel(),)]

    return run


@peer("mlp", "jax")
def mlp_jax(c):
    import jax
    import jax.numpy as jnp

    x, y, w1, w2 = jaxes(*(getattr(c, name) for name in NETWORK))
    batches = x.reshape(-1, 256, 784), y.reshape(-1, 256)

    def loss(tree, x, y):
        w1, b1, w2, b2 = tree
        scores = jnp.maximum(x @ w1.T + b1, 0) @ w2.T + b2
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - scores[jnp.arange(256), y])

    @jax.jit
    def fit(tree, batches):
        def step(tree, batch):
            value, g = jax.value_and_grad(loss)(tree, *batch)
            return tuple(p - np.float32(0.1) * d for p, d in zip(tree, g)), value

        return jax.lax.scan(step, tree, batches)

    def run():
        tree, losses = fit((w1, jnp.zeros(256, jnp.float32), w2, jnp.zeros(10, jnp.float32)), batches)
        jax.block_until_ready(tree)
        return [(losses,), (tree[0].ravel(),), (tree[2].ravel(),)]

    return run


# ---- the demo's pipeline

PIPELINE = ("shipdate", "quantity", "extendedprice", "discount", "tax")


@peer("pipeline", "numpy")
def pipeline_numpy(c):
    s, quantity, price, discount, tax = (getattr(c, name) for name in PIPELINE)

    def run():
        keep = (s >= 19940101) & (s < 19970101)
        q, p, d, t = quantity[keep], price[keep], discount[keep], tax[keep]
        y = (p * (1 - d) * (1 + t) > 40000.0).astype(np.float64)
        n = len(y)
        x = np.empty((n, 5))
        for k, column in enumerate((q, p / q, d, t)):
            x[:, k] = (column - column.mean()) / column.std()
        x[:, 4] = 1
        w, losses = np.zeros(5), []
        for _ in range(STEPS):
            score = x @ w
            e = 1 / (1 + np.exp(-score)) - y
            losses.append((np.maximum(score, 0) - y * score + np.log(1 + np.exp(-np.abs(score)))).mean())
            w = w - 1.0 / n * (x.T @ e)
        right = ((x @ w > 0) == (y > 0.5)).mean()
        return [n, *w, (np.array(losses),), right]

    return run


@peer("pipeline", "jax")
def pipeline_jax(c):
    import jax
    import jax.numpy as jnp

    columns = jaxes(*(getattr(c, name) for name in PIPELINE))

    # Rows that the filter rejects get weight 0: the number of rows of a compiled array cannot depend on data.
    @jax.jit
    def fit(s, q, p, d, t):
        keep = ((s >= 19940101) & (s < 19970101)).astype(jnp.float64)
        y = (p * (1 - d) * (1 + t) > 40000.0).astype(jnp.float64)
        n = keep.sum()
        x = []
        for column in (q, p / q, d, t):
            mean = (column * keep).sum() / n
            x.append((column - mean) / jnp.sqrt((keep * (column - mean) ** 2).sum() / n))

        def score(w):
            return w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3] + w[4]

        def step(w, _):
            z = score(w)
            e = (1 / (1 + jnp.exp(-z)) - y) * keep
            loss = (keep * (jnp.maximum(z, 0) - y * z + jnp.log(1 + jnp.exp(-jnp.abs(z))))).sum() / n
            return w - jnp.stack([(e * x[0]).sum(), (e * x[1]).sum(), (e * x[2]).sum(), (e * x[3]).sum(), e.sum()]) / n, loss

        w, losses = jax.lax.scan(step, jnp.zeros(5), length=STEPS)
        right = (keep * ((score(w) > 0) == (y > 0.5))).sum() / n
        return n, w, losses, right

    def run():
        n, w, losses, right = jax.block_until_ready(fit(*columns))
        return [float(n), *(float(x) for x in w), (losses,), float(right)]

    return run


# ---- calls of a table's library


def pandas_frame(columns):
    import pandas

    return pandas.DataFrame({key: np.ascontiguousarray(value) for key, value in columns.items()})


@peer("frame_group", "pandas")
def frame_group_pandas(c):
    t = pandas_frame({"key": c.key1000, "value": c.uniform})

    def run():
        groups = t.groupby("key").agg(sum=("value", "sum"), n=("value", "size"))
        return [(groups.index.to_numpy(),), (groups["sum"].to_numpy(),), (groups.n.to_numpy(),)]

    return run


@peer("frame_group", "duckdb")
def frame_group_duckdb(c):
    connection = duck(c, t={"key": c.key1000, "value": c.uniform})
    text = "SELECT key, sum(value), count(*) FROM t GROUP BY key ORDER BY key"
    return lambda: [(column,) for column in connection.execute(text).fetchnumpy().values()]


@peer("frame_group", "polars")
def frame_group_polars(c):
    from polars import col, len as count

    t = frame({"key": c.key1000, "value": c.uniform}).lazy()
    query = t.group_by("key").agg(col.value.sum(), count().alias("n")).sort("key")
    return lambda: [(column.to_numpy(),) for column in query.collect().get_columns()]


def ordered_rows(workload, pandas_rows, polars_rows, sql):
    @peer(workload, "pandas")
    def rows_pandas(c):
        t = pandas_frame({"score": c.uniform, "id": c.integers})

        def run():
            made = pandas_rows(t)
            return [(made.score.to_numpy(),), (made.id.to_numpy(),)]

        return run

    @peer(workload, "duckdb")
    def rows_duckdb(c):
        connection = duck(c, t={"score": c.uniform, "id": c.integers})
        return lambda: [(column,) for column in connection.execute(sql).fetchnumpy().values()]

    @peer(workload, "polars")
    def rows_polars(c):
        t = frame({"score": c.uniform, "id": c.integers}).lazy()
        return lambda: [(column.to_numpy(),) for column in polars_rows(t).collect().get_columns()]


ordered_rows(
    "frame_sort", lambda t: t.sort_values("score"), lambda t: t.sort("score"), "SELECT score, id FROM t ORDER BY score"
)
ordered_rows(
    "frame_top",
    lambda t: t.nlargest(100, "score"),
    lambda t: t.top_k(100, by="score").sort("score", descending=True),
    "SELECT score, id FROM t ORDER BY score DESC LIMIT 100",
)


@peer("frame_distinct", "pandas")
def frame_distinct_pandas(c):
    t = pandas_frame({"key": c.key1000000})
    return lambda: [(t.drop_duplicates("key").key.to_numpy(),)]


@peer("frame_distinct", "duckdb")
def frame_distinct_duckdb(c):
    connection = duck(c, t={"key": c.key1000000})
    return lambda: [(connection.execute("SELECT DISTINCT key FROM t").fetchnumpy()["key"],)]


@peer("frame_distinct", "polars")
def frame_distinct_polars(c):
    t = frame({"key": c.key1000000}).lazy()
    return lambda: [(t.unique().collect()["key"].to_numpy(),)]


@peer("frame_join", "pandas")
def frame_join_pandas(c):
    small = pandas_frame({"key": c.small_key, "factor": c.small_value})
    large = pandas_frame({"key": c.probe_key, "value": c.uniform})

    def run():
        both = large.merge(small, on="key")
        return [(both.value * both.factor).sum(), len(both)]

    return run


peer("frame_join", "duckdb")(join_duckdb)
peer("frame_join", "polars")(join_polars)


# ---- twelve calls of four libraries, as examples/orders.h makes them


ORDERS, CENTER, DEVIATION = ("shipdate", "quantity", "extendedprice", "discount", "tax"), 10.2, 0.9


def orders_numbers(charge, score):
    density = np.exp(-(score * score) / 2) / 2.5066282746310002
    return [charge.mean(), np.dot(charge, density), np.abs(score).sum(), np.linalg.norm(score)]


@peer("orders", "pandas+numpy")
def orders_pandas(c):
    import pandas

    t = pandas.DataFrame(c.dict(*ORDERS))

    def run():
        revenue = t.extendedprice.to_numpy() * (1 - t.discount.to_numpy())
        more = t.assign(revenue=revenue, score=(np.log(revenue) - CENTER) / DEVIATION)
        recent = more[(more.shipdate >= 19930101) & (more.shipdate < 19980101) & (more.quantity <= 45)]
        charge = recent.revenue * (1 + recent.tax)
        return orders_numbers(charge.to_numpy(), recent.score.to_numpy())

    return run


@peer("orders", "polars+numpy")
def orders_polars(c):
    from polars import col

    revenue = col.extendedprice * (1 - col.discount)
    recent = (col.shipdate >= 19930101) & (col.shipdate < 19980101) & (col.quantity <= 45)
    score, charge = ((revenue.log() - CENTER) / DEVIATION).alias("score"), (revenue * (1 + col.tax)).alias("charge")
    query = frame(c.dict(*ORDERS)).lazy().filter(recent).select(charge, score)

    def run():
        t = query.collect()
        return orders_numbers(t["charge"].to_numpy(), t["score"].to_numpy())

    return run


ORDERS_SQL = """SELECT revenue * (1 + tax) AS charge, (ln(revenue) - 10.2::DOUBLE) / 0.9::DOUBLE AS score
    FROM (SELECT *, extendedprice * (1 - discount) AS revenue FROM t)
    WHERE shipdate >= 19930101 AND shipdate < 19980101 AND quantity <= 45"""


@peer("orders", "duckdb+numpy")
def orders_duckdb(c):
    connection = duck(c, t=c.dict(*ORDERS))

    def run():
        t = connection.execute(ORDERS_SQL).fetchnumpy()
        return orders_numbers(t["charge"], t["score"])

    return run


# ---- the conversation


def versions():
    import importlib.metadata as metadata

    names = "numpy numexpr numba scipy pandas duckdb polars jax".split()
    return " ".join("%s %s" % (name, metadata.version(name)) for name in names)


def serve(columns):
    prepared = {}
    workload = None
    for line in sys.stdin:
        words = line.split()
        try:
            if words[0] == "versions":
                answer = versions()
            elif words[0] == "engines":
                prepared.clear()
                workload = words[1]
                answer = " ".join(PEERS.get(workload, {}))
            elif words[0] == "prepare":
                prepared[words[2]] = PEERS[words[1]][words[2]](columns)
                answer = ""
            else:
                start = time.perf_counter()
                result = prepared[words[1]]()
                answer = "%.6f" % ((time.perf_counter() - start) * 1e3)
                if words[2] == "1":
                    answer += " " + digest(result, workload in ANY_ORDER)
                del result
            reply = ("ok " + answer).strip()
        except Exception as error:  # whatever a peer cannot do is reported, and the others go on
            reply = "no %s: %s" % (type(error).__name__, " ".join(str(error).split())[:120])
        print(reply, file=talk, flush=True)


def first(columns, engine):
    """What Q6 takes on data that are in memory, compiling and loading tables included."""
    imports = {"jax": "jax", "duckdb": "duckdb", "polars": "polars", "numba": "numba", "numexpr": "numexpr"}
    if engine in imports:
        __import__(imports[engine])
    start = time.perf_counter()
    PEERS["q6"][engine](columns)()
    print("%.6f" % ((time.perf_counter() - start) * 1e3))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", required=True)
    parser.add_argument("--first")
    request = parser.parse_args()
    data = Columns(request.data, request.threads)
    if request.first:
        first(data, request.first)
    else:
        talk = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is not part of the conversation
        serve(data)
