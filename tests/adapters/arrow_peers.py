"""arrow_peers.py LIBRARIES: the adapter arrow with pyarrow, DuckDB and Polars as the other side, in one process.

What they hand out is taken in, computed with, handed back, and compared with what they compute themselves. pyarrow checks
what it gets (validate), and counts its memory, so that what is never released is found. Without pyarrow the test is skipped
(status 77); DuckDB and Polars are each used if they are there.
"""
import ctypes
import datetime
import decimal
import gc
import random
import sys

try:
    import pyarrow as pa
except ImportError:
    print("skipped: pyarrow is not installed")
    sys.exit(77)
try:
    import duckdb
except ImportError:
    duckdb = None
try:
    import polars
except ImportError:
    polars = None

P = ctypes.c_void_p


class Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("format", ctypes.c_char_p), ("values", P), ("validity", P),
                ("dictionary", P)]


class Failure(Exception):
    pass


class Weld:
    """The C interface, with errors as exceptions."""

    def __init__(self, folder):
        self.lib = ctypes.CDLL(folder + "/libweld.so")
        self.arrow = ctypes.CDLL(folder + "/libweld-arrow.so")
        for lib, result, names in (
            (self.lib, P, "error_new conf_new context_new lazy_new lazy_data"),
            (self.lib, ctypes.c_char_p, "error_message lazy_type value_type"),
            (self.lib, ctypes.c_int64, "context_memory_usage"),
            (self.lib, ctypes.c_uint64, "error_code"),
            (self.lib, ctypes.c_bool, "lazy_evaluate"),
            (self.lib, None, "lazy_free value_free conf_set conf_free context_free"),
            (self.arrow, P, "arrow_import arrow_import_stream arrow_column arrow_find arrow_values arrow_validity "
                            "arrow_dictionary arrow_indices arrow_item_validity"),
            (self.arrow, ctypes.c_char_p, "arrow_name arrow_format"),
            (self.arrow, ctypes.c_int64, "arrow_length arrow_column_count arrow_null_count"),
            (self.arrow, ctypes.c_bool, "arrow_export arrow_export_table arrow_export_stream"),
            (self.arrow, None, "arrow_free"),
        ):
            for name in names.split():
                function = getattr(lib, "weld_" + name)
                function.restype = result
                setattr(self, name, function)
        self.error = P(self.error_new())
        self.contexts = []
        for engine in (b"eval", b"jit"):
            conf = P(self.conf_new())
            self.conf_set(conf, b"weld.engine", engine)
            self.contexts.append(P(self.context_new(conf)))
            self.conf_free(conf)

    def check(self, got):
        if not got:
            raise Failure(self.error_message(self.error).decode())
        return got

    def import_array(self, array):
        """Of pyarrow: an array or a record batch."""
        c_array, c_schema = (ctypes.c_int64 * 10)(), (ctypes.c_int64 * 9)()
        array._export_to_c(ctypes.addressof(c_array), ctypes.addressof(c_schema))
        try:
            return P(self.check(self.arrow_import(c_array, c_schema, self.error)))
        except Failure:
            pa.Array._import_from_c(ctypes.addressof(c_array), ctypes.addressof(c_schema)) # which releases it
            raise

    def import_stream(self, source):
        """Of anybody: an object with __arrow_c_stream__."""
        capsule = source.__arrow_c_stream__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = P, [ctypes.py_object, ctypes.c_char_p]
        return P(self.check(self.arrow_import_stream(P(pointer(capsule, b"arrow_array_stream")), self.error)))

    def columns(self, table):
        return [P(self.arrow_column(table, P(i))) for i in range(self.arrow_column_count(table))]

    def lazy(self, code, *arguments):
        list_of = (P * (len(arguments) + 1))(*arguments)
        return P(self.check(self.lazy_new(b"test.code", code.encode(), list_of, P(len(arguments)), self.error)))

    def values(self, column):
        return P(self.check(self.arrow_values(column, self.error)))

    def validity(self, column):
        lazy = self.arrow_validity(column, self.error)
        if not lazy and self.error_code(self.error):
            self.check(None)
        return P(lazy)

    def evaluate(self, lazies, engine=0):
        """A value for each lazy value, which are freed; None for none."""
        there = [lazy for lazy in lazies if lazy]
        list_of, values = (P * (len(there) + 1))(*there), (P * (len(there) + 1))()
        self.check(self.lazy_evaluate(self.contexts[engine], list_of, P(len(there)), values, self.error))
        for lazy in there:
            self.lazy_free(lazy)
        values = iter(values[:len(there)])
        return [P(next(values)) if lazy else P(None) for lazy in lazies]

    def fields(self, columns):
        """Of (name, format, values, validity, dictionary)."""
        return (Field * (len(columns) + 1))(*[Field(n and n.encode(), f and f.encode(), v, m, d)
                                              for n, f, v, m, d in columns])

    def free_fields(self, fields):
        for field in fields:
            for value in (field.values, field.validity, field.dictionary):
                self.value_free(P(value))

    def export_array(self, field):
        c_array, c_schema = (ctypes.c_int64 * 10)(), (ctypes.c_int64 * 9)()
        self.check(self.arrow_export(ctypes.byref(field), c_array, c_schema, self.error))
        return pa.Array._import_from_c(ctypes.addressof(c_array), ctypes.addressof(c_schema))

    def export_stream(self, fields, rows=0):
        stream = (ctypes.c_int64 * 5)()
        self.check(self.arrow_export_stream(fields, P(len(fields) - 1), P(rows), stream, self.error))
        return Stream(stream)


