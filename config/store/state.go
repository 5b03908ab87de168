package store

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"twinbore/config"
)

// A State is everything that is kept. It belongs to nobody and is not changed.
type State struct {
	Objects []Object                  // of both kinds, in the order in which they were made
	Added   map[string][]netip.Prefix // networks added to connections, those from files as well, by connection
	Down    map[string]bool           // taken down by an operator: "connection/tunnel"

	tombstones []tombstone
	spent      map[string]bool // ids that their authors chose and that were deleted: they are not used again
	next       uint64          // number of the next id
}

// An Object is a connection or a customer gateway with what the store knows of it. Its ID is never empty.
type Object struct {
	config.Object
	Created, Modified time.Time

	number uint64 // its place in State.Objects
}

// Find returns the object of this kind and name.
func (s *State) Find(kind config.ObjectKind, name string) (Object, bool) {
	if i := s.index(kind, name); i >= 0 {
		return s.Objects[i], true
	}
	return Object{}, false
}

func (s *State) index(kind config.ObjectKind, name string) int {
	return slices.IndexFunc(s.Objects, func(o Object) bool { return o.Kind == kind && o.Name == name })
}

// Documents returns the objects as config.Sources wants them.
func (s *State) Documents() []config.Object {
	var out []config.Object
	for _, o := range s.Objects {
		out = append(out, o.Object)
	}
	return out
}

// A Deleted is what is left of an object for an hour.
type Deleted struct {
	Kind      config.ObjectKind
	Name, ID  string
	DeletedAt time.Time     // by the wall clock of that moment
	Left      time.Duration // until it is forgotten
}

// Deleted lists what was deleted less than an hour before now, the oldest first.
func (s *State) Deleted(now time.Time) []Deleted {
	var out []Deleted
	for _, t := range s.tombstones {
		if left := t.expires.Sub(now); left > 0 {
			out = append(out, Deleted{Kind: t.kind, Name: t.name, ID: t.id, DeletedAt: t.deletedAt, Left: left})
		}
	}
	return out
}

// clone is a State that a Tx may change.
func (s *State) clone() *State {
	return &State{Objects: slices.Clone(s.Objects), Added: maps.Clone(s.Added), Down: maps.Clone(s.Down),
		tombstones: slices.Clone(s.tombstones), spent: maps.Clone(s.spent), next: s.next}
}

func emptyState() *State {
	return &State{Added: map[string][]netip.Prefix{}, Down: map[string]bool{}, spent: map[string]bool{}}
}

// writes are the records that make an empty file hold s.
func (s *State) writes(now time.Time) []write {
	list := []write{{metaBucket, nextKey, s.next}}
	for _, o := range s.Objects {
		list = append(list, write{string(o.Kind), o.Name, recordOf(o)})
	}
	for name, networks := range s.Added {
		list = append(list, write{addedBucket, name, networks})
	}
	for peer := range s.Down {
		list = append(list, write{downBucket, peer, true})
	}
	for id := range s.spent {
		list = append(list, write{spentBucket, id, true})
	}
	for _, t := range s.tombstones {
		list = append(list, write{tombstoneBucket, t.id, t.record(now)})
	}
	return list
}
