package api

import (
	"fmt"
	"strings"
	"time"
)

// The types of events about rollouts. The subject is "rollouts/ROUTE" and the field after a
// Rollout, for all of them.
const (
	EventRolloutStarted    = "rollout.started"
	EventRolloutApproved   = "rollout.approved"
	EventRolloutAdvanced   = "rollout.advanced" // to another state or step
	EventRolloutObserved   = "rollout.observed" // the evidence so far
	EventRolloutPaused     = "rollout.paused"
	EventRolloutResumed    = "rollout.resumed"
	EventRolloutAborted    = "rollout.aborted"     // no traffic goes to the version any more
	EventRolloutRolledBack = "rollout.rolled_back" // and the route is as it was before
	EventRolloutCompleted  = "rollout.completed"
	EventRolloutUnfrozen   = "rollout.unfrozen"
)

// The states of a rollout. The last two are final.
const (
	RolloutValidating = "VALIDATING" // the version is being loaded and checked
	RolloutAwaiting   = "AWAITING_APPROVAL"
	RolloutShadowing  = "SHADOWING" // the version gets copies of requests
	RolloutCanary     = "CANARY"    // the version gets a share of the requests
	RolloutBaking     = "BAKING"    // the version gets all requests, and the stable one is still loaded
	RolloutPaused     = "PAUSED"
	RolloutAborting   = "ABORTING" // no traffic goes to the version, but the route is not restored yet
	RolloutRolledBack = "ROLLED_BACK"
	RolloutCompleted  = "COMPLETED"
)

// What to do if the time of a step is over and the evidence allows no verdict.
const (
	InconclusiveHold  = "hold"  // pause, and wait for a person
	InconclusiveShip  = "ship"  // go on
	InconclusiveAbort = "abort" // roll back
)

// The guardrails of a rollout.
const (
	GuardrailErrors   = "errors"   // failures of the version itself
	GuardrailRefusals = "refusals" // requests whose values its model refused
	GuardrailLatency  = "latency"  // answers slower than the objective
	GuardrailSplit    = "split"    // requests by variant, compared with the weights

	GuardrailAgreement = "agreement" // rows that the version, as a shadow, answered differently
	GuardrailAnswers   = "answers"   // the distributions of classes, scores and numbers
	GuardrailLoss      = "loss"      // how good answers were, by their labels
	GuardrailQuery     = "query"     // followed by a colon and the name of a query
)

// The kinds of values that are compared between the canary and the control.
const (
	ValueShare  = "share"  // of the rows with a class
	ValueScore  = "score"  // the mean best score; a higher one is fine
	ValueNumber = "number" // a mean, compared in standard deviations of the control's
	ValueError  = "error"  // the share of wrong predictions; a lower one is fine
	ValueLoss   = "loss"   // the mean absolute error, as a fraction of the control's; a lower one is fine
)

// The verdicts of a guardrail.
const (
	VerdictPass         = "pass"
	VerdictRegress      = "regress"
	VerdictInconclusive = "inconclusive"
)

// RolloutSpec says how a version gets the traffic of a route. It is the body of
// POST /api/v1/rollouts. Fields that are not given have the values of the preset.
type RolloutSpec struct {
	Route   string `json:"route"`
	Version int64  `json:"version"`
	Preset  string `json:"preset,omitempty"` // careful, standard or fast; default: standard
	// Shadow comes before the first step: the version gets copies of a share of the requests. A sample of
	// 0 skips it.
	Shadow RolloutShadow `json:"shadow,omitzero"`
	Steps  []RolloutStep `json:"steps,omitempty"`
	// MinRequests is the number of requests that the canary must have answered in a step before
	// the next one.
	MinRequests int64 `json:"min_requests,omitempty"`
	// Inconclusive is hold, ship or abort.
	Inconclusive string `json:"inconclusive,omitempty"`
	// Alpha is the probability that a version that is not worse is rolled back by the guardrails, at any
	// time of the rollout.
	Alpha    float64  `json:"alpha,omitempty"`
	Errors   Limit    `json:"errors,omitzero"`
	Refusals Limit    `json:"refusals,omitzero"`
	Latency  Slowness `json:"latency,omitzero"`
	Answers  Answers  `json:"answers,omitzero"`
	// Queries are asked of the configured Prometheus server.
	Queries []RolloutQuery `json:"queries,omitempty"`
	Floor   Floor          `json:"floor,omitzero"`
	// Bake is how long the former version stays loaded after the promotion, and the new one is
	// watched.
	Bake Duration `json:"bake,omitempty"`
}

