-- name: AddStorageHealthCheck :exec
INSERT INTO storage_health_checks (id, storage_location_id, status, location_status, latency_ms, available_space_gb, used_bytes, error_message, checked_at)
VALUES (@id, @storage_location_id, @status, @location_status, @latency_ms, @available_space_gb, @used_bytes, @error_message, @checked_at);
