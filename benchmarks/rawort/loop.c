#include "loop.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// The library, set once by raw_open. It stays loaded.
static const OrtApi *api;
static OrtEnv *env;
static OrtMemoryInfo *cpu;

enum { MAX_RANK = 8, ALIGNMENT = 64 };

struct raw_session {
	OrtSession *session;
	OrtAllocator *allocator; // of the names
	char *input_name, **output_names;
	size_t outputs;
};

typedef struct {
	float *data;
	OrtValue *value;
	int64_t dims[MAX_RANK];
	size_t rank, elements;
} tensor;

struct raw_tensors {
	tensor input, *outputs;
	OrtValue **values; // those of the outputs
};

// text returns what a status says and releases it; NULL for none.
static char *text(OrtStatus *status) {
	if (status == NULL)
		return NULL;
	char *message = strdup(api->GetErrorMessage(status));
	api->ReleaseStatus(status);
	return message;
}

#define TRY(call)                                                                                                      \
	do {                                                                                                               \
		char *message_ = (call);                                                                                       \
		if (message_ != NULL)                                                                                          \
			return message_;                                                                                           \
	} while (0)

char *raw_open(const char *library) {
	if (api != NULL)
		return NULL;
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return strdup(dlerror());
	const OrtApiBase *(*get)(void) = (const OrtApiBase *(*)(void))dlsym(handle, "OrtGetApiBase");
	if (get == NULL)
		return strdup("the library has no OrtGetApiBase");
	const OrtApi *found = get()->GetApi(ORT_API_VERSION);
	if (found == NULL)
		return strdup("the library is older than the headers");
	api = found;
	TRY(text(api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "rawort", &env)));
	TRY(text(api->DisableTelemetryEvents(env)));
	return text(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &cpu));
}


