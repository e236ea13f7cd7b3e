package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/api"
	"github.com/temporalio/ui-server/v2/server/auth"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/cors"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/ui"
)

// webUI is Temporal's web interface on a listener of ours. The routes are put together here, and
// not by ui-server's own Server, because that one opens its port itself and ends the whole
// process when it can not.
type webUI struct {
	listener net.Listener
	server   *http.Server
}

// startUI serves the web interface of the frontend at address on 127.0.0.1:port; 0 is a free port.
func startUI(port int, address, namespace string) (*webUI, error) {
	handler, err := uiHandler(&config.Config{
		TemporalGRPCAddress: address,
		Host:                localhost,
		EnableUI:            true,
		DefaultNamespace:    namespace,
		DisableNewsFetch:    true,
		HideLogs:            true,
		// Plain HTTP on localhost: the browser would not send a Secure cookie back.
		CORS: config.CORS{CookieInsecure: true},
	})
	if err != nil {
		return nil, fmt.Errorf("build the Temporal UI: %w", err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", localhost, port))
	if err != nil {
		return nil, fmt.Errorf("open the port of the Temporal UI: %w", err)
	}
	w := &webUI{listener: listener, server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}}
	go func() { _ = w.server.Serve(listener) }() // ends with ErrServerClosed when stopped
	return w, nil
}

// url is where a browser finds it.
func (w *webUI) url() string { return "http://" + w.listener.Addr().String() }

// stop lets requests finish as long as ctx allows, then closes their connections.
func (w *webUI) stop(ctx context.Context) {
	if err := w.server.Shutdown(ctx); err != nil {
		_ = w.server.Close()
	}
}

func uiHandler(conf *config.Config) (http.Handler, error) {
	provider, err := config.NewConfigProviderWithRefresh(conf)
	if err != nil {
		return nil, err
	}
	assets, err := ui.Assets()
	if err != nil {
		return nil, err
	}
	local, err := fs.Sub(assets, "local")
	if err != nil {
		return nil, err
	}

	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(middleware.Recover(), middleware.Gzip())
	e.Use(cors.CORSMiddleware(cors.CORSConfig{
		AllowHeaders: []string{
			echo.HeaderOrigin, echo.HeaderContentType, echo.HeaderAccept, echo.HeaderXCSRFToken,
			echo.HeaderAuthorization, auth.AuthorizationExtrasHeader, "Caller-Type",
		},
		AllowCredentials: true,
		ConfigProvider:   provider,
	}))
	e.Use(middleware.Secure())
	e.Use(middleware.CSRFWithConfig(middleware.CSRFConfig{
		CookiePath:     "/",
		CookieHTTPOnly: false, // the page reads it and sends it back as a header
		CookieSameSite: http.SameSiteStrictMode,
		CookieSecure:   !conf.CORS.CookieInsecure,
		Skipper:        csrf.SkipOnAuthorizationHeader,
	}))
	e.Pre(route.PublicPath(conf.PublicPath))
	route.SetHealthRoute(e)
	route.SetAuthRoutes(e, provider)
	route.SetRenderRoute(e, conf.PublicPath)
	forward := []api.Middleware{headers.WithForwardHeaders([]string{auth.AuthorizationExtrasHeader, "Caller-Type"})}
	return e, errors.Join(
		route.SetAPIRoutes(e, provider, forward),
		route.SetUIRoutes(e, conf.PublicPath, local),
	)
}
