package router_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

// copies keeps the offered requests.
type copies struct {
	ids   []string
	resps []*infer.Response
}

func (c *copies) Offer(req *infer.Request, resp *infer.Response) {
	c.ids, c.resps = append(c.ids, req.RequestID), append(c.resps, resp)
}

func TestOnlyAnsweredSplitTrafficIsCopied(t *testing.T) {
	stable, canary := load(1), load(2, options())
	resp := infer.NewResponse()
	stable.resp = resp
	route := split(stable.variant(5000), canary.variant(5000))
	route.Fallback = stable.target
	first, second := &copies{}, &copies{}
	route.Shadows = []router.Shadow{{Sample: api.TotalWeight, Copy: first}, {Sample: api.TotalWeight, Copy: second}}
	plain := iris(nil, stable)
	plain.Name = "plain"
	r := serving(iris(route, stable, canary), plain)
	offered := 0
	f := func(req *infer.Request, more int) {
		t.Helper()
		req.RequestID = "id " + strconv.Itoa(offered)
		got, err := r.Predict(t.Context(), req)
		if offered += more; len(first.ids) != offered || len(second.ids) != offered {
			t.Fatalf("%+v (%v): %d and %d copies, want %d", req.Served, err, len(first.ids), len(second.ids), offered)
		}
		if more > 0 && (first.ids[offered-1] != req.RequestID || first.resps[offered-1] != got) {
			t.Errorf("%+v: not the answer", req.Served)
		}
	}
	f(keyed(0, 5000), 1)
	if len(first.resps) == 1 && first.resps[0] != resp {
		t.Error("not the answer of the version")
	}
	override := request("iris", 0)
	override.Override = "1"
	f(override, 0)
	f(request("iris", 1), 0)
	f(request("plain", 0), 0)
	f(request("nope", 0), 0)
	bad := keyed(0, 5000)
	bad.Inputs[0].DType = infer.FP64
	f(bad, 0)
	for code := infer.Invalid; code < infer.NumCodes; code++ {
		stable.err = infer.Errorf(code, "no")
		f(keyed(0, 5000), 0)
	}
	stable.err = nil
	canary.open(t)
	f(keyed(5000, 10_000), 1) // the fallback answers
	route.Fallback = nil
	f(keyed(5000, 10_000), 0) // 503
	stable.retired = true
	f(keyed(0, 5000), 0)
}

func TestSampleFollowsTheRequestID(t *testing.T) {
	const n = 100_000
	gateway := func() (*router.Router, map[int]*copies) {
		one := load(1)
		one.target.Observe = nil
		variant := one.variant(api.TotalWeight)
		variant.Observe = nil
		route := split(variant)
		taken := map[int]*copies{}
		for _, sample := range []int{0, 1000, 25, api.TotalWeight} {
			taken[sample] = &copies{}
			route.Shadows = append(route.Shadows, router.Shadow{Sample: sample, Copy: taken[sample]})
		}
		return serving(iris(route, one)), taken
	}
	a, byA := gateway()
	b, byB := gateway()
	req := request("iris", 0)
	for i := range n {
		req.RequestID = "request-" + strconv.Itoa(i)
		for _, r := range []*router.Router{a, b} {
			if _, err := r.Predict(t.Context(), req); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(byA[0].ids) != 0 || len(byA[api.TotalWeight].ids) != n {
		t.Errorf("a sample of nothing got %d, one of everything %d of %d", len(byA[0].ids), len(byA[api.TotalWeight].ids), n)
	}
	for _, sample := range []int{25, 1000} {
		if got := len(byA[sample].ids); !plausible(got, n, sample) {
			t.Errorf("a sample of %d basis points got %d of %d", sample, got, n)
		}
	}
	for sample, taken := range byA {
		if diff := cmp.Diff(taken.ids, byB[sample].ids); diff != "" {
			t.Errorf("another gateway copies others (- the first):\n%.500s", diff)
		}
	}
}
