package db

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Places of sealed values. sealedColumns in rekey.go must name every one of them.
func connectionSecret(id, field string) place {
	return place{table: "datasources", rowID: id, field: "connection_config." + field}
}

func storageSecret(id, field string) place {
	return place{table: "storage_locations", rowID: id, field: "config." + field}
}

func optionsSecret(id, field string) place {
	return place{table: "backup_jobs", rowID: id, field: "backup_options." + field}
}

func keySecret(id string) place {
	return place{table: "encryption_keys", rowID: id, field: "secret"}
}

// checkPlace is where the known text is sealed that a master key is checked against.
var checkPlace = place{table: "master_key_check", rowID: "true", field: "sealed"}

const checkText = "dataguardian master key check"

func (q *Queries) sealConnection(id string, c domain.ConnectionConfig) (domain.ConnectionConfig, error) {
	c = c.Clone()
	err := eachSecret(c.Secrets(), func(name, secret string) (string, error) { return q.sealer.seal(connectionSecret(id, name), secret) })
	return c, err
}

func (q *Queries) openConnection(id string, c domain.ConnectionConfig) (domain.ConnectionConfig, error) {
	c = c.Clone()
	err := eachSecret(c.Secrets(), func(name, sealed string) (string, error) { return q.sealer.open(connectionSecret(id, name), sealed) })
	return c, err
}

func (q *Queries) sealStorage(id string, c domain.StorageConfig) (domain.StorageConfig, error) {
	err := eachSecret(c.Secrets(), func(name, secret string) (string, error) { return q.sealer.seal(storageSecret(id, name), secret) })
	return c, err
}

func (q *Queries) openStorage(id string, c domain.StorageConfig) (domain.StorageConfig, error) {
	err := eachSecret(c.Secrets(), func(name, sealed string) (string, error) { return q.sealer.open(storageSecret(id, name), sealed) })
	return c, err
}

func (q *Queries) sealOptions(id string, o domain.BackupOptions) (domain.BackupOptions, error) {
	o = o.Detached()
	err := eachSecret(o.Secrets(), func(name, secret string) (string, error) { return q.sealer.seal(optionsSecret(id, name), secret) })
	return o, err
}

func (q *Queries) openOptions(id string, o domain.BackupOptions) (domain.BackupOptions, error) {
	o = o.Detached()
	err := eachSecret(o.Secrets(), func(name, sealed string) (string, error) {
		if isAddress(name) && !strings.HasPrefix(sealed, envelopePrefix) {
			return sealed, nil // of a process of an earlier version; see sealLeftovers
		}
		return q.sealer.open(optionsSecret(id, name), sealed)
	})
	return o, err
}

// eachSecret replaces every secret field of a document by what convert makes of it.
func eachSecret(fields map[string]*string, convert func(name, value string) (string, error)) error {
	for name, field := range fields {
		converted, err := convert(name, *field)
		if err != nil {
			return err
		}
		*field = converted
	}
	return nil
}

// checkMasterKey compares the key with the one that the secrets are sealed under, and stores the
// check value when there is none.
func (q *Queries) checkMasterKey(ctx context.Context) error {
	const op = "check the master key"
	sealed, err := q.sealer.seal(checkPlace, checkText)
	if err != nil {
		return err
	}
	if err := q.q.AddMasterKeyCheck(ctx, sealed); err != nil {
		return translate(op, err)
	}
	stored, err := q.q.MasterKeyCheck(ctx)
	if err != nil {
		return translate(op, err)
	}
	return q.openCheck(stored)
}

func (q *Queries) openCheck(stored string) error {
	text, err := q.sealer.open(checkPlace, stored)
	if err == nil && text != checkText {
		err = failure.New(failure.Corrupt, "check the master key", "the check value is not the known text", "")
	}
	return err
}

// inSealingTx runs fn, which writes sealed values, in a transaction that first makes sure that the
// master key is still the installation's: a process that was running during a rekey must not write
// under the old key. The lock makes a rekey and such a write wait for each other.
func (q *Queries) inSealingTx(ctx context.Context, fn func(q *Queries) error) error {
	return q.inTx(ctx, func(q *Queries) error {
		stored, err := q.q.LockMasterKeyCheck(ctx)
		if err != nil {
			return translate("check the master key", err)
		}
		if err := q.openCheck(stored); err != nil {
			return err
		}
		return fn(q)
	})
}

// ensureAgeIdentity makes the installation's age key once; of several processes one wins.
func (q *Queries) ensureAgeIdentity(ctx context.Context) error {
	const op = "make the installation's age identity"
	if _, err := q.q.AgeIdentity(ctx); err == nil {
		return nil
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	id, err := newID()
	if err != nil {
		return err
	}
	sealed, err := q.sealer.seal(keySecret(id), identity.String())
	if err != nil {
		return err
	}
	return q.inSealingTx(ctx, func(q *Queries) error {
		return translate(op, q.q.AddAgeIdentity(ctx, dbgen.AddAgeIdentityParams{ID: id, Public: identity.Recipient().String(), Secret: sealed}))
	})
}

// AgeIdentity returns the installation's X25519 age key: the secret identity (AGE-SECRET-KEY-1…)
// that decrypts backups, and the recipient (age1…) that they are encrypted to.
func (q *Queries) AgeIdentity(ctx context.Context) (identity, recipient string, err error) {
	row, err := q.q.AgeIdentity(ctx)
	if err != nil {
		return "", "", translate("read the installation's age identity", err)
	}
	identity, err = q.sealer.open(keySecret(row.ID), row.Secret)
	return identity, row.Public, err
}

// ChunkSecret returns the secret of a generation of a datasource. It is made at the first call and
// the same in every later one, whichever attempt asks; it goes with the last execution of the
// generation. Errors: ReferenceError for an unknown datasource.
func (q *Queries) ChunkSecret(ctx context.Context, datasourceID, generation string) ([32]byte, error) {
	op := "read the chunk secret of generation " + generation
	if err := checkID(op, datasourceID); err != nil {
		return [32]byte{}, err
	}
	if err := q.addChunkSecret(ctx, op, datasourceID, generation); err != nil {
		return [32]byte{}, err
	}
	row, err := q.q.ChunkSecret(ctx, dbgen.ChunkSecretParams{DatasourceID: datasourceID, Generation: generation})
	if err != nil {
		return [32]byte{}, translate(op, err)
	}
	text, err := q.sealer.open(keySecret(row.ID), row.Secret)
	if err != nil {
		return [32]byte{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return [32]byte{}, failure.New(failure.Corrupt, op, "it is not 32 bytes", "")
	}
	return [32]byte(raw), nil
}

func (q *Queries) addChunkSecret(ctx context.Context, op, datasourceID, generation string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	sealed, err := q.sealer.seal(keySecret(id), base64.StdEncoding.EncodeToString(secret))
	if err != nil {
		return err
	}
	return q.inSealingTx(ctx, func(q *Queries) error {
		return translate(op, q.q.AddChunkSecret(ctx, dbgen.AddChunkSecretParams{
			ID: id, DatasourceID: datasourceID, Generation: generation, Secret: sealed,
		}))
	})
}
