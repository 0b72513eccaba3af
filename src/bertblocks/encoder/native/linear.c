/* Dense layers over packed tokens: y = activation(x Wᵀ + b).
 *
 * Weights lie in panels of 32 output columns; within one, a unit of 32 bits holds the neighbours in K that one
 * instruction sums: [N / 32][K / 4][32][4] int8, [N / 32][K / 2][32][2] bfloat16, [N / 32][K][32] float32. */
#include "kernels.h"
#include "simd.h"

/* Rows of activations that stay in the second-level cache while all panels pass by. */
#define BLOCK_BYTES (256 * 1024)

void pack_weight(const void *w, int64_t N, int64_t K, int64_t item_bytes, void *packed)
{
    const int64_t units = K * item_bytes / UNIT_BYTES;
    for (int64_t n = 0; n < N; n++) {
        const char *row = (const char *)w + n * units * UNIT_BYTES;
        char *column = (char *)packed + (n / PANEL * PANEL * units + n % PANEL) * UNIT_BYTES;
        for (int64_t unit = 0; unit < units; unit++) {
            memcpy(column + unit * PANEL * UNIT_BYTES, row + unit * UNIT_BYTES, UNIT_BYTES);
        }
    }
}

/* A row whose largest value is no more than this counts as zeros: 127 divided by it may not be finite. */
#define SMALLEST 1e-30f

INLINE TARGET_VNNI __m512i steps(const bf16 *x, __m512 inverse)
{
    return _mm512_cvtps_epi32(_mm512_mul_ps(load_bf16(x), inverse));
}

/* One row to bytes of 1 to 255, with 128 for zero; returns what one step of them is worth: NaN where the row has one,
 * which is larger than every number when its bits are compared. */
static TARGET_VNNI float quantize_row(const bf16 *x, int64_t K, uint8_t *q)
{
    __m512i largest = _mm512_setzero_si512();
    for (int64_t k = 0; k < K; k += 32) {
        __m512i sizes = _mm512_and_si512(_mm512_loadu_si512(x + k), _mm512_set1_epi16(0x7fff));
        largest = _mm512_max_epu16(largest, sizes);
    }
    largest = _mm512_max_epu16(largest, _mm512_srli_epi32(largest, 16));
    uint32_t bits = _mm512_reduce_max_epu32(_mm512_and_si512(largest, _mm512_set1_epi32(0xffff))) << 16;
    float absmax;
    memcpy(&absmax, &bits, sizeof(absmax));
    __m512 inverse = _mm512_set1_ps(absmax > SMALLEST ? 127.0f / absmax : 0.0f);
    /* Packing works inside quarters of a register: afterwards its 32-bit units lie like the columns of a 4 by 4
     * matrix that should be rows. */
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const int64_t whole = K / 64 * 64;
    for (int64_t k = 0; k < whole; k += 64) {
        __m512i left = _mm512_packs_epi32(steps(x + k, inverse), steps(x + k + 16, inverse));
        __m512i right = _mm512_packs_epi32(steps(x + k + 32, inverse), steps(x + k + 48, inverse));
        __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(left, right));
        _mm512_storeu_si512(q + k, _mm512_xor_si512(bytes, _mm512_set1_epi8((char)128)));
    }
    for (int64_t k = whole; k < K; k += 16) {
        __m128i bytes = _mm512_cvtepi32_epi8(steps(x + k, inverse));
        _mm_storeu_si128((__m128i *)(q + k), _mm_xor_si128(bytes, _mm_set1_epi8((char)128)));
    }
    return absmax / 127.0f;
}

void quantize_rows(const bf16 *x, int64_t T, int64_t K, uint8_t *q, float *row_scale, int num_threads)
{
#pragma omp parallel for schedule(static) num_threads(num_threads)
    for (int64_t t = 0; t < T; t++) {
        row_scale[t] = quantize_row(x + t * K, K, q + t * K);
    }
}

static TARGET_VNNI void rescale_row(bf16 *y, int64_t N, float scale, const float *bias, int activation)
{
    for (int64_t n = 0; n < N; n += 16) {
        __m512 scaled = _mm512_fmadd_ps(load_bf16(y + n), _mm512_set1_ps(scale), _mm512_loadu_ps(bias + n));
        store_bf16(y + n, activate_ps(scaled, activation, 0));
    }
}

void rescale_rows(bf16 *y, int64_t T, int64_t N, const float *row_scale, const float *bias, int activation,
                  int num_threads)
{
#pragma omp parallel for schedule(static) num_threads(num_threads)
    for (int64_t t = 0; t < T; t++) {
        rescale_row(y + t * N, N, row_scale[t], bias, activation);
    }
}

