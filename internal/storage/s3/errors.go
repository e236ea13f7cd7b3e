package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// codeLocked stands for the ways in which services say that Object Lock keeps an object.
const codeLocked = "ObjectLocked"

// answer is what the service said, short: the SDK's own text repeats itself and names its internals.
type answer struct {
	text string
	code string
	err  error
}

// Error is the short text.
func (a *answer) Error() string { return a.text }

// Unwrap gives the SDK's error.
func (a *answer) Unwrap() error { return a.err }

// classify turns an error of the SDK into one that says what to do. Errors that are classified
// already, and the context's, keep their class.
func (s *Store) classify(op, key string, err error) error {
	var known *failure.Error
	var api smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case isCertificate(err), speaksPlainHTTP(err):
		return classifyTLS(op, err)
	case isCredentials(err) && isIssuerAway(err):
		return failure.Wrap(failure.Unreachable, op, &answer{text: "no AWS credentials for the worker: " + networkText(err), err: err},
			"Check that the worker reaches the service that gives it AWS credentials (STS, SSO or the container's endpoint), and that it is up.")
	case isCredentials(err):
		return failure.Wrap(failure.AuthFailed, op, err,
			"Give the storage location access_key_id and secret_access_key, or give the worker AWS credentials (environment, profile or instance role).")
	case errors.As(err, &api):
		return s.classifyAnswer(op, key, s.shorten(api, err))
	case errors.Is(err, context.Canceled):
		return err
	case isTimeUp(err):
		return failure.Wrap(failure.Timeout, op, &answer{text: "the service did not answer in time", err: err}, hintUnreachable)
	case isNetwork(err):
		return failure.Wrap(failure.Unreachable, op, &answer{text: networkText(err), err: err}, hintUnreachable)
	default:
		return failure.Wrap(failure.Unknown, op, err, "")
	}
}

// shorten gives "<message> (<code>, HTTP 403, request 1234)".
func (s *Store) shorten(api smithy.APIError, err error) *answer {
	details := []string{api.ErrorCode()}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		details = append(details, fmt.Sprintf("HTTP %d", response.HTTPStatusCode()))
		if id := response.ServiceRequestID(); id != "" {
			details = append(details, "request "+id)
		}
	}
	message := strings.TrimRight(api.ErrorMessage(), ".")
	if message == "" {
		message = "the service refused"
	}
	return &answer{text: fmt.Sprintf("bucket %s: %s (%s)", s.opts.Bucket, message, strings.Join(details, ", ")), code: api.ErrorCode(), err: err}
}

// classifyAnswer knows the codes of S3 and of the services that speak its protocol.
func (s *Store) classifyAnswer(op, key string, a *answer) error {
	if region := s.rightRegion(a); region != "" {
		return failure.Wrap(failure.ConfigInvalid, op, a, s.regionHint(region))
	}
	if isFull(a) {
		return storage.FullError(op, key, a.text)
	}
	if isLocked(op, a) {
		a.code = codeLocked
		return failure.Wrap(failure.Unsupported, op, a, hintLocked)
	}
	if kind, known := codes[a.code]; known {
		if kind.class == failure.NotFound {
			return failure.Wrap(failure.NotFound, op, fmt.Errorf("%s: %w: %w", key, storage.ErrNotFound, a), "")
		}
		return failure.Wrap(kind.class, op, a, kind.hint)
	}
	return failure.Wrap(classOfStatus(statusOf(a)), op, a, hintOfStatus(statusOf(a)))
}

// rightRegion is the region that the service expects, if it says that the one it got is wrong.
func (s *Store) rightRegion(a *answer) string {
	switch a.code {
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "IncorrectEndpoint", "TemporaryRedirect":
	case "BadRequest", "MovedPermanently": // what the SDK makes of a HEAD's bare status
	default:
		return ""
	}
	var response *awshttp.ResponseError
	if errors.As(a.err, &response) && response.Response != nil {
		if region := response.Response.Header.Get("X-Amz-Bucket-Region"); region != "" && region != s.opts.Region {
			return region
		}
	}
	if found := expectedRegion.FindStringSubmatch(a.text); found != nil {
		return found[1]
	}
	return ""
}

