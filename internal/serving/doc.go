// Package serving makes one version of a model ready to serve: it verifies the files, loads a
// session, finds out whether requests can be joined, and warms the version up. The result is a
// Version (batcher → instances → session), or a Shadow (mirror → batcher → one instance →
// session). Each owns its parts, and frees them in Shutdown.
package serving
