/* lineitem.h: rows like those of TPC-H's lineitem table, made from a seed.
 *
 * Every row is a pure function of the seed and its number, so that files, tests and benchmarks can make any
 * part of the table in any order and agree. The distributions follow section 4.2.3 of the TPC-H
 * specification:
 *
 *   orders have 1 to 7 rows, each number equally often: a block of 28 rows is 7 orders, their sizes shuffled
 *   quantity 1..50; price = quantity * the retail price of a part; discount 0.00..0.10; tax 0.00..0.08
 *   order date uniform over 1992-01-01 .. 1998-08-02; shipped 1..121 days later, received 1..30 days after
 * that returnflag 'R' or 'A' if received by 1995-06-17, else 'N'; linestatus 'O' if shipped after that day,
 * else 'F'
 */
#ifndef LINEITEM_H
#define LINEITEM_H

#include <stdint.h>

/* COLUMN(name, C type, NumPy's type, printf format, cast for it) */
#define LINEITEM_COLUMNS(COLUMN)                         \
    COLUMN(quantity, double, "<f8", "%.0f", double)      \
    COLUMN(extendedprice, double, "<f8", "%.2f", double) \
    COLUMN(discount, double, "<f8", "%.2f", double)      \
    COLUMN(tax, double, "<f8", "%.2f", double)           \
    COLUMN(returnflag, int8_t, "|i1", "%d", int)         \
    COLUMN(linestatus, int8_t, "|i1", "%d", int)         \
    COLUMN(shipdate, int32_t, "<i4", "%d", int)          \
    COLUMN(orderkey, int64_t, "<i8", "%lld", long long)

typedef struct LineItem {
#define FIELD(name, ctype, descr, format, cast) ctype name;
    LINEITEM_COLUMNS(FIELD)
#undef FIELD
} LineItem;

/* The finalizer of splitmix64: a bijection that scatters its input well (Steele, Lea, Flood 2014). */
static inline uint64_t lineitem_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A number in 0 .. range - 1, for item `at` of the stream. */
static inline int64_t lineitem_draw(uint64_t seed, uint64_t stream, uint64_t at, uint64_t range) {
    uint64_t x = lineitem_mix(lineitem_mix(seed * 16 + stream) ^ at);
    return (int64_t)((x >> 32) * range >> 32);
}

/* yyyymmdd of a day counted from 1992-01-01 (day 0); right until 2099. */
static inline int32_t lineitem_date(int64_t day) {
    static const int16_t starts[13] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int64_t cycle = day / 1461, rest = day % 1461; /* four years, the first a leap year */
    int64_t year = 1992 + cycle * 4, month = 0;
    if (rest >= 366) {
        year += 1 + (rest - 366) / 365;
        rest = (rest - 366) % 365;
    } else if (rest == 59) {
        return (int32_t)(year * 10000 + 229);
    } else if (rest > 59) {
        rest--;
    }
    while (rest >= starts[month + 1]) month++;
    return (int32_t)(year * 10000 + (month + 1) * 100 + rest - starts[month] + 1);
}

enum { LINEITEM_ORDER_DAYS = 2406, LINEITEM_CURRENT_DAY = 1263 }; /* up to 1998-08-02; 1995-06-17 */

/* Which order row `row` belongs to. */
static inline int64_t lineitem_order(uint64_t seed, int64_t row) {
    int sizes[7] = {1, 2, 3, 4, 5, 6, 7};
    int64_t block = row / 28, rest = row % 28, order = 0;
    uint64_t random = lineitem_mix(lineitem_mix(seed * 16) ^ (uint64_t)block);
    for (int i = 6; i > 0; i--, random /= 8) {
        int j = (int)(random % 8) % (i + 1), size = sizes[i];
        sizes[i] = sizes[j];
        sizes[j] = size;
    }
    for (; rest >= sizes[order]; order++) rest -= sizes[order];
    return block * 7 + order;
}

static inline void lineitem_make(uint64_t seed, int64_t row, LineItem *out) {
    uint64_t at = (uint64_t)row;
    int64_t order = lineitem_order(seed, row), part = 1 + lineitem_draw(seed, 1, at, 200000);
    int64_t retail = 90000 + part / 10 % 20001 + 100 * (part % 1000); /* in cents */
    int64_t quantity = 1 + lineitem_draw(seed, 2, at, 50);
    int64_t shipped =
        lineitem_draw(seed, 3, (uint64_t)order, LINEITEM_ORDER_DAYS) + 1 + lineitem_draw(seed, 4, at, 121);
    int64_t received = shipped + 1 + lineitem_draw(seed, 5, at, 30);
    out->quantity = (double)quantity;
    out->extendedprice = (double)(quantity * retail) / 100;
    out->discount = (double)lineitem_draw(seed, 6, at, 11) / 100;
    out->tax = (double)lineitem_draw(seed, 7, at, 9) / 100;
    out->returnflag = received > LINEITEM_CURRENT_DAY ? 'N' : lineitem_draw(seed, 8, at, 2) ? 'R' : 'A';
    out->linestatus = shipped > LINEITEM_CURRENT_DAY ? 'O' : 'F';
    out->shipdate = lineitem_date(shipped);
    out->orderkey = order / 8 * 32 + order % 8 + 1; /* a quarter of the keys is in use, as in TPC-H */
}

#endif