// RolloutShadow is the step without exposure.
type RolloutShadow struct {
	Sample int      `json:"sample,omitempty"` // basis points
	For    Duration `json:"for"`
}

// RolloutStep is a share of the requests, and how long the canary has it at most.
type RolloutStep struct {
	Weight int      `json:"weight"` // basis points, 1 to 9,999; each step has more than the one before
	For    Duration `json:"for"`
}

// Limit says what is worse: a rate that is more than Ratio times that of the control. A version
// passes if its rate is at most Tolerance above the control's.
type Limit struct {
	Ratio     float64 `json:"ratio,omitempty"`     // 1 or more
	Tolerance float64 `json:"tolerance,omitempty"` // 0.01 is one request of a hundred
}

// Slowness is a Limit for answers that take longer than the objective.
type Slowness struct {
	Limit
	// Objective is a latency. 0 means the 95th percentile of the control when the first step begins, at least 1ms.
	Objective Duration `json:"objective,omitempty"`
}

// Answers says how far the answers of the version may be from those of the control. A limit of 1 or more ignores shares,
// scores, errors and disagreement.
type Answers struct {
	// Tolerance is for the share of each class among the answers, and for the mean best score, which may be better: 0.1 is
	// ten points.
	Tolerance float64 `json:"tolerance,omitempty"`
	// Deviation is for the mean of a number, in standard deviations of the control's numbers.
	Deviation float64 `json:"deviation,omitempty"`
	// Disagreement is the share of rows that the version may answer differently as a shadow.
	Disagreement float64 `json:"disagreement,omitempty"`
	// Loss is for labelled answers: the share of wrong ones above the control's, or the mean absolute error above the
	// control's, as a fraction of it.
	Loss float64 `json:"loss,omitempty"`
}

// RolloutQuery is a query to a Prometheus server whose value must stay within limits. It has no stated probability of a
// false rollback.
type RolloutQuery struct {
	Name string `json:"name"` // lower-case letters, digits and _
	// Query is PromQL with one number as its value. {{route}}, {{model}}, {{version}} and {{stable}} are replaced by the names of
	// the rollout and the numbers of its versions.
	Query string   `json:"query"`
	Max   *float64 `json:"max,omitempty"` // one of both is needed
	Min   *float64 `json:"min,omitempty"`
	// Failures is how many values in a row must be outside the limits for a rollback. Default: 3. A query is asked every ten
	// seconds.
	Failures int `json:"failures,omitempty"`
}

// Floor aborts at once, whatever the statistics say: a share of errors among at least MinRequests requests
// of the canary in the last minute or two.
type Floor struct {
	Errors      float64 `json:"errors,omitempty"` // 0.5 is half of the requests
	MinRequests int64   `json:"min_requests,omitempty"`
}

