package database

import (
	"context"
	_ "embed" // shop.sql
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed shop.sql
var shopSchema string

// The rows of the shop in one MiB of its dump.
const (
	customersPerMiB = 510
	ordersPerMiB    = 1135
	eventsPerMiB    = 1780
	mib             = 1 << 20
)

// Shop is a database of customers, orders and events, with what it has grown to.
type Shop struct {
	server         *Server
	Name           string
	orders, events int64
}

// Shop makes the database so large that its dump is about size bytes.
func (s *Server) Shop(ctx context.Context, name string, size int64) (*Shop, error) {
	units := max(1, size/mib)
	shop := &Shop{server: s, Name: name, orders: units * ordersPerMiB, events: units * eventsPerMiB}
	return shop, s.fill(ctx, name, func(conn *pgx.Conn) error {
		statements := []string{
			shopSchema,
			fmt.Sprintf("CALL add_customers(1, %d)", units*customersPerMiB),
			fmt.Sprintf("CALL add_orders(1, %d)", shop.orders),
			fmt.Sprintf("CALL add_events(1, %d)", shop.events),
			"ALTER TABLE customers ADD PRIMARY KEY (id)", "ALTER TABLE orders ADD PRIMARY KEY (id)", "ALTER TABLE events ADD PRIMARY KEY (id)",
			"CREATE INDEX ON orders (customer_id)", "CREATE INDEX ON events (customer_id, at)", "VACUUM ANALYZE",
		}
		return execute(ctx, conn, statements)
	})
}

// Append adds a hundredth of the orders and of the events that are there.
func (s *Shop) Append(ctx context.Context) error {
	orders, events := max(1, s.orders/100), max(1, s.events/100)
	err := s.change(ctx, fmt.Sprintf("CALL add_orders(%d, %d)", s.orders+1, s.orders+orders),
		fmt.Sprintf("CALL add_events(%d, %d)", s.events+1, s.events+events))
	s.orders, s.events = s.orders+orders, s.events+events
	return err
}

// Update changes one order in a hundred, spread over the whole table; round chooses which.
func (s *Shop) Update(ctx context.Context, round int) error {
	return s.change(ctx, fmt.Sprintf(`UPDATE orders SET status = 'changed', total = total + 1, changed_at = timestamptz '2026-01-01 00:00:00+00' + id * interval '1 second'
		WHERE pick(id, %d, 100) = 0`, 1000+round))
}

// change executes statements, after which the table's pages are in order and on the disk.
func (s *Shop) change(ctx context.Context, statements ...string) error {
	return s.server.with(ctx, s.Name, func(conn *pgx.Conn) error {
		return execute(ctx, conn, append(statements, "VACUUM ANALYZE", "CHECKPOINT"))
	})
}

func execute(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return nil
}
