package domain

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// StorageConfig is the JSON document of storage_locations.config. Only the fields of the
// location's type are set. What Secrets names is sealed in the database and write-only through the API.
type StorageConfig struct {
	Path      string  `json:"path,omitempty" doc:"local: absolute directory on the pool's workers" maxLength:"4096"`
	MaxSizeGB float64 `json:"max_size_gb,omitempty" doc:"local: quota in GB (10^9 bytes) that DataGuardian enforces; 0 is none" minimum:"0" maximum:"1000000000"`

	Host       string `json:"host,omitempty" doc:"ssh: host name or address" maxLength:"255"`
	Port       int    `json:"port,omitempty" doc:"ssh: TCP port, default 22" minimum:"0" maximum:"65535"`
	Username   string `json:"username,omitempty" doc:"ssh: user that connects" maxLength:"255"`
	Password   string `json:"password,omitempty" doc:"ssh: write-only; answers show ********, and writing that back keeps the stored one" maxLength:"1024"`
	PrivateKey string `json:"private_key,omitempty" doc:"ssh: private key in OpenSSH or PEM format instead of a password; write-only" maxLength:"65536"`
	Passphrase string `json:"passphrase,omitempty" doc:"ssh: passphrase of private_key; write-only" maxLength:"1024"`
	RemotePath string `json:"remote_path,omitempty" doc:"ssh: absolute directory on the server" maxLength:"4096"`
	HostKey    string `json:"host_key,omitempty" doc:"ssh: the server's public key, as a line of known_hosts without the host (ssh-ed25519 AAAA…) or its fingerprint SHA256:…; left out on create, the answer shows the fingerprint to confirm" maxLength:"16384"`

	Bucket          string `json:"bucket,omitempty" doc:"s3, minio: bucket, which must exist" maxLength:"63"`
	Region          string `json:"region,omitempty" doc:"s3: default us-east-1; backblaze: region, instead of endpoint (us-west-004)" maxLength:"100"`
	AccessKeyID     string `json:"access_key_id,omitempty" doc:"s3: left out with secret_access_key, the worker's own AWS credentials are used (environment, profile, instance role)" maxLength:"256"`
	SecretAccessKey string `json:"secret_access_key,omitempty" doc:"s3: write-only" maxLength:"1024"`
	Endpoint        string `json:"endpoint,omitempty" doc:"s3: URL of a compatible service, left out for AWS; minio: host:port or URL; backblaze: its S3 endpoint" maxLength:"1024"`
	Prefix          string `json:"prefix,omitempty" doc:"s3, minio, backblaze: directory in the bucket" maxLength:"512"`
	StorageClass    string `json:"storage_class,omitempty" doc:"s3: class of new objects, for example STANDARD_IA; classes that have to be thawed are refused" maxLength:"64"`
	ForcePathStyle  *bool  `json:"force_path_style,omitempty" doc:"s3: bucket in the path instead of the host name; default true with an endpoint, false without"`
	SSE             string `json:"sse,omitempty" doc:"s3: server-side encryption of new objects, AES256 or aws:kms; left out: the bucket's default" maxLength:"16"`
	SSEKMSKeyID     string `json:"sse_kms_key_id,omitempty" doc:"s3: key of sse aws:kms, left out: the bucket's default" maxLength:"2048"`

	AccessKey string `json:"access_key,omitempty" doc:"minio" maxLength:"256"`
	SecretKey string `json:"secret_key,omitempty" doc:"minio: write-only" maxLength:"1024"`
	UseSSL    *bool  `json:"use_ssl,omitempty" doc:"minio: HTTPS; default true unless the endpoint's URL says http or is on this machine"`

	BucketName       string `json:"bucket_name,omitempty" doc:"backblaze: bucket, which must exist" maxLength:"63"`
	ApplicationKeyID string `json:"application_key_id,omitempty" doc:"backblaze" maxLength:"256"`
	ApplicationKey   string `json:"application_key,omitempty" doc:"backblaze: write-only" maxLength:"1024"`

	CACertificate   string `json:"ca_certificate,omitempty" doc:"s3, minio: PEM certificates trusted for the endpoint besides the system's" maxLength:"65536"`
	ParallelUploads int    `json:"parallel_uploads,omitempty" doc:"Most objects that one worker writes to the location at the same time; 0 or left out: 16" minimum:"0" maximum:"64"`
}

// MaxParallelUploads is the most a location may be given; DefaultParallelUploads is what it has unless
// told otherwise.
const (
	MaxParallelUploads     = 64
	DefaultParallelUploads = 16
)

// StorageTypes lists every storage type; this version has a backend for each.
func StorageTypes() []StorageLocationType {
	return []StorageLocationType{StorageLocal, StorageSSH, StorageS3, StorageMinIO, StorageBackblaze}
}

// Secrets gives the fields that are secret, by their names in the document. A field may be empty.
func (c *StorageConfig) Secrets() map[string]*string {
	return map[string]*string{
		"password": &c.Password, "private_key": &c.PrivateKey, "passphrase": &c.Passphrase,
		"secret_access_key": &c.SecretAccessKey, "secret_key": &c.SecretKey, "application_key": &c.ApplicationKey,
	}
}

// SecretValues are the secrets that are set, for redaction.
func (c StorageConfig) SecretValues() []string {
	var values []string
	for _, field := range c.Secrets() {
		if *field != "" {
			values = append(values, *field)
		}
	}
	slices.Sort(values)
	return values
}

// Uploads is how many objects one worker may write at the same time.
func (c StorageConfig) Uploads() int {
	if c.ParallelUploads == 0 {
		return DefaultParallelUploads
	}
	return c.ParallelUploads
}

// MaxBytes is the quota in bytes, 0 for none.
func (c StorageConfig) MaxBytes() int64 { return int64(c.MaxSizeGB * 1e9) }

// Normalize trims what people paste with spaces around it, cleans the paths and fills in defaults.
func (c *StorageConfig) Normalize(t StorageLocationType) {
	for _, field := range []*string{
		&c.Path, &c.Host, &c.Username, &c.RemotePath, &c.HostKey, &c.Bucket, &c.Region, &c.AccessKeyID, &c.SecretAccessKey,
		&c.Endpoint, &c.Prefix, &c.StorageClass, &c.SSE, &c.SSEKMSKeyID, &c.AccessKey, &c.SecretKey, &c.BucketName,
		&c.ApplicationKeyID, &c.ApplicationKey,
	} {
		*field = strings.TrimSpace(*field)
	}
	if c.Path != "" {
		c.Path = filepath.Clean(c.Path)
	}
	if c.RemotePath != "" {
		c.RemotePath = path.Clean(c.RemotePath)
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	switch t {
	case StorageSSH:
		setDefault(&c.Port, 22)
	case StorageS3:
		setDefault(&c.Region, "us-east-1")
		setDefaultFlag(&c.ForcePathStyle, c.Endpoint != "")
	case StorageMinIO:
		c.normalizeMinIO()
	}
}

// normalizeMinIO makes host:port of an endpoint that was given as a URL, and takes its scheme for use_ssl.
func (c *StorageConfig) normalizeMinIO() {
	rest, plain := strings.CutPrefix(c.Endpoint, "http://")
	rest, secure := strings.CutPrefix(rest, "https://")
	c.Endpoint = rest
	host := rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		host = rest[:i]
	}
	setDefaultFlag(&c.UseSSL, secure || (!plain && !staysOnMachine(strings.Trim(host, "[]"))))
}

func setDefaultFlag(field **bool, value bool) {
	if *field == nil {
		*field = &value
	}
}
