package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/activities"
)

// obey makes a worker process take orders from standard input: lines of a boundary and a number, the
// how manieth time that it is reached the process kills itself. It has read the first one when it
// returns. When the input ends, the tests are gone, and so is the process.
func obey(end *fuse, patient *activities.Tuning) {
	sdk.SetStickyWorkflowCacheSize(0) // a workflow would wait 5 seconds for the worker that has died
	patient.Heartbeat, patient.Attempts = 2*time.Second, 20
	orders := bufio.NewReader(os.Stdin)
	next := func() {
		var boundary string
		var nth int
		if _, err := fmt.Fscanln(orders, &boundary, &nth); err != nil {
			os.Exit(1)
		}
		end.set(boundary, nth)
	}
	next()
	go func() {
		for {
			next()
			fmt.Println(workerReady)
		}
	}()
}

// death is where a worker dies.
type death struct {
	boundary string        // "" is after a time
	nth      int           // time that the boundary is reached
	after    time.Duration // since the step began, or since the worker before was lost
	then     func() error  // what happens before the next worker comes, or nil
}

func (d death) String() string {
	if d.boundary == "" {
		return fmt.Sprintf("after %v", d.after)
	}
	return fmt.Sprintf("%s #%d", d.boundary, d.nth)
}

// keeper keeps one worker process alive in a pool, as systemd would.
type keeper struct {
	t     *testing.T
	pool  string
	tally *tally
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ended chan struct{} // closed when the process has ended
}

// start runs a worker that dies where it is told.
func (k *keeper) start(d *death) {
	k.t.Helper()
	k.cmd = shared.workerCommand(k.pool, workerObeys+"=1")
	out, err := k.cmd.StdoutPipe()
	require.NoError(k.t, err)
	k.in, err = k.cmd.StdinPipe()
	require.NoError(k.t, err)
	k.out = bufio.NewReader(out)
	require.NoError(k.t, k.cmd.Start())
	k.arm(d)
	cmd, ended := k.cmd, make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	k.ended = ended
}

// arm tells the worker where to die, or that it is to live, and waits until it knows.
func (k *keeper) arm(d *death) {
	k.t.Helper()
	boundary, nth := "none", 0
	if d != nil && d.boundary != "" {
		boundary, nth = d.boundary, d.nth
	}
	_, err := fmt.Fprintln(k.in, boundary, nth)
	require.NoError(k.t, err)
	line, err := k.out.ReadString('\n')
	require.NoError(k.t, err, "the worker did not start")
	require.Equal(k.t, workerReady+"\n", line)
}

// stop ends the worker as a power cut would.
func (k *keeper) stop() {
	if k.ended != nil {
		_ = k.cmd.Process.Kill()
		<-k.ended
	}
}

// survive waits until a step has ended, which closes done, while workers die one after the other.
func (k *keeper) survive(done <-chan struct{}, deaths []death) {
	k.t.Helper()
	for i := range deaths {
		d := &deaths[i]
		if !k.dies(d, done) {
			k.arm(nil)
			break
		}
		if d.then != nil {
			require.NoError(k.t, d.then())
		}
		var next *death
		if i+1 < len(deaths) {
			next = &deaths[i+1]
		}
		k.start(next)
	}
	select {
	case <-done:
	case <-k.ended:
		k.t.Fatalf("the worker ended by itself: %v", k.cmd.ProcessState)
	case <-time.After(3 * time.Minute):
		k.t.Fatal("the step did not end")
	}
}

// dies waits for a death, and reports whether it came before the step ended.
func (k *keeper) dies(d *death, done <-chan struct{}) bool {
	k.t.Helper()
	var timer <-chan time.Time
	if d.boundary == "" {
		timer = time.After(d.after)
	}
	select {
	case <-timer:
		k.stop()
		k.tally.died("any time")
		return true
	case <-k.ended:
		require.Contains(k.t, k.cmd.ProcessState.String(), "killed", "the worker ended by itself")
		k.tally.died(d.boundary)
		return true
	case <-done:
		// It may have reached the boundary after all that was waited for.
		return false
	case <-time.After(3 * time.Minute):
		k.t.Fatalf("neither %s nor the end of the step came", d)
		return false
	}
}
