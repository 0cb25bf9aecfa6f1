package batch

import (
	"fmt"

	"sluice.io/sluice/api"
)

// Finding says whether requests for a model can be joined, and why.
type Finding struct {
	Batchable bool
	// Undecided says that made-up data could not show it, and nothing speaks against it: a
	// Trial with real requests can decide. Until then requests run alone.
	Undecided bool
	// Relaxable says that the only reason against it is first dimensions that are fixed at 1.
	// If these are made free, the finding of Probe may change.
	Relaxable bool
	Summary   string // a few words for a list: "yes, probed", "no, rows mix"
	Reason    string // one sentence without its full stop
	Advice    string // what the operator can do, in one sentence; empty if nothing
}

// The summaries.
const (
	yesProbed     = "yes, probed"
	yesTried      = "yes, tried"
	yesConfigured = "yes, configured"
	noConfigured  = "no, configured"
	noFixed       = "no, fixed rows"
	noRows        = "no, no rows"
	noAxis        = "no, other axis"
	noMixed       = "no, rows mix"
	noUnknown     = "no, undecided"
	onTrial       = "on trial"
)

// Configured is the finding if a setting decides.
func Configured(batchable bool) Finding {
	if batchable {
		return Finding{Batchable: true, Summary: yesConfigured, Reason: "batching.enabled is true"}
	}
	return Finding{Summary: noConfigured, Reason: "batching.enabled is false"}
}

// NotRelaxed is the finding of a model that is served with its fixed first dimension, since it
// does not work with a free one. problem says why.
func NotRelaxed(problem string) Finding {
	return Finding{
		Summary: noFixed,
		Reason:  "the model's first dimension is fixed, and it cannot be made free: " + problem,
		Advice:  "export the model with a free first dimension",
	}
}

// Status returns the finding as the control API shows it. maxSize is the most rows of a run.
func (f Finding) Status(maxSize int) api.BatchingStatus {
	s := api.BatchingStatus{Enabled: f.Batchable, Summary: f.Summary, Reason: f.Reason, Advice: f.Advice}
	if f.Batchable {
		s.MaxSize = maxSize
	}
	return s
}

// mixed is the finding of a model whose rows depend on the rows beside them.
func mixed(format string, args ...any) Finding {
	return Finding{Summary: noMixed, Reason: fmt.Sprintf(format, args...)}
}

// undecided is the finding of a model for which made-up data decided nothing.
func undecided(reason string) Finding {
	return Finding{
		Undecided: true, Summary: noUnknown, Reason: reason,
		Advice: "set batching.enabled to true if the rows of a request do not depend on each other",
	}
}
