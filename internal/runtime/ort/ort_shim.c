#include "ort_shim.h"

#include <dlfcn.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The library's functions, set once by shim_open. The library stays loaded: it starts
// threads and registers destructors, so it cannot be unloaded safely.
static const OrtApiBase *base;
static const OrtApi *api;
static OrtMemoryInfo *cpu;
static char *loaded; // the path

#define TRY(call)                                                                                                      \
	do {                                                                                                               \
		OrtStatus *status_ = (call);                                                                                   \
		if (status_ != NULL)                                                                                           \
			return status_;                                                                                            \
	} while (0)

static char *message(const char *format, const char *detail) {
	size_t n = strlen(format) + strlen(detail) + 1;
	char *text = malloc(n);
	if (text != NULL)
		snprintf(text, n, format, detail);
	return text;
}

char *shim_open(const char *path) {
	if (api != NULL)
		return strcmp(path, loaded) == 0 ? NULL : message("another ONNX Runtime is already loaded: %s", loaded);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return message("%s", dlerror());
	const OrtApiBase *(*get)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
	if (get == NULL) {
		dlclose(library);
		return message("it is not an ONNX Runtime library: %s", "it has no OrtGetApiBase");
	}
	const OrtApi *found = get()->GetApi(ORT_API_VERSION);
	if (found == NULL) {
		char *text = message("ONNX Runtime %s is too old; 1.24 or later is needed", get()->GetVersionString());
		dlclose(library);
		return text;
	}
	OrtStatus *status = found->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &cpu);
	if (status != NULL) {
		char *text = message("%s", found->GetErrorMessage(status));
		found->ReleaseStatus(status);
		return text;
	}
	loaded = strdup(path);
	if (loaded == NULL)
		return message("%s", "out of memory");
	base = get();
	api = found;
	shim_trap_division((const void *)get);
	return NULL;
}

const char *shim_version(void) { return base->GetVersionString(); }

OrtStatus *shim_create_env(int threads, OrtEnv **env) {
	OrtThreadingOptions *options = NULL;
	TRY(api->CreateThreadingOptions(&options));
	OrtStatus *status = api->SetGlobalIntraOpNumThreads(options, threads);
	if (status == NULL)
		status = api->SetGlobalInterOpNumThreads(options, 1);
	if (status == NULL)
		status = api->SetGlobalSpinControl(options, 0);
	// Every error is returned as a status. The library's log to stderr would only repeat
	// it, unbounded and in another format.
	if (status == NULL)
		status = api->CreateEnvWithGlobalThreadPools(ORT_LOGGING_LEVEL_FATAL, "sluice", options, env);
	api->ReleaseThreadingOptions(options);
	return status;
}

void shim_release_env(OrtEnv *env) { api->ReleaseEnv(env); }
OrtStatus *shim_providers(char ***names, int *count) { return api->GetAvailableProviders(names, count); }

void shim_free_providers(char **names, int count) {
	OrtStatus *status = api->ReleaseAvailableProviders(names, count);
	if (status != NULL)
		api->ReleaseStatus(status);
}

OrtErrorCode shim_status_code(const OrtStatus *status) { return api->GetErrorCode(status); }
const char *shim_status_message(const OrtStatus *status) { return api->GetErrorMessage(status); }
void shim_release_status(OrtStatus *status) { api->ReleaseStatus(status); }

OrtStatus *shim_register_custom_ops(OrtSessionOptions *options, const char *path) {
	return api->RegisterCustomOpsLibrary_V2(options, path);
}

OrtStatus *shim_use_global_threads(OrtSessionOptions *options) { return api->DisablePerSessionThreads(options); }

OrtStatus *shim_has_config(const OrtSessionOptions *options, const char *key, int *has) {
	return api->HasSessionConfigEntry(options, key, has);
}

// undivided refuses a session if an integer was divided by zero while it was made.
static OrtStatus *undivided(OrtSession *session) {
	if (!shim_divided())
		return NULL;
	api->ReleaseSession(session); // ONNX Runtime has computed a constant
	return api->CreateStatus(SHIM_DIVIDED, "the model divides an integer by zero");
}

OrtStatus *shim_create_session(const OrtEnv *env, const char *path, const OrtSessionOptions *options,
	OrtSession **session) {
	shim_divided();
	TRY(api->CreateSession(env, path, options, session));
	return undivided(*session);
}

OrtStatus *shim_create_session_from(const OrtEnv *env, const void *model, size_t bytes, const OrtSessionOptions *options,
	OrtSession **session) {
	shim_divided();
	TRY(api->CreateSessionFromArray(env, model, bytes, options, session));
	return undivided(*session);
}

void shim_release_session(OrtSession *session) { api->ReleaseSession(session); }

