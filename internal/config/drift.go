package config

import "time"

// NoProfile in the place of a profile's path has nothing compared.
const NoProfile = "none"

// Drift says how a model's inputs and answers are compared with a reference.
type Drift struct {
	Profile string `yaml:"profile" default:"\"\"" doc:"The profile of the reference, as gateway profile build writes it. Empty: the profile.json beside each version, if there is one; none: nothing is compared."`
	Sample  Weight `yaml:"sample" default:"100%" min:"0%" max:"100%" doc:"The share of the answered requests that is looked at, chosen by the hash of their ids."`

	Window time.Duration `yaml:"window" default:"5m" min:"1s" doc:"How long a window is; windows begin at multiples of it."`
	Rows   int           `yaml:"rows" default:"0" min:"0" max:"1000000000" doc:"With 1 or more a window ends after so many rows instead."`

	MinRows           int           `yaml:"min_rows" default:"50" min:"1" max:"1000000000" doc:"A window of fewer rows is joined with the next one."`
	MaxWindow         time.Duration `yaml:"max_window" default:"24h" min:"1s" max:"8760h" doc:"How long a window of time gets that is joined with the next ones, in whole windows. One that still has fewer than min_rows rows then says nothing, and the next begins."`
	Tolerance         float64       `yaml:"tolerance" default:"0.02" min:"0.0001" max:"10" doc:"The divergence from the reference, as PSI, that never raises an alarm. A shift of the mean by d standard deviations has about d² of it."`
	QualityTolerance  float64       `yaml:"quality_tolerance" default:"0.01" min:"0.0001" max:"0.99" doc:"By how much the share of missing (or NaN) and of infinite values may exceed the reference's."`
	RangeTolerance    float64       `yaml:"range_tolerance" default:"0.05" min:"0.0001" max:"0.99" doc:"The same for values outside the reference's range."`
	FalseAlarmEvery   time.Duration `yaml:"false_alarm_every" default:"720h" min:"1m" doc:"At most one false alarm is expected in this time, over all features of all models that this gateway watches; for windows of time."`
	FalseAlarmWindows int           `yaml:"false_alarm_windows" default:"720" min:"1" max:"1000000000" doc:"The same as a number of windows of each stream; for windows of rows."`
	Recover           int           `yaml:"recover" default:"3" min:"1" max:"1000" doc:"Windows in a row that must look well before an alarm is over."`
	MaxRowsPerRequest int           `yaml:"max_rows_per_request" default:"16" min:"1" max:"100000" doc:"Rows looked at of one request, taken evenly."`
	MaxBuffer         Size          `yaml:"max_buffer" default:"1MiB" min:"4KiB" max:"1GiB" doc:"What may wait to be counted, for each version and role; further rows are dropped and counted."`
}

// Retrain says what becomes of drift that was detected.
type Retrain struct {
	Webhook  Webhook       `yaml:"webhook" doc:"Who is told. Without one, requests are only listed."`
	CoolDown time.Duration `yaml:"cool_down" restart:"false" default:"24h" min:"0s" doc:"How long after a request for a model was closed no new one is made."`
	Expire   time.Duration `yaml:"expire" restart:"false" default:"168h" min:"1m" doc:"How long after its delivery a request that nobody closes keeps new ones for its model from being made."`
	Source   string        `yaml:"source" default:"/gateway/sluice" doc:"The source of the CloudEvents: which gateway speaks."`
}

// Webhook is where events are posted.
type Webhook struct {
	URL        string        `yaml:"url" default:"\"\"" doc:"Where events are posted as CloudEvents; http or https."`
	Secret     Secret        `yaml:"secret" restart:"false" default:"\"\"" doc:"The key of the HMAC-SHA256 that signs each event, 16 bytes or more; needed with a URL."`
	Timeout    time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"10m" doc:"The longest that one delivery may take."`
	MaxBackoff time.Duration `yaml:"max_backoff" default:"5m" min:"1s" doc:"The longest wait between two attempts; the first is 1s and each doubles."`
}
