/* cblas.c: every function of the adapter cblas against OpenBLAS called directly, on random vectors and matrices of many sizes
 * and on the edges; arguments that do not fit must fail. */
#define _DEFAULT_SOURCE
#include "adapter.h"

#include <cblas.h>
#include <float.h>

#define REAL double
#define FLOATS false
#define E "f64"
#define SCALAR(x) F64(x)
#define CBLAS(name) cblas_d##name
#define CBLAS_IAMAX cblas_idamax
#define TEST(name) d_##name
#define EPS DBL_EPSILON
#define MOST DBL_MAX
#define LEAST 0x1p-1074
#include "cblas_rows.h"

#include "cblas_banded.h"

#undef E
#undef CBLAS
#undef CBLAS_IAMAX
#define E "{f64,f64}"
#define CBLAS(name) cblas_z##name
#define ROW(name) z_##name
#define BY_REAL(name) cblas_zd##name
#define REAL_OF(name) cblas_dz##name
#define CBLAS_IAMAX cblas_izamax
#include "cblas_complex.h"

#include "cblas_complex_matrix.h"

#include "cblas_complex_banded.h"
#undef BY_REAL
#undef REAL_OF
#undef ROW
#undef REAL
#undef FLOATS
#undef E
#undef SCALAR
#undef CBLAS
#undef CBLAS_IAMAX
#undef TEST
#undef EPS
#undef MOST
#undef LEAST

#define REAL float
#define FLOATS true
#define E "f32"
#define SCALAR(x) F32(x)
#define CBLAS(name) cblas_s##name
#define CBLAS_IAMAX cblas_isamax
#define TEST(name) s_##name
#define EPS FLT_EPSILON
#define MOST FLT_MAX
#define LEAST 0x1p-149f
#include "cblas_rows.h"

#include "cblas_banded.h"

#undef E
#undef CBLAS
#undef CBLAS_IAMAX
#define E "{f32,f32}"
#define CBLAS(name) cblas_c##name
#define ROW(name) c_##name
#define BY_REAL(name) cblas_cs##name
#define REAL_OF(name) cblas_sc##name
#define CBLAS_IAMAX cblas_icamax
#include "cblas_complex.h"

#include "cblas_complex_matrix.h"

#include "cblas_complex_banded.h"
#undef BY_REAL
#undef REAL_OF
#undef ROW

/* The library adds some of the products in float. */
static void dsdot_of(int engine, const char *full, int n, float *x, float *y) {
    Arg args[] = {VEC("f32", x, n), VEC("f32", y, n)};
    weld_value_t value = call(engine, full, args, 2);
    double scale = s_sum_of_products(n, x, y);
    expect_near(full, *(const double *)weld_value_data(value), cblas_dsdot(n, x, 1, y, 1),
                8 * (double)FLT_EPSILON * scale);
    weld_value_free(value);
}
static void dsdot(int engine, const char *full) {
    s_each_pair(engine, full, dsdot_of);
}

static void sdsdot_of(int engine, const char *full, int n, float *x, float *y) {
    Arg args[] = {F32(0.75f), VEC("f32", x, n), VEC("f32", y, n)};
    double scale = 0.75 + s_sum_of_products(n, x, y);
    s_expect_real(full, call(engine, full, args, 3), (double)cblas_sdsdot(n, 0.75f, x, 1, y, 1), scale);
}
static void sdsdot(int engine, const char *full) {
    s_each_pair(engine, full, sdsdot_of);
}

#define BOTH(name)           \
    {"d" #name, d_##name}, { \
        "s" #name, s_##name  \
    }
