package process

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What a server and its worker burn is told, and nothing of them is left.
func TestUsageHasWorkersToo(t *testing.T) {
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer ready.Close()
	s, err := Launch(t.Context(), Spec{Command: []string{"sh", "-c", "sh -c 'while :; do :; done' & wait"}, Ready: ready.URL})
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; {
		all, err := s.Usage()
		if err != nil {
			t.Fatal(err)
		}
		own, err := s.OwnUsage()
		if err != nil || own.RSS <= 0 {
			t.Fatal(err, own)
		}
		if all.CPU > own.CPU+50*time.Millisecond && all.Threads >= 2 && all.RSS > own.RSS {
			break
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("all %+v, own %+v", all, own)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// A label must be one of the whole series' labels, and a name the whole name.
func TestSum(t *testing.T) {
	m := Metrics{"a_total": 5000, "a_total_of_others": 99, `rows{model="lin",version="1"}`: 1.5, `rows{model="lin",version="2"}`: 2, `rows{model="linear"}`: 77}
	if a, lin, all := m.Sum("a_total", ""), m.Sum("rows", `model="lin"`), m.Sum("rows", ""); a != 5000 || lin != 3.5 || all != 80.5 {
		t.Errorf("%g, %g, %g", a, lin, all)
	}
}
