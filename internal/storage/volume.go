package storage

import "context"

// Volumer is what a store can be that knows where its bytes are kept.
type Volumer interface {
	// Volume names the place that the store's root is now: the same text for as long as the root is what
	// it was, however empty, and another one when something else stands in its place: another disk, the
	// bare mount point of a disk that is not mounted, another directory or bucket. "" when the store can
	// not tell, which is better than a text that two places share.
	Volume(ctx context.Context) (string, error)
}

// VolumeOf asks a store, or the one that it decorates, for its volume; "" when none can tell.
func VolumeOf(ctx context.Context, store Store) (string, error) {
	for store != nil {
		if v, ok := store.(Volumer); ok {
			return v.Volume(ctx)
		}
		decorated, ok := store.(interface{ Unwrap() Store })
		if !ok {
			return "", nil
		}
		store = decorated.Unwrap()
	}
	return "", nil
}
