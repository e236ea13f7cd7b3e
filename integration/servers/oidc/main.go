// Command oidc is an OpenID Connect provider for tests: that of github.com/zitadel/oidc with its example storage, whose users
// have groups besides. It says its issuer on standard output, and ends when its standard input does.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: oidc CLIENT-ID CLIENT-SECRET REDIRECT-URI"))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	issuer := fmt.Sprintf("http://%s/", listener.Addr())
	storage.RegisterClients(storage.WebClient(os.Args[1], os.Args[2], os.Args[3]))
	people := &grouped{Storage: storage.NewStorage(storage.NewUserStore(issuer)), groups: map[string][]string{}}
	mux := http.NewServeMux()
	mux.Handle("/", exampleop.SetupServer(issuer, people, slog.New(slog.NewTextHandler(os.Stderr, nil)), false))
	mux.HandleFunc("PUT /test/groups/{user}", people.put)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(issuer)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fail(server.Serve(listener))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// grouped gives the users of the example groups.
type grouped struct {
	*storage.Storage
	mu     sync.Mutex
	groups map[string][]string
}

// put sets the groups of a user, by id, from the query.
func (g *grouped) put(_ http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[r.PathValue("user")] = r.URL.Query()["group"]
}

// SetUserinfoFromToken adds the groups to what the userinfo endpoint answers; the ID token has neither them nor an email.
func (g *grouped) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	g.mu.Lock()
	info.AppendClaims("groups", g.groups[subject])
	g.mu.Unlock()
	return g.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
}
