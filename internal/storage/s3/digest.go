package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // the protocol's Content-MD5, against damage on the way
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/dataguardian/dataguardian/internal/storage"
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// digest is what is told about a body before it is sent. SHA-256 is computed once, and the service
// checks it once: as a checksum, with the body unsigned (the checksum header is signed), or as the
// hash of a signed body.
type digest struct {
	sha256 [sha256.Size]byte
	md5    string // base64, "" if nobody asks for it
	signed bool   // SHA-256 is part of the signature
}

// digest reads size bytes of body, and one more to see that there is none.
func (s *Store) digest(ctx context.Context, op, key string, body io.Reader, size int64) (digest, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	sum := sha256.New()
	var sink io.Writer = sum
	var second hash.Hash
	if s.wantsMD5.Load() {
		second = md5.New() //nolint:gosec // see above
		sink = io.MultiWriter(sum, second)
	}
	n, err := io.CopyBuffer(onlyWriter{sink}, &storage.ContextReader{Ctx: ctx, R: io.LimitReader(body, size+1)}, *buffer)
	if err != nil {
		return digest{}, fmt.Errorf("read the body: %w", err)
	}
	if n != size {
		return digest{}, storage.BodyError(op, key, n, size)
	}
	d := digest{sha256: [sha256.Size]byte(sum.Sum(nil)), signed: !s.opts.Checksums}
	if second != nil {
		d.md5 = base64.StdEncoding.EncodeToString(second.Sum(nil))
	}
	return d, ctx.Err()
}

// onlyWriter keeps io.CopyBuffer from looking for a faster way around the buffer.
type onlyWriter struct{ io.Writer }

// checksum is the value of x-amz-checksum-sha256, nil where it is not sent.
func (d digest) checksum() *string {
	if d.signed {
		return nil
	}
	text := base64.StdEncoding.EncodeToString(d.sha256[:])
	return &text
}

// contentMD5 is the value of Content-MD5, nil where it is not sent.
func (d digest) contentMD5() *string {
	if d.md5 == "" {
		return nil
	}
	return &d.md5
}

// sign tells the signer what the body is, so that it does not read it once more.
func (d digest) sign(o *s3.Options) {
	payload := "UNSIGNED-PAYLOAD"
	if d.signed {
		payload = hex.EncodeToString(d.sha256[:])
	}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		_, err := stack.Finalize.Swap((*v4.ComputePayloadSHA256)(nil).ID(), payloadHash(payload))
		if err != nil {
			return fmt.Errorf("set the payload hash: %w", err)
		}
		return nil
	})
}

// payloadHash takes the place of the SDK's step that hashes the body.
type payloadHash string

// ID is that of the step it replaces.
func (payloadHash) ID() string { return (*v4.ComputePayloadSHA256)(nil).ID() }

// HandleFinalize hands the hash to the signer.
func (p payloadHash) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	return next.HandleFinalize(v4.SetPayloadHash(ctx, string(p)), in)
}
