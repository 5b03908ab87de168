package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The library follows what pages say of each other without looking twice: a page that names itself ends it in a loop, one that
// names a place outside of the file in a fault. So the pages are looked through here before it sees them: every page that the
// newest meta page leads to is there once, keeps to its bounds and to the order of its keys, and no page that is in use is free.
// What the records hold is another matter, and has checksums of its own.

// Of the file's form (bbolt's, version 2), in the byte order of this machine.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	branchPage, leafPage, freePage = 0x01, 0x02, 0x10

	maxFile = 1 << 30 // octets; more was not written by this package
)

var order = binary.NativeEndian

// A verifier looks through one file.
type verifier struct {
	file     []byte
	pageSize uint64
	pages    uint64 // up to the high water mark
	used     []bool // by page
}

// verify reads f, which nobody writes meanwhile, and reports what is wrong with its pages.
func verify(f *os.File) error {
	file, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return err
	case len(file) > maxFile:
		return &damagedError{errors.New("it is too long")}
	}
	v := &verifier{file: file}
	if err := v.all(); err != nil {
		return &damagedError{err}
	}
	return nil
}

func (v *verifier) all() error {
	meta, err := v.newestMeta()
	if err != nil {
		return err
	}
	root, free := order.Uint64(meta[16:]), order.Uint64(meta[32:])
	v.pages = order.Uint64(meta[40:])
	if v.pages > uint64(len(v.file))/v.pageSize {
		return errors.New("it is cut short")
	}
	v.used = make([]bool, v.pages)
	v.used[0], v.used[1] = true, true
	if err := v.tree(root, nil, nil); err != nil {
		return err
	}
	return v.freelist(free)
}

// newestMeta returns the one of the two meta pages that counts. The second stands where the size of a page says that it does,
// which only a valid one says.
func (v *verifier) newestMeta() ([]byte, error) {
	var newest []byte
	for _, size := range []uint64{0, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16} {
		at := size + pageHeader
		if at+metaSize > uint64(len(v.file)) {
			break
		}
		m := v.file[at : at+metaSize]
		sum := fnv.New64a()
		sum.Write(m[:56])
		pageSize := uint64(order.Uint32(m[8:]))
		if order.Uint32(m) != metaMagic || order.Uint32(m[4:]) != metaVersion || sum.Sum64() != order.Uint64(m[56:]) ||
			pageSize < 1<<9 || pageSize > 1<<16 || size != 0 && size != pageSize {
			continue
		}
		if newest == nil || order.Uint64(m[48:]) > order.Uint64(newest[48:]) {
			newest, v.pageSize = m, pageSize
		}
	}
	if newest == nil {
		return nil, errors.New("it is no store, or both places that say where it begins are damaged")
	}
	if order.Uint64(newest[40:]) < 4 {
		return nil, errors.New("it has no pages")
	}
	return newest, nil
}

// page takes a page with what overflows from it into use.
func (v *verifier) page(id uint64) ([]byte, error) {
	if id < 2 || id >= v.pages {
		return nil, fmt.Errorf("page %d is outside", id)
	}
	p := v.file[id*v.pageSize:]
	n := uint64(order.Uint32(p[12:])) + 1
	if order.Uint64(p) != id || n > v.pages-id {
		return nil, fmt.Errorf("page %d says to be another", id)
	}
	for i := range n {
		if v.used[id+i] {
			return nil, fmt.Errorf("page %d is in two places", id+i)
		}
		v.used[id+i] = true
	}
	return p[:n*v.pageSize], nil
}

// tree looks through the pages below id, whose keys are not below low and are below high; nil is no bound.
func (v *verifier) tree(id uint64, low, high []byte) error {
	p, err := v.page(id)
	if err != nil {
		return err
	}
	switch flags := order.Uint16(p[8:]); flags {
	case leafPage:
		return v.leaf(p, low, high)
	case branchPage:
		return v.branch(p, low, high)
	default:
		return fmt.Errorf("page %d is of an unknown kind (%#x)", id, flags)
	}
}

