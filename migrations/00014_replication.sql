-- Copies that are being made, and how a wiped storage location is told from one that is not mounted.

-- +goose Up

-- copied_at: since when the copy is whole. Before that the row only says that the location holds objects
-- of the backup: whoever counts references there counts it, and a deletion removes them.
ALTER TABLE backup_replicas ADD COLUMN copied_at timestamptz;
UPDATE backup_replicas SET copied_at = created_at;

-- What the repository was last seen on, see storage.Volumer; '' unknown.
ALTER TABLE storage_locations ADD COLUMN volume text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE storage_locations DROP COLUMN volume;
DELETE FROM backup_replicas WHERE copied_at IS NULL;
ALTER TABLE backup_replicas DROP COLUMN copied_at;
