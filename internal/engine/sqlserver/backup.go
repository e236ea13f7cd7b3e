package sqlserver

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Dump lets the server back the database up into the shared directory, and hands the file to sink. The
// file is removed whatever happens; those that a killed worker left are removed by the next run.
//
// On top of a base, what the server calls a differential is made: everything since the full that the base
// holds, for incremental backups as well. Where that can not be done a full is made, and a warning says why.
func (e *Engine) Dump(ctx context.Context, src engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	if len(opts.IncludeTables)+len(opts.ExcludeTables) > 0 {
		return engine.Report{}, failure.New(failure.ConfigInvalid, "back database "+quoted(src.Config.Database)+" up", "SQL Server backs up whole databases only",
			"Leave include_tables and exclude_tables empty.")
	}
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return engine.Report{}, err
	}
	defer conn.close()
	version, err := conn.version(ctx)
	if err != nil {
		return engine.Report{}, err
	}
	if version.azure {
		return engine.Report{}, failure.New(failure.Unsupported, "back database "+quoted(src.Config.Database)+" up", "Azure SQL writes no backups into directories",
			"Use Azure's own backups, or a SQL Server that has a disk.")
	}
	dir, err := e.openDirectory(src.Config)
	if err != nil {
		return engine.Report{}, err
	}
	defer dir.close()
	dir.removeLeftovers(time.Now())
	b := &backup{conn: conn, dir: dir, database: src.Config.Database, version: version, opts: opts, sink: sink}
	if b.tables, err = conn.countTables(ctx, b.database); err != nil {
		return engine.Report{}, err
	}
	if err := b.run(ctx); err != nil {
		return engine.Report{}, err
	}
	return engine.Report{ServerVersion: version.text, ToolVersions: map[string]string{"BACKUP DATABASE": version.text}, Warnings: b.warnings}, nil
}

// backup is one run of Dump.
type backup struct {
	conn     *session
	dir      *directory
	database string
	version  version
	tables   int
	opts     engine.DumpOptions
	sink     engine.Sink
	warnings []string
}

func (b *backup) run(ctx context.Context) error {
	if b.opts.Base == nil {
		return b.full(ctx)
	}
	base, why, err := b.usableBase(ctx)
	if err != nil {
		return err
	}
	if why == "" {
		if why, err = b.differential(ctx, base); err != nil {
			return err
		}
	}
	if why != "" {
		b.warnings = append(b.warnings, "it was made as a full backup, because "+why)
		return b.full(ctx)
	}
	return nil
}

// full backs everything up. It is COPY_ONLY, which leaves the server's differential base, and so other
// people's backups, alone, unless this job's own backups will build on it.
func (b *backup) full(ctx context.Context) error {
	increments := b.opts.Increments || b.opts.Base != nil
	option := "COPY_ONLY"
	if increments {
		option = ""
	}
	return b.make(ctx, option, func(name string, h header) error {
		if err := h.check(kindFull, b.database, !increments); err != nil {
			return err
		}
		stream := b.describe(FullName, h)
		stream.Properties[propCopyOnly] = strconv.FormatBool(!increments)
		return b.store(ctx, name, h, stream)
	})
}

// differential backs up what changed since the base's full, which becomes part of this backup. It tells
// why it could not.
func (b *backup) differential(ctx context.Context, full engine.Stream) (why string, err error) {
	err = b.make(ctx, "DIFFERENTIAL", func(name string, h header) error {
		if err := h.check(kindDifferential, b.database, false); err != nil {
			return err
		}
		if h.base != full.Properties[propSet] {
			why = otherBase
			return nil
		}
		again := engine.Stream{Name: FullName, Format: Format, Properties: maps.Clone(full.Properties)}
		delete(again.Properties, propTables) // the differential says how many there are now
		if err := b.sink(ctx, again, &reused{stream: full}); err != nil {
			return err
		}
		stream := b.describe(DifferentialName, h)
		stream.Properties[propBase] = h.base
		return b.store(ctx, name, h, stream)
	})
	if numbered(err, 3024, 3035) { // it is master, or the database was restored meanwhile
		return "the server has no full backup that a differential can build on", nil
	}
	return why, err
}

const otherBase = "somebody else made a full backup of the database since the one that this would build on (only COPY_ONLY backups leave it alone)"

