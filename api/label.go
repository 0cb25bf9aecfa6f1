package api

import "time"

// The results of a label. The answer to POST /v2/models/{model}/labels has one for each row.
const (
	LabelJoined        = "joined"        // it is the first label of a kept prediction
	LabelUnknown       = "unknown"       // no prediction of that id and row is kept: not sampled, expired, dropped or never made
	LabelLate          = "late"          // it came after the watermark and does not count
	LabelDuplicate     = "duplicate"     // the prediction has the same label already
	LabelContradictory = "contradictory" // the prediction had another label; this one replaces it
	LabelInvalid       = "invalid"       // it is not a label that the prediction can have; see the problems
)

// The tasks of a model whose predictions are kept for labels.
const (
	TaskClassification = "classification"
	TaskRegression     = "regression"
)

// LabelRow says what was true of one row of a request.
type LabelRow struct {
	// RequestID is the X-Request-Id of the request, as the gateway answered it, or the id of
	// its V2 body or gRPC message.
	RequestID string `json:"request_id"`
	Row       int    `json:"row,omitempty"` // from 0
	// Label is the name or the number of the class, or the value of a regression.
	Label any `json:"label"`
	// Time is when the truth became known; by default, when the label arrives.
	Time time.Time `json:"time,omitzero"`
}

// LabelRows is the body of POST /v2/models/{model}/labels.
type LabelRows struct {
	Labels []LabelRow `json:"labels"`
}

// LabelResult answers POST /v2/models/{model}/labels. Everything that it counts is on disk.
type LabelResult struct {
	Model string `json:"model"`
	LabelCounts
	// Results has a result for each row, in the order of the rows.
	Results []string `json:"results"`
	// Problems says what is wrong with rows that are invalid or unknown, for the first 100.
	Problems []LabelProblem `json:"problems,omitempty"`
}

// LabelCounts counts labels by their results.
type LabelCounts struct {
	Rows          uint64 `json:"rows"` // the sum of all results
	Joined        uint64 `json:"joined"`
	Unknown       uint64 `json:"unknown"`
	Late          uint64 `json:"late"`
	Duplicate     uint64 `json:"duplicate"`
	Contradictory uint64 `json:"contradictory"`
	Invalid       uint64 `json:"invalid"`
	// NotSampled is the part of Unknown whose id the sample leaves out.
	NotSampled uint64 `json:"not_sampled"`
	// BeforePrediction is the part of Joined and Contradictory whose time is before that of
	// the prediction: the truth was known already, or two clocks differ. The delay of such a
	// label counts as 0.
	BeforePrediction uint64 `json:"before_prediction"`
}

// LabelProblem describes the problem of one row.
type LabelProblem struct {
	Index int    `json:"index"` // of the row in the body, from 0
	Error string `json:"error"`
}

// LabelReport says how good the predictions of a model were. GET /api/v1/labels answers with a
// list of them, without bins and streams of segments.
type LabelReport struct {
	Model string `json:"model"`
	// Sample is the share of the answered requests whose predictions are kept, in basis points.
	Sample    int      `json:"sample"`
	Watermark Duration `json:"watermark"`        // time after a prediction for which its label counts
	Reason    string   `json:"reason,omitempty"` // why no predictions are kept although sample is above 0
	// Confidence is the probability with which all intervals of one metric, at all times that
	// one looks, cover the true value.
	Confidence float64     `json:"confidence"`
	Labels     LabelCounts `json:"labels"`
	Kept       KeptCounts  `json:"kept"`
	// LossModel is what estimates the errors of a regression before labels come, if
	// labels.loss.model is set.
	LossModel *LossModelStatus `json:"loss_model,omitempty"`
	Streams   []LabelStream    `json:"streams"`
	// Losses says whether the predictions became worse, by version and role.
	Losses []LossStatus `json:"losses"`
}

