package api

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const settingsPath = "/api/system/settings"

func (f *fixture) settingOf(key string) object {
	f.t.Helper()
	for _, item := range f.call("GET", settingsPath, nil).ok(200).get("items").([]any) {
		if view := item.(object); view["key"] == key {
			return view
		}
	}
	f.t.Fatalf("no setting %s", key)
	return nil
}

func TestSettingsAreTypedAuditedAndKnown(t *testing.T) {
	f := signedIn(t)
	preset := f.settingOf(domain.SettingScrubShare)
	require.Equal(t, object{"key": domain.SettingScrubShare, "type": "integer", "value": 25.0, "default": 25.0,
		"doc": preset["doc"], "is_default": true, "updated_by": nil, "updated_at": nil}, preset)

	f.call("PATCH", settingsPath, object{domain.SettingScrubShare: 10}).ok(200)
	changed := f.settingOf(domain.SettingScrubShare)
	require.Equal(t, 10.0, changed["value"])
	require.NotNil(t, changed["updated_by"])
	entries := f.audits("settings.update")
	require.Len(t, entries, 1)
	require.JSONEq(t, `{"before": {"scrub.weekly_share_percent": 25}, "after": {"scrub.weekly_share_percent": 10}}`, entries[0].Changes)
	settings, err := f.db.ScrubSettings(t.Context())
	require.NoError(t, err)
	require.Equal(t, 10, settings.WeeklySharePercent)

	f.call("PATCH", settingsPath, object{"no.such": 1}).wrong("no.such")
	f.call("PATCH", settingsPath, object{domain.SettingScrubShare: "10"}).wrong(domain.SettingScrubShare)
	f.call("PATCH", settingsPath, object{domain.SettingScrubShare: 101}).wrong(domain.SettingScrubShare)
	f.call("PATCH", settingsPath, `[1]`).problem(http.StatusUnprocessableEntity)
	require.Equal(t, 10.0, f.settingOf(domain.SettingScrubShare)["value"])

	f.call("PATCH", settingsPath, object{domain.SettingScrubShare: nil}).ok(200)
	require.Equal(t, true, f.settingOf(domain.SettingScrubShare)["is_default"])
	f.call("PATCH", settingsPath, object{domain.SettingScrubShare: 10}).ok(200)
	f.call("PUT", settingsPath, object{}).ok(200)
	require.Equal(t, 25.0, f.settingOf(domain.SettingScrubShare)["value"])

	f.as(auth.SystemRead).call("PATCH", settingsPath, object{}).problem(http.StatusForbidden)
}

func TestALostUpdateOfSettingsIsRefused(t *testing.T) {
	f := signedIn(t)
	tag := f.call("GET", settingsPath, nil).ok(200).header.Get("ETag")
	var won, lost int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			answer := f.call("PATCH", settingsPath, object{domain.SettingScrubShare: i + 1}, "If-Match", tag)
			mu.Lock()
			defer mu.Unlock()
			switch answer.status {
			case http.StatusOK:
				won++
			case http.StatusPreconditionFailed:
				lost++
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, won)
	require.Equal(t, 7, lost)
}
