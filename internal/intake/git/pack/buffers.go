package pack

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// buffer is a piece of memory several goroutines may read; the last to
// release it gives it back.
type buffer struct {
	data  []byte
	refs  atomic.Int32
	class int // -1: not from a list
}

// retain adds a reader.
func (b *buffer) retain() { b.refs.Add(1) }

// buffers hands out memory in sizes at most a quarter larger than asked and
// keeps what comes back for the next. Resolving deltas takes and gives back
// many times the memory it holds at any moment; leaving that to the garbage
// collector would double the process.
type buffers struct {
	mu    sync.Mutex
	free  [classes][]*buffer
	asked [classes]uint64 // when a buffer of the class was last asked for
	clock uint64
	kept  int // bytes in free
	limit int // bytes to keep at most
}

const classes = 72

// maxPooled is the largest buffer kept for reuse.
const maxPooled = 8 << 20

// classOf returns the class whose buffers hold n bytes, and their size: 64
// bytes, and from there four steps to the double.
func classOf(n int) (class, size int) {
	if n <= 128 {
		if n <= 64 {
			return 0, 64
		}
		return 1, 128
	}
	e := bits.Len(uint(n-1)) - 3 // n-1 has its highest three bits at e
	step := (n-1)>>e + 1         // 5..8
	return 2 + (e-5)*4 + step - 5, step << e
}

// get returns a buffer of n bytes with one reader. Its content is undefined.
func (p *buffers) get(n int) *buffer {
	if n > maxPooled {
		b := &buffer{data: make([]byte, n), class: -1}
		b.refs.Store(1)
		return b
	}
	class, size := classOf(n)
	p.mu.Lock()
	p.clock++
	p.asked[class] = p.clock
	if list := p.free[class]; len(list) > 0 {
		b := list[len(list)-1]
		list[len(list)-1] = nil
		p.free[class] = list[:len(list)-1]
		p.kept -= size
		p.mu.Unlock()
		b.data = b.data[:n]
		b.refs.Store(1)
		return b
	}
	p.mu.Unlock()
	b := &buffer{data: make([]byte, n, size), class: class}
	b.refs.Store(1)
	return b
}

// release takes a reader away; the buffer must not be used by it any more.
func (p *buffers) release(b *buffer) {
	if b == nil || b.refs.Add(-1) > 0 || b.class < 0 {
		return
	}
	p.mu.Lock()
	p.free[b.class] = append(p.free[b.class], b)
	p.kept += cap(b.data)
	for p.kept > p.limit {
		p.forget()
	}
	p.mu.Unlock()
}

// forget lets one buffer go of the class that nobody asked for the longest: a
// pack holds commits, then trees, then blobs, so sizes go out of use.
func (p *buffers) forget() {
	class := -1
	for i, list := range p.free {
		if len(list) > 0 && (class < 0 || p.asked[i] < p.asked[class]) {
			class = i
		}
	}
	list := p.free[class]
	p.kept -= cap(list[len(list)-1].data)
	list[len(list)-1] = nil
	p.free[class] = list[:len(list)-1]
}
