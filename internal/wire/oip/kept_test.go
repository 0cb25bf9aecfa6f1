package oip_test

import (
	"testing"

	"sluice.io/sluice/internal/wire/oip"
)

// Parameters are kept as they were sent, also if the document is the same as the last one.
func TestKeepParameters(t *testing.T) {
	c := oip.NewCall()
	const head = `{"inputs":[{"name":"x","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}]`
	f := func(keep bool, parameters, want string) {
		t.Helper()
		for range 2 {
			c.Reset()
			c.KeepParameters = keep
			text := head + parameters + "}"
			if err := c.Decode([]byte(text+"\x01"), len(text), &usual); err != nil || string(c.Parameters) != want {
				t.Errorf("%s: %q %v, want %q", parameters, c.Parameters, err, want)
			}
		}
	}
	f(true, "", "")
	f(true, `,"parameters": {"tier":"gold", "binary_data_output":true} `, `{"tier":"gold", "binary_data_output":true}`)
	f(false, `,"parameters": {"tier":"gold", "binary_data_output":true} `, "")
	f(true, `,"parameters": {"tier":"gold", "binary_data_output":true} `, `{"tier":"gold", "binary_data_output":true}`)
	f(true, `,"parameters":{}`, "{}")
}