void shim_trim(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

OrtStatus *shim_count(const OrtSession *session, int kind, size_t *count) {
	switch (kind) {
	case SHIM_INPUT:
		return api->SessionGetInputCount(session, count);
	case SHIM_OUTPUT:
		return api->SessionGetOutputCount(session, count);
	default:
		return api->SessionGetOverridableInitializerCount(session, count);
	}
}

// contained returns the element type of a sequence or an optional.
static OrtStatus *contained(const OrtTypeInfo *info, enum ONNXType type, enum ONNXType *element) {
	OrtTypeInfo *inner = NULL;
	if (type == ONNX_TYPE_SEQUENCE) {
		const OrtSequenceTypeInfo *sequence = NULL;
		TRY(api->CastTypeInfoToSequenceTypeInfo(info, &sequence));
		TRY(api->GetSequenceElementType(sequence, &inner));
	} else {
		const OrtOptionalTypeInfo *optional = NULL;
		TRY(api->CastTypeInfoToOptionalTypeInfo(info, &optional));
		TRY(api->GetOptionalContainedTypeInfo(optional, &inner));
	}
	OrtStatus *status = api->GetOnnxTypeFromTypeInfo(inner, element);
	api->ReleaseTypeInfo(inner);
	return status;
}

static OrtStatus *tensor_spec(const OrtTypeInfo *info, shim_spec *spec) {
	const OrtTensorTypeAndShapeInfo *tensor = NULL;
	TRY(api->CastTypeInfoToTensorInfo(info, &tensor));
	TRY(api->GetTensorElementType(tensor, &spec->dtype));
	spec->has_shape = api->TensorTypeAndShape_HasShape(tensor);
	if (!spec->has_shape)
		return NULL;
	TRY(api->GetDimensionsCount(tensor, &spec->rank));
	if (spec->rank > SHIM_MAX_RANK)
		return api->CreateStatus(ORT_NOT_IMPLEMENTED, "a tensor of more than 32 dimensions");
	TRY(api->GetDimensions(tensor, spec->dims, spec->rank));
	return api->GetSymbolicDimensions(tensor, spec->symbols, spec->rank);
}

OrtStatus *shim_get_spec(const OrtSession *session, int kind, size_t index, shim_spec *spec) {
	OrtAllocator *allocator = NULL;
	memset(spec, 0, sizeof *spec);
	TRY(api->GetAllocatorWithDefaultOptions(&allocator));
	switch (kind) {
	case SHIM_INPUT:
		TRY(api->SessionGetInputName(session, index, allocator, &spec->name));
		TRY(api->SessionGetInputTypeInfo(session, index, &spec->info));
		break;
	case SHIM_OUTPUT:
		TRY(api->SessionGetOutputName(session, index, allocator, &spec->name));
		TRY(api->SessionGetOutputTypeInfo(session, index, &spec->info));
		break;
	default:
		TRY(api->SessionGetOverridableInitializerName(session, index, allocator, &spec->name));
		TRY(api->SessionGetOverridableInitializerTypeInfo(session, index, &spec->info));
	}
	TRY(api->GetOnnxTypeFromTypeInfo(spec->info, &spec->type));
	switch (spec->type) {
	case ONNX_TYPE_TENSOR:
		return tensor_spec(spec->info, spec);
	case ONNX_TYPE_SEQUENCE:
	case ONNX_TYPE_OPTIONAL:
		return contained(spec->info, spec->type, &spec->element_type);
	default:
		return NULL;
	}
}

void shim_free_spec(shim_spec *spec) {
	OrtAllocator *allocator = NULL;
	OrtStatus *status = api->GetAllocatorWithDefaultOptions(&allocator);
	if (status == NULL && spec->name != NULL)
		status = api->AllocatorFree(allocator, spec->name);
	if (status != NULL)
		api->ReleaseStatus(status);
	if (spec->info != NULL)
		api->ReleaseTypeInfo(spec->info);
	memset(spec, 0, sizeof *spec);
}

OrtStatus *shim_create_run_options(OrtRunOptions **options) {
	TRY(api->CreateRunOptions(options));
	OrtStatus *status = api->RunOptionsSetRunLogSeverityLevel(*options, ORT_LOGGING_LEVEL_FATAL);
	if (status != NULL)
		api->ReleaseRunOptions(*options);
	return status;
}

void shim_release_run_options(OrtRunOptions *options) { api->ReleaseRunOptions(options); }
OrtStatus *shim_terminate(OrtRunOptions *options) { return api->RunOptionsSetTerminate(options); }
OrtStatus *shim_unset_terminate(OrtRunOptions *options) { return api->RunOptionsUnsetTerminate(options); }

void *shim_alloc(size_t bytes) {
	void *memory = NULL;
	return posix_memalign(&memory, 64, bytes) == 0 ? memory : NULL;
}

shim_plan *shim_new_plan(size_t inputs, size_t outputs) {
	size_t n = inputs + outputs;
	char *memory = calloc(1, sizeof(shim_plan) + n * (sizeof(char *) + sizeof(OrtValue *)));
	if (memory == NULL)
		return NULL;
	shim_plan *plan = (shim_plan *)memory;
	plan->inputs = inputs;
	plan->outputs = outputs;
	plan->input_names = (const char **)(memory + sizeof *plan);
	plan->output_names = plan->input_names + inputs;
	plan->input_values = (OrtValue **)(plan->output_names + outputs);
	plan->output_values = plan->input_values + inputs;
	return plan;
}

void shim_release_values(OrtValue **values, size_t n) {
	for (size_t i = 0; i < n; i++) {
		if (values[i] != NULL)
			api->ReleaseValue(values[i]);
		values[i] = NULL;
	}
}

void shim_free_plan(shim_plan *plan) {
	shim_release_values(plan->input_values, plan->inputs);
	shim_release_values(plan->output_values, plan->outputs);
	free(plan);
}

OrtStatus *shim_bind(OrtValue **value, int dtype, void *data, size_t bytes, const int64_t *dims, size_t rank) {
	return api->CreateTensorWithDataAsOrtValue(cpu, data, bytes, dims, rank, (enum ONNXTensorElementDataType)dtype,
		value);
}

static size_t load_length(const unsigned char *p) {
	return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

OrtStatus *shim_bind_strings(OrtValue **value, const char *data, size_t bytes, const int64_t *dims, size_t rank) {
	OrtAllocator *allocator = NULL;
	TRY(api->GetAllocatorWithDefaultOptions(&allocator));
	TRY(api->CreateTensorAsOrtValue(allocator, dims, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, value));
	size_t elements = 1;
	for (size_t i = 0; i < rank; i++)
		elements *= (size_t)dims[i];
	for (size_t i = 0; i < elements; i++) {
		size_t length = bytes < 4 ? SIZE_MAX : load_length((const unsigned char *)data);
		if (bytes < 4 || length > bytes - 4)
			return api->CreateStatus(ORT_INVALID_ARGUMENT, "the last string element is incomplete");
		char *buffer = NULL;
		TRY(api->GetResizedStringTensorElementBuffer(*value, i, length, &buffer));
		memcpy(buffer, data + 4, length);
		data += 4 + length;
		bytes -= 4 + length;
	}
	return NULL;
}

OrtStatus *shim_read_strings(const OrtValue *value, char *out, size_t bytes) {
	for (size_t i = 0; bytes > 0; i++) {
		size_t length = 0;
		TRY(api->GetStringTensorElementLength(value, i, &length));
		if (length > UINT32_MAX || bytes < 4 || length > bytes - 4)
			return api->CreateStatus(ORT_FAIL, "a string element is longer than announced");
		for (int byte = 0; byte < 4; byte++)
			out[byte] = (char)(length >> (8 * byte));
		TRY(api->GetStringTensorElement(value, length, i, out + 4));
		out += 4 + length;
		bytes -= 4 + length;
	}
	return NULL;
}

static OrtStatus *describe(OrtValue *value, shim_result *result) {
	OrtTensorTypeAndShapeInfo *info = NULL;
	enum ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
	TRY(api->GetTensorTypeAndShape(value, &info));
	OrtStatus *status = api->GetTensorElementType(info, &dtype);
	if (status == NULL)
		status = api->GetTensorShapeElementCount(info, &result->elements);
	if (status == NULL)
		status = api->GetDimensionsCount(info, &result->rank);
	if (status == NULL && result->rank > SHIM_MAX_RANK)
		status = api->CreateStatus(ORT_NOT_IMPLEMENTED, "an output of more than 32 dimensions");
	if (status == NULL)
		status = api->GetDimensions(info, result->dims, result->rank);
	api->ReleaseTensorTypeAndShapeInfo(info);
	if (status != NULL)
		return status;
	result->data = NULL;
	result->text = 0;
	if (dtype == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING)
		return api->GetStringTensorDataLength(value, &result->text);
	return api->GetTensorMutableData(value, &result->data);
}

OrtStatus *shim_run(OrtSession *session, const OrtRunOptions *options, shim_plan *plan, shim_result *results) {
	if (results != NULL)
		shim_release_values(plan->output_values, plan->outputs);
	shim_divided();
	TRY(api->Run(session, options, plan->input_names, (const OrtValue *const *)plan->input_values, plan->inputs,
		plan->output_names, plan->outputs, plan->output_values));
	if (shim_divided())
		return api->CreateStatus(SHIM_DIVIDED, "an integer was divided by zero");
	for (size_t i = 0; results != NULL && i < plan->outputs; i++)
		TRY(describe(plan->output_values[i], &results[i]));
	return NULL;
}
