package tabular_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"sluice.io/sluice/internal/tabular"
)

const maxRowBytes = 1 << 20

// complete sets the required options that o does not have.
func complete(o tabular.Options) tabular.Options {
	o.MaxRowBytes = cmp.Or(o.MaxRowBytes, maxRowBytes)
	o.MaxFieldBytes = cmp.Or(o.MaxFieldBytes, 64<<10)
	o.MaxColumns = cmp.Or(o.MaxColumns, 10_000)
	if o.Missing == nil {
		o.Missing = tabular.UsualMissing()
	}
	return o
}

func TestMissingLimits(t *testing.T) {
	f := func(want string, remove func(*tabular.Options)) {
		t.Helper()
		defer func() {
			t.Helper()
			if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
				t.Errorf("got %s, want %q", got, want)
			}
		}()
		o := complete(tabular.Options{})
		remove(&o)
		_, _ = tabular.New(strings.NewReader("a\n1\n"), o)
	}
	f("BUG: tabular: MaxRowBytes is 0", func(o *tabular.Options) { o.MaxRowBytes = 0 })
	f("BUG: tabular: MaxFieldBytes is -1", func(o *tabular.Options) { o.MaxFieldBytes = -1 })
	f("BUG: tabular: MaxColumns is 0", func(o *tabular.Options) { o.MaxColumns = 0 })
}
