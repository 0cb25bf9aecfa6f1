package journal

// OnStep makes the log call f after each step of a cut.
func OnStep(l *Log, f func(name string)) { l.store.(*file).stepped = f }

// Segments returns the number of segments, and the number of events in none.
func Segments(l *Log) (segments int, active int64) {
	f := l.store.(*file)
	return len(f.segments()), l.Last() - f.archived().seq
}
