package config

import (
	"math"
	"time"
)

// NoProfile in place of a profile's path turns the comparison off.
const NoProfile = "none"

// Drift configures the comparison of a model's inputs and answers with a reference.
type Drift struct {
	Profile string `yaml:"profile" default:"\"\"" doc:"Path of the profile of the reference, as gateway profile build writes it. Empty: profile.json beside each version, if there is one. none: nothing is compared."`
	Sample  Weight `yaml:"sample" default:"100%" min:"0%" max:"100%" doc:"Share of the answered requests that is compared. The hash of a request's id chooses it."`

	Window time.Duration `yaml:"window" default:"5m" min:"1s" doc:"Length of a window. Windows begin at multiples of it."`
	Rows   int           `yaml:"rows" default:"0" min:"0" max:"1000000000" doc:"If 1 or more, a window ends after this number of rows instead."`

	MinRows           int           `yaml:"min_rows" default:"50" min:"1" max:"1000000000" doc:"Min number of rows of a window. A window with fewer is joined with the next one."`
	MaxWindow         time.Duration `yaml:"max_window" default:"24h" min:"1s" max:"8760h" doc:"Max length of a window of time that is joined with the next ones, in whole windows. If it then still has fewer than min_rows rows, it has no verdict, and the next window begins."`
	Gates             Gates         `yaml:"gates" doc:"The largest changes of a feature that never raise an alarm, by the kind of change."`
	Tolerance         float64       `yaml:"tolerance" default:"0" min:"0" max:"10" doc:"Deprecated: set the gates. A divergence t, as PSI, stands for the gates shape t, mean √t, spread √(t/2), joint √t/2, and share_gain t, and is used instead of them. 0: not given."`
	QualityTolerance  float64       `yaml:"quality_tolerance" default:"0.01" min:"0.0001" max:"0.99" doc:"Max excess over the reference in the share of missing (or NaN) values, and of infinite values."`
	RangeTolerance    float64       `yaml:"range_tolerance" default:"0.005" min:"0.0001" max:"0.99" doc:"The same for values outside the range of the reference."`
	FalseAlarmEvery   time.Duration `yaml:"false_alarm_every" default:"720h" min:"1m" doc:"At most one false alarm is expected in this time, over all features of all models that this gateway watches. For windows of time."`
	FalseAlarmWindows int           `yaml:"false_alarm_windows" default:"720" min:"1" max:"1000000000" doc:"The same as a number of windows of each stream. For windows of rows."`
	Calibration       Calibration   `yaml:"calibration" doc:"What the gateway learns of clean windows, so that swings that last longer than a window raise no alarms."`
	Breaks            bool          `yaml:"breaks" default:"true" doc:"Whether gross breaks, such as a value that is stuck, a flood of missing values or another unit, end a window early, within some rows. They take a tenth of the promised false alarms."`
	Recover           int           `yaml:"recover" default:"3" min:"1" max:"1000" doc:"Number of windows in a row that must look normal before an alarm ends."`
	LossTolerance     float64       `yaml:"loss_tolerance" default:"0.02" min:"0.0001" max:"1" doc:"Growth of the mean loss of labelled predictions over the reference that never raises an alarm. 0.02 is two points of accuracy, a Brier score (from 0 to 1) that is higher by 0.02, or a mean absolute error that is higher by 8 %. 1: the loss raises no alarm."`
	LossReference     int           `yaml:"loss_reference" default:"1000" min:"50" max:"100000" doc:"Number of the first labelled predictions of a version with which later ones are compared."`
	MaxSegments       int           `yaml:"max_segments" default:"8" min:"0" max:"64" doc:"How many segments of the profile are compared apart, those with the most rows first, besides the segment other. Each one is a stream of its own, with its own memory. 0: only all rows together are compared."`
	MaxRowsPerRequest int           `yaml:"max_rows_per_request" default:"16" min:"1" max:"100000" doc:"Max number of rows of one request that are compared. They are taken evenly."`
	NameValues        bool          `yaml:"name_values" default:"false" doc:"Whether findings name values of texts that the reference does not have, cut to 64 characters. Such values can be personal data; they are kept in the journal. Values of the reference are named anyway."`
	MaxBuffer         Size          `yaml:"max_buffer" default:"1MiB" min:"4KiB" max:"1GiB" doc:"Max size of the rows that wait to be counted, for each version and role. Further rows are dropped, and the drops are counted."`
}

// Gates are the largest changes of a feature that do not count as drift.
type Gates struct {
	Mean       float64 `yaml:"mean" default:"0.1" min:"0" max:"10" doc:"Difference of the means, in standard deviations of the reference. It is measured by the order of the values, so that a few extreme ones do not decide. 0: not tested."`
	Spread     float64 `yaml:"spread" default:"0.1" min:"0" max:"10" doc:"Relative change of the standard deviation, measured like the mean. 0.1 is 10 % more or less. 0: not tested."`
	ShareRatio float64 `yaml:"share_ratio" default:"1.5" min:"1" max:"100" doc:"How many times its share in the reference the share of a category, label, code, bin or tail may be. Below 2, a share that doubles is found."`
	ShareGain  float64 `yaml:"share_gain" default:"0.002" min:"0.0001" max:"0.99" doc:"How much that share may be higher, even if it is more than share_ratio allows. 0.002 is 0.2 points."`
	New        float64 `yaml:"new" default:"0.005" min:"0" max:"0.99" doc:"Share of rows with a value that the reference does not have, for features with few values. 0: not tested."`
	Shape      float64 `yaml:"shape" default:"0.02" min:"0.0001" max:"10" doc:"Any other change of the distribution, as PSI."`

	Joint       float64 `yaml:"joint" default:"0.05" min:"0" max:"10" doc:"Quadratic mean of the differences of the means of all features with many or evenly spread values, up to 64 of them, in standard deviations. It finds several features that each move by less than their own gate finds soon. 0: not tested."`
	Correlation float64 `yaml:"correlation" default:"0" min:"0" max:"1.99" doc:"Difference of the correlations of two of these features, measured by the order of the values. It finds what leaves each feature as it was, such as two columns that were swapped. 0.15 is a good start. 0: not tested."`

	Vector float64 `yaml:"vector" default:"0.05" min:"0" max:"10" doc:"Difference of the distribution of a vector (an embedding, an image), in standard deviations along the direction in which it differs most. It needs a profile that was built with vectors. 0: not tested."`
}

