-- What is backed up and where to. Secrets inside connection_config and config are sealed by the
-- application (dgs1:…); everything else in them stays readable.
-- Lists are paged by (created_at, id), newest first; version is for optimistic locking.

-- +goose Up
CREATE TABLE datasources (
    id                   uuid PRIMARY KEY,
    name                 text NOT NULL CHECK (btrim(name) <> '' AND octet_length(name) <= 200),
    type                 datasource_type NOT NULL,
    enabled              boolean NOT NULL DEFAULT true,
    tags                 text[] NOT NULL DEFAULT '{}',
    pool                 text NOT NULL DEFAULT 'default' CHECK (pool ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    connection_config    jsonb NOT NULL CHECK (jsonb_typeof(connection_config) = 'object'),
    status               datasource_status NOT NULL DEFAULT 'unknown',
    last_health_check_at timestamptz,
    version              bigint NOT NULL DEFAULT 1,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX datasources_name_key ON datasources (lower(name));
CREATE INDEX datasources_created_at_idx ON datasources (created_at DESC, id DESC);
CREATE INDEX datasources_tags_idx ON datasources USING gin (tags);

CREATE TABLE storage_locations (
    id                 uuid PRIMARY KEY,
    name               text NOT NULL CHECK (btrim(name) <> '' AND octet_length(name) <= 200),
    type               storage_location_type NOT NULL,
    enabled            boolean NOT NULL DEFAULT true,
    is_default         boolean NOT NULL DEFAULT false,
    tags               text[] NOT NULL DEFAULT '{}',
    pool               text NOT NULL DEFAULT 'default' CHECK (pool ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    config             jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'),
    status             storage_location_status NOT NULL DEFAULT 'healthy',
    available_space_gb double precision CHECK (available_space_gb >= 0),
    version            bigint NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    -- The id in dataguardian.json at the location's root, once a backup was written: a disk that is not
    -- mounted must not be taken for an empty location.
    repository_id      text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX storage_locations_name_key ON storage_locations (lower(name));
CREATE UNIQUE INDEX storage_locations_one_default ON storage_locations (is_default) WHERE is_default;
CREATE INDEX storage_locations_created_at_idx ON storage_locations (created_at DESC, id DESC);
CREATE INDEX storage_locations_tags_idx ON storage_locations USING gin (tags);

-- +goose Down
DROP TABLE storage_locations;
DROP TABLE datasources;
