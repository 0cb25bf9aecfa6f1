// ONNX Runtime in a loop of C, as fast as its C API goes: the limit for anything
// that serves through it.
#ifndef RAWORT_LOOP_H
#define RAWORT_LOOP_H

#if defined(__has_include)
#if !__has_include("onnxruntime_c_api.h")
#error "the ONNX Runtime headers are missing: run 'make setup'"
#endif
#endif
#include "onnxruntime_c_api.h"

// A model that is loaded. All functions that can fail return NULL, or a message to
// free.
typedef struct raw_session raw_session;

// The tensors of one thread: the input and the outputs, in memory that stays.
typedef struct raw_tensors raw_tensors;

// What one thread did in the time that counts.
typedef struct {
	int64_t runs;
	int64_t elapsed; // ns
	char *message; // why it failed; to free
} raw_count;

char *raw_open(const char *library);

// raw_load loads a model for one thread per run, without spinning. Without the
// arena it has no plans of memory either.
char *raw_load(const char *model, int arena, raw_session **session);
void raw_unload(raw_session *session);
size_t raw_outputs(const raw_session *session);
const char *raw_output_name(const raw_session *session, size_t i);

// raw_prepare copies the input and runs the model once to learn the outputs' shapes.
char *raw_prepare(raw_session *session, const float *input, const int64_t *dims, size_t rank, raw_tensors **tensors);
void raw_release(const raw_session *session, raw_tensors *tensors);

// raw_run runs the model into the outputs.
char *raw_run(raw_session *session, raw_tensors *tensors);
const float *raw_output(const raw_tensors *tensors, size_t i, const int64_t **dims, size_t *rank, size_t *elements);

// raw_loop runs the model on as many threads as there are tensors and returns after
// warmup and duration, in ns. The threads count from the same time on.
void raw_loop(raw_session *session, raw_tensors **tensors, size_t threads, int64_t warmup, int64_t duration, raw_count *counts);

#endif
