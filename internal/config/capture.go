package config

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// CaptureStore configures where captured traffic is written.
type CaptureStore struct {
	Bucket       string        `yaml:"bucket" default:"\"\"" doc:"The bucket: file:///DIR, or s3://BUCKET?region=R. Another S3 server: s3://BUCKET?region=R&endpoint=https://HOST&use_path_style=true. gs://BUCKET and azblob://CONTAINER need a gateway that is built with -tags gs or -tags azblob. Credentials come from the environment, as for the SDK of each. Empty: the folder capture in data_dir."`
	Prefix       string        `yaml:"prefix" default:"\"\"" doc:"The prefix of the names of all files in the bucket, such as team-a/sluice."`
	RotateSize   Size          `yaml:"rotate_size" default:"16MiB" min:"4KiB" max:"256MiB" doc:"Size of the captured data, uncompressed, of which a file is made."`
	RotateAge    time.Duration `yaml:"rotate_age" default:"5m" min:"100ms" max:"24h" doc:"Time after which a file is made of what was captured, however little it is. A crash loses what is not in a file."`
	MaxBuffer    Size          `yaml:"max_buffer" default:"64MiB" min:"64KiB" max:"64GiB" doc:"Max size of what waits in memory for its file, all models together. If half of it is in use, files are made early. Requests without room are dropped, and the drops are counted. A file takes up to six times rotate_size more while it is made."`
	Retention    time.Duration `yaml:"retention" default:"720h" min:"24h" max:"87600h" doc:"Time for which files are kept, counted from the end of their day."`
	WriteTimeout time.Duration `yaml:"write_timeout" default:"30s" min:"10ms" max:"10m" doc:"Max time to write one file. After that it is tried again."`
	Events       CaptureEvents `yaml:"events" doc:"The receiver of an event for each captured request and for its answer, as KServe's logger sends them."`

	HashKey Secret `yaml:"hash_key" default:"\"\"" doc:"The key of the hashes of hashed fields (HMAC-SHA-256), 16 bytes or more: \"${NAME}\", the value of that environment variable."`
}

// CaptureEvents configures events of captured requests.
type CaptureEvents struct {
	URL       string        `yaml:"url" default:"\"\"" doc:"URL to which events are posted, http or https. Empty: no events."`
	Mode      string        `yaml:"mode" default:"all" enum:"all|request|response" doc:"Which events are sent."`
	Source    string        `yaml:"source" default:"/gateway/sluice" doc:"The source of the events, a URI reference."`
	Namespace string        `yaml:"namespace" default:"default" doc:"The attribute namespace of the events."`
	MaxBuffer Size          `yaml:"max_buffer" default:"16MiB" min:"64KiB" max:"4GiB" doc:"Max size of the requests that wait to be sent. Further ones are not sent, and are counted."`
	Timeout   time.Duration `yaml:"timeout" default:"5s" min:"10ms" max:"1m" doc:"Max time to send one event. After that it is dropped."`
}

// The values of CaptureEvents.Mode.
const (
	EventsAll      = "all"
	EventsRequest  = "request"
	EventsResponse = "response"
)

// Capture configures which traffic of a model is captured.
type Capture struct {
	Sample     Weight   `yaml:"sample" default:"0%" min:"0%" max:"100%" doc:"Share of the answered requests that are captured, with their answers. The hash of a request's id chooses it, so that labels.sample with the same share has the same requests. Above 0%, capture.bucket or data_dir must be given."`
	Redact     []string `yaml:"redact" default:"[]" doc:"Fields that are not captured: input:NAME, output:NAME, parameter:NAME, caller, or label, which is that of each row that labels are sent for."`
	Hash       []string `yaml:"hash" default:"[]" doc:"Fields of which only hashes are captured, named likewise. Each element of a tensor is hashed. It needs capture.hash_key."`
	MaxRequest Size     `yaml:"max_request" default:"1MiB" min:"1KiB" max:"256MiB" doc:"Max size of a captured request with its answer. Larger ones are dropped, and the drops are counted."`
	Parameters bool     `yaml:"parameters" default:"true" doc:"Whether the parameters of requests are captured."`
}

