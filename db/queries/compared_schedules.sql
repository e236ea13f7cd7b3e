-- A comparison in the future is one from before the clock was set back.
-- name: ComparedSchedules :many
SELECT schedule_id, fingerprint,
    (compared_at BETWEEN now() - make_interval(secs => sqlc.arg('trusted_seconds')::float8) AND now())::boolean AS is_trusted
FROM compared_schedules;

-- name: SetComparedSchedule :exec
INSERT INTO compared_schedules (schedule_id, fingerprint) VALUES (@schedule_id, @fingerprint)
ON CONFLICT (schedule_id) DO UPDATE SET fingerprint = excluded.fingerprint, compared_at = excluded.compared_at;

-- name: ForgetComparedSchedule :exec
DELETE FROM compared_schedules WHERE schedule_id = @schedule_id;
