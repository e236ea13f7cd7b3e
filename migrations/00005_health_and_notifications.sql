-- Health history goes with what it is about; notifications stay, so they name their entity without
-- a foreign key.

-- +goose Up
CREATE TABLE health_checks (
    id             uuid PRIMARY KEY,
    datasource_id  uuid NOT NULL REFERENCES datasources (id) ON DELETE CASCADE,
    status         health_check_status NOT NULL,
    latency_ms     bigint CHECK (latency_ms >= 0),
    server_version text NOT NULL DEFAULT '',
    error_message  text NOT NULL DEFAULT '',
    checked_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX health_checks_datasource_id_idx ON health_checks (datasource_id, checked_at DESC, id DESC);
CREATE INDEX health_checks_checked_at_idx ON health_checks (checked_at);

CREATE TABLE storage_health_checks (
    id                  uuid PRIMARY KEY,
    storage_location_id uuid NOT NULL REFERENCES storage_locations (id) ON DELETE CASCADE,
    status              health_check_status NOT NULL,
    location_status     storage_location_status NOT NULL,
    latency_ms          bigint CHECK (latency_ms >= 0),
    available_space_gb  double precision CHECK (available_space_gb >= 0),
    error_message       text NOT NULL DEFAULT '',
    checked_at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX storage_health_checks_storage_location_id_idx ON storage_health_checks (storage_location_id, checked_at DESC, id DESC);
CREATE INDEX storage_health_checks_checked_at_idx ON storage_health_checks (checked_at);

CREATE TABLE notifications (
    id          uuid PRIMARY KEY,
    type        notification_type NOT NULL,
    severity    notification_severity NOT NULL,
    entity_type notification_entity_type NOT NULL,
    entity_id   uuid,
    title       text NOT NULL,
    message     text NOT NULL DEFAULT '',
    metadata    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    read_at     timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (entity_type = 'system' OR entity_id IS NOT NULL)
);
CREATE INDEX notifications_created_at_idx ON notifications (created_at DESC, id DESC);
CREATE INDEX notifications_unread_idx ON notifications (created_at DESC, id DESC) WHERE read_at IS NULL;
CREATE INDEX notifications_entity_idx ON notifications (entity_type, entity_id, created_at DESC);

-- +goose Down
DROP TABLE notifications;
DROP TABLE storage_health_checks;
DROP TABLE health_checks;