// Rollout is a rollout and its state.
type Rollout struct {
	ID     string      `json:"id"` // "iris-3": the route, and the number of its rollout
	Number int64       `json:"number"`
	Model  string      `json:"model"`
	Spec   RolloutSpec `json:"spec"`
	Digest string      `json:"digest"` // of the version's files
	State  string      `json:"state"`
	Step   int         `json:"step"`   // index of the present one in the spec
	Weight int         `json:"weight"` // of the canary, basis points
	// Answered is the number of requests that the canary has had in this step.
	Answered int64 `json:"answered"`
	Before   Route `json:"before"` // the route before the rollout
	// Paused is the state that a resumed rollout goes on in.
	Paused    string    `json:"paused,omitempty"`
	StartedBy Actor     `json:"started_by"`
	StartedAt time.Time `json:"started_at"`
	SinceAt   time.Time `json:"since_at"` // when the present state or step began
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Why says what led to the state, in a sentence.
	Why       string            `json:"why"`
	Approvals []Approval        `json:"approvals"`
	Needed    int               `json:"approvals_needed"`
	Objective Duration          `json:"objective,omitempty"` // of the latency, once it is known
	Evidence  []RolloutEvidence `json:"evidence"`
	// Durable is false if the last change is not in the journal yet: only an abort acts before it is
	// written.
	Durable bool `json:"durable"`
	// Halted is true if the version gets no requests, whatever its weight is: the rollout was aborted, and the gateway ended before
	// that was in the journal. The rollout is paused then.
	Halted bool `json:"halted,omitempty"`
	// Rollbacks is the number of rollbacks of the route in a row, including this one. With two the route is
	// frozen: no rollout of it can start until someone lifts that.
	Rollbacks int  `json:"rollbacks"`
	Frozen    bool `json:"frozen,omitempty"`
}

// Final reports whether the rollout has ended.
func (r *Rollout) Final() bool { return r.State == RolloutCompleted || r.State == RolloutRolledBack }

// Approval is the consent of a person to a rollout.
type Approval struct {
	Actor
	At time.Time `json:"at"`
}

// RolloutEvidence is what a guardrail has seen since the first step.
type RolloutEvidence struct {
	Guardrail string      `json:"guardrail"`
	Verdict   string      `json:"verdict"`
	Canary    RolloutRate `json:"canary"`
	Control   RolloutRate `json:"control"`
	// EValue is the evidence that the canary is worse. It regresses at Threshold. If the canary is not worse, the
	// probability that EValue ever reaches Threshold is at most 1 / Threshold.
	EValue    float64 `json:"e_value"`
	Threshold float64 `json:"threshold"`
	// Excess is the most by which the canary's rate is above the control's, with the confidence of the rollout.
	Excess float64 `json:"excess"`
	Looks  int64   `json:"looks"`
	// Dispersion is by how much the bad requests of short times vary more than independent ones: Squares divided by
	// Variance, about. The evidence is discounted by it.
	Dispersion float64 `json:"dispersion,omitempty"`
	Squares    float64 `json:"squares,omitempty"`
	Variance   float64 `json:"variance,omitempty"`
	// Logs are the logs of the likelihood ratios that EValue is the mean of.
	Logs []float64 `json:"logs,omitempty"`
	// Values are what the guardrails agreement, answers and loss compare. These have no EValue.
	Values []RolloutValue `json:"values,omitempty"`
	// Look is what a query said last.
	Look *RolloutLook `json:"look,omitempty"`
	Why  string       `json:"why"`
}

// RolloutLook is the value of a query.
type RolloutLook struct {
	Value Number `json:"value"`
	Bad   int    `json:"bad"`             // values in a row outside the limits
	Cause string `json:"cause,omitempty"` // why there was no value at the last look
}

// RolloutValue is a value that each request of both variants has.
type RolloutValue struct {
	Name    string      `json:"name"`
	Kind    string      `json:"kind"`
	Canary  RolloutMean `json:"canary"`
	Control RolloutMean `json:"control,omitzero"`
	// Low and High are between what the canary's mean less the control's is, in the unit of Limit, with the confidence of the
	// rollout, at every look. For the disagreement of a shadow they are its own.
	Low   Number  `json:"low"`
	High  Number  `json:"high"`
	Limit float64 `json:"limit"`
	// Blocks is the number of blocks of time so far, and the terms are the sums over them of how much the means of a block
	// vary, in parts of what those of independent requests would.
	CanaryTerms  float64 `json:"canary_terms,omitempty"`
	ControlTerms float64 `json:"control_terms,omitempty"`
	Blocks       float64 `json:"blocks,omitempty"`
}

// RolloutMean is the sums of the values of some requests.
type RolloutMean struct {
	N       float64 `json:"n"`
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
}

// Plus returns the sums of both.
func (m RolloutMean) Plus(o RolloutMean) RolloutMean {
	return RolloutMean{N: m.N + o.N, Sum: m.Sum + o.Sum, Squares: m.Squares + o.Squares}
}

