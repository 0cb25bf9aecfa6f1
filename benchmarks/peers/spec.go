package peers

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/process"
)

// AllModels as a model starts a server with all models in the folder.
const AllModels = "*"

// readyWithin is ample: the slowest of the peers take 10 s on two busy cores.
const readyWithin = 2 * time.Minute

// Spec returns how to start the peer on a port of the loopback, with one worker for
// each of the CPUs. It serves the model, or AllModels, of the folder models, an
// absolute path, where they are NAME/1/model.onnx. It runs in the folder that it was
// set up in, since some leave files where they run.
func (p *Peer) Spec(models, model string, port int, cpus []int) process.Spec {
	r := p.replacer(models, model, port, cpus, same)
	s := process.Spec{Dir: p.home, Ready: r.Replace(p.ready), CPUs: cpus, Timeout: readyWithin}
	for _, word := range p.start {
		s.Command = append(s.Command, r.Replace(word))
	}
	for _, v := range p.env {
		s.Env = append(s.Env, r.Replace(v))
	}
	return s
}

// URL returns where to send requests for a model, whose server was started on the port.
func (p *Peer) URL(model string, port int) string {
	return p.replacer("", model, port, nil, same).Replace(p.infer)
}

func (p *Peer) replacer(models, model string, port int, cpus []int, quote func(string) string) *strings.Replacer {
	return strings.NewReplacer(
		"{dir}", quote(p.dir),
		"{home}", quote(p.home),
		"{models}", quote(models),
		"{model}", quote(model),
		"{port}", strconv.Itoa(port),
		"{workers}", strconv.Itoa(workers(cpus)),
	)
}

func same(s string) string { return s }

func workers(cpus []int) int {
	if len(cpus) == 0 {
		return runtime.NumCPU()
	}
	return len(cpus)
}