class Stream:
    """What others take: a capsule that releases its stream if nobody took it."""

    def __init__(self, stream):
        self.stream = stream

    def __arrow_c_stream__(self, requested_schema=None):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [P, ctypes.c_char_p, P]
        return new(ctypes.addressof(self.stream), b"arrow_array_stream", None)


# ---- pyarrow ----

DAY = datetime.date(2024, 2, 29)
NOON = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)


def arrays():
    """Of every type: some values, some of them None."""
    n = None
    for t in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()):
        yield pa.array([1, n, 127, 0, n, 5, 6, 7, 8, 9, 10], t)
    for t in (pa.float32(), pa.float64()):
        yield pa.array([1.5, n, float("inf"), -0.0, 2.25, n, 7.0, 8.0, 9.0], t)
    yield pa.array([True, n, False, True, True, n, False, False, True, True], pa.bool_())
    for t in (pa.date32(), pa.date64()):
        yield pa.array([DAY, n, datetime.date(1969, 1, 1), DAY], t)
    for t in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")):
        yield pa.array([1000, n, 3000, 4000], t)
    for unit in ("s", "ms", "us", "ns"):
        yield pa.array([1000, n, -3000, 4000], pa.timestamp(unit))
        yield pa.array([1000, n, -3000, 4000], pa.timestamp(unit, "Europe/Paris"))
        yield pa.array([1000, n, -3000, 4000], pa.duration(unit))
    for t in (pa.string(), pa.large_string(), pa.string_view()):
        yield pa.array(["a", n, "", "grün", "a string that is longer than twelve bytes", n, "π"], t)
    for t in (pa.binary(), pa.large_binary(), pa.binary_view()):
        yield pa.array([b"a", n, b"", b"\xff\x00", b"\x80 bytes that are more than twelve", n], t)
    yield pa.array([b"abc", n, b"xyz", b"\0\0\0"], pa.binary(3))
    for t in (pa.list_(pa.int32()), pa.large_list(pa.int32())):
        yield pa.array([[1, 2], n, [], [3], [4, 5, 6]], t)
    yield pa.array([[1.5, 2], n, [3, 4]], pa.list_(pa.float64(), 2))
    yield pa.array([["a", "bc"], n, [], ["d" * 20]], pa.list_(pa.string()))
    yield pa.array([[[True], []], n, [[False, True]]], pa.list_(pa.list_(pa.bool_())))


