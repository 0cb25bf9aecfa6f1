//go:build azblob

package capture

import _ "gocloud.dev/blob/azureblob" // buckets of azblob:// URLs
