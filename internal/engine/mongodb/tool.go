package mongodb

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// command is the child and what belongs to it.
type command struct {
	process.Command
	config  []byte // what it reads first
	closers []func()
}

func (c *command) close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

// command prepares the child. Its configuration goes through its standard input; for a dump, that is a
// pipe which holds nothing else.
func (e *Engine) command(ctx context.Context, src engine.Source, what string, config mongotool.Config) (*command, error) {
	program, err := e.child()
	if err != nil {
		return nil, err
	}
	c := &command{Command: process.Command{
		Path: program, Args: []string{mongotool.Name, what}, Secrets: secretsOf(src.Config),
		Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"},
	}}
	if err := c.connection(ctx, src, &config); err != nil {
		c.close()
		return nil, err
	}
	if c.config, err = config.Line(); err != nil {
		c.close()
		return nil, failure.Wrap(failure.Unknown, "configure "+what, err, "")
	}
	if what == mongotool.Dump {
		if err := c.pipeConfig(); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *command) pipeConfig() error {
	read, write, err := os.Pipe()
	if err != nil {
		return failure.Wrap(failure.Unknown, "make a pipe", err, "Raise the limit of open files.")
	}
	c.Stdin = read
	written := make(chan struct{})
	go func() { // a long one does not fit into the pipe
		defer close(written)
		_, _ = io.Copy(write, bytes.NewReader(c.config))
		_ = write.Close()
	}()
	c.closers = append(c.closers, func() {
		_ = read.Close() // frees a write that nobody reads
		<-written
	})
	return nil
}

// connection says how the child reaches the server: as the URI says, as a member of the replica set, or
// through a socket of this process, which then does what the tools can not: check a certificate for
// another name than the one that is dialled, or its chain alone.
func (c *command) connection(ctx context.Context, src engine.Source, config *mongotool.Config) error {
	cfg := src.Config
	if cfg.URI != "" {
		uri, err := plainURI(cfg)
		config.URI, config.CA = uri, cfg.CACertificate
		return err
	}
	if cfg.Username != "" {
		config.Username, config.Password, config.AuthSource = cfg.Username, cfg.Password, authSource(cfg)
	}
	if !isDirect(src) {
		tls := tlsConfig(cfg)
		query := url.Values{"replicaSet": {cfg.ReplicaSet}}
		if tls != nil {
			query.Set("tls", "true")
			// verify-ca is checked as verify-full here: the tools know nothing between that and no check.
			config.Insecure, config.CA = tls.InsecureSkipVerify && tls.VerifyConnection == nil, cfg.CACertificate
		}
		config.URI = (&url.URL{Scheme: "mongodb", Host: address(cfg), Path: "/", RawQuery: query.Encode()}).String()
		return nil
	}
	if err := c.forward(ctx, src); err != nil {
		return err
	}
	config.URI = "mongodb://" + socketName + "/?directConnection=true"
	return nil
}

// socketName is the socket that the child connects to, in the directory in which it runs: the driver makes addresses lower case,
// the paths of sockets too, and TMPDIR may have capitals.
const socketName = "mongodb.sock"

// forward listens on a socket that only this user reaches, and connects whoever comes to the server.
func (c *command) forward(ctx context.Context, src engine.Source) error {
	const op = "make a socket for the database tool"
	dir, err := os.MkdirTemp("", "dataguardian-mongo-") // mode 0700
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "Check that TMPDIR can be written.")
	}
	c.closers = append(c.closers, func() { _ = os.RemoveAll(dir) })
	c.Dir = dir
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", filepath.Join(dir, socketName))
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "Set TMPDIR to a shorter path.")
	}
	f := newForwarder(ctx, src, listener)
	c.closers = append(c.closers, f.close)
	return nil
}