# What a view or a bool comes back as is another type of the same values.
FORMATS = {"vu": "U", "vz": "Z"}


def round_trip(weld, array, engine):
    """Through a lazy value that a fragment gave, and back."""
    column = weld.import_array(array)
    assert weld.arrow_length(column) == len(array)
    assert weld.arrow_null_count(column, weld.error) == array.null_count, array.type
    values, validity = weld.values(column), weld.validity(column)
    assert bool(validity) == (array.null_count > 0), array.type
    same = weld.lazy("|v| v", values)
    weld.lazy_free(values)
    values, validity = weld.evaluate([same, validity], engine)
    text = weld.arrow_format(column).decode()
    field = Field(b"", FORMATS.get(text, text).encode(), values, validity, None)
    weld.arrow_free(column)
    back = weld.export_array(field)
    weld.value_free(values)
    weld.value_free(validity)
    back.validate(full=True)
    assert back.to_pylist() == array.to_pylist(), (array.type, back, array)
    if text not in FORMATS and not text.startswith("+"):
        assert back.type == array.type, (back.type, array.type)


def test_every_type(weld):
    for array in arrays():
        for part in (array, array[1:], array[2:4], array[:0], array[1:2], array[-1:]):
            round_trip(weld, part, 0)
        round_trip(weld, array, 1)


def test_null_and_struct(weld):
    column = weld.import_array(pa.nulls(3))
    values, validity = weld.evaluate([weld.values(column), weld.validity(column)])
    back = weld.export_array(Field(b"", None, values, validity, None))
    assert back.to_pylist() == [None] * 3
    weld.value_free(values), weld.value_free(validity), weld.arrow_free(column)
    rows = [{"a": 1, "b": "x"}, None, {"a": None, "b": "yz"}, {"a": 4, "b": None}]
    array = pa.array(rows, pa.struct([("a", pa.int64()), ("b", pa.string())]))[1:]
    column = weld.import_array(array)
    values, validity = weld.evaluate([weld.values(column), weld.validity(column)], 1)
    assert weld.value_type(values) == b"{vec[i64],vec[vec[i8]]}"
    back = weld.export_array(Field(b"", None, values, validity, None))
    back.validate(full=True)
    assert [r and r["1"] for r in back.to_pylist()] == [None, "yz", ""]
    weld.value_free(values), weld.value_free(validity)
    a = weld.validity(P(weld.arrow_find(column, b"a")))
    values, = weld.evaluate([a])
    assert weld.export_array(Field(b"", None, values, None, None)).to_pylist() == [False, False, True]
    weld.value_free(values), weld.arrow_free(column)


def test_dictionaries(weld):
    for index in (pa.int8(), pa.uint16(), pa.int64(), pa.uint64()):
        words = pa.array(["red", None, "green", "red", "blue", None], pa.string())
        array = words.dictionary_encode().cast(pa.dictionary(index, pa.string()))
        for part in (array, array[1:4], array[:0]):
            round_trip(weld, part.dictionary_decode(), 0)
            column = weld.import_array(part)
            assert weld.arrow_format(column) == b"u"
            dictionary = P(weld.arrow_dictionary(column))
            indices = P(weld.arrow_indices(column, weld.error))
            got = weld.evaluate([indices, weld.validity(column), weld.values(dictionary), weld.values(column)])
            weld.arrow_free(column)
            back = weld.export_array(Field(b"", b"u", got[0], got[1], got[2]))
            back.validate(full=True)
            assert back.type == array.type and back.to_pylist() == part.to_pylist()
            decoded = weld.export_array(Field(b"", b"u", got[3], got[1], None))
            assert decoded.to_pylist() == part.to_pylist()
            for value in got:
                weld.value_free(value)


