package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// ListFiles lists a part of a folder of a storage location.
func ListFiles(ctx workflow.Context, in contract.FolderInput) (contract.FolderPart, error) {
	return contract.ListFolder.Execute(probe(ctx, "List a folder of "+in.Labels.Storage), in)
}

// MeasureStorage asks a storage location what it holds and has left.
func MeasureStorage(ctx workflow.Context, in contract.StorageRef) (contract.StorageUsage, error) {
	return contract.MeasureUsage.Execute(probe(ctx, "Measure the storage location"), in)
}

// CheckStorageDraft tests a storage location that is not saved.
func CheckStorageDraft(ctx workflow.Context, in contract.StorageDraftInput) (contract.CheckResult, error) {
	return contract.ProbeStorageDraft.Execute(probe(ctx, "Write and read a probe"), in)
}

// CopyFile copies a file within its storage location.
func CopyFile(ctx workflow.Context, in contract.CopyFileInput) (contract.FilesChanged, error) {
	return contract.CopyObject.Execute(fileWork(ctx, "Copy a file on "+in.Labels.Storage), in)
}

// DeleteFiles deletes a file or a folder of a storage location, unless a backup needs a part of it. A
// repetition goes on.
func DeleteFiles(ctx workflow.Context, in contract.DeleteFilesInput) (contract.FilesChanged, error) {
	return contract.DeleteObjects.Execute(fileWork(ctx, "Delete files on "+in.Labels.Storage), in)
}

// OpenTransfer asks a worker of the pool for its data port. The transfer itself is between that worker
// and the API.
func OpenTransfer(ctx workflow.Context, in contract.TransferInput) (contract.TransferOffer, error) {
	return contract.OfferTransfer.ExecuteLocal(once(ctx, offerLimit, "Offer the data port"), in)
}