// With returns the sums with one more value.
func (m RolloutMean) With(x float64) RolloutMean {
	return m.Plus(RolloutMean{N: 1, Sum: x, Squares: x * x})
}

// RolloutRate is how many of some requests were bad.
type RolloutRate struct {
	Requests int64 `json:"requests"`
	Bad      int64 `json:"bad"`
}

// Rate returns the share of bad requests, 0 if there are none.
func (r RolloutRate) Rate() float64 {
	if r.Requests == 0 {
		return 0
	}
	return float64(r.Bad) / float64(r.Requests)
}

// RolloutPlan says what a rollout would do, before it starts.
type RolloutPlan struct {
	Spec     RolloutSpec `json:"spec"`
	Rate     float64     `json:"requests_per_second"` // of the route, now
	Errors   float64     `json:"error_rate"`          // of the stable version, now
	Duration Duration    `json:"duration"`            // at most, without shadowing and baking
	// Expected estimates how long the steps take if the version is as good as the control. It is 0 if the last step would end
	// without a pass.
	Expected Duration    `json:"expected"`
	Steps    []PlanStep  `json:"steps"`
	Alpha    float64     `json:"false_rollback"` // at most
	Power    []PlanPower `json:"power"`
	// Assumptions are what Power rests on: what is known of the stable version, and what is assumed instead.
	Assumptions []string `json:"assumptions"`
	// NotComputed are guardrails that Power says nothing of, each with the reason.
	NotComputed []string `json:"not_computed"`
	Problems    []string `json:"problems"` // why it could not decide in its time
}

// PlanStep is a step of a plan.
type PlanStep struct {
	RolloutStep
	Control  int     `json:"control"`  // weight of the control, basis points
	Requests float64 `json:"requests"` // that the canary gets, at the present rate
}

// PlanPower is how likely a worse version is rolled back, and when.
type PlanPower struct {
	Guardrail string  `json:"guardrail"`
	Ratio     float64 `json:"ratio,omitempty"` // of its rate to the control's
	// Kind is that of the value that differs, for the guardrails answers, loss and agreement.
	Kind string `json:"kind,omitempty"`
	// Shift is by how much it differs: a share, a score or a rate of errors as a fraction of 1, a number in standard deviations of the control's, a
	// loss in parts of the control's. For agreement it is the share of the rows that differ.
	Shift  float64  `json:"shift,omitempty"`
	Change string   `json:"change"` // how the version is worse, in words
	Power  float64  `json:"power"`
	Median Duration `json:"median"` // time to the rollback, among those; for agreement since the version became a shadow
	// Lost is the median of the bad requests of the canary until then: for a share those that are answered otherwise, for means
	// all. For agreement it is 0, since nobody gets the answers of a shadow.
	Lost float64 `json:"lost"`
}

// rolloutPreset returns the values of a preset.
func rolloutPreset(name string) (RolloutSpec, bool) {
	minutes := func(n int) Duration { return Duration(time.Duration(n) * time.Minute) }
	steps := func(each int, weights ...int) (list []RolloutStep) {
		for _, w := range weights {
			list = append(list, RolloutStep{Weight: w, For: minutes(each)})
		}
		return list
	}
	s := RolloutSpec{Preset: name, Inconclusive: InconclusiveHold, MinRequests: 100, Floor: Floor{Errors: 0.5, MinRequests: 20}}
	switch name {
	case "careful":
		s.Shadow, s.Steps, s.Alpha, s.Bake = RolloutShadow{Sample: 1000, For: minutes(10)}, steps(30, 100, 500, 1000, 2500, 5000), 0.01, minutes(60)
		s.Errors, s.Refusals, s.Latency.Limit = Limit{1, 0.005}, Limit{1, 0.005}, Limit{1, 0.02}
		s.Answers = Answers{Tolerance: 0.05, Deviation: 0.1, Disagreement: 0.1, Loss: 0.02}
	case "standard":
		s.Steps, s.Alpha, s.Bake = steps(10, 500, 2000, 5000), 0.05, minutes(15)
		s.Errors, s.Refusals, s.Latency.Limit = Limit{1, 0.01}, Limit{1, 0.01}, Limit{1.1, 0.05}
		s.Answers = Answers{Tolerance: 0.1, Deviation: 0.25, Disagreement: 0.2, Loss: 0.05}
	case "fast":
		s.Steps, s.Alpha, s.Bake = steps(2, 1000, 5000), 0.1, minutes(2)
		s.Errors, s.Refusals, s.Latency.Limit = Limit{1.1, 0.02}, Limit{1.1, 0.02}, Limit{1.25, 0.1}
		s.Answers = Answers{Tolerance: 0.2, Deviation: 0.5, Disagreement: 0.3, Loss: 0.1}
	default:
		return s, false
	}
	return s, true
}

