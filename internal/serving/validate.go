package serving

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/golden"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// validate replays the golden rows of a version, and notes what it measures. It fails if an answer
// differs by more than the tolerance.
func (s *Version) validate(ctx context.Context, files *registry.Files) error {
	v := &api.Validation{Golden: api.GoldenSkipped}
	set, err := goldenRows(files)
	if err != nil {
		return err
	}
	if set != nil {
		took := make([]time.Duration, 0, len(set.Examples))
		for i := range set.Examples {
			began := time.Now()
			diff, err := s.replay(ctx, set, i)
			if err != nil {
				return err
			}
			took = append(took, time.Since(began))
			v.MaxDifference = max(v.MaxDifference, diff)
		}
		slices.Sort(took)
		v.Golden, v.Examples = api.GoldenPassed, len(took)
		v.Latency, v.MaxLatency = api.Duration(took[len(took)/2]), api.Duration(took[len(took)-1])
	}
	v.InstanceBytes = s.session.MemoryInUse()
	s.detail.Validation = v
	return nil
}

func (s *Version) replay(ctx context.Context, set *golden.Set, number int) (float64, error) {
	req := &infer.Request{Inputs: slices.Clone(set.Examples[number].Inputs)}
	if err := s.session.Model().Check(req); err != nil {
		return 0, infer.Errorf(infer.Invalid, "golden rows: example %d: %s", number, infer.Message(err))
	}
	resp, err := s.Predict(ctx, req)
	if err != nil {
		return 0, &infer.Error{Code: cmp.Or(infer.CodeOf(err), infer.Invalid), Msg: "golden rows: the model refused an example", Err: err}
	}
	defer resp.Release()
	return set.Compare(number, resp.Outputs)
}

// goldenRows reads the golden rows beside a version, nil if there are none.
func goldenRows(files *registry.Files) (*golden.Set, error) {
	file, err := files.Root.Open(registry.GoldenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no rows are not an error
	}
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "%s cannot be read", registry.GoldenFile)
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, golden.MaxBytes+1))
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "%s cannot be read", registry.GoldenFile)
	}
	return golden.Decode(text)
}
