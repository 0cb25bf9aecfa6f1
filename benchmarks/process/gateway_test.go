package process_test

import (
	"testing"

	"sluice.io/sluice/benchmarks/process"
)

const told = `# HELP go_memstats_mallocs_total x
go_memstats_mallocs_total 5000
go_memstats_mallocs_total_of_others 99
sluice_batch_rows_sum{model="lin",version="1"} 1.5e+06
sluice_batch_rows_sum{model="lin",version="2"} 2
sluice_batch_rows_sum{model="linear",version="1"} 77
`

func TestMetrics(t *testing.T) {
	m, err := process.ParseMetrics([]byte(told))
	if err != nil {
		t.Fatal(err)
	}
	f := func(name, label string, want float64) {
		t.Helper()
		if got := m.Sum(name, label); got != want {
			t.Errorf("%s{%s}: %g, want %g", name, label, got, want)
		}
	}
	f("go_memstats_mallocs_total", "", 5000)
	f("sluice_batch_rows_sum", `model="lin"`, 1_500_002)
	f("sluice_batch_rows_sum", "", 1_500_079)
	f("sluice_batch_rows", "", 0)
	if m, err := process.ParseMetrics([]byte("go_memstats_mallocs_total many\n")); err == nil {
		t.Errorf("%v", m)
	}
}