// RolloutPresets are the names of the presets.
func RolloutPresets() []string { return []string{"careful", "standard", "fast"} }

// Complete fills in the values of the preset. An unknown preset fills in nothing, and Check reports
// it.
func (s *RolloutSpec) Complete() {
	if s.Preset == "" {
		s.Preset = "standard"
	}
	p, _ := rolloutPreset(s.Preset)
	if s.Shadow == (RolloutShadow{}) {
		s.Shadow = p.Shadow
	}
	if len(s.Steps) == 0 {
		s.Steps = p.Steps
	}
	orElse(&s.MinRequests, p.MinRequests)
	orElse(&s.Inconclusive, p.Inconclusive)
	orElse(&s.Alpha, p.Alpha)
	orElse(&s.Bake, p.Bake)
	for given, preset := range map[*Limit]Limit{&s.Errors: p.Errors, &s.Refusals: p.Refusals, &s.Latency.Limit: p.Latency.Limit} {
		orElse(&given.Ratio, preset.Ratio)
		orElse(&given.Tolerance, preset.Tolerance)
	}
	orElse(&s.Answers.Tolerance, p.Answers.Tolerance)
	orElse(&s.Answers.Deviation, p.Answers.Deviation)
	orElse(&s.Answers.Disagreement, p.Answers.Disagreement)
	orElse(&s.Answers.Loss, p.Answers.Loss)
	const failures = 3
	for i := range s.Queries {
		orElse(&s.Queries[i].Failures, failures)
	}
	orElse(&s.Floor.Errors, p.Floor.Errors)
	orElse(&s.Floor.MinRequests, p.Floor.MinRequests)
}

func orElse[T comparable](given *T, preset T) {
	if zero := *new(T); *given == zero {
		*given = preset
	}
}

// MaxRolloutSteps is the max number of steps of a rollout.
const MaxRolloutSteps = 50

// Check returns the problems of a completed spec that the document alone shows.
func (s *RolloutSpec) Check() []Problem {
	var c specCheck
	if _, ok := rolloutPreset(s.Preset); !ok {
		c.add("preset", "expected careful, standard or fast, got %.40q", s.Preset)
		return c.problems
	}
	if s.Version < 1 {
		c.add("version", "expected a version of 1 or more, got %d", s.Version)
	}
	if s.Shadow.Sample < 0 || s.Shadow.Sample > TotalWeight {
		c.add("shadow.sample", "expected 0 to %d basis points, got %d", TotalWeight, s.Shadow.Sample)
	}
	c.duration("shadow.for", s.Shadow.For)
	if s.Shadow.Sample > 0 && s.Shadow.For == 0 {
		c.add("shadow.for", "expected how long the version gets copies")
	}
	c.steps(s.Steps)
	c.duration("bake", s.Bake)
	if s.MinRequests < 1 {
		c.add("min_requests", "expected 1 or more, got %d", s.MinRequests)
	}
	switch s.Inconclusive {
	case InconclusiveHold, InconclusiveShip, InconclusiveAbort:
	default:
		c.add("inconclusive", "expected hold, ship or abort, got %.40q", s.Inconclusive)
	}
	if !(s.Alpha > 0 && s.Alpha <= maxAlpha) {
		c.add("alpha", "expected more than 0 and at most %g, got %g", maxAlpha, s.Alpha)
	}
	c.limit("errors", s.Errors)
	c.limit("refusals", s.Refusals)
	c.limit("latency", s.Latency.Limit)
	c.duration("latency.objective", s.Latency.Objective)
	for field, limit := range map[string]float64{
		"tolerance": s.Answers.Tolerance, "deviation": s.Answers.Deviation, "disagreement": s.Answers.Disagreement, "loss": s.Answers.Loss,
	} {
		if !(limit > 0 && limit <= maxAnswers) {
			c.add("answers."+field, "expected more than 0 and at most %d, got %g", maxAnswers, limit)
		}
	}
	c.queries(s.Queries)
	if !(s.Floor.Errors > 0 && s.Floor.Errors <= 1) {
		c.add("floor.errors", "expected more than 0 and at most 1, got %g", s.Floor.Errors)
	}
	if s.Floor.MinRequests < 1 {
		c.add("floor.min_requests", "expected 1 or more, got %d", s.Floor.MinRequests)
	}
	return c.problems
}

