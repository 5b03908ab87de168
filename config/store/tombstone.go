package store

import (
	"time"

	"twinbore/config"
)

// listed is how long a deleted object is listed (R9).
const listed = time.Hour

// A tombstone is a deleted object.
type tombstone struct {
	kind      config.ObjectKind
	name, id  string
	deletedAt time.Time
	expires   time.Time // with a reading of the monotonic clock: setting the wall clock does not move it
	secrets   []string
}

// A tombstoneRecord is a tombstone in the file: what was left of its hour when it was written, and when that was.
type tombstoneRecord struct {
	Kind      config.ObjectKind `json:"kind"`
	Name      string            `json:"name"`
	DeletedAt time.Time         `json:"deleted_at"`
	Left      time.Duration     `json:"left_ns"`
	SavedAt   time.Time         `json:"saved_at"`
	Secrets   []string          `json:"secrets,omitempty"`
}

func (t tombstone) record(now time.Time) tombstoneRecord {
	return tombstoneRecord{Kind: t.kind, Name: t.name, DeletedAt: t.deletedAt, Left: t.expires.Sub(now), SavedAt: now.Round(0).UTC(), Secrets: t.secrets}
}

// left is what remains of the hour at now. Time before SavedAt did not pass: the clock was set back.
func (r tombstoneRecord) left(now time.Time) time.Duration {
	return min(r.Left, listed) - max(0, now.Round(0).Sub(r.SavedAt))
}

func (r tombstoneRecord) tombstone(id string, now time.Time) tombstone {
	return tombstone{kind: r.Kind, name: r.Name, id: id, deletedAt: r.DeletedAt, expires: now.Add(r.left(now)), secrets: r.Secrets}
}

// saveTombstones writes what is left of each hour, and forgets what is over. It comes last in every change that changes
// something.
func (tx *Tx) saveTombstones() {
	if len(tx.writes) == 0 && !tx.touched {
		return
	}
	var keep []tombstone
	for _, t := range tx.state.tombstones {
		if t.expires.After(tx.now) || len(t.secrets) > 0 {
			keep = append(keep, t)
			tx.put(tombstoneBucket, t.id, t.record(tx.now))
		} else {
			tx.put(tombstoneBucket, t.id, nil)
		}
	}
	tx.state.tombstones = keep
}
