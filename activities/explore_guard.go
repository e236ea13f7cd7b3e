package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// maxKeepers bounds the backups that a refusal names.
const maxKeepers = 20

// guard finds out who needs the files that somebody wants to delete. It counts a backup wherever the
// catalogue has it: two locations may be one place, or one may be inside the other, and a copy that is
// being made is not recorded yet.
type guard struct {
	a        *Activities
	location db.StorageLocation
	store    storage.Store
	doomed   named // manifests among it need nothing any more

	folders map[string][]db.Keeper // folder of chunks -> backups that are writing into it
	dir     string                 // datasource's directory whose unknown manifests are in unknown
	unknown map[objectName]string  // chunk -> key of a manifest that names it
	blocked string                 // a manifest of dir that can not be read, so that all of dir is needed
}

// found collects who needs something, each once.
type found struct {
	seen    map[string]bool
	holders []string
}

func (f *found) add(holder string) {
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	if !f.seen[holder] && len(f.holders) < maxKeepers {
		f.seen[holder], f.holders = true, append(f.holders, holder)
	}
}

func (f *found) addKeepers(keepers []db.Keeper) {
	for _, k := range keepers {
		f.add(k.String())
	}
}

// locate is archive.Locate for a repository that begins at any folder of the location: outer is that
// folder with a slash, "" for the root.
func locate(key string) (outer string, place archive.Place, ok bool) {
	for rest := key; ; {
		if place, ok := archive.Locate(rest); ok {
			return key[:len(key)-len(rest)], place, true
		}
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return "", archive.Place{}, false
		}
		rest = rest[slash+1:]
	}
}

// check finds who needs these objects, which are in the order of their keys.
func (g *guard) check(ctx context.Context, objects []storage.Object, into *found) error {
	var batch []archive.Place // chunks of one folder
	var dir string
	for _, o := range objects {
		outer, place, ours := locate(o.Key)
		var err error
		switch {
		case path.Base(o.Key) == archive.RepositoryKey:
			err = g.checkRepositoryDocument(ctx, o.Key, into)
		case !ours:
		case place.IsManifest():
			err = g.checkManifest(ctx, place, into)
		default:
			if len(batch) > 0 && (batch[0].Folder != place.Folder || dir != outer+place.Dir) {
				err = g.checkChunks(ctx, dir, batch, into)
				batch = batch[:0]
			}
			dir, batch = outer+place.Dir, append(batch, place)
		}
		if err != nil {
			return err
		}
	}
	return g.checkChunks(ctx, dir, batch, into)
}

// checkRepositoryDocument: without it the location, and every other one that is the same place, is not
// known again.
func (g *guard) checkRepositoryDocument(ctx context.Context, key string, into *found) error {
	id := ""
	repository, err := archive.ReadRepository(ctx, under{g.store, strings.TrimSuffix(key, archive.RepositoryKey)})
	switch class := failure.ClassOf(err); {
	case err == nil:
		id = repository.ID
	case class != failure.NotFound && class != failure.Corrupt && class != failure.Unsupported:
		return err
	}
	if key == archive.RepositoryKey && g.location.RepositoryID != "" {
		into.add("storage location " + quoted(g.location.Name) + ", which is known by it")
		id = g.location.RepositoryID
	}
	locations, keepers, err := g.a.DB.RepositoryKeepers(ctx, id, maxKeepers)
	for _, name := range locations {
		into.add("storage location " + quoted(name) + ", which is known by it")
	}
	into.addKeepers(keepers)
	return err
}

// under reads the objects below a folder as if it were the root.
type under struct {
	storage.Store
	prefix string
}

// Get reads one.
func (u under) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	return u.Store.Get(ctx, u.prefix+key, offset, length)
}

// checkManifest: that of a backup which is kept or under way stays, whichever attempt wrote it.
func (g *guard) checkManifest(ctx context.Context, place archive.Place, into *found) error {
	owner, known, err := g.a.ownerOf(ctx, place)
	if err != nil || !known || owner.Abandoned() || owner.DeletingAt != nil {
		return err
	}
	keepers, err := g.a.DB.BackupKeepers(ctx, []string{owner.ID})
	into.addKeepers(keepers)
	return err
}

