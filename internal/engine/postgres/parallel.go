package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// smallFile is what a table is not worth a pipe of its own: it is written into the scratch directory
// before pg_restore starts.
const smallFile = 1 << 20

// restoreParallel loads with several jobs. It gives pg_restore a directory: a real toc.dat, real
// small files, and a named pipe for the data of every other table, which is read from the backup
// when a job opens it. So nothing large is written to disk, whatever the format of the dump.
func (s *staging) restoreParallel(ctx context.Context, open engine.Opener, prepare func(context.Context, engine.Opener, string) ([]feed, error)) error {
	env, err := newToolEnv(s.target.Config, s.names.staging)
	if err != nil {
		return err
	}
	defer env.remove()
	dir := filepath.Join(env.dir.path, "dump")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return tempFailure(err)
	}
	feeds, err := prepare(ctx, open, dir)
	if err != nil {
		return err
	}
	feeder := &feeder{dir: dir, waiting: feeds}
	if err := feeder.makeFIFOs(); err != nil {
		return err
	}
	args := append(s.restoreArgs(), "--format=directory", "--jobs="+strconv.Itoa(max(1, s.req.Jobs)), dir)
	stderr, err := feeder.run(ctx, process.Command{
		Path: s.restorer.path, Args: args, Env: env.vars, Secrets: []string{s.target.Config.Password},
	})
	if err != nil {
		return classifyTool("load into database "+quoted(s.names.staging), err)
	}
	s.warnings = append(s.warnings, warnings(stderr)...)
	return nil
}

// customDump turns a custom-format dump into a directory.
type customDump struct {
	stream  string
	scratch int64 // bytes that may be written to the directory
	blocks  []dataBlock
	toc     converted
	open    engine.Opener
	dir     string
	files   map[int]string // by dump id
}

// errNoRoom says that what has to be written to disk is more than may be.
var errNoRoom = errors.New("its large objects do not fit into the scratch space")

// prepare writes the table of contents and the small tables, and returns the feeds of the others.
func (c *customDump) prepare(ctx context.Context, open engine.Opener, dir string) ([]feed, error) {
	c.open, c.dir = open, dir
	spooled, err := c.choose()
	if err != nil {
		return nil, err
	}
	sizes := map[int]int64{}
	for _, block := range c.blocks {
		if !spooled[block.id] {
			sizes[block.id] = block.size
		}
	}
	rename := largestFirst(sizes)
	if err := c.writeTOC(ctx, rename); err != nil {
		return nil, err
	}
	if err := c.matchIndex(); err != nil {
		return nil, err
	}
	feeds, err := c.divide(ctx, spooled)
	slices.SortFunc(feeds, func(a, b feed) int { return rename[a.id] - rename[b.id] }) // as pg_restore takes them
	return feeds, err
}

// divide writes the chosen blocks to disk, reading those that lie side by side in one go, and returns
// the feeds of the others.
func (c *customDump) divide(ctx context.Context, spooled map[int]bool) (feeds []feed, err error) {
	var run io.ReadCloser
	defer func() {
		if run != nil {
			run.Close()
		}
	}()
	var buffered *bufio.Reader
	end := int64(-1)
	for i, block := range c.blocks {
		if !spooled[block.id] {
			feeds = append(feeds, feed{id: block.id, file: c.files[block.id], open: func(ctx context.Context) (io.ReadCloser, error) { return c.openBlock(ctx, i) }})
			continue
		}
		if end != block.offset {
			if run != nil {
				run.Close()
			}
			if run, err = c.openAt(ctx, block.offset); err != nil {
				return nil, err
			}
			buffered = bufio.NewReaderSize(run, blockBuffer)
		}
		if err := c.spool(buffered, i); err != nil {
			return nil, err
		}
		end = block.offset + block.size
	}
	return feeds, nil
}

func (c *customDump) openAt(ctx context.Context, offset int64) (io.ReadCloser, error) {
	archive, err := c.open(ctx, c.stream, offset)
	return archive, failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
}

