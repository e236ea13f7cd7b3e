package worker

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
)

// dataPort is the worker's port for downloads, or none.
type dataPort struct{ server *dataport.Server }

// openDataPort opens the port before the first workflow can ask for it.
func (w *Worker) openDataPort() (dataPort, error) {
	if w.dataPort.Listen == "" {
		return dataPort{}, nil
	}
	server, err := dataport.Serve(w.dataPort)
	if err != nil {
		return dataPort{}, err
	}
	offer := server.Offer()
	w.acts.Transfers = &contract.TransferOffer{URL: offer.URL, Certificate: offer.Certificate, MAC: offer.MAC}
	w.logger.Info("worker serves downloads to the API", "url", offer.URL)
	return dataPort{server}, nil
}

// stop lets transfers under way finish for as long as other work may. It may be called twice.
func (p dataPort) stop() {
	if p.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	p.server.Stop(ctx)
}
