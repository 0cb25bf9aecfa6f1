//go:build !gs && !azblob

package capture_test

import "go.uber.org/goleak"

// leftover are the goroutines that other packages leave.
func leftover() []goleak.Option { return nil }
