package offline

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// FuzzReplayLines: each request of a file of JSON lines is a JSON object with inputs, in the order of the
// lines, and an error is one of the file.
func FuzzReplayLines(f *testing.F) {
	f.Add([]byte(`{"id":"a","inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[3]}]}` + "\n\n" + `{"inputs":[1]}`))
	f.Add([]byte("{}\n"))
	f.Add([]byte(" {\"inputs\":[{}]}\r\n{\"inputs\":"))
	f.Add([]byte{0, '\n', 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		rest, n := data, 0
		err := (&Recording{}).lines(bytes.NewReader(data), func(r *Recorded) error {
			n++
			var doc struct{ Inputs []json.RawMessage }
			if err := json.Unmarshal(r.Body, &doc); err != nil || len(doc.Inputs) == 0 || r.ID == "" || !r.Time.IsZero() {
				t.Errorf("%v %+v", err, r)
			}
			at := bytes.Index(rest, r.Body)
			if at < 0 {
				t.Fatalf("%q is not in the rest", r.Body)
			}
			rest = rest[at+len(r.Body):]
			return nil
		})
		if _, damaged := errors.AsType[fileDamageError](err); err != nil && !damaged {
			t.Error(err)
		}
		if err == nil && n == 0 && len(bytes.TrimSpace(data)) > 0 {
			t.Errorf("nothing of %q", data)
		}
	})
}
