/* The way back through attention, included after attention_impl.h for each type and way to multiply.
 *
 * With P = softmax(s Q Kᵀ), M the dropout mask divided by what is kept, O = (P ∘ M) V and dP = (dO Vᵀ) ∘ M:
 *     delta = rowsum(P ∘ dP), dS = P ∘ (dP - delta), dQ = s dS K, dK = s dSᵀ Q, dV = (P ∘ M)ᵀ dO.
 * P is computed again from the kept logarithms of its sums, once with queries for rows, which gives delta and dQ, and
 * once with keys for rows, which gives dK and dV without a transposed copy. Every gradient is written by one task. */

typedef struct {
    TYPE *first, *second;              /* What rows are multiplied with, as panels of keys: K and V, or Q and dO. */
    TYPE *first_values, *second_values; /* What the results are multiplied with, as panels of values. */
    float *scores, *gradients;         /* [12][padded] */
    TYPE *weights, *score_gradients;   /* [12][padded] */
    float *log_sum, *delta;            /* of each query */
    uint32_t *keys;                    /* of each query's dropout mask */
    int64_t padded;
} NAME(backward_room);

/* Rows of scores and of dP; lanes are `count` queries or keys. */
INLINE TARGET void NAME(both_products)(const TYPE *x, int64_t x_stride, const TYPE *y, int64_t y_stride, int64_t count,
                                       int64_t H, const NAME(backward_room) * room, const int rows)
{
    __m512 sum[TILE_ROWS][2];
    for (int64_t lane = 0; lane < count; lane += PANEL) {
        PRODUCT(x, x_stride / GROUP, H / GROUP, room->first + lane * H, rows, sum);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            _mm512_storeu_ps(room->scores + i * room->padded + lane, sum[i][0]);
            _mm512_storeu_ps(room->scores + i * room->padded + lane + 16, sum[i][1]);
        }
        PRODUCT(y, y_stride / GROUP, H / GROUP, room->second + lane * H, rows, sum);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            _mm512_storeu_ps(room->gradients + i * room->padded + lane, sum[i][0]);
            _mm512_storeu_ps(room->gradients + i * room->padded + lane + 16, sum[i][1]);
        }
    }
}

/* out (rows, H) = weights (rows, count) times panels of values, times a factor. */
INLINE TARGET void NAME(gather)(const TYPE *weights, const TYPE *values, int64_t count, float factor, int64_t padded,
                                int64_t H, TYPE *out, int64_t stride, const int rows)
{
    __m512 sum[TILE_ROWS][2];
    const __m512 factors = _mm512_set1_ps(factor);
    for (int64_t h = 0; h < H; h += PANEL) {
        PRODUCT(weights, padded / GROUP, (count + GROUP - 1) / GROUP, values + h * padded, rows, sum);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            STORE(out + i * stride + h, _mm512_mul_ps(sum[i][0], factors));
            STORE(out + i * stride + h + 16, _mm512_mul_ps(sum[i][1], factors));
        }
    }
}

/* dP of 16 lanes after the mask; *mask has the lanes that were kept. */
INLINE TARGET __m512 NAME(masked)(__m512 gradient, __m512i keys, __m512i columns, uint32_t threshold, float factor,
                                  __mmask16 *mask)
{
    *mask = threshold ? kept(keys, columns, threshold) : 0xffff;
    return _mm512_maskz_mul_ps(*mask, gradient, _mm512_set1_ps(factor));
}

INLINE TARGET __mmask16 NAME(lanes_below)(int64_t lane, int64_t count)
{
    return count - lane >= 16 ? 0xffff : (__mmask16)((1u << (count - lane)) - 1);
}

