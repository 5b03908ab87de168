package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"twinbore/config"
)

// Errors of a Tx. Update returns them as they are, and nothing has changed then.
var (
	ErrNotFound = errors.New("there is no such object") // it was not made at run time, or not at all
	ErrSpent    = errors.New("the id was used before")  // R9: by something that was deleted
	ErrOtherID  = errors.New("the id cannot be changed")
)

// A Tx is one change of the store while it is being made. It belongs to the function that Update calls.
type Tx struct {
	state   *State
	now     time.Time
	writes  []write
	touched bool // there is something about a tombstone to write
}

// A write is one record to put, or to take away when value is nil.
type write struct {
	bucket, key string
	value       any
}

func (tx *Tx) put(bucket, key string, value any) {
	tx.writes = append(tx.writes, write{bucket, key, value})
}

// State is everything as it will be. It is changed by what the Tx does next.
func (tx *Tx) State() *State { return tx.state }

// Put makes an object, or replaces the one of its name, and returns it with its id: the one in its text, else the one that it
// had, else a new one. ErrSpent and ErrOtherID are its refusals. An object that has not changed is not written.
func (tx *Tx) Put(doc config.Object) (Object, error) {
	s := tx.state
	old, there := s.Find(doc.Kind, doc.Name)
	id := doc.ID
	switch {
	case there && id == "":
		id = old.ID
	case there && id != old.ID:
		return Object{}, fmt.Errorf("%s: %w: it is %s for ever", doc, ErrOtherID, old.ID)
	case id == "":
		var err error
		if id, err = s.newID(doc.Kind); err != nil {
			return Object{}, err
		}
		tx.put(metaBucket, nextKey, s.next)
	case !there && s.wasUsed(id):
		return Object{}, fmt.Errorf("%s: id %q: %w and is never used again; leave it out to get a new one", doc, id, ErrSpent)
	}
	if doc.ID != id {
		var err error
		if doc, err = doc.WithID(id); err != nil {
			return Object{}, err
		}
	}
	o := Object{Object: doc, Created: tx.now.Round(0).UTC(), Modified: tx.now.Round(0).UTC()}
	if there {
		if string(old.Text) == string(doc.Text) {
			return old, nil
		}
		o.Created, o.number = old.Created, old.number
		s.Objects[s.index(doc.Kind, doc.Name)] = o
	} else {
		if n := len(s.Objects); n > 0 {
			o.number = s.Objects[n-1].number + 1
		}
		s.Objects = append(s.Objects, o)
	}
	tx.put(string(o.Kind), o.Name, recordOf(o))
	return o, nil
}

// Delete takes an object away, with the networks that were added to it and what was taken down of it, and leaves a tombstone.
// secrets are names of generated secrets that nobody needs any more; Leftovers says them again until they are Cleared. The
// error is ErrNotFound.
func (tx *Tx) Delete(kind config.ObjectKind, name string, secrets ...string) error {
	s := tx.state
	i := s.index(kind, name)
	if i < 0 {
		return fmt.Errorf("%s %q: %w", kind.Called(), name, ErrNotFound)
	}
	o := s.Objects[i]
	s.Objects = slices.Delete(s.Objects, i, i+1)
	tx.put(string(kind), name, nil)
	s.tombstones = append(s.tombstones, tombstone{kind: kind, name: name, id: o.ID, deletedAt: tx.now.Round(0).UTC(), expires: tx.now.Add(listed), secrets: secrets})
	if !made(o.ID) {
		s.spent[o.ID] = true
		tx.put(spentBucket, o.ID, true)
	}
	if kind != config.ConnectionObject {
		return nil
	}
	if s.Added[name] != nil {
		delete(s.Added, name)
		tx.put(addedBucket, name, nil)
	}
	for peer := range s.Down {
		if strings.HasPrefix(peer, name+"/") {
			tx.SetDown(peer, false)
		}
	}
	return nil
}

// SetDown notes that an operator took a tunnel, "connection/tunnel", down, or lets it come up again.
func (tx *Tx) SetDown(peer string, down bool) {
	if tx.state.Down[peer] == down {
		return
	}
	if down {
		tx.state.Down[peer] = true
		tx.put(downBucket, peer, true)
		return
	}
	delete(tx.state.Down, peer)
	tx.put(downBucket, peer, nil)
}

