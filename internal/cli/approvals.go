package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

// approvalResource is what waits for another person.
func approvalResource() resource {
	const path = "/api/approvals"
	note := []field{{flag: "note", path: "note", usage: "why, for the one who asked"}}
	return resource{
		name: "approval", title: "approval", aliases: []string{"approvals"}, path: path, verbs: []string{list, get},
		filters: []field{{flag: "status", path: "status", values: []string{"pending", "approved", "rejected", "used", "expired"}}},
		columns: []column{
			{header: "ID", path: "id"}, {header: "STATUS", path: "status"}, {header: "WHO", path: "requester_name"}, {header: "WHAT", path: "summary"},
			{header: "ASKED", path: "created_at"}, {header: "EXPIRES", path: "expires_at"},
		},
		actions: []action{
			{name: "approve", short: "Let another person do it", method: http.MethodPost, path: path + "/{id}/approve", fields: note, document: true},
			{name: "reject", short: "Do not let them", method: http.MethodPost, path: path + "/{id}/reject", fields: note, document: true},
			{name: "withdraw", short: "No longer ask for it", method: http.MethodDelete, path: path + "/{id}"},
		},
	}
}

// mayNeedApproval reports whether the API may ask for the approval of another person: of deletions, of syncs that
// overwrite something, and of a job's retention that deletes more, also because a backup is pinned no longer.
func mayNeedApproval(r resource, one action) bool {
	if one.name == unpin {
		return true
	}
	switch r.name {
	case "sync", "sync-run":
		return one.method != http.MethodGet
	case "job":
		return one.name == remove || one.name == update
	default:
		return one.name == remove
	}
}

// addApprovalFlag lets a command be repeated when another person has approved it.
func addApprovalFlag(command *cobra.Command) {
	command.Flags().String("approval", "", "the approval of another person, where one is asked for")
}

// approved is the context of the call that the approval is for.
func approved(ctx context.Context, command *cobra.Command) context.Context {
	if id, err := command.Flags().GetString("approval"); err == nil && id != "" {
		return client.WithApproval(ctx, id)
	}
	return ctx
}
