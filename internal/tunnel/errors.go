package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
)

var errNoAnswer = errors.New("no answer in time")

const (
	using = "use the ssh tunnel" // the operation that errors name once the tunnel is open
	// lookPatience is how long Err waits for the bastion host's sign of life.
	lookPatience = 5 * time.Second
)

// Err is what is known of why connections through the tunnel failed, for whoever used it and failed: they see only that
// the near end closed. It is nil when the tunnel is not to blame. Errors: those of sshdial.Dialer.Dial, Unreachable or Timeout if
// the bastion host does not get to the target or the connection to it broke, ConfigInvalid if it may not forward.
func (t *Tunnel) Err() error {
	if l := t.living(); l != nil { // it may have broken a moment ago, and nobody have noticed yet
		looked := make(chan bool, 1)
		go func() { looked <- t.probe(l) }()
		select {
		case lives := <-looked:
			if !lives {
				return t.lost(nil)
			}
		case <-time.After(lookPatience):
			return t.lost(errNoAnswer)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused != nil {
		return t.refused
	}
	return t.broke
}

// Explain puts what Err knows in front of err, which a user of the tunnel met. It leaves what is another side's as it is.
// What class err has does not matter: a tool whose connection breaks may take it for a damaged dump.
func (t *Tunnel) Explain(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if side := failure.SideOf(err); side != "" && side != failure.Datasource {
		return err
	}
	why := t.Err()
	if why == nil {
		return err
	}
	return &failure.Error{Class: failure.ClassOf(why), Hint: failure.HintOf(why), Cause: fmt.Errorf("%w (%w)", why, err)}
}

// lost says that the connection to the bastion host broke.
func (t *Tunnel) lost(cause error) error {
	what := "the connection to the bastion host " + t.dialer.Address() + " broke"
	if cause == nil {
		return failure.New(failure.Unreachable, using, what, sshdial.UnreachableHint)
	}
	return failure.Wrap(failure.Unreachable, using, fmt.Errorf("%s: %w", what, cause), sshdial.UnreachableHint)
}

// unreached classifies the bastion host's answer to the wish for a connection.
func (t *Tunnel) unreached(err error) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("the bastion host %s can not reach %s", t.dialer.Address(), t.target())
	var answer *ssh.OpenChannelError
	switch {
	case errors.Is(err, errNoAnswer):
		return failure.Wrap(failure.Timeout, using, fmt.Errorf("%s: %w", what, err),
			"Check host and port of the datasource, as the bastion host sees them, and the firewall between the two.")
	case !errors.As(err, &answer):
		return t.lost(err)
	case answer.Reason == ssh.Prohibited:
		return failure.New(failure.ConfigInvalid, using, fmt.Sprintf("the bastion host %s does not forward connections to %s: %s", t.dialer.Address(), t.target(), answer.Message),
			"Set AllowTcpForwarding (local or yes) and PermitOpen in its sshd_config for this user, and port-forwarding for the key in authorized_keys.")
	case answer.Reason == ssh.ResourceShortage:
		return failure.New(failure.Unreachable, using, what+": "+answer.Message, "Raise the limits of the bastion host, or lower parallel_jobs.")
	default:
		return failure.New(failure.Unreachable, using, what+": "+answer.Message,
			"Check that the database server runs, and host and port of the datasource as the bastion host sees them.")
	}
}

// target is host:port as the bastion host sees it.
func (t *Tunnel) target() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }
