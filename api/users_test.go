package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
)

// signIn is the fixture with a session of this account.
func (f *fixture) signIn(email, password string) *fixture {
	f.t.Helper()
	other := *f
	other.token = ""
	other.token = other.call("POST", "/api/auth/login", object{"email": email, "password": password}).ok(200).get("token").(string)
	return &other
}

// user creates a user with these roles, whose password is ownerPassword.
func (f *fixture) user(email string, roles ...string) string {
	f.t.Helper()
	return f.call("POST", usersPath, object{"email": email, "password": ownerPassword, "roles": roles}).ok(201).get("id").(string)
}

func (f *fixture) me() string {
	f.t.Helper()
	return f.call("GET", "/api/auth/me", nil).ok(200).get("id").(string)
}

func TestUsersAreManaged(t *testing.T) {
	f := signedIn(t)
	made := f.call("POST", usersPath, object{"email": " ana@example.com ", "name": "Ana", "password": ownerPassword, "roles": []string{"Operator"}}).ok(201)
	id := made.get("id").(string)
	require.Equal(t, usersPath+"/"+id, made.header.Get("Location"))
	require.Equal(t, "ana@example.com", made.get("email"))
	require.Equal(t, []any{"operator"}, made.get("roles"), "a role is found whatever the case, and shown under its name")
	require.Equal(t, true, made.get("has_password"))
	require.NotContains(t, made.text, "argon2id")

	got := f.call("GET", usersPath+"/"+id, nil).ok(200)
	require.Equal(t, made.header.Get("ETag"), got.header.Get("ETag"))
	require.Len(t, f.call("GET", usersPath, nil).ok(200).get("items"), 2)
	require.Len(t, f.call("GET", usersPath+"?email=ANA@example.com", nil).ok(200).get("items"), 1)
	first := f.call("GET", usersPath+"?limit=1", nil).ok(200)
	second := f.call("GET", usersPath+"?limit=1&cursor="+first.get("next_cursor").(string), nil).ok(200)
	require.Empty(t, second.get("next_cursor"))

	changed := f.call("PATCH", usersPath+"/"+id, object{"name": "Ana Maria"}, "If-Match", got.header.Get("ETag")).ok(200)
	require.Equal(t, "Ana Maria", changed.get("name"))
	require.Equal(t, []any{"operator"}, changed.get("roles"))
	f.call("PATCH", usersPath+"/"+id, object{"name": "Other"}, "If-Match", got.header.Get("ETag")).problem(412)

	roles := f.call("PUT", usersPath+"/"+id+"/roles", object{"roles": []string{"readonly"}}).ok(200)
	require.Equal(t, []any{"readonly"}, roles.get("roles"))
	require.Contains(t, f.call("GET", usersPath+"/"+id+"/roles", nil).ok(200).text, `"readonly"`)

	f.call("POST", usersPath, object{"email": "ANA@example.com"}).problem(409)
	f.call("DELETE", usersPath+"/"+id, nil).ok(204)
	f.call("GET", usersPath+"/"+id, nil).problem(404)
	for _, action := range []string{"user.create", "user.update", "user.delete"} {
		for _, entry := range f.audits(action) {
			require.NotContains(t, entry.Changes, "argon2id")
			require.NotContains(t, entry.Changes, ownerPassword)
		}
	}
	require.Len(t, f.audits("user.update"), 2)
}

func TestWhatNoUserCanBe(t *testing.T) {
	f := signedIn(t)
	for name, tc := range map[string]struct {
		body  object
		field string
	}{
		"an email without a host":           {object{"email": "ana@"}, "email"},
		"an email with a space":             {object{"email": `"a b"@example.com`}, "email"},
		"an email with two at signs":        {object{"email": "a@b@c"}, "email"},
		"a name with a control":             {object{"email": "a@example.com", "name": "a\u0007b"}, "name"},
		"a short password":                  {object{"email": "a@example.com", "password": "short"}, "password"},
		"a role that there is not":          {object{"email": "a@example.com", "roles": []string{"none"}}, "roles"},
		"a role with SQL in its name":       {object{"email": "a@example.com", "roles": []string{"admin' OR 1=1 --"}}, "roles"},
		"the owner flag, which is no field": {object{"email": "a@example.com", "is_owner": true}, "is_owner"},
	} {
		t.Run(name, func(t *testing.T) {
			f := *f
			f.t = t
			f.call("POST", usersPath, tc.body).wrong(tc.field)
		})
	}
}

func TestNobodyIsRaisedOrLockedOut(t *testing.T) {
	f := signedIn(t)
	owner := f.me()
	admin := f.user("admin@example.com", "admin")
	operator := f.user("operator@example.com", "operator")
	// A manager of access who may read datasources, and nothing else.
	f.call("POST", rolesPath, object{"name": "helpdesk", "permissions": []string{"access.manage", "datasources.read"}}).ok(201)
	reader := f.call("POST", rolesPath, object{"name": "reader", "permissions": []string{"datasources.read"}}).ok(201).get("id").(string)
	runner := f.call("POST", rolesPath, object{"name": "runner", "permissions": []string{"backup_jobs.run"}}).ok(201).get("id").(string)
	systemRole := ""
	for _, item := range f.call("GET", rolesPath, nil).ok(200).get("items").([]any) {
		if role := item.(object); role["name"] == "readonly" {
			systemRole = role["id"].(string)
		}
	}
	helpdesk := f.user("helpdesk@example.com", "helpdesk")
	colleague := f.user("colleague@example.com", "helpdesk")
	guest := f.user("guest@example.com", "reader")
	promoted := f.user("promoted@example.com")
	as := map[string]*fixture{
		"owner": f, "admin": f.signIn("admin@example.com", ownerPassword), "helpdesk": f.signIn("helpdesk@example.com", ownerPassword),
		"operator": f.signIn("operator@example.com", ownerPassword),
	}

	for name, tc := range map[string]struct {
		who, method, path string
		body              any
		status            int
	}{
		"helpdesk grants what it holds":                            {"helpdesk", "POST", usersPath, object{"email": "new@example.com", "roles": []string{"reader"}}, 201},
		"helpdesk does not make an admin":                          {"helpdesk", "POST", usersPath, object{"email": "evil@example.com", "roles": []string{"admin"}}, 403},
		"helpdesk does not make a reader of everything":            {"helpdesk", "POST", usersPath, object{"email": "evil@example.com", "roles": []string{"readonly"}}, 403},
		"helpdesk does not give itself a role":                     {"helpdesk", "PUT", usersPath + "/" + helpdesk + "/roles", object{"roles": []string{"helpdesk", "admin"}}, 403},
		"helpdesk does not even give itself a role that it covers": {"helpdesk", "PUT", usersPath + "/" + helpdesk + "/roles", object{"roles": []string{"helpdesk", "reader"}}, 403},
		"helpdesk does not raise a guest":                          {"helpdesk", "PATCH", usersPath + "/" + guest, object{"roles": []string{"reader", "runner"}}, 403},
		"helpdesk does not take over an operator by a password":    {"helpdesk", "PATCH", usersPath + "/" + operator, object{"password": "another password"}, 403},
		"helpdesk does not take over an operator by an email":      {"helpdesk", "PATCH", usersPath + "/" + operator, object{"email": "mine@example.com"}, 403},
		"helpdesk does not lower an admin":                         {"helpdesk", "PUT", usersPath + "/" + admin + "/roles", object{"roles": []string{}}, 403},
		"helpdesk does not sign an admin out":                      {"helpdesk", "DELETE", usersPath + "/" + admin + "/sessions", nil, 403},
		"helpdesk does not delete an operator":                     {"helpdesk", "DELETE", usersPath + "/" + operator, nil, 403},
		"helpdesk changes a guest":                                 {"helpdesk", "PATCH", usersPath + "/" + guest, object{"name": "Guest"}, 200},
		"helpdesk changes a colleague":                             {"helpdesk", "PATCH", usersPath + "/" + colleague, object{"name": "Colleague"}, 200},
		"helpdesk makes a role of what it holds":                   {"helpdesk", "POST", rolesPath, object{"name": "r1", "permissions": []string{"datasources.read"}}, 201},
		"helpdesk does not make a role of more":                    {"helpdesk", "POST", rolesPath, object{"name": "r2", "permissions": []string{"datasources.write"}}, 403},
		"helpdesk does not add to a role what it lacks":            {"helpdesk", "PUT", rolesPath + "/" + reader + "/permissions", object{"permissions": []string{"datasources.read", "backups.restore"}}, 403},
		"helpdesk does not empty a role of more":                   {"helpdesk", "PUT", rolesPath + "/" + runner + "/permissions", object{"permissions": []string{}}, 403},
		"helpdesk does not delete a role of more":                  {"helpdesk", "DELETE", rolesPath + "/" + runner, nil, 403},
		"an operator manages nobody":                               {"operator", "GET", usersPath, nil, 403},
		"an admin does not delete the owner":                       {"admin", "DELETE", usersPath + "/" + owner, nil, 409},
		"an admin does not deactivate the owner":                   {"admin", "PATCH", usersPath + "/" + owner, object{"is_active": false}, 409},
		"an admin does not take the owner's role":                  {"admin", "PUT", usersPath + "/" + owner + "/roles", object{"roles": []string{"readonly"}}, 409},
		"an admin does not set the owner's password":               {"admin", "PATCH", usersPath + "/" + owner, object{"password": "another password"}, 403},
		"an admin does not rename the owner":                       {"admin", "PATCH", usersPath + "/" + owner, object{"name": "Nobody"}, 403},
		"an admin does not sign the owner out":                     {"admin", "DELETE", usersPath + "/" + owner + "/sessions", nil, 403},
		"an admin does not delete themselves":                      {"admin", "DELETE", usersPath + "/" + admin, nil, 409},
		"an admin does not deactivate themselves":                  {"admin", "PATCH", usersPath + "/" + admin, object{"is_active": false}, 409},
		"an admin renames themselves":                              {"admin", "PATCH", usersPath + "/" + admin, object{"name": "Adam"}, 200},
		"an admin gives a role of all":                             {"admin", "PUT", usersPath + "/" + promoted + "/roles", object{"roles": []string{"admin"}}, 200},
		"the owner does not deactivate themselves":                 {"owner", "PATCH", usersPath + "/" + owner, object{"is_active": false}, 409},
		"the owner does not leave the role admin":                  {"owner", "PUT", usersPath + "/" + owner + "/roles", object{"roles": []string{}}, 409},
		"the owner does not delete themselves":                     {"owner", "DELETE", usersPath + "/" + owner, nil, 409},
		"the owner does not set a password without the old one":    {"owner", "PATCH", usersPath + "/" + owner, object{"password": "another password"}, 422},
		"the owner renames themselves":                             {"owner", "PATCH", usersPath + "/" + owner, object{"name": "Olga"}, 200},
		"nobody changes a role of the system":                      {"owner", "PATCH", rolesPath + "/" + systemRole, object{"description": "x"}, 409},
		"nobody adds to a role of the system":                      {"owner", "PUT", rolesPath + "/" + systemRole + "/permissions", object{"permissions": []string{"access.manage"}}, 409},
		"nobody deletes a role of the system":                      {"owner", "DELETE", rolesPath + "/" + systemRole, nil, 409},
		"a role that somebody has stays":                           {"owner", "DELETE", rolesPath + "/" + reader, nil, 409},
		"a user who is not there is not found":                     {"owner", "PATCH", usersPath + "/" + uuid.NewString(), object{"name": "x"}, 404},
	} {
		t.Run(name, func(t *testing.T) {
			caller := *as[tc.who]
			caller.t = t
			answer := caller.call(tc.method, tc.path, tc.body)
			require.Equal(t, tc.status, answer.status, answer.text)
		})
	}
	require.NotEmpty(t, f.audits("access.refused"))
	f.call("GET", "/api/auth/me", nil).ok(200)
	f.signIn(ownerEmail, ownerPassword)
}

