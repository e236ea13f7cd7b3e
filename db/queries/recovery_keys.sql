-- name: ListAgeRecipients :many
SELECT id, recipient, name, created_at FROM age_recipients ORDER BY created_at, id;

-- name: AddAgeRecipient :one
INSERT INTO age_recipients (id, recipient, name) VALUES (@id, @recipient, @name) RETURNING created_at;

-- name: DeleteAgeRecipient :one
DELETE FROM age_recipients WHERE id = @id RETURNING recipient;

-- name: ListAgeIdentities :many
SELECT id, public, secret, name, created_at FROM age_identities ORDER BY created_at, id;

-- name: ImportAgeIdentity :execrows
INSERT INTO age_identities (id, public, secret, name) VALUES (@id, @public, @secret, @name)
ON CONFLICT (public) DO NOTHING;

-- name: DeleteAgeIdentity :one
DELETE FROM age_identities WHERE id = @id RETURNING public;
