//go:build !unix

package registry

import "os"

// lock does nothing: only one gateway may write to a repository there.
func lock(*os.File) error { return nil }
