// A thin layer over ONNX Runtime's C API: functions that the Go binding lacks, and the
// run as one call. It keeps no pointer to Go memory after a call. Every function that
// can fail returns an OrtStatus that the caller must release.
#ifndef SLUICE_ORT_SHIM_H
#define SLUICE_ORT_SHIM_H

#if defined(__has_include)
#if !__has_include("onnxruntime_c_api.h")
#error "the ONNX Runtime headers are missing: run 'make setup'"
#endif
#endif
#include "onnxruntime_c_api.h"

#define SHIM_MAX_RANK 32
// The code of the status for an integer that was divided by zero.
#define SHIM_DIVIDED ((OrtErrorCode)1000)

// Kinds of a session's arguments.
enum { SHIM_INPUT, SHIM_OUTPUT, SHIM_INITIALIZER };

// One argument of a session, as its file declares it. shim_free_spec frees it.
typedef struct {
	char *name;
	enum ONNXType type;
	enum ONNXType element_type; // of a sequence or an optional
	enum ONNXTensorElementDataType dtype; // of a tensor
	int has_shape;
	size_t rank;
	int64_t dims[SHIM_MAX_RANK];
	const char *symbols[SHIM_MAX_RANK];
	OrtTypeInfo *info; // owns the symbols
} shim_spec;

// The arguments of runs that have the same shapes. Names belong to the session.
typedef struct {
	size_t inputs, outputs;
	const char **input_names, **output_names;
	OrtValue **input_values, **output_values;
} shim_plan;

// One output of a run that the runtime allocated. The data belongs to its value.
typedef struct {
	void *data; // NULL for strings
	size_t elements, text; // text: the sum of the bytes of all strings
	size_t rank;
	int64_t dims[SHIM_MAX_RANK];
} shim_result;

// shim_open loads the library. It returns NULL, or a message that the caller must free.
char *shim_open(const char *path);
const char *shim_version(void);
OrtStatus *shim_create_env(int threads, OrtEnv **env);
void shim_release_env(OrtEnv *env);
OrtStatus *shim_providers(char ***names, int *count);
void shim_free_providers(char **names, int count);

OrtErrorCode shim_status_code(const OrtStatus *status);
const char *shim_status_message(const OrtStatus *status);
void shim_release_status(OrtStatus *status);

OrtStatus *shim_register_custom_ops(OrtSessionOptions *options, const char *path);
OrtStatus *shim_use_global_threads(OrtSessionOptions *options);
OrtStatus *shim_has_config(const OrtSessionOptions *options, const char *key, int *has);
OrtStatus *shim_create_session(const OrtEnv *env, const char *path, const OrtSessionOptions *options, OrtSession **session);
// shim_create_session_from makes a session of a model in memory, which is not used afterwards.
OrtStatus *shim_create_session_from(const OrtEnv *env, const void *model, size_t bytes, const OrtSessionOptions *options,
	OrtSession **session);
void shim_release_session(OrtSession *session);
void shim_trim(void); // gives freed memory back to the system
OrtStatus *shim_count(const OrtSession *session, int kind, size_t *count);
OrtStatus *shim_get_spec(const OrtSession *session, int kind, size_t index, shim_spec *spec);
void shim_free_spec(shim_spec *spec);

OrtStatus *shim_create_run_options(OrtRunOptions **options);
void shim_release_run_options(OrtRunOptions *options);
OrtStatus *shim_terminate(OrtRunOptions *options);
OrtStatus *shim_unset_terminate(OrtRunOptions *options);

void *shim_alloc(size_t bytes); // aligned to 64 bytes; NULL if there is no memory
shim_plan *shim_new_plan(size_t inputs, size_t outputs);
void shim_free_plan(shim_plan *plan);
void shim_release_values(OrtValue **values, size_t n);
// shim_bind makes *value a tensor over memory that must outlive it.
OrtStatus *shim_bind(OrtValue **value, int dtype, void *data, size_t bytes, const int64_t *dims, size_t rank);
// shim_bind_strings makes *value a tensor of strings. It copies them from elements that
// each begin with their length in 4 bytes, little-endian.
OrtStatus *shim_bind_strings(OrtValue **value, const char *data, size_t bytes, const int64_t *dims, size_t rank);
// shim_read_strings writes all elements of value in the same format to out. They fill its
// bytes exactly.
OrtStatus *shim_read_strings(const OrtValue *value, char *out, size_t bytes);

// shim_run runs the plan. If results is not NULL, the runtime allocates the outputs and
// results describes them. Otherwise the plan's output values receive them.
OrtStatus *shim_run(OrtSession *session, const OrtRunOptions *options, shim_plan *plan, shim_result *results);

// shim_trap_division makes integer divisions by zero give 0 in the library that contains
// the address. shim_divided returns whether this thread had one since the last call.
void shim_trap_division(const void *inside);
int shim_divided(void);

#endif
