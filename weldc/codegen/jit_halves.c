/* jit_halves.c: a module's functions as two halves, for two threads to make code of.
 *
 *     weld_run  loop  loop.1  compare
 *               first half: loop               weld_run, loop.1 and compare are declared only
 *               second half: weld_run  loop.1  compare
 *
 * Nearly all time is LLVM's, in one function after the other, and none of our passes looks at two of them. A module belongs to
 * one thread, so each thread has all of it and drops what is the other's: a function without a body is a symbol to be found when
 * the halves are linked. The largest function is one half, to which others are added as long as it is the lighter one.
 *
 * Requires: both threads have equal modules. Level 3 of LLVM's passes does look at several functions, and level 0 takes less time
 * than a thread saves.
 */
#include "cg.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LEFT_TENTHS = 3 }; /* to emit a function that stays as it is, without passes and by LLVM's short way */

static bool is_left(LLVMValueRef function) {
    unsigned left = LLVMGetEnumAttributeKindForName("optnone", strlen("optnone"));
    return LLVMGetEnumAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, left) !=
           NULL;
}

int64_t jit_work(LLVMValueRef function, int left_tenths) {
    int64_t count = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) count++;
    }
    return count * (count && is_left(function) ? left_tenths : 10);
}

bool jit_pays_to_halve(LLVMModuleRef module) {
    /* In the lighter half at best. The other thread has the whole module to fill first, and asks the system for memory and for
     * pages of LLVM's code while the first does: with less, a program of one loop took longer by a tenth. */
    enum { LEAST_TENTHS = 1000 };
    int64_t all = 0, most = 0;
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) < 2) return false;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        int64_t work = jit_work(f, LEFT_TENTHS);
        all += work;
        if (work > most) most = work;
    }
    return all - most >= LEAST_TENTHS;
}

static LLVMValueRef largest(LLVMModuleRef module) {
    LLVMValueRef found = NULL;
    int64_t most = -1;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        int64_t work = jit_work(f, LEFT_TENTHS);
        if (work > most) {
            most = work;
            found = f;
        }
    }
    return found;
}

static bool is_program(LLVMValueRef function) {
    size_t length;
    return strcmp(LLVMGetValueName2(function, &length), "weld_run") == 0;
}

/* By a name that nobody else's function has: it is looked for outside, too. */
static void name_anew(LLVMValueRef function, int number) {
    char name[32];
    int length = snprintf(name, sizeof name, "weld.%d", number);
    if (!is_program(function)) LLVMSetValueName2(function, name, (size_t)length);
}

void jit_keep_half(LLVMModuleRef module, int half) {
    LLVMValueRef first = largest(module);
    int64_t work[2] = {jit_work(first, LEFT_TENTHS), 0};
    int number = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f)) continue;
        int side = f == first || work[0] < work[1] ? 0 : 1;
        if (f != first) work[side] += jit_work(f, LEFT_TENTHS);
        name_anew(f, number++);
        LLVMSetLinkage(f, side == half ? LLVMExternalLinkage : LLVMAvailableExternallyLinkage);
    }
}

void jit_keep_all(LLVMModuleRef module) {
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        if (!LLVMIsDeclaration(f) && !is_program(f)) LLVMSetLinkage(f, LLVMInternalLinkage);
    }
}

bool jit_thread(pthread_t *thread, void *(*run)(void *data), void *data) {
    enum { STACK = 8 << 20 };
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
    bool ok = pthread_attr_setstacksize(&attributes, STACK) == 0 &&
              pthread_create(thread, &attributes, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return ok;
}
