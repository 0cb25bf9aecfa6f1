//go:build gs

package capture

import _ "gocloud.dev/blob/gcsblob" // buckets of gs:// URLs
