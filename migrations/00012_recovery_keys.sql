-- Who else can open new backups, and what else this installation can open. The installation's own key
-- stays in encryption_keys.

-- +goose Up

-- recipient: age1… or a line of an SSH public key, as manifests list it. New backups are encrypted to
-- the installation's own recipient and to all of these.
CREATE TABLE age_recipients (
    id         uuid PRIMARY KEY,
    recipient  text NOT NULL CHECK (recipient <> '' AND octet_length(recipient) <= 4096),
    name       text NOT NULL DEFAULT '' CHECK (octet_length(name) <= 200),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX age_recipients_recipient_key ON age_recipients (recipient);

-- Identities of installations before this one, to read what was encrypted to them: nothing new is.
-- secret is sealed under the master key.
CREATE TABLE age_identities (
    id         uuid PRIMARY KEY,
    public     text NOT NULL CHECK (public <> ''),
    secret     text NOT NULL CHECK (secret <> ''),
    name       text NOT NULL DEFAULT '' CHECK (octet_length(name) <= 200),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX age_identities_public_key ON age_identities (public);

-- +goose Down
DROP TABLE age_identities;
DROP TABLE age_recipients;
