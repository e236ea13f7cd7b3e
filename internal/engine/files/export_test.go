package files

import (
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// WithoutExchange is the engine on a file system that can not exchange two names.
func WithoutExchange(e *Engine) *Engine {
	e.renameat2 = func(int, string, int, string, uint) error { return unix.EINVAL }
	return e
}

// MarkFile is the file that marks the staging of a restore where an attribute can not.
func MarkFile(e *Engine, req engine.StageRequest) string {
	n, err := e.namesOf(req)
	if err != nil {
		panic(err)
	}
	return n.markFile()
}