// captureSchemes are the schemes that the URL of a bucket may have.
// Those of gs and azblob need a build with their drivers, which only the start knows.
func captureSchemes() []string { return []string{"file", "s3", "gs", "azblob"} }

// capture checks the bucket, and that there is one if something is captured.
func (d *decoder) capture() {
	c := &d.cfg.Capture
	if u, err := url.Parse(c.Bucket); c.Bucket != "" {
		switch {
		case err != nil || !slices.Contains(captureSchemes(), u.Scheme) || u.User != nil:
			d.problemAt("capture.bucket", "expected a URL that begins with %s:// and has no password%s", strings.Join(captureSchemes(), ":// or "), gotURL(c.Bucket))
		case u.Scheme == "file" && u.Path == "":
			d.problemAt("capture.bucket", "expected file:///DIR, got %s", clip(c.Bucket))
		case u.Scheme != "file" && u.Host == "":
			d.problemAt("capture.bucket", "the URL names no bucket")
		}
	}
	if u, err := url.Parse(c.Events.URL); c.Events.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil) {
		d.problemAt("capture.events.url", "expected a URL that begins with http:// or https:// and has no password%s", gotURL(c.Events.URL))
	}
	if u, err := url.Parse(c.Events.Source); err != nil || u.String() == "" {
		d.problemAt("capture.events.source", "expected a URI reference such as /gateway/sluice, got %s", clip(c.Events.Source))
	}
	if c.Events.Namespace == "" {
		d.problemAt("capture.events.namespace", "expected a name")
	}
	if strings.HasPrefix(c.Prefix, "/") || strings.Contains(c.Prefix, "//") || strings.Contains("/"+c.Prefix+"/", "/../") {
		d.problemAt("capture.prefix", "expected names separated by single slashes, got %s", clip(c.Prefix))
	}
	if c.RotateSize > c.MaxBuffer/2 {
		d.problemAt("capture.rotate_size", "%v is more than half of capture.max_buffer (%v)", c.RotateSize, c.MaxBuffer)
	}
	if c.HashKey != "" && len(c.HashKey) < minTokenBytes {
		d.problemAt("capture.hash_key", "a key is %d bytes or more", minTokenBytes)
	}
	d.captureOf("defaults", &d.cfg.Defaults.Capture)
	for _, name := range sortedKeys(d.cfg.Models) {
		m := d.cfg.Models[name].Capture
		d.captureOf(child("models", name), &m)
	}
}

// captureOf checks what the settings of a model need.
func (d *decoder) captureOf(path string, m *Capture) {
	c := &d.cfg.Capture
	if m.Sample > 0 && c.Bucket == "" && d.cfg.DataDir == "" && !d.failedIn("capture") && (path == "defaults" || d.isGiven(path+".capture.sample")) {
		d.problemAt(path+".capture.sample", "needs a place for captured requests: capture.bucket, or data_dir (--data-dir)")
	}
	if len(m.Hash) > 0 && c.HashKey == "" && !d.failed("capture.hash_key") && d.isGiven(path+".capture.hash") {
		d.problemAt(path+".capture.hash", "needs capture.hash_key")
	}
	for key, list := range map[string][]string{"redact": m.Redact, "hash": m.Hash} {
		at := path + ".capture." + key
		if !d.isGiven(at) {
			continue
		}
		for i, name := range list {
			if kind, rest, ok := strings.Cut(name, ":"); name != "caller" && name != "label" && (!ok || rest == "" || !slices.Contains([]string{"input", "output", "parameter"}, kind)) {
				d.problemAt(element(at, i), "expected input:NAME, output:NAME, parameter:NAME, caller or label, got %s", clip(name))
			}
		}
	}
}
