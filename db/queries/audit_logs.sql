-- name: AddAudit :exec
INSERT INTO audit_logs (id, actor_id, actor_name, action, resource, resource_id, ip, user_agent, changes)
VALUES (@id, @actor_id, @actor_name, @action, @resource, @resource_id, @ip, @user_agent, @changes);
