package standalone

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// wish is a port that somebody or our default asks for.
type wish struct {
	what   string // "API", for messages
	flag   string // that chooses it
	host   string
	port   int
	chosen bool // by the operator: then no other will do
}

// listen opens the wished port. One that is taken is an error if the operator chose it, naming the
// flag; else a free one is opened and note says so.
func (w wish) listen() (listener net.Listener, note string, err error) {
	listener, err = net.Listen("tcp", net.JoinHostPort(w.host, strconv.Itoa(w.port)))
	switch {
	case err == nil:
		return listener, "", nil
	case !errors.Is(err, syscall.EADDRINUSE):
		return nil, "", failure.Wrap(failure.ConfigInvalid, "open the port of the "+w.what, err, "Choose another address with "+w.flag+".")
	case w.chosen:
		return nil, "", failure.New(failure.ConfigInvalid, "open the port of the "+w.what,
			fmt.Sprintf("port %d is taken by another process", w.port), "Choose another one with "+w.flag+".")
	}
	if listener, err = net.Listen("tcp", net.JoinHostPort(w.host, "0")); err != nil {
		return nil, "", failure.Wrap(failure.ConfigInvalid, "open a free port for the "+w.what, err, "")
	}
	note = fmt.Sprintf("port %d is taken; the %s uses %d instead (choose one with %s)",
		w.port, w.what, listener.Addr().(*net.TCPAddr).Port, w.flag)
	return listener, note, nil
}

// find is listen for a port that something else is going to open: the port is free now.
func (w wish) find() (port int, note string, err error) {
	listener, note, err := w.listen()
	if err != nil {
		return 0, "", err
	}
	return listener.Addr().(*net.TCPAddr).Port, note, listener.Close()
}
