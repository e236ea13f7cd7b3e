package auth

import (
	"slices"
	"strings"
)

// Actor is who changes access: an account, or an API token of one. Grants holds only what it has without
// any limit to some resources, so that nobody hands on more than they have.
type Actor struct {
	ID     string
	Grants Grants
}

// Account is what decides on the change of an account.
type Account struct {
	ID     string
	Owner  bool
	Active bool
	Roles  []string // names, sorted
	Grants Grants   // what its roles grant together
}

// Role is what decides on the change of a role.
type Role struct {
	System bool
	Grants Grants
}

// Refusal is a change of access that is not made. Lockout says that it would lock somebody out, or that
// the thing is never changed, whoever asks; otherwise the actor may not.
type Refusal struct {
	Reason  string
	Lockout bool
}

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

func forbidden(reason string) error { return &Refusal{Reason: reason} }
func lockout(reason string) error   { return &Refusal{Reason: reason, Lockout: true} }

// CheckAccountChange decides whether actor may turn before into after: nil before is a new account, nil
// after a deletion. Errors: Refusal.
func CheckAccountChange(actor Actor, before, after *Account) error {
	if before == nil {
		return checkGranted(actor, after.Grants)
	}
	if before.Owner {
		return checkOwnerChange(actor, after)
	}
	if before.ID == actor.ID {
		return checkSelfChange(before, after)
	}
	if more := actor.lacks(before.Grants); len(more) > 0 {
		return forbidden("This account may do what you may not (" + join(more) + "), so its changes are not yours to make.")
	}
	if after == nil {
		return nil
	}
	return checkGranted(actor, after.Grants)
}

// CheckAccountLimit decides whether actor may change what limits an account to some resources. Errors: Refusal.
func CheckAccountLimit(actor Actor, account Account) error {
	switch {
	case account.Owner:
		return lockout("The owner is never limited.")
	case account.ID == actor.ID:
		return forbidden("Nobody changes what limits themselves; ask another administrator.")
	}
	return CheckAccountChange(actor, &account, &account)
}

func checkOwnerChange(actor Actor, after *Account) error {
	switch {
	case after == nil:
		return lockout("The owner's account is never deleted.")
	case !after.Active:
		return lockout("The owner's account is never deactivated.")
	case len(after.Grants.List()) < len(Permissions()):
		return lockout("The owner keeps the role " + RoleAdmin + ".")
	case actor.ID != after.ID:
		return forbidden("The owner's account is changed by the owner alone.")
	}
	return nil
}

func checkSelfChange(before, after *Account) error {
	switch {
	case after == nil:
		return lockout("Nobody deletes their own account; ask another administrator.")
	case !after.Active:
		return lockout("Nobody deactivates their own account; ask another administrator.")
	case !slices.Equal(before.Roles, after.Roles):
		return forbidden("Nobody changes their own roles; ask another administrator.")
	}
	return nil
}

func checkGranted(actor Actor, wanted Grants) error {
	if more := actor.lacks(wanted); len(more) > 0 {
		return forbidden("You can only grant what you hold without limits, and you lack " + join(more) + ".")
	}
	return nil
}

// CheckRoleChange decides whether actor may turn before into after: nil before is a new role, nil after
// a deletion. Errors: Refusal.
func CheckRoleChange(actor Actor, before, after *Role) error {
	if before != nil {
		if before.System {
			return lockout("It is a role of the system, which is never changed; make one of your own.")
		}
		if more := actor.lacks(before.Grants); len(more) > 0 {
			return forbidden("This role grants what you lack (" + join(more) + "), so its changes are not yours to make.")
		}
	}
	if after == nil {
		return nil
	}
	return checkGranted(actor, after.Grants)
}

// CheckManagersLeft refuses a change after which nobody active would hold access.manage. Errors: Refusal.
func CheckManagersLeft(holders int64) error {
	if holders < 1 {
		return lockout("Nobody would be left who holds " + string(AccessManage) + ".")
	}
	return nil
}

// lacks is what actor would need to hold, and does not, to be above everything in wanted.
func (a Actor) lacks(wanted Grants) []Permission { return wanted.missing(a.Grants) }

// missing lists what of g is not in held.
func (g Grants) missing(held Grants) []Permission {
	var out []Permission
	for _, p := range g.List() {
		if !held.Allows(p) {
			out = append(out, p)
		}
	}
	return out
}

// Intersect is what both hold: what a token of somebody may do now.
func (g Grants) Intersect(other Grants) Grants {
	out := make(Grants)
	for p := range g {
		if other.Allows(p) {
			out[p] = struct{}{}
		}
	}
	return out
}

func join(permissions []Permission) string {
	names := make([]string, len(permissions))
	for i, p := range permissions {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}
