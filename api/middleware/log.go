package middleware

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// AccessLog writes one line a request. The query string and all headers but the user agent stay
// out of it: they may carry tokens. Probes and scrapes that went well are logged at debug level.
func AccessLog(logger *slog.Logger) gin.HandlerFunc {
	quiet := map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}
	return func(c *gin.Context) {
		started := time.Now()
		c.Next()
		status := c.Writer.Status()
		level := slog.LevelInfo
		switch {
		case status >= http.StatusInternalServerError:
			level = slog.LevelError
		case quiet[c.FullPath()]:
			level = slog.LevelDebug
		}
		info := RequestOf(c.Request.Context())
		user := ""
		if info.user != nil {
			user = *info.user
		}
		logger.LogAttrs(c.Request.Context(), level, "http request",
			slog.String("method", c.Request.Method),
			slog.String("path", c.Request.URL.Path),
			slog.String("route", c.FullPath()),
			slog.Int("status", status),
			slog.Int("bytes", max(c.Writer.Size(), 0)),
			slog.Duration("duration", time.Since(started)),
			slog.String("ip", info.IP),
			slog.String("user", user),
			slog.String("user_agent", info.UserAgent),
			slog.String("request_id", info.ID),
		)
	}
}
