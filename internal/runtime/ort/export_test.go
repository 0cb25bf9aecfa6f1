package ort

// PublicText returns the part of a status that a caller may read.
var PublicText = publicText

// MaxPublicText bounds it, in bytes.
const MaxPublicText = maxPublicText

// OutOfMemory reports whether a status says that there was no memory.
var OutOfMemory = outOfMemory.MatchString
