package domain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	somePrivateKey  = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"
	someFingerprint = "SHA256:uNiVztksCsDhcc0u9e8BrqIJJYrMOZ8mVqKSEqZDvXo"
)

var yes, no = true, false

// goodStorage has a location of every type with what it needs.
func goodStorage(t domain.StorageLocationType) domain.StorageConfig {
	c := map[domain.StorageLocationType]domain.StorageConfig{
		domain.StorageLocal:     {Path: "/srv/backups"},
		domain.StorageSSH:       {Host: "nas.example.com", Username: "backup", Password: " with spaces ", RemotePath: "/srv/backups"},
		domain.StorageS3:        {Bucket: "backups", AccessKeyID: "AKIA", SecretAccessKey: "s"},
		domain.StorageMinIO:     {Bucket: "backups", Endpoint: "minio.example.com:9000", AccessKey: "a", SecretKey: "s"},
		domain.StorageBackblaze: {BucketName: "backups", Region: "us-west-004", ApplicationKeyID: "a", ApplicationKey: "s"},
	}[t]
	c.Normalize(t)
	return c
}

func TestEveryStorageTypeHasSettingsThatAreAccepted(t *testing.T) {
	for _, kind := range domain.StorageTypes() {
		require.NotZero(t, goodStorage(kind), kind)
		require.NoError(t, goodStorage(kind).Validate(kind).OrNil(), kind)
		again := goodStorage(kind)
		again.Normalize(kind)
		require.Equal(t, goodStorage(kind), again, "%s: what is normal stays as it is", kind)
	}
	require.Equal(t, "type", domain.StorageConfig{}.Validate("tape")[0].Field)
}

func TestStorageSettingsBecomeNormal(t *testing.T) {
	for name, c := range map[string]struct {
		kind  domain.StorageLocationType
		given domain.StorageConfig
		want  domain.StorageConfig
	}{
		"a path is cleaned":                 {domain.StorageLocal, domain.StorageConfig{Path: " /srv//backups/../dg/ "}, domain.StorageConfig{Path: "/srv/dg"}},
		"SSH has a port":                    {domain.StorageSSH, domain.StorageConfig{Host: " nas ", RemotePath: "/srv/"}, domain.StorageConfig{Host: "nas", Port: 22, RemotePath: "/srv"}},
		"another port stays":                {domain.StorageSSH, domain.StorageConfig{Port: 2222}, domain.StorageConfig{Port: 2222}},
		"a password may begin with a space": {domain.StorageSSH, domain.StorageConfig{Password: " p "}, domain.StorageConfig{Password: " p ", Port: 22}},
		"AWS has a region": {
			domain.StorageS3, domain.StorageConfig{Bucket: "b\t", SecretAccessKey: " s\n", Prefix: "/a/b/"},
			domain.StorageConfig{Bucket: "b", SecretAccessKey: "s", Prefix: "a/b", Region: "us-east-1", ForcePathStyle: &no},
		},
		"a compatible service has the bucket in its path": {
			domain.StorageS3, domain.StorageConfig{Endpoint: "https://s3.example.com/"},
			domain.StorageConfig{Endpoint: "https://s3.example.com", Region: "us-east-1", ForcePathStyle: &yes},
		},
		"unless it says otherwise": {
			domain.StorageS3, domain.StorageConfig{Endpoint: "https://s3.example.com", ForcePathStyle: &no},
			domain.StorageConfig{Endpoint: "https://s3.example.com", Region: "us-east-1", ForcePathStyle: &no},
		},
		"MinIO far away is asked over HTTPS":     {domain.StorageMinIO, domain.StorageConfig{Endpoint: "minio.example.com:9000"}, domain.StorageConfig{Endpoint: "minio.example.com:9000", UseSSL: &yes}},
		"MinIO on this machine is not":           {domain.StorageMinIO, domain.StorageConfig{Endpoint: "127.0.0.1:9000"}, domain.StorageConfig{Endpoint: "127.0.0.1:9000", UseSSL: &no}},
		"nor at an IPv6 address of this machine": {domain.StorageMinIO, domain.StorageConfig{Endpoint: "[::1]:9000"}, domain.StorageConfig{Endpoint: "[::1]:9000", UseSSL: &no}},
		"MinIO's URL says how":                   {domain.StorageMinIO, domain.StorageConfig{Endpoint: "http://minio.example.com:9000/"}, domain.StorageConfig{Endpoint: "minio.example.com:9000", UseSSL: &no}},
		"also that it is HTTPS":                  {domain.StorageMinIO, domain.StorageConfig{Endpoint: "https://localhost"}, domain.StorageConfig{Endpoint: "localhost", UseSSL: &yes}},
		"what was chosen stays":                  {domain.StorageMinIO, domain.StorageConfig{Endpoint: "minio.example.com", UseSSL: &no}, domain.StorageConfig{Endpoint: "minio.example.com", UseSSL: &no}},
		"Backblaze has its region":               {domain.StorageBackblaze, domain.StorageConfig{Region: "us-west-004 "}, domain.StorageConfig{Region: "us-west-004"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.given.Normalize(c.kind)
			require.Equal(t, c.want, c.given)
		})
	}
}

func TestWrongStorageSettingsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		kind   domain.StorageLocationType
		change func(*domain.StorageConfig)
		field  string
		says   string
	}{
		"no path":                        {domain.StorageLocal, func(c *domain.StorageConfig) { c.Path = "" }, "path", "required"},
		"a relative path":                {domain.StorageLocal, func(c *domain.StorageConfig) { c.Path = "backups" }, "path", "absolute"},
		"the root directory":             {domain.StorageLocal, func(c *domain.StorageConfig) { c.Path = "/" }, "path", "of its own"},
		"a path with a line break":       {domain.StorageLocal, func(c *domain.StorageConfig) { c.Path = "/a\nb" }, "path", "line break"},
		"a negative quota":               {domain.StorageLocal, func(c *domain.StorageConfig) { c.MaxSizeGB = -1 }, "max_size_gb", "0 for no quota"},
		"too many uploads":               {domain.StorageLocal, func(c *domain.StorageConfig) { c.ParallelUploads = 65 }, "parallel_uploads", "64"},
		"uploads below none":             {domain.StorageLocal, func(c *domain.StorageConfig) { c.ParallelUploads = -1 }, "parallel_uploads", "0"},
		"a bucket of a directory":        {domain.StorageLocal, func(c *domain.StorageConfig) { c.Bucket = "b" }, "bucket", "not a setting of storage type local"},
		"no host":                        {domain.StorageSSH, func(c *domain.StorageConfig) { c.Host = "" }, "host", "required"},
		"no user":                        {domain.StorageSSH, func(c *domain.StorageConfig) { c.Username = "" }, "username", "required"},
		"no port":                        {domain.StorageSSH, func(c *domain.StorageConfig) { c.Port = 70000 }, "port", "65535"},
		"a relative remote path":         {domain.StorageSSH, func(c *domain.StorageConfig) { c.RemotePath = "backups" }, "remote_path", "absolute"},
		"the server's root directory":    {domain.StorageSSH, func(c *domain.StorageConfig) { c.RemotePath = "/" }, "remote_path", "of its own"},
		"neither password nor key":       {domain.StorageSSH, func(c *domain.StorageConfig) { c.Password = "" }, "password", "either"},
		"password and key":               {domain.StorageSSH, func(c *domain.StorageConfig) { c.PrivateKey = somePrivateKey }, "password", "either"},
		"a public key as the private":    {domain.StorageSSH, func(c *domain.StorageConfig) { c.Password, c.PrivateKey = "", "ssh-ed25519 AAAA" }, "private_key", "BEGIN"},
		"a passphrase of no key":         {domain.StorageSSH, func(c *domain.StorageConfig) { c.Passphrase = "p" }, "passphrase", "there is none"},
		"a host key that is none":        {domain.StorageSSH, func(c *domain.StorageConfig) { c.HostKey = "trust me" }, "host_key", "ssh-keyscan"},
		"a fingerprint that is cut":      {domain.StorageSSH, func(c *domain.StorageConfig) { c.HostKey = someFingerprint[:40] }, "host_key", "fingerprint"},
		"a path of a server":             {domain.StorageSSH, func(c *domain.StorageConfig) { c.Path = "/srv" }, "path", "not a setting of storage type ssh"},
		"no bucket":                      {domain.StorageS3, func(c *domain.StorageConfig) { c.Bucket = "" }, "bucket", "required"},
		"a bucket with a slash":          {domain.StorageS3, func(c *domain.StorageConfig) { c.Bucket = "backups/orders" }, "bucket", "3 to 63"},
		"half of the credentials":        {domain.StorageS3, func(c *domain.StorageConfig) { c.SecretAccessKey = "" }, "secret_access_key", "together"},
		"the other half":                 {domain.StorageS3, func(c *domain.StorageConfig) { c.AccessKeyID = "" }, "secret_access_key", "together"},
		"an endpoint that is no URL":     {domain.StorageS3, func(c *domain.StorageConfig) { c.Endpoint = "s3.example.com" }, "endpoint", "URL"},
		"an endpoint with credentials":   {domain.StorageS3, func(c *domain.StorageConfig) { c.Endpoint = "https://u:p@s3.example.com" }, "endpoint", "without user"},
		"objects that must be thawed":    {domain.StorageS3, func(c *domain.StorageConfig) { c.StorageClass = "GLACIER" }, "storage_class", "thawed"},
		"an unknown encryption":          {domain.StorageS3, func(c *domain.StorageConfig) { c.SSE = "rot13" }, "sse", "AES256"},
		"a key of no encryption":         {domain.StorageS3, func(c *domain.StorageConfig) { c.SSEKMSKeyID = "k" }, "sse_kms_key_id", "not chosen"},
		"a prefix that leads out":        {domain.StorageS3, func(c *domain.StorageConfig) { c.Prefix = "a/../b" }, "prefix", ".."},
		"a prefix with an empty element": {domain.StorageS3, func(c *domain.StorageConfig) { c.Prefix = "a//b" }, "prefix", "empty element"},
		"a reserved prefix":              {domain.StorageS3, func(c *domain.StorageConfig) { c.Prefix = ".tmp" }, "prefix", "reserved"},
		"a certificate that is none":     {domain.StorageS3, func(c *domain.StorageConfig) { c.CACertificate = "trust me" }, "ca_certificate", "PEM"},
		"MinIO without an endpoint":      {domain.StorageMinIO, func(c *domain.StorageConfig) { c.Endpoint = "" }, "endpoint", "required"},
		"MinIO's endpoint with a path":   {domain.StorageMinIO, func(c *domain.StorageConfig) { c.Endpoint = "minio/backups" }, "endpoint", "without a path"},
		"MinIO without a key":            {domain.StorageMinIO, func(c *domain.StorageConfig) { c.AccessKey = "" }, "access_key", "required"},
		"MinIO without a secret":         {domain.StorageMinIO, func(c *domain.StorageConfig) { c.SecretKey = "" }, "secret_key", "required"},
		"a class of MinIO":               {domain.StorageMinIO, func(c *domain.StorageConfig) { c.StorageClass = "STANDARD_IA" }, "storage_class", "not a setting"},
		"Backblaze nowhere":              {domain.StorageBackblaze, func(c *domain.StorageConfig) { c.Region = "" }, "endpoint", "region"},
		"a region that is a URL":         {domain.StorageBackblaze, func(c *domain.StorageConfig) { c.Region = "https://x" }, "region", "us-west-004"},
		"Backblaze without a key":        {domain.StorageBackblaze, func(c *domain.StorageConfig) { c.ApplicationKey = "" }, "application_key", "required"},
		"path style of Backblaze":        {domain.StorageBackblaze, func(c *domain.StorageConfig) { c.ForcePathStyle = &no }, "force_path_style", "not a setting"},
	} {
		t.Run(name, func(t *testing.T) {
			config := goodStorage(c.kind)
			c.change(&config)
			found := config.Validate(c.kind)
			require.NotEmpty(t, found)
			require.Equal(t, c.field, found[0].Field, "%v", found)
			require.Contains(t, found.Error(), c.says)
			for _, secret := range config.SecretValues() {
				require.NotContains(t, strings.ReplaceAll(found.Error(), "secret", ""), `"`+secret+`"`)
			}
		})
	}
}

