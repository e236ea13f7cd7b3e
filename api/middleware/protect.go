package middleware

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dataguardian/dataguardian/api/problem"
)

// Recover turns a panic into a 500 that tells the client nothing but the id to look for, and logs
// the panic with its stack. An aborted response stays one: net/http closes the connection.
func Recover(logger *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			caught := recover()
			if caught == nil {
				return
			}
			if err, ok := caught.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(caught)
			}
			id := RequestOf(c.Request.Context()).ID
			logger.ErrorContext(c.Request.Context(), "panic in a request",
				"panic", fmt.Sprint(caught), "route", c.FullPath(), "request_id", id, "stack", string(debug.Stack()))
			c.Abort()
			if !c.Writer.Written() {
				Unexpected(id).Write(c.Writer)
			}
		}()
		c.Next()
	}
}

// Unexpected is the answer to a fault of our own: it names the request, and the log has the rest.
func Unexpected(requestID string) *problem.Problem {
	return problem.New(http.StatusInternalServerError,
		fmt.Sprintf("Something unexpected happened. The log of the API has the details under request id %s.", requestID))
}

// The content security policies: nothing for answers that are data, this server's own files and
// inline script for the reference page, which holds nothing that a user wrote.
const (
	dataPolicy = "default-src 'none'; frame-ancestors 'none'"
	// DocsPolicy is the policy of the reference page.
	DocsPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

// transportSecurity lets browsers come back by https alone for a year. Not to subdomains: those are other people's services.
const transportSecurity = "max-age=31536000"

// SecurityHeaders tells browsers not to guess, frame, cache or leak what the API answers, and not to ask without TLS where it was
// asked with it. A proxy that ends TLS tells them that itself.
func SecurityHeaders() gin.HandlerFunc {
	return func(c *gin.Context) {
		header := c.Writer.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", dataPolicy)
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if c.Request.TLS != nil {
			header.Set("Strict-Transport-Security", transportSecurity)
		}
		c.Next()
	}
}

// LimitBody refuses request bodies of more than limit bytes: at once where the length is
// announced, else while the body is read.
func LimitBody(limit int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.ContentLength > limit {
			problem.New(http.StatusRequestEntityTooLarge,
				fmt.Sprintf("The request body has %d bytes; %d are allowed.", c.Request.ContentLength, limit)).Write(c.Writer)
			c.Abort()
			return
		}
		// One byte more than allowed, so that the reader of the body meets its own limit first and
		// answers with a problem.
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit+1)
		c.Next()
	}
}

// LimitWrite gives a client so long to take an answer. It is set anew for each request: a connection keeps the
// limit of what it served before.
func LimitWrite(limit time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		// A writer that knows no deadlines (tests) has none.
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(limit))
		c.Next()
	}
}
