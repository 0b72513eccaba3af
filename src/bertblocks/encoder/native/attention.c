/* Attention over packed sequences and its way back, in three forms: float32; bfloat16 with the processor's own instruction; and bfloat16
 * widened to float32, for processors with VNNI that lack that instruction (Cascade Lake, Ice Lake). */
#include "kernels.h"
#include "random.h"
#include "simd.h"

#include <math.h>
#include <stdlib.h>

#define LOG2_E 1.44269504f
/* Elements of a unit. */
#define GROUP ((int64_t)(UNIT_BYTES / sizeof(TYPE)))

/* Up to whole panels. */
INLINE int64_t round_up(int64_t L)
{
    return (L + PANEL - 1) / PANEL * PANEL;
}

static int64_t longest_sequence(const attention *a)
{
    int64_t longest = 0;
    for (int64_t b = 0; b < a->B; b++) {
        int64_t L = a->cu_seqlens[b + 1] - a->cu_seqlens[b];
        longest = L > longest ? L : longest;
    }
    return longest;
}

/* 16 × 16 elements of 32 bits. */
INLINE TARGET_VNNI void transpose(__m512i r[16])
{
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

static TARGET_VNNI void pack_values_bf16(const bf16 *v, int64_t stride, int64_t L, int64_t H, int64_t padded, bf16 *values)
{
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int64_t key = 0; key < L; key += 2) {
        for (int64_t h = 0; h < H; h += 32) {
            __m512i even = _mm512_loadu_si512(v + key * stride + h);
            __m512i odd = key + 1 < L ? _mm512_loadu_si512(v + (key + 1) * stride + h) : _mm512_setzero_si512();
            bf16 *pairs = values + (h / PANEL * padded + key) * PANEL;
            _mm512_storeu_si512(pairs, _mm512_permutex2var_epi16(even, low, odd));
            _mm512_storeu_si512(pairs + 32, _mm512_permutex2var_epi16(even, high, odd));
        }
    }
}

static void pack_values_f32(const float *v, int64_t stride, int64_t L, int64_t H, int64_t padded, float *values)
{
    for (int64_t key = 0; key < L; key++) {
        for (int64_t h = 0; h < H; h += PANEL) {
            memcpy(values + (h / PANEL * padded + key) * PANEL, v + key * stride + h, PANEL * sizeof(float));
        }
    }
}

#define TARGET TARGET_BF16
#define NAME(name) name##_bf16
#define TYPE bf16
#define PRODUCT product_bf16
#define STORE store_bf16_quick
#define EXP2 exp2_rough_ps
#define PACK_VALUES pack_values_bf16
#include "attention_impl.h"
#include "attention_backward_impl.h"
#undef TARGET
#undef NAME
#undef PRODUCT
#undef STORE

#define TARGET TARGET_VNNI
#define NAME(name) name##_widened
#define PRODUCT product_widened
#define STORE store_bf16
#include "attention_impl.h"
#include "attention_backward_impl.h"
#undef NAME
#undef TYPE
#undef PRODUCT
#undef STORE
#undef EXP2
#undef PACK_VALUES

#define NAME(name) name##_f32
#define TYPE float
#define PRODUCT product_f32
#define STORE store_f32
#define EXP2 exp2_ps
#define PACK_VALUES pack_values_f32
#include "attention_impl.h"
#include "attention_backward_impl.h"