func TestStorageSettingsThatAreRarelyUsedAreAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		kind   domain.StorageLocationType
		change func(*domain.StorageConfig)
	}{
		"a quota and a number of uploads":  {domain.StorageLocal, func(c *domain.StorageConfig) { c.MaxSizeGB, c.ParallelUploads = 0.5, 64 }},
		"a key with a passphrase":          {domain.StorageSSH, func(c *domain.StorageConfig) { c.Password, c.PrivateKey, c.Passphrase = "", somePrivateKey, "p" }},
		"a fingerprint":                    {domain.StorageSSH, func(c *domain.StorageConfig) { c.HostKey = someFingerprint }},
		"a public key":                     {domain.StorageSSH, func(c *domain.StorageConfig) { c.HostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPxQ root@nas" }},
		"the worker's own AWS credentials": {domain.StorageS3, func(c *domain.StorageConfig) { c.AccessKeyID, c.SecretAccessKey = "", "" }},
		"everything of S3": {domain.StorageS3, func(c *domain.StorageConfig) {
			c.Endpoint, c.Prefix, c.StorageClass, c.SSE, c.SSEKMSKeyID = "https://s3.example.com:8443", "a/b", "GLACIER_IR", "aws:kms", "k"
			c.ForcePathStyle = &yes
		}},
		"Backblaze's endpoint": {domain.StorageBackblaze, func(c *domain.StorageConfig) {
			c.Region, c.Endpoint = "", "https://s3.us-west-004.backblazeb2.com"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			config := goodStorage(c.kind)
			c.change(&config)
			require.NoError(t, config.Validate(c.kind).OrNil())
		})
	}
}

// Every setting of every type belongs to some type and to no other, whatever its kind.
func TestForeignStorageSettingsAreRefused(t *testing.T) {
	value := reflect.ValueOf(domain.StorageConfig{})
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		accepted := 0
		for _, kind := range domain.StorageTypes() {
			var c domain.StorageConfig
			switch field := reflect.ValueOf(&c).Elem().Field(i); field.Kind() {
			case reflect.String:
				field.SetString("x")
			case reflect.Int:
				field.SetInt(1)
			case reflect.Float64:
				field.SetFloat(1)
			default:
				field.Set(reflect.ValueOf(&yes))
			}
			foreign := false
			for _, problem := range c.Validate(kind) {
				foreign = foreign || problem.Field == name && strings.Contains(problem.Message, "is not a setting of storage type")
			}
			if !foreign {
				accepted++
			}
		}
		require.Positive(t, accepted, "no type has the setting %s", name)
		if name == "parallel_uploads" {
			require.Equal(t, len(domain.StorageTypes()), accepted)
		} else {
			require.Less(t, accepted, 4, "%s is a setting of too many types", name)
		}
	}
}

