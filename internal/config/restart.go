package config

import (
	"reflect"
)

// RestartOnly returns the paths of the settings that differ between two configurations and that
// need a restart.
func RestartOnly(before, after *Config) []string {
	return restartOnly("", reflect.ValueOf(*before), reflect.ValueOf(*after), false)
}

func restartOnly(path string, before, after reflect.Value, marked bool) []string {
	var paths []string
	for _, f := range fields(before.Type()) {
		a, b, p := before.Field(f.index), after.Field(f.index), child(path, f.name)
		marked := (marked || f.restart) && !f.reload
		switch {
		case isSection(a.Type()):
			paths = append(paths, restartOnly(p, a, b, marked)...)
		case marked && !reflect.DeepEqual(a.Interface(), b.Interface()):
			paths = append(paths, p)
		}
	}
	return paths
}
