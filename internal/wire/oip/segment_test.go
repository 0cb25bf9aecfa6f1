package oip_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

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
