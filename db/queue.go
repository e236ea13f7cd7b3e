package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// need is what an execution needs a place at. A direct sync reads one datasource and writes another.
type need struct {
	datasource, source, storage *string
	stranded                    bool // no worker serves its pool
}

func needOf(datasource *string, source string, storage *string) need {
	n := need{datasource: datasource, storage: storage}
	if source != "" && (datasource == nil || source != *datasource) {
		n.source = &source
	}
	return n
}

// places counts executions that hold a place, by what they need.
type places struct {
	limits              domain.ConcurrencySettings
	all                 int
	datasource, storage map[string]int
	ending              map[string]int // of those, at a datasource or a storage location, which are given back: a worker works on them
}

func newPlaces(limits domain.ConcurrencySettings) *places {
	return &places{limits: limits, datasource: map[string]int{}, storage: map[string]int{}, ending: map[string]int{}}
}

// add takes n places. One whose pool has lost all its workers keeps none of the platform's: it could keep them for days.
func (p *places) add(of need, n int) {
	p.reserve(of, n)
	if of.storage != nil {
		p.storage[*of.storage] += n
	}
	if of.stranded {
		return
	}
	p.all += n
	for _, id := range []*string{of.datasource, of.source, of.storage} {
		if id != nil {
			p.ending[*id] += n
		}
	}
}

// reserve takes places at datasources only.
func (p *places) reserve(of need, n int) {
	for _, id := range []*string{of.datasource, of.source} {
		if id != nil {
			p.datasource[*id] += n
		}
	}
}

// full is what has no place left for an execution.
type full struct{ all, datasource, source, storage bool }

func (p *places) full(of need) full {
	reached := func(n, limit int) bool { return limit > 0 && n >= limit }
	return full{
		all:        reached(p.all, p.limits.Global),
		datasource: of.datasource != nil && reached(p.datasource[*of.datasource], p.limits.PerDatasource),
		source:     of.source != nil && reached(p.datasource[*of.source], p.limits.PerDatasource),
		storage:    of.storage != nil && reached(p.storage[*of.storage], p.limits.PerStorage),
	}
}

// pass lets in who is next in the queue, the longest first, and reports whether it has all its places. Who has waited for long and
// has not keeps its datasources from those that come later, so that it is not overtaken for ever; unless it could not begin though they
// were free: what else it needs is not given back, or to others that have waited for longer.
func (p *places) pass(of need, long bool) (letIn bool) {
	reached := p.full(of)
	if reached == (full{}) {
		p.add(of, 1)
		return true
	}
	if !long {
		return false
	}
	comes := true
	for _, at := range []struct {
		full bool
		id   *string
	}{{reached.datasource, of.datasource}, {reached.source, of.source}, {reached.storage, of.storage}} {
		if at.full {
			comes = comes && p.ending[*at.id] > 0
			p.ending[*at.id]-- // which this one gets
		}
	}
	if comes {
		p.reserve(of, 1)
	}
	return false
}

// BeginOrWait begins a queued execution, see BeginExecution, if the limits leave a place for it. Else it stays queued, in the
// queue, and waitingFor says what it waits for. Begun again it is as it was. Errors as BeginExecution.
func (q *Queries) BeginOrWait(ctx context.Context, id, workflowID, runID string) (begun Execution, waitingFor string, err error) {
	op := "begin execution " + id
	if err := checkID(op, id); err != nil {
		return Execution{}, "", err
	}
	err = q.inTx(ctx, func(q *Queries) error {
		if waitingFor, err = q.waitsFor(ctx, op, id); err != nil {
			return err
		}
		if waitingFor != "" {
			return translate(op, q.q.WaitInQueue(ctx, dbgen.WaitInQueueParams{ID: id, WaitingFor: waitingFor}))
		}
		begun, err = q.BeginExecution(ctx, id, workflowID, runID)
		return err
	})
	return begun, waitingFor, err
}

// waitsFor takes the queue's lock, and says what has no place for the execution, "" when it may begin.
func (q *Queries) waitsFor(ctx context.Context, op, id string) (string, error) {
	limits, err := q.ConcurrencySettings(ctx)
	if err != nil || limits == (domain.ConcurrencySettings{}) {
		return "", err
	}
	if err := q.q.LockQueue(ctx); err != nil {
		return "", translate(op, err)
	}
	entry, err := q.q.QueueEntry(ctx, id)
	if err != nil || entry.Status != domain.Queued || entry.Admitted {
		return "", translate(op, err) // BeginExecution says what is wrong with one that has ended
	}
	held, err := q.heldPlaces(ctx, limits, id)
	if err != nil {
		return "", err
	}
	// Who waits for two places, which are free in turns, would else wait for ever.
	before, err := q.q.LongWaiting(ctx, dbgen.LongWaitingParams{ExceptID: id, Before: entry.WaitingSince})
	if err != nil {
		return "", translate(op, err)
	}
	for _, row := range before {
		held.pass(needOf(row.DatasourceID, row.SourceID, row.StorageLocationID), true)
	}
	return q.describe(ctx, held, needOf(entry.DatasourceID, entry.SourceID, entry.StorageLocationID))
}

