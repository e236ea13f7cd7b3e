package ssh

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
)

// adopt makes an object that is there already this store's to make durable: who put it may have died before
// its Sync. It is read once, because Sync has to know it again after a crash of the server.
func (s *Store) adopt(ctx context.Context, key string) error {
	losses := s.link.Losses()
	before := s.fresh.of(key)
	body, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	sum := crc32.New(castagnoli)
	size, err := io.Copy(sum, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	s.fresh.replace(key, before, &freshObject{size: size, sum: sum.Sum32(), losses: losses})
	if s.fresh.crowded() {
		return s.Sync(ctx)
	}
	return nil
}

// of gives what is remembered of key, nil if it is nothing.
func (u *unsynced) of(key string) *freshObject {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.objects[key]
}

// replace remembers object, unless something else than before is remembered by now: then this store put or
// deleted it meanwhile.
func (u *unsynced) replace(key string, before, object *freshObject) {
	u.changing.RLock()
	defer u.changing.RUnlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.objects[key] != before {
		return
	}
	if u.objects == nil {
		u.objects = map[string]*freshObject{}
	}
	u.objects[key] = object
}
