package config

import (
	"net/url"
	"strings"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The choices of a model's retrain.trainer, retrain.token and retrain.rollout.
const (
	ByNobody  = "none"
	ByWebhook = "webhook"
	ByExec    = "exec"
	ByNATS    = "nats"

	TokenExec = "exec"
	TokenAll  = "all"

	AfterManual     = "manual"
	AfterShadow     = "shadow-only"
	AfterCanaryAuto = "canary-auto"
)

// Retraining configures how a model is retrained.
type Retraining struct {
	Trainer    string        `yaml:"trainer" default:"webhook" enum:"webhook|exec|nats|none" doc:"Who gets requests for retraining. webhook: the receiver of retrain.webhook. exec: a program of this machine. nats: readers of retrain.nats. none: nobody; they are listed."`
	Exec       TrainerExec   `yaml:"exec" doc:"The program that trains, with trainer exec."`
	Timeout    time.Duration `yaml:"timeout" default:"6h" min:"1s" max:"8760h" doc:"Time that a program or a reader of the queue has until it pushes a version. For a webhook it is retrain.expire."`
	Token      string        `yaml:"token" default:"exec" enum:"exec|all|none" doc:"Which trainers get a token of their own with each request, with which they can do what that one needs, until it ends. exec: programs of this machine. all: also the receiver of the webhook, if its URL begins with https:// or is of this machine, and whoever reads the queue. none: none; they need the key of a caller."`
	TokenGrace time.Duration `yaml:"token_grace" default:"1h" min:"0s" max:"24h" doc:"Time after the end of a retraining in which its token still reads how it has ended, and repeats calls whose answer was lost, such as the push of its version. It changes nothing. 0s: the token ends with the retraining."`
	Attempts   int           `yaml:"attempts" default:"3" min:"1" max:"100" doc:"Max number of times that a program is started for one request. It is started again only if the gateway has ended meanwhile."`

	Lookback  time.Duration `yaml:"lookback" default:"720h" min:"1m" max:"87600h" doc:"Max age of the captured requests that a trainer gets."`
	Holdout   float64       `yaml:"holdout" default:"0.2" min:"0.01" max:"0.9" doc:"Share of the captured rows since the problem began, the last ones, that are kept from training. The new version is compared with its parent on them and on later ones."`
	MinLabels int           `yaml:"min_labels" default:"0" min:"0" max:"1000000000" doc:"Min number of captured labels within lookback. With fewer, a request for retraining is held back. 0: labels are not needed."`
	Schedule  time.Duration `yaml:"schedule" default:"0s" min:"0s" max:"87600h" doc:"Time after the last request for retraining at which the next one is made, whatever is detected. 0s: there is no schedule."`
	Budget    int           `yaml:"budget" default:"0" min:"0" max:"10000" doc:"Max number of requests in seven days. Further ones are held back. Those of people do not count. 0: no limit."`

	Parameters map[string][]string `yaml:"parameters" doc:"The values that a trainer may try, by the name of the parameter. Numbers and booleans are passed as such."`
	Trials     int                 `yaml:"trials" default:"10" min:"1" max:"100000" doc:"Max number of combinations that a trainer may try."`
	TrialTime  time.Duration       `yaml:"trial_time" default:"30m" min:"1s" max:"8760h" doc:"Max time for all trials together."`
	Metric     string              `yaml:"metric" default:"accuracy" doc:"The metric by which a trainer chooses the best trial, on rows that it has not trained on."`

	JudgeRows  int           `yaml:"judge_rows" default:"10000" min:"50" max:"10000000" doc:"Max number of recent captured rows on which a new version is compared with its parent."`
	JudgeTime  time.Duration `yaml:"judge_time" default:"10m" min:"1s" max:"24h" doc:"Max time for that comparison."`
	Confidence float64       `yaml:"confidence" default:"0.95" min:"0.5" max:"0.9999" doc:"Confidence of the interval of the difference between the losses of both versions."`
	Margin     float64       `yaml:"margin" default:"0.01" min:"0" max:"1" doc:"Max growth of the mean loss that counts as not worse. For a regression it is a share of the parent's mean loss."`
	Rollout    string        `yaml:"rollout" default:"manual" enum:"manual|shadow-only|canary-auto" doc:"What the gateway does with a version that is better or not worse. manual: nothing. shadow-only: it becomes a shadow of the model's route. canary-auto: a rollout starts."`
	Preset     string        `yaml:"preset" default:"careful" enum:"careful|standard|fast" doc:"The preset of that rollout."`
	StepTime   time.Duration `yaml:"step_time" default:"0s" min:"0s" max:"8760h" doc:"Max time of each step of that rollout. 0s: as in the preset."`
	Bake       time.Duration `yaml:"bake" default:"0s" min:"0s" max:"8760h" doc:"Time for which the former version stays loaded after that rollout. 0s: as in the preset."`

	Inconclusive string `yaml:"inconclusive" default:"hold" enum:"hold|ship|abort" doc:"What that rollout does if the time of its last step is over and the evidence allows no verdict. hold: it waits for a person. ship: it goes on. abort: it rolls back."`

	Route string `yaml:"route" default:"\"\"" doc:"The route of that rollout or shadow. Empty: the route with the name of the model."`
}

// TrainerExec configures the program that trains.
type TrainerExec struct {
	Command   []string `yaml:"command" default:"[]" doc:"The program and its arguments. No shell reads them. It gets the document on its standard input, and its path in SLUICE_REQUEST."`
	Env       []string `yaml:"env" default:"[PATH, LANG]" doc:"Variables of the gateway's environment that the program gets. It gets no others but those that docs/retraining.md lists."`
	MaxOutput Size     `yaml:"max_output" default:"1MiB" min:"1KiB" max:"1GiB" doc:"Max size of the program's output that is kept. Of a longer output, the beginning and the end are kept."`
	Nice      int      `yaml:"nice" default:"10" min:"0" max:"19" doc:"The niceness that is added to the program's processes. A higher one gives them less CPU time."`
}

// retraining checks what the trainers of models need.
func (d *decoder) retraining() {
	r := &d.cfg.Retrain
	if u, err := url.Parse(r.URL); r.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil) {
		d.problemAt("retrain.url", "expected a URL that begins with http:// or https:// and has no password%s", gotURL(r.URL))
	}
	for text := range strings.SplitSeq(r.NATS.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if r.NATS.URL != "" && (err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" || u.User != nil) {
			d.problemAt("retrain.nats.url", "expected URLs that begin with nats:// or tls:// and have no password%s", gotURL(r.NATS.URL))
			break
		}
	}
	if s := r.NATS.Subject; s == "" || strings.ContainsAny(s, " \t*>") || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		d.problemAt("retrain.nats.subject", "expected names separated by dots, without blanks and wildcards, got %s", clip(s))
	}
	d.retrainingOf("defaults", &d.cfg.Defaults.Retrain)
	for _, name := range sortedKeys(d.cfg.Models) {
		m := d.cfg.Models[name].Retrain
		d.retrainingOf(child("models", name), &m)
	}
}

func (d *decoder) retrainingOf(path string, m *Retraining) {
	if path != "defaults" && !d.isGiven(path+".retrain") {
		return // it is that of the defaults
	}
	switch {
	case m.Trainer == ByExec && (len(m.Exec.Command) == 0 || m.Exec.Command[0] == ""):
		d.problemAt(path+".retrain.exec.command", "must be given, since trainer is exec")
	case m.Trainer == ByExec && d.cfg.DataDir == "":
		d.problemAt(path+".retrain.trainer", "exec needs data_dir (--data-dir), in which documents and outputs are kept")
	case m.Trainer == ByNATS && d.cfg.Retrain.NATS.URL == "":
		d.problemAt(path+".retrain.trainer", "nats needs retrain.nats.url")
	}
	if m.Route != "" && !infer.ValidName(m.Route) {
		d.problemAt(path+".retrain.route", "%s is not a valid name for a route", clip(m.Route))
	}
	for i, name := range m.Exec.Env {
		if name == "" || strings.ContainsAny(name, "= ") {
			d.problemAt(element(path+".retrain.exec.env", i), "expected the name of a variable, got %s", clip(name))
		}
	}
}
