package postgres

import (
	"bufio"
	"context"
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

// smallFile is what a table is not worth a stream, or a job, of its own.
const smallFile = 1 << 20

// restoreByTable loads in three steps: pg_restore makes the tables and large objects, so many connections as there are jobs
// load the data straight from the backup and make the indexes of each large table behind it, and pg_restore
// does the rest with as many jobs. What pg_restore gets is a directory with a real toc.dat and without data, so nothing large is written to disk.
func (s *staging) restoreByTable(ctx context.Context, prepare func(ctx context.Context, dir string) (contents, []batch, error)) error {
	return s.inDirectory(func(env *toolEnv, dir string) error {
		toc, batches, err := prepare(ctx, dir)
		if err != nil {
			return err
		}
		toc.settle(batches)
		definitions := []string{"--section=pre-data", dir}
		if toc.early != nil {
			early, err := env.write("early.list", useList(toc.early))
			if err != nil {
				return err
			}
			definitions = append([]string{"--use-list=" + early}, definitions...)
		}
		if err := s.pgRestore(ctx, env, definitions...); err != nil {
			return err
		}
		if err := s.restoreSteps(ctx, env, dir, withoutEmpty(step{name: "objects", ids: toc.objects, serial: true})); err != nil {
			return err
		}
		if err := s.loadData(ctx, toc, batches); err != nil {
			return err
		}
		return s.restoreSteps(ctx, env, dir, toc.steps())
	})
}

// restoreSteps lets pg_restore do the entries of each step.
func (s *staging) restoreSteps(ctx context.Context, env *toolEnv, dir string, steps []step) error {
	for _, step := range steps {
		list, err := env.write(step.name+".list", useList(step.ids))
		if err != nil {
			return err
		}
		jobs := s.jobs()
		if step.serial {
			jobs = "--jobs=1"
		}
		if err := s.pgRestore(ctx, env, jobs, "--use-list="+list, dir); err != nil {
			return err
		}
	}
	return nil
}

// restoreFiles lets pg_restore do everything, from a directory that prepare writes. What comes behind the data is left to one
// job, as nothing is known of what would have to be put together by one (see contents.steps).
func (s *staging) restoreFiles(ctx context.Context, prepare func(ctx context.Context, dir string) error) error {
	return s.inDirectory(func(env *toolEnv, dir string) error {
		if err := prepare(ctx, dir); err != nil {
			return err
		}
		if err := s.pgRestore(ctx, env, s.jobs(), "--section=pre-data", "--section=data", dir); err != nil {
			return err
		}
		return s.pgRestore(ctx, env, "--jobs=1", "--section=post-data", dir)
	})
}

func (s *staging) jobs() string { return "--jobs=" + strconv.Itoa(max(1, s.req.Jobs)) }

// inDirectory gives do an environment for client tools and an empty directory for a dump.
func (s *staging) inDirectory(do func(env *toolEnv, dir string) error) error {
	env, err := newToolEnv(s.target, s.names.staging)
	if err != nil {
		return err
	}
	defer env.remove()
	dir := filepath.Join(env.dir.Path, "dump")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return tempFailure(err)
	}
	return do(env, dir)
}

// pgRestore runs pg_restore on a directory.
func (s *staging) pgRestore(ctx context.Context, env *toolEnv, args ...string) error {
	p, err := process.Start(ctx, process.Command{
		Path: s.restorer.path, Args: append(append(s.restoreArgs(), "--format=directory"), args...), Env: env.vars, Secrets: []string{s.target.Config.Password},
	})
	if err == nil {
		err = p.Wait()
	}
	if err != nil {
		return classifyTool("load into database "+quoted(s.names.staging), err)
	}
	s.warnings = append(s.warnings, warnings(p.Stderr())...)
	return nil
}

// customDump is a dump in the custom format, of which it is known where it holds what.
type customDump struct {
	stream  string
	blocks  []dataBlock
	open    engine.Opener
	choose  func(*contents) error
	toc     contents
	entries map[int]entry // those with data, by dump id
	final   int64         // offset of the archive's last block
}

// prepare writes the table of contents, and returns the batches of the data.
func (c *customDump) prepare(ctx context.Context, dir string) (contents, []batch, error) {
	if err := c.writeTOC(ctx, filepath.Join(dir, tocName)); err != nil {
		return c.toc, nil, err
	}
	if err := c.matchIndex(); err != nil {
		return c.toc, nil, err
	}
	if err := c.choose(&c.toc); err != nil {
		return c.toc, nil, err
	}
	kept := map[int]bool{}
	for _, e := range c.toc.withData {
		kept[e.id] = true
	}
	c.blocks = slices.DeleteFunc(slices.Clone(c.blocks), func(b dataBlock) bool { return !kept[b.id] })
	return c.toc, c.divide(), nil
}

// divide makes batches of the blocks: a large one is a batch of its own, small ones that lie side by side
// are read in one go.
func (c *customDump) divide() (batches []batch) {
	first, size := 0, int64(0)
	flush := func(end int) {
		if from := first; end > from {
			b := batch{size: size, feed: func(ctx context.Context, to receiver) error { return c.feed(ctx, from, end, to) }}
			if end-from == 1 {
				b.only = c.entries[c.blocks[from].id]
			}
			batches = append(batches, b)
		}
		first, size = end, 0
	}
	for i, block := range c.blocks {
		apart := i > first && c.blocks[i-1].offset+c.blocks[i-1].size != block.offset
		if apart || block.size > smallFile || size+block.size > batchBytes {
			flush(i)
		}
		if size += block.size; block.size > smallFile {
			flush(i + 1)
		}
	}
	flush(len(c.blocks))
	return batches
}

// feed reads the blocks [first, end), which lie side by side, and hands on their data.
func (c *customDump) feed(ctx context.Context, first, end int, to receiver) error {
	archive, err := c.openAt(ctx, c.blocks[first].offset)
	if err != nil {
		return err
	}
	defer archive.Close()
	buffered := bufio.NewReaderSize(archive, blockBuffer)
	for i := first; i < end; i++ {
		block, err := c.block(buffered, i)
		switch {
		case err != nil:
		case c.blocks[i].large:
			err = to.largeObjects(ctx, block.objects)
		default:
			err = to.table(ctx, c.entries[c.blocks[i].id], block)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *customDump) openAt(ctx context.Context, offset int64) (io.ReadCloser, error) {
	archive, err := c.open(ctx, c.stream, offset)
	return archive, failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
}

func (c *customDump) writeTOC(ctx context.Context, path string) error {
	archive, err := c.openAt(ctx, 0)
	if err != nil {
		return err
	}
	defer archive.Close()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return tempFailure(err)
	}
	defer file.Close()
	if c.toc, err = convertTOC(archive, file, customFormat); err != nil {
		return err
	}
	return tempFailure(file.Close())
}

// matchIndex compares what the table of contents promises with where the index says it is.
func (c *customDump) matchIndex() error {
	promised := map[int]bool{}
	c.entries = map[int]entry{}
	for _, e := range c.toc.withData {
		c.entries[e.id] = e
		promised[e.id] = e.kind == largeKind
	}
	if n := len(c.blocks); n > 0 {
		c.final = c.blocks[n-1].offset
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

func (c *customDump) block(archive io.Reader, i int) (*blockReader, error) {
	return newBlockReader(archive, c.toc.numbers, c.blocks[i], c.blocks[i].offset == c.final)
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
		if _, sourceErr := from.state(); sourceErr != nil {
			return sourceErr
		}
		return tempFailure(err)
	}
	return tempFailure(file.Close())
}
