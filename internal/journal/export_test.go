package journal

// OnStep has f told of each step of a cut.
func OnStep(l *Log, f func(name string)) { l.store.(*file).stepped = f }

// Segments returns how many segments there are, and how many events are in none.
func Segments(l *Log) (segments int, active int64) {
	f := l.store.(*file)
	return len(f.segments()), l.Last() - f.archived().seq
}
