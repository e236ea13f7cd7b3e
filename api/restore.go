package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// RestoreRequest is what a restore is asked to do.
type RestoreRequest struct {
	StorageLocationID  string   `json:"storage_location_id,omitempty" format:"uuid" doc:"Which copy to read, and no other; left out: the first good one, its own location before the others"`
	TargetDatasourceID string   `json:"target_datasource_id" format:"uuid" doc:"The server that is restored into"`
	TargetDatabase     string   `json:"target_database,omitempty" maxLength:"4096" doc:"Default: the database of the target datasource, or its file_path or source_path (sqlite, files: an absolute path)"`
	Databases          []string `json:"databases,omitempty" maxItems:"10000" doc:"Backups of a whole server: which databases are restored, each under its own name, or the only one into target_database; left out: all of them (but Postgres' own database postgres)"`
	DropExisting       bool     `json:"drop_existing,omitempty" doc:"Replace the target database when it is not empty"`
	IncludeTables      []string `json:"include_tables,omitempty" maxItems:"1000" doc:"Databases but sqlserver: tables or collections that are restored, by name (postgres: also schema.table); * stands for any text, ? for any character; left out: everything. The target must be new or empty; on mongodb it keeps its other collections"`
	IncludePaths       []string `json:"include_paths,omitempty" maxItems:"10000" doc:"Files backups: files and directories that are restored, relative to the root of the backup, as its list of files gives them (\\xNN for a byte that is not UTF-8); left out: everything"`
	RestoreGlobals     bool     `json:"restore_globals,omitempty" doc:"Backups of a whole server (postgres, mysql, mariadb): make the roles or accounts that the target has not, with their passwords and rights, before the databases; those that exist are left as they are, and each is told in the log"`
	ReferencedFiles    string   `json:"referenced_files_directory,omitempty" maxLength:"4096" doc:"Where the files that rows point to are restored: a new or empty directory on the worker of the target's pool, absolute; left out: they are not restored"`
	VerificationMode   bool     `json:"verification_mode,omitempty" doc:"Restore into a temporary database, check it, drop it; target_database is not touched"`
	KeepDatabase       bool     `json:"keep_verification_database,omitempty" doc:"Do not drop the temporary database"`
	ParallelJobs       int      `json:"parallel_jobs,omitempty" doc:"Tables loaded and indexes made at the same time; default the backup's parallel_jobs if it is above 1, otherwise the worker's CPUs, at most 4" minimum:"0" maximum:"16"`
	IdleTimeoutMinutes int      `json:"idle_timeout_minutes,omitempty" doc:"Longest the load may take no byte of the backup while some is left; what the target does with all of it (indexes) is not counted. Default: the backup's idle_timeout_minutes" minimum:"0" maximum:"1440"`
	ConfirmationPhrase string   `json:"confirmation_phrase" maxLength:"300" doc:"RESTORE and the name of the target datasource, or VERIFY RESTORE in verification mode"`
}

type restoreInput struct {
	ExecutionID string `path:"executionId" format:"uuid" doc:"The backup"`
	Approved
	Body RestoreRequest
}

const (
	verifyPhrase  = "VERIFY RESTORE"
	restorePrefix = "RESTORE "

	// maxDatabaseName is the longest name that any of the servers takes, in bytes; each refuses what is
	// too long for itself.
	maxDatabaseName = 128
)

// restorePhrase is what a client must repeat to restore into a datasource: naming the target keeps
// a wrong id from replacing the wrong database.
func restorePhrase(target string) string { return restorePrefix + target }

func (s *server) registerRestore() {
	register(s, requires(auth.BackupsRestore, auth.BackupsRestoreVerify), documentApproval(s, huma.Operation{
		OperationID: "restore-backup", Method: http.MethodPost, Path: "/api/backups/{executionId}/restore", Tags: []string{"Backups and restore"},
		Summary: "Restore a backup",
		Description: "Answers at once with the queued execution. A restore with `verification_mode` needs `backups.restore_verify`, any other `backups.restore`. " +
			"The archive is checked end to end and loaded beside the target before the target is replaced.",
		DefaultStatus: http.StatusAccepted,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}), s.restoreBackup)
}

