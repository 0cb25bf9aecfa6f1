package api

import "time"

// RetrainPolicy says when a retraining of a model is requested.
type RetrainPolicy struct {
	CoolDown  Duration `json:"cool_down"`  // after a retraining has ended, before the next one
	Schedule  Duration `json:"schedule"`   // after the last request; 0: there is no schedule
	Budget    int      `json:"budget"`     // requests in seven days, without those of people; 0: no limit
	MinLabels int      `json:"min_labels"` // captured within lookback; 0: labels are not needed
	Lookback  Duration `json:"lookback"`
	// Unpromised is ask or hold: whether drift that is not promised yet asks for retraining.
	Unpromised string   `json:"unpromised"`
	Training   Duration `json:"training"` // from a request until its retraining has ended
}

// What drift that is not promised yet does, see DriftFinding.Unpromised.
const (
	UnpromisedHold = "hold" // it is only shown
	UnpromisedAsk  = "ask"  // it asks for retraining
)

// RetrainSimulation says which retrainings of a model a policy would have requested, given what the journal has. It answers
// GET /api/v1/models/{name}/retrain/simulation.
type RetrainSimulation struct {
	Model  string        `json:"model"`
	Since  time.Time     `json:"since"`
	Until  time.Time     `json:"until"`
	Policy RetrainPolicy `json:"policy"`
	// Requests counts the steps that are requests.
	Requests int `json:"requests"`
	// Steps are the requests, and the times when one was held back, the oldest first. One that is held back for several reasons has a
	// step for each.
	Steps []RetrainStep `json:"steps"`
	// Made are the requests that the gateway made in that time.
	Made []RetrainMade `json:"made"`
	// Notes say what the simulation cannot know.
	Notes []string `json:"notes"`
}

// MaxRetrainSteps is the max number of steps of a simulation. It ends with the last one.
const MaxRetrainSteps = 10_000

// RetrainStep is a request of a simulation, or one that was held back.
type RetrainStep struct {
	At       time.Time `json:"at"`
	Cause    string    `json:"cause"`
	Version  int64     `json:"version,omitempty"`
	Role     string    `json:"role,omitempty"`
	Segment  string    `json:"segment,omitempty"` // of the rows that drift; absent for all rows
	Began    time.Time `json:"began,omitzero"`    // when the problem began
	Features []string  `json:"features"`          // what was detected
	HeldBack string    `json:"held_back"`         // why there was no request; empty if there was
	Retry    time.Time `json:"retry,omitzero"`    // when it was tried again; absent if the problem was over before
	Closed   time.Time `json:"closed,omitzero"`   // when the retraining of a request has ended
}

// RetrainMade is a request that the gateway made.
type RetrainMade struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Cause   string    `json:"cause"`
	Version int64     `json:"version"`
}