// KeptCounts counts the sampled predictions since the gateway started.
type KeptCounts struct {
	Kept     uint64 `json:"kept"`     // rows that were written
	Dropped  uint64 `json:"dropped"`  // sampled rows without room in memory or on disk
	Unread   uint64 `json:"unread"`   // sampled requests whose answer has no prediction that can be read, for example since the caller did not ask for the output
	Repeated uint64 `json:"repeated"` // requests with an id that a kept request already has; labels then join the last one
	Cut      uint64 `json:"cut"`      // rows beyond labels.max_rows of their request
	// EstimatesDropped counts kept rows whose expected loss had no room.
	EstimatesDropped uint64 `json:"estimates_dropped"`
}

// LabelStream says how good the predictions of a version in a role were.
type LabelStream struct {
	Version int64  `json:"version"`
	Role    string `json:"role"` // of its variant in a route; or default, pinned, override, fallback, shadow
	// Segment is the value of the declared parameter; empty for all together.
	Segment  string   `json:"segment,omitempty"`
	Task     string   `json:"task"`   // classification or regression
	Output   string   `json:"output"` // that the predictions are read from
	Classes  []string `json:"classes,omitempty"`
	Positive string   `json:"positive,omitempty"` // the class that Brier score, AUC and calibration are about, if there are two

	Predictions uint64  `json:"predictions"` // kept rows
	Labels      uint64  `json:"labels"`      // rows with a label
	Coverage    float64 `json:"coverage"`    // labels divided by predictions
	// Unmeasured is the number of labelled rows that some metric leaves out: the prediction is
	// not a finite number, or the scores are not probabilities.
	Unmeasured uint64 `json:"unmeasured"`
	// First and Last are the times of the first and the last prediction with a label.
	First time.Time   `json:"first,omitzero"`
	Last  time.Time   `json:"last,omitzero"`
	Delay *LabelDelay `json:"delay,omitempty"`

	Metrics     []LabelMetric    `json:"metrics"`
	Calibration []CalibrationBin `json:"calibration,omitempty"`

	// Estimates says how good all kept predictions are expected to be, with and without labels.
	Estimates []LabelEstimate `json:"estimates,omitempty"`
	// Shift compares the shares of the true classes, which are expected from the predicted classes
	// of all kept predictions, with those of the reference. Absent below 100 rows, if the model
	// confuses the classes too much, or if the reference lacks one.
	Shift []ClassShare `json:"label_shift,omitempty"`
	// NoEstimates is why there are none although the profile of the version knows labels.
	NoEstimates string `json:"no_estimates,omitempty"`

	// Windows are the parts of the stream by the time when the predictions were kept, the oldest first.
	// Only the report of one model has them, for all segments together, while predictions are kept.
	Windows []LabelWindow `json:"windows,omitempty"`
}

// LabelWindow is the part of a stream that was kept in some time.
type LabelWindow struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end,omitzero"` // absent for the window that goes on

	Predictions uint64          `json:"predictions"`
	Labels      uint64          `json:"labels"`
	Metrics     []LabelMetric   `json:"metrics"`
	Estimates   []LabelEstimate `json:"estimates,omitempty"`
}

// LabelDelay says how long after its prediction a label became known. Quantiles are upper ends
// of bins, each of which is a half longer than the one before.
type LabelDelay struct {
	Median Duration `json:"median"`
	P90    Duration `json:"p90"`
	Max    Duration `json:"max"`
}

// The methods of an interval.
const (
	// IntervalExact is valid at every look and for any number of rows.
	IntervalExact = "exact"
	// IntervalAsymptotic is valid at every look once there are many rows.
	IntervalAsymptotic = "asymptotic"
)

// The names of metrics that other parts read.
const (
	MetricAccuracy = "accuracy"
	MetricMAE      = "mae" // the mean absolute error
	MetricRMSE     = "rmse"
)

// LabelMetric is an estimate with the interval of a confidence sequence.
type LabelMetric struct {
	Name  string  `json:"name"` // accuracy, log_loss, brier, auc, ece; mae, rmse, bias
	Value float64 `json:"value"`
	// Low and High are the ends of the interval. Absent if there are too few rows for one, and
	// for ece.
	Low    *float64 `json:"low,omitempty"`
	High   *float64 `json:"high,omitempty"`
	Method string   `json:"method,omitempty"` // exact or asymptotic
	Rows   uint64   `json:"rows"`
}

