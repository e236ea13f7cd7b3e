package dataport

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	ours   = Key{1}
	theirs = Key{2}
)

func certificate(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func TestATicketIsTakenOnceInTimeAtItsPort(t *testing.T) {
	now := time.Now()
	request := Request{Kind: "file", Pool: "default", Body: json.RawMessage(`{"path":"a/b"}`)}
	mint := func(key Key, port string, at time.Time) string {
		sealed, err := key.mint(request, certificate(port), at)
		require.NoError(t, err)
		require.NotContains(t, sealed, base64.RawURLEncoding.EncodeToString(request.Body), "what is read stays secret")
		return sealed
	}
	for name, c := range map[string]struct {
		sealed string
		want   error
	}{
		"a good one":                          {mint(ours, "here", now), nil},
		"one for another worker":              {mint(ours, "there", now), errForged},
		"one that another key sealed":         {mint(theirs, "here", now), errForged},
		"one that was changed":                {flip(mint(ours, "here", now)), errForged},
		"nothing":                             {"", errForged},
		"no base64":                           {"!", errForged},
		"one that waited a little":            {mint(ours, "here", now.Add(-ticketLife)), nil},
		"one that waited too long":            {mint(ours, "here", now.Add(-ticketLife-2*clockSkew)), errExpired},
		"one from a clock far ahead":          {mint(ours, "here", now.Add(time.Hour)), errExpired},
		"one from a clock that is fast a bit": {mint(ours, "here", now.Add(clockSkew/2)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(ours, certificate("here"))
			g.now = func() time.Time { return now }
			got, err := g.take(c.sealed)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.Empty(t, got)
				return
			}
			require.Equal(t, request, got)
			_, err = g.take(c.sealed)
			require.ErrorIs(t, err, errUsed)
		})
	}
}

func flip(sealed string) string {
	last := "A"
	if sealed[20:21] == last {
		last = "B"
	}
	return sealed[:20] + last + sealed[21:]
}

func TestUsedTicketsAreForgottenOnceTheyHaveExpired(t *testing.T) {
	now := time.Now()
	g := newGate(ours, certificate("here"))
	g.now = func() time.Time { return now }
	for range 100 {
		sealed, err := ours.mint(Request{}, certificate("here"), now)
		require.NoError(t, err)
		_, err = g.take(sealed)
		require.NoError(t, err)
	}
	require.Len(t, g.used, 100)
	now = now.Add(ticketLife + clockSkew + time.Second)
	sealed, err := ours.mint(Request{}, certificate("here"), now)
	require.NoError(t, err)
	_, err = g.take(sealed)
	require.NoError(t, err)
	require.Len(t, g.used, 1)
}

func TestAnOfferIsFromAHolderOfTheKey(t *testing.T) {
	offer := Offer{URL: "https://worker:1", Certificate: certificate("here")}
	offer.MAC = ours.sign(offer)
	require.NoError(t, ours.check(offer))
	require.ErrorIs(t, theirs.check(offer), ErrOffer)
	for name, changed := range map[string]Offer{
		"another address":     {"https://evil:1", offer.Certificate, offer.MAC},
		"another certificate": {offer.URL, certificate("evil"), offer.MAC},
		"no certificate":      {offer.URL, nil, offer.MAC},
		"no MAC":              {offer.URL, offer.Certificate, nil},
	} {
		require.ErrorIs(t, ours.check(changed), ErrOffer, name)
	}
}

func TestAKeyDoesNotPrintItself(t *testing.T) {
	require.Equal(t, "******** ******** ********", fmt.Sprintf("%v %s %#v", ours, ours, ours))
}