var expectedRegion = regexp.MustCompile(`[Rr]egion .*expecting ['"]([A-Za-z0-9-]+)['"]`)

func (s *Store) regionHint(region string) string {
	if s.opts.RegionIsFixed {
		return fmt.Sprintf("The service is in region %s: make this a storage location of type s3 with the same endpoint and region %s.", region, region)
	}
	return fmt.Sprintf("Set the storage location's region to %s.", region)
}

func isFull(a *answer) bool {
	switch a.code {
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "InsufficientStorageSpace",
		"NoSpaceLeftOnDevice", "StorageFull", "BucketQuotaExceeded", "ServiceQuotaExceeded":
		return true
	}
	// Backblaze answers 403 AccessDenied with this text when the account's cap is reached.
	return statusOf(a) == http.StatusInsufficientStorage || strings.Contains(a.text, "storage cap exceeded")
}

func isLocked(op string, a *answer) bool {
	if a.code == codeLocked || a.code == "InvalidRetentionPeriod" {
		return true
	}
	text := strings.ToLower(a.text)
	return op == opDelete && (strings.Contains(text, "object lock") || strings.Contains(text, "worm") || strings.Contains(text, "retention") ||
		strings.Contains(text, "legal hold"))
}

// codeOf is the service's error code in err's chain, or "".
func codeOf(err error) string {
	var a *answer
	if errors.As(err, &a) && a.code != "" {
		return a.code
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// statusOf is the HTTP status in err's chain, or 0.
func statusOf(err error) int {
	var response interface{ HTTPStatusCode() int }
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host)
}

// speaksPlainHTTP reports whether one side spoke TLS and the other did not.
func speaksPlainHTTP(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") ||
		strings.Contains(err.Error(), "HTTP request to an HTTPS server")
}

func classifyTLS(op string, err error) error {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	hint := "Check the endpoint's certificate."
	switch {
	case speaksPlainHTTP(err):
		hint = "The endpoint and the location disagree about HTTPS: correct the endpoint's http:// or https://, or use_ssl."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "Renew the endpoint's certificate; if it is still valid, correct the worker's clock."
	case errors.As(err, &host):
		hint = "Use the name that the endpoint's certificate is made for."
	case errors.As(err, &authority):
		hint = "Put the certificate of the authority that signed the endpoint's into ca_certificate, if you trust it."
	}
	return failure.Wrap(failure.ConfigInvalid, op, &answer{text: lastText(err), err: err}, hint)
}

// isCredentials reports whether the SDK found no credentials in the worker's surroundings.
func isCredentials(err error) bool {
	text := err.Error()
	return strings.Contains(text, "get credentials") || strings.Contains(text, "failed to refresh cached credentials") ||
		strings.Contains(text, "get identity")
}

// isIssuerAway reports whether credentials are missing because the service that gives them is away, which
// passes. The instance's metadata service is asked last, also where there is none: not to reach it means that
// the worker has no credentials.
func isIssuerAway(err error) bool { return isNetwork(err) && !strings.Contains(err.Error(), "ec2imds") }

func isNetwork(err error) bool {
	var sending interface{ ConnectionError() bool }
	var network net.Error
	return errors.As(err, &sending) && sending.ConnectionError() || errors.As(err, &network) || statusOf(err) >= http.StatusInternalServerError
}

// isTimeUp reports whether the caller's time was over before there was any other trouble.
func isTimeUp(err error) bool {
	var joined interface{ Unwrap() []error }
	return errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &joined)
}

// networkText leaves out the SDK's account of its attempts.
func networkText(err error) string {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Error()
	}
	return lastText(err)
}

// lastText is the text of the innermost error that still says where: "tls: failed to verify…".
func lastText(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "request send failed, "); i >= 0 {
		return text[i+len("request send failed, "):]
	}
	return text
}