// CalibrationBin compares predicted probabilities with what happened.
type CalibrationBin struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Rows uint64  `json:"rows"`
	Mean float64 `json:"mean"` // of the predicted probabilities
	Rate float64 `json:"rate"` // the share of rows for which they came true
	Low  float64 `json:"low"`  // the interval of the rate
	High float64 `json:"high"`
}

// The methods of an estimate.
const (
	// EstimateCBPE is confidence-based performance estimation: what the scores say, corrected by
	// how often such scores came true in the reference.
	EstimateCBPE = "cbpe"
	// EstimateDLE is direct loss estimation: what a model of the loss predicts.
	EstimateDLE = "dle"
)

// The losses that a loss model can predict.
const (
	LossAbsolute = "absolute_error"
	LossSquared  = "squared_error"
)

// LossModelStatus says what the loss model of a model does.
type LossModelStatus struct {
	Model   string `json:"model"`
	Version int64  `json:"version,omitempty"` // absent if the loss model has none that can be loaded
	Kind    string `json:"kind"`              // the loss that it predicts: absolute_error or squared_error
	State   string `json:"state"`             // as of a model; READY also if it does not fit some version, see no_estimates of the stream
	Reason  string `json:"reason,omitempty"`  // why it is not READY
	// Requests are the sampled requests that it has answered, Errors those of them that it
	// failed, and Dropped those that it never ran, by reason, since the gateway started.
	Requests int64            `json:"requests"`
	Errors   int64            `json:"errors"`
	Dropped  map[string]int64 `json:"dropped,omitempty"`
	Queued   int              `json:"queued"`
}

// LabelEstimate is what a metric is expected to be before labels come.
type LabelEstimate struct {
	Name   string  `json:"name"`
	Method string  `json:"method"`
	Value  float64 `json:"value"`
	// StandardError covers the chance of as many rows and the finite reference.
	StandardError float64 `json:"standard_error"`
	// Low and High are the ends of an interval that the metric of these rows is in, at all times
	// with the confidence of the report, if the estimator's assumptions hold. Absent below 100 rows.
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
	Rows uint64   `json:"rows"` // kept predictions that it is about
	// Outside is the share of rows with a score below, or above, all those of the reference. There
	// the estimate is a guess.
	Outside float64 `json:"outside,omitempty"`
	// Invalid is the number of rows for which the loss model gave no loss, or one that cannot be.
	Invalid uint64         `json:"invalid,omitempty"`
	Check   *EstimateCheck `json:"check,omitempty"` // absent without labels
}

// EstimateCheck compares an estimate with the truth, on the rows that have labels.
type EstimateCheck struct {
	Rows       uint64  `json:"rows"`     // with labels
	Estimate   float64 `json:"estimate"` // of these rows
	Truth      float64 `json:"truth"`
	Difference float64 `json:"difference"` // truth minus estimate
	// Bound is the max size of a difference that chance explains: the probability that a right
	// estimator ever exceeds it is 1 - confidence. Absent below 100 rows.
	Bound *float64 `json:"bound,omitempty"`
	Holds *bool    `json:"holds,omitempty"` // false: the estimator was wrong
}

// ClassShare is the share of a class among the true classes (black box shift estimation, BBSE).
type ClassShare struct {
	Class         string  `json:"class"`
	Reference     float64 `json:"reference"` // its share in the reference
	Value         float64 `json:"value"`     // its expected share
	StandardError float64 `json:"standard_error"`
	Low           float64 `json:"low"` // the interval of the expected share
	High          float64 `json:"high"`
	// Shifted: the expected share is another one than that of the reference. The probability that
	// any class is ever called shifted if none is, is at most 1 - confidence.
	Shifted bool           `json:"shifted"`
	Check   *EstimateCheck `json:"check,omitempty"` // absent below 100 labels
}
