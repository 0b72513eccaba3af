/* Dropout masks by counting: the same seed, row and column always give the same bit, so that a backward pass draws the
 * mask again instead of keeping it, and it does not matter which thread computes a row. */
#ifndef BERTBLOCKS_RANDOM_H
#define BERTBLOCKS_RANDOM_H

#include "simd.h"

/* Weyl's sequence by the golden ratio, then murmur3's finalizer (Appleby 2011), which lets every bit reach every one. */
#define GOLDEN 0x9e3779b9u

INLINE uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    return x ^ (x >> 16);
}

INLINE TARGET_VNNI __m512i mix_lanes(__m512i x)
{
    x = _mm512_mullo_epi32(_mm512_xor_si512(x, _mm512_srli_epi32(x, 16)), _mm512_set1_epi32((int)0x85ebca6bu));
    x = _mm512_mullo_epi32(_mm512_xor_si512(x, _mm512_srli_epi32(x, 13)), _mm512_set1_epi32((int)0xc2b2ae35u));
    return _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
}

/* What a row's columns are counted from. */
INLINE uint32_t row_key(uint64_t seed, uint64_t row)
{
    uint32_t key = mix((uint32_t)seed + (uint32_t)row * GOLDEN);
    return mix(key + (uint32_t)(seed >> 32) + (uint32_t)(row >> 32) * 0x7feb352du);
}

/* Bits of the lanes that are kept; `keys` are row keys, `columns` their columns, one of the two the same in all. */
INLINE TARGET_VNNI __mmask16 kept(__m512i keys, __m512i columns, uint32_t threshold)
{
    __m512i count = _mm512_mullo_epi32(columns, _mm512_set1_epi32((int)GOLDEN));
    return _mm512_cmpge_epu32_mask(mix_lanes(_mm512_add_epi32(keys, count)), _mm512_set1_epi32((int)threshold));
}

INLINE TARGET_VNNI __m512i lanes_from(int64_t first)
{
    const __m512i ramp = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_add_epi32(ramp, _mm512_set1_epi32((int)first));
}

/* An element is dropped when its random 32 bits are below it. */
INLINE uint32_t drop_threshold(double probability)
{
    return (uint32_t)(probability * 4294967296.0);
}

#endif
