/* The kernels as a Python module. Tensors come as addresses; the Python side has checked types and shapes. */
#define Py_LIMITED_API 0x030A0000
#include <Python.h>

#include "kernels.h"

#define MAX_ARGUMENTS 24

/* All arguments are integers, addresses among them. */
static int parse(PyObject *const *args, Py_ssize_t found, Py_ssize_t expected, int64_t *integers)
{
    if (found != expected) {
        PyErr_Format(PyExc_TypeError, "the kernel takes %zd arguments, not %zd", expected, found);
        return -1;
    }
    for (Py_ssize_t i = 0; i < found; i++) {
        integers[i] = PyLong_AsLongLong(args[i]);
        if (integers[i] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

#define KERNEL(name) static PyObject *py_##name(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
#define PARSE(count)                                                                                                   \
    int64_t integer[MAX_ARGUMENTS];                                                                                    \
    (void)self;                                                                                                        \
    if (parse(args, nargs, count, integer) < 0) {                                                                      \
        return NULL;                                                                                                   \
    }
#define ADDRESS(i) ((void *)(uintptr_t)integer[i])

/* The last argument is a number, the others are integers. */
#define PARSE_WITH_NUMBER(count, name)                                                                                 \
    double name = 0.0;                                                                                                 \
    if (nargs == (count)) {                                                                                            \
        name = PyFloat_AsDouble(args[nargs - 1]);                                                                      \
        if (name == -1.0 && PyErr_Occurred()) {                                                                        \
            return NULL;                                                                                               \
        }                                                                                                              \
        nargs--;                                                                                                       \
    }                                                                                                                  \
    PARSE((count)-1)

KERNEL(pack_weight)
{
    PARSE(5)
    Py_BEGIN_ALLOW_THREADS;
    pack_weight(ADDRESS(0), integer[1], integer[2], integer[3], ADDRESS(4));
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

KERNEL(quantize_rows)
{
    PARSE(6)
    Py_BEGIN_ALLOW_THREADS;
    quantize_rows(ADDRESS(0), integer[1], integer[2], ADDRESS(3), ADDRESS(4), (int)integer[5]);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

KERNEL(rescale_rows)
{
    PARSE(7)
    Py_BEGIN_ALLOW_THREADS;
    rescale_rows(ADDRESS(0), integer[1], integer[2], ADDRESS(3), ADDRESS(4), (int)integer[5], (int)integer[6]);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

KERNEL(linear)
{
    PARSE(13)
    const linear p = {
        .x = ADDRESS(0),
        .K = integer[2],
        .N = integer[3],
        .w = ADDRESS(5),
        .bias = ADDRESS(6),
        .activation = (int)integer[7],
        .y = ADDRESS(8),
        .row_scale = ADDRESS(10),
        .column_scale = ADDRESS(11),
        .offset = ADDRESS(12),
    };
    Py_BEGIN_ALLOW_THREADS;
    linear_forward(&p, integer[1], integer[4], (int)integer[9]);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

KERNEL(add_norm)
{
    PARSE_WITH_NUMBER(10, eps)
    const int threads = (int)integer[8];
    Py_BEGIN_ALLOW_THREADS;
    if (integer[4] == 2) {
        add_norm_bf16(ADDRESS(0), ADDRESS(1), integer[2], integer[3], ADDRESS(5), ADDRESS(6), (float)eps, ADDRESS(7),
                      threads);
    } else {
        add_norm_f32(ADDRESS(0), ADDRESS(1), integer[2], integer[3], ADDRESS(5), ADDRESS(6), (float)eps, ADDRESS(7),
                     threads);
    }
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

/* Of the 15 that forward and backward take alike. */
static attention attention_of(const int64_t *integer, double dropout)
{
    const attention a = {
        .q = ADDRESS(0),
        .k = ADDRESS(1),
        .v = ADDRESS(2),
        .q_stride = integer[3],
        .stride = integer[4],
        .cu_seqlens = ADDRESS(5),
        .B = integer[6],
        .N = integer[7],
        .H = integer[8],
        .first_only = (int)integer[9],
        .out = ADDRESS(11),
        .log_sum = ADDRESS(13),
        .seed = (uint64_t)integer[14],
        .dropout = dropout,
    };
    return a;
}

KERNEL(attention)
{
    PARSE_WITH_NUMBER(16, dropout)
    const attention a = attention_of(integer, dropout);
    const int threads = (int)integer[12];
    int status;
    Py_BEGIN_ALLOW_THREADS;
    if (integer[10] == 4) {
        status = attention_f32(&a, threads);
    } else if (__builtin_cpu_supports("avx512bf16")) {
        status = attention_bf16(&a, threads);
    } else {
        status = attention_widened(&a, threads);
    }
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

KERNEL(attention_backward)
{
    PARSE_WITH_NUMBER(20, dropout)
    const attention a = attention_of(integer, dropout);
    const attention_gradient g = {ADDRESS(15), ADDRESS(16), ADDRESS(17), ADDRESS(18)};
    const int threads = (int)integer[12];
    int status;
    Py_BEGIN_ALLOW_THREADS;
    if (integer[10] == 4) {
        status = attention_backward_f32(&a, &g, threads);
    } else if (__builtin_cpu_supports("avx512bf16")) {
        status = attention_backward_bf16(&a, &g, threads);
    } else {
        status = attention_backward_widened(&a, &g, threads);
    }
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

/* The dropout probability goes with the seed in one struct; eps comes as an address of a float32. */
static norm_step norm_step_of(const int64_t *integer, double dropout)
{
    const norm_step n = {
        .x = ADDRESS(0),
        .residual = ADDRESS(1),
        .D = integer[3],
        .item_bytes = integer[4],
        .weight = ADDRESS(5),
        .bias = ADDRESS(6),
        .eps = *(const float *)ADDRESS(7),
        .seed = (uint64_t)integer[8],
        .sum = ADDRESS(9),
        .mean = ADDRESS(10),
        .scale = ADDRESS(11),
        .y = ADDRESS(12),
        .dropout = dropout,
    };
    return n;
}

KERNEL(norm_forward)
{
    PARSE_WITH_NUMBER(15, dropout)
    const norm_step n = norm_step_of(integer, dropout);
    Py_BEGIN_ALLOW_THREADS;
    norm_forward(&n, integer[2], (int)integer[13]);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

KERNEL(norm_backward)
{
    PARSE_WITH_NUMBER(19, dropout)
    const norm_step n = norm_step_of(integer, dropout);
    const norm_gradient g = {ADDRESS(14), ADDRESS(15), ADDRESS(16), ADDRESS(17)};
    Py_BEGIN_ALLOW_THREADS;
    norm_backward(&n, &g, integer[2], (int)integer[13]);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

KERNEL(processor)
{
    PARSE(0)
    const int vnni = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
    return Py_BuildValue("(NN)", PyBool_FromLong(vnni), PyBool_FromLong(vnni && __builtin_cpu_supports("avx512bf16")));
}

#define METHOD(name, text) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, text}

static PyMethodDef methods[] = {
    METHOD(processor, "Whether this processor can run the kernels at all, and the products of bfloat16."),
    METHOD(pack_weight, "w, N, K, item_bytes, packed"),
    METHOD(quantize_rows, "x, T, K, q, row_scale, threads"),
    METHOD(rescale_rows, "y, T, N, row_scale, bias, activation, threads"),
    METHOD(linear, "x, T, K, N, item_bytes, packed, bias, activation, y, threads, row_scale, column_scale, offset"),
    METHOD(add_norm, "x, residual, T, D, item_bytes, weight, bias, y, threads, eps"),
    METHOD(attention, "q, k, v, q_stride, stride, cu_seqlens, B, N, H, first_only, item_bytes, out, threads, "
                      "log_sum, seed, dropout"),
    METHOD(attention_backward, "those of attention up to seed, d_out, d_q, d_k, d_v, dropout"),
    METHOD(norm_forward, "x, residual, T, D, item_bytes, weight, bias, eps' address, seed, sum, mean, scale, y, "
                         "threads, dropout"),
    METHOD(norm_backward, "those of norm_forward up to threads, dy, dx, d_residual, sums, dropout"),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernels", "AVX-512 kernels; bertblocks.encoder.native checks their arguments.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModule_Create(&module);
}
