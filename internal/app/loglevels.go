package app

import (
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// LogLevels says which levels of a log are written. Unlike zap.AtomicLevel, a level can be off
// while a lower one is on. It is a zapcore.LevelEnabler, and is set while the log is in use.
type LogLevels struct{ off atomic.Uint32 } // a bit for each level up to error, counted from debug

// Enabled implements zapcore.LevelEnabler. What is worse than an error is always written.
func (l *LogLevels) Enabled(level zapcore.Level) bool {
	if level > zapcore.ErrorLevel {
		return true
	}
	if level < zapcore.DebugLevel {
		return false
	}
	return l.off.Load()&(1<<(level-zapcore.DebugLevel)) == 0
}

// Set turns each level on or off.
func (l *LogLevels) Set(debug, info, warn, err bool) {
	off := uint32(0)
	for i, on := range []bool{debug, info, warn, err} {
		if !on {
			off |= 1 << i
		}
	}
	l.off.Store(off)
}

// From writes what is not below a level: debug, info, warn or error.
func (l *LogLevels) From(level string) {
	debug := level == "debug"
	info := debug || level == "info"
	l.Set(debug, info, info || level == "warn", true)
}
