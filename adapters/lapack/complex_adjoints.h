/* complex_adjoints.h: the derivatives of the rows of complex numbers; adjoint and conjugates as in cblas/complex_adjoints.h.
 *
 *     X = A^-1 B with the adjoint G of X:     B' = S = A*^-1 G     A' = -S X*         (where * transposes and conjugates)
 */
/* clang-format off */
#define C_LET                                                                                                \
    "let flip = |e| {e.$0, -e.$1}; let bar = |v| map(v, |e| {e.$0, -e.$1}); "                                \
    "let plus = |p, q| {p.$0 + q.$0, p.$1 + q.$1}; "                                                         \
    "let times = |p, q| {p.$0 * q.$0 - p.$1 * q.$1, p.$0 * q.$1 + p.$1 * q.$0}; "
#define C_ZERO "{0.0" Z ", 0.0" Z "}"
#define C_ONE "{1.0" Z ", 0.0" Z "}"
#define C_MINUS "{-1.0" Z ", 0.0" Z "}"
#define C_SQUARE(element)                                                                                    \
    "result(for(rangeiter(0L, n * n, 1L), appender[{" T ", " T "}], |b0, i0, at| "                           \
    "let i = at / n; let j = at % n; merge(b0, " element ")))"
/* -S X*. */
#define C_OUTER "cblas." P "gemm(false, false, true, true, n, n, nrhs, " C_MINUS ", s, r, " C_ZERO ", slice(r, 0L, 0L))"
#define C_HERMITIAN                                                                                          \
    C_SQUARE("let e = lookup(w, at); if(i == j, {e.$0, 0.0" Z "}, if(" READ ", plus(e, flip(lookup(w, j * n + i))), " C_ZERO "))")
#define C_SYMMETRIC C_SQUARE("if(i == j, lookup(w, at), if(" READ ", plus(lookup(w, at), lookup(w, j * n + i)), " C_ZERO "))")

#define VJP_C_gesv                                                                                           \
    "|n, nrhs, a, b, r, g| " C_LET "let s = lapack." P "gesv(n, nrhs, " C_SQUARE("flip(lookup(a, j * n + i))") ", g); {" C_OUTER ", s}"
#define VJP_C_getrs                                                                                          \
    "|transposed, conjugated, n, nrhs, lu, pivots, b, r, g| " C_LET "let t = transposed && !conjugated; "    \
    "let s = lapack." P "getrs(!transposed, true, n, nrhs, lu, pivots, if(t, bar(g), g)); {{}, if(t, bar(s), s)}"
#define VJP_C_inv                                                                                            \
    "|n, a, r, g| let w = cblas." P "gemm(true, true, false, false, n, n, n, " C_MINUS ", r, g, " C_ZERO ", slice(r, 0L, 0L)); " \
    "cblas." P "gemm(false, false, true, true, n, n, n, " C_ONE ", w, r, " C_ZERO ", slice(r, 0L, 0L))"
#define VJP_C_det                                                                                            \
    "|n, a, r, g| " C_LET "let w = lapack." P "inv(n, a); let h = times(g, flip(r)); "                       \
    C_SQUARE("times(h, flip(lookup(w, j * n + i)))")
#define C_SOLVED(name)                                                                                       \
    "|upper, n, nrhs, a, b, r, g| " C_LET "let s = lapack." P name "(upper, n, nrhs, a, g); "                \
    "let w = " C_OUTER "; {" C_HERMITIAN ", s}"
#define VJP_C_posv C_SOLVED("posv")
#define VJP_C_hesv C_SOLVED("hesv")
#define VJP_C_sysv                                                                                           \
    "|upper, n, nrhs, a, b, r, g| " C_LET "let s = bar(lapack." P "sysv(upper, n, nrhs, a, bar(g))); "       \
    "let w = " C_OUTER "; {" C_SYMMETRIC ", s}"
/* These have none yet. */
#define VJP_C_potrs NULL
#define VJP_C_potrf NULL
#define VJP_C_gels NULL
#define VJP_C_syev NULL
#define VJP_C_trtrs NULL
#define VJP_C_gtsv NULL
#define VJP_C_ptsv NULL
#define VJP_C_gbsv NULL
#define VJP_C_pbsv NULL
#define VJP_C_ppsv NULL
#define VJP_C_gelsd NULL
#define VJP_C_gelss NULL
#define VJP_C_gelsy NULL
#define VJP_C_sygv NULL
/* clang-format on */