#define COMPLEX(z, d, test)                                                                                  \
    {z "dotu", test##_dotu}, {z "dotc", test##_dotc}, {z "axpy", test##_axpy}, {z "axpby", test##_axpby},    \
        {z "scal", test##_scal}, {z d "scal", test##_real_scal}, {z "copy", test##_complex_copy},            \
        {z "swap", test##_complex_swap}, {z d "rot", test##_complex_rot}, {d z "asum", test##_complex_asum}, \
        {d z "nrm2", test##_complex_nrm2}, {                                                                 \
        "i" z "amax", test##_complex_iamax                                                                   \
    }
#define COMPLEX_MATRIX(z, test)                                                                             \
    {z "gemv", test##_gemv}, {z "hemv", test##_hemv}, {z "geru", test##_geru}, {z "gerc", test##_gerc},     \
        {z "her", test##_her}, {z "her2", test##_her2}, {z "trmv", test##_trmv}, {z "trsv", test##_trsv},   \
        {z "gemm", test##_gemm}, {z "symm", test##_symm}, {z "hemm", test##_hemm}, {z "syrk", test##_syrk}, \
        {z "herk", test##_herk}, {z "syr2k", test##_syr2k}, {z "her2k", test##_her2k},                      \
        {z "trmm", test##_trmm}, {z "trsm", test##_trsm}, {z "rotg", test##_rotg}, {z "gbmv", test##_gbmv}, \
        {z "hbmv", test##_hbmv}, {z "hpmv", test##_hpmv}, {z "hpr", test##_hpr}, {z "hpr2", test##_hpr2},   \
        {z "tbmv", test##_tbmv}, {z "tbsv", test##_tbsv}, {z "tpmv", test##_tpmv}, {                        \
        z "tpsv", test##_tpsv                                                                               \
    }
static const RowTest tests[] = {
    BOTH(dot),
    BOTH(axpy),
    BOTH(axpby),
    BOTH(scal),
    BOTH(copy),
    BOTH(swap),
    BOTH(nrm2),
    BOTH(asum),
    BOTH(rot),
    BOTH(rotm),
    BOTH(rotg),
    BOTH(rotmg),
    {"idamax", d_iamax},
    {"isamax", s_iamax},
    BOTH(gemv),
    BOTH(symv),
    BOTH(ger),
    BOTH(syr),
    BOTH(syr2),
    BOTH(trmv),
    BOTH(trsv),
    BOTH(gemm),
    BOTH(symm),
    BOTH(syrk),
    BOTH(gbmv),
    BOTH(sbmv),
    BOTH(spmv),
    BOTH(spr),
    BOTH(spr2),
    BOTH(tbmv),
    BOTH(tbsv),
    BOTH(tpmv),
    BOTH(tpsv),
    BOTH(syr2k),
    BOTH(trmm),
    BOTH(trsm),
    {"dsdot", dsdot},
    {"sdsdot", sdsdot},
    COMPLEX("z", "d", z),
    COMPLEX_MATRIX("z", z),
    COMPLEX("c", "s", c),
    COMPLEX_MATRIX("c", c),
};

Test(cblas, rows) {
    check_rows("cblas", tests, COUNT(tests));
}

/* BLAS as its standard has it: letters of precisions, and what is there for each. */
static const struct {
    const char *precisions, *names;
} standard[] = {
    {"sd", "rotg rotmg rot rotm swap scal copy axpy dot nrm2 asum"},
    {"sd", "gemv gbmv symv sbmv spmv trmv tbmv tpmv trsv tbsv tpsv ger syr spr syr2 spr2"},
    {"sd", "gemm symm syrk syr2k trmm trsm"},
    {"cz", "rotg swap scal copy axpy dotu dotc"},
    {"cz", "gemv gbmv hemv hbmv hpmv trmv tbmv tpmv trsv tbsv tpsv geru gerc her hpr her2 hpr2"},
    {"cz", "gemm symm hemm syrk herk syr2k her2k trmm trsm"},
    {"", "dsdot sdsdot csscal zdscal csrot zdrot scnrm2 dznrm2 scasum dzasum isamax idamax icamax izamax"},
};

static void expect_function(const weld_adapter_t *table, const char *name) {
    for (const weld_function_t *f = table->functions; f->name; f++) {
        if (strcmp(f->name, name) == 0) return;
    }
    cr_expect(false, "cblas_%s has no row", name);
}

Test(cblas, no_function_is_missing) {
    const weld_adapter_t *table = weld_adapter_find("cblas", NULL);
    cr_assert_not_null(table);
    for (int64_t i = 0; i < COUNT(standard); i++) {
        char names[256], full[32], *rest = names;
        snprintf(names, sizeof names, "%s", standard[i].names);
        for (char *name; (name = strsep(&rest, " "));) {
            if (!*standard[i].precisions) expect_function(table, name);
            for (const char *p = standard[i].precisions; *p; p++) {
                snprintf(full, sizeof full, "%c%s", *p, name);
                expect_function(table, full);
            }
        }
    }
}

/* Vectors of different lengths. */
Test(cblas, vectors_must_fit) {
    double x[3] = {1, 2, 3};
    Arg args[] = {VEC("f64", x, 3), VEC("f64", x, 2)};
    for (int engine = 0; engine < ENGINES; engine++)
        expect_failure(engine, "cblas.ddot", args, 2, "lengths 3 and 2");
}
