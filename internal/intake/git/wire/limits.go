package wire

import "time"

// Limits bounds what a server may make us read or hold. A zero field means
// the default.
type Limits struct {
	Refs          int           // refs taken from one server; default 500,000
	Advertisement int64         // bytes of one ref advertisement; default 128 MiB
	Pack          int64         // bytes of one pack; default 256 GiB
	Chatter       int64         // bytes of progress and keep-alive messages around one pack; default 16 MiB
	Idle          time.Duration // longest wait for the next byte; default 2 minutes
	Dial          time.Duration // longest wait for a connection, TLS or SSH handshake included; default 30 seconds
}

func (l Limits) withDefaults() Limits {
	if l.Refs == 0 {
		l.Refs = 500_000
	}
	if l.Advertisement == 0 {
		l.Advertisement = 128 << 20
	}
	if l.Pack == 0 {
		l.Pack = 256 << 30
	}
	if l.Chatter == 0 {
		l.Chatter = 16 << 20
	}
	if l.Idle == 0 {
		l.Idle = 2 * time.Minute
	}
	if l.Dial == 0 {
		l.Dial = 30 * time.Second
	}
	return l
}

// maxLines is how many want and have lines one request may hold: stock git
// http-backend refuses a request that unpacks to more than 10 MiB, and a line
// is 50 bytes with SHA-1 and 74 with SHA-256.
func maxLines(hexSize int) int {
	const room = 7_500_000
	return room / (hexSize + 10)
}
