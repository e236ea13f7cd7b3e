package databases

import (
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// stagingSeparator is between the names in StageReport.Staging. Those of a scratch restore have none in them.
const stagingSeparator = ", "

// Staged is one database that a scratch restore of a server has loaded.
type Staged struct {
	Database string          // its name in the backup
	Staging  string          // where it was loaded, for engine.At
	Streams  []engine.Stream // its own, with the names that its engine gave them
}

// Staged takes apart what Stage loaded for a scratch restore: staging is its StageReport.Staging. Errors: Corrupt when
// that is not of this request.
func (e *Engine) Staged(req engine.StageRequest, staging string) ([]Staged, error) {
	places := strings.Split(staging, stagingSeparator)
	if len(places) != len(req.Databases) {
		return nil, failure.New(failure.Corrupt, "look at what was restored", fmt.Sprintf("%d databases were asked for, and %d loaded", len(req.Databases), len(places)), "")
	}
	staged := make([]Staged, len(places))
	for i, name := range req.Databases {
		staged[i] = Staged{name, places[i], of(req.Streams, name)}
	}
	return staged, nil
}

// One is the engine of each of the databases.
func (e *Engine) One() engine.Engine { return e.one }
