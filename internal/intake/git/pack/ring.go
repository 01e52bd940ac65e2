package pack

import "sync/atomic"

// ring keeps the contents of the objects resolved last in one piece of
// memory, each in one piece. What is newest overwrites what is oldest; what
// is used again is copied forward. Resolving deltas turns over many times the
// memory it needs at any moment: this way none of it is garbage, and the
// memory is what was planned. One goroutine owns the ring; others may read
// contents that it marked busy for them.
type ring struct {
	mem   []byte
	items []ringItem // by sequence number, in a circle
	first uint32     // oldest item
	next  uint32     // number of the next item; from 1, so that 0 is none
	head  int        // where the next item goes
	place []uint32   // of each entry: the number of its item, 0 when it is not here
	wait  func() error
}

type ringItem struct {
	at, n int32
	entry int32 // -1 for the unused end of mem
	busy  atomic.Int32
}

const ringAlign = 64

// newRing makes a ring of size bytes and items, a power of two, for the
// contents of n entries. wait is called when the oldest content is still being
// read; it returns when some reader is done.
func newRing(n, size, items int, wait func() error) *ring {
	return &ring{mem: make([]byte, size/ringAlign*ringAlign), items: make([]ringItem, items),
		first: 1, next: 1, place: make([]uint32, n), wait: wait}
}

func (r *ring) item(seq uint32) *ringItem { return &r.items[seq&uint32(len(r.items)-1)] }

// add makes room for n bytes, at most an eighth of the ring, as the content of an entry.
func (r *ring) add(entry, n int) ([]byte, *ringItem, error) {
	size := max((n+ringAlign-1)/ringAlign*ringAlign, ringAlign)
	for {
		free := len(r.mem) - r.head
		if r.first == r.next {
			r.head, free = 0, len(r.mem)
		} else if tail := int(r.item(r.first).at); tail >= r.head {
			free = tail - r.head
			if free < size {
				if err := r.evict(); err != nil {
					return nil, nil, err
				}
				continue
			}
		}
		if int(r.next-r.first) == len(r.items) {
			if err := r.evict(); err != nil {
				return nil, nil, err
			}
			continue
		}
		if free >= size {
			break
		}
		r.push(-1, free) // the end is too short; go on at the beginning
		r.head = 0
	}
	at := r.head
	it := r.push(entry, n)
	r.head = at + size
	if r.head == len(r.mem) {
		r.head = 0
	}
	return r.mem[at : at+n : at+size], it, nil
}

func (r *ring) push(entry, n int) *ringItem {
	it := r.item(r.next)
	it.at, it.n, it.entry = int32(r.head), int32(n), int32(entry)
	it.busy.Store(0)
	if entry >= 0 {
		r.place[entry] = r.next
	}
	r.next++
	return it
}

func (r *ring) evict() error {
	it := r.item(r.first)
	for it.busy.Load() > 0 {
		if err := r.wait(); err != nil {
			return err
		}
	}
	if it.entry >= 0 && r.place[it.entry] == r.first {
		r.place[it.entry] = 0
	}
	r.first++
	return nil
}

// get returns the content of an entry and whether it is here. It stays what
// it is until the second call of add from here.
func (r *ring) get(entry int) (content []byte, ok bool, err error) {
	seq := r.place[entry]
	if seq == 0 {
		return nil, false, nil
	}
	it := r.item(seq)
	at, n := int(it.at), int(it.n)
	old := r.mem[at : at+n]
	age := r.head - at
	if age < 0 {
		age += len(r.mem)
	}
	if age <= len(r.mem)/2 {
		return old, true, nil
	}
	// Making room may take the memory of old itself, but nothing writes
	// there before it is copied.
	fresh, _, err := r.add(entry, n)
	if err != nil {
		return nil, false, err
	}
	copy(fresh, old)
	return fresh, true, nil
}