// checkChunks: needed by the rows of a backup, by one that is writing into their folder right now, or
// by a manifest that the catalogue does not know.
func (g *guard) checkChunks(ctx context.Context, dir string, chunks []archive.Place, into *found) error {
	if len(chunks) == 0 {
		return nil
	}
	folder := chunks[0].Folder
	active, err := g.writers(ctx, folder)
	if err != nil {
		return err
	}
	into.addKeepers(active)
	ids := make([][32]byte, len(chunks))
	for i, c := range chunks {
		ids[i] = c.Chunk
	}
	keepers, err := g.a.DB.ChunkKeepers(ctx, folder, ids, maxKeepers)
	if err != nil {
		return err
	}
	into.addKeepers(keepers)
	if err := g.readUnknown(ctx, dir); err != nil {
		return err
	}
	if g.blocked != "" {
		into.add(fmt.Sprintf("the manifest %s, which is not in the catalogue and can not be read; delete it first if nobody needs it", g.blocked))
	}
	for _, c := range chunks {
		if manifest, named := g.unknown[objectName{c.Chunk, folder}]; named {
			into.add(fmt.Sprintf("the backup with the manifest %s, which is not in the catalogue; import the storage location, or delete the manifest first", manifest))
		}
	}
	return nil
}

// writers are the backups under way that may be storing into a folder of chunks.
func (g *guard) writers(ctx context.Context, folder string) ([]db.Keeper, error) {
	if known, ok := g.folders[folder]; ok {
		return known, nil
	}
	generation, _, _ := strings.Cut(folder, "-")
	backups, err := g.a.DB.BackupsOfGeneration(ctx, generation)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, b := range backups {
		if !b.Status.Finished() && archive.OwnFolder(folder, b.Generation, b.ID) {
			ids = append(ids, b.ID)
		}
	}
	keepers := []db.Keeper{}
	if len(ids) > 0 {
		if keepers, err = g.a.DB.BackupKeepers(ctx, ids); err != nil {
			return nil, err
		}
	}
	if g.folders == nil || len(g.folders) > 1000 {
		g.folders = map[string][]db.Keeper{}
	}
	g.folders[folder] = keepers
	return keepers, nil
}

// readUnknown reads the manifests in a datasource's directory whose backups the catalogue does not
// have, or may have given up wrongly, and notes what they name; those that are doomed themselves are
// left out.
func (g *guard) readUnknown(ctx context.Context, dir string) error {
	if g.dir == dir && g.unknown != nil {
		return nil
	}
	g.dir, g.unknown, g.blocked = dir, map[objectName]string{}, ""
	var keys []string
	err := g.store.List(ctx, dir+"/backups/", func(o storage.Object) error {
		if _, place, ours := locate(o.Key); ours && place.IsManifest() && !g.doomed.has(o.Key) {
			keys = append(keys, o.Key)
		}
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = g.readManifest(ctx, key)
		}
	}
	if err != nil {
		g.unknown = nil // to be read again
	}
	return err
}

func (g *guard) readManifest(ctx context.Context, key string) error {
	outer, place, _ := locate(key)
	owner, known, err := g.a.ownerOf(ctx, place)
	if err != nil || known && (!owner.Abandoned() || !owner.Lost) {
		return err // the rows say what it needs
	}
	manifest, err := archive.OpenManifest(ctx, under{g.store, outer}, key[len(outer):], "")
	switch class := failure.ClassOf(err); {
	case err == nil:
		for i := range manifest.Objects {
			g.unknown[objectName{manifest.Objects[i].ID, manifest.Folder(i)}] = key
		}
	case errors.Is(err, storage.ErrNotFound): // deleted since it was listed
	case class == failure.Corrupt || class == failure.Unsupported:
		g.blocked = key
	default:
		return err
	}
	return nil
}

// refusal is the answer when somebody needs what is to be deleted, nil otherwise.
func (f *found) refusal(what string) error {
	if len(f.holders) == 0 {
		return nil
	}
	text := strings.Join(f.holders[:min(3, len(f.holders))], ", ")
	if more := len(f.holders) - 3; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return &refusedError{contract.Refusal{
		Reason: contract.RefusedHeld, Holders: slices.Clone(f.holders), Message: fmt.Sprintf("%s is needed by %s", what, text),
	}}
}

// reserved reports whether a key is a place where only backups write.
func reserved(key string) bool {
	_, _, ours := locate(key)
	return ours || path.Base(key) == archive.RepositoryKey || strings.HasPrefix(key, domain.ReservedObjectElement+"/")
}
