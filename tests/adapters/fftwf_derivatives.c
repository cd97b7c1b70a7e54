/* fftwf_derivatives.c: fftw_derivatives.c, of floats. */
#define WELD_FFTW_SINGLE
#include "fftw_derivatives.c"