func (q *Queries) heldPlaces(ctx context.Context, limits domain.ConcurrencySettings, except string) (*places, error) {
	held := newPlaces(limits)
	rows, err := q.q.HoldingPlaces(ctx, except)
	if err != nil {
		return nil, translate("count the executions that run", err)
	}
	for _, row := range rows {
		of := needOf(row.DatasourceID, row.SourceID, row.StorageLocationID)
		of.stranded = row.Stranded
		held.add(of, int(row.Executions))
	}
	return held, nil
}

// describe says what has no place left, as people are told.
func (q *Queries) describe(ctx context.Context, held *places, of need) (string, error) {
	full := held.full(of)
	var parts []string
	for _, at := range []struct {
		full bool
		id   *string
	}{{full.datasource, of.datasource}, {full.source, of.source}} {
		if !at.full {
			continue
		}
		name, err := q.q.DatasourceName(ctx, *at.id)
		if err != nil {
			return "", translate("read a datasource's name", err)
		}
		parts = append(parts, fmt.Sprintf("datasource %q, which is in use (%d of %d)", name, held.datasource[*at.id], held.limits.PerDatasource))
	}
	if full.storage {
		name, err := q.q.StorageLocationName(ctx, *of.storage)
		if err != nil {
			return "", translate("read a storage location's name", err)
		}
		parts = append(parts, fmt.Sprintf("storage location %q, which is in use (%d of %d)", name, held.storage[*of.storage], held.limits.PerStorage))
	}
	if full.all {
		parts = append(parts, fmt.Sprintf("the end of another execution (%d of %d run)", held.all, held.limits.Global))
	}
	return strings.Join(parts, ", and for "), nil
}

// AdmitWaiting lets in whoever waits and has a place now, the longest first; one that has none does not keep others
// from theirs, unless it has waited for an hour: from then on nobody who came later gets its datasource's place, see pass. One whose pool
// has lost its workers is let in when it has some again.
func (q *Queries) AdmitWaiting(ctx context.Context) error {
	return q.inTx(ctx, func(q *Queries) error {
		limits, err := q.ConcurrencySettings(ctx)
		if err != nil {
			return err
		}
		if err := q.q.LockQueue(ctx); err != nil {
			return translate("lock the queue", err)
		}
		return q.admit(ctx, limits)
	})
}

// admit is AdmitWaiting for who holds the queue's lock.
func (q *Queries) admit(ctx context.Context, limits domain.ConcurrencySettings) error {
	const op = "let waiting executions in"
	waiting, err := q.q.WaitingExecutions(ctx)
	if err != nil || len(waiting) == 0 {
		return translate(op, err)
	}
	held, err := q.heldPlaces(ctx, limits, nobody)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		if w.Stranded || !held.pass(needOf(w.DatasourceID, w.SourceID, w.StorageLocationID), w.Long) {
			continue
		}
		if err := q.q.AdmitExecution(ctx, w.ID); err != nil {
			return translate(op, err)
		}
	}
	return nil
}

// Admitted is an execution that was let in, and whose workflow has not begun it yet.
type Admitted struct {
	ID         string
	WorkflowID string
}

// AdmittedExecutions are those whose workflows are to be told.
func (q *Queries) AdmittedExecutions(ctx context.Context) ([]Admitted, error) {
	rows, err := q.q.AdmittedExecutions(ctx)
	if err != nil {
		return nil, translate("look for executions that were let in", err)
	}
	return convert(rows, func(row dbgen.AdmittedExecutionsRow) (Admitted, error) { return Admitted(row), nil })
}

// ConcurrencySettings reads how many executions may run at once; the default where nothing is set. A value that is out of
// range, which only somebody's own SQL can have stored, is ConfigInvalid.
func (q *Queries) ConcurrencySettings(ctx context.Context) (domain.ConcurrencySettings, error) {
	s := domain.DefaultConcurrency()
	for key, into := range map[string]*int{
		domain.SettingConcurrencyGlobal: &s.Global, domain.SettingConcurrencyDatasource: &s.PerDatasource, domain.SettingConcurrencyStorage: &s.PerStorage,
	} {
		if err := q.setting(ctx, key, into); err != nil {
			return s, err
		}
	}
	return s, inRange("read the limits of concurrency", s.Validate())
}

// SetConcurrencySettings stores them; updatedBy is the id of a user, "" for the system. Errors: domain.Invalid.
func (q *Queries) SetConcurrencySettings(ctx context.Context, s domain.ConcurrencySettings, updatedBy string) error {
	if err := s.Validate().OrNil(); err != nil {
		return err
	}
	for key, value := range map[string]int{
		domain.SettingConcurrencyGlobal: s.Global, domain.SettingConcurrencyDatasource: s.PerDatasource, domain.SettingConcurrencyStorage: s.PerStorage,
	} {
		if err := q.putSetting(ctx, key, value, updatedBy); err != nil {
			return err
		}
	}
	return nil
}
