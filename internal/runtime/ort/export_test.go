package ort

// PublicText returns what a caller may read of a status.
var PublicText = publicText

// MaxPublicText bounds it, in bytes.
const MaxPublicText = maxPublicText

// OutOfMemory reports whether a status says that there was no memory.
var OutOfMemory = outOfMemory.MatchString
