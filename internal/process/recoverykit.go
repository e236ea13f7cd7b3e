package process

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/agekey"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

// kitText is the recovery kit: date, age recipient and identity, identities of installations before
// it, additional recipients, storage locations.
const kitText = `# DataGuardian recovery kit, %s
#
# Whoever holds this can read every backup of this installation; without it nobody can, not even
# its owner. Keep it offline, away from the backups and from this machine. Print it anew after
# adding a storage location.
#
# The file is an age identity file as it is: age -d -i THIS-FILE, dataguardian recover --identity THIS-FILE
#
# public key: %s
%s
%s#
# Who else can open new backups:
%s#
# Where the backups are, one document for each storage location. It may hold its credentials:
%s#
# To restore on any machine with the dataguardian program and pg_restore, but no platform: mount the
# disk, or copy the document of a location, from { to }, into a file for --storage-config. Then:
#
#   dataguardian recover list    --storage-config FILE
#   dataguardian recover verify  --storage-config FILE --identity THIS-FILE --full latest
#   dataguardian recover restore --storage-config FILE --identity THIS-FILE latest --to postgres://USER@HOST/DATABASE
#
# Several datasources in one location: name one with --datasource. A directory: --storage local:/PATH.
# To rebuild a platform: start a new one, then
#
#   dataguardian recovery-kit --import-identity THIS-FILE
#
# add the storage location, and POST /api/storage-locations/{id}/import. Without the dataguardian program:
# docs/format.md restores a backup with age, zstd, jq and pg_restore.
#
# Keep as well: the master key (DATAGUARDIAN_MASTER_KEY, or master.key in the data directory). It opens
# the passwords in the catalogue; to read backups it is not needed.
`

// WriteRecoveryKit writes what a restore needs when everything but the storage is lost. It holds the
// secret key of the backups, and the credentials of storage locations that have some.
func WriteRecoveryKit(ctx context.Context, w io.Writer, database *db.DB) error {
	identity, recipient, err := database.AgeIdentity(ctx)
	if err != nil {
		return err
	}
	before, err := describeIdentities(ctx, database)
	if err != nil {
		return err
	}
	others, err := describeRecipients(ctx, database)
	if err != nil {
		return err
	}
	locations, err := describeLocations(ctx, database)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, kitText, time.Now().Format(time.DateOnly), recipient, identity, before, others, locations)
	return failure.Wrap(failure.Unknown, "write the recovery kit", err, "")
}

// describeIdentities writes the imported identities, so that the kit opens whatever this
// installation opens. An SSH key does not fit into an age identity file: it is named.
func describeIdentities(ctx context.Context, database *db.DB) (string, error) {
	identities, err := database.ListOldIdentities(ctx)
	if err != nil {
		return "", err
	}
	var lines strings.Builder
	for _, identity := range identities {
		if strings.Contains(strings.TrimSpace(identity.Secret), "\n") {
			fmt.Fprintf(&lines, "#\n# imported, keep its own file too: %s %s\n", oneLine(identity.Name), identity.Public)
			continue
		}
		fmt.Fprintf(&lines, "#\n# %s\n# public key: %s\n%s\n",
			strings.TrimSpace("imported "+identity.CreatedAt.Format(time.DateOnly)+" "+oneLine(identity.Name)), identity.Public, strings.TrimSpace(identity.Secret))
	}
	return lines.String(), nil
}

func describeRecipients(ctx context.Context, database *db.DB) (string, error) {
	recipients, err := database.ListAgeRecipients(ctx)
	if err != nil {
		return "", err
	}
	var lines strings.Builder
	for _, r := range recipients {
		fmt.Fprintf(&lines, "#   %s %s (since %s)\n", r.Recipient, oneLine(r.Name), r.CreatedAt.Format(time.DateOnly))
	}
	if lines.Len() == 0 {
		return "#   nobody\n", nil
	}
	return lines.String(), nil
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
			document, err := json.Marshal(recovery.Location{Type: location.Type, Config: location.Config})
			if err != nil {
				return "", failure.Wrap(failure.Unknown, "describe storage location "+location.Name, err, "")
			}
			fmt.Fprintf(&lines, "#   %s (pool %s): %s\n", oneLine(location.Name), location.Pool, document)
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

// oneLine keeps a name from beginning a line of its own, which would be read as a key.
func oneLine(name string) string { return strings.Join(strings.Fields(name), " ") }

// ChangeRecoveryKeys imports the identities of a file (nil for none) and adds recipients, in one
// transaction with its audit entry, and says what it did.
func ChangeRecoveryKeys(ctx context.Context, out io.Writer, database *db.DB, identities io.Reader, recipients []string) error {
	var read []agekey.Identity
	var err error
	if identities != nil {
		if read, err = agekey.ParseIdentities(identities); err != nil {
			return err
		}
	}
	changes := map[string]any{}
	var told []string
	err = database.InTx(ctx, func(q *db.Queries) error {
		for _, identity := range read {
			added, err := q.ImportIdentity(ctx, db.OldIdentity{Public: identity.Public, Secret: identity.Secret})
			if err != nil {
				return err
			}
			word := "known already"
			if added {
				word = "imported"
			}
			changes[identity.Public], told = word, append(told, fmt.Sprintf("identity of %s: %s", identity.Public, word))
		}
		for _, text := range recipients {
			recipient, err := agekey.ParseRecipient(text)
			if err != nil {
				return err
			}
			if _, err := q.AddAgeRecipient(ctx, db.AgeRecipient{Recipient: recipient.String()}); err != nil {
				return failure.WithSubject(err, "recipient "+recipient.String())
			}
			changes[recipient.String()], told = "recipient added", append(told, fmt.Sprintf("recipient %s: added", recipient))
		}
		return q.AddAudit(ctx, db.AuditEntry{ActorName: "command line", Action: "recovery_keys.change", Resource: "recovery_kit", Changes: changes})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.Join(told, "\n"))
	return err
}