// SetAdded replaces the networks that were added to a connection, wherever that comes from; none forgets it.
func (tx *Tx) SetAdded(connection string, networks []netip.Prefix) {
	if slices.Equal(tx.state.Added[connection], networks) {
		return
	}
	if len(networks) == 0 {
		delete(tx.state.Added, connection)
		tx.put(addedBucket, connection, nil)
		return
	}
	tx.state.Added[connection] = slices.Clone(networks)
	tx.put(addedBucket, connection, networks)
}

// Leftovers are the generated secrets of deleted objects that were not Cleared yet.
func (s *State) Leftovers() []string {
	var all []string
	for _, t := range s.tombstones {
		all = append(all, t.secrets...)
	}
	return all
}

// Cleared forgets the Leftovers.
func (tx *Tx) Cleared() {
	for i := range tx.state.tombstones {
		tx.touched = tx.touched || tx.state.tombstones[i].secrets != nil
		tx.state.tombstones[i].secrets = nil
	}
}

// idPrefixes are how ids that the store makes begin.
var idPrefixes = map[config.ObjectKind]string{config.ConnectionObject: "vpn-", config.CustomerGatewayObject: "cgw-"}

// newID makes an id: 8 hexadecimal digits at random, so that a store that was lost does not give its ids again, and 9 that
// count, so that this one does not (R9).
func (s *State) newID(kind config.ObjectKind) (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	s.next++
	return fmt.Sprintf("%s%08x%09x", idPrefixes[kind], binary.BigEndian.Uint32(b[:]), s.next&(1<<36-1)), nil
}

// made reports whether an id has the form of those that newID makes.
func made(id string) bool {
	for _, prefix := range idPrefixes {
		if digits, ok := strings.CutPrefix(id, prefix); ok && len(digits) == 17 && strings.Trim(digits, "0123456789abcdef") == "" {
			return true
		}
	}
	return false
}

// wasUsed reports whether an id belongs to something that was deleted. Of ids of the store's own form, which are not kept
// longer than the tombstone, every one that it could have made counts.
func (s *State) wasUsed(id string) bool {
	if s.spent[id] || slices.ContainsFunc(s.tombstones, func(t tombstone) bool { return t.id == id }) {
		return true
	}
	if !made(id) {
		return false
	}
	var number uint64
	_, err := fmt.Sscanf(id[len(id)-9:], "%x", &number)
	return err != nil || number <= s.next
}

// Same reports whether an object is the same in both.
func (s *State) Same(other *State, kind config.ObjectKind, name string) bool {
	a, inA := s.Find(kind, name)
	b, inB := other.Find(kind, name)
	return inA == inB && string(a.Text) == string(b.Text)
}

// Restore makes of one object, and of what goes with it, what it was: a change that came to nothing leaves no trace. Its number
// is spent.
func (tx *Tx) Restore(before *State, kind config.ObjectKind, name string) {
	s := tx.state
	old, was := before.Find(kind, name)
	at := s.index(kind, name)
	switch {
	case was && at >= 0:
		s.Objects[at] = old
	case was:
		i := slices.IndexFunc(s.Objects, func(o Object) bool { return o.number > old.number })
		if i < 0 {
			i = len(s.Objects)
		}
		s.Objects = slices.Insert(s.Objects, i, old)
	case at >= 0:
		s.Objects = slices.Delete(s.Objects, at, at+1)
	}
	if was {
		tx.put(string(kind), name, recordOf(old))
	} else {
		tx.put(string(kind), name, nil)
	}
	s.tombstones = slices.DeleteFunc(s.tombstones, func(t tombstone) bool {
		fresh := t.kind == kind && t.name == name && !slices.ContainsFunc(before.tombstones, func(o tombstone) bool { return o.id == t.id })
		if fresh {
			tx.put(tombstoneBucket, t.id, nil)
		}
		return fresh
	})
	if was && s.spent[old.ID] && !before.spent[old.ID] {
		delete(s.spent, old.ID)
		tx.put(spentBucket, old.ID, nil)
	}
	if kind != config.ConnectionObject {
		return
	}
	tx.SetAdded(name, before.Added[name])
	for peer := range before.Down {
		if strings.HasPrefix(peer, name+"/") {
			tx.SetDown(peer, true)
		}
	}
}
