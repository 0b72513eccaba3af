/* Layer norm of a sum, row by row, in float32 within: y = (s - mean) * scale * weight + bias, with s = residual + x,
 * scale = 1 / sqrt(variance + eps); in training x goes through dropout, and there is a way back. */
#include "kernels.h"
#include "random.h"
#include "simd.h"

#include <math.h>

/* From a row's sum to its norm. */
INLINE TARGET_VNNI void moments(const float *sum, int64_t D, float eps, float *mean_out, float *scale_out)
{
    __m512 total = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (int64_t d = 0; d < D; d += 16) {
        total = _mm512_add_ps(total, _mm512_loadu_ps(sum + d));
    }
    *mean_out = _mm512_reduce_add_ps(total) / (float)D;
    const __m512 mean = _mm512_set1_ps(*mean_out);
    for (int64_t d = 0; d < D; d += 16) {
        __m512 apart = _mm512_sub_ps(_mm512_loadu_ps(sum + d), mean);
        squares = _mm512_fmadd_ps(apart, apart, squares);
    }
    *scale_out = 1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)D + eps);
}

#define DEFINE_ADD_NORM(NAME, TYPE, LOAD, STORE)                                                                       \
    static TARGET_VNNI void NAME##_row(const TYPE *x, const TYPE *residual, const float *weight, const float *bias,    \
                                       float eps, int64_t D, float *sum, TYPE *y)                                      \
    {                                                                                                                  \
        for (int64_t d = 0; d < D; d += 16) {                                                                          \
            _mm512_storeu_ps(sum + d, _mm512_add_ps(LOAD(x + d), LOAD(residual + d)));                                 \
        }                                                                                                              \
        float mean, scale;                                                                                             \
        moments(sum, D, eps, &mean, &scale);                                                                           \
        for (int64_t d = 0; d < D; d += 16) {                                                                          \
            __m512 apart = _mm512_sub_ps(_mm512_loadu_ps(sum + d), _mm512_set1_ps(mean));                              \
            __m512 normed = _mm512_mul_ps(apart, _mm512_set1_ps(scale));                                               \
            STORE(y + d, _mm512_fmadd_ps(normed, _mm512_loadu_ps(weight + d), _mm512_loadu_ps(bias + d)));             \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    void NAME(const TYPE *x, const TYPE *residual, int64_t T, int64_t D, const float *weight, const float *bias,       \
              float eps, TYPE *y, int num_threads)                                                                     \
    {                                                                                                                  \
        _Pragma("omp parallel for schedule(static) num_threads(num_threads)") for (int64_t t = 0; t < T; t++)          \
        {                                                                                                              \
            float sum[MAX_NORM_WIDTH];                                                                                 \
            NAME##_row(x + t * D, residual + t * D, weight, bias, eps, D, sum, y + t * D);                             \
        }                                                                                                              \
    }

DEFINE_ADD_NORM(add_norm_bf16, bf16, load_bf16, store_bf16)
DEFINE_ADD_NORM(add_norm_f32, float, _mm512_loadu_ps, store_f32)

/* Training: x is float32 or bfloat16, everything else float32. */
INLINE TARGET_VNNI __m512 load_x(const void *x, int64_t index, int64_t item_bytes)
{
    return item_bytes == 2 ? load_bf16((const bf16 *)x + index) : _mm512_loadu_ps((const float *)x + index);
}

static TARGET_VNNI void forward_row(const norm_step *n, int64_t t)
{
    const int64_t D = n->D, first = t * D;
    const uint32_t key = row_key(n->seed, (uint64_t)t), threshold = drop_threshold(n->dropout);
    const __m512 scale_kept = _mm512_set1_ps((float)(1.0 / (1.0 - n->dropout)));
    float *sum = n->sum + first;
    for (int64_t d = 0; d < D; d += 16) {
        __m512 x = load_x(n->x, first + d, n->item_bytes);
        if (threshold) {
            __mmask16 mask = kept(_mm512_set1_epi32((int)key), lanes_from(d), threshold);
            x = _mm512_maskz_mul_ps(mask, x, scale_kept);
        }
        _mm512_storeu_ps(sum + d, _mm512_add_ps(x, _mm512_loadu_ps(n->residual + first + d)));
    }
    moments(sum, D, n->eps, n->mean + t, n->scale + t);
    const __m512 mean = _mm512_set1_ps(n->mean[t]), scale = _mm512_set1_ps(n->scale[t]);
    for (int64_t d = 0; d < D; d += 16) {
        __m512 normed = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(sum + d), mean), scale);
        __m512 y = _mm512_fmadd_ps(normed, _mm512_loadu_ps(n->weight + d), _mm512_loadu_ps(n->bias + d));
        _mm512_storeu_ps(n->y + first + d, y);
    }
}