// usableBase finds the full in the base, if the server still counts changes since it.
func (b *backup) usableBase(ctx context.Context) (full engine.Stream, why string, err error) {
	base, err := setsOf(b.opts.Base.Streams)
	if err != nil {
		return full, "the backup that it would build on can not be used: " + err.Error(), nil //nolint:nilerr // a full is made instead
	}
	full = base.full
	if full.Properties[propCopyOnly] == "true" || full.Properties[propSet] == "" {
		return full, "the full backup that it would build on is COPY_ONLY: the job made full backups only when that was made", nil
	}
	bases, err := b.conn.differentialBases(ctx, b.database)
	if err != nil {
		return full, "", err
	}
	// A file that is newer than the full has no base: all of it will be in the differential.
	bases = slices.DeleteFunc(bases, func(one string) bool { return one == "" })
	if len(bases) == 0 || slices.ContainsFunc(bases, func(one string) bool { return one != full.Properties[propSet] }) {
		return full, otherBase, nil
	}
	if full.Bytes <= 0 || b.opts.Base.Reusable == nil {
		return full, "the full backup that it would build on can not be reused", nil
	}
	held, err := b.opts.Base.Reusable(ctx, engine.Range{Stream: FullName, Bytes: full.Bytes})
	if err == nil && !held {
		why = "the storage location has not everything any more of the full backup that it would build on"
	}
	return full, why, err
}

// differentialBases are the backup sets since which the server knows what changed in each data file.
func (s *session) differentialBases(ctx context.Context, database string) ([]string, error) {
	rows, err := s.table(ctx, "ask for the differential base", "SELECT differential_base_guid FROM sys.master_files WHERE database_id = DB_ID("+literal(database)+") AND type IN (0, 2) AND state = 0")
	var found []string
	for _, row := range rows {
		found = append(found, row.text("differential_base_guid"))
	}
	return found, err
}

// make lets the server write a file, hands it to use, and removes it.
func (b *backup) make(ctx context.Context, option string, use func(name string, h header) error) error {
	name := b.dir.newName()
	defer func() {
		if warning := b.dir.remove(ctx, name); warning != "" {
			b.warnings = append(b.warnings, warning)
		}
	}()
	path := b.dir.onServer(name)
	// COPY_ONLY and DIFFERENTIAL exclude each other.
	options := []string{"CHECKSUM", b.compression(), "FORMAT", "INIT", "STATS = 5", "NAME = N'DataGuardian'"}
	if option != "" {
		options = append([]string{option}, options...)
	}
	for _, arg := range b.opts.ExtraArgs {
		name, value, _ := strings.Cut(arg, "=") // a number
		options = append(options, name+" = "+value)
	}
	if err := b.write(ctx, name, path, options); err != nil {
		return err
	}
	h, err := b.conn.readHeader(ctx, path)
	if err != nil {
		return err
	}
	return use(name, h)
}

// compression: chunks are compressed later, and better. Where later backups may reuse them, equal pages have to give
// equal chunks; where none do, a smaller file is less for the server to write and the directory to hold.
func (b *backup) compression() string {
	if b.opts.Increments || b.opts.Base != nil {
		return "NO_COMPRESSION"
	}
	return "COMPRESSION"
}

// write lets the server write the file, without compression where its edition has none.
func (b *backup) write(ctx context.Context, name, path string, options []string) error {
	op := "back database " + quoted(b.database) + " up into " + path
	statement := "BACKUP DATABASE " + quoted(b.database) + " TO DISK = " + literal(path) + " WITH "
	w := watch{idle: b.opts.IdleTimeout, sign: func() string { return b.dir.sign(name) }, tell: b.opts.Tell}
	err := b.conn.watched(ctx, op, statement+strings.Join(options, ", "), w)
	if at := slices.Index(options, "COMPRESSION"); at >= 0 && numbered(err, noCompression) {
		options[at] = "NO_COMPRESSION"
		err = b.conn.watched(ctx, op, statement+strings.Join(options, ", "), w)
	}
	return err
}

// noCompression is the error of an edition (Express, Web) without it.
const noCompression = 1844

func (b *backup) describe(name string, h header) engine.Stream {
	return engine.Stream{Name: name, Format: Format, Properties: map[string]string{
		propDatabase: b.database, propServerVersion: b.version.text, propSet: h.set, propTables: strconv.Itoa(b.tables),
	}}
}

// store hands a file to sink.
func (b *backup) store(ctx context.Context, name string, h header, stream engine.Stream) error {
	file, size, err := b.dir.open(ctx, name, h.bytes)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	stream.Properties[propBytes] = strconv.FormatInt(size, 10)
	r := &checked{ctx: ctx, r: file, left: size}
	if err := b.sink(ctx, stream, r); err != nil {
		return err
	}
	if !r.whole {
		return failure.New(failure.Corrupt, "read file "+name, fmt.Sprintf("%d bytes of it were not read", r.left), "")
	}
	return nil
}

// reused is a stream that is the base's.
type reused struct {
	stream engine.Stream
	given  bool
}

func (r *reused) Read([]byte) (int, error) {
	return 0, failure.New(failure.Unsupported, "store the full backup again", "it is in the base and has to be named, not read", "")
}

func (r *reused) Next() (engine.Segment, error) {
	if r.given {
		return engine.Segment{}, io.EOF
	}
	r.given = true
	return engine.Segment{Base: engine.Range{Stream: r.stream.Name, Bytes: r.stream.Bytes}}, nil
}
