-- What is used of a storage location, for the trend; and where each thing that is checked stands: failures in a row, and
-- what people were told last, so that they are told of transitions only.

-- +goose Up
ALTER TABLE storage_health_checks ADD COLUMN used_bytes bigint CHECK (used_bytes >= 0);

CREATE TABLE health_states (
    entity_type text NOT NULL CHECK (entity_type IN ('datasource', 'storage_location', 'backup_job', 'pool')),
    entity_id   text NOT NULL,
    failures    integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    announced   text NOT NULL DEFAULT '',
    since       timestamptz NOT NULL DEFAULT now(),
    checked_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_type, entity_id)
);

-- +goose Down
DROP TABLE health_states;
ALTER TABLE storage_health_checks DROP COLUMN used_bytes;
