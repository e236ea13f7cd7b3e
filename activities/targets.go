package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// addPlaces tells the workflow between which storage locations it may choose.
func (a *Activities) addPlaces(ctx context.Context, e db.Execution, plan *contract.Plan) (err error) {
	switch {
	case e.Metadata.Restore != nil && e.Metadata.Restore.Direct():
	case e.Metadata.Restore != nil:
		plan.Sources, err = a.sourcesOf(ctx, e)
	case e.Metadata.Options != nil && len(e.Metadata.Options.StorageTargets) > 0 && e.StorageLocationID != nil:
		plan.Replicate = e.Metadata.Options.StorageStrategy == domain.StrategyReplicate
		plan.Targets, err = a.placesOf(ctx, append([]string{*e.StorageLocationID}, e.Metadata.Options.Targets()...))
	}
	return err
}

// placesOf reads storage locations. One that is gone keeps its place in the list: it will fail there, by
// its id.
func (a *Activities) placesOf(ctx context.Context, ids []string) ([]contract.Place, error) {
	places := make([]contract.Place, len(ids))
	for i, id := range ids {
		location, err := a.DB.GetStorageLocation(ctx, id)
		if err != nil && failure.ClassOf(err) != failure.NotFound {
			return nil, err
		}
		places[i] = contract.Place{StorageID: id, Name: location.Name, Pool: location.Pool}
		if err != nil {
			places[i].Name = id
		}
	}
	return places, nil
}

// sourcesOf lists the copies that a restore may read, the best first: those that are not known to be
// damaged before the others, the backup's own before the replicas. One that was asked for is the only one.
func (a *Activities) sourcesOf(ctx context.Context, e db.Execution) ([]contract.Place, error) {
	options := e.Metadata.Restore
	if options.StorageLocationID != "" {
		return a.placesOf(ctx, []string{options.StorageLocationID})
	}
	target, err := a.DB.GetDatasource(ctx, options.TargetDatasourceID)
	if err != nil {
		return nil, err
	}
	copies, err := a.DB.ReadableCopies(ctx, options.SourceExecutionID, target.Pool)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(copies))
	for i, c := range copies {
		ids[i] = c.StorageLocationID
	}
	return a.placesOf(ctx, ids)
}

// usableTarget reads a storage location that a backup is to be written to, and refuses one that it can
// not be. The refusal is the storage's: another location may do.
func (a *Activities) usableTarget(ctx context.Context, id, pool string) (db.StorageLocation, error) {
	const op = "choose storage location"
	location, err := a.DB.GetStorageLocation(ctx, id)
	about := failure.Subject{Side: failure.Storage, Name: "storage location " + id}
	switch {
	case failure.ClassOf(err) == failure.NotFound:
		return location, failure.WithSubject(failure.New(failure.ConfigInvalid, op, "it does not exist", "Take it out of the job's storage_targets."), about)
	case err != nil:
		return location, err
	case !location.Enabled:
		return location, failure.WithSubject(failure.New(failure.ConfigInvalid, op, "it is disabled", "Enable it, or take it out of the job's storage_targets."), aboutStorage(location.Name))
	case location.Pool != pool:
		return location, failure.WithSubject(failure.New(failure.ConfigInvalid, op,
			fmt.Sprintf("it is reached by workers of pool %s, and the backup is made by those of pool %s", location.Pool, pool),
			"Choose storage locations of the datasource's pool."), aboutStorage(location.Name))
	}
	return location, nil
}

// MoveBackup makes an unfinished backup go on at another storage location, from the beginning.
func (a *Activities) MoveBackup(ctx context.Context, in contract.MoveInput) (contract.Nothing, error) {
	return contract.Nothing{}, toTemporal(ctx, a.moveBackup(ctx, in))
}

func (a *Activities) moveBackup(ctx context.Context, in contract.MoveInput) error {
	e, err := a.DB.GetExecution(ctx, in.ExecutionID)
	if err != nil {
		return err
	}
	if e.DatasourceID == nil {
		return failure.New(failure.NotFound, "move execution "+e.ID, "its datasource was deleted", "")
	}
	datasource, err := a.DB.GetDatasource(ctx, *e.DatasourceID)
	if err != nil {
		return err
	}
	location, err := a.usableTarget(ctx, in.StorageLocationID, datasource.Pool)
	if err != nil {
		return err
	}
	if err := a.DB.MoveBackup(ctx, e.ID, location.ID, in.AttemptsBefore); err != nil {
		return err
	}
	a.at("move.recorded")
	a.log(ctx, e.ID, "warning", "going on with storage location %s", quoted(location.Name))
	return nil
}

// RecordTarget records what became of a backup on one storage location, and tells people once.
func (a *Activities) RecordTarget(ctx context.Context, in contract.TargetReport) (contract.Nothing, error) {
	report := db.TargetReport{Result: in.Result, Warning: in.Warning}
	if in.Alert {
		report.Alert = a.linked(ctx, noCopyAlert(in))
	}
	news, err := a.DB.RecordTarget(ctx, in.ExecutionID, report)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	a.at("target.recorded")
	if !news {
		return contract.Nothing{}, nil
	}
	if in.Warning != "" {
		a.log(ctx, in.ExecutionID, "warning", "%s", in.Warning)
	}
	if in.Result.Status == domain.TargetCompleted {
		a.log(ctx, in.ExecutionID, "info", "storage location %s holds the backup: %d objects, %d bytes were written there",
			quoted(in.Result.Name), in.Result.Objects, in.Result.Bytes)
	}
	return contract.Nothing{}, nil
}

func noCopyAlert(in contract.TargetReport) *db.Notification {
	message := fmt.Sprintf("Backup %s is good, and is not on storage location %s: %s.", in.ExecutionID, quoted(in.Result.Name), in.Result.Error)
	return &db.Notification{
		Type: domain.NotifyHealthDegraded, Severity: domain.SeverityWarning,
		EntityType: domain.EntityStorageLocation, EntityID: in.Result.StorageLocationID,
		Title:   "No copy of a backup on " + quoted(in.Result.Name),
		Message: message,
		Metadata: map[string]any{
			"execution_id": in.ExecutionID, "execution_ids": []string{in.ExecutionID}, "failure_class": in.Result.FailureClass,
			"hint": strings.TrimSpace(in.Result.Hint + " Then POST /api/executions/" + in.ExecutionID + "/retry-upload."),
		},
	}
}

// ChooseSource records which copy a restore reads, and why it is not the one before.
func (a *Activities) ChooseSource(ctx context.Context, in contract.SourceInput) (contract.Nothing, error) {
	if err := a.DB.SetRestoreSource(ctx, in.ExecutionID, in.StorageLocationID); err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	if in.Why != "" {
		places, err := a.placesOf(ctx, []string{in.StorageLocationID})
		if err != nil {
			return contract.Nothing{}, toTemporal(ctx, err)
		}
		a.log(ctx, in.ExecutionID, "warning", "%s; trying the copy on storage location %s", in.Why, quoted(places[0].Name))
	}
	return contract.Nothing{}, nil
}

// otherCopies are the locations that hold a whole copy of a completed backup, without one of them.
func (a *Activities) otherCopies(ctx context.Context, e db.Execution, without string) ([]string, error) {
	copies, err := a.DB.ListCopies(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range copies {
		ids = append(ids, c.StorageLocationID)
	}
	if e.StorageLocationID != nil && !slices.Contains(ids, *e.StorageLocationID) {
		ids = append(ids, *e.StorageLocationID) // it is still running
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == without }), nil
}
