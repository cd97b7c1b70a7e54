/* generate.h: random typed programs for differential tests. */
#ifndef GENERATE_H
#define GENERATE_H

#include "../../lang/lang.h"

enum { GENERATE_ARGS = 4 };

/* A random program that is right by its types: the same seed and size give the same one. size: about how many
 * expressions it has. text: the program, a function when *nargs > 0; args: a constant of the language for
 * each of its parameters. The caller releases the buffers, which must be empty. Returns whether its floats
 * are exact: then every engine must give them bit for bit; otherwise to rounding. */
bool generate_program(uint64_t seed, int size, Buf *text, Buf args[GENERATE_ARGS], int *nargs);

#endif
