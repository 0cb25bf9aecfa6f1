// Package labels keeps samples of predictions until what was true is known.
package labels
