/* An array is summed, with nothing but what the package says. */
#include <weld_ndarray.h>

#include <stdio.h>

int main(void) {
    weld_context_t context = weld_context_new(NULL);
    weld_nd_t numbers = weld_nd_arange(WELD_ND_I64, 0, 5, 1, NULL);
    weld_nd_t sum = weld_nd_reduce(WELD_ND_SUM, numbers, NULL, 0, false, NULL);
    int64_t ten = 0;
    if (weld_nd_read(context, sum, &ten, sizeof ten, NULL)) printf("%lld\n", (long long)ten);
    weld_nd_free(sum);
    weld_nd_free(numbers);
    weld_context_free(context);
    return 0;
}
