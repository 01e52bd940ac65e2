package inflate

// The tables of RFC 1951, 3.2.5 and 3.2.7, as constant strings, which nothing
// can change: one byte an entry, or two, high byte first.
const (
	preOrder    = "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f"                                                                                                                                                                     // order of the code lengths of the code lengths' code
	lengthBase  = "\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00\x09\x00\x0a\x00\x0b\x00\x0d\x00\x0f\x00\x11\x00\x13\x00\x17\x00\x1b\x00\x1f\x00\x23\x00\x2b\x00\x33\x00\x3b\x00\x43\x00\x53\x00\x63\x00\x73\x00\x83\x00\xa3\x00\xc3\x00\xe3\x01\x02"         // shortest length of symbol 257 and on; two bytes each
	lengthExtra = "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x01\x02\x02\x02\x02\x03\x03\x03\x03\x04\x04\x04\x04\x05\x05\x05\x05\x00"                                                                                                                             // its extra bits
	distBase    = "\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x07\x00\x09\x00\x0d\x00\x11\x00\x19\x00\x21\x00\x31\x00\x41\x00\x61\x00\x81\x00\xc1\x01\x01\x01\x81\x02\x01\x03\x01\x04\x01\x06\x01\x08\x01\x0c\x01\x10\x01\x18\x01\x20\x01\x30\x01\x40\x01\x60\x01" // shortest distance of a symbol; two bytes each
	distExtra   = "\x00\x00\x00\x00\x01\x01\x02\x02\x03\x03\x04\x04\x05\x05\x06\x06\x07\x07\x08\x08\x09\x09\x0a\x0a\x0b\x0b\x0c\x0c\x0d\x0d"                                                                                                                         // its extra bits
)

// wide returns entry i of a table with two bytes an entry.
func wide(table string, i int) uint32 { return uint32(table[2*i])<<8 | uint32(table[2*i+1]) }

func preSymbol(s int) uint32 { return uint32(s) << 16 }

func litSymbol(s int) uint32 {
	switch {
	case s < 256:
		return uint32(s)<<16 | kindLiteral
	case s == 256:
		return kindEnd
	case s < 286:
		return wide(lengthBase, s-257)<<16 | uint32(lengthExtra[s-257])
	}
	return kindBad
}

func distSymbol(s int) uint32 {
	if s < 30 {
		return wide(distBase, s)<<16 | uint32(distExtra[s])
	}
	return kindBad
}
