package api

import (
	"context"
	"encoding/json"
	"io"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// port is a worker's data port that answers everything that workers are asked for over it.
func (f *fixture) port() contract.TransferOffer {
	f.t.Helper()
	written := func(text string) dataport.Source {
		return func(context.Context, json.RawMessage) (dataport.Content, error) {
			return dataport.Content{Type: "application/json", Write: func(_ context.Context, w io.Writer) error {
				_, err := io.WriteString(w, text)
				return err
			}}, nil
		}
	}
	read := func(context.Context, json.RawMessage) (dataport.Content, error) {
		return fileOf("what was stored"), nil
	}
	port, err := dataport.Serve(dataport.Options{
		Listen: "127.0.0.1:0", Key: dataport.Key(f.db.TransferKey()), Pools: []string{"default"}, Logger: f.server.log,
		Sources: map[string]dataport.Source{
			contract.TransferSchema: written(`{"databases":[],"objects":[],"truncated":false}`), contract.TransferQuery: written(`{"columns":[],"rows":[],"truncated":false,"duration_ms":1}`),
			contract.TransferBackupFiles: written(`{"items":[],"next_cursor":""}`), contract.TransferStorageFiles: read, contract.TransferBackup: read,
		},
	})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { port.Stop(context.Background()) })
	offer := port.Offer()
	return contract.TransferOffer{URL: offer.URL, Certificate: offer.Certificate, MAC: offer.MAC}
}

// endings is how the workflows of an obliging Temporal end: well, with nothing to tell but where the data port is, and that all is well.
func (f *fixture) endings() func(context.Context, any) error {
	offer := f.port()
	return func(_ context.Context, out any) error {
		switch wanted := out.(type) {
		case *contract.TransferOffer:
			*wanted = offer
		case *contract.CheckResult:
			wanted.Status = domain.HealthOK
		}
		return nil
	}
}
