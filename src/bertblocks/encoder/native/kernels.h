/* The kernels that module.c shows to Python. All widths are multiples of 32; the caller has checked them. */
#ifndef BERTBLOCKS_KERNELS_H
#define BERTBLOCKS_KERNELS_H

#include <stdint.h>

#define MAX_NORM_WIDTH 8192

/* Weights (N, K) of 1, 2 or 4 bytes an item → panels. */
void pack_weight(const void *w, int64_t N, int64_t K, int64_t item_bytes, void *packed);

/* x (T, K) bfloat16 → bytes with 128 for zero, and what one step of each row is worth. */
void quantize_rows(const uint16_t *x, int64_t T, int64_t K, uint8_t *q, float *row_scale, int num_threads);

/* y (T, N) bfloat16 = activation(y * row_scale + bias), in place. */
void rescale_rows(uint16_t *y, int64_t T, int64_t N, const float *row_scale, const float *bias, int activation,
                  int num_threads);

/* y (T, N) = activation(x (T, K) Wᵀ + bias). item_bytes is 4 for float32, 2 for bfloat16, and 1 for int8, where x are
 * quantized rows and y is bfloat16; offset is what the bytes' zero of 128 adds to each column: 128 times its sum. */
typedef struct {
    const void *x, *w;
    const float *bias;
    void *y;
    int64_t K, N;
    int activation;
    const float *row_scale, *column_scale;
    const int32_t *offset;
} linear;
void linear_forward(const linear *p, int64_t T, int64_t item_bytes, int num_threads);

/* y = norm(x + residual), rows of width D. */
void add_norm_bf16(const uint16_t *x, const uint16_t *residual, int64_t T, int64_t D, const float *weight,
                   const float *bias, float eps, uint16_t *y, int num_threads);
void add_norm_f32(const float *x, const float *residual, int64_t T, int64_t D, const float *weight, const float *bias,
                  float eps, float *y, int num_threads);

/* The same in training: y = norm(residual + dropout(x)), where x has item_bytes 2 or 4. sum, mean and scale are kept
 * for the way back, which gives the gradients of x, residual, and in the first rows of `sums` of weight and bias. */
typedef struct {
    const void *x;
    const float *residual;
    int64_t D, item_bytes;
    const float *weight, *bias;
    float eps;
    double dropout;
    uint64_t seed;
    float *sum, *mean, *scale, *y;
} norm_step;
typedef struct {
    const float *dy;
    void *dx;
    float *d_residual, *sums;
} norm_gradient;
void norm_forward(const norm_step *n, int64_t T, int num_threads);
void norm_backward(const norm_step *n, const norm_gradient *g, int64_t T, int num_threads);

/* Attention inside each of B sequences, N heads of width H. Rows of k and v are `stride` items apart, those of q
 * `q_stride`, those of out N * H. With first_only, q and out have one row a sequence. Returns -1 without memory. */
typedef struct {
    const void *q, *k, *v;
    int64_t q_stride, stride;
    const int32_t *cu_seqlens;
    int64_t B, N, H;
    int first_only;
    void *out;
    /* Training: weights are dropped with a probability; log_sum (rows of q, N) is kept for the way back, or NULL. */
    double dropout;
    uint64_t seed;
    float *log_sum;
} attention;
int attention_bf16(const attention *a, int num_threads);
int attention_widened(const attention *a, int num_threads);
int attention_f32(const attention *a, int num_threads);

/* The way back: d_out has rows like out, d_q, d_k and d_v like q, k and v. */
typedef struct {
    const void *d_out;
    void *d_q, *d_k, *d_v;
} attention_gradient;
int attention_backward_bf16(const attention *a, const attention_gradient *g, int num_threads);
int attention_backward_widened(const attention *a, const attention_gradient *g, int num_threads);
int attention_backward_f32(const attention *a, const attention_gradient *g, int num_threads);

#endif
