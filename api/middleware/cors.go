package middleware

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// What browsers on other origins may send and read.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsHeaders = "Approval-Id, Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, X-Request-Id"
	corsExposed = "Approval-Id, ETag, Location, Idempotency-Replayed, Retry-After, X-Request-Id, Content-Disposition"
)

// CORS lets browsers on the given origins use the API; no origins is nobody. There are no cookies, so
// no credentials are allowed: a page sends the token itself.
func CORS(origins []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if len(origins) == 0 {
			return
		}
		header := c.Writer.Header()
		header.Add("Vary", "Origin")
		origin := c.GetHeader("Origin")
		if !slices.Contains(origins, origin) {
			return
		}
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Expose-Headers", corsExposed)
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			header.Set("Access-Control-Allow-Methods", corsMethods)
			header.Set("Access-Control-Allow-Headers", corsHeaders)
			header.Set("Access-Control-Max-Age", "600")
			c.AbortWithStatus(http.StatusNoContent)
		}
	}
}