/* Some queries: delta and dQ. */
INLINE TARGET void NAME(query_tile)(const attention *a, const attention_gradient *g, int64_t first, int64_t query,
                                    int64_t head, int64_t L, const NAME(backward_room) * room, const int rows)
{
    const int64_t H = a->H, padded = room->padded, at = (first + query) * a->q_stride + head * H;
    const float scale = 1.0f / sqrtf((float)H), keep = (float)(1.0 / (1.0 - a->dropout));
    const uint32_t threshold = drop_threshold(a->dropout);
    const TYPE *d_out = (const TYPE *)g->d_out + ((first + query) * a->N + head) * H;
    NAME(both_products)((const TYPE *)a->q + at, a->q_stride, d_out, a->N * H, L, H, room, rows);
    for (int i = 0; i < rows; i++) {
        float *scores = room->scores + i * padded, *gradients = room->gradients + i * padded;
        const __m512i key = _mm512_set1_epi32((int)room->keys[query + i]);
        const __m512 log_sum = _mm512_set1_ps(room->log_sum[query + i]);
        __m512 delta = _mm512_setzero_ps();
        __mmask16 mask;
        for (int64_t l = 0; l < L; l += 16) {
            __m512 score = _mm512_mul_ps(_mm512_loadu_ps(scores + l), _mm512_set1_ps(scale * LOG2_E));
            __m512 p = _mm512_maskz_mov_ps(NAME(lanes_below)(l, L), exp2_ps(_mm512_sub_ps(score, log_sum)));
            __m512 dp = NAME(masked)(_mm512_loadu_ps(gradients + l), key, lanes_from(l), threshold, keep, &mask);
            delta = _mm512_fmadd_ps(p, dp, delta);
            _mm512_storeu_ps(scores + l, p);
            _mm512_storeu_ps(gradients + l, dp);
        }
        room->delta[query + i] = _mm512_reduce_add_ps(delta);
        for (int64_t l = 0; l < L; l += 16) {
            __m512 apart = _mm512_sub_ps(_mm512_loadu_ps(gradients + l), _mm512_set1_ps(room->delta[query + i]));
            STORE(room->score_gradients + i * padded + l, _mm512_mul_ps(_mm512_loadu_ps(scores + l), apart));
        }
    }
    NAME(gather)(room->score_gradients, room->first_values, L, scale, padded, H, (TYPE *)g->d_q + at, a->q_stride, rows);
}

/* Some keys: dK and dV. */
INLINE TARGET void NAME(key_tile)(const attention *a, const attention_gradient *g, int64_t first, int64_t key,
                                  int64_t head, int64_t queries, const NAME(backward_room) * room, const int rows)
{
    const int64_t H = a->H, padded = room->padded, at = (first + key) * a->stride + head * H;
    const float scale = 1.0f / sqrtf((float)H), keep = (float)(1.0 / (1.0 - a->dropout));
    const uint32_t threshold = drop_threshold(a->dropout);
    NAME(both_products)((const TYPE *)a->k + at, a->stride, (const TYPE *)a->v + at, a->stride, queries, H, room, rows);
    for (int i = 0; i < rows; i++) {
        const __m512i column = _mm512_set1_epi32((int)(key + i));
        for (int64_t l = 0; l < queries; l += 16) {
            __mmask16 mask;
            const float *scores = room->scores + i * padded + l, *gradients = room->gradients + i * padded + l;
            __m512 score = _mm512_mul_ps(_mm512_loadu_ps(scores), _mm512_set1_ps(scale * LOG2_E));
            __m512 p = exp2_ps(_mm512_sub_ps(score, _mm512_loadu_ps(room->log_sum + l)));
            p = _mm512_maskz_mov_ps(NAME(lanes_below)(l, queries), p);
            __m512 dp = NAME(masked)(_mm512_loadu_ps(gradients), _mm512_loadu_si512(room->keys + l), column, threshold,
                                     keep, &mask);
            __m512 ds = _mm512_mul_ps(p, _mm512_sub_ps(dp, _mm512_loadu_ps(room->delta + l)));
            STORE(room->weights + i * padded + l, _mm512_maskz_mul_ps(mask, p, _mm512_set1_ps(keep)));
            STORE(room->score_gradients + i * padded + l, ds);
        }
    }
    NAME(gather)(room->score_gradients, room->first_values, queries, scale, padded, H, (TYPE *)g->d_k + at, a->stride,
                 rows);
    NAME(gather)(room->weights, room->second_values, queries, 1.0f, padded, H, (TYPE *)g->d_v + at, a->stride, rows);
}

