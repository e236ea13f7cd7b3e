package process

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// kitText is the recovery kit: date, age identity, age recipient, storage locations.
const kitText = `# DataGuardian recovery kit, %s
#
# Whoever holds this can read every backup of this installation; without it nobody can, not even
# its owner. Keep it offline, away from the backups and from this machine. Print it anew after
# adding a storage location. docs/format.md says how to restore with it, age, zstd and pg_restore.
#
# The file is an age identity file as it is: age -d -i <this file>
#
# public key: %s
%s
#
# Where the backups are (below <path>/<datasource>-<id>/backups):
%s#
# Keep as well: the master key (DATAGUARDIAN_MASTER_KEY, or master.key in the data directory). It opens
# the passwords in the catalogue; to read backups it is not needed.
`

// WriteRecoveryKit writes what a restore needs when everything but the storage is lost. It holds the
// secret key of the backups.
func WriteRecoveryKit(ctx context.Context, w io.Writer, database *db.DB) error {
	identity, recipient, err := database.AgeIdentity(ctx)
	if err != nil {
		return err
	}
	locations, err := describeLocations(ctx, database)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, kitText, time.Now().Format(time.DateOnly), recipient, identity, locations)
	return failure.Wrap(failure.Unknown, "write the recovery kit", err, "")
}

func describeLocations(ctx context.Context, database *db.DB) (string, error) {
	var lines strings.Builder
	page := db.Page{}
	for {
		locations, next, err := database.ListStorageLocations(ctx, page)
		if err != nil {
			return "", err
		}
		for _, location := range locations {
			fmt.Fprintf(&lines, "#   %s (%s, pool %s): %q\n", location.Name, location.Type, location.Pool, location.Config.Path)
		}
		if next == "" {
			break
		}
		page.Cursor = next
	}
	if lines.Len() == 0 {
		return "#   no storage location yet\n", nil
	}
	return lines.String(), nil
}
