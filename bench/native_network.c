/* native_network.c: the training of a network by hand: BLAS for its products, plain loops for what is between. */
#include <cblas.h>

#include "native.h"

enum { SIZE = 256, PIXELS = 784, INNER = 256, KINDS = 10 };

/* The activations of a batch, and their slopes in the same places afterwards. */
typedef struct Layer {
    float *inner, *scores;
} Layer;

static void forward(const float *x, const float *w1, const float *b1, const float *w2, const float *b2,
                    Layer l) {
    for (int i = 0; i < SIZE; i++) memcpy(l.inner + i * INNER, b1, INNER * sizeof *b1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIZE, INNER, PIXELS, 1, x, PIXELS, w1, PIXELS, 1,
                l.inner, INNER);
    for (int i = 0; i < SIZE * INNER; i++) l.inner[i] = l.inner[i] > 0 ? l.inner[i] : 0;
    for (int i = 0; i < SIZE; i++) memcpy(l.scores + i * KINDS, b2, KINDS * sizeof *b2);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIZE, KINDS, INNER, 1, l.inner, INNER, w2, INNER, 1,
                l.scores, KINDS);
}

/* The mean loss; the scores become its slopes by them. */
static float judge(float *scores, const int64_t *labels) {
    float loss = 0;
    for (int i = 0; i < SIZE; i++) {
        float *row = scores + i * KINDS, top = row[0], total = 0, wanted = row[labels[i]];
        for (int k = 1; k < KINDS; k++) top = row[k] > top ? row[k] : top;
        for (int k = 0; k < KINDS; k++) total += row[k] = expf(row[k] - top);
        loss += top + logf(total) - wanted;
        for (int k = 0; k < KINDS; k++) row[k] = (row[k] / total - (k == labels[i])) / SIZE;
    }
    return loss / SIZE;
}

static void step_bias(const float *slopes, int columns, float rate, float *bias) {
    float sums[INNER] = {0};
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < columns; j++) sums[j] += slopes[i * columns + j];
    }
    for (int j = 0; j < columns; j++) bias[j] -= rate * sums[j];
}

void native_mlp(const Inputs *in, void *out) {
    const float *x = INPUT(0, float), rate = (float)in->numbers[0];
    const int64_t *y = INPUT(1, int64_t);
    int64_t steps = LENGTH(1) / SIZE;
    float *w1 = take(in, INNER * PIXELS * 4), *w2 = take(in, KINDS * INNER * 4),
          *back = take(in, SIZE * INNER * 4);
    float *losses = take(in, (size_t)steps * 4), b1[INNER] = {0}, b2[KINDS] = {0};
    Layer l = {take(in, SIZE * INNER * 4), take(in, SIZE * KINDS * 4)};
    memcpy(w1, in->columns[2]->data.data, INNER * PIXELS * 4);
    memcpy(w2, in->columns[3]->data.data, KINDS * INNER * 4);
    for (int64_t step = 0; step < steps; step++) {
        const float *images = x + step * SIZE * PIXELS;
        forward(images, w1, b1, w2, b2, l);
        losses[step] = judge(l.scores, y + step * SIZE);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIZE, INNER, KINDS, 1, l.scores, KINDS, w2,
                    INNER, 0, back, INNER);
        for (int i = 0; i < SIZE * INNER; i++) back[i] = l.inner[i] > 0 ? back[i] : 0;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, KINDS, INNER, SIZE, -rate, l.scores, KINDS,
                    l.inner, INNER, 1, w2, INNER);
        step_bias(l.scores, KINDS, rate, b2);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, INNER, PIXELS, SIZE, -rate, back, INNER, images,
                    PIXELS, 1, w1, PIXELS);
        step_bias(back, INNER, rate, b1);
    }
    ((Vector *)out)[0] = (Vector){losses, steps};
    ((Vector *)out)[1] = (Vector){w1, INNER * PIXELS};
    ((Vector *)out)[2] = (Vector){w2, KINDS * INNER};
}
