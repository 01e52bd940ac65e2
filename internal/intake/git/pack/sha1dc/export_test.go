package sha1dc

// Alive returns the vectors whose conditions hold for a block, and those that
// the written-out part leaves.
func Alive(block *[64]byte) (alive, suspected uint32) {
	h := New()
	return h.alive(block), suspects(block, &h.w)
}

// Conditions checks a block against the table alone.
func Conditions(w *[80]uint32) (alive uint32) {
	for v := range vectors {
		alive |= 1 << v
		for _, c := range vectors[v].conditions {
			if uint8(w[c.a]>>c.i^w[c.b]>>c.j)&1 != c.differ {
				alive &^= 1 << v
			}
		}
	}
	return alive
}

// Differences returns the expanded message difference of each vector.
func Differences() (all [32][80]uint32) {
	for i := range vectors {
		all[i] = *difference(&vectors[i])
	}
	return all
}
