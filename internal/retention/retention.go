// Package retention decides which backups of a job stay. It is a pure function of the backups and the
// policy: what is removed, and whether at all, is not its business.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Apply says of each backup of a job, the newest first, whether the policy keeps it, and why. Days, weeks,
// months and years are those of zone.
//
// A backup is kept by any of: a keep rule (as restic's forget: of the newest so many hours, days, … that have a
// backup, the newest in each, and the oldest of all while a rule has some to give), the limits (with max_backups it
// is among the newest so many, with max_age_days it is not older than that, with both it has to be both), a pin,
// what needs it right now, and being the last good one. A policy without rules keeps everything.
//
// A damaged backup is judged like the others and takes nobody's place: it is no recovery point. Ages are
// counted from the newest backup, so that a job that is paused loses nothing; a newest one from the future
// counts as of now.
//
// The backups of each datasource that the job has had are judged by themselves: those of a new one are no
// replacement for those of the one before.
func Apply(policy domain.RetentionPolicy, zone *time.Location, now time.Time, backups []domain.KeptBackup) []domain.RetentionVerdict {
	of := map[string][]domain.RetentionVerdict{} // by the datasource
	for _, v := range newestFirst(backups) {
		of[v.Datasource] = append(of[v.Datasource], v)
	}
	all := make([]domain.RetentionVerdict, 0, len(backups))
	for _, verdicts := range of {
		apply(policy, zone, now, verdicts)
		all = append(all, verdicts...)
	}
	sortNewestFirst(all)
	return all
}

// apply judges the backups of one datasource, the newest first.
func apply(policy domain.RetentionPolicy, zone *time.Location, now time.Time, verdicts []domain.RetentionVerdict) {
	j := newJudge(policy, zone, now, verdicts)
	for i := range verdicts {
		v := &verdicts[i]
		v.Reasons = j.keeps(i, v.KeptBackup)
		if v.Pinned {
			v.Reasons = append(v.Reasons, "pinned")
		}
		if v.Held != "" {
			v.Reasons = append(v.Reasons, v.Held)
		}
		v.Keep = len(v.Reasons) > 0
		if !v.Keep {
			v.Reasons = j.whyNot(v.KeptBackup)
		}
	}
	keepLastGood(verdicts)
}

// newestFirst copies the backups in the order in which they are judged.
func newestFirst(backups []domain.KeptBackup) []domain.RetentionVerdict {
	verdicts := make([]domain.RetentionVerdict, len(backups))
	for i, b := range backups {
		verdicts[i].KeptBackup = b
	}
	sortNewestFirst(verdicts)
	return verdicts
}

func sortNewestFirst(verdicts []domain.RetentionVerdict) {
	slices.SortFunc(verdicts, func(a, b domain.RetentionVerdict) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
}

// keepLastGood keeps the newest good backup if no good one is kept, and the newest of all if none is good.
func keepLastGood(verdicts []domain.RetentionVerdict) {
	if slices.ContainsFunc(verdicts, func(v domain.RetentionVerdict) bool { return v.Keep && v.Good }) {
		return
	}
	last := max(0, slices.IndexFunc(verdicts, func(v domain.RetentionVerdict) bool { return v.Good }))
	if v := &verdicts[last]; !v.Keep {
		v.Keep, v.Reasons = true, []string{"the only good backup of the job"}
	}
}

// judge goes through the backups of a job, the newest first.
type judge struct {
	policy domain.RetentionPolicy
	zone   *time.Location
	oldest time.Time // that max_age_days keeps
	last   int       // place of the oldest good backup
	good   int       // that were judged
	rules  []rule
}

func newJudge(policy domain.RetentionPolicy, zone *time.Location, now time.Time, verdicts []domain.RetentionVerdict) *judge {
	newest := verdicts[0].At
	if newest.After(now) {
		newest = now
	}
	j := &judge{policy: policy, zone: zone, oldest: newest.In(zone).AddDate(0, 0, -policy.MaxAgeDays), last: -1, rules: keepRules(policy)}
	for i, v := range verdicts {
		if v.Good {
			j.last = i
		}
	}
	return j
}

// keeps returns why the policy keeps the backup at place i; nothing when it does not.
func (j *judge) keeps(i int, b domain.KeptBackup) []string {
	if j.policy.Empty() {
		return []string{"the policy has no rules"}
	}
	var reasons []string
	if j.policy.MaxBackups+j.policy.MaxAgeDays > 0 && j.withinCount() && j.withinAge(b) {
		reasons = append(reasons, j.limits())
	}
	for r := range j.rules {
		if reason := j.rules[r].keeps(b, j.zone, i == j.last); reason != "" {
			reasons = append(reasons, reason)
		}
	}
	if b.Good {
		j.good++
	}
	return reasons
}

func (j *judge) withinCount() bool { return j.policy.MaxBackups == 0 || j.good < j.policy.MaxBackups }

func (j *judge) withinAge(b domain.KeptBackup) bool {
	return j.policy.MaxAgeDays == 0 || !b.At.Before(j.oldest)
}

func (j *judge) limits() string {
	switch {
	case j.policy.MaxAgeDays == 0:
		return fmt.Sprintf("among the newest %d (max_backups)", j.policy.MaxBackups)
	case j.policy.MaxBackups == 0:
		return fmt.Sprintf("not older than %d days (max_age_days)", j.policy.MaxAgeDays)
	default:
		return fmt.Sprintf("among the newest %d and not older than %d days (max_backups, max_age_days)", j.policy.MaxBackups, j.policy.MaxAgeDays)
	}
}

// whyNot says why the backup that was judged last goes.
func (j *judge) whyNot(b domain.KeptBackup) []string {
	var reasons []string
	before := j.good
	if b.Good {
		before--
	}
	if j.policy.MaxBackups > 0 && before >= j.policy.MaxBackups {
		reasons = append(reasons, fmt.Sprintf("%d newer ones are kept (max_backups)", j.policy.MaxBackups))
	}
	if !j.withinAge(b) {
		reasons = append(reasons, fmt.Sprintf("older than %d days (max_age_days)", j.policy.MaxAgeDays))
	}
	if len(j.rules) > 0 {
		reasons = append(reasons, "no keep rule needs it")
	}
	return reasons
}