def test_refused(weld):
    for array in (pa.array([decimal.Decimal("1.5")]), pa.array([1.5], pa.float16()),
                  pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())),
                  pa.array([(1, 2, 3)], pa.month_day_nano_interval())):
        try:
            weld.import_array(array)
            raise AssertionError(array.type)
        except Failure as failure:
            assert "there is no type for Arrow's" in str(failure), failure


def table_of(seed, rows):
    r = random.Random(seed)
    some = lambda value: value if r.random() < 0.8 else None
    words = ["red", "green", "", "a colour that nobody has a name for", "blü"]
    return pa.table({
        "i": pa.array([some(r.randrange(-1000, 1000)) for _ in range(rows)], pa.int64()),
        "f": pa.array([some(r.uniform(-1, 1)) for _ in range(rows)], pa.float64()),
        "b": pa.array([some(r.random() < 0.5) for _ in range(rows)], pa.bool_()),
        "s": pa.array([some(r.choice(words)) for _ in range(rows)], pa.string()),
        "d": pa.array([r.choice(words) for _ in range(rows)], pa.string()).dictionary_encode(),
        "t": pa.array([some(r.randrange(10**12)) for _ in range(rows)], pa.timestamp("ms")),
        "l": pa.array([some([r.randrange(9) for _ in range(r.randrange(4))]) for _ in range(rows)],
                      pa.list_(pa.int64())),
    })


def all_fields(weld, table, engine=0):
    columns = weld.columns(table)
    lazies = [lazy for c in columns for lazy in (weld.values(c), weld.validity(c))]
    values = weld.evaluate(lazies, engine)
    formats = [weld.arrow_format(c).decode() for c in columns]
    return weld.fields([(weld.arrow_name(c).decode(), FORMATS.get(f, f), values[2 * i], values[2 * i + 1], None)
                        for i, (c, f) in enumerate(zip(columns, formats))])


def test_streams(weld):
    """Tables of several chunks, each with a dictionary of its own, cut at random."""
    for seed in range(20):
        r = random.Random(seed)
        pieces = [table_of(100 * seed + i, r.randrange(60)) for i in range(r.randrange(1, 5))]
        whole = pa.concat_tables([p.slice(r.randrange(3)) for p in pieces])
        table = weld.import_stream(whole)
        assert weld.arrow_length(table) == len(whole)
        fields = all_fields(weld, table, seed % 2)
        weld.arrow_free(table)
        for rows in (0, 1, 7, 1000):
            back = pa.table(weld.export_stream(fields, rows))
            back.validate(full=True)
            assert back.to_pylist() == whole.to_pylist()
        weld.free_fields(fields)


def test_nothing(weld):
    table = weld.import_stream(pa.table({"x": pa.array([], pa.int32()), "s": pa.array([], pa.string())}))
    fields = all_fields(weld, table)
    back = pa.table(weld.export_stream(fields))
    assert back.schema.names == ["x", "s"] and len(back) == 0
    weld.arrow_free(table), weld.free_fields(fields)


# ---- the others ----

SQL = """select i, f, i % 7 as k, case when i % 5 = 0 then null else f * 2 end as g, 'word ' || (i % 13) as s,
         date '2024-01-01' + cast(i % 400 as integer) as d
         from (select range as i, cast(range as double) / 3 as f from range({rows}))"""


def sums(weld, table):
    """The sum of f * f where g is not null, by one fused loop."""
    f, g = (P(weld.arrow_find(table, name)) for name in (b"f", b"g"))
    f, valid = weld.values(f), weld.validity(g)
    lazy = weld.lazy("|f, v| result(for(zip(f, v), merger[f64, +], |b, i, e| if(e.$1, merge(b, e.$0 * e.$0), b)))",
                     f, valid)
    weld.lazy_free(f), weld.lazy_free(valid)
    value, = weld.evaluate([lazy], 1)
    got = weld.export_array(Field(b"", None, value, None, None))[0].as_py()
    weld.value_free(value)
    return got


