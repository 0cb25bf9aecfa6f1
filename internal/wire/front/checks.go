package front

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// What every listener says of the server, and of how models are run.
const (
	Name       = "sluice"
	TritonName = "triton" // under compat: triton, since some clients check it
	Platform   = "onnxruntime_onnx"
)

// Extensions returns the protocol's extensions that work.
func Extensions() []string {
	return []string{"binary_tensor_data", "classification", "logging", "model_configuration", "model_repository", "model_repository(unload_dependents)", "parameters", "schedule_policy", "statistics", "trace"}
}

// CheckName returns an Invalid error if a called name cannot be that of a model.
func CheckName(name string) error {
	if infer.ValidName(name) {
		return nil
	}
	return infer.Errorf(infer.Invalid, "'%s' is not a valid model name: expected UTF-8 of at most %d bytes, without a slash, a control character or a blank at its ends",
		Cut(name), infer.MaxNameBytes)
}

// Cut shortens a name of the caller's for a message.
func Cut(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// CheckOverride checks the header Sluice-Override, which was given.
func CheckOverride(value []byte) error {
	if len(value) == 0 {
		return infer.Errorf(infer.Invalid, "header 'Sluice-Override' is empty, expected the number of a version")
	}
	return nil
}

// CheckSticky checks the key in a header.
func CheckSticky(header string, key []byte, limit int) error {
	if len(key) > limit {
		return infer.Errorf(infer.Invalid, "the sticky key in header '%s' is longer than the limit of %d bytes", header, limit)
	}
	return nil
}

// CheckAnswer checks the size of the outputs of an answer, or of what becomes of them.
func CheckAnswer(size, limit int) error {
	if size > limit {
		return infer.Errorf(infer.TooLarge, "the answer takes %d bytes, more than the limit of %d; ask for fewer rows or outputs, or for binary data", size, limit)
	}
	return nil
}

// A Change is a call that loads or unloads a model.
type Change struct {
	Load      bool // else it is unloaded
	Model     string
	By        api.Actor
	RequestID []byte
	Triton    bool // what is not there needs no unloading
}

// Control makes a change and logs it. Errors are the Catalog's.
func (f *Front) Control(ctx context.Context, c *Change) error {
	do, verb := f.Unload, "unload"
	if c.Load {
		do, verb = f.Load, "load"
	}
	err := do(ctx, c.Model, c.By)
	if c.Triton && !c.Load && infer.CodeOf(err) == infer.NotFound {
		err = nil
	}
	f.log.Info("repository control", zap.String("action", verb), zap.String("model", Printable(c.Model)),
		zap.String("actor", Printable(c.By.Actor)), zap.Bool("actor_verified", c.By.Verified), zap.String("reason", Printable(c.By.Reason)),
		zap.String("request_id", string(c.RequestID)), zap.Stringer("code", infer.CodeOf(err)))
	return err
}

// CheckParameter refuses the parameters of a Change that would change a model from outside
// its repository, and those that nothing reads.
func CheckParameter(load bool, name string) error {
	switch {
	case load && (name == "config" || strings.HasPrefix(name, "file:")):
		return infer.Errorf(infer.Unsupported, "parameter '%s' is not supported: only the repository and the server's configuration describe a model", name)
	case !load && name == "unload_dependents": // nothing depends on a model
		return nil
	default:
		return infer.Errorf(infer.Invalid, "unknown parameter '%s'", name)
	}
}
