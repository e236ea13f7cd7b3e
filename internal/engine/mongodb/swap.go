package mongodb

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/mongo"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// swap is what is left of a promotion to do: what an interrupted one has renamed is not staged any more.
type swap struct {
	client *session
	names  restoreNames
	drop   bool
	moves  []move
}

// move gives what is staged its own name.
type move struct {
	staged *mongo.CollectionSpecification
	name   string
	there  string // type of what has the name, "" is nothing
	done   bool   // a view that was made before its staged one was dropped
}

// planSwap lists the moves, collections first, because views look at them. Without drop_existing nothing that
// has a name now is of this restore: it is refused before anything is moved.
func (c *session) planSwap(ctx context.Context, names restoreNames, req engine.StageRequest, m mark) (*swap, error) {
	loaded, err := c.loaded(ctx, names.database, m.Prefix)
	if err != nil {
		return nil, err
	}
	existing, err := c.existing(ctx, names.database)
	if err != nil {
		return nil, err
	}
	there := map[string]*mongo.CollectionSpecification{}
	for _, s := range existing {
		there[s.Name] = s
	}
	slices.SortFunc(loaded, func(a, b *mongo.CollectionSpecification) int {
		if (a.Type == typeView) != (b.Type == typeView) {
			return compare(a.Type, b.Type) // "collection" before "view"
		}
		return compare(a.Name, b.Name)
	})
	plan := &swap{client: c, names: names, drop: req.DropExisting}
	for _, s := range loaded {
		move := move{staged: s, name: strings.TrimPrefix(s.Name, m.Prefix)}
		if isServers(move.name) {
			continue
		}
		if old := there[move.name]; old != nil {
			move.there = old.Type
			move.done = s.Type == typeView && old.Type == typeView && bytes.Equal(s.Options, old.Options)
		}
		if move.there != "" && !move.done && !req.DropExisting {
			return nil, madeSince(names, move, m.State)
		}
		plan.moves = append(plan.moves, move)
	}
	return plan, nil
}

// madeSince refuses to replace a collection. A restore that has replaced nothing yet is removed after it, one that has begun to
// is kept, because what it has moved already is of the same moment as what it has not.
func madeSince(names restoreNames, m move, state string) error {
	hint := "Nothing of the target was changed, and what was restored is removed again: move the collection away and start the restore again, or start it with drop_existing."
	if state == statePromoting {
		hint = fmt.Sprintf("What was restored is kept as %s: rename it by hand, or drop both and start the restore again.", m.staged.Name)
	}
	return failure.New(failure.ConfigInvalid, "promote the restore of database "+names.database,
		fmt.Sprintf("collection %s was made while the restore ran, and may not be replaced without drop_existing", m.name), hint)
}

func (p *swap) run(ctx context.Context) error {
	for _, m := range p.moves {
		if err := p.move(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (p *swap) move(ctx context.Context, m move) error {
	c := p.client
	if m.done {
		return c.drop(ctx, p.names, m.staged.Name)
	}
	if m.there != "" && (m.there != "collection" || m.staged.Type == typeView) {
		// Neither a view nor what it replaces can be renamed over.
		if err := c.drop(ctx, p.names, m.name); err != nil {
			return err
		}
	}
	if m.staged.Type == typeView {
		return c.moveView(ctx, p.names, m.staged, m.name)
	}
	err := c.rename(ctx, p.names, m.staged, m.name, p.drop)
	if hasCode(err, codeNamespaceExists) { // since the plan: the server refuses without dropTarget
		return madeSince(p.names, m, statePromoting)
	}
	return err
}
