package domain

import "time"

// ApprovalAction is something that another person may have to approve.
type ApprovalAction string

// The actions.
const (
	ApproveRestoreOverwrite      ApprovalAction = "restore_overwrite"
	ApproveDeleteBackup          ApprovalAction = "delete_backup"
	ApproveDeleteStorageLocation ApprovalAction = "delete_storage_location"
	ApproveWeakening             ApprovalAction = "weaken_approvals" // switching one of the others off
)

// ApprovalStatus is what became of a request for approval.
type ApprovalStatus string

// The statuses. ApprovalExpired is never stored: it is one that is open past its time.
const (
	ApprovalPending   ApprovalStatus = "pending"
	ApprovalApproved  ApprovalStatus = "approved"
	ApprovalRejected  ApprovalStatus = "rejected"
	ApprovalWithdrawn ApprovalStatus = "withdrawn"
	ApprovalUsed      ApprovalStatus = "used"
	ApprovalExpired   ApprovalStatus = "expired"
)

// ApprovalSettings say what needs the approval of another person, and for how long a request, and an approval,
// is good.
type ApprovalSettings struct {
	RestoreOverwrite       bool
	DeleteBackups          bool
	DeleteStorageLocations bool
	ExpiryHours            int
}

// The keys of ApprovalSettings in system_settings.
const (
	SettingApproveRestore       = "approvals.restore_overwrite"
	SettingApproveDeleteBackup  = "approvals.delete_backups"
	SettingApproveDeleteStorage = "approvals.delete_storage_locations"
	SettingApprovalExpiry       = "approvals.expiry_hours"
)

// The shortest and the longest life of an approval, in hours.
const (
	MinApprovalHours = 1
	MaxApprovalHours = 24 * 30
)

// DefaultApprovals asks for no approvals; once some are asked for, they are good for a day.
func DefaultApprovals() ApprovalSettings { return ApprovalSettings{ExpiryHours: 24} }

// Validate finds what is out of range.
func (s ApprovalSettings) Validate() Invalid {
	var v Invalid
	checkRange(&v, "expiry_hours", s.ExpiryHours, MinApprovalHours, MaxApprovalHours)
	return v
}

// SwitchedOff names the settings that are on here and off in after.
func (s ApprovalSettings) SwitchedOff(after ApprovalSettings) []string {
	var off []string
	for _, setting := range []struct {
		key       string
		was, isOn bool
	}{
		{SettingApproveRestore, s.RestoreOverwrite, after.RestoreOverwrite},
		{SettingApproveDeleteBackup, s.DeleteBackups, after.DeleteBackups},
		{SettingApproveDeleteStorage, s.DeleteStorageLocations, after.DeleteStorageLocations},
	} {
		if setting.was && !setting.isOn {
			off = append(off, setting.key)
		}
	}
	return off
}

// Needs reports whether an action needs an approval. ApproveWeakening does, once something is switched off.
func (s ApprovalSettings) Needs(action ApprovalAction) bool {
	switch action {
	case ApproveRestoreOverwrite:
		return s.RestoreOverwrite
	case ApproveDeleteBackup:
		return s.DeleteBackups
	case ApproveDeleteStorageLocation:
		return s.DeleteStorageLocations
	default:
		return true
	}
}

// Life is how long a request, and then an approval, is good.
func (s ApprovalSettings) Life() time.Duration { return time.Duration(s.ExpiryHours) * time.Hour }
