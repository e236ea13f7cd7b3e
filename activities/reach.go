package activities

import (
	"context"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/tunnel"
)

// reach gives do the datasource as an engine connects to it, through its ssh_tunnel if it has one: the tunnel is open
// until do returns, also when ctx ends before, because what an engine cleans up then needs it. Errors of the tunnel,
// and those of do that it is to blame for, are the datasource's.
func (a *Activities) reach(ctx context.Context, d db.Datasource, do func(engine.Source) error) error {
	src := engine.Source{Name: d.Name, Type: d.Type, Config: d.Config}
	bastion := d.Config.SSHTunnel
	if bastion == nil {
		return do(src)
	}
	open, err := tunnel.Open(ctx, *bastion, d.Config.Host, d.Config.Port)
	if err != nil {
		return failure.WithSubject(err, aboutDatasource(d.Name))
	}
	defer open.Close()
	src.Via = open.Address()
	return failure.WithSubject(open.Explain(ctx, do(src)), aboutDatasource(d.Name))
}