// part is size octets at an element's offset.
func part(p []byte, element int, offset, size uint64) ([]byte, error) {
	at := uint64(element) + offset
	if at+size > uint64(len(p)) {
		return nil, errors.New("a record reaches out of its page")
	}
	return p[at : at+size], nil
}

// elements is how many a page has. It has room for them.
func elements(p []byte) (int, error) {
	if len(p) < pageHeader {
		return 0, errors.New("a page without a header")
	}
	n := int(order.Uint16(p[10:]))
	if pageHeader+n*elementSize > len(p) {
		return 0, errors.New("a page has more records than room")
	}
	return n, nil
}

// inOrder wants keys to rise, between low and high.
func inOrder(key, before, low, high []byte) error {
	if before != nil && bytes.Compare(key, before) <= 0 || low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
		return errors.New("the keys of a page are not in order")
	}
	return nil
}

func (v *verifier) branch(p, low, high []byte) error {
	n, err := elements(p)
	if err == nil && n == 0 {
		err = errors.New("a page leads nowhere")
	}
	if err != nil {
		return err
	}
	keys := make([][]byte, n)
	for i := range n {
		e := pageHeader + i*elementSize
		if keys[i], err = part(p, e, uint64(order.Uint32(p[e:])), uint64(order.Uint32(p[e+4:]))); err != nil {
			return err
		}
	}
	for i, key := range keys {
		var before []byte
		upTo := high
		if i > 0 {
			before = keys[i-1]
		}
		if i+1 < n {
			upTo = keys[i+1]
		}
		if err := inOrder(key, before, low, high); err != nil {
			return err
		}
		if err := v.tree(order.Uint64(p[pageHeader+i*elementSize+8:]), key, upTo); err != nil {
			return err
		}
	}
	return nil
}

// leaf looks through records, and through the buckets among them.
func (v *verifier) leaf(p, low, high []byte) error {
	n, err := elements(p)
	if err != nil {
		return err
	}
	var before []byte
	for i := range n {
		e := pageHeader + i*elementSize
		offset, keySize, valueSize := uint64(order.Uint32(p[e+4:])), uint64(order.Uint32(p[e+8:])), uint64(order.Uint32(p[e+12:]))
		key, err := part(p, e, offset, keySize)
		if err == nil {
			err = inOrder(key, before, low, high)
		}
		if err != nil {
			return err
		}
		before = key
		value, err := part(p, e, offset+keySize, valueSize)
		if err != nil {
			return err
		}
		switch flags := order.Uint32(p[e:]); {
		case flags == 0:
			continue
		case flags != 1 || len(value) < 16:
			return errors.New("a record of an unknown kind")
		}
		if root := order.Uint64(value); root != 0 {
			err = v.tree(root, nil, nil)
		} else if inline := value[16:]; len(inline) < pageHeader || order.Uint16(inline[8:]) != leafPage {
			err = errors.New("a bucket without a page")
		} else {
			err = v.leaf(inline, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// freelist wants every page to be in use or free.
func (v *verifier) freelist(id uint64) error {
	p, err := v.page(id)
	if err != nil {
		return err
	}
	if order.Uint16(p[8:]) != freePage {
		return errors.New("the list of free pages is none")
	}
	n, ids := uint64(order.Uint16(p[10:])), p[pageHeader:]
	if n == 0xFFFF { // then the first is the number
		if n, ids = order.Uint64(ids), ids[8:]; n > v.pages {
			return errors.New("the list of free pages is too long")
		}
	}
	if n*8 > uint64(len(ids)) {
		return errors.New("the list of free pages is cut short")
	}
	before := uint64(0)
	for i := range n {
		free := order.Uint64(ids[i*8:])
		if free <= before || free >= v.pages || v.used[free] {
			return fmt.Errorf("page %d is free and is not", free)
		}
		v.used[free], before = true, free
	}
	return nil
}
