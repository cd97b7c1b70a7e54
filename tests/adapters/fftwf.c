/* fftwf.c: fftw.c, of floats: the adapter fftwf against FFTW in single precision. */
#define WELD_FFTW_SINGLE
#include "fftw.c"
