// Package config turns a YAML file, and the flags that win over it, into a
// validated Config. It reports every problem of a file at once, each with its
// line and path.
//
// The structs of config.go are the one source of truth: their tags hold each
// setting's name, default, bounds and meaning, and the decoder, the comparison of
// two configurations and the reference in docs/config.md all read them there.
//
// The tags: yaml is the setting's name, doc its meaning, default its default as
// YAML text, min and max its bounds, enum its choices (separated by "|"). Where
// required is set there is no default; restart marks a setting, or a whole
// section, that a reload cannot apply; "false" marks what of such a section it can.
package config