static TARGET void NAME(backward_head)(const attention *a, const attention_gradient *g, int64_t sequence, int64_t head,
                                       NAME(backward_room) * room)
{
    const int64_t begin = a->cu_seqlens[sequence], L = a->cu_seqlens[sequence + 1] - begin, H = a->H;
    const int64_t first = a->first_only ? sequence : begin, queries = a->first_only ? 1 : L;
    const TYPE *q = (const TYPE *)a->q + first * a->q_stride + head * H;
    const TYPE *k = (const TYPE *)a->k + begin * a->stride + head * H;
    const TYPE *v = (const TYPE *)a->v + begin * a->stride + head * H;
    const TYPE *d_out = (const TYPE *)g->d_out + (first * a->N + head) * H;
    if (L <= 0) {
        return;
    }
    room->padded = round_up(L);
    memset(room->log_sum, 0, room->padded * sizeof(float));
    memset(room->delta, 0, room->padded * sizeof(float));
    for (int64_t query = 0; query < queries; query++) {
        const int64_t index = (first + query) * a->N + head;
        room->log_sum[query] = a->log_sum[index];
        room->keys[query] = row_key(a->seed, (uint64_t)index);
    }
    int64_t tiles = (queries + TILE_ROWS - 1) / TILE_ROWS, step = (queries + tiles - 1) / tiles;
    NAME(pack_keys)(k, a->stride, L, H, room->first);
    NAME(pack_keys)(v, a->stride, L, H, room->second);
    PACK_VALUES(k, a->stride, L, H, room->padded, room->first_values);
    for (int64_t query = 0; query < queries; query += step) {
        FOR_ROWS(NAME(query_tile), queries - query < step ? queries - query : step, a, g, first, query, head, L, room)
    }
    tiles = (L + TILE_ROWS - 1) / TILE_ROWS;
    step = (L + tiles - 1) / tiles;
    NAME(pack_keys)(q, a->q_stride, queries, H, room->first);
    NAME(pack_keys)(d_out, a->N * H, queries, H, room->second);
    PACK_VALUES(q, a->q_stride, queries, H, room->padded, room->first_values);
    PACK_VALUES(d_out, a->N * H, queries, H, room->padded, room->second_values);
    for (int64_t key = 0; key < L; key += step) {
        FOR_ROWS(NAME(key_tile), L - key < step ? L - key : step, a, g, begin, key, head, queries, room)
    }
}

int NAME(attention_backward)(const attention *a, const attention_gradient *g, int num_threads)
{
    const int64_t padded = round_up(longest_sequence(a)), panels = padded * a->H * (int64_t)sizeof(TYPE);
    const int64_t floats = padded * TILE_ROWS * (int64_t)sizeof(float), items = padded * TILE_ROWS * (int64_t)sizeof(TYPE);
    const int64_t vectors = padded * (int64_t)sizeof(float);
    int failed = 0;
#pragma omp parallel num_threads(num_threads)
    {
        char *memory = aligned_alloc(64, 4 * panels + 2 * floats + 2 * items + 3 * vectors), *free_room = memory;
        if (memory == NULL) {
#pragma omp atomic write
            failed = 1;
        }
#define TAKE(bytes) ((void *)((free_room += (bytes)) - (bytes)))
        NAME(backward_room) room = {0};
        room.first = TAKE(panels), room.second = TAKE(panels);
        room.first_values = TAKE(panels), room.second_values = TAKE(panels);
        room.scores = TAKE(floats), room.gradients = TAKE(floats);
        room.weights = TAKE(items), room.score_gradients = TAKE(items);
        room.log_sum = TAKE(vectors), room.delta = TAKE(vectors), room.keys = TAKE(vectors);
#undef TAKE
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < a->B * a->N; task++) {
            if (memory != NULL) {
                NAME(backward_head)(a, g, task / a->N, task % a->N, &room);
            }
        }
        free(memory);
    }
    return failed ? -1 : 0;
}