func TestOfTwoAdminsWhoRemoveEachOtherOneStays(t *testing.T) {
	f := signedIn(t)
	for range 5 {
		one, other := f.user("one@example.com", "admin"), f.user("other@example.com", "admin")
		first, second := f.signIn("one@example.com", ownerPassword), f.signIn("other@example.com", ownerPassword)
		var wait sync.WaitGroup
		statuses := make([]int, 2)
		wait.Go(func() { statuses[0] = first.call("DELETE", usersPath+"/"+other, nil).status })
		wait.Go(func() { statuses[1] = second.call("DELETE", usersPath+"/"+one, nil).status })
		wait.Wait()
		require.Contains(t, statuses, 204)
		require.NotEqual(t, statuses[0], statuses[1], "whoever was removed first removes nobody: %v", statuses)
		for _, id := range []string{one, other} {
			f.call("DELETE", usersPath+"/"+id, nil)
		}
	}
}

func TestConcurrentEditsOfAUserLoseNothing(t *testing.T) {
	f := signedIn(t)
	id := f.user("ana@example.com")
	version := f.call("GET", usersPath+"/"+id, nil).ok(200).header.Get("ETag")
	var wait sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wait.Go(func() {
			statuses[i] = f.call("PATCH", usersPath+"/"+id, object{"name": strings.Repeat("x", i+1)}, "If-Match", version).status
		})
	}
	wait.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: 7}, count)
	require.Len(t, f.audits("user.update"), 1)
}

