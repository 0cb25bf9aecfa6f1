package config

import "time"

// The choices of a model's labels.task and labels.scores.
const (
	TaskAuto            = "auto"
	TaskClassification  = "classification"
	TaskRegression      = "regression"
	ScoresProbabilities = "probabilities"
	ScoresLogits        = "logits"
)

// Labels configures which predictions of a model are kept for labels, and how they are read.
type Labels struct {
	Sample    Weight        `yaml:"sample" default:"0%" min:"0%" max:"100%" doc:"Share of the answered requests whose predictions are kept. The hash of a request's id chooses it. Above 0%, data_dir must be given."`
	Task      string        `yaml:"task" default:"auto" enum:"auto|classification|regression" doc:"The kind of prediction. auto: the gateway finds it from the outputs of the model."`
	Output    string        `yaml:"output" default:"\"\"" doc:"The output with the predictions: scores by class, one class, or one value. Empty: the one that the outputs of the model suggest."`
	Scores    string        `yaml:"scores" default:"probabilities" enum:"probabilities|logits" doc:"What the scores of a classification are. logits: softmax makes probabilities of them, or the logistic function of a single one."`
	Positive  string        `yaml:"positive" default:"\"\"" doc:"The positive class of two, by name or number. Empty: the second one."`
	Segment   string        `yaml:"segment" default:"\"\"" doc:"The parameter of a V2 request whose value is the segment that it belongs to. Performance is also measured by segment. The first 50 values count, further ones are the segment 'other'."`
	Watermark time.Duration `yaml:"watermark" default:"720h" min:"1s" max:"87600h" doc:"Time after a prediction for which its label counts, and for which a later label replaces an earlier one. After that it is late."`
	MaxRows   int           `yaml:"max_rows" default:"1000" min:"1" max:"1000000" doc:"Max number of rows of one request whose predictions are kept, the first ones."`
	Loss      Loss          `yaml:"loss" doc:"Estimating the errors of a regression before labels come, with a model that predicts them."`
	MaxBuffer Size          `yaml:"max_buffer" default:"1MiB" min:"4KiB" max:"1GiB" doc:"Max size of the predictions of a version that wait to be written. Further ones are dropped, and the drops are counted."`
}

// The losses that a loss model can predict.
const (
	LossAbsolute = "absolute_error"
	LossSquared  = "squared_error"
)

// Loss names the model that predicts how large the error of each prediction is.
type Loss struct {
	Model     string  `yaml:"model" default:"\"\"" doc:"A model of the repository that predicts the loss from the inputs of this model and its prediction. It runs on copies of the sampled requests, as a shadow, within its own limits for shadows. Empty: none."`
	Version   int64   `yaml:"version" default:"0" min:"0" doc:"The version of the loss model. 0: the champion, or else the version that its version policy prefers."`
	Kind      string  `yaml:"kind" default:"absolute_error" enum:"absolute_error|squared_error" doc:"The loss that it predicts. absolute_error: the MAE is estimated. squared_error: the RMSE is estimated."`
	Tolerance float64 `yaml:"tolerance" default:"0.05" min:"0" max:"1" doc:"Relative error of the estimate that a loss model may have and still counts as right."`
}

// LabelStore bounds the file of predictions and labels.
type LabelStore struct {
	MaxSize Size          `yaml:"max_size" default:"1GiB" min:"16MiB" max:"1024GiB" doc:"Max size of labels.db in the data directory. If it is full, the oldest predictions are dropped early."`
	MaxAge  time.Duration `yaml:"max_age" default:"1440h" min:"1m" max:"87600h" doc:"Time for which predictions and their labels are kept. What was measured by then is kept as sums. Should be longer than the watermarks of models."`
}
