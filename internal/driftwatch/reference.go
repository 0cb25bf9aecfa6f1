package driftwatch

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Reference is a profile for comparing a model or a version, or the error that prevents it.
type Reference struct {
	profile *drift.Profile
	digest  string
	from    string // one of the sources in package api
	err     error

	performance *performance // nil: the profile knows no labels
}

// same reports whether two references are equal.
func (r *Reference) same(o *Reference) bool {
	return r == o || r != nil && o != nil && r.err == nil && o.err == nil && r.digest == o.digest && r.from == o.from
}

// opener checks and opens a profile's file.
type opener interface {
	Stat(name string) (fs.FileInfo, error)
	Open(name string) (*os.File, error)
}

// anywhere opens files of the host by path.
type anywhere struct{}

func (anywhere) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (anywhere) Open(name string) (*os.File, error)    { return os.Open(name) }

func (r *Reference) read(files opener, path string) error {
	if info, err := files.Stat(path); err != nil {
		return fileError(err)
	} else if !info.Mode().IsRegular() { // opening a named pipe would block, and all changes would wait
		return infer.Errorf(infer.Invalid, "it is not a regular file")
	}
	file, err := files.Open(path)
	if err != nil {
		return fileError(err)
	}
	defer file.Close() //nolint:errcheck // only read
	if r.profile, err = drift.Read(file, drift.MaxProfileBytes); err != nil {
		return err
	}
	if r.performance, err = r.readPerformance(); err != nil {
		return err
	}
	r.digest, err = r.profile.Digest()
	return err
}

// CheckProfiles returns the errors of the profiles in a configuration, by model. Whether a profile
// fits its model is checked only when the model is served.
func CheckProfiles(cfg *config.Config) map[string]error {
	errs := map[string]error{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		path := cfg.Model(name).Drift.Profile
		if path == "" || path == config.NoProfile {
			continue
		}
		if err := new(Reference).read(anywhere{}, path); err != nil {
			errs[name] = err
		}
	}
	return errs
}

// fileError returns an error about an unreadable file, without its path.
func fileError(err error) error {
	why := "it cannot be read"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		why = "the permission to read it is missing"
	}
	return &infer.Error{Code: infer.Invalid, Msg: why, Err: err}
}

// Segments returns the segments that are streams of their own, at most so many named ones.
func (r *Reference) Segments(most int) []string {
	if r == nil || r.err != nil {
		return nil
	}
	return r.profile.SegmentsUpTo(most)
}

// SegmentParameter returns the parameter of requests that is their segment, "" for none.
func (r *Reference) SegmentParameter() string {
	if r == nil || r.err != nil || r.profile.Segment == nil {
		return ""
	}
	return r.profile.Segment.Parameter
}

// Err returns the error that prevents comparisons with the reference, nil if there is none.
func (r *Reference) Err() error { return r.err }

// Columns returns the names of the inputs' features, by input and in the order of the elements of a
// row; nil if there is no profile. It leaves out an input with an unnamed element before its last
// one.
func (r *Reference) Columns() map[string][]string {
	if r == nil || r.err != nil {
		return nil
	}
	names := map[string][]string{}
	count := map[string]int{}
	for i := range r.profile.Features {
		f := &r.profile.Features[i]
		if f.Kind != drift.KindInput || f.Element >= len(r.profile.Features) {
			continue
		}
		list := names[f.Tensor]
		if more := f.Element + 1 - len(list); more > 0 {
			list = append(list, make([]string, more)...)
		}
		if list[f.Element] == "" { // else another feature of the same text
			count[f.Tensor]++
		}
		list[f.Element] = f.Column()
		names[f.Tensor] = list
	}
	maps.DeleteFunc(names, func(tensor string, list []string) bool { return count[tensor] != len(list) })
	return names
}

// Profile returns the status of the reference for a version's signature.
func (r *Reference) Profile(m *infer.Model) *api.ModelProfile {
	p := &api.ModelProfile{From: r.from, Digest: r.digest}
	err := r.err
	if err == nil {
		err = r.profile.Fits(m)
	}
	if err != nil {
		p.Reason = infer.Message(err)
	}
	return p
}

// FitsAny returns nil if the profile fits any of a model's versions, or if there are none.
// Otherwise it returns the error for the newest version.
func (r *Reference) FitsAny(model string, live map[infer.Version]*registry.Leased) (err error) {
	newest := int64(0)
	for v, leased := range live {
		if v.Model != model {
			continue
		}
		why := r.profile.Fits(leased.Model())
		if why == nil {
			return nil
		}
		if v.Number > newest {
			newest, err = v.Number, why
		}
	}
	return err
}
