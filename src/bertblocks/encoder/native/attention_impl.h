/* Attention, included once for each type and way to multiply: see attention.c.
 *
 * One task is one head of one sequence: L keys, and L queries or one. Keys are turned into panels of 32 keys, values
 * into panels of 32 of the head's columns, both in units of what one instruction sums; then both products are the loop
 * of simd.h. Softmax is taken in float32 over whole rows; L is at most a few thousand. */

typedef struct {
    TYPE *keys;     /* [padded / 32][H / GROUP][32][GROUP] */
    TYPE *values;   /* [H / 32][padded / GROUP][32][GROUP] */
    float *scores;  /* [12][padded] */
    TYPE *weights;  /* [12][padded] */
    int64_t padded; /* L rounded up to panels */
} NAME(room);

static TARGET void NAME(pack_keys)(const TYPE *k, int64_t stride, int64_t L, int64_t H, TYPE *keys)
{
    for (int64_t key = 0; key < round_up(L); key += 16) {
        TYPE *panel = keys + key / PANEL * PANEL * H + key % PANEL * GROUP;
        for (int64_t h = 0; h < H; h += 16 * GROUP) {
            __m512i rows[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                rows[i] = key + i < L ? _mm512_loadu_si512(k + (key + i) * stride + h) : _mm512_setzero_si512();
            }
            transpose(rows);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                _mm512_storeu_si512(panel + (h / GROUP + i) * PANEL * GROUP, rows[i]);
            }
        }
    }
}

/* Scores → weights that are not yet divided by their sum, in place of those that are dropped 0. Returns the logarithm
 * of the weights' sum to base 2, of scores times `scale`, which is log2(e) / √H; and in *inverse 1 / sum. */
static TARGET float NAME(softmax)(const float *scores, int64_t L, float scale, uint32_t key, uint32_t threshold,
                                  TYPE *weights, float *inverse)
{
    const int64_t whole = L / 16 * 16;
    const __mmask16 rest = (__mmask16)((1u << (L - whole)) - 1);
    const __m512 lowest = _mm512_set1_ps(-3.0e38f);
    __m512 largest = _mm512_mask_loadu_ps(lowest, rest, scores + whole);
    for (int64_t l = 0; l < whole; l += 16) {
        largest = _mm512_max_ps(largest, _mm512_loadu_ps(scores + l));
    }
    /* The highest score is taken off before scaling: the other way round, what rounding leaves of it would be weighed
     * too, and be infinite where scores are in the billions. */
    __m512 factor = _mm512_set1_ps(scale);
    const float highest = _mm512_reduce_max_ps(largest);
    __m512 shift = _mm512_set1_ps(highest);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t l = 0; l < L; l += 16) {
        __m512 weight = EXP2(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(scores + l), shift), factor));
        weight = _mm512_maskz_mov_ps(l < whole ? 0xffff : rest, weight);
        sum = _mm512_add_ps(sum, weight);
        if (threshold) {
            weight = _mm512_maskz_mov_ps(kept(_mm512_set1_epi32((int)key), lanes_from(l), threshold), weight);
        }
        STORE(weights + l, weight);
    }
    const float total = _mm512_reduce_add_ps(sum);
    *inverse = 1.0f / total;
    return scale * highest + log2f(total);
}

/* Some queries of one head; `row` is the first one's row in q and out. */
INLINE TARGET void NAME(tile)(const attention *a, int64_t row, int64_t head, int64_t L, const NAME(room) * room,
                              const int rows)
{
    const int64_t padded = room->padded, H = a->H, out_stride = a->N * H;
    const TYPE *q = (const TYPE *)a->q + row * a->q_stride + head * H;
    TYPE *out = (TYPE *)a->out + row * out_stride + head * H;
    __m512 sum[TILE_ROWS][2];
    for (int64_t key = 0; key < L; key += PANEL) {
        PRODUCT(q, a->q_stride / GROUP, H / GROUP, room->keys + key * H, rows, sum);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            _mm512_storeu_ps(room->scores + i * padded + key, sum[i][0]);
            _mm512_storeu_ps(room->scores + i * padded + key + 16, sum[i][1]);
        }
    }
    float inverse[TILE_ROWS];
    const float scale = LOG2_E / sqrtf((float)H);
    const uint32_t threshold = drop_threshold(a->dropout);
    for (int i = 0; i < rows; i++) {
        const int64_t index = (row + i) * a->N + head;
        const uint32_t key = threshold ? row_key(a->seed, (uint64_t)index) : 0;
        const float log_sum = NAME(softmax)(room->scores + i * padded, L, scale, key, threshold,
                                            room->weights + i * padded, inverse + i);
        inverse[i] *= (float)(1.0 / (1.0 - a->dropout));
        if (a->log_sum != NULL) {
            a->log_sum[index] = log_sum;
        }
    }
    for (int64_t h = 0; h < H; h += PANEL) {
        PRODUCT(room->weights, padded / GROUP, (L + GROUP - 1) / GROUP, room->values + h * padded, rows, sum);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            __m512 factor = _mm512_set1_ps(inverse[i]);
            STORE(out + i * out_stride + h, _mm512_mul_ps(sum[i][0], factor));
            STORE(out + i * out_stride + h + 16, _mm512_mul_ps(sum[i][1], factor));
        }
    }
}

static TARGET void NAME(head)(const attention *a, int64_t sequence, int64_t head, NAME(room) * room)
{
    const int64_t first = a->cu_seqlens[sequence], L = a->cu_seqlens[sequence + 1] - first, H = a->H;
    const int64_t begin = a->first_only ? sequence : first, queries = a->first_only ? 1 : L;
    if (L <= 0) {
        return;
    }
    room->padded = round_up(L);
    NAME(pack_keys)((const TYPE *)a->k + first * a->stride + head * H, a->stride, L, H, room->keys);
    PACK_VALUES((const TYPE *)a->v + first * a->stride + head * H, a->stride, L, H, room->padded, room->values);
    const int64_t tiles = (queries + TILE_ROWS - 1) / TILE_ROWS, step = (queries + tiles - 1) / tiles;
    for (int64_t row = 0; row < queries; row += step) {
        FOR_ROWS(NAME(tile), queries - row < step ? queries - row : step, a, begin + row, head, L, room)
    }
}

int NAME(attention)(const attention *a, int num_threads)
{
    const int64_t padded = round_up(longest_sequence(a));
    const int64_t keys = padded * a->H * (int64_t)sizeof(TYPE), scores = padded * TILE_ROWS * (int64_t)sizeof(float);
    const int64_t weights = padded * TILE_ROWS * (int64_t)sizeof(TYPE);
    int failed = 0;
#pragma omp parallel num_threads(num_threads)
    {
        char *memory = aligned_alloc(64, keys + keys + scores + weights);
        if (memory == NULL) {
#pragma omp atomic write
            failed = 1;
        }
        NAME(room) room = {(TYPE *)memory, (TYPE *)(memory + keys), (float *)(memory + 2 * keys),
                           (TYPE *)(memory + 2 * keys + scores), 0};
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < a->B * a->N; task++) {
            if (memory != NULL) {
                NAME(head)(a, task / a->N, task % a->N, &room);
            }
        }
        free(memory);
    }
    return failed ? -1 : 0;
}
