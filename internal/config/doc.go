// Package config turns a YAML file, and the flags that override it, into a validated Config. It
// reports all problems of a file together, each with its line and path.
//
// The structs of config.go are the only definition of the settings: their tags have each setting's
// name, default, bounds and meaning. The decoder, the comparison of two configurations and the
// reference in docs/config.md all read them.
//
// The tags: yaml is the setting's name, doc its meaning, default its default as YAML text, min and
// max its bounds, enum its choices (separated by "|"). A setting with required has no default.
// restart marks a setting, or a whole section, that a reload cannot apply; "false" marks settings
// of such a section that it can.
package config