def test_duckdb(weld):
    for rows in (0, 1, 1000, 200000): # more than a batch
        db = duckdb.connect()
        table = weld.import_stream(db.sql(SQL.format(rows=rows)))
        assert weld.arrow_length(table) == rows
        fields = all_fields(weld, table)
        if rows:
            want = db.sql("select sum(f * f) from (%s) where g is not null" % SQL.format(rows=rows)).fetchall()[0][0]
            assert want is None or abs(sums(weld, table) - want) <= 1e-9 * abs(want)
        weld.arrow_free(table)
        ours = pa.table(weld.export_stream(fields, 999))
        theirs = weld.export_stream(fields, 999) # read by DuckDB itself
        assert db.sql("select count(*), count(g), sum(k), count(distinct s), min(d), max(d) from ours").fetchall() == \
            db.sql("select count(*), count(g), sum(k), count(distinct s), min(d), max(d) from (%s)" %
                   SQL.format(rows=rows)).fetchall()
        assert db.sql("select * from theirs order by i").fetchall() == \
            db.sql("select * from (%s) order by i" % SQL.format(rows=rows)).fetchall()
        weld.free_fields(fields)
        db.close()


def test_polars(weld):
    frame = polars.DataFrame({
        "i": [1, None, 3, 4],
        "f": [1.5, 2.5, None, 4.5],
        "b": [True, None, False, True],
        "s": ["a", None, "a text of more than twelve bytes", ""],
        "d": [DAY, None, DAY, DAY],
        "t": [NOON, NOON, None, NOON],
        "l": [[1, 2], [], None, [3]],
        "c": polars.Series(["x", "y", None, "x"], dtype=polars.Categorical),
    })
    for part in (frame, frame[1:], frame[:0], polars.concat([frame, frame[2:]], rechunk=False)):
        table = weld.import_stream(part)
        fields = all_fields(weld, table)
        weld.arrow_free(table)
        back = polars.DataFrame(weld.export_stream(fields, 3))
        weld.free_fields(fields)
        assert back.rows() == part.rows(), (back, part)
        assert back.columns == part.columns


def test_all_in_one_process(weld):
    """DuckDB makes rows, a fused program computes, Polars groups, DuckDB reads that."""
    db = duckdb.connect()
    table = weld.import_stream(db.sql(SQL.format(rows=5000)))
    k, f = (weld.values(P(weld.arrow_find(table, name))) for name in (b"k", b"f"))
    y = weld.lazy("|f| map(f, |x| sqrt(x) + 1.0)", f)
    weld.lazy_free(f)
    k, y = weld.evaluate([k, y], 1)
    weld.arrow_free(table)
    fields = weld.fields([("k", None, k, None, None), ("y", None, y, None, None)])
    grouped = polars.DataFrame(weld.export_stream(fields)).group_by("k").agg(polars.col("y").sum()).sort("k")
    weld.free_fields(fields)
    want = db.sql("select k, sum(sqrt(f) + 1) as y from (%s) group by k order by k" % SQL.format(rows=5000)).fetchall()
    got = db.sql("select * from grouped order by k").fetchall()
    assert [row[0] for row in got] == [row[0] for row in want]
    assert all(abs(a[1] - b[1]) <= 1e-9 * b[1] for a, b in zip(got, want))
    db.close()


def main():
    weld = Weld(sys.argv[1])
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        needs = {"test_duckdb": [duckdb], "test_polars": [polars], "test_all_in_one_process": [duckdb, polars]}
        if not all(needs.get(name, [])):
            print(name, "skipped: a peer is not installed")
            continue
        gc.collect()
        before = pa.total_allocated_bytes()
        test(weld)
        gc.collect()
        assert pa.total_allocated_bytes() == before, (name, pa.total_allocated_bytes(), before)
        for context in weld.contexts:
            assert weld.context_memory_usage(context) == 0, name
        print(name, "passed")


main()
