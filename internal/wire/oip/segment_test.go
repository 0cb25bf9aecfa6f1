package oip_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// TestDecodeDriftSegment: the parameter may be that of the segment or of the key as well. A text that is too long for a segment is none.
func TestDecodeDriftSegment(t *testing.T) {
	c := oip.NewCall()
	f := func(drift, segment, sticky, parameters, want, wantSegment, wantKey string) {
		t.Helper()
		document := `{"parameters":` + parameters + `,"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}`
		for range 2 { // the second time the document may be known
			c.DriftParameter, c.SegmentParameter, c.StickyParameter = drift, segment, sticky
			err := c.Decode([]byte(document+"...."), len(document), &usual)
			if err != nil || c.DriftSegment != want || c.Segment != wantSegment || c.StickyKey != wantKey {
				t.Errorf("%s: drift %q, segment %q, key %q, %v", parameters, c.DriftSegment, c.Segment, c.StickyKey, err)
			}
			if c.Reset(); c.DriftSegment != "" || c.DriftParameter != "" {
				t.Errorf("%q of %q after Reset", c.DriftSegment, c.DriftParameter)
			}
		}
	}
	f("plan", "", "", `{"plan":"pro"}`, "pro", "", "")
	f("plan", "", "", `{"plan":"free"}`, "free", "", "")
	f("plan", "", "", `{"plan":17}`, "17", "", "")
	f("plan", "", "", `{"plan":true}`, "true", "", "")
	f("plan", "plan", "", `{"plan":"pro"}`, "pro", "pro", "")
	f("plan", "", "plan", `{"plan":"pro"}`, "pro", "", "pro")
	f("plan", "plan", "plan", `{"plan":"pro"}`, "pro", "pro", "pro")
	f("plan", "region", "user", `{"plan":"pro","region":"EU","user":"u"}`, "pro", "EU", "u")
	f("plan", "", "", `{"plan":"`+strings.Repeat("x", 65)+`"}`, "", "", "")
	f("plan", "", "", `{"other":"pro"}`, "", "", "")
	f("", "", "", `{"plan":"pro"}`, "", "", "")
	f("timeout", "", "", `{"timeout":1}`, "", "", "") // it has its own meaning

	c.DriftParameter = "plan"
	if err := c.Decode([]byte(`{"parameters":{"plan":{}},"inputs":[]}`), -1, &usual); infer.CodeOf(err) != infer.Invalid {
		t.Error(err)
	}
}

func TestDecodeSegment(t *testing.T) {
	c := oip.NewCall()
	f := func(segment, sticky, parameters, wantSegment, wantKey string) {
		t.Helper()
		c.SegmentParameter, c.StickyParameter = segment, sticky
		err := c.Decode([]byte(`{"parameters":`+parameters+`,"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["\u00e9"]}]}`), -1, &usual)
		if err != nil || c.Segment != wantSegment || c.StickyKey != wantKey {
			t.Errorf("%s: segment %q, key %q, %v", parameters, c.Segment, c.StickyKey, err)
		}
		c.Reset()
		if c.Segment != "" || c.SegmentParameter != "" {
			t.Errorf("segment %q of %q after Reset", c.Segment, c.SegmentParameter)
		}
	}
	f("region", "", `{"region":"EU"}`, "EU", "")
	f("region", "", `{"region":"US"}`, "US", "")
	f("region", "user", `{"user":"alice","region":7}`, "7", "alice")
	f("region", "region", `{"region":"EU"}`, "EU", "EU")
	f("region", "", `{"other":"EU"}`, "", "")
	f("", "", `{"region":"EU"}`, "", "")
	f("priority", "", `{"priority":1}`, "", "") // it has its own meaning

	c.SegmentParameter = "region"
	if err := c.Decode([]byte(`{"parameters":{"region":["EU"]},"inputs":[]}`), -1, &usual); infer.CodeOf(err) != infer.Invalid {
		t.Error(err)
	}
}