// What is documented as write-only is a secret, and the other way round.
func TestTheSecretsAreWhatIsWriteOnly(t *testing.T) {
	var c domain.StorageConfig
	secrets := c.Secrets()
	value := reflect.ValueOf(&c).Elem()
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		field, secret := secrets[name]
		require.Equal(t, strings.Contains(value.Type().Field(i).Tag.Get("doc"), "write-only"), secret, name)
		if secret {
			require.Same(t, value.Field(i).Addr().Interface(), field, name)
		}
	}
	c.Password, c.SecretKey = "b", "a"
	require.Equal(t, []string{"a", "b"}, c.SecretValues())
}

func TestACertificateIsAccepted(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	for _, kind := range []domain.StorageLocationType{domain.StorageS3, domain.StorageMinIO} {
		c := goodStorage(kind)
		c.CACertificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		require.NoError(t, c.Validate(kind).OrNil())
	}
}

func TestUploadsAndQuota(t *testing.T) {
	require.Equal(t, domain.DefaultParallelUploads, domain.StorageConfig{}.Uploads())
	require.Equal(t, 3, domain.StorageConfig{ParallelUploads: 3}.Uploads())
	require.Equal(t, int64(500_000_000), domain.StorageConfig{MaxSizeGB: 0.5}.MaxBytes())
}
