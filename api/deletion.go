package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

type pinInput struct {
	ID string `path:"id" format:"uuid" doc:"Its id"`
	Approved
	Body struct {
		Pinned bool `json:"pinned" doc:"A pinned backup is not deleted, by nobody"`
	}
}

func (s *server) registerDeletion() {
	tags, path := []string{"Executions"}, "/api/executions/{id}"
	register(s, requires(auth.ExecutionsControl), documentApproval(s, huma.Operation{
		OperationID: "delete-execution", Method: http.MethodDelete, Path: path, Tags: tags,
		Summary: "Delete an execution with its data",
		Description: "Answers when the workflow that deletes is started: the manifest goes first, then what no other backup needs, then the rows; until then `deleting_at` is set. " +
			"409 names what holds it: that it is queued, running or pinned, a running restore that reads it, a running backup that builds on it, a copy of it that is being made.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}), s.deleteExecution)
	register(s, requires(auth.ExecutionsControl), documentApproval(s, huma.Operation{
		OperationID: "pin-execution", Method: http.MethodPost, Path: path + "/pin", Tags: tags,
		Summary: "Protect a backup from deletion, or no longer", Description: "A backup that is pinned no longer is deleted by its job's retention policy, as any other.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}), s.pinExecution)
}

func (s *server) pinExecution(ctx context.Context, in *pinInput) (*body[Execution], error) {
	var row db.Execution
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.GetExecution(ctx, in.ID); err != nil {
			return missing(err, "execution", in.ID)
		}
		if row.Metadata.Operation != domain.OperationBackup {
			return problem.New(http.StatusConflict, fmt.Sprintf("Execution %s is a %s; only a backup can be pinned.", in.ID, row.Metadata.Operation))
		}
		goes, err := expiring(ctx, q, row)
		if err != nil {
			return err
		}
		if err := q.SetPinned(ctx, in.ID, in.Body.Pinned); err != nil {
			return missing(err, "execution", in.ID)
		}
		changes := map[string]any{"before": map[string]any{"pinned": row.Pinned}, "after": map[string]any{"pinned": in.Body.Pinned}}
		row.Pinned = in.Body.Pinned
		if err := approveUnpinned(ctx, q, in.ApprovalID, row, goes, changes); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "execution.pin", "execution", in.ID, changes))
	})
	if err != nil {
		return nil, s.orAsk(ctx, err)
	}
	return &body[Execution]{viewExecution(row)}, nil
}

// deleteExecution asks for the deletion and does not mark the row itself: without Temporal nothing
// changes. The workflow looks for holders again when it marks.
func (s *server) deleteExecution(ctx context.Context, in *byIDApproved) (*accepted, error) {
	row, err := s.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	// A copy whose workflow is lost must not hold the backup; one about which nobody answers does, and is named below.
	_, _ = reconcile.SettleCopiesOf(ctx, s.db, s.temporal, row, 0)
	var d deletion
	changes := map[string]any{}
	err = s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.GetExecution(ctx, in.ID); err != nil {
			return missing(err, "execution", in.ID)
		}
		if d, err = planDeletion(ctx, q, row); err != nil {
			return err
		}
		if err := q.CheckDeletable(ctx, in.ID); err != nil {
			return undeletable(err, row)
		}
		changes["before"] = brief(row)
		if row.Metadata.Operation == domain.OperationBackup && row.Status == domain.Completed {
			if err := approved(ctx, q, in.ApprovalID, irreversible{
				action: domain.ApproveDeleteBackup, permission: auth.ExecutionsControl, resource: "execution", resourceID: row.ID,
				summary: fmt.Sprintf("Delete the backup of %s made at %s", d.labels.Datasource, row.CreatedAt.UTC().Format(time.RFC3339)),
			}, changes); err != nil {
				return err
			}
		}
		return q.AddAudit(ctx, audited(ctx, "execution.delete", "execution", in.ID, changes))
	})
	if err != nil {
		return nil, s.orAsk(ctx, err)
	}
	lasting := context.WithoutCancel(ctx)
	if err := s.startDeletion(lasting, row, d); err != nil {
		down := s.temporalDown(ctx, "start the deletion", err)
		return nil, errors.Join(down, s.notBegun(lasting, changes, audited(ctx, "execution.delete_failed", "execution", row.ID, map[string]any{"reason": down.Error()})))
	}
	return &accepted{Location: "/api/executions/" + row.ID, Body: viewExecution(row)}, nil
}

// deletion is where the workflow of a deletion runs, and what it is told.
type deletion struct {
	pool   string
	labels contract.Labels
}

func planDeletion(ctx context.Context, q *db.Queries, row db.Execution) (deletion, error) {
	d := deletion{pool: domain.DefaultPool}
	if row.DatasourceID != nil {
		datasource, err := q.GetDatasource(ctx, *row.DatasourceID)
		if err != nil {
			return d, err
		}
		d.labels.Datasource, d.pool = datasource.Name, datasource.Pool
	}
	if row.StorageLocationID != nil {
		storage, err := q.GetStorageLocation(ctx, *row.StorageLocationID)
		if err != nil {
			return d, err
		}
		if !storage.Enabled && row.Metadata.Operation == domain.OperationBackup {
			return d, problem.New(http.StatusConflict, fmt.Sprintf("Storage location %q is disabled; enable it first.", storage.Name))
		}
		d.labels.Storage, d.pool = storage.Name, storage.Pool
	}
	return d, nil
}

// undeletable is the answer for an execution that must stay.
func undeletable(err error, row db.Execution) error {
	var held *db.InUseError
	if !errors.As(err, &held) {
		return missing(err, "execution", row.ID)
	}
	detail := fmt.Sprintf("The %s can not be deleted now: %s.", row.Metadata.Operation, strings.Join(held.Holders, ", "))
	if row.Pinned {
		detail += fmt.Sprintf(" To unpin it, POST {\"pinned\": false} to /api/executions/%s/pin.", row.ID)
	}
	p := problem.New(http.StatusConflict, detail)
	p.Holders = held.Holders
	return p
}

func (s *server) startDeletion(ctx context.Context, row db.Execution, d deletion) error {
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	attributes := []temporal.SearchAttributeUpdate{contract.SearchOperation.ValueSet("delete")}
	if d.labels.Datasource != "" {
		attributes = append(attributes, contract.SearchDatasource.ValueSet(d.labels.Datasource))
	}
	if d.labels.Storage != "" {
		attributes = append(attributes, contract.SearchStorage.ValueSet(d.labels.Storage))
	}
	_, err := contract.DeleteBackup.Start(ctx, s.temporal, client.StartWorkflowOptions{
		ID:                                       contract.DeleteWorkflowID(row.ID),
		TaskQueue:                                contract.TaskQueue(d.pool),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
		StaticSummary:                            fmt.Sprintf("Delete a %s of %s", row.Metadata.Operation, d.labels.Datasource),
		StaticDetails:                            "Asked for by " + principalOf(ctx).User.Email + ".",
	}, contract.ExecutionInput{ExecutionID: row.ID, Labels: d.labels})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil // it is being deleted: what was asked for happens
	}
	return err
}