func (s *server) restoreBackup(ctx context.Context, in *restoreInput) (*accepted, error) {
	needed := auth.BackupsRestore
	if in.Body.VerificationMode {
		needed = auth.BackupsRestoreVerify
	}
	if !principalOf(ctx).Grants.Allows(needed) {
		return nil, s.refuse(ctx, "restore-backup", []auth.Permission{needed})
	}
	ctx, err := s.narrowedTo(ctx, needed)
	if err != nil {
		return nil, err
	}
	plan, err := s.planRestore(ctx, in)
	if err != nil {
		return nil, err
	}
	execution, err := s.newExecution(ctx, contract.RestoreWorkflowID)
	if err != nil {
		return nil, err
	}
	execution.DatasourceID, execution.StorageLocationID = &plan.target.ID, &plan.storage.ID
	execution.BackupType = plan.source.BackupType
	execution.Metadata.Operation, execution.Metadata.Restore = domain.OperationRestore, &plan.options
	summary := fmt.Sprintf("Restore %s into %s on %s", plan.sourceName, plan.into(), plan.target.Name)
	if plan.options.VerificationMode {
		summary = fmt.Sprintf("Prove that a backup of %s restores, on %s", plan.sourceName, plan.target.Name)
	}
	return s.launch(ctx, execution, launch{
		workflow: contract.Restore, pool: plan.storage.Pool,
		labels:  contract.Labels{Datasource: plan.target.Name, Storage: plan.storage.Name},
		summary: summary,
		details: fmt.Sprintf("From backup %s on %s, started by %s.", plan.source.ID, plan.storage.Name, execution.Metadata.Actor),
		action:  "backup.restore", resource: "execution", resourceID: plan.source.ID,
		irreversible: plan.overwrites(summary), approvalID: in.ApprovalID,
	})
}

// overwrites is what another person may have to approve of a restore: that its target need not be empty. Nil for
// one into a temporary database, or into a target that must be empty.
func (p restorePlan) overwrites(summary string) *irreversible {
	switch o := p.options; {
	case o.VerificationMode:
		return nil
	case o.DropExisting:
		summary += ", replacing what is there"
	case p.target.Type == domain.MongoDB && len(o.IncludeTables) > 0, p.target.Type == domain.Files && len(o.IncludePaths) > 0:
		summary += ", beside what else is there" // chosen collections and files are let into a target that has others
	default:
		return nil
	}
	return &irreversible{
		action: domain.ApproveRestoreOverwrite, permission: auth.BackupsRestore, resource: "execution", resourceID: p.source.ID,
		summary: summary,
		// Another version of the target may be another server.
		request: map[string]any{"restore": p.options, "target_version": p.target.Version},
	}
}

// restorePlan is a restore that was checked.
type restorePlan struct {
	source     db.Execution
	sourceName string
	storage    db.StorageLocation
	target     db.Datasource
	options    domain.RestoreOptions
}

func (s *server) planRestore(ctx context.Context, in *restoreInput) (restorePlan, error) {
	var plan restorePlan
	source, err := s.restorableBackup(ctx, in.ExecutionID)
	if err != nil {
		return plan, err
	}
	plan.source = source
	backedUp, err := s.db.GetDatasource(ctx, *source.DatasourceID)
	if err != nil {
		return plan, err
	}
	plan.sourceName = backedUp.Name
	if plan.storage, err = s.db.GetStorageLocation(ctx, *source.StorageLocationID); err != nil {
		return plan, err
	}
	if plan.target, err = s.db.GetDatasource(ctx, in.Body.TargetDatasourceID); err != nil {
		return plan, missingField(err, "target_datasource_id", "datasource", in.Body.TargetDatasourceID)
	}
	if err := s.chooseCopy(ctx, in.Body, &plan); err != nil {
		return plan, err
	}
	v := in.Body.check(backedUp, plan.storage, plan.target)
	in.Body.checkReferenced(&v, source)
	in.Body.checkGlobals(&v, source, plan.target.Type)
	database, databases := in.Body.chooseTarget(&v, source.Metadata.Databases, plan.target)
	if err := v.OrNil(); err != nil {
		return plan, err
	}
	if err := runnable(plan.target, plan.storage); err != nil {
		return plan, err
	}
	plan.options = domain.RestoreOptions{
		SourceExecutionID: source.ID, TargetDatasourceID: plan.target.ID, TargetDatabase: database,
		DropExisting: in.Body.DropExisting, VerificationMode: in.Body.VerificationMode, KeepDatabase: in.Body.KeepDatabase,
		ParallelJobs: in.Body.ParallelJobs, IdleTimeoutMinutes: in.Body.IdleTimeoutMinutes, Databases: databases, IncludePaths: in.Body.IncludePaths, IncludeTables: in.Body.IncludeTables,
		ReferencedFilesDirectory: in.Body.ReferencedFiles, RestoreGlobals: in.Body.RestoreGlobals,
	}
	if in.Body.StorageLocationID != "" {
		plan.options.StorageLocationID = plan.storage.ID
	}
	return plan, nil
}

