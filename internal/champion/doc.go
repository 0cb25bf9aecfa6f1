// Package champion compares a version with its parent on captured requests, beside what serves. Both versions are loaded for the
// comparison alone, run each request at a low pace, and are freed again.
package champion
