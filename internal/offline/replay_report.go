package offline

import "sluice.io/sluice/api"

// reportTexts is the max number of different errors that a report lists.
const reportTexts = 10

// ReplayReport says how answers of a version differ from others.
type ReplayReport struct {
	api.Comparison

	Requests int           `json:"requests"`
	Errors   int           `json:"errors"` // requests that were not answered
	Causes   []ReplayError `json:"causes"` // of the errors, the first ones

	Seconds       float64 `json:"seconds"`
	BehindSeconds float64 `json:"behind_seconds"` // the longest time that a request was late
}

// ReplayError is an error of requests.
type ReplayError struct {
	Error    string `json:"error"`
	Requests int    `json:"requests"`
	First    string `json:"first"` // the id of the first one
}

// Differs reports whether something was not answered, not compared, or differs.
func (r *ReplayReport) Differs() bool {
	return r.Errors > 0 || r.Differing > 0 || r.Compared < r.Requests
}

// failed counts a request that was not answered.
func (r *ReplayReport) failed(id string, err error) {
	r.Requests++
	r.Errors++
	text := err.Error()
	for i := range r.Causes {
		if r.Causes[i].Error == text {
			r.Causes[i].Requests++
			return
		}
	}
	if len(r.Causes) < reportTexts {
		r.Causes = append(r.Causes, ReplayError{text, 1, id})
	}
}
