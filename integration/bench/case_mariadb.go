package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
)

const (
	nameMariaDBDump = "mariadb-dump alone"
	showMariaDBDump = "mariadb-dump --single-transaction --quick --routines --triggers --events --hex-blob $DB > /dev/null  # mariadb-dump alone"
	mariadbDatabase = "shop"
)

// mariadbCase is the first backup of a MariaDB database, against its dump tool alone.
type mariadbCase struct {
	title, about  string
	column, value string // that table orders has beside the others
	bound         bool   // it has limits
}

// Nothing but UTF-8 is read bytewise; one binary column, and the database is read as everybody reads it (docs/decisions/0060).
var (
	mariadbUTF8 = mariadbCase{
		title: "mariadb: first backup of a MariaDB database", about: "The database is in utf8mb4, as Debian sets its server up.", bound: true,
	}
	mariadbBLOB = mariadbCase{
		title: "mariadb: the same with a BLOB column", column: ", seal blob", value: ", unhex(md5(seq + 7))",
		about: "What makes the case above fast does not help here: with one column of a binary type the tool has to read every text as characters. There is no limit.",
	}
)

func (c mariadbCase) measure(ctx context.Context, s *suite, section *report.Section) (err error) {
	section.Title = c.title
	section.About = fmt.Sprintf("A table of orders and one of events with text, JSON, numbers and times whose dump is about %s. %s", s.mariadbSize.String(), c.about)
	section.Commands = []string{showMariaDBDump, showBackup}
	dumper, err := exec.LookPath("mariadb-dump")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	dir := s.freshDir("mariadb")
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // another user runs the server
		return fmt.Errorf("bench: %w", err)
	}
	server, err := mariadbserver.Start(ctx, dir, "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	p := measure.Pipeline{
		Commands: [][]string{{
			dumper, "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", fmt.Sprintf("--port=%d", server.Port), "--user=" + mariadbserver.User,
			"--skip-ssl", "--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob", "--default-character-set=utf8mb4", mariadbDatabase,
		}},
		Environment: []string{"MYSQL_PWD=" + server.Password},
	}
	alone := contestant{
		series: &measure.Series{Name: nameMariaDBDump},
		run:    func(ctx context.Context) (measure.Run, error) { return p.Run(ctx, os.DevNull) },
	}
	var job *platform.Job
	guardian := contestant{
		series: &measure.Series{Name: nameDataGuardian},
		ready: func(ctx context.Context) (err error) {
			if job != nil {
				return nil
			}
			if job, err = s.platform.JobOf(ctx, s.fresh("mariadb"), domain.MariaDB, domain.ConnectionConfig{
				Host: "127.0.0.1", Port: server.Port, Database: mariadbDatabase, Username: mariadbserver.User, Password: server.Password,
			}, domain.BackupOptions{BackupType: domain.Full}); err == nil {
				s.trash = append(s.trash, job.Dir())
			}
			return err
		},
		run: func(ctx context.Context) (measure.Run, error) { return backUp(ctx, job, domain.Full) },
	}
	return comparison{
		prepare:     func(ctx context.Context) error { return c.fill(ctx, server, int64(s.mariadbSize)) },
		contestants: []contestant{alone, guardian},
		bases:       []*measure.Series{alone.series},
		limits: func() []report.Limit {
			if !c.bound {
				return nil
			}
			return []report.Limit{report.WallRatio(guardian.series, alone.series, 1.1), report.PeakRSS(guardian.series, maxRSS)}
		},
	}.run(ctx, s, section)
}

// mariadbRow is about how many bytes a row of either table has in a dump.
const mariadbRow = 260

// fill makes the database; everything in it follows from a row's number.
func (c mariadbCase) fill(ctx context.Context, server *mariadbserver.Server, size int64) error {
	db := server.Open("")
	defer db.Close()
	rows := size / mariadbRow / 2
	say("filling a MariaDB database with %d rows", 2*rows)
	return execute(ctx, db,
		"CREATE DATABASE "+mariadbDatabase+" CHARACTER SET utf8mb4",
		"CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer int, status varchar(20), total decimal(12,2), placed_at datetime, address varchar(200), lines_json json"+c.column+")",
		"CREATE TABLE shop.events (id bigint PRIMARY KEY, session char(32), at datetime, kind varchar(20), path varchar(100), agent varchar(150), payload json)",
		fmt.Sprintf(`INSERT INTO shop.orders SELECT seq, crc32(seq) %% 100000, elt(1 + crc32(seq + 1) %% 6, 'placed', 'paid', 'packed', 'shipped', 'delivered', 'returned'),
			crc32(seq + 2) %% 100000 / 100, '2021-01-01 00:00:00' + INTERVAL seq SECOND, concat(crc32(seq + 3) %% 200, ' ', left(md5(seq), 6), ' Street'),
			json_object('sku', left(md5(seq + 4), 8), 'quantity', 1 + seq %% 4, 'price', crc32(seq + 5) %% 5000, 'name', concat('item ', crc32(seq + 6) %% 5000), 'note', 'as described in the catalogue', 'colour', left(md5(seq %% 40), 5))%s
			FROM shop.seq_1_to_%d`, c.value, rows),
		fmt.Sprintf(`INSERT INTO shop.events SELECT seq, md5(seq DIV 12), '2022-01-01 00:00:00' + INTERVAL seq SECOND, elt(1 + seq %% 4, 'view', 'search', 'basket', 'login'),
			concat('/shop/', left(md5(seq), 8), '?page=', seq %% 20), 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
			json_object('duration_ms', crc32(seq) %% 4000, 'status', 200, 'variant', elt(1 + seq %% 3, 'control', 'a', 'b')) FROM shop.seq_1_to_%d`, rows))
}

func execute(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("bench: fill the database: %w", err)
		}
	}
	return nil
}
