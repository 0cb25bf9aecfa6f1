package httpapi_test

import (
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(path, body string, status int, want string, fields ...string) {
		t.Helper()
		if a := post(t, addr, path, body, fields...); a.status != status || !strings.Contains(a.body, want) {
			t.Errorf("%s %q %q: %+v, want %d and %s", path, body, fields, a, status, want)
		}
	}
	const path = "/v2/models/m/labels"
	f(path, `{"labels":[]}`, 200, `{"model":"m","rows":13,`)
	f(path, `{"labels":[]}`, 200, `{"model":"m",`, "Content-Type: application/x-www-form-urlencoded") // curl -d
	f(path, "request_id,label\n", 200, `{"model":"m csv","rows":17,`, "Content-Type: text/csv; charset=utf-8")
	f(path, "PAR1", 200, `{"model":"m parquet","rows":4,`, "Content-Type: application/vnd.apache.parquet")
	f(path, "PAR1", 415, "send labels as application/json, text/csv or application/vnd.apache.parquet", "Content-Type: application/x-parquet")
	f("/v2/models/echo/labels", "{}", 409, "no predictions of model 'echo' are kept")
	f("/v2/models/m/versions/1/labels", "{}", 404, "Not Found")
	f("/v2/models/%0a/labels", "{}", 400, "not a valid model name")
	if a := get(t, addr, path); a.status != 405 || a.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("%+v", a)
	}
}
