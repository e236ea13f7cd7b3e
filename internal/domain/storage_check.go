package domain

import (
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// storageFields are the fields of each storage type besides parallel_uploads, by their JSON names.
var storageFields = map[StorageLocationType][]string{
	StorageLocal: {"path", "max_size_gb"},
	StorageSSH:   {"host", "port", "username", "password", "private_key", "passphrase", "remote_path", "host_key"},
	StorageS3: {
		"bucket", "region", "access_key_id", "secret_access_key", "endpoint", "prefix", "storage_class", "force_path_style",
		"sse", "sse_kms_key_id", "ca_certificate",
	},
	StorageMinIO:     {"endpoint", "bucket", "access_key", "secret_key", "use_ssl", "prefix", "ca_certificate"},
	StorageBackblaze: {"bucket_name", "application_key_id", "application_key", "endpoint", "region", "prefix"},
}

// maxQuotaGB is an exabyte: bytes of more would be no number.
const maxQuotaGB = 1e9

// Validate finds every wrong field of a location of type t, after Normalize; field paths start at the
// document itself.
func (c StorageConfig) Validate(t StorageLocationType) Invalid {
	var v Invalid
	if _, known := storageFields[t]; !known {
		v.Add("type", "is %q; use local, ssh, s3, minio or backblaze", t)
		return v
	}
	c.checkForeign(&v, t)
	c.checkText(&v)
	switch t {
	case StorageLocal:
		c.checkLocal(&v)
	case StorageSSH:
		c.checkSSH(&v)
	case StorageS3:
		c.checkS3(&v)
	case StorageMinIO:
		c.checkMinIO(&v)
	case StorageBackblaze:
		c.checkBackblaze(&v)
	}
	checkRange(&v, "parallel_uploads", c.ParallelUploads, 0, MaxParallelUploads)
	return v
}

// checkForeign refuses what is a setting of another type: kept, it would look as if it had an effect.
func (c StorageConfig) checkForeign(v *Invalid, t StorageLocationType) {
	for name, field := range jsonFields(c) {
		if name != "parallel_uploads" && !field.IsZero() && !slices.Contains(storageFields[t], name) {
			v.Add(name, "is not a setting of storage type %s; leave it out", t)
		}
	}
}

func (c StorageConfig) checkText(v *Invalid) {
	for name, field := range jsonFields(c) {
		if field.Kind() != reflect.String || name == "private_key" || name == "ca_certificate" {
			continue
		}
		if strings.ContainsAny(field.String(), "\x00\n\r") {
			v.Add(name, "must not contain a NUL or a line break")
		}
	}
	if c.CACertificate != "" && !parsesAsCertificate(c.CACertificate) {
		v.Add("ca_certificate", "is not a PEM certificate; paste the file that begins with -----BEGIN CERTIFICATE-----")
	}
	if problem := prefixProblem(c.Prefix); problem != "" {
		v.Add("prefix", "is %q: it %s", c.Prefix, problem)
	}
}

func prefixProblem(prefix string) string {
	if prefix == "" {
		return ""
	}
	for _, element := range strings.Split(prefix, "/") {
		switch element {
		case "":
			return "has an empty element; write it with single slashes"
		case ".", "..":
			return "has an element that is . or .."
		case ".tmp":
			return "has an element .tmp, which is reserved"
		}
	}
	return ""
}

func (c StorageConfig) checkLocal(v *Invalid) {
	switch {
	case c.Path == "":
		v.Add("path", "is required: the directory on the worker where backups are kept")
	case !filepath.IsAbs(c.Path):
		v.Add("path", "is %q; give an absolute path", c.Path)
	case c.Path == "/":
		v.Add("path", "must not be the root directory; give a directory of its own")
	}
	if c.MaxSizeGB < 0 || c.MaxSizeGB > maxQuotaGB {
		v.Add("max_size_gb", "is %g; give 0 for no quota or a positive number up to %g", c.MaxSizeGB, maxQuotaGB)
	}
}

func (c StorageConfig) checkSSH(v *Invalid) {
	checkSSHLogin(v, sshLogin{c.Host, c.Username, c.Password, c.PrivateKey, c.Passphrase, c.HostKey})
	switch {
	case c.RemotePath == "":
		v.Add("remote_path", "is required: the directory on the server where backups are kept")
	case !path.IsAbs(c.RemotePath):
		v.Add("remote_path", "is %q; give an absolute path", c.RemotePath)
	case c.RemotePath == "/":
		v.Add("remote_path", "must not be the root directory; give a directory of its own")
	}
	if c.Port < 1 || c.Port > 65535 {
		v.Add("port", "is %d; give a port from 1 to 65535", c.Port)
	}
}

var hostKey = regexp.MustCompile(`^(SHA256:[A-Za-z0-9+/]{43}=?|[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,2}( .*)?)$`)

func (c StorageConfig) checkS3(v *Invalid) {
	checkBucket(v, "bucket", c.Bucket)
	if (c.AccessKeyID == "") != (c.SecretAccessKey == "") {
		v.Add("secret_access_key", "give access_key_id and secret_access_key together, or neither for the worker's own AWS credentials")
	}
	if c.Endpoint != "" {
		checkURL(v, "endpoint", c.Endpoint)
	}
	if slices.Contains([]string{"GLACIER", "DEEP_ARCHIVE"}, c.StorageClass) {
		v.Add("storage_class", "is %s, whose objects must be thawed before they can be read; use GLACIER_IR or STANDARD_IA", c.StorageClass)
	}
	if !slices.Contains([]string{"", "AES256", "aws:kms"}, c.SSE) {
		v.Add("sse", "is %q; use AES256 or aws:kms, or leave it out", c.SSE)
	}
	if c.SSEKMSKeyID != "" && c.SSE != "aws:kms" {
		v.Add("sse_kms_key_id", "is a key of sse aws:kms, which is not chosen")
	}
}

func (c StorageConfig) checkMinIO(v *Invalid) {
	checkBucket(v, "bucket", c.Bucket)
	required(v, "access_key", c.AccessKey)
	required(v, "secret_key", c.SecretKey)
	required(v, "endpoint", c.Endpoint)
	if c.Endpoint != "" {
		if u, err := url.Parse("https://" + c.Endpoint); err != nil || u.Host != c.Endpoint {
			v.Add("endpoint", "is %q; give host:port, or a URL without a path", c.Endpoint)
		}
	}
}

func (c StorageConfig) checkBackblaze(v *Invalid) {
	checkBucket(v, "bucket_name", c.BucketName)
	required(v, "application_key_id", c.ApplicationKeyID)
	required(v, "application_key", c.ApplicationKey)
	switch {
	case c.Endpoint == "" && c.Region == "":
		v.Add("endpoint", "give the bucket's S3 endpoint (https://s3.us-west-004.backblazeb2.com) or its region (us-west-004)")
	case c.Endpoint != "":
		checkURL(v, "endpoint", c.Endpoint)
	case !regionName.MatchString(c.Region):
		v.Add("region", "is %q; give a region as in the bucket's endpoint, for example us-west-004", c.Region)
	}
}

var (
	regionName = regexp.MustCompile(`^[a-z0-9-]+$`)
	bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{1,61}[A-Za-z0-9]$`)
)

func checkBucket(v *Invalid, field, name string) {
	if name == "" {
		v.Add(field, "is required")
	} else if !bucketName.MatchString(name) {
		v.Add(field, "is %q; a bucket's name has 3 to 63 letters, digits, dots and dashes", name)
	}
}

func checkURL(v *Invalid, field, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		v.Add(field, "is %q; give a URL such as https://s3.example.com, without user, query or fragment", text)
	}
}

func required(v *Invalid, field, value string) {
	if value == "" {
		v.Add(field, "is required")
	}
}
