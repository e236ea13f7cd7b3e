package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestASyncOfItsScheduleOnlyIsNotRunByHandButTriedAgain(t *testing.T) {
	f := signedIn(t)
	f.starts()
	f.schedules()
	_, source, storage := f.job("orders")
	k := bothKinds["syncs"]
	body := with(with(k.document(source, f.at("staging", "staging.example.com", "orders"), storage), "nightly", "name"), "0 3 * * *", "schedule_cron")
	id := f.call("POST", k.jobs, with(body, false, "run_on_manual")).ok(201).get("id").(string)
	require.Contains(t, f.call("POST", k.jobs+"/"+id+"/run", nil).problem(409).Detail, "set run_on_manual")

	night, err := f.db.CreateRun(t.Context(), db.RunSync, db.Run{JobID: &id, Metadata: domain.RunMetadata{Trigger: domain.TriggerSchedule}})
	require.NoError(t, err)
	f.call("POST", k.runs+"/"+night.ID+"/retry", nil).problem(409)
	_, err = f.db.FinishRun(t.Context(), db.RunSync, night.ID, db.Finish{Status: domain.Failed, ErrorMessage: "the target was in use"}, 0, "")
	require.NoError(t, err)
	again := f.call("POST", k.runs+"/"+night.ID+"/retry", nil).ok(202)
	require.Equal(t, "retry", again.get("metadata", "trigger"))
	require.Equal(t, night.ID, again.get("metadata", "retry_of"))
	require.Equal(t, id, again.get("job_id"))
}

func TestThePolicyOfASyncIsWhatItsDocumentSays(t *testing.T) {
	f := signedIn(t)
	_, source, storage := f.job("orders")
	k := bothKinds["syncs"]
	body := with(k.document(source, f.at("staging", "staging.example.com", "orders"), storage), "nightly", "name")
	made := f.call("POST", k.jobs, body).ok(201)
	require.Equal(t, object{"max_backups": 1.0, "auto_delete": true}, made.get("retention_policy"))
	changed := f.call("PATCH", k.jobs+"/"+made.get("id").(string), object{"retention_policy": object{"max_backups": 3}}).ok(200)
	require.Equal(t, object{"max_backups": 3.0, "auto_delete": true}, changed.get("retention_policy"), "what is left out of a change stays")
	given := f.call("POST", k.jobs, with(with(body, "kept", "name"), object{"max_backups": 3}, "retention_policy")).ok(201)
	require.Equal(t, object{"max_backups": 3.0, "auto_delete": false}, given.get("retention_policy"), "as in that of a backup job")
	require.NotEmpty(t, f.call("POST", k.jobs, with(with(body, "aged", "name"), object{"max_age_days": 3}, "retention_policy")).wrong("retention_policy"))
}