INLINE TARGET_VNNI void int8_tile(const linear *p, int64_t row, int64_t panel, const int rows, const int quick)
{
    __m512i sum[TILE_ROWS][2];
    const int64_t units = p->K / 4;
    product_int8((const uint8_t *)p->x + row * p->K, units, units, (const int8_t *)p->w + panel * PANEL * p->K, rows, sum);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        int64_t column = panel * PANEL + half * 16;
        __m512 scale = _mm512_loadu_ps(p->column_scale + column);
        __m512 bias = _mm512_loadu_ps(p->bias + column);
        __m512i offset = _mm512_loadu_si512(p->offset + column);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            __m512 exact = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[i][half], offset));
            __m512 scaled = _mm512_mul_ps(exact, _mm512_set1_ps(p->row_scale[row + i]));
            __m512 y = activate_ps(_mm512_fmadd_ps(scaled, scale, bias), p->activation, 0);
            if (quick) {
                store_bf16_quick((bf16 *)p->y + (row + i) * p->N + column, y);
            } else {
                store_bf16((bf16 *)p->y + (row + i) * p->N + column, y);
            }
        }
    }
}

/* For processors with bfloat16 instructions, and for those without. */
INLINE TARGET_VNNI void int8_tile_quick(const linear *p, int64_t row, int64_t panel, const int rows)
{
    int8_tile(p, row, panel, rows, 1);
}

INLINE TARGET_VNNI void int8_tile_vnni(const linear *p, int64_t row, int64_t panel, const int rows)
{
    int8_tile(p, row, panel, rows, 0);
}

#define DEFINE_FLOAT_TILE(NAME, TARGET, TYPE, PRODUCT, STORE)                                                          \
    INLINE TARGET void NAME(const linear *p, int64_t row, int64_t panel, const int rows)                               \
    {                                                                                                                  \
        __m512 sum[TILE_ROWS][2];                                                                                      \
        const int64_t units = p->K * (int64_t)sizeof(TYPE) / UNIT_BYTES;                                               \
        PRODUCT((const TYPE *)p->x + row * p->K, units, units, (const TYPE *)p->w + panel * PANEL * p->K, rows, sum);  \
        _Pragma("GCC unroll 2") for (int half = 0; half < 2; half++)                                                   \
        {                                                                                                              \
            int64_t column = panel * PANEL + half * 16;                                                                \
            __m512 bias = _mm512_loadu_ps(p->bias + column);                                                           \
            _Pragma("GCC unroll 12") for (int i = 0; i < rows; i++)                                                    \
            {                                                                                                          \
                __m512 y = activate_ps(_mm512_add_ps(sum[i][half], bias), p->activation, sizeof(TYPE) == 4);           \
                STORE((TYPE *)p->y + (row + i) * p->N + column, y);                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_FLOAT_TILE(bf16_tile, TARGET_BF16, bf16, product_bf16, store_bf16_quick)
DEFINE_FLOAT_TILE(f32_tile, TARGET_VNNI, float, product_f32, store_f32)

/* A panel against some rows, which are shared evenly among tiles: 16 rows are 8 and 8, not 12 and 4. */
#define DEFINE_PANEL(NAME, TARGET, TILE_FUNCTION)                                                                      \
    static TARGET void NAME(const linear *p, int64_t begin, int64_t end, int64_t panel)                                \
    {                                                                                                                  \
        const int64_t tiles = (end - begin + TILE_ROWS - 1) / TILE_ROWS, step = (end - begin + tiles - 1) / tiles;     \
        for (int64_t row = begin; row < end; row += step) {                                                            \
            FOR_ROWS(TILE_FUNCTION, end - row < step ? end - row : step, p, row, panel)                                \
        }                                                                                                              \
    }

DEFINE_PANEL(int8_panel_quick, TARGET_VNNI, int8_tile_quick)
DEFINE_PANEL(int8_panel_vnni, TARGET_VNNI, int8_tile_vnni)
DEFINE_PANEL(bf16_panel, TARGET_BF16, bf16_tile)
DEFINE_PANEL(f32_panel, TARGET_VNNI, f32_tile)

void linear_forward(const linear *p, int64_t T, int64_t item_bytes, int num_threads)
{
    void (*const panel_of[5])(const linear *, int64_t, int64_t, int64_t) = {
        [1] = __builtin_cpu_supports("avx512bf16") ? int8_panel_quick : int8_panel_vnni, [2] = bf16_panel, [4] = f32_panel};
    const int64_t rows = BLOCK_BYTES / (p->K * item_bytes) / TILE_ROWS * TILE_ROWS;
    const int64_t block = rows < TILE_ROWS ? TILE_ROWS : rows, blocks = (T + block - 1) / block, panels = p->N / PANEL;
#pragma omp parallel for schedule(dynamic) num_threads(num_threads)
    for (int64_t task = 0; task < blocks * panels; task++) {
        int64_t begin = task / panels * block;
        panel_of[item_bytes](p, begin, begin + block < T ? begin + block : T, task % panels);
    }
}
