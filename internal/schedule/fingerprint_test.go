package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

func TestAFingerprintTellsApartAllThatIsWritten(t *testing.T) {
	fingerprint := func(change func(*schedule.Spec)) string {
		s := nightly("fingerprint")
		change(&s)
		text, err := s.Fingerprint()
		require.NoError(t, err)
		return text
	}
	same := fingerprint(func(*schedule.Spec) {})
	require.Equal(t, same, fingerprint(func(*schedule.Spec) {}), "it is the same in every process")
	seen := map[string]string{same: "nothing"}
	for what, change := range map[string]func(*schedule.Spec){
		"the id":                func(s *schedule.Spec) { s.ID = "another" },
		"the cron":              func(s *schedule.Spec) { s.Cron = "31 2 * * *" },
		"the time zone":         func(s *schedule.Spec) { s.TimeZone = "Europe/Lisbon" },
		"whether it is enabled": func(s *schedule.Spec) { s.Enabled = false },
		"the overlap policy":    func(s *schedule.Spec) { s.Overlap = domain.OverlapBufferOne },
		"the note":              func(s *schedule.Spec) { s.Note = "another" },
		"the workflow":          func(s *schedule.Spec) { s.Workflow = "Another" },
		"the input":             func(s *schedule.Spec) { s.Input = map[string]string{"job": "another"} },
		"the task queue":        func(s *schedule.Spec) { s.TaskQueue = "another" },
		"a search attribute": func(s *schedule.Spec) {
			s.Search = temporal.NewSearchAttributes(contract.SearchJob.ValueSet("another"))
		},
		"the jitter":          func(s *schedule.Spec) { s.Jitter = time.Minute },
		"the catch-up window": func(s *schedule.Spec) { s.CatchupWindow = time.Minute },
	} {
		text := fingerprint(change)
		require.NotContains(t, seen, text, "%s makes no difference", what)
		seen[text] = what
	}
	_, err := schedule.Spec{ID: "unreadable", Cron: "x"}.Fingerprint()
	require.ErrorContains(t, err, "schedule unreadable")
}
