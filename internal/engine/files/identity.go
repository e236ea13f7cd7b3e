package files

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var _ engine.Identifier = (*Engine)(nil)

// Identity is the directory itself, whatever path leads to it.
func (e *Engine) Identity(_ context.Context, src engine.Source) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(src.Config.SourcePath, &st); err != nil {
		return "", classify("look at "+src.Config.SourcePath, err)
	}
	return fmt.Sprintf("%d/%d", st.Dev, st.Ino), nil
}