func TestDeactivationEndsWhatAUserSignsInWith(t *testing.T) {
	f := signedIn(t)
	id := f.user("ana@example.com", "operator")
	ana := f.signIn("ana@example.com", ownerPassword)
	token := ana.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}).ok(201).get("token").(string)
	script := *f
	script.token = token
	script.call("GET", "/api/datasources", nil).ok(200)

	f.call("PATCH", usersPath+"/"+id, object{"is_active": false}).ok(200)
	ana.call("GET", "/api/auth/me", nil).problem(401)
	script.call("GET", "/api/datasources", nil).problem(401)
	anonymous := *f
	anonymous.token = ""
	anonymous.call("POST", "/api/auth/login", object{"email": "ana@example.com", "password": ownerPassword}).problem(401)

	f.call("PATCH", usersPath+"/"+id, object{"is_active": true}).ok(200)
	ana.call("GET", "/api/auth/me", nil).problem(401)
	script.call("GET", "/api/datasources", nil).ok(200)
	f.signIn("ana@example.com", ownerPassword)
}

func TestSessionsOfAnother(t *testing.T) {
	f := signedIn(t)
	id := f.user("ana@example.com", "operator")
	one, two := f.signIn("ana@example.com", ownerPassword), f.signIn("ana@example.com", ownerPassword)
	sessions := f.call("GET", usersPath+"/"+id+"/sessions", nil).ok(200).get("items").([]any)
	require.Len(t, sessions, 2)
	newest := sessions[0].(object)["id"].(string)
	f.call("DELETE", usersPath+"/"+uuid.NewString()+"/sessions/"+newest, nil).problem(404)
	f.call("DELETE", usersPath+"/"+id+"/sessions/"+newest, nil).ok(204)
	two.call("GET", "/api/auth/me", nil).problem(401)
	one.call("GET", "/api/auth/me", nil).ok(200)
	f.call("DELETE", usersPath+"/"+id+"/sessions", nil).ok(204)
	one.call("GET", "/api/auth/me", nil).problem(401)

	three := f.signIn("ana@example.com", ownerPassword)
	made := three.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}).ok(201)
	require.Len(t, f.call("GET", usersPath+"/"+id+"/tokens", nil).ok(200).get("items"), 1)
	f.call("DELETE", usersPath+"/"+id+"/tokens/"+made.get("id").(string), nil).ok(204)
	three.token = made.get("token").(string)
	three.call("GET", "/api/datasources", nil).problem(401)
}

func TestSignOutEverywhere(t *testing.T) {
	f := signedIn(t)
	other := f.signIn(ownerEmail, ownerPassword)
	f.call("POST", "/api/auth/logout-everywhere", nil).ok(204)
	f.call("GET", "/api/auth/me", nil).problem(401)
	other.call("GET", "/api/auth/me", nil).problem(401)
	require.Len(t, f.audits("auth.signed_out_everywhere"), 1)
}

func TestANewPasswordEndsTheOtherSessions(t *testing.T) {
	f := signedIn(t)
	other := f.signIn(ownerEmail, ownerPassword)
	const fresh = "a quite new password"
	change := func(current, next string) reply {
		return f.call("POST", "/api/auth/password", object{"current_password": current, "new_password": next})
	}
	change("wrong horse battery", fresh).wrong("current_password")
	change(strings.Repeat("x", 2000), fresh).wrong("current_password")
	change(ownerPassword, "short").wrong("new_password")
	change(ownerPassword, ownerPassword).wrong("new_password")
	other.call("GET", "/api/auth/me", nil).ok(200)
	change(ownerPassword, fresh).ok(204)
	f.call("GET", "/api/auth/me", nil).ok(200)
	other.call("GET", "/api/auth/me", nil).problem(401)
	other.token = ""
	other.call("POST", "/api/auth/login", object{"email": ownerEmail, "password": ownerPassword}).problem(401)
	f.signIn(ownerEmail, fresh)
	require.Len(t, f.audits("auth.password_refused"), 2)
	require.Len(t, f.audits("auth.password_changed"), 1)
	for _, secret := range []string{fresh, ownerPassword} {
		require.NotContains(t, f.log.String(), secret)
	}
}