// The choices of drift.calibration.unpromised.
const (
	UnpromisedHold = "hold"
	UnpromisedAsk  = "ask"
)

// Calibration configures how it is learned how large the evidence usually is in clean windows.
type Calibration struct {
	Windows    int           `yaml:"windows" default:"100" min:"0" max:"100000" doc:"Min number of windows of a round, 20 or more. A stream is calibrated after its first round in which nothing differs. 0: nothing is learned, and every detection counts as promised."`
	Span       time.Duration `yaml:"span" default:"24h" min:"0s" max:"8760h" doc:"Min time of a round. It should cover the swings of the traffic: a day, or a week."`
	Gross      float64       `yaml:"gross" default:"4" min:"1" max:"100" doc:"How many times larger than the gates a change must be to count as promised before the stream is calibrated. With the default gates, 4 is a mean that moves by 0.4 s.d."`
	Unpromised string        `yaml:"unpromised" default:"hold" enum:"hold|ask" doc:"Whether drift that is not promised yet asks for retraining. hold: it is only shown. ask: it asks."`
}

// gatesOf returns the gates that a tolerance of earlier releases stands for.
func gatesOf(tolerance float64, g Gates) Gates {
	g.Shape, g.Mean, g.Spread = tolerance, math.Sqrt(tolerance), math.Sqrt(tolerance/2)
	g.ShareGain = min(max(g.ShareGain, tolerance), 0.99)
	if g.Joint > 0 {
		g.Joint = math.Sqrt(tolerance) / 2
	}
	return g
}

// Limits returns the gates, or those that Tolerance stands for.
func (d *Drift) Limits() Gates {
	if d.Tolerance != 0 {
		return gatesOf(d.Tolerance, d.Gates)
	}
	return d.Gates
}

// Retrain configures the actions after drift was detected.
type Retrain struct {
	Webhook  Webhook       `yaml:"webhook" doc:"The receiver of signals. Without one, signals are only listed."`
	CoolDown time.Duration `yaml:"cool_down" restart:"false" default:"24h" min:"0s" doc:"Time after a request was closed for which no new one is made for its model."`
	Expire   time.Duration `yaml:"expire" restart:"false" default:"168h" min:"1m" doc:"Time after its delivery for which an open request holds back new ones for its model."`
	Source   string        `yaml:"source" default:"/gateway/sluice" doc:"The source of the CloudEvents, which identifies the gateway."`
	URL      string        `yaml:"url" default:"\"\"" doc:"URL of the control API as trainers reach it, http or https. Empty: the loopback address with the port of admin.address."`
	Parallel int           `yaml:"parallel" default:"1" min:"1" max:"64" doc:"Max number of training programs that run at the same time."`
	Retry    time.Duration `yaml:"retry" default:"30s" min:"10ms" max:"1h" doc:"Time after which a step of a retraining that failed is tried again, such as a document for a queue that is down."`
	// FlushTimeout bounds only the making of a document, which is beside everything else.
	FlushTimeout time.Duration `yaml:"flush_timeout" default:"10s" min:"1ms" max:"10m" doc:"Max time for writing the captured requests that are still in memory, when the document for a trainer is made. The document says what is missing after that."`

	NATS NATS `yaml:"nats" doc:"The NATS server that trainers of the kind nats read."`
}

// NATS configures a subject of NATS JetStream.
type NATS struct {
	URL     string        `yaml:"url" default:"\"\"" doc:"URL of the server, nats:// or tls://. Several are separated by commas."`
	Subject string        `yaml:"subject" default:"sluice.retrain" doc:"The subject of requests: this, a dot, and the name of the model. A stream must take it."`
	Token   Secret        `yaml:"token" default:"\"\"" doc:"Token for the server, if it needs one."`
	Creds   string        `yaml:"creds" default:"\"\"" doc:"File with the credentials of a user, if the server needs one."`
	Timeout time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"10m" doc:"Max time until the server has a request."`
}

// The choices of retrain.webhook.events.
const (
	EventsRollout = "rollout"
	EventsVersion = "version"
	EventsRetrain = "retrain"
)

// Webhook configures where events are posted.
type Webhook struct {
	URL        string        `yaml:"url" default:"\"\"" doc:"URL to which events are posted as CloudEvents, http or https."`
	Secret     Secret        `yaml:"secret" restart:"false" default:"\"\"" doc:"Key of the HMAC-SHA256 that signs each event, at least 16 bytes. Needed with a url."`
	Events     []string      `yaml:"events" default:"[]" doc:"Changes that are posted besides signals: rollout, each step of a rollout; version, each version that was registered; retrain, each step of a retraining."`
	Timeout    time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"10m" doc:"Max time of one delivery."`
	MaxBackoff time.Duration `yaml:"max_backoff" default:"5m" min:"1s" doc:"Max wait between two attempts. The first wait is 1s, and each is twice as long as the one before."`
}
