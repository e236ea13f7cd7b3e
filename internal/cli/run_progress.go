package cli

import (
	"cmp"
	"context"
	"io"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/progress"
)

// runProgress shows how far a run of a sync or a drill is: its status, and then the execution that is the half of it which runs, the
// restore before the backup.
type runProgress struct {
	session *session
	out     io.Writer
	words   *progress.Line // of the status
	status  domain.ExecutionStatus
	half    string // the execution that is shown
	stop    func() // stops showing it
}

func (s *session) showRun(verb string) *runProgress {
	out := s.cmd.ErrOrStderr()
	return &runProgress{session: s, out: out, words: progress.New(out, verb)}
}

// show shows a state of the run that has not ended.
func (p *runProgress) show(ctx context.Context, run runState) {
	half := cmp.Or(run.RestoreExecutionID, run.BackupExecutionID)
	if run.Status == p.status && half == p.half {
		return
	}
	p.end()
	p.words.Show(domain.Progress{Phase: domain.Phase(run.Status)})
	if p.status = run.Status; half != "" && half != p.half {
		p.half = half
		p.follow(ctx, half)
	}
}

// follow shows an execution as it goes on, until stop is called. Who may see the run may not see the execution: then the
// status is all there is.
func (p *runProgress) follow(ctx context.Context, id string) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	p.stop = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		var line *progress.Line
		_, _ = p.session.WaitExecution(ctx, id, func(e client.Execution) {
			if e.Status.Finished() || e.Metadata.Progress == nil {
				return
			}
			if line == nil {
				p.words.End() // nobody else has it until stop returns
				line = progress.New(p.out, string(e.Metadata.Operation))
			}
			line.Show(*e.Metadata.Progress)
		})
		if line != nil {
			line.End()
		}
	}()
}

// end leaves a clean line for what is written next.
func (p *runProgress) end() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	p.words.End()
}