// maxAnswers is the largest limit of answers.
const maxAnswers = 1000

// maxAlpha is the largest probability of a false rollback that makes sense.
const maxAlpha = 0.5

type specCheck struct{ routeCheck }

// maxRolloutTime bounds each time of a rollout.
const maxRolloutTime = Duration(90 * 24 * time.Hour)

func (c *specCheck) duration(field string, d Duration) {
	if d < 0 || d > maxRolloutTime {
		c.add(field, "expected 0 to %v, got %v", time.Duration(maxRolloutTime), time.Duration(d))
	}
}

func (c *specCheck) steps(steps []RolloutStep) {
	if len(steps) == 0 || len(steps) > MaxRolloutSteps {
		c.add("steps", "expected 1 to %d steps, got %d", MaxRolloutSteps, len(steps))
	}
	before := 0
	for i, step := range steps {
		at := fmt.Sprintf("steps[%d]", i)
		if step.Weight <= before || step.Weight >= TotalWeight {
			c.add(at+".weight", "expected more than the %d basis points before it and less than %d, got %d", before, TotalWeight, step.Weight)
		}
		if step.For <= 0 || step.For > maxRolloutTime {
			c.add(at+".for", "expected more than 0s and at most %v, got %v", time.Duration(maxRolloutTime), time.Duration(step.For))
		}
		before = step.Weight
	}
}

// The limits of queries.
const (
	maxQueries   = 10
	maxQueryName = 40
	maxQueryText = 4096
	maxFailures  = 1000
)

func (c *specCheck) queries(list []RolloutQuery) {
	if len(list) > maxQueries {
		c.add("queries", "expected at most %d queries, got %d", maxQueries, len(list))
		return
	}
	names := map[string]bool{}
	for i, q := range list {
		at := fmt.Sprintf("queries[%d]", i)
		valid := q.Name != "" && len(q.Name) <= maxQueryName && strings.Trim(q.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
		switch {
		case !valid:
			c.add(at+".name", "expected 1 to %d lower-case letters, digits and _, got %.60q", maxQueryName, q.Name)
		case names[q.Name]:
			c.add(at+".name", "'%s' is the name of another query too", q.Name)
		}
		names[q.Name] = true
		if q.Query == "" || len(q.Query) > maxQueryText {
			c.add(at+".query", "expected PromQL of 1 to %d bytes, got %d bytes", maxQueryText, len(q.Query))
		}
		if q.Max == nil && q.Min == nil {
			c.add(at+".max", "expected a limit: max, min or both")
		}
		if q.Failures < 1 || q.Failures > maxFailures {
			c.add(at+".failures", "expected 1 to %d, got %d", maxFailures, q.Failures)
		}
	}
}

func (c *specCheck) limit(field string, l Limit) {
	if !(l.Ratio >= 1 && l.Ratio <= 100) {
		c.add(field+".ratio", "expected 1 to 100, got %g", l.Ratio)
	}
	if !(l.Tolerance > 0 && l.Tolerance <= 1) {
		c.add(field+".tolerance", "expected more than 0 and at most 1, got %g", l.Tolerance)
	}
}
