package registry

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// maxWarnings is the max number of warnings of one scan. A home directory has thousands of
// entries that are not models.
const maxWarnings = 20

const layout = "MODEL/VERSION/" + ModelFile

// Listing is the content of a repository.
type Listing struct {
	Models []Found // sorted by name
	// Warnings are about entries that look like models but are not used. There are at most
	// maxWarnings, and one more that counts the others.
	Warnings []api.RepositoryWarning
}

func (l *Listing) warn(list ...api.RepositoryWarning) { l.Warnings = append(l.Warnings, list...) }

// finish adds the warnings about the repository as a whole, and limits their number.
func (l *Listing) finish(ownVersions []string) {
	switch {
	case len(ownVersions) > 0:
		l.warn(api.RepositoryWarning{
			Path:    ".",
			Problem: fmt.Sprintf("the folder looks like that of one model: it has the version folder %s/", ownVersions[0]),
			Advice:  "use its parent folder as the repository, or serve this model alone: gateway serve FOLDER",
		})
	case len(l.Models) == 0 && len(l.Warnings) == 0:
		l.warn(api.RepositoryWarning{Path: ".", Problem: "the repository is empty", Advice: "put a model at " + layout + " below it"})
	}
	if more := len(l.Warnings) - maxWarnings; more > 0 {
		l.Warnings = append(l.Warnings[:maxWarnings:maxWarnings], api.RepositoryWarning{
			Path: ".", Problem: fmt.Sprintf("%d more entries are not used", more),
			Advice: "check that this is the folder with " + layout,
		})
	}
}

// stray returns a warning about an entry of the repository that is not a folder. It is not
// ok for bystanders.
func stray(name string) (w api.RepositoryWarning, ok bool) {
	w = api.RepositoryWarning{Path: name, Problem: "a file is not a model", Advice: "move it out of the repository; models are at " + layout}
	switch stem, isModel := strings.CutSuffix(name, ".onnx"); {
	case bystander(name):
		return w, false
	case name == ModelFile:
		w.Problem = "the folder looks like that of one version of a model"
		w.Advice = "serve it alone: gateway serve FOLDER; or move it to " + layout
	case isModel:
		w.Problem = "a model file is not used in this folder"
		w.Advice = fmt.Sprintf("move it to %s/1/%s, or serve it alone: gateway serve FILE", stem, ModelFile)
	}
	return w, true
}

// bystander reports whether an entry is not meant to be a model: hidden files, texts for
// people, and lost+found, which file systems have in their top folder.
func bystander(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".md") || strings.HasPrefix(name, "README") ||
		strings.HasPrefix(name, "LICENSE") || name == "lost+found"
}

// misplaced returns warnings about the entries of a model's folder that are not used. none
// means that the folder has no version.
func (r *Repository) misplaced(model string, entries []fs.DirEntry, none bool) (list []api.RepositoryWarning) {
	for _, e := range entries {
		name := e.Name()
		at := path.Join(model, name)
		if _, version := infer.ParseVersion(name); version || bystander(name) {
			continue
		}
		switch info, err := r.root.Stat(at); {
		case err != nil:
		case info.IsDir() && (none || r.holdsModel(at)):
			list = append(list, api.RepositoryWarning{
				Path: at + "/", Problem: "the name of a version's folder must be a number of 1 or more",
				Advice: "rename it, for example to " + path.Join(model, numberIn(name)),
			})
		case !info.IsDir() && name == ModelFile && !none:
			list = append(list, api.RepositoryWarning{
				Path: at, Problem: "the file is not used, since the model has version folders", Advice: "move it into a version folder of its own, or delete it",
			})
		case !info.IsDir() && name != ModelFile && strings.HasSuffix(name, ".onnx"):
			list = append(list, api.RepositoryWarning{
				Path: at, Problem: "the name of a model file must be " + ModelFile, Advice: "move it to " + path.Join(model, "1", ModelFile),
			})
		}
	}
	if none && len(list) == 0 {
		list = append(list, api.RepositoryWarning{
			Path: model + "/", Problem: "the folder has no version", Advice: "put the model at " + path.Join(model, "1", ModelFile),
		})
	}
	return list
}

// holdsModel reports whether a folder has a ModelFile.
func (r *Repository) holdsModel(dir string) bool {
	info, err := r.root.Stat(path.Join(dir, ModelFile))
	return err == nil && !info.IsDir()
}

// numberIn returns the number in a name such as v2 or 02, or 1 if there is none.
func numberIn(name string) string {
	digits := strings.TrimLeft(strings.TrimLeftFunc(name, func(r rune) bool { return r < '0' || r > '9' }), "0")
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	if _, ok := infer.ParseVersion(digits); !ok {
		return "1"
	}
	return digits
}
