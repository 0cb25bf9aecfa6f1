package promquery_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRange(t *testing.T) {
	answer, asked := "", ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.FormValue("query") + " " + r.FormValue("start") + " " + r.FormValue("end") + " " + r.FormValue("step")
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	c := client(t, server.URL)
	first := time.Unix(1000, 0)
	answer = `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"model":"iris"},"values":[[1000,"1.5"],[1020,"NaN"],[1030,"+Inf"],[990,"7"],[1050,"8"]]},{"metric":{},"values":[]}]}}`
	list, err := c.Range(t.Context(), "up", first, 10*time.Second, 4)
	if err != nil || len(list) != 2 || list[0].Labels["model"] != "iris" || len(list[0].Values) != 4 || len(list[1].Values) != 4 {
		t.Fatalf("%+v %v", list, err)
	}
	if v := list[0].Values; v[0] != 1.5 || !math.IsNaN(v[1]) || !math.IsNaN(v[2]) || !math.IsNaN(v[3]) {
		t.Errorf("%v", v)
	}
	if want := "/api/v1/query_range up 1000 1030 10"; asked != want {
		t.Errorf("asked %q, want %q", asked, want)
	}
	for answers, cause := range map[string]string{
		`{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`: "scalar",
		`{"status":"error","errorType":"bad_data","error":"no such function"}`: "no such function",
		`<html>`: "prometheus", "": "prometheus",
	} {
		answer = answers
		if _, err := c.Range(t.Context(), "up", first, time.Second, 4); err == nil || !strings.Contains(err.Error(), cause) {
			t.Errorf("%s: %v", answers, err)
		}
	}
}
