package activities

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// openBackupFolder lists a part of a folder of a backup.
func (a *Activities) openBackupFolder(ctx context.Context, body json.RawMessage) (dataport.Content, error) {
	var in contract.BackupFolder
	if err := json.Unmarshal(body, &in); err != nil {
		return dataport.Content{}, failure.Wrap(failure.Unsupported, "read what to look for", err, "")
	}
	s, err := a.openStored(ctx, in.BackupCopy)
	if err != nil {
		return dataport.Content{}, err
	}
	defer s.close()
	listed, err := a.browse(ctx, s, in)
	if err != nil {
		return dataport.Content{}, failure.WithSubject(err, aboutStorage(s.storage.Name))
	}
	return asJSON(listed)
}

func (a *Activities) browse(ctx context.Context, s *stored, in contract.BackupFolder) (domain.BackedUpFiles, error) {
	chosen, err := a.engineReading(s.manifest)
	if err != nil {
		return domain.BackedUpFiles{}, err
	}
	browser, ok := chosen.(engine.Browser)
	if !ok {
		return domain.BackedUpFiles{}, failure.New(failure.Unsupported, "look into the backup", "a "+string(s.manifest.DatasourceType)+" backup has no list of files", "Download it.")
	}
	items, next, err := browser.Browse(ctx, engineStreams(s.manifest), s.reader.OpenStreamAt, in.Path, string(in.After), in.Limit)
	return domain.BackedUpFiles{Items: items, NextCursor: base64.RawURLEncoding.EncodeToString([]byte(next))}, err
}
