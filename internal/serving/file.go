package serving

import (
	"errors"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
)

// file is a model file as it is loaded.
type file struct {
	root    *os.Root // the folder that holds it
	name    string   // in root
	path    string   // the host's
	changed []byte   // in place of its content, if a ZipMap was cut off; else nil
	zipMaps []onnxfile.ZipMap
}

// openFile checks the external data of a model file, and cuts off its ZipMaps. root is
// the folder of path.
func openFile(root *os.Root, path string) (*file, error) {
	f := &file{root: root, name: filepath.Base(path), path: path}
	if err := onnxfile.VerifyExternalData(root, f.name); err != nil {
		return nil, err
	}
	cut, err := onnxfile.Adapt(root, f.name)
	if err != nil {
		return nil, err
	}
	if cut != nil {
		f.changed, f.zipMaps = cut.Model, cut.ZipMaps
	}
	return f, nil
}

// Load loads a model file as a version would be, for a command that serves no requests.
// root is the folder of path. Errors are *infer.Error and name no path of the host.
func Load(runtime Runtime, root *os.Root, path string, v infer.Version, m config.Model, log *zap.Logger) (Session, error) {
	f, err := openFile(root, path)
	if err != nil {
		return nil, err
	}
	session, err := runtime.Load(path, f.changed, v, m)
	if err != nil {
		return nil, err
	}
	if _, err := nameClasses(session.Model(), f, m.Labels, log); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return session, nil
}

// cutOff returns the names of the outputs that a ZipMap was cut off.
func (f *file) cutOff() []string {
	names := make([]string, 0, len(f.zipMaps))
	for _, z := range f.zipMaps {
		names = append(names, z.Output)
	}
	return names
}
