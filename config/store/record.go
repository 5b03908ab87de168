package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"

	"twinbore/config"
)

// schema is the version of what the records mean. A file with a higher one is not read.
const schema = 1

// The buckets, each with the key of its records.
const (
	metaBucket      = "meta"       // schemaKey, nextKey
	tombstoneBucket = "tombstones" // id
	spentBucket     = "ids"        // id
	downBucket      = "down"       // connection/tunnel
	addedBucket     = "routes"     // connection
	// and one for each config.ObjectKind: name
)

const (
	schemaKey = "schema"
	nextKey   = "next"
)

var buckets = []string{metaBucket, tombstoneBucket, spentBucket, downBucket, addedBucket, string(config.ConnectionObject), string(config.CustomerGatewayObject)}

// An objectRecord is an object in the file.
type objectRecord struct {
	Number   uint64    `json:"number"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
	Text     string    `json:"text"` // as config.Object has it, to the octet
}

func recordOf(o Object) objectRecord {
	return objectRecord{Number: o.number, Created: o.Created, Modified: o.Modified, Text: string(o.Text)}
}

func (r objectRecord) object(kind config.ObjectKind, name string) (Object, error) {
	doc, err := config.ParseObject(kind, []byte(r.Text))
	if err != nil {
		return Object{}, err
	}
	if doc.Name != name || doc.ID == "" {
		return Object{}, fmt.Errorf("it says to be %q with the id %q", doc.Name, doc.ID)
	}
	return Object{Object: doc, Created: r.Created, Modified: r.Modified, number: r.Number}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers where a record stands, too: one that was moved is no record.
func checksum(bucket, key string, text []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(bucket+"\x00"+key+"\x00"))
	return crc32.Update(sum, castagnoli, text)
}

// seal is a record as it stands in the file: four octets of checksum, then JSON.
func seal(bucket, key string, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, checksum(bucket, key, text)), text...), nil
}

func unseal(bucket, key string, sealed []byte, value any) error {
	if len(sealed) < 4 || checksum(bucket, key, sealed[4:]) != binary.BigEndian.Uint32(sealed) {
		return errors.New("the checksum is wrong")
	}
	return json.Unmarshal(sealed[4:], value)
}

// readAll makes a State of a file. Any error means that the file is not to be used.
func readAll(tx *bolt.Tx, now time.Time) (*State, error) {
	s := emptyState()
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return nil, errors.New("it does not say its version")
	}
	var version int
	if err := unseal(metaBucket, schemaKey, meta.Get([]byte(schemaKey)), &version); err != nil {
		return nil, fmt.Errorf("its version: %w", err)
	}
	if version > schema {
		return nil, fmt.Errorf("a newer version of this program wrote it (schema %d, this one knows %d)", version, schema)
	}
	err := tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		bucket := string(name)
		return b.ForEach(func(key, sealed []byte) error {
			if err := s.take(bucket, string(key), sealed, now); err != nil {
				return fmt.Errorf("%s %q: %w", bucket, key, err)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.Objects, func(a, b Object) int { return int(int64(a.number - b.number)) })
	slices.SortFunc(s.tombstones, func(a, b tombstone) int { return a.expires.Compare(b.expires) })
	return s, nil
}

// take reads one record into s.
func (s *State) take(bucket, key string, sealed []byte, now time.Time) error {
	var err error
	switch bucket {
	case metaBucket:
		var number uint64
		if err = unseal(bucket, key, sealed, &number); key == nextKey {
			s.next = number
		}
	case tombstoneBucket:
		var r tombstoneRecord
		err = unseal(bucket, key, sealed, &r)
		s.tombstones = append(s.tombstones, r.tombstone(key, now))
	case spentBucket:
		err = unseal(bucket, key, sealed, new(bool))
		s.spent[key] = true
	case downBucket:
		err = unseal(bucket, key, sealed, new(bool))
		s.Down[key] = true
	case addedBucket:
		var networks []netip.Prefix
		err = unseal(bucket, key, sealed, &networks)
		s.Added[key] = networks
	case string(config.ConnectionObject), string(config.CustomerGatewayObject):
		var r objectRecord
		if err = unseal(bucket, key, sealed, &r); err != nil {
			break
		}
		var o Object
		o, err = r.object(config.ObjectKind(bucket), key)
		s.Objects = append(s.Objects, o)
	default:
		err = errors.New("nothing of this name belongs here")
	}
	return err
}

// apply puts writes into a transaction.
func apply(tx *bolt.Tx, writes []write) error {
	for _, w := range writes {
		b, err := tx.CreateBucketIfNotExists([]byte(w.bucket))
		if err != nil {
			return err
		}
		if w.value == nil {
			err = b.Delete([]byte(w.key))
		} else {
			var sealed []byte
			if sealed, err = seal(w.bucket, w.key, w.value); err == nil {
				err = b.Put([]byte(w.key), sealed)
			}
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", w.bucket, strconv.Quote(w.key), err)
		}
	}
	return nil
}
