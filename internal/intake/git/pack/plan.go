package pack

// plan is how the first pass of one check shares out its memory. The syncs of
// a quiet day are packs of a few kilobytes; they must not pay for buffers made
// for a hundred thousand objects.
type plan struct {
	inPass    int // largest object handled in memory; larger blobs are hashed while inflating, larger deltas wait
	batch     int // bytes passed on together
	window    int // longest zlib stream inflated in one go
	readAhead int // bytes read at a time from start to end
	lookup    int // bytes of blocks read at random places
	ring      int // bytes of objects kept for deltas to come
	ringItems int // a power of two
}

const (
	blocksAhead  = 3 // pieces of the pack read before they are needed
	batches      = 3 // between scanner and applier
	batchEntries = 256

	// The most of each, for large packs.
	maxInPass    = 2 << 20
	maxBatch     = 256 << 10
	maxWindow    = 4 << 20
	maxReadAhead = 16 * blockSize
	maxLookup    = 4 << 20
	maxRingItems = 1 << 17

	// leastCache is left for the ring when tables take the whole budget.
	leastCache = 8 * maxInPass

	// fixedBytes is what the first pass of a large pack takes besides.
	fixedBytes = maxWindow + 2*maxReadAhead + blocksAhead*maxReadAhead + batches*(maxBatch+maxInPass) + 2*maxLookup + 4<<20
)

// newPlan plans for a pack of size bytes with n entries when cache bytes are
// left of the budget.
func newPlan(size int64, n int, cache int64) plan {
	p := plan{
		inPass:    clamp(8*size, 64<<10, maxInPass),
		window:    clamp(size, blockSize, maxWindow),
		readAhead: clamp((size/blockSize+1)*blockSize, blockSize, maxReadAhead),
		lookup:    clamp(size, 4*blockSize, maxLookup),
		ringItems: 1 << 10,
	}
	p.batch = min(maxBatch, 2*p.inPass)
	// What was used last is in the newer half of the ring; at eight times the
	// largest object the next one does not reach it.
	p.ring = clamp(64*size, 8*p.inPass, max(int(cache), 8*p.inPass))
	for p.ringItems < maxRingItems && p.ringItems < 2*n {
		p.ringItems *= 2
	}
	return p
}

func clamp(n int64, least, most int) int {
	return int(min(max(n, int64(least)), int64(most)))
}