func (c *customDump) writeTOC(ctx context.Context, rename map[int]int) error {
	archive, err := c.openAt(ctx, 0)
	if err != nil {
		return err
	}
	defer archive.Close()
	file, err := os.OpenFile(filepath.Join(c.dir, "toc.dat"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return tempFailure(err)
	}
	defer file.Close()
	if c.toc, err = convertTOC(archive, file, customFormat, rename); err != nil {
		return err
	}
	return tempFailure(file.Close())
}

// matchIndex compares what the table of contents promises with where the index says it is.
func (c *customDump) matchIndex() error {
	promised := map[int]bool{}
	c.files = map[int]string{}
	for _, e := range c.toc.withData {
		c.files[e.id] = e.file
		promised[e.id] = e.kind == largeKind
	}
	found := map[int]bool{}
	for _, block := range c.blocks {
		large, known := promised[block.id]
		if !known || found[block.id] || large != block.large {
			return corruptTOC(fmt.Errorf("the table of contents does not name block %d", block.id))
		}
		found[block.id] = true
	}
	if len(found) != len(promised) {
		return corruptTOC(fmt.Errorf("the index has %d of %d blocks", len(found), len(promised)))
	}
	return nil
}

// choose decides which blocks are written to disk: large objects, whose names and sizes nobody knows
// before, and as many of the smallest tables as there is room for.
func (c *customDump) choose() (map[int]bool, error) {
	spooled, room := map[int]bool{}, c.scratch
	var tables []dataBlock
	for _, block := range c.blocks {
		if !block.large {
			tables = append(tables, block)
			continue
		}
		spooled[block.id] = true
		if room -= block.size; room < 0 {
			return nil, errNoRoom
		}
	}
	slices.SortStableFunc(tables, func(a, b dataBlock) int { return int(a.size - b.size) })
	for _, block := range tables {
		if room -= block.size; room < 0 || block.size > smallFile {
			break
		}
		spooled[block.id] = true
	}
	return spooled, nil
}

// openBlock gives the data of a table.
func (c *customDump) openBlock(ctx context.Context, i int) (*openedBlock, error) {
	archive, err := c.openAt(ctx, c.blocks[i].offset)
	if err != nil {
		return nil, err
	}
	block, err := c.block(archive, i)
	if err != nil {
		archive.Close()
		return nil, err
	}
	return &openedBlock{blockReader: block, Closer: archive}, nil
}

type openedBlock struct {
	*blockReader
	io.Closer
}

func (c *customDump) block(archive io.Reader, i int) (*blockReader, error) {
	return newBlockReader(archive, c.toc.numbers, c.blocks[i], i == len(c.blocks)-1)
}

// spool writes one block to disk.
func (c *customDump) spool(archive io.Reader, i int) error {
	block, err := c.block(archive, i)
	if err != nil {
		return err
	}
	path := filepath.Join(c.dir, c.files[c.blocks[i].id])
	if !c.blocks[i].large {
		return writeFile(path, block)
	}
	list, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return tempFailure(err)
	}
	defer list.Close()
	for {
		oid, err := block.object()
		if err != nil {
			return err
		}
		if oid == 0 {
			break
		}
		name := fmt.Sprintf("blob_%d.dat", oid)
		if err := writeFile(filepath.Join(c.dir, name), objectReader{block}); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(list, "%d %s\n", oid, name); err != nil {
			return tempFailure(err)
		}
	}
	if err := block.end(); !errors.Is(err, io.EOF) {
		return err
	}
	return tempFailure(list.Close())
}

// objectReader reads one large object: its end is not the block's.
type objectReader struct{ block *blockReader }

func (o objectReader) Read(p []byte) (int, error) {
	last := o.block.last
	o.block.last = false
	defer func() { o.block.last = last }()
	return o.block.Read(p)
}

// writeFile writes a new file for pg_restore.
func writeFile(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return tempFailure(err)
	}
	defer file.Close()
	from := &sourceError{r: content}
	if _, err := io.Copy(file, struct{ io.Reader }{from}); err != nil {
		if from.err != nil {
			return from.err
		}
		return tempFailure(err)
	}
	return tempFailure(file.Close())
}
