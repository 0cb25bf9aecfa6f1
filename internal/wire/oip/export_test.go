package oip

// NewCall returns a Call that has read nothing yet.
func NewCall() *Call { return newCall() }