void norm_forward(const norm_step *n, int64_t T, int num_threads)
{
#pragma omp parallel for schedule(static) num_threads(num_threads)
    for (int64_t t = 0; t < T; t++) {
        forward_row(n, t);
    }
}

/* With n = (s - mean) * scale and g = dy * weight: ds = (g - mean(g) - n * mean(g * n)) * scale. */
static TARGET_VNNI void backward_row(const norm_step *n, const norm_gradient *g, int64_t t, float *d_weight, float *d_bias)
{
    const int64_t D = n->D, first = t * D;
    const uint32_t key = row_key(n->seed, (uint64_t)t), threshold = drop_threshold(n->dropout);
    const __m512 scale_kept = _mm512_set1_ps((float)(1.0 / (1.0 - n->dropout)));
    const __m512 mean = _mm512_set1_ps(n->mean[t]), scale = _mm512_set1_ps(n->scale[t]);
    __m512 sum_g = _mm512_setzero_ps(), sum_gn = _mm512_setzero_ps();
    for (int64_t d = 0; d < D; d += 16) {
        __m512 normed = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(n->sum + first + d), mean), scale);
        __m512 dy = _mm512_loadu_ps(g->dy + first + d), grad = _mm512_mul_ps(dy, _mm512_loadu_ps(n->weight + d));
        _mm512_storeu_ps(d_weight + d, _mm512_fmadd_ps(dy, normed, _mm512_loadu_ps(d_weight + d)));
        _mm512_storeu_ps(d_bias + d, _mm512_add_ps(dy, _mm512_loadu_ps(d_bias + d)));
        sum_g = _mm512_add_ps(sum_g, grad);
        sum_gn = _mm512_fmadd_ps(grad, normed, sum_gn);
    }
    const __m512 mean_g = _mm512_set1_ps(_mm512_reduce_add_ps(sum_g) / (float)D);
    const __m512 mean_gn = _mm512_set1_ps(_mm512_reduce_add_ps(sum_gn) / (float)D);
    for (int64_t d = 0; d < D; d += 16) {
        __m512 normed = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(n->sum + first + d), mean), scale);
        __m512 grad = _mm512_mul_ps(_mm512_loadu_ps(g->dy + first + d), _mm512_loadu_ps(n->weight + d));
        __m512 ds = _mm512_mul_ps(_mm512_fnmadd_ps(normed, mean_gn, _mm512_sub_ps(grad, mean_g)), scale);
        _mm512_storeu_ps(g->d_residual + first + d, ds);
        if (threshold) {
            __mmask16 mask = kept(_mm512_set1_epi32((int)key), lanes_from(d), threshold);
            ds = _mm512_maskz_mul_ps(mask, ds, scale_kept);
        }
        if (n->item_bytes == 2) {
            store_bf16((bf16 *)g->dx + first + d, ds);
        } else {
            _mm512_storeu_ps((float *)g->dx + first + d, ds);
        }
    }
}

/* Rows are shared in fixed stretches, each with sums of its own, which are added in order: the same threads, the same
 * bits. `sums` has room for (num_threads, 2, D), zeroed; the first stretch's are the result. */
void norm_backward(const norm_step *n, const norm_gradient *g, int64_t T, int num_threads)
{
    const int64_t D = n->D, rows = (T + num_threads - 1) / num_threads;
#pragma omp parallel for schedule(static) num_threads(num_threads)
    for (int64_t part = 0; part < num_threads; part++) {
        const int64_t end = (part + 1) * rows < T ? (part + 1) * rows : T;
        for (int64_t t = part * rows; t < end; t++) {
            backward_row(n, g, t, g->sums + part * 2 * D, g->sums + (part * 2 + 1) * D);
        }
    }
    for (int64_t part = 1; part < num_threads; part++) {
        for (int64_t d = 0; d < 2 * D; d++) {
            g->sums[d] += g->sums[part * 2 * D + d];
        }
    }
}