func TestASignInThatBeganBeforeThePasswordChangedOpensNothing(t *testing.T) {
	f := signedIn(t)
	before, err := f.db.UserByEmail(context.Background(), ownerEmail)
	require.NoError(t, err)
	f.call("POST", "/api/auth/password", object{"current_password": ownerPassword, "new_password": "a quite new password"}).ok(204)
	_, err = f.server.signIn(context.Background(), before)
	require.Error(t, err, "its password was compared with the hash of before")
	require.Len(t, f.call("GET", "/api/auth/sessions", nil).ok(200).get("items"), 1)
}

func TestAPITokens(t *testing.T) {
	f := signedIn(t)
	made := f.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read", "backup_jobs.run"}}).ok(201)
	secret, id := made.get("token").(string), made.get("id").(string)
	require.Regexp(t, `^dgt_[A-Za-z0-9_-]{43}$`, secret)
	require.Nil(t, made.get("last_used_at"))
	expires, err := time.Parse(time.RFC3339, made.get("expires_at").(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(defaultTokenLife), expires, time.Minute)

	script := *f
	script.token = secret
	script.call("GET", "/api/datasources", nil).ok(200)
	script.call("POST", "/api/datasources", datasourceBody("x")).problem(403)
	require.Equal(t, []any{"datasources.read", "backup_jobs.run"}, script.call("GET", "/api/auth/me", nil).ok(200).get("permissions"))
	for _, call := range []object{
		{"method": "POST", "path": tokensPath, "body": object{"name": "more", "permissions": []string{"datasources.read"}}},
		{"method": "GET", "path": tokensPath},
		{"method": "GET", "path": "/api/auth/sessions"},
		{"method": "DELETE", "path": "/api/auth/sessions"},
		{"method": "POST", "path": "/api/auth/logout"},
		{"method": "POST", "path": "/api/auth/logout-everywhere"},
		{"method": "POST", "path": "/api/auth/password", "body": object{"current_password": ownerPassword, "new_password": "a quite new password"}},
	} {
		script.call(call["method"].(string), call["path"].(string), call["body"]).problem(403)
	}
	got := f.call("GET", tokensPath+"/"+id, nil).ok(200)
	require.NotNil(t, got.get("last_used_at"))
	require.Equal(t, "127.0.0.1", got.get("last_used_ip"))
	for _, answer := range []string{got.text, f.call("GET", tokensPath, nil).ok(200).text, f.log.String()} {
		require.NotContains(t, answer, secret)
	}
	for _, entry := range append(f.audits("api_token.create"), f.audits("access.refused")...) {
		require.NotContains(t, entry.Changes, secret)
	}
	require.Contains(t, f.audits("access.refused")[0].Changes, `"ci"`, "the trail tells which token asked")

	f.call("POST", tokensPath, object{"name": "CI", "permissions": []string{"datasources.read"}}).problem(409)
	f.call("DELETE", tokensPath+"/"+id, nil).ok(204)
	script.call("GET", "/api/datasources", nil).problem(401)
	f.call("DELETE", tokensPath+"/"+id, nil).problem(404)
}

func TestATokenIsRefused(t *testing.T) {
	f := signedIn(t)
	made := f.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}).ok(201)
	secret := made.get("token").(string)
	call := func(token string) reply {
		other := *f
		other.token = token
		return other.call("GET", "/api/datasources", nil)
	}
	call(secret).ok(200)
	flipped := []byte(secret)
	flipped[10] ^= 1
	for name, token := range map[string]string{
		"one that was not given out":  "dgt_" + strings.Repeat("A", 43),
		"one with a changed letter":   string(flipped),
		"one under the other prefix":  "dgs_" + strings.TrimPrefix(secret, "dgt_"),
		"one that is longer":          secret + "A",
		"a session under this prefix": "dgt_" + strings.TrimPrefix(f.token, "dgs_"),
		"nothing but the prefix":      "dgt_",
		"one with SQL":                "dgt_' OR 1=1 --",
	} {
		require.Equal(t, 401, call(token).status, name)
	}
	_, err := f.connect().Exec(context.Background(), "UPDATE api_tokens SET expires_at = now() - interval '1 second'")
	require.NoError(t, err)
	call(secret).problem(401)
}

