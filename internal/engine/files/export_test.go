package files

import "golang.org/x/sys/unix"

// WithoutExchange is the engine on a file system that can not exchange two names.
func WithoutExchange(e *Engine) *Engine {
	e.renameat2 = func(int, string, int, string, uint) error { return unix.EINVAL }
	return e
}
