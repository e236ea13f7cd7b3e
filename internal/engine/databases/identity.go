package databases

import (
	"context"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var _ engine.Identifier = (*Engine)(nil)

// Identity is that of the server: what its engine says of a database begins with it.
func (e *Engine) Identity(ctx context.Context, src engine.Source) (string, error) {
	identifier, ok := e.one.(engine.Identifier)
	if !ok {
		return "", nil
	}
	identity, err := identifier.Identity(ctx, in(src, ""))
	if err != nil {
		return "", err
	}
	return identity[:max(0, strings.LastIndexByte(identity, '/'))], nil
}
