-- name: UserByIdentity :one
SELECT sqlc.embed(u) FROM user_identities i JOIN users u ON u.id = i.user_id
WHERE i.issuer = @issuer AND i.subject = @subject;

-- name: AddIdentity :exec
INSERT INTO user_identities (issuer, subject, user_id) VALUES (@issuer, @subject, @user_id);

-- name: AddHandoff :exec
INSERT INTO oidc_handoffs (code_hash, user_id, challenge, expires_at) VALUES (@code_hash, @user_id, @challenge, @expires_at);

-- name: HandoffOwner :one
SELECT user_id FROM oidc_handoffs WHERE code_hash = @code_hash AND expires_at > now();

-- name: TakeHandoff :one
DELETE FROM oidc_handoffs WHERE code_hash = @code_hash AND expires_at > now() RETURNING challenge;

-- name: DeleteExpiredHandoffs :exec
DELETE FROM oidc_handoffs WHERE expires_at <= now();

-- name: IsLinked :one
SELECT EXISTS (SELECT FROM user_identities WHERE user_id = @user_id);

-- name: UnlinkUser :execrows
DELETE FROM user_identities WHERE user_id = @user_id;

-- name: DeleteHandoffsOfUser :exec
DELETE FROM oidc_handoffs WHERE user_id = @user_id;
