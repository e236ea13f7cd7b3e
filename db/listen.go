package db

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	executionsChannel    = "backup_executions"
	notificationsChannel = "notifications"
	reconnectDelay       = time.Second
	listenBuffer         = 256 // ids waiting for a slow reader; more wait in the server
)

// ListenExecutions delivers the id of every execution that is created or changed from now on. An
// empty id means that changes may have been missed because the connection was lost and made
// again: read anew what you watch. The channel is closed when ctx ends.
func (d *DB) ListenExecutions(ctx context.Context) (<-chan string, error) {
	return d.listenTo(ctx, executionsChannel)
}

// ListenNotifications delivers an empty text whenever notifications may have been written, from now on. The
// channel is closed when ctx ends.
func (d *DB) ListenNotifications(ctx context.Context) (<-chan string, error) {
	return d.listenTo(ctx, notificationsChannel)
}

func (d *DB) listenTo(ctx context.Context, channel string) (<-chan string, error) {
	conn, err := d.listen(ctx, channel)
	if err != nil {
		return nil, translate("listen for changes", err)
	}
	ids := make(chan string, listenBuffer)
	go func() {
		defer close(ids)
		for ctx.Err() == nil {
			forward(ctx, conn, ids)
			if conn = d.relisten(ctx, channel); conn == nil {
				return
			}
			if !deliver(ctx, ids, "") {
				closeListener(conn)
				return
			}
		}
	}()
	return ids, nil
}

// listen uses a connection of its own: one that only waits is of no use to the pool.
func (d *DB) listen(ctx context.Context, channel string) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, d.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		closeListener(conn)
		return nil, err
	}
	return conn, nil
}

// relisten tries until there is a connection again; nil when ctx ended.
func (d *DB) relisten(ctx context.Context, channel string) *pgx.Conn {
	for ctx.Err() == nil {
		conn, err := d.listen(ctx, channel)
		if err == nil {
			return conn
		}
		select {
		case <-ctx.Done():
		case <-time.After(reconnectDelay):
		}
	}
	return nil
}

// forward delivers until the connection is lost or ctx ends, and closes the connection.
func forward(ctx context.Context, conn *pgx.Conn, ids chan<- string) {
	defer closeListener(conn)
	for {
		note, err := conn.WaitForNotification(ctx)
		if err != nil || !deliver(ctx, ids, note.Payload) {
			return
		}
	}
}

func deliver(ctx context.Context, ids chan<- string, id string) bool {
	select {
	case ids <- id:
		return true
	case <-ctx.Done():
		return false
	}
}

func closeListener(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server ends what is lost already
}
