/* What the kernels share: bfloat16 in registers, exp, GELU, and the inner loop of all products.
 *
 * Every function here needs AVX-512 with VNNI; the module asks the processor before any of them is called.
 * Axes: rows are packed tokens; K is what a product sums over; a panel is 32 neighbouring output columns. */
#ifndef BERTBLOCKS_SIMD_H
#define BERTBLOCKS_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))
#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma")))
#define INLINE static inline __attribute__((always_inline))

/* What one instruction multiplies lies in units of 32 bits: 4 int8, 2 bfloat16 or 1 float32. */
#define UNIT_BYTES 4

/* 12 rows × 32 columns are 24 accumulators: with two registers of weights and one of activations, 27 of 32. */
#define TILE_ROWS 12
#define PANEL 32

typedef uint16_t bf16;

enum activation { ACT_NONE = 0, ACT_GELU = 1, ACT_GELU_TANH = 2, ACT_RELU = 3 };

INLINE TARGET_VNNI __m512 load_bf16(const bf16 *x)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Round to nearest, ties to even: as the processor's own instruction, which not every one with VNNI has. */
INLINE TARGET_VNNI __m256i to_bf16(__m512 x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

INLINE TARGET_VNNI void store_bf16(bf16 *x, __m512 value)
{
    _mm256_storeu_si256((__m256i *)x, to_bf16(value));
}

/* The processor's own instruction; as assembly, so that functions for either kind of processor share their code. */
INLINE TARGET_VNNI void store_bf16_quick(bf16 *x, __m512 value)
{
    __m256i rounded;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(value));
    _mm256_storeu_si256((__m256i *)x, rounded);
}

/* 2^x for x <= 0 or moderate x, within 3e-7: Taylor's series of 2^f = e^(f ln 2), |f| <= 1/2. Of max's operands the
 * second is the one that is given back where either is NaN: here and below a NaN stays one. */
INLINE TARGET_VNNI __m512 exp2_ps(__m512 x)
{
    x = _mm512_max_ps(_mm512_set1_ps(-126.0f), x);
    __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(1.5403530e-4f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.3333558e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.6181291e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* The same within 6e-5, relative: enough for a weight that is rounded to bfloat16, whose steps are 4e-3. */
INLINE TARGET_VNNI __m512 exp2_rough_ps(__m512 x)
{
    x = _mm512_max_ps(_mm512_set1_ps(-126.0f), x);
    __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(9.6181291e-3f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* x * Phi(x), the erf form, within 8e-5: Phi - 1/2 as an odd polynomial on [-4.15, 4.15] (least maximum error of the
 * whole, which is 1/2 at the ends), clamped beyond. bfloat16's own steps are 4.9e-4 near 0.1. */
INLINE TARGET_VNNI __m512 gelu_ps(__m512 x)
{
    __m512 z = _mm512_min_ps(_mm512_set1_ps(4.15f), _mm512_max_ps(_mm512_set1_ps(-4.15f), x));
    __m512 square = _mm512_mul_ps(z, z);
    __m512 p = _mm512_set1_ps(-9.39876970e-10f);
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(8.19089007e-08f));
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(-3.10365077e-06f));
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(6.77805566e-05f));
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(-9.57216254e-04f));
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(9.32378242e-03f));
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(-6.55747152e-02f));
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(3.98493972e-01f));
    /* At the lower end rounding leaves a little less than 0, which a large x would show. */
    __m512 phi = _mm512_max_ps(_mm512_setzero_ps(), _mm512_fmadd_ps(p, z, _mm512_set1_ps(0.5f)));
    return _mm512_mul_ps(x, phi);
}

/* The same within 3e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. */
INLINE TARGET_VNNI __m512 gelu_exact_ps(__m512 x)
{
    __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678f));
    __m512 one = _mm512_set1_ps(1.0f);
    __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911f), one));
    __m512 p = _mm512_set1_ps(1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
    __m512 power = exp2_ps(_mm512_mul_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-1.44269504f)));
    __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), power); /* 1 - erf(z) */
    __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    return _mm512_fmadd_ps(_mm512_abs_ps(half), _mm512_sub_ps(one, tail), half);
}

INLINE TARGET_VNNI __m512 activate_ps(__m512 x, int activation, const int exact)
{
    if (activation == ACT_GELU) {
        return exact ? gelu_exact_ps(x) : gelu_ps(x);
    }
    if (activation == ACT_GELU_TANH) {
        /* x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 x^3)), as 1 / (1 + 2^-y) */
        __m512 cube = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
        __m512 inner = _mm512_fmadd_ps(cube, _mm512_set1_ps(0.044715f), x);
        __m512 y = _mm512_mul_ps(inner, _mm512_set1_ps(-2.3022082f));
        __m512 power = exp2_ps(_mm512_min_ps(y, _mm512_set1_ps(126.0f)));
        return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), power));
    }
    if (activation == ACT_RELU) {
        return _mm512_max_ps(_mm512_setzero_ps(), x);
    }
    return x;
}