// chooseCopy replaces the backup's own location by the one whose copy is read first: the one that was asked
// for, or the best. The worker goes on to the others when it can not be read.
func (s *server) chooseCopy(ctx context.Context, request RestoreRequest, plan *restorePlan) error {
	id := request.StorageLocationID
	if id == "" {
		copies, err := s.db.ReadableCopies(ctx, plan.source.ID, plan.target.Pool)
		if err != nil || len(copies) == 0 {
			return err
		}
		id = copies[0].StorageLocationID
	} else if _, err := s.db.GetCopy(ctx, plan.source.ID, id); err != nil {
		if errors.Is(err, db.ErrNotFound) {
			return nil // check refuses it
		}
		return err
	}
	location, err := s.db.GetStorageLocation(ctx, id)
	if err == nil {
		plan.storage = location
	}
	return err
}

// restorableBackup reads an execution and refuses what is no backup that can be restored.
func (s *server) restorableBackup(ctx context.Context, id string) (db.Execution, error) {
	row, err := s.execution(ctx, id)
	switch {
	case err != nil:
		return row, err
	case row.Metadata.Operation != domain.OperationBackup:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("Execution %s is a %s, not a backup.", id, row.Metadata.Operation))
	case row.Status != domain.Completed:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is %s; only a completed backup can be restored.", id, row.Status))
	case row.DeletingAt != nil:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("Backup %s is being deleted.", id))
	case row.DatasourceID == nil || row.StorageLocationID == nil:
		return row, problem.New(http.StatusConflict, fmt.Sprintf("The datasource or the storage location of backup %s is gone.", id))
	}
	return row, nil
}

// checkReferenced finds what is wrong with where referenced files go.
func (r RestoreRequest) checkReferenced(v *domain.Invalid, source db.Execution) {
	switch dir := r.ReferencedFiles; {
	case dir == "":
	case !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" || strings.ContainsAny(dir, "\x00\n"):
		v.Add("referenced_files_directory", "is not an absolute path below /; give a new or empty directory on the worker")
	case r.VerificationMode:
		v.Add("referenced_files_directory", "is given with verification_mode, which restores no files")
	case source.Metadata.Options == nil || !source.Metadata.Options.ReferencedFiles.Active():
		v.Add("referenced_files_directory", "is given, and the backup has no referenced files")
	}
}

// checkGlobals finds what is wrong with restore_globals.
func (r RestoreRequest) checkGlobals(v *domain.Invalid, source db.Execution, t domain.DatasourceType) {
	switch {
	case !r.RestoreGlobals:
	case r.VerificationMode:
		v.Add("restore_globals", "is given with verification_mode, which changes nothing on the server")
	case len(source.Metadata.Databases) == 0:
		v.Add("restore_globals", "is for backups of a whole server, and this backup has one database; leave it out")
	case t != domain.Postgres && t != domain.MySQL && t != domain.MariaDB:
		v.Add("restore_globals", "is for postgres, mysql and mariadb; a %s backup has no roles or accounts", t)
	}
}

// checkTables finds what is wrong with include_tables. Whether the backup has them, the restore sees before it replaces anything.
func (r RestoreRequest) checkTables(v *domain.Invalid, t domain.DatasourceType) {
	switch {
	case len(r.IncludeTables) == 0:
	case t == domain.Files:
		v.Add("include_tables", "is for databases, and this is a files backup; use include_paths")
	case t == domain.SQLServer:
		v.Add("include_tables", "is given, and native backups of SQL Server are restored as a whole; restore into another target_database and copy the tables from there")
	case slices.ContainsFunc(r.IncludeTables, func(name string) bool { return strings.TrimSpace(name) == "" || strings.ContainsRune(name, 0) }):
		v.Add("include_tables", "has an empty name")
	}
}

// check finds every wrong field of the request, the confirmation last: a client that asks with an
// empty phrase learns it together with everything else.
func (r RestoreRequest) check(source db.Datasource, storage db.StorageLocation, target db.Datasource) domain.Invalid {
	var v domain.Invalid
	if r.StorageLocationID != "" && r.StorageLocationID != storage.ID {
		v.Add("storage_location_id", "holds no copy of this backup; it is on %s (%s)", storage.Name, storage.ID)
	}
	if !domain.SameFamily(source.Type, target.Type) {
		v.Add("target_datasource_id", "is a %s datasource; a %s backup is restored into %s", target.Type, source.Type, source.Type)
	}
	if target.Pool != storage.Pool {
		v.Add("target_datasource_id", "%s", poolsDiffer(target, storage))
	}
	r.checkTables(&v, source.Type)
	if len(r.IncludePaths) > 0 && source.Type != domain.Files {
		v.Add("include_paths", "is for files backups, and this is a %s backup; leave it empty", source.Type)
	}
	if r.KeepDatabase && !r.VerificationMode {
		v.Add("keep_verification_database", "needs verification_mode")
	}
	phrase := restorePhrase(target.Name)
	if r.VerificationMode {
		phrase = verifyPhrase
	}
	if r.ConfirmationPhrase != phrase {
		v.Add("confirmation_phrase", "does not confirm this; send exactly: %s", phrase)
	}
	return v
}
