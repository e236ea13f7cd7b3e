package s3

import (
	"net/http"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Hints that several errors share.
const (
	hintUnreachable = "Check that the service is up, that the endpoint is right (also whether it is http or https), and that a firewall or proxy lets the worker reach it."
	hintLocked      = "Object Lock or a legal hold keeps this object until its retention ends; nothing can delete it before. " +
		"Keep backups at least as long as the bucket keeps objects, or shorten the bucket's retention."
	hintDenied = "The key is known, but a policy of the bucket or of the account forbids this. Allow s3:GetObject, s3:PutObject, " +
		"s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket on the bucket; a bucket that is kept read-only, or that forbids " +
		"deleting, refuses on purpose."
	hintKey    = "Check the access key and its secret: one of them is wrong, or the key was deleted or disabled."
	hintBucket = "Create the bucket, or correct its name, the region and the endpoint."
	hintBusy   = "The service is overloaded or in trouble; look at its status, or give the location fewer parallel_uploads."
)

// kind is what an error code means to the operator.
type kind struct {
	class failure.Class
	hint  string
}

// codes are the error codes of S3 and of services that speak its protocol. Those that say which
// region is right, that space is short or that a lock holds are recognised before; see classifyAnswer.
var codes = map[string]kind{
	"NoSuchKey": {failure.NotFound, ""},
	"NotFound":  {failure.NotFound, ""}, // of a HEAD; explain tells a missing bucket apart

	"NoSuchBucket":                       {failure.ConfigInvalid, hintBucket},
	"InvalidBucketName":                  {failure.ConfigInvalid, hintBucket},
	"PermanentRedirect":                  {failure.ConfigInvalid, hintBucket},
	"AuthorizationHeaderMalformed":       {failure.ConfigInvalid, "Set the storage location's region to that of the bucket."},
	"IllegalLocationConstraintException": {failure.ConfigInvalid, "Set the storage location's region to that of the bucket."},
	"RequestTimeTooSkewed":               {failure.ConfigInvalid, "Set the worker's clock, or the server's: they differ by more than the service allows."},
	"InvalidStorageClass":                {failure.ConfigInvalid, "Use a storage_class that the service has, or leave it out."},
	"KMS.NotFoundException":              {failure.ConfigInvalid, "Correct sse_kms_key_id: the key does not exist in the bucket's region."},
	"KMS.DisabledException":              {failure.ConfigInvalid, "Enable the key that sse_kms_key_id names."},
	"InvalidObjectState": {
		failure.Unsupported,
		"The object is in a storage class that has to be thawed: restore it in the service's console, and use GLACIER_IR or STANDARD_IA.",
	},
	"NotImplemented":   {failure.Unsupported, "The service does not have this function of S3; leave out settings such as storage_class and sse."},
	"MethodNotAllowed": {failure.Unsupported, "The service does not allow this function of S3."},

	"InvalidAccessKeyId":          {failure.AuthFailed, hintKey},
	"XAdminUserNotFound":          {failure.AuthFailed, hintKey}, // versitygw
	"SignatureDoesNotMatch":       {failure.AuthFailed, hintKey},
	"InvalidToken":                {failure.AuthFailed, hintKey},
	"ExpiredToken":                {failure.AuthFailed, "Renew the worker's AWS credentials, which have expired."},
	"TokenRefreshRequired":        {failure.AuthFailed, "Renew the worker's AWS credentials, which have expired."},
	"InvalidClientTokenId":        {failure.AuthFailed, hintKey},
	"UnrecognizedClientException": {failure.AuthFailed, hintKey},
	"Unauthorized":                {failure.AuthFailed, hintKey},
	"AccessDenied":                {failure.AuthFailed, hintDenied},
	"Forbidden":                   {failure.AuthFailed, hintDenied},
	"AllAccessDisabled":           {failure.AuthFailed, hintDenied},
	"AccountProblem":              {failure.AuthFailed, "There is a problem with the account, such as an unpaid bill; look at the provider's console."},
	"NotSignedUp":                 {failure.AuthFailed, "The account has not signed up for this service; look at the provider's console."},

	"SlowDown":           {failure.Unreachable, hintBusy},
	"ServiceUnavailable": {failure.Unreachable, hintBusy},
	"Busy":               {failure.Unreachable, hintBusy},
	"InternalError":      {failure.Unreachable, hintBusy},
	"RequestTimeout":     {failure.Unreachable, hintUnreachable},
}

// classOfStatus is for codes that are not in the table.
func classOfStatus(status int) failure.Class {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return failure.AuthFailed
	case status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed:
		return failure.Unsupported
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
		return failure.Unreachable
	default:
		return failure.Unknown
	}
}

func hintOfStatus(status int) string {
	switch classOfStatus(status) {
	case failure.AuthFailed:
		return hintDenied
	case failure.Unreachable:
		return hintBusy
	default:
		return ""
	}
}
