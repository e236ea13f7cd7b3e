// Package middleware holds what every HTTP request passes through before it reaches an operation:
// request id, access log, recovery, security headers, body limit, metrics.
package middleware

import (
	"context"
	"regexp"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// RequestIDHeader carries the id of a request, in both directions.
const RequestIDHeader = "X-Request-Id"

// Request is what an operation may want to know about the HTTP request it serves.
type Request struct {
	ID        string
	IP        string // of the client, as far as trusted proxies tell
	UserAgent string // at most 512 bytes

	user *string
}

type requestKey struct{}

// sentID bounds the ids taken over from clients: they end in logs.
var sentID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const maxUserAgent = 512

// Identify gives the request an id (the client's own where it is harmless), answers with it, and
// puts a Request into the context.
func Identify() gin.HandlerFunc {
	return func(c *gin.Context) {
		id := c.GetHeader(RequestIDHeader)
		if !sentID.MatchString(id) {
			id = uuid.NewString()
		}
		c.Header(RequestIDHeader, id)
		agent := c.Request.UserAgent()
		if len(agent) > maxUserAgent {
			agent = agent[:maxUserAgent]
		}
		info := Request{ID: id, IP: c.ClientIP(), UserAgent: agent, user: new(string)}
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), requestKey{}, info))
		c.Next()
	}
}

// RequestOf gives the request that ctx belongs to, a zero one outside of a request.
func RequestOf(ctx context.Context) Request {
	info, _ := ctx.Value(requestKey{}).(Request)
	return info
}

// SetUser tells the access log who made the request that ctx belongs to.
func SetUser(ctx context.Context, user string) {
	if info := RequestOf(ctx); info.user != nil {
		*info.user = user
	}
}
