package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// serverLogger gives the Temporal server's log to slog. Everything below an error is about the
// server's own inside (and plentiful), so it comes out at debug level. So do errors once the server
// is stopping: its parts miss each other while they go.
type serverLogger struct {
	slog     *slog.Logger
	stopping *atomic.Bool
	// failed receives the first fatal error. The server expects Fatal to end the process; a
	// library must not, so the goroutine ends instead and the owner of the Server is told.
	failed chan<- error
}

var (
	_ log.Logger      = serverLogger{}
	_ log.WithLogger  = serverLogger{}
	_ log.SLogWrapper = serverLogger{}
)

// Debug implements log.Logger.
func (l serverLogger) Debug(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }

// Info implements log.Logger, at debug level.
func (l serverLogger) Info(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }

// Warn implements log.Logger, at debug level.
func (l serverLogger) Warn(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }

// Error implements log.Logger.
func (l serverLogger) Error(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

// DPanic implements log.Logger: an error that would panic in the server's own development builds.
func (l serverLogger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

// Panic implements log.Logger; the code behind it counts on not being reached.
func (l serverLogger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic("temporal server: " + msg)
}

// Fatal implements log.Logger without ending the process: see failed.
func (l serverLogger) Fatal(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	select {
	case l.failed <- fatalError(msg, tags):
	default: // the first one is the cause
	}
	runtime.Goexit()
}

// With implements log.WithLogger.
func (l serverLogger) With(tags ...tag.Tag) log.Logger {
	attrs := attributes(tags)
	args := make([]any, len(attrs))
	for i, attr := range attrs {
		args[i] = attr
	}
	l.slog = l.slog.With(args...)
	return l
}

// SLog implements log.SLogWrapper.
func (l serverLogger) SLog() *slog.Logger { return l.slog }

func (l serverLogger) write(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if l.stopping.Load() {
		level = slog.LevelDebug
	}
	if l.slog.Enabled(ctx, level) {
		l.slog.LogAttrs(ctx, level, msg, attributes(tags)...)
	}
}

func attributes(tags []tag.Tag) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	return attrs
}

func fatalError(msg string, tags []tag.Tag) error {
	for _, t := range tags {
		if t.Key() == "error" {
			return fmt.Errorf("%s: %v", msg, t.Value())
		}
	}
	return errors.New(msg)
}
