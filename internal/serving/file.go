package serving

import (
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
)

// File is a model file that is loaded.
type File struct {
	root    *os.Root // the folder that holds it
	name    string   // in root
	path    string   // a path of the host
	changed []byte   // replaces its content; nil if that is loaded
	head    onnxfile.Head
	traits  onnxfile.Traits
	zipMaps []onnxfile.ZipMap // the ones that were removed
}

// openFile checks the external data of a model file, reads its head, and removes its ZipMaps.
// root is the folder of path.
func openFile(root *os.Root, path string, labels config.ClassLabels) (f *File, err error) {
	f = &File{root: root, name: filepath.Base(path), path: path}
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
	if f.head, err = onnxfile.ReadHead(root, f.name, int(labels.MaxBytes)); err != nil {
		return nil, err
	}
	f.traits, err = onnxfile.TraitsOf(root, f.name)
	return f, err
}

// Load loads a model file as a version would, for a command that serves no requests. root is
// the folder of path. Errors are *infer.Error and have no path of the host.
func Load(runtime Runtime, root *os.Root, path string, v infer.Version, m config.Model, log *zap.Logger) (Session, error) {
	f, err := openFile(root, path, m.ClassLabels)
	if err != nil {
		return nil, err
	}
	session, err := runtime.Load(f, v, m)
	if err != nil {
		return nil, err
	}
	nameClasses(session.Model(), f, m.ClassLabels, log)
	return session, nil
}

// cutOff returns the names of the outputs whose ZipMap was removed.
func (f *File) cutOff() []string {
	names := make([]string, 0, len(f.zipMaps))
	for _, z := range f.zipMaps {
		names = append(names, z.Output)
	}
	return names
}