static char *configure(OrtSessionOptions *options, int arena) {
	TRY(text(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL)));
	TRY(text(api->SetSessionExecutionMode(options, ORT_SEQUENTIAL)));
	TRY(text(api->SetIntraOpNumThreads(options, 1)));
	TRY(text(api->SetInterOpNumThreads(options, 1)));
	TRY(text(api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0")));
	TRY(text(api->AddSessionConfigEntry(options, "session.inter_op.allow_spinning", "0")));
	if (arena)
		return NULL; // the defaults
	// Nor plans of memory by shape: they help some models and slow the smallest.
	TRY(text(api->DisableMemPattern(options)));
	return text(api->DisableCpuMemArena(options));
}

static char *describe(raw_session *s) {
	size_t inputs = 0;
	TRY(text(api->GetAllocatorWithDefaultOptions(&s->allocator)));
	TRY(text(api->SessionGetInputCount(s->session, &inputs)));
	if (inputs != 1)
		return strdup("the model does not have one input");
	TRY(text(api->SessionGetInputName(s->session, 0, s->allocator, &s->input_name)));
	TRY(text(api->SessionGetOutputCount(s->session, &s->outputs)));
	s->output_names = calloc(s->outputs, sizeof *s->output_names);
	if (s->output_names == NULL)
		return strdup("out of memory");
	for (size_t i = 0; i < s->outputs; i++)
		TRY(text(api->SessionGetOutputName(s->session, i, s->allocator, &s->output_names[i])));
	return NULL;
}

char *raw_load(const char *model, int arena, raw_session **session) {
	OrtSessionOptions *options = NULL;
	TRY(text(api->CreateSessionOptions(&options)));
	raw_session *s = calloc(1, sizeof *s);
	char *message = s == NULL ? strdup("out of memory") : configure(options, arena);
	if (message == NULL)
		message = text(api->CreateSession(env, model, options, &s->session));
	if (message == NULL)
		message = describe(s);
	api->ReleaseSessionOptions(options);
	if (message != NULL) {
		raw_unload(s);
		return message;
	}
	*session = s;
	return NULL;
}

void raw_unload(raw_session *s) {
	if (s == NULL)
		return;
	if (s->input_name != NULL)
		free(text(api->AllocatorFree(s->allocator, s->input_name)));
	for (size_t i = 0; s->output_names != NULL && i < s->outputs; i++)
		if (s->output_names[i] != NULL)
			free(text(api->AllocatorFree(s->allocator, s->output_names[i])));
	free(s->output_names);
	if (s->session != NULL)
		api->ReleaseSession(s->session);
	free(s);
}

size_t raw_outputs(const raw_session *s) { return s->outputs; }
const char *raw_output_name(const raw_session *s, size_t i) { return s->output_names[i]; }

// allocate makes a tensor of t's shape in memory of its own.
static char *allocate(tensor *t) {
	t->elements = 1;
	for (size_t i = 0; i < t->rank; i++)
		t->elements *= (size_t)t->dims[i];
	void *memory = NULL;
	size_t bytes = t->elements * sizeof(float);
	if (posix_memalign(&memory, ALIGNMENT, bytes + ALIGNMENT) != 0)
		return strdup("out of memory");
	memset(memory, 0, bytes);
	t->data = memory;
	return text(api->CreateTensorWithDataAsOrtValue(cpu, t->data, bytes, t->dims, t->rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &t->value));
}

static char *read_shape(const OrtTensorTypeAndShapeInfo *info, tensor *t) {
	enum ONNXTensorElementDataType dtype;
	TRY(text(api->GetTensorElementType(info, &dtype)));
	TRY(text(api->GetDimensionsCount(info, &t->rank)));
	if (dtype != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || t->rank > MAX_RANK)
		return strdup("an output is not FP32 of 8 dimensions at most");
	return text(api->GetDimensions(info, t->dims, t->rank));
}

// learn takes the outputs' shapes from a run whose outputs the runtime allocates.
static char *learn(raw_session *s, raw_tensors *t) {
	OrtValue **found = calloc(s->outputs, sizeof *found);
	if (found == NULL)
		return strdup("out of memory");
	char *message = text(api->Run(s->session, NULL, (const char *const *)&s->input_name, (const OrtValue *const *)&t->input.value, 1,
	                              (const char *const *)s->output_names, s->outputs, found));
	for (size_t i = 0; message == NULL && i < s->outputs; i++) {
		OrtTensorTypeAndShapeInfo *info = NULL;
		message = text(api->GetTensorTypeAndShape(found[i], &info));
		if (message == NULL)
			message = read_shape(info, &t->outputs[i]);
		if (info != NULL)
			api->ReleaseTensorTypeAndShapeInfo(info);
	}
	for (size_t i = 0; i < s->outputs; i++)
		if (found[i] != NULL)
			api->ReleaseValue(found[i]);
	free(found);
	return message;
}

static char *prepare(raw_session *s, const float *input, raw_tensors *t) {
	t->outputs = calloc(s->outputs, sizeof *t->outputs);
	t->values = calloc(s->outputs, sizeof *t->values);
	if (t->outputs == NULL || t->values == NULL)
		return strdup("out of memory");
	TRY(allocate(&t->input));
	memcpy(t->input.data, input, t->input.elements * sizeof(float));
	TRY(learn(s, t));
	for (size_t i = 0; i < s->outputs; i++) {
		TRY(allocate(&t->outputs[i]));
		t->values[i] = t->outputs[i].value;
	}
	return NULL;
}

char *raw_prepare(raw_session *s, const float *input, const int64_t *dims, size_t rank, raw_tensors **tensors) {
	if (rank > MAX_RANK)
		return strdup("the shape has more than 8 dimensions");
	raw_tensors *t = calloc(1, sizeof *t);
	if (t == NULL)
		return strdup("out of memory");
	t->input.rank = rank;
	memcpy(t->input.dims, dims, rank * sizeof *dims);
	char *message = prepare(s, input, t);
	if (message != NULL) {
		raw_release(s, t);
		return message;
	}
	*tensors = t;
	return NULL;
}

static void release(tensor *t) {
	if (t->value != NULL)
		api->ReleaseValue(t->value);
	free(t->data);
}

void raw_release(const raw_session *s, raw_tensors *t) {
	if (t == NULL)
		return;
	release(&t->input);
	for (size_t i = 0; t->outputs != NULL && i < s->outputs; i++)
		release(&t->outputs[i]);
	free(t->outputs);
	free(t->values);
	free(t);
}

static inline OrtStatus *run(raw_session *s, raw_tensors *t) {
	return api->Run(s->session, NULL, (const char *const *)&s->input_name, (const OrtValue *const *)&t->input.value, 1,
	                (const char *const *)s->output_names, s->outputs, t->values);
}

char *raw_run(raw_session *s, raw_tensors *t) { return text(run(s, t)); }

const float *raw_output(const raw_tensors *t, size_t i, const int64_t **dims, size_t *rank, size_t *elements) {
	*dims = t->outputs[i].dims;
	*rank = t->outputs[i].rank;
	*elements = t->outputs[i].elements;
	return t->outputs[i].data;
}

static int64_t now(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

typedef struct {
	raw_session *session;
	raw_tensors *tensors;
	int64_t begin, end; // of what counts
	raw_count *count;
} job;

// until runs until the time has come and looks at the clock after each chunk of
// runs. It returns how many runs it made.
static int64_t until(job *j, int64_t end, int64_t chunk) {
	int64_t runs = 0;
	do {
		for (int64_t i = 0; i < chunk; i++) {
			OrtStatus *status = run(j->session, j->tensors);
			if (status != NULL) {
				j->count->message = text(status);
				return runs;
			}
		}
		runs += chunk;
	} while (now(CLOCK_MONOTONIC) < end);
	return runs;
}

static void *work(void *argument) {
	job *j = argument;
	int64_t from = now(CLOCK_MONOTONIC);
	int64_t runs = until(j, j->begin, 1);
	if (j->count->message != NULL)
		return NULL;
	// As many runs as take 50 µs: the clock is not noticed.
	int64_t begin = now(CLOCK_MONOTONIC);
	int64_t chunk = 1 + 50000 * runs / (begin - from + 1);
	j->count->runs = until(j, j->end, chunk);
	j->count->elapsed = now(CLOCK_MONOTONIC) - begin;
	return NULL;
}

void raw_loop(raw_session *s, raw_tensors **tensors, size_t threads, int64_t warmup, int64_t duration, raw_count *counts) {
	job *jobs = calloc(threads, sizeof *jobs);
	pthread_t *ids = calloc(threads, sizeof *ids);
	memset(counts, 0, threads * sizeof *counts);
	if (jobs == NULL || ids == NULL) {
		counts[0].message = strdup("out of memory");
		free(jobs);
		free(ids);
		return;
	}
	int64_t begin = now(CLOCK_MONOTONIC) + warmup;
	size_t started = 0;
	for (; started < threads; started++) {
		jobs[started] = (job){s, tensors[started], begin, begin + duration, &counts[started]};
		if (pthread_create(&ids[started], NULL, work, &jobs[started]) != 0) {
			counts[started].message = strdup("a thread cannot be started");
			break;
		}
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	free(jobs);
	free(ids);
}