INLINE TARGET_VNNI void store_f32(float *x, __m512 value)
{
    _mm512_storeu_ps(x, value);
}

/* GCC 12 copies the accumulator around its own intrinsic for this instruction, at half the speed. */
#define DOT_INT8(sum, a, b) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#define DOT_BF16(sum, a, b) __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#define DOT_F32(sum, a, b) ((sum) = _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum))
/* bfloat16 without the instruction: each of the pair is widened to float32. */
#define DOT_WIDENED(sum, a, b) ((sum) = dot_widened(sum, a, b))

INLINE TARGET_VNNI __m512 dot_widened(__m512 sum, __m512i a, __m512i b)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    __m512 a0 = _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), b0 = _mm512_castsi512_ps(_mm512_slli_epi32(b, 16));
    __m512 a1 = _mm512_castsi512_ps(_mm512_and_si512(a, upper)), b1 = _mm512_castsi512_ps(_mm512_and_si512(b, upper));
    return _mm512_fmadd_ps(a1, b1, _mm512_fmadd_ps(a0, b0, sum));
}

#define ZERO_INT32 _mm512_setzero_si512()
#define ZERO_F32 _mm512_setzero_ps()

/* A function that gives sum (rows, 32) = x times one panel: the inner loop of everything. x has rows of `units`
 * units, `stride` units apart; the panel is [units][32]. `rows` must be a constant where it is called, or the sums do
 * not stay in registers. */
#define DEFINE_PRODUCT(NAME, TARGET, SUM, ZERO, DOT)                                                                   \
    INLINE TARGET void NAME(const void *x, int64_t stride, int64_t units, const void *panel, const int rows,           \
                            SUM sum[TILE_ROWS][2])                                                                     \
    {                                                                                                                  \
        _Pragma("GCC unroll 12") for (int i = 0; i < rows; i++)                                                        \
        {                                                                                                              \
            sum[i][0] = sum[i][1] = ZERO;                                                                              \
        }                                                                                                              \
        const char *row = x, *column = panel;                                                                          \
        for (int64_t unit = 0; unit < units; unit++) {                                                                 \
            __m512i left = _mm512_loadu_si512(column), right = _mm512_loadu_si512(column + 64);                        \
            _Pragma("GCC unroll 12") for (int i = 0; i < rows; i++)                                                    \
            {                                                                                                          \
                int32_t bits;                                                                                          \
                memcpy(&bits, row + i * stride * UNIT_BYTES, UNIT_BYTES);                                              \
                __m512i copies = _mm512_set1_epi32(bits);                                                              \
                DOT(sum[i][0], copies, left);                                                                          \
                DOT(sum[i][1], copies, right);                                                                         \
            }                                                                                                          \
            row += UNIT_BYTES;                                                                                         \
            column += PANEL * UNIT_BYTES;                                                                              \
        }                                                                                                              \
    }

DEFINE_PRODUCT(product_int8, TARGET_VNNI, __m512i, ZERO_INT32, DOT_INT8)
DEFINE_PRODUCT(product_bf16, TARGET_BF16, __m512, ZERO_F32, DOT_BF16)
DEFINE_PRODUCT(product_widened, TARGET_VNNI, __m512, ZERO_F32, DOT_WIDENED)
DEFINE_PRODUCT(product_f32, TARGET_VNNI, __m512, ZERO_F32, DOT_F32)

/* Calls a function whose last argument, a number of rows, is a constant in each call. */
#define FOR_ROWS(CALL, rows, ...)                                                                                      \
    switch (rows) {                                                                                                    \
    case 1: CALL(__VA_ARGS__, 1); break;                                                                               \
    case 2: CALL(__VA_ARGS__, 2); break;                                                                               \
    case 3: CALL(__VA_ARGS__, 3); break;                                                                               \
    case 4: CALL(__VA_ARGS__, 4); break;                                                                               \
    case 5: CALL(__VA_ARGS__, 5); break;                                                                               \
    case 6: CALL(__VA_ARGS__, 6); break;                                                                               \
    case 7: CALL(__VA_ARGS__, 7); break;                                                                               \
    case 8: CALL(__VA_ARGS__, 8); break;                                                                               \
    case 9: CALL(__VA_ARGS__, 9); break;                                                                               \
    case 10: CALL(__VA_ARGS__, 10); break;                                                                             \
    case 11: CALL(__VA_ARGS__, 11); break;                                                                             \
    default: CALL(__VA_ARGS__, TILE_ROWS); break;                                                                      \
    }

#endif
