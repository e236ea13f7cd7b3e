package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
)

func grants(names ...string) auth.Grants { return auth.NewGrants(names) }

func everything() auth.Grants {
	all := auth.SystemRoles()[auth.RoleAdmin]
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = string(p)
	}
	return grants(names...)
}

func TestChangesOfAccounts(t *testing.T) {
	admin := auth.Actor{ID: "admin", Grants: everything()}
	helpdesk := auth.Actor{ID: "helpdesk", Grants: grants("access.manage", "datasources.read")}
	owner := &auth.Account{ID: "owner", Owner: true, Active: true, Roles: []string{"admin"}, Grants: everything()}
	guest := &auth.Account{ID: "guest", Active: true, Roles: []string{"reader"}, Grants: grants("datasources.read")}
	strong := &auth.Account{ID: "strong", Active: true, Roles: []string{"operator"}, Grants: grants("backups.restore")}
	with := func(a *auth.Account, change func(*auth.Account)) *auth.Account {
		out := *a
		change(&out)
		return &out
	}
	self := &auth.Account{ID: "helpdesk", Active: true, Roles: []string{"helpdesk"}, Grants: helpdesk.Grants}
	const allowed, refused, locked = "", "refused", "locked"
	for name, tc := range map[string]struct {
		actor         auth.Actor
		before, after *auth.Account
		want          string
	}{
		"a new account within what one holds":           {helpdesk, nil, guest, allowed},
		"a new account above it":                        {helpdesk, nil, strong, refused},
		"a change of somebody below":                    {helpdesk, guest, guest, allowed},
		"a change of somebody above":                    {helpdesk, strong, strong, refused},
		"a deletion of somebody above":                  {helpdesk, strong, nil, refused},
		"lowering somebody above":                       {helpdesk, strong, guest, refused},
		"raising somebody above oneself":                {helpdesk, guest, strong, refused},
		"an admin's change of anybody":                  {admin, strong, guest, allowed},
		"a deletion of oneself":                         {helpdesk, self, nil, locked},
		"deactivating oneself":                          {helpdesk, self, with(self, func(a *auth.Account) { a.Active = false }), locked},
		"one's own roles":                               {helpdesk, self, with(self, func(a *auth.Account) { a.Roles = []string{"admin"}; a.Grants = everything() }), refused},
		"giving up one's own role":                      {helpdesk, self, with(self, func(a *auth.Account) { a.Roles = nil; a.Grants = nil }), refused},
		"one's own name":                                {helpdesk, self, self, allowed},
		"the owner, deleted":                            {admin, owner, nil, locked},
		"the owner, deactivated":                        {admin, owner, with(owner, func(a *auth.Account) { a.Active = false }), locked},
		"the owner, without a permission":               {admin, owner, with(owner, func(a *auth.Account) { a.Grants = grants("datasources.read") }), locked},
		"the owner, by another":                         {admin, owner, owner, refused},
		"the owner, by the owner":                       {auth.Actor{ID: "owner", Grants: everything()}, owner, owner, allowed},
		"the owner, deactivated by the owner":           {auth.Actor{ID: "owner", Grants: everything()}, owner, with(owner, func(a *auth.Account) { a.Active = false }), locked},
		"a grant by a token of the owner that lacks it": {auth.Actor{ID: "owner", Grants: grants("access.manage")}, nil, guest, refused},
	} {
		t.Run(name, func(t *testing.T) { requireRefusal(t, tc.want, auth.CheckAccountChange(tc.actor, tc.before, tc.after)) })
	}
}

func requireRefusal(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	var refusal *auth.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, want == "locked", refusal.Lockout, refusal.Reason)
	require.NotEmpty(t, refusal.Error())
}

func TestChangesOfRoles(t *testing.T) {
	helpdesk := auth.Actor{ID: "helpdesk", Grants: grants("access.manage", "datasources.read")}
	small, large := &auth.Role{Grants: grants("datasources.read")}, &auth.Role{Grants: grants("backups.restore")}
	system := &auth.Role{System: true, Grants: grants("datasources.read")}
	for name, tc := range map[string]struct {
		before, after *auth.Role
		want          string
	}{
		"a new role within what one holds": {nil, small, ""},
		"a new role above it":              {nil, large, "refused"},
		"raising a role above it":          {small, large, "refused"},
		"lowering a role above it":         {large, small, "refused"},
		"deleting a role above it":         {large, nil, "refused"},
		"deleting a role below":            {small, nil, ""},
		"a role of the system":             {system, system, "locked"},
		"deleting a role of the system":    {system, nil, "locked"},
	} {
		t.Run(name, func(t *testing.T) { requireRefusal(t, tc.want, auth.CheckRoleChange(helpdesk, tc.before, tc.after)) })
	}
	requireRefusal(t, "locked", auth.CheckManagersLeft(0))
	require.NoError(t, auth.CheckManagersLeft(1))
}

func TestEveryPermissionIsDescribed(t *testing.T) {
	for _, p := range auth.Permissions() {
		require.NotEmpty(t, auth.Describe(p), p)
	}
}

func TestAPITokenAndSessionAreNotEachOther(t *testing.T) {
	session, _, err := auth.NewToken()
	require.NoError(t, err)
	token, hash, err := auth.NewAPIToken()
	require.NoError(t, err)
	found, ok := auth.HashAPIToken(token)
	require.True(t, ok)
	require.Equal(t, hash, found)
	_, ok = auth.HashAPIToken(session)
	require.False(t, ok)
	_, ok = auth.HashToken(token)
	require.False(t, ok)
}
