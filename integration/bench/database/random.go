package database

import (
	"context"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
)

// Random makes a database whose dump nothing compresses: large objects, which pg_dump writes as
// they are (a bytea it would write in hexadecimal, which halves again). size is in bytes.
func (s *Server) Random(ctx context.Context, name string, size int64) error {
	return s.fill(ctx, name, func(conn *pgx.Conn) error {
		source := rand.NewChaCha8([32]byte{1})
		const object = 4 << 20
		content := make([]byte, object)
		if _, err := conn.Exec(ctx, "CREATE TABLE attachments (id bigint PRIMARY KEY, content oid NOT NULL)"); err != nil {
			return err
		}
		for id := int64(0); id*object < size; id++ {
			_, _ = source.Read(content) // never fails
			part := content[:min(object, size-id*object)]
			if _, err := conn.Exec(ctx, "INSERT INTO attachments VALUES ($1, lo_from_bytea(0, $2))", id, part); err != nil {
				return err
			}
		}
		return nil
	})
}
