-- name: AddHealthCheck :exec
INSERT INTO health_checks (id, datasource_id, status, latency_ms, server_version, error_message, checked_at)
VALUES (@id, @datasource_id, @status, @latency_ms, @server_version, @error_message, @checked_at);
