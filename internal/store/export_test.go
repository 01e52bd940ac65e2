package store

// RoundTripKey renders the key of a row and reads it back.
func RoundTripKey(table string, parts ...any) (string, []any, error) {
	key := rowKey(parts...)
	back, err := tables()[table].parseKey(key)
	return key, back, err
}