func TestATokenMayNotDoWhatItsOwnerMayNot(t *testing.T) {
	f := signedIn(t)
	id := f.user("ana@example.com", "operator")
	ana := f.signIn("ana@example.com", ownerPassword)
	for name, body := range map[string]object{
		"what the owner lacks": {"name": "x", "permissions": []string{"datasources.write"}},
		"what there is not":    {"name": "x", "permissions": []string{"no.such"}},
		"nothing":              {"name": "x", "permissions": []string{}},
	} {
		require.NotEmpty(t, ana.call("POST", tokensPath, body).wrong("permissions"), name)
	}
	for name, at := range map[string]time.Time{"the past": time.Now().Add(-time.Hour), "two years": time.Now().AddDate(2, 0, 0)} {
		require.NotEmpty(t, ana.call("POST", tokensPath, object{"name": "x", "permissions": []string{"datasources.read"}, "expires_at": at}).wrong("expires_at"), name)
	}
	script := *f
	script.token = ana.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read", "storage.download", "storage.read"}}).ok(201).get("token").(string)
	script.call("GET", "/api/storage-locations", nil).ok(200)
	f.call("POST", rolesPath, object{"name": "narrow", "permissions": []string{"datasources.read"}}).ok(201)
	f.call("PUT", usersPath+"/"+id+"/roles", object{"roles": []string{"narrow"}}).ok(200)
	script.call("GET", "/api/storage-locations", nil).problem(403)
	script.call("GET", "/api/datasources", nil).ok(200)
}

func TestATokenOfTheOwnerManagesNoMoreThanItHolds(t *testing.T) {
	f := signedIn(t)
	script := *f
	script.token = f.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"access.manage"}}).ok(201).get("token").(string)
	script.call("POST", usersPath, object{"email": "evil@example.com", "password": ownerPassword, "roles": []string{"admin"}}).problem(403)
	script.call("POST", usersPath, object{"email": "fine@example.com"}).ok(201)
}

func TestRolesAreManaged(t *testing.T) {
	f := signedIn(t)
	made := f.call("POST", rolesPath, object{"name": "dba", "description": "Databases", "permissions": []auth.Permission{auth.DatasourcesRead, auth.DatasourcesRead}}).ok(201)
	id := made.get("id").(string)
	require.Equal(t, []any{"datasources.read"}, made.get("permissions"))
	f.call("POST", rolesPath, object{"name": "DBA"}).problem(409)
	f.call("POST", rolesPath, object{"name": "Admin"}).problem(409)
	f.call("POST", rolesPath, object{"name": "x", "permissions": []string{"no.such"}}).wrong("permissions")
	f.call("PATCH", rolesPath+"/"+id, object{"name": "dbas"}, "If-Match", made.header.Get("ETag")).ok(200)
	f.call("PATCH", rolesPath+"/"+id, object{"name": "dba"}, "If-Match", made.header.Get("ETag")).problem(412)
	set := f.call("PUT", rolesPath+"/"+id+"/permissions", object{"permissions": []string{"datasources.read", "datasources.write"}}).ok(200)
	require.Equal(t, "dbas", set.get("name"))
	require.Len(t, f.call("GET", rolesPath+"/"+id+"/permissions", nil).ok(200).get("items"), 2)
	require.Len(t, f.call("GET", "/api/access/permissions", nil).ok(200).get("items"), len(auth.Permissions()))
	require.Len(t, f.call("GET", rolesPath, nil).ok(200).get("items"), 4)
	f.call("DELETE", rolesPath+"/"+id, nil).ok(204)
	f.call("GET", rolesPath+"/"+id, nil).problem(404)
}

func TestSessionsAreListedPageByPage(t *testing.T) {
	f := signedIn(t)
	ana := f.as()
	id := ana.me()
	all := ana.call("GET", "/api/auth/sessions", nil).ids("id")
	for range 4 {
		f.session(id, time.Now().Add(time.Hour))
	}
	f.session(id, time.Now().Add(-time.Minute)) // has expired
	for path, who := range map[string]*fixture{"/api/auth/sessions": ana, usersPath + "/" + id + "/sessions": f} {
		var found []string
		for cursor := ""; ; {
			page := who.call("GET", path+"?limit=2&cursor="+cursor, nil)
			require.LessOrEqual(t, len(page.ids("id")), 2)
			found = append(found, page.ids("id")...)
			if cursor = page.get("next_cursor").(string); cursor == "" {
				break
			}
		}
		require.Len(t, found, 5, path)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(found))), 5)
		require.Equal(t, all[0], found[4], "the newest first")
		require.Equal(t, found, who.call("GET", path, nil).ids("id"))
		who.call("GET", path+"?cursor=none", nil).wrong("query.cursor")
		who.call("GET", path+"?limit=201", nil).wrong("query.limit")
	}
	current := ana.call("GET", "/api/auth/sessions", nil).get("items").([]any)[4].(object)
	require.Equal(t, true, current["current"])
}
