//go:build !unix

package journal

import "os"

// lock does nothing, since bbolt locks the file a little later.
func lock(*os.File) (bool, error) { return true, nil }
