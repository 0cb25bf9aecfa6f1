package batch

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// slight is the factor by which a difference may exceed the tolerance and still come from
// rounding. Runs of different sizes use different kernels, and some models amplify the
// differences if the data is unlike their training data. Probabilities of Magika 3.3 differ by
// 0.005 for 2048 bytes of 0 and 1, and by 0.0000003 for any bytes.
const slight = 100

// sample is a request with its outputs from a run alone.
type sample struct {
	rows    int64
	inputs  []infer.Tensor
	outputs []infer.Tensor
}

// comparer runs requests together and alone on an instance that nothing else uses.
type comparer struct {
	instance  Instance
	tolerance float64
	log       *zap.Logger
}

// run executes one run and terminates it when ctx ends. The garbage collector frees the
// responses.
func (c *comparer) run(ctx context.Context, reqs []*infer.Request) (responses []*infer.Response, err error) {
	err = protect(c.log, "probe", func() error {
		if err := c.instance.Gather(reqs); err != nil {
			return err
		}
		if err := c.execute(ctx); err != nil {
			return err
		}
		for i := range reqs {
			resp := infer.NewResponse()
			if err := c.instance.Scatter(i, resp); err != nil {
				return err
			}
			responses = append(responses, resp)
		}
		return nil
	})
	return responses, err
}

// execute runs the gathered inputs. When it returns, no Terminate is pending that could hit the
// next run.
func (c *comparer) execute(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	terminated := make(chan struct{})
	detach := context.AfterFunc(ctx, func() {
		c.instance.Terminate()
		close(terminated)
	})
	defer func() {
		if !detach() {
			<-terminated
		}
	}()
	return c.instance.Run()
}

// alone runs the sample in a run of its own and keeps its outputs.
func (c *comparer) alone(ctx context.Context, s *sample) error {
	responses, err := c.run(ctx, []*infer.Request{{Inputs: s.inputs}})
	if err != nil {
		return err
	}
	s.outputs = responses[0].Outputs // kept: the response is not released
	return nil
}

// checkRows finds an output of a sample that does not have its rows along the first dimension.
// The Reason of the finding is empty if there is none.
func checkRows(s *sample) Finding {
	for k := range s.outputs {
		if out := &s.outputs[k]; !hasRows(out, s.rows) {
			return outputShape(out, s.rows)
		}
	}
	return Finding{}
}

func hasRows(t *infer.Tensor, n int64) bool { return len(t.Shape) > 0 && t.Shape[0] == n }

// outputShape is the finding of an output whose first dimension is not the number of rows.
func outputShape(t *infer.Tensor, rows int64) Finding {
	if rows > 1 {
		for axis := 1; axis < len(t.Shape); axis++ {
			if t.Shape[axis] == rows {
				return onAxis("output", t.Name, axis)
			}
		}
	}
	plural := "s"
	if rows == 1 {
		plural = ""
	}
	return mixed("output '%s' has shape %v for %d row%s", t.Name, t.Shape, rows, plural)
}

// together runs samples in an arrangement, a list of requests of which each is a list of
// samples, and compares the outputs with those of the samples alone. The Reason of the finding
// is empty if all are equal, and the finding is Undecided if the difference is slight. err is
// the error of the run.
func (c *comparer) together(ctx context.Context, samples []sample, arrangement [][]int) (Finding, error) {
	reqs := make([]*infer.Request, len(arrangement))
	for i, members := range arrangement {
		reqs[i] = &infer.Request{Inputs: joinSamples(samples, members)}
	}
	responses, err := c.run(ctx, reqs)
	if err != nil {
		return Finding{}, err
	}
	for i, members := range arrangement {
		if f := c.differs(responses[i].Outputs, samples, members); f.Reason != "" {
			return f, nil
		}
	}
	return Finding{}, nil
}

// differs compares the outputs of one request with those of its samples when run alone.
func (c *comparer) differs(outputs []infer.Tensor, samples []sample, members []int) Finding {
	rows := int64(0)
	for _, m := range members {
		rows += samples[m].rows
	}
	for k := range outputs {
		rest := outputs[k]
		if !hasRows(&rest, rows) {
			return outputShape(&rest, rows)
		}
		for _, m := range members {
			var one infer.Tensor
			var ok bool
			one, rest, ok = cut(&rest, samples[m].rows)
			if ok && equal(&one, &samples[m].outputs[k], c.tolerance) {
				continue
			}
			f := mixed("output '%s' of a row changes with the rows beside it", rest.Name)
			f.Undecided = ok && equal(&one, &samples[m].outputs[k], slight*c.tolerance)
			return f
		}
	}
	return Finding{}
}

// distinct reports whether the outputs differ between samples. If they do not, a model that
// mixes rows goes unnoticed.
func (c *comparer) distinct(samples []sample) bool {
	for i := 1; i < len(samples); i++ {
		for k := range samples[i].outputs {
			if !equal(&samples[0].outputs[k], &samples[i].outputs[k], c.tolerance) {
				return true
			}
		}
	}
	return false
}

// joinSamples makes the inputs of one request from several samples.
func joinSamples(samples []sample, members []int) []infer.Tensor {
	inputs := append([]infer.Tensor(nil), samples[members[0]].inputs...)
	for k := range inputs {
		t := &inputs[k]
		rows := int64(0)
		t.Data = nil
		for _, m := range members {
			rows += samples[m].inputs[k].Shape[0]
			t.Data = append(t.Data, samples[m].inputs[k].Data...)
		}
		t.Shape = append(infer.Shape{rows}, t.Shape[1:]...)
	}
	return inputs
}

// failTogether is the finding of requests that fail only when they run together.
func failTogether() Finding { return mixed("rows that run alone fail together") }

// bytesOf returns the bytes of tensors.
func bytesOf(tensors []infer.Tensor) (n int64) {
	for i := range tensors {
		n += int64(len(tensors[i].Data))
	}
	return n
}

// sizeText formats a number of bytes.
func sizeText(n int64) string {
	const mib = 1 << 20
	if n >= mib {
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d bytes", n)
}
