package api

import (
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
)

func TestRecipientsAreAddedToTheOwnOne(t *testing.T) {
	f := signedIn(t)
	own := f.call("GET", "/api/system/recipients", nil).ok(200).get("items").([]any)
	require.Len(t, own, 1)
	require.Equal(t, true, own[0].(object)["own"])
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	recipient := id.Recipient().String()
	added := f.call("POST", "/api/system/recipients", object{"recipient": recipient + "\n", "name": "vault"}).ok(201)
	require.Equal(t, recipient, added.get("recipient"))
	f.call("POST", "/api/system/recipients", object{"recipient": recipient}).ok(409)
	f.call("POST", "/api/system/recipients", object{"recipient": own[0].(object)["recipient"]}).ok(409)
	require.Len(t, f.call("GET", "/api/system/recipients", nil).ok(200).get("items"), 2)
	path := "/api/system/recipients/" + added.get("id").(string)
	f.call("DELETE", path, nil).ok(204)
	f.call("DELETE", path, nil).ok(404)
	refused := f.call("POST", "/api/system/recipients", object{"recipient": id.String()})
	require.Contains(t, refused.wrong("recipient"), "age")
	require.NotContains(t, refused.text, id.String())
	require.Len(t, f.audits("recipient.add"), 1)
	require.Len(t, f.audits("recipient.remove"), 1)
}

func TestAnIdentityIsImportedOnceAndNeverShown(t *testing.T) {
	f := signedIn(t)
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	file := "# recovery kit\n# public key: " + id.Recipient().String() + "\n" + id.String() + "\n"
	first := f.call("POST", "/api/system/identities", object{"identity": file, "name": "lost site"}).ok(201)
	require.Equal(t, []any{id.Recipient().String()}, first.get("added"))
	again := f.call("POST", "/api/system/identities", object{"identity": file}).ok(201)
	require.Equal(t, []any{id.Recipient().String()}, again.get("known"))
	listed := f.call("GET", "/api/system/identities", nil).ok(200)
	require.Len(t, listed.get("items"), 1)
	trail := f.audits("identity.import")
	require.Len(t, trail, 2)
	for _, text := range []string{first.text, listed.text, f.log.String(), trail[0].Changes} {
		require.NotContains(t, text, id.String())
	}
	require.Contains(t, f.call("POST", "/api/system/identities", object{"identity": "AGE-SECRET-KEY-1WRONG"}).wrong("identity"), "line 1")
	path := "/api/system/identities/" + listed.get("items").([]any)[0].(object)["id"].(string)
	f.call("DELETE", path, nil).ok(204)
	f.call("DELETE", path, nil).ok(404)
}
