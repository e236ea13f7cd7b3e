package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestScopes(t *testing.T) {
	const team, all = "role of the team", "role of everybody"
	allow := func(role, permission string, kind domain.ScopeKind, id string) auth.ScopeRule {
		return auth.ScopeRule{RoleID: role, Permission: permission, Kind: kind, ResourceID: id}
	}
	deny := func(role, permission string, kind domain.ScopeKind, id string) auth.ScopeRule {
		rule := allow(role, permission, kind, id)
		rule.Deny = true
		return rule
	}
	tagged := func(rule auth.ScopeRule, tag string) auth.ScopeRule {
		rule.ResourceID, rule.Tag = "", tag
		return rule
	}
	job := func(datasource, storage, job string) domain.Belongs {
		return domain.Belongs{
			domain.ScopeDatasource: {ID: datasource}, domain.ScopeStorageLocation: {ID: storage}, domain.ScopeBackupJob: {ID: job},
		}
	}
	datasource := func(id string, tags ...string) domain.Belongs {
		return domain.Belongs{domain.ScopeDatasource: {ID: id, Tags: tags}}
	}
	reads := map[string]auth.Grants{team: grants("datasources.read", "backup_jobs.read", "system.read")}
	both := map[string]auth.Grants{team: grants("backup_jobs.read"), all: grants("backup_jobs.read")}
	for name, tc := range map[string]struct {
		roles   map[string]auth.Grants
		rules   []auth.ScopeRule
		of      auth.Permission
		to      domain.Belongs
		allowed bool
	}{
		"no rule limits nothing":                          {reads, nil, auth.DatasourcesRead, datasource("a"), true},
		"a rule of a role lets through what it names":     {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a")}, auth.DatasourcesRead, datasource("a"), true},
		"and nothing else":                                {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a")}, auth.DatasourcesRead, datasource("b"), false},
		"a rule of another permission is no limit":        {reads, []auth.ScopeRule{allow(team, "datasources.write", domain.ScopeDatasource, "a")}, auth.DatasourcesRead, datasource("b"), true},
		"two rules add up":                                {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a"), allow(team, "*", domain.ScopeDatasource, "b")}, auth.DatasourcesRead, datasource("b"), true},
		"a tag lets through what has it":                  {reads, []auth.ScopeRule{tagged(allow(team, "*", domain.ScopeDatasource, ""), "blue")}, auth.DatasourcesRead, datasource("x", "green", "blue"), true},
		"a tag hides what has others":                     {reads, []auth.ScopeRule{tagged(allow(team, "*", domain.ScopeDatasource, ""), "blue")}, auth.DatasourcesRead, datasource("x", "green"), false},
		"deny wins over allow":                            {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a"), deny(team, "*", domain.ScopeDatasource, "a")}, auth.DatasourcesRead, datasource("a"), false},
		"deny of one leaves the others":                   {reads, []auth.ScopeRule{deny("", "*", domain.ScopeDatasource, "a")}, auth.DatasourcesRead, datasource("b"), true},
		"deny of a role wins over another role":           {both, []auth.ScopeRule{deny(team, "*", domain.ScopeDatasource, "a")}, auth.BackupJobsRead, job("a", "s", "j"), false},
		"a role without limits is enough":                 {both, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a")}, auth.BackupJobsRead, job("b", "s", "j"), true},
		"the user's own limit holds for every role":       {both, []auth.ScopeRule{allow("", "*", domain.ScopeDatasource, "a")}, auth.BackupJobsRead, job("b", "s", "j"), false},
		"the user's own limit cuts the role's":            {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a"), allow("", "*", domain.ScopeDatasource, "b")}, auth.DatasourcesRead, datasource("a"), false},
		"limits of two kinds must both hold":              {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a"), allow(team, "*", domain.ScopeStorageLocation, "s")}, auth.BackupJobsRead, job("a", "other", "j"), false},
		"limits of two roles are not mixed":               {both, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a"), allow(all, "*", domain.ScopeStorageLocation, "s")}, auth.BackupJobsRead, job("b", "other", "j"), false},
		"either of two roles lets through":                {both, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a"), allow(all, "*", domain.ScopeStorageLocation, "s")}, auth.BackupJobsRead, job("b", "s", "j"), true},
		"a limit to storage does not hide a datasource":   {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeStorageLocation, "s")}, auth.DatasourcesRead, datasource("a"), true},
		"a limit to jobs hides what has no job":           {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeBackupJob, "j")}, auth.BackupJobsRead, job("a", "s", ""), false},
		"a denied job does not hide what has no job":      {reads, []auth.ScopeRule{deny(team, "*", domain.ScopeBackupJob, "j")}, auth.BackupJobsRead, job("a", "s", ""), true},
		"what is about the installation is never limited": {reads, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a")}, auth.SystemRead, datasource("b"), true},
		"a role that does not grant it does not widen it": {map[string]auth.Grants{team: grants("datasources.read"), all: grants("storage.read")}, []auth.ScopeRule{allow(team, "*", domain.ScopeDatasource, "a")}, auth.DatasourcesRead, datasource("b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			held := auth.Held{Roles: tc.roles, Rules: tc.rules}
			require.Equal(t, tc.allowed, held.Scope(tc.of).Allows(tc.to))
		})
	}

	held := auth.Held{Roles: reads, Rules: []auth.ScopeRule{tagged(allow(team, "datasources.read", domain.ScopeDatasource, ""), "blue")}}
	require.Equal(t, []auth.Permission{auth.BackupJobsRead, auth.SystemRead}, held.Unlimited().List())
	require.True(t, held.ByTag())
	require.True(t, held.Scope(auth.DatasourcesRead).Only(domain.ScopeDatasource))
	require.False(t, held.Scope(auth.DatasourcesRead).Only(domain.ScopeStorageLocation))
}
